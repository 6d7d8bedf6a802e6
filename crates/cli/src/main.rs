//! `bramble`: what people who run the fleet type.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what a command line is for")]

mod migrate;
mod import;
mod report;
mod export;
mod olap;
mod keys;
mod token;
mod health;
mod duration;
#[cfg(test)]
mod fake;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs and uses a Bramble fleet.
#[derive(Debug, Parser)]
#[command(name = "bramble", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make roles, schemas and tables, or bring them up to date.
    Migrate(migrate::Migrate),
    Import(import::Import),
    Report(report::Report),
    Export(export::Export),
    Olap(olap::Olap),
    Keys(keys::Keys),
    Token(token::Token),
    Health(health::Health),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Migrate(command) => migrate::run(command).await,
        Command::Import(command) => return import::run(command).await,
        Command::Report(command) => report::run(command).await,
        Command::Export(command) => export::run(command).await,
        Command::Olap(command) => olap::run(command).await,
        Command::Keys(command) => keys::run(&command),
        Command::Token(command) => token::run(&command),
        Command::Health(command) => health::run(&command).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bramble: {error:#}");
            ExitCode::FAILURE
        }
    }
}
