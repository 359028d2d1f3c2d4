//! Rust: cargo, for a target without an operating system; the SDK comes from this program. Where
//! the target is missing, `toolchain.sh` finds or brings a compiler that has it.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use super::super::project::Project;
use super::super::{sdk, write};
use super::{component, tools};

const TARGET: &str = "wasm32-unknown-unknown";
/// Lines of the SDK's manifests that tie it to the repository's workspaces.
const TIES: [&str; 3] = ["workspace = \"", "[lints]", "workspace = true"];
/// Compiles with what `toolchain.sh` says, which is `$1`.
const SCRIPT: &str = r#"set -euo pipefail
way="$(bash "$1")"
eval "$way"
exec env ${GUEST_ENV[@]+"${GUEST_ENV[@]}"} cargo build --release \
  --target wasm32-unknown-unknown ${GUEST_CARGO[@]+"${GUEST_CARGO[@]}"}"#;

/// The SDK's crates and the contract, as path dependencies of the project.
pub(super) fn unpack(work: &Path) -> anyhow::Result<()> {
    sdk::unpack("wit/policy@0.1.0", &work.join("wit/policy@0.1.0"))?;
    for (path, text) in sdk::files("sdk/rust") {
        let text = match path.ends_with("Cargo.toml") {
            true => untied(text),
            false => text.to_owned(),
        };
        // `worlds/*/lib.rs` name the contract as it lies in the repository.
        sdk::write_changed(&work.join("sdk/rust").join(path), &text)?;
    }
    Ok(())
}

fn untied(manifest: &str) -> String {
    let kept = manifest.lines().filter(|line| !TIES.iter().any(|tie| line.starts_with(tie)));
    kept.map(|line| format!("{line}\n")).collect()
}

pub(super) fn build(project: &Project) -> anyhow::Result<Vec<u8>> {
    let bash = tools::program("bash").context("bash is not there, which looks for compilers")?;
    tools::program("cargo").context("cargo is not there; Rust comes from https://rustup.rs")?;
    // In the cache, because it may unpack a compiler beside itself.
    let script = tools::cache("rust")?.join("toolchain.sh");
    let text = sdk::file("plugins/toolchain.sh").context("toolchain.sh is embedded")?;
    write(&script, text.as_bytes())?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map(std::path::PathBuf::from);
    let target = target.unwrap_or_else(|| project.folder.join("target"));
    let mut command = Command::new(bash);
    command.arg("-c").arg(SCRIPT).arg("build").arg(script);
    command.env("CARGO_TARGET_DIR", &target).current_dir(&project.folder);
    tools::run(&mut command, "cargo")?;
    let module = format!("{}.wasm", project.manifest.name.replace('-', "_"));
    component(&target.join(TARGET).join("release").join(module))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sdk_that_is_unpacked_belongs_to_no_workspace() {
        let work = tempfile::tempdir().unwrap();
        unpack(work.path()).unwrap();
        let manifest = work.path().join("sdk/rust/Cargo.toml");
        let text = std::fs::read_to_string(manifest).unwrap();
        assert!(text.contains("wit") || text.contains("turnpike-policy-world"), "{text}");
        assert!(!text.contains("workspace"), "{text}");
        // What the bindings' crates look for.
        assert!(work.path().join("wit/policy@0.1.0/types.wit").is_file());
        assert!(work.path().join("sdk/rust/worlds/policy/lib.rs").is_file());
    }
}
