use std::process::ExitCode;

use clap::Parser;

fn main() -> anyhow::Result<ExitCode> {
    if let Some(done) = analytics_svc::work_if_asked() {
        return Ok(done);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(analytics_svc::run(analytics_svc::Config::parse()))?;
    Ok(ExitCode::SUCCESS)
}
