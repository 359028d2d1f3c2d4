//! `turnpike-componentize IN.wasm OUT.wasm`: a core module in, a checked component out.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

fn run(input: &Path, output: &Path) -> Result<()> {
    let module =
        std::fs::read(input).with_context(|| format!("could not read {}", input.display()))?;
    let component = turnpike_componentize::componentize(&module)
        .with_context(|| format!("could not make a component of {}", input.display()))?;
    std::fs::write(output, component)
        .with_context(|| format!("could not write {}", output.display()))
}

#[allow(clippy::print_stderr, reason = "a command-line tool reports on stderr")]
fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        eprintln!("usage: turnpike-componentize IN.wasm OUT.wasm");
        return ExitCode::from(2);
    };
    match run(Path::new(input), Path::new(output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
