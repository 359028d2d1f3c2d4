//! The executable: parses the command line, runs the command, and turns an error into words and an
//! exit code. Nothing else.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = turnpike::cli::Cli::parse();
    match turnpike::cli::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed standard error leaves nobody to tell.
            drop(writeln!(std::io::stderr(), "turnpike: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
