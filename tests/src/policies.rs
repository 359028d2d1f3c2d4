//! Policies that tests upload: the ones that `make plugins` built, and bad ones made here of the
//! text modules in `fixtures/bad-policies` and `hostile`. Never uploads anything itself.

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
    classifier(name, &fixture(&format!("bad-policies/{name}.wat"))?)
}

/// The hostile policy of this name: `hostile/NAME.wat`, whose first line names its world. What the
/// file does not export itself comes from the prelude of the bad ones.
pub fn hostile_policy(name: &str) -> Result<Vec<u8>> {
    of_its_world(name, &text_of(&format!("hostile/{name}.wat"))?)
}

/// A policy that uses what an operator grants, or remembers more than it should: `remembers`,
/// `timed-bill`, `floods-its-home` or `peeks`.
pub fn granted_policy(name: &str) -> Result<Vec<u8>> {
    of_its_world(name, &fixture(&format!("policies/{name}.wat"))?)
}

/// A classify policy named `asks` that asks this address; the status is a thousand times its
/// difficulty.
pub fn asking_policy(url: &str) -> Result<Vec<u8>> {
    let body = fixture("policies/asks.wat")?
        .replace("{url}", url)
        .replace("{url_length}", &url.len().to_string());
    of_its_world("asks", &body)
}

fn of_its_world(name: &str, body: &str) -> Result<Vec<u8>> {
    let first = body.lines().next().unwrap_or_default();
    let world = first.strip_prefix(";; world: ");
    let world = world.with_context(|| format!("{name}.wat does not begin with its world"))?;
    component(name, world, body)
}

/// The names of all hostile policies.
pub fn hostile_policies() -> Result<Vec<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_stem().context("a file has a name")?;
        names.push(name.to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// A classify policy of this name that answers `task`, whatever it is asked.
pub fn answering_policy(name: &str, task: &str) -> Result<Vec<u8>> {
    let body = fixture("policies/answers.wat")?
        .replace("{task}", task)
        .replace("{task_length}", &task.len().to_string());
    classifier(name, &body)
}

/// A valid component of some hundred kilobytes whose code takes minutes to compile: thousands of
/// functions of a few bytes, each with as many variables as there may be.
pub fn component_bomb() -> Vec<u8> {
    const FUNCTIONS: u32 = 20_000;
    const LOCALS: u32 = 50_000;
    let number = |mut rest: u32| {
        let mut bytes = Vec::new();
        loop {
            let low = u8::try_from(rest & 0x7f).unwrap_or_default();
            rest >>= 7;
            bytes.push(if rest == 0 { low } else { low | 0x80 });
            if rest == 0 {
                return bytes;
            }
        }
    };
    let section = |id: u8, body: Vec<u8>| {
        let length = number(u32::try_from(body.len()).unwrap_or(u32::MAX));
        [vec![id], length, body].concat()
    };
    // One group of 64-bit variables; `local.get 0`, `drop`, `end`.
    let code = [vec![1], number(LOCALS), vec![0x7e, 0x20, 0, 0x1a, 0x0b]].concat();
    let function = [number(u32::try_from(code.len()).unwrap_or(u32::MAX)), code].concat();
    let times = usize::try_from(FUNCTIONS).unwrap_or_default();
    let module = [
        b"\0asm\x01\0\0\0".to_vec(),
        section(1, vec![1, 0x60, 0, 0]),
        section(3, [number(FUNCTIONS), vec![0; times]].concat()),
        section(10, [number(FUNCTIONS), function.repeat(times)].concat()),
    ]
    .concat();
    [b"\0asm\x0d\0\x01\0".to_vec(), section(1, module)].concat()
}

fn fixture(path: &str) -> Result<String> {
    text_of(&format!("fixtures/{path}"))
}

fn text_of(path: &str) -> Result<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&file).with_context(|| format!("no {}", file.display()))
}

fn classifier(name: &str, body: &str) -> Result<Vec<u8>> {
    component(name, "classifier", body)
}

/// The export that a paragraph of a module defines.
fn exported(paragraph: &str) -> Option<&str> {
    let (_, rest) = paragraph.split_once("(export \"")?;
    Some(rest.split_once('"')?.0)
}

/// A component of a world. Paragraphs of the prelude that the body has itself are left out, and
/// imports come first, as the text format wants it.
fn component(name: &str, world: &str, body: &str) -> Result<Vec<u8>> {
    let prelude = fixture("bad-policies/prelude.wat")?;
    let own: Vec<&str> = body.split("\n\n").filter_map(exported).collect();
    let shared = prelude
        .split("\n\n")
        .filter(|paragraph| !exported(paragraph).is_some_and(|export| own.contains(&export)));
    let (imports, rest): (Vec<&str>, Vec<&str>) =
        body.split("\n\n").partition(|paragraph| paragraph.contains("(import \""));
    let text = [vec!["(module"], imports, shared.collect(), rest, vec![")"]].concat().join("\n\n");
    let text = text.replace("{name}", name).replace("{name_length}", &name.len().to_string());
    let mut module = wat::parse_str(&text).with_context(|| format!("module {name}"))?;
    let mut contract = Resolve::default();
    let (package, _) = contract.push_dir(repository().join(CONTRACT))?;
    let world = contract.select_world(&[package], Some(world))?;
    embed_component_metadata(&mut module, &contract, world, StringEncoding::UTF8)?;
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

    #[test]
    fn every_hostile_policy_is_a_valid_component() {
        let names = hostile_policies().unwrap();
        assert!(names.len() > 20, "{names:?}");
        for name in names {
            let component = hostile_policy(&name).unwrap();
            assert!(component.starts_with(b"\0asm\x0d"), "{name} is a component");
        }
    }
}
