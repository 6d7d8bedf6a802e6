use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    billing_svc::run(billing_svc::Config::parse()).await
}
