//! The command line. Each subcommand is a file; this one says what there is. Long work shows what
//! it does; errors say what to do next.

mod backup;
mod catalog;
mod demo;
mod ledger;
mod plugin;
mod restore;
mod serve;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

/// Turnpike: the AI gateway whose decisions are WebAssembly policies.
#[derive(Debug, Parser)]
#[command(name = "turnpike", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve(serve::ServeArgs),
    /// Run the gateway with simulated providers, credit and a key, ready to try
    Demo(demo::DemoArgs),
    /// Validate a configuration without binding a port, and print what it resolves to
    Check(serve::CheckArgs),
    /// Serve the providers' wire protocols from a script
    Simulate(SimulateArgs),
    /// The model catalogue
    #[command(subcommand)]
    Catalog(catalog::CatalogCommand),
    /// Policies: write, build, try, sign and push them
    #[command(subcommand)]
    Plugin(Box<plugin::PluginCommand>),
    /// The money journal
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// Copy everything that can't be made again, also while the gateway runs
    Backup(backup::BackupArgs),
    /// Make a data folder from a backup
    Restore(restore::RestoreArgs),
    /// What the gateway starts itself as, to compile an upload within limits
    #[command(name = crate::policy::SUBCOMMAND, hide = true)]
    CompilePolicy(crate::policy::ChildLimits),
}

#[derive(Debug, clap::Args)]
struct SimulateArgs {
    /// A script of providers and models (TOML); the demo's own where none is given
    #[arg(long)]
    script: Option<PathBuf>,
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:9090")]
    listen: SocketAddr,
}

/// Runs the command.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Serve(args) => serve::serve(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::Check(args) => serve::check(&args),
        Command::Simulate(args) => simulate(&args),
        Command::Catalog(command) => catalog::run(command),
        Command::Plugin(command) => plugin::run(*command),
        Command::Ledger(command) => ledger::run(command),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::CompilePolicy(limits) => crate::policy::compile_as_child(limits),
    }
}

fn simulate(args: &SimulateArgs) -> anyhow::Result<()> {
    crate::telemetry::start_logs(false);
    let script = match &args.script {
        Some(path) => turnpike_simulate::Script::load(path)?,
        None => turnpike_simulate::Script::demo()?,
    };
    let listener = std::net::TcpListener::bind(args.listen)
        .with_context(|| format!("can't listen on {}; choose with --listen", args.listen))?;
    say(&format!("simulated providers on http://{}", listener.local_addr()?))?;
    Ok(turnpike_simulate::run(listener, &script)?)
}

/// Writes to standard output; a closed pipe is not an error worth a message.
fn say(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    match writeln!(std::io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}
