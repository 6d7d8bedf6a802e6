use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    ledger_svc::run(ledger_svc::Config::parse()).await
}
