use clap::Parser;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    olap_consumer::run(olap_consumer::Config::parse()).await
}
