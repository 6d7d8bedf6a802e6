use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    hr_svc::run(hr_svc::Config::parse()).await
}
