use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    analytics_svc::run(analytics_svc::Config::parse()).await
}
