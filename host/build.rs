//! Embeds the built-in policies, which `make plugins` has compiled to WebAssembly. Compiles nothing
//! itself: a host build must not need the guest toolchain to be found again.

use std::path::{Path, PathBuf};

const BUILTINS: [&str; 5] =
    ["policy-default", "classify-default", "route-default", "redact-default", "bill-default"];

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
    write(&out.join("builtins.rs"), table.as_bytes())
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
