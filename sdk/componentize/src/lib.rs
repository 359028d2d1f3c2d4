//! Makes a component of a guest's core module: checks that it was built against a Turnpike world
//! and asks for nothing of WASI, encodes, and validates the result. It compiles nothing and runs
//! nothing.

use anyhow::{Context, Result, bail};
use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};
use wit_component::ComponentEncoder;

/// Custom sections of this name (with a suffix) say which world a module was built against.
const TYPE_SECTION: &str = "component-type";
/// Names of the interfaces of this project, in imports and exports.
const OUR_PACKAGE: &str = "turnpike:policy/";

/// What a core module says about itself.
struct Module {
    typed: bool,
    foreign: Vec<String>,
}

/// Encodes the core module `module` as a component and validates it.
///
/// # Errors
/// When `module` is not a core WebAssembly module, was not built against a `turnpike:policy`
/// world, or imports anything but `turnpike:policy` interfaces; each with what to do about it.
pub fn componentize(module: &[u8]) -> Result<Vec<u8>> {
    let found = inspect(module)?;
    if !found.typed {
        bail!(
            "the module has no component-type section, so its world is unknown: export the policy \
             with one of the sdk's export macros, or embed the world with wasm-tools"
        );
    }
    if let Some(first) = found.foreign.first() {
        bail!(
            "the module imports {first}, which no policy is given: build for \
             wasm32-unknown-unknown and leave out what needs files, clocks or randomness \
             ({} such imports)",
            found.foreign.len()
        );
    }
    let component = ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| encoder.validate(true).encode())
        .context("the module does not fit the world it was built against")?;
    let imports = component_imports(&component)?;
    if let Some(foreign) = imports.iter().find(|name| !name.starts_with(OUR_PACKAGE)) {
        bail!("the component imports {foreign}, which no policy is given");
    }
    Ok(component)
}

/// The interfaces that a component imports, by name; it is validated on the way.
///
/// # Errors
/// When `component` is not a valid component.
pub fn component_imports(component: &[u8]) -> Result<Vec<String>> {
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(component)
        .context("the component does not validate")?;
    Ok(interfaces(component)?.imports)
}

/// What a component asks for and what it offers, by the names of the interfaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// In the order of the component.
    pub imports: Vec<String>,
    /// In the order of the component.
    pub exports: Vec<String>,
}

impl Interfaces {
    /// The packages of this project that it names, with their versions: `turnpike:policy@0.1.0`.
    pub fn wit_versions(&self) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for name in self.imports.iter().chain(&self.exports) {
            let Some((_, version)) = name.split_once('@') else { continue };
            let package = format!("{}@{version}", OUR_PACKAGE.trim_end_matches('/'));
            if name.starts_with(OUR_PACKAGE) && !out.contains(&package) {
                out.push(package);
            }
        }
        out
    }
}

/// Reads the names of a component's interfaces and validates nothing else.
///
/// # Errors
/// When `component` is not a component, or does not parse.
pub fn interfaces(component: &[u8]) -> Result<Interfaces> {
    let mut found = Interfaces::default();
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(component) {
        match payload.context("the component does not parse")? {
            Payload::Version { encoding, .. } => {
                if depth == 0 && encoding != Encoding::Component {
                    bail!("expected a component, found a core module");
                }
                depth += 1;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    let import = import.context("the component's imports do not parse")?;
                    found.imports.push(import.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    let export = export.context("the component's exports do not parse")?;
                    found.exports.push(export.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

fn inspect(module: &[u8]) -> Result<Module> {
    let mut found = Module { typed: false, foreign: Vec::new() };
    for payload in Parser::new(0).parse_all(module) {
        match payload.context("the input is not a WebAssembly module")? {
            Payload::Version { encoding: Encoding::Component, .. } => {
                bail!("the input is a component already");
            }
            Payload::CustomSection(section) => {
                found.typed |= section.name().starts_with(TYPE_SECTION);
            }
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import.context("the module's imports do not parse")?;
                    if !import.module.starts_with(OUR_PACKAGE) {
                        found.foreign.push(format!("\"{}\" \"{}\"", import.module, import.name));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

mod bindings;

pub use bindings::c_bindings;

#[cfg(test)]
mod tests;
