//! A caller that stops reading in the middle of a long stream costs the gateway no memory: the
//! provider waits, because the gateway does. After that nothing is missing.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use turnpike_simulate::{Script, Simulator};
use turnpike_tests::{Setup, Stage};

/// Bytes of the stream: far more than sockets hold.
const STREAM_BYTES: usize = 100 << 20;
/// Bytes of the streams that come first, so that what is allocated once is there.
const WARM_BYTES: usize = 8 << 20;
/// Bytes of text in one event.
const EVENT_BYTES: usize = 8 << 10;
/// How long the caller reads nothing.
const PAUSE: Duration = Duration::from_secs(30);
/// For memory that was freed to go back to the system.
const SETTLING: Duration = Duration::from_secs(8);
/// What the gateway may grow by meanwhile.
const GROWTH_MAX_KIB: u64 = 1024;
/// For the rest of the stream, through a development build on a busy machine.
const REST_MAX: Duration = Duration::from_secs(100);

/// One event of the provider, and the last ones.
fn event(text: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\
         \"model\":\"long\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\
         \"finish_reason\":null}}]}}\n\n"
    )
}

const ENDING: &str = "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\
    \"created\":1,\"model\":\"long\",\"choices\":[{\"index\":0,\"delta\":{},\
    \"finish_reason\":\"stop\"}]}\n\ndata: {\"id\":\"chatcmpl-1\",\
    \"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"long\",\"choices\":[],\
    \"usage\":{\"prompt_tokens\":10,\"completion_tokens\":20,\"total_tokens\":30}}\n\n\
    data: [DONE]\n\n";

/// A provider that writes as fast as it is read: as many bytes as the prompt says.
async fn provider(mut stream: TcpStream) -> Result<()> {
    let mut request = Vec::new();
    let asked = loop {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&request);
        if let Some(bytes) = text.split("bytes:").nth(1).and_then(|rest| rest.split('.').next()) {
            break bytes.parse::<usize>()?;
        }
    };
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    let event = event(&"word ".repeat(EVENT_BYTES / 5));
    let mut sent = 0;
    while sent < asked {
        stream.write_all(event.as_bytes()).await?;
        sent += event.len();
    }
    stream.write_all(ENDING.as_bytes()).await?;
    Ok(stream.shutdown().await?)
}

/// A caller over a plain socket: what it does not read stays unread.
async fn ask(stage: &Stage, bytes: usize) -> Result<TcpStream> {
    let url = &stage.gateway()?.data_url;
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).await?;
    let body = format!(
        "{{\"model\":\"openai/long\",\"stream\":true,\"messages\":[{{\"role\":\"user\",\
         \"content\":\"bytes:{bytes}.\"}}]}}"
    );
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        stage.caller.key(),
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await?;
    Ok(stream)
}

/// Reads to the end: how many bytes came, and whether the end was proper.
async fn read_all(stream: &mut TcpStream) -> Result<(usize, bool)> {
    let (mut count, mut tail) = (0, Vec::new());
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = stream.read(&mut buffer).await?;
        let bytes = buffer.get(..read).unwrap_or_default();
        count += read;
        tail.extend_from_slice(bytes);
        tail.drain(..tail.len().saturating_sub(64));
        if read == 0 {
            return Ok((count, String::from_utf8_lossy(&tail).contains("data: [DONE]")));
        }
    }
}

/// What the gateway has allocated, in KiB. Not the pages of its program, of which a development
/// build has many, and which come in when something is done for the first time.
fn memory_kib(pid: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line =
        text.lines().find_map(|line| line.strip_prefix("Pss_Anon:")).context("no Pss_Anon")?;
    line.split_whitespace().next().context("no number")?.parse().context("not a number")
}

fn configuration(script: &Script, _: &Simulator) -> Result<String> {
    // The stage's script has one provider here, whose prefix is the address of another.
    let provider = script.providers.first().context("a provider")?;
    let address = provider.prefix.trim_start_matches('/');
    Ok(format!(
        "[providers.openai]\nbase_url = \"http://{address}\"\napi_key = \"none\"\n\
         dialect = \"openai-chat\"\n\n[[providers.openai.offers]]\nid = \"openai/long\"\n\
         free = true\n"
    ))
}

/// A gateway before the provider that writes without end.
async fn stage(address: SocketAddr) -> Result<Stage> {
    // One worker, so that the warm-up warms the one that the caller gets.
    let more_config = "[limits]\nworkers = 1\n".to_owned();
    // Without huge pages: the kernel makes them of small ones when it likes, megabytes at a time.
    let environment = vec![("MIMALLOC_ALLOW_THP", "0")];
    let mut setup =
        Setup { providers: configuration, more_config, environment, ..Setup::default() };
    setup.script.providers.truncate(1);
    for provider in &mut setup.script.providers {
        provider.prefix = format!("/{address}");
    }
    Stage::open_with(setup).await
}

#[tokio::test]
async fn a_reader_that_pauses_for_30_seconds_costs_less_than_a_megabyte() -> Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let stage = stage(listener.local_addr()?).await?;
    let mut providers = JoinSet::new();
    providers.spawn(async move {
        let mut streams = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            // A stream that the gateway ends early is judged by what the caller got.
            streams.spawn(async { drop(provider(stream).await) });
        }
    });
    for _ in 0..2 {
        let (count, whole) = read_all(&mut ask(&stage, WARM_BYTES).await?).await?;
        assert!(whole && count > WARM_BYTES, "a warm-up of {count} bytes");
    }
    let pid = stage.gateway()?.pid();
    tokio::time::sleep(SETTLING).await;
    let before = memory_kib(pid)?;
    let mut caller = ask(&stage, STREAM_BYTES).await?;
    let mut first = vec![0; 16 << 10];
    caller.read_exact(&mut first).await?;
    let mut readings = Vec::new();
    for _ in 0..PAUSE.as_secs() {
        tokio::time::sleep(Duration::from_secs(1)).await;
        readings.push(memory_kib(pid)?);
    }
    let most = readings.iter().copied().max().unwrap_or(before);
    let growth = most.saturating_sub(before);
    println!("{before} KiB before, {most} KiB at most while the reader paused");
    let each = || format!("{before} KiB before, then each second {readings:?}");
    assert!(growth < GROWTH_MAX_KIB, "the gateway grew by {growth} KiB: {}", each());

    let rest = tokio::time::timeout(REST_MAX, read_all(&mut caller)).await;
    let (count, whole) = rest.context("the rest of the stream is too slow")??;
    if !whole || first.len() + count < STREAM_BYTES {
        bail!("{count} bytes and {} end came after the pause", if whole { "an" } else { "no" });
    }
    Ok(())
}
