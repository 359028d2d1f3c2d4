//! nginx as a plain reverse proxy: the floor to compare with. Two workers, kept connections on
//! both sides, no access log; one port that buffers answers and one that passes streams on.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::clock::Stopwatch;
use crate::process::Processes;

/// Time nginx has to listen.
const START_MAX: Duration = Duration::from_secs(10);

/// A running nginx.
#[derive(Debug)]
pub(crate) struct Nginx {
    pub(crate) processes: Processes,
    /// Buffers answers: for calls that don't stream.
    pub(crate) whole: SocketAddr,
    /// Passes on what comes: for streams.
    pub(crate) stream: SocketAddr,
}

// === impl Nginx ===

impl Nginx {
    pub(crate) fn start(binary: &Path, dir: &Path, upstream: SocketAddr) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let (whole, stream) = (free_port()?, free_port()?);
        let file = dir.join("nginx.conf");
        fs::write(&file, configuration(dir, upstream, whole, stream))?;
        let log = fs::File::create(dir.join("stderr.log"))?;
        let child = Command::new(binary)
            .args(["-e", "stderr", "-p"])
            .arg(dir)
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", binary.display()))?;
        let mut nginx = Self { processes: Processes::new(child), whole, stream };
        let watch = Stopwatch::start();
        while TcpStream::connect(whole).is_err() || TcpStream::connect(stream).is_err() {
            let said = fs::read_to_string(dir.join("stderr.log")).unwrap_or_default();
            if let Some(status) = nginx.processes.ended()? {
                bail!("nginx ended with {status}: {said}");
            }
            if watch.elapsed() > START_MAX {
                bail!("nginx does not listen after {START_MAX:?}: {said}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(nginx)
    }
}

/// Where nginx is: as given, or on the path, or where Debian puts it.
pub(crate) fn find(given: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(path) = given {
        return Ok(path);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = folders.map(|folder| folder.join("nginx")).find(|file| file.is_file());
    found.context(
        "nginx is not installed, and the bench compares with it; on Debian install the package \
         nginx-light (apt-get install nginx-light), or set NGINX to its path",
    )
}

/// A port that is free now. Somebody may take it before nginx does; then nginx says so.
fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn configuration(
    dir: &Path,
    upstream: SocketAddr,
    whole: SocketAddr,
    stream: SocketAddr,
) -> String {
    let dir = dir.display();
    let server = |listen: SocketAddr, buffering: &str| {
        format!(
            "server {{ listen {listen}; location / {{ proxy_pass http://upstream_pool; \
             proxy_http_version 1.1; proxy_set_header Connection \"\"; \
             proxy_buffering {buffering}; }} }}"
        )
    };
    format!(
        "daemon off;
worker_processes 2;
pid {dir}/nginx.pid;
error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  tcp_nodelay on;
  client_max_body_size 64m;
  client_body_buffer_size 512k;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  upstream upstream_pool {{
    server {upstream};
    keepalive 256;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
  }}
  {}
  {}
}}
",
        server(whole, "on"),
        server(stream, "off"),
    )
}
