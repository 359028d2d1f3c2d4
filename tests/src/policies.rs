//! Policies that tests upload: the ones that `make plugins` built, and bad ones made here of the
//! text modules in `fixtures/bad-policies`.

use std::path::Path;

use anyhow::{Context, Result};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::binary::repository;

/// The contract's folder, from the repository's root.
const CONTRACT: &str = "wit/policy@0.1.0";

/// The component that `make plugins` built under this name.
pub fn built_policy(name: &str) -> Result<Vec<u8>> {
    let path = repository().join("plugins/dist").join(format!("{name}.wasm"));
    std::fs::read(&path)
        .with_context(|| format!("{} is missing: run `make plugins`", path.display()))
}

/// The bad classify policy of this name: `endless-loop`, `allocates`, `traps` or `nonsense`.
pub fn bad_policy(name: &str) -> Result<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/bad-policies");
    let read = |file: &str| {
        std::fs::read_to_string(folder.join(file)).with_context(|| format!("no fixture {file}"))
    };
    let prelude = read("prelude.wat")?
        .replace("{name}", name)
        .replace("{name_length}", &name.len().to_string());
    let text = format!("(module\n{prelude}\n{}\n)", read(&format!("{name}.wat"))?);
    let mut module = wat::parse_str(&text).with_context(|| format!("fixture {name}"))?;
    let mut contract = Resolve::default();
    let (package, _) = contract.push_dir(repository().join(CONTRACT))?;
    let world = contract.select_world(&[package], Some("classifier"))?;
    embed_component_metadata(&mut module, &contract, world, StringEncoding::UTF8, false)?;
    ComponentEncoder::default().module(&module)?.validate(true).encode()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_policy_is_a_valid_component() {
        for name in ["endless-loop", "allocates", "traps", "nonsense"] {
            let component = bad_policy(name).unwrap();
            assert!(component.starts_with(b"\0asm\x0d"), "{name} is a component");
        }
    }
}
