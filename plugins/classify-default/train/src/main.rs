//! Trains the built-in classifier and reports how good it is: `report`, `mistakes` (the report
//! and every wrong answer), `write` (the weights) and
//! `check` (that the committed weights are what training gives). Standard library only and fixed
//! seeds, so the same data give the same weights on every machine. Never part of a component.

mod data;
mod dice;
mod fit;
mod lbfgs;
mod measure;
mod overlap;
mod prompts;
mod report;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where the weights belong.
const WEIGHTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/weights.txt");

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            // When even that cannot be written, the exit code says it.
            let _ = writeln!(std::io::stderr(), "error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut words = std::env::args().skip(1);
    let (what, folder) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let folder = PathBuf::from(if folder.is_empty() { "." } else { &folder });
    match what.as_str() {
        "report" | "mistakes" => {
            report::print(&folder, what == "mistakes", &mut std::io::stdout().lock())
        }
        "write" => {
            let weights = trained(&folder)?;
            std::fs::write(WEIGHTS, weights).map_err(|it| format!("cannot write {WEIGHTS}: {it}"))
        }
        "check" => check(&folder),
        other => Err(format!(
            "there is no command {other:?}; say report, mistakes, write or check, and the folder \
             of the data"
        )),
    }
}

fn trained(folder: &Path) -> Result<Vec<u8>, String> {
    let own = prompts::all()?;
    let tasks = data::tasks(folder)?;
    let questions = data::questions(folder)?;
    Ok(report::built_in(&own, &tasks, &questions))
}

fn check(folder: &Path) -> Result<(), String> {
    let committed = std::fs::read(WEIGHTS).map_err(|it| format!("cannot read {WEIGHTS}: {it}"))?;
    if trained(folder)? == committed {
        return Ok(());
    }
    Err("training gives other weights than plugins/classify-default/src/weights.txt; the data or \
         the prompts differ from those it was made of, or it was not written again"
        .to_owned())
}
