//! All that must hold before anything lands. Cheap looks come first.

use stack::{Postgres, postgres::Durability};

use crate::{
    checkout::{Checkout, Profile, step},
    journey::{self, Killing},
    prepare, protos, year,
};

/// Of olap-consumer, while it counts the week.
const KILLS: u64 = 5;

/// Run all checks and all tests, on a private Postgres.
#[derive(Debug, clap::Args)]
pub(crate) struct Test {
    /// Only tests whose names hold this, and no checks.
    filter: Option<String>,
}

pub(crate) fn run(checkout: &Checkout, test: &Test) -> anyhow::Result<()> {
    let interrupt = &checkout.interrupt;
    if test.filter.is_none() {
        step("formatting", || checkout.cargo(&["fmt", "--check"]))?;
        step("protos", || protos::check(checkout))?;
    }
    let folder = checkout.scratch("test")?;
    let parts = checkout.parts();
    let (postgres, path) = step("starting Postgres, fetching NATS, DuckDB and grpcurl", || {
        checkout.fetch_duckdb()?;
        let bin = parts.postgres(interrupt)?;
        let path = path_with(&[parts.nats(interrupt)?, parts.grpcurl(interrupt)?])?;
        let folder = folder.path().join("postgres");
        Ok((Postgres::start(&bin, &folder, Durability::None, interrupt)?, path))
    })?;
    let url = postgres.admin_url();
    if test.filter.is_none() {
        step("clippy", || {
            let lints =
                ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
            checkout.cargo(&lints)
        })?;
        step("statements are described", || prepare::check(checkout, &url))?;
        step("deployment", || {
            interrupt.run(checkout.command("python3").arg("tests/deploy/check.py"))
        })?;
    }
    let python = step("fetching the Python clients' packages", || {
        checkout.python_packages("tests/clients/requirements.txt")
    })?;
    // Of a few tests by name, hardly any needs one.
    let browser = match &test.filter {
        Some(filter)
            if !"dashboard::people_see_a_sale_appear_on_the_dashboard".contains(filter) =>
        {
            None
        }
        _ => Some(step("fetching a browser", || {
            Ok((checkout.chromium()?, checkout.node_packages("tests/browser")?))
        })?),
    };
    let bin = step("building the services", || checkout.build_with(Profile::Dev, &["year"]))?;
    step("tests", || {
        let mut cargo = checkout.command("cargo");
        cargo.args(["test", "--locked", "--workspace", "--no-fail-fast"]).args(&test.filter);
        cargo.env("BRAMBLE_ADMIN_DATABASE_URL", &url).env("PATH", path);
        cargo.env("PYTHONPATH", python).env("BRAMBLE_BIN", &bin);
        if let Some((chromium, parts)) = &browser {
            cargo.env("BRAMBLE_CHROMIUM", chromium).env("BRAMBLE_BROWSER_PARTS", parts);
        }
        interrupt.run(&mut cargo)
    })?;
    if test.filter.is_none() {
        step("a sale behind closed doors", || {
            let mut check = checkout.command("python3");
            check.args(["tests/deploy/check.py", "--bin"]).arg(&bin);
            check.env("BRAMBLE_ADMIN_DATABASE_URL", &url);
            interrupt.run(&mut check)
        })?;
        step("a week of real trade", || {
            let week = checkout.root.join("tests/data/week");
            journey::check(checkout, bin.clone(), &week, &Killing { kills: KILLS, seed: None })
        })?;
        step("a short year", || year::check(checkout, &bin))?;
    }
    Ok(())
}

/// The path with the folders of these programs in front.
fn path_with(programs: &[std::path::PathBuf]) -> anyhow::Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = programs.iter().filter_map(|program| program.parent().map(Into::into));
    Ok(std::env::join_paths(folders.chain(std::env::split_paths(&path)))?)
}
