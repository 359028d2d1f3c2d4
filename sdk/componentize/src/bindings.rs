//! Makes the C header and glue of a world, by the generator that the contract's own tools use.
//! Writes no file.

use std::path::Path;

use anyhow::{Context, Result};
use wit_bindgen_core::{Files, wit_parser::Resolve};

/// The files for a world of the contract in the folder `wit`, by name: a header, a source, and an
/// object that says which world a module was built against.
///
/// # Errors
/// When the folder holds no contract that parses, or no such world.
pub fn c_bindings(wit: &Path, world: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve
        .push_path(wit)
        .with_context(|| format!("the contract in {} does not parse", wit.display()))?;
    let world = resolve.select_world(&[package], Some(world))?;
    let mut files = Files::default();
    wit_bindgen_c::Opts::default()
        .build()
        .generate(&mut resolve, world, &mut files)
        .context("no C bindings of this world")?;
    Ok(files.iter().map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect())
}
