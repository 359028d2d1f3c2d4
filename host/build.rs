//! Embeds the built-in policies, which `make plugins` has compiled to WebAssembly, and what
//! `turnpike plugin` gives an author: the contract, the SDKs and the templates. Compiles nothing
//! itself: a host build must not need the guest toolchain to be found again.

use std::path::{Path, PathBuf};

const BUILTINS: [&str; 5] =
    ["policy-default", "classify-default", "route-default", "redact-default", "bill-default"];

/// Files and folders of the repository that an author gets.
const FOR_AUTHORS: [&str; 12] = [
    "wit/policy@0.1.0",
    "sdk/c",
    "sdk/js",
    "sdk/python",
    "sdk/rust/Cargo.toml",
    "sdk/rust/src",
    "sdk/rust/worlds",
    "sdk/templates/c",
    "sdk/templates/js",
    "sdk/templates/python",
    "sdk/templates/rust",
    "plugins/toolchain.sh",
];
/// What a Rust project's own lock file begins as, so that it gets the versions that were tried.
const RUST_LOCK: &str = "plugins/Cargo.lock";

fn main() -> Result<(), String> {
    let root = PathBuf::from(required("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(required("OUT_DIR")?);
    let dist = root.join("../plugins/dist");
    let mut table = String::from("&[\n");
    for name in BUILTINS {
        let from = dist.join(format!("{name}.wasm"));
        println!("cargo:rerun-if-changed={}", from.display());
        embed(&from, &out.join(format!("{name}.wasm")))?;
        table.push_str(&format!(
            "    ({name:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.wasm\"))),\n"
        ));
    }
    table.push_str("]\n");
    write(&out.join("builtins.rs"), table.as_bytes())?;
    write(&out.join("authors.rs"), for_authors(&root.join(".."))?.as_bytes())
}

/// A table of paths and texts.
fn for_authors(root: &Path) -> Result<String, String> {
    let mut files = Vec::new();
    for part in FOR_AUTHORS.iter().chain([&RUST_LOCK]) {
        println!("cargo:rerun-if-changed={}", root.join(part).display());
        collect(root, Path::new(part), &mut files)?;
    }
    files.sort();
    let mut table = String::from("&[\n");
    for file in files {
        table.push_str(&format!(
            "    ({file:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/../{file}\"))),\n"
        ));
    }
    table.push_str("]\n");
    Ok(table)
}

/// The files at and below `part`, from the repository's root, but for what tools left there.
fn collect(root: &Path, part: &Path, files: &mut Vec<String>) -> Result<(), String> {
    let path = root.join(part);
    if path.is_file() {
        files.push(part.display().to_string());
        return Ok(());
    }
    let entries = std::fs::read_dir(&path)
        .map_err(|error| format!("can't read {}: {error}", path.display()))?;
    for entry in entries {
        let name = entry.map_err(|error| error.to_string())?.file_name();
        let hidden = name.to_string_lossy().ends_with(".pyc");
        if !hidden && name != "__pycache__" && name != "node_modules" && name != "target" {
            collect(root, &part.join(name), files)?;
        }
    }
    Ok(())
}

fn required(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|_| format!("cargo did not set {name}"))
}

fn embed(from: &Path, to: &Path) -> Result<(), String> {
    let bytes = std::fs::read(from).map_err(|error| {
        format!(
            "the built-in policy {} is not there ({error}): run `make plugins` first, which \
             compiles the policies to WebAssembly",
            from.display()
        )
    })?;
    write(to, &bytes)
}

fn write(to: &Path, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(to, bytes).map_err(|error| format!("can't write {}: {error}", to.display()))
}
