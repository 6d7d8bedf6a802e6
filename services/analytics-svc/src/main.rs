use clap::Parser;

fn main() -> anyhow::Result<()> {
    analytics_svc::spare_memory();
    run()
}

#[tokio::main]
async fn run() -> anyhow::Result<()> {
    analytics_svc::run(analytics_svc::Config::parse()).await
}
