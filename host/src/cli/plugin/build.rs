//! `turnpike plugin build`: a project's sources into a component, by the language's own toolchain.
//! What is missing is named, with the command that brings it; `--install` runs that command. Every
//! result is checked to ask for nothing that a policy is not given.

mod c;
mod js;
mod python;
mod rust;
mod tools;

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::Context as _;

use super::super::say;
use super::project::{Lang, Project};
use super::{bytes_text, read, sdk, watch, write};
use crate::clock::Stopwatch;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct BuildArgs {
    /// The project's folder
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Install the language's tools where they are missing, at pinned versions, into your cache
    #[arg(long)]
    install: bool,
}

pub(super) fn run(args: &BuildArgs) -> anyhow::Result<()> {
    let project = Project::required(&args.folder)?;
    build(&project, args.install).map(drop)
}

/// The project's component, built again if a source is newer.
pub(super) fn fresh(project: &Project, install: bool) -> anyhow::Result<PathBuf> {
    let component = project.component();
    let built = std::fs::metadata(&component).and_then(|found| found.modified());
    let built = built.unwrap_or(SystemTime::UNIX_EPOCH);
    // Another version of this program brings another SDK.
    let program = std::env::current_exe().and_then(|path| path.metadata()?.modified());
    if built > watch::newest(&project.folder, watch::Files::Sources)?
        && program.is_ok_and(|made| built > made)
    {
        return Ok(component);
    }
    build(project, install)
}

/// Puts the contract and the language's SDK into the project's work folder, and nothing else: a
/// project can be edited, and a Rust one tested, once this was done.
pub(super) fn prepare(project: &Project) -> anyhow::Result<()> {
    let work = project.work();
    sdk::unpack("wit/policy@0.1.0", &work.join("wit/deps/policy"))?;
    sdk::write_changed(&work.join("wit/world.wit"), &project.world())?;
    let into = work.join(project.manifest.lang.label());
    match project.manifest.lang {
        Lang::Rust => rust::unpack(&work),
        Lang::Js => sdk::unpack("sdk/js", &into),
        Lang::Python => sdk::unpack("sdk/python", &into),
        Lang::C => sdk::unpack("sdk/c", &into),
    }
}

fn build(project: &Project, install: bool) -> anyhow::Result<PathBuf> {
    let watch = Stopwatch::start();
    prepare(project)?;
    let made = match project.manifest.lang {
        Lang::Rust => rust::build(project)?,
        Lang::Js => js::build(project, install)?,
        Lang::Python => python::build(project, install)?,
        Lang::C => c::build(project, install)?,
    };
    turnpike_componentize::component_imports(&made).context("what was built is not sound")?;
    let component = project.component();
    write(&component, &made)?;
    say(&format!(
        "built {}: {} in {}.{} s",
        component.display(),
        bytes_text(made.len()),
        watch.millis() / 1000,
        watch.millis() / 100 % 10
    ))?;
    Ok(component)
}

/// A core module that was compiled against the contract, as a component.
fn component(module: &std::path::Path) -> anyhow::Result<Vec<u8>> {
    turnpike_componentize::componentize(&read(module)?)
}
