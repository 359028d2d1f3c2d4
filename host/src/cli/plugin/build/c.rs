//! C: bindings made here from the contract, and a compiler for WebAssembly: zig's from PyPI, or
//! clang with wasi-libc from Debian. The C library is linked in; nothing of WASI is.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::super::project::Project;
use super::super::write;
use super::{component, tools};

/// The package, in the version that the gateway was tried with.
const PACKAGE: &str = "ziglang==0.15.2";
const PROGRAM: &str = "bin/python";
const HINT: &str = "C policies need a C compiler for WebAssembly: run `turnpike plugin build \
     --install` (zig's, from PyPI; it needs python3 with venv), or install zig, or on Debian \
     `apt-get install clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32`";
/// Bytes of the stack: the usual 16 MiB would count against the instance's memory.
const STACK: &str = "-Wl,-z,stack-size=65536";

pub(super) fn build(project: &Project, install: bool) -> anyhow::Result<Vec<u8>> {
    let work = project.work();
    let bindings = work.join("c/bindings");
    for (name, bytes) in turnpike_componentize::c_bindings(&work.join("wit"), "guest")? {
        write(&bindings.join(name), &bytes)?;
    }
    let out = work.join("c/core.wasm");
    let mut command = compiler(install)?;
    command.args(["-std=c11", "-Wall", "-Wextra", "-Werror=implicit-function-declaration"]);
    command.args(["-Oz", "-mexec-model=reactor", STACK, "-Wl,--gc-sections", "-Wl,--strip-all"]);
    command.arg("-I").arg(&bindings).arg("-I").arg(work.join("c")).arg("-o").arg(&out);
    for decision in &project.manifest.decisions {
        command.arg(format!("-DTURNPIKE_{}=1", decision.to_uppercase()));
    }
    command.args(sources(&project.folder)?);
    command.arg(work.join("c/turnpike.c")).arg(bindings.join("guest.c"));
    command.arg(bindings.join("guest_component_type.o"));
    tools::run(command.current_dir(&project.folder), "the C compiler")?;
    component(&out)
}

/// The project's own `.c` files, in order.
fn sources(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "c") {
            out.push(path);
        }
    }
    out.sort();
    if out.is_empty() {
        bail!("{} has no .c file", folder.display());
    }
    Ok(out)
}

/// The compiler with what it needs to find its library; in the order of the hint.
fn compiler(install: bool) -> anyhow::Result<Command> {
    if let Some(zig) = tools::program("zig") {
        let mut command = Command::new(zig);
        command.args(["cc", "-target", "wasm32-wasi"]);
        return Ok(command);
    }
    let clang = tools::program("clang-19").filter(|_| {
        Path::new("/usr/include/wasm32-wasi").is_dir() && tools::program("wasm-ld-19").is_some()
    });
    if let Some(clang) = clang {
        let mut command = Command::new(clang);
        command.args(["--target=wasm32-wasi", "--sysroot=/usr", "-fuse-ld=wasm-ld-19"]);
        command.args(["-isystem", "/usr/include/wasm32-wasi"]);
        return Ok(command);
    }
    let cache = tools::cache(PACKAGE).context("zig")?;
    let pip = format!(
        "python3 -m venv . && bin/python -m pip install --quiet --disable-pip-version-check \
         --no-deps {PACKAGE}"
    );
    let steps = ["sh", "-c", &pip];
    let steps: Option<&[&str]> = install.then_some(&steps);
    let python = tools::installed(&cache, Path::new(PROGRAM), steps, HINT)?;
    let mut command = Command::new(python);
    command.args(["-m", "ziglang", "cc", "-target", "wasm32-wasi"]);
    // It keeps what it compiled of the C library; beside itself it is shared by all projects.
    command.env("ZIG_GLOBAL_CACHE_DIR", cache.join("zig-cache"));
    command.env("ZIG_LOCAL_CACHE_DIR", cache.join("zig-cache"));
    Ok(command)
}
