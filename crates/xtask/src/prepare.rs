//! `.sqlx`: what Postgres says of each statement, so that a build needs no database.
//!
//! Each service's statements are described by its own role, which may see its own schema only: a statement on another service's table
//! does not compile.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::ensure;
use stack::{
    Postgres,
    fleet::{SCHEMAS, log_in},
    postgres::Durability,
};

use crate::checkout::{Checkout, step};

/// Writes `.sqlx` anew.
pub(crate) fn run(checkout: &Checkout) -> anyhow::Result<()> {
    let interrupt = &checkout.interrupt;
    let folder = checkout.scratch("prepare")?;
    let postgres = step("starting a Postgres for this", || {
        let bin = checkout.parts().postgres(interrupt)?;
        Postgres::start(&bin, folder.path(), Durability::None, interrupt)
    })?;
    let url = postgres.admin_url();
    let written = folder.path().join("sqlx");
    step("describing the statements", || describe(checkout, &url, &written))?;
    let kept = checkout.root.join(".sqlx");
    if kept.exists() {
        fs::remove_dir_all(&kept)?;
    }
    fs::create_dir(&kept)?;
    for file in fs::read_dir(&written)? {
        let file = file?;
        fs::copy(file.path(), kept.join(file.file_name()))?;
    }
    Ok(())
}

/// Fails unless `.sqlx` is what the statements and migrations make of it now.
pub(crate) fn check(checkout: &Checkout, url: &str) -> anyhow::Result<()> {
    let folder = checkout.scratch("sqlx")?;
    let written = folder.path().join("sqlx");
    describe(checkout, url, &written)?;
    let (kept, made) = (read(&checkout.root.join(".sqlx"))?, read(&written)?);
    let differ: Vec<&String> = kept.symmetric_difference(&made).map(|(name, _)| name).collect();
    ensure!(differ.is_empty(), ".sqlx is out of date, run `cargo xtask prepare`: {differ:?}");
    Ok(())
}

/// Migrates the database and has the compiler describe each service's statements.
fn describe(checkout: &Checkout, url: &str, to: &Path) -> anyhow::Result<()> {
    fs::create_dir(to)?;
    let mut migrate = checkout.command("cargo");
    migrate.args(["run", "--quiet", "--locked", "-p", "bramble-cli", "--", "migrate"]);
    migrate.env("BRAMBLE_ADMIN_DATABASE_URL", url);
    let mut check = checkout.command("cargo");
    check.args(["check", "--quiet", "--locked"]);
    check.env("SQLX_OFFLINE", "false").env("SQLX_OFFLINE_DIR", to);
    for schema in SCHEMAS {
        let (login, package) = (format!("{schema}_svc"), format!("{schema}-svc"));
        let url = log_in(url, &login, &login)?;
        check.env(format!("{}_DATABASE_URL", schema.to_uppercase()), url);
        touch(&checkout.root.join("services").join(&package).join("src/lib.rs"))?;
        check.args(["-p", &package]);
    }
    checkout.interrupt.run(&mut migrate)?;
    checkout.interrupt.run(&mut check)
}

/// Has cargo compile it again.
fn touch(path: &Path) -> anyhow::Result<()> {
    let times = fs::FileTimes::new().set_modified(std::time::SystemTime::now());
    fs::File::options().append(true).open(path)?.set_times(times)?;
    Ok(())
}

fn read(folder: &Path) -> anyhow::Result<BTreeSet<(String, Vec<u8>)>> {
    let files = fs::read_dir(folder)?.map(|file| {
        let file = file?;
        Ok((file.file_name().to_string_lossy().into_owned(), fs::read(file.path())?))
    });
    files.collect()
}
