use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    inventory_svc::run(inventory_svc::Config::parse()).await
}
