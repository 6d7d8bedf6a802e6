//! `bramble`: what people who run the fleet type.

mod migrate;

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
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Migrate(command) => migrate::run(command).await,
    }
}
