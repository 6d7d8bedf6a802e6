//! A stack that runs: servers, services, and the lock that keeps a second one off the same data.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};
use stack::{Fleet, Nats, Ports, Postgres, fleet::Settings, postgres::Durability};

use crate::checkout::{Checkout, Profile, step};

/// Where a stack runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Where {
    /// Use this Postgres instead of a private one: its address, with a database and a role that may create roles.
    #[arg(long, env = "BRAMBLE_ADMIN_DATABASE_URL", hide_env_values = true, requires = "nats_url")]
    pub(crate) database_url: Option<String>,
    /// Use this NATS instead of a private one.
    #[arg(long, env = "BRAMBLE_NATS_URL", hide_env_values = true, requires = "database_url")]
    pub(crate) nats_url: Option<String>,
    /// Where the data are; in the checkout's dot-folder unless told.
    #[arg(long, env = "BRAMBLE_DATA")]
    pub(crate) data: Option<PathBuf>,
    /// Build with all optimizations first.
    #[arg(long)]
    pub(crate) release: bool,
    /// More settings, for all services.
    #[arg(skip)]
    pub(crate) env: Vec<(String, String)>,
}

/// A stack that runs. What is dropped last was started first.
pub(crate) struct Running {
    pub(crate) fleet: Fleet,
    pub(crate) admin_url: String,
    nats: Option<Nats>,
    postgres: Option<Postgres>,
    _lock: File,
}

impl Where {
    /// On private servers, whatever the environment names.
    pub(crate) fn private() -> Self {
        Self { database_url: None, nats_url: None, data: None, release: false, env: Vec::new() }
    }

    /// Builds, and starts everything.
    pub(crate) fn start(&self, checkout: &Checkout) -> anyhow::Result<Running> {
        let profile = if self.release { Profile::Release } else { Profile::Dev };
        let folder = match (&self.data, &self.database_url) {
            (Some(folder), _) => std::path::absolute(folder)?,
            (None, None) => checkout.dot_folder().join("stack"),
            // Its materializations are of another database.
            (None, Some(_)) => checkout.dot_folder().join("stack-elsewhere"),
        };
        let bin = step("building the seven services (some minutes the first time)", || {
            checkout.build(profile)
        })?;
        self.start_built(checkout, bin, &folder)
    }

    pub(crate) fn start_built(
        &self,
        checkout: &Checkout,
        bin: PathBuf,
        folder: &Path,
    ) -> anyhow::Result<Running> {
        let interrupt = &checkout.interrupt;
        fs::create_dir_all(folder)?;
        let lock = lock(folder)?;
        let (postgres, nats) = match &self.database_url {
            Some(_) => (None, None),
            None => step("starting Postgres and NATS", || {
                let (parts, store) = (checkout.parts(), folder.join("postgres"));
                let bin = parts.postgres(interrupt)?;
                let postgres = Postgres::start(&bin, &store, Durability::Full, interrupt)?;
                let nats = Nats::start(&parts.nats(interrupt)?, &folder.join("nats"), interrupt)?;
                Ok((Some(postgres), Some(nats)))
            })?,
        };
        let admin_url = match (&self.database_url, &postgres) {
            (Some(url), _) => url.clone(),
            (None, Some(postgres)) => postgres.admin_url(),
            (None, None) => bail!("no Postgres"),
        };
        let nats_url = match (&self.nats_url, &nats) {
            (Some(url), _) => url.clone(),
            (None, Some(nats)) => nats.url(),
            (None, None) => bail!("no NATS"),
        };
        let settings = Settings {
            bin,
            folder: folder.to_owned(),
            admin_url: admin_url.clone(),
            password: postgres.as_ref().map(|postgres| postgres.password().to_owned()),
            nats_url,
            ports: Ports::WellKnown,
            env: self.env.clone(),
        };
        let fleet = step("starting the services", || Fleet::start(settings, interrupt))?;
        Ok(Running { fleet, admin_url, nats, postgres, _lock: lock })
    }
}

impl Running {
    /// Where everything is, for people.
    pub(crate) fn describe(&self) -> String {
        let mut lines: Vec<String> = Fleet::names()
            .map(|name| format!("  {name:<14} {}", self.fleet.address(name)))
            .collect();
        if let (Some(_), Some(nats)) = (&self.postgres, &self.nats) {
            lines.push(format!("  {:<14} {}", "Postgres", self.admin_url));
            lines.push(format!("  {:<14} {}", "NATS", nats.url()));
        }
        lines.push(format!("  {:<14} {}", "dashboard", self.fleet.dashboard()));
        lines.push(format!("  {:<14} {}", "logs, keys", self.fleet.folder().display()));
        lines.join("\n")
    }

    /// `bramble import` of all files of a folder, plain or gzipped.
    pub(crate) fn import(&self, data: &Path) -> anyhow::Result<Command> {
        self.import_some(data, &["products", "customers", "stock", "orders"])
    }

    pub(crate) fn import_some(&self, data: &Path, some: &[&str]) -> anyhow::Result<Command> {
        let mut import = self.fleet.cli()?;
        import.arg("import");
        for what in some {
            let plain = data.join(format!("{what}.csv"));
            let file = if plain.exists() { plain } else { plain.with_extension("csv.gz") };
            import.arg(format!("--{what}")).arg(file);
        }
        import.arg("--refused-dir").arg(self.fleet.folder().join("refused"));
        Ok(import)
    }

    /// Until the user wants it to end, or a part of it ends by itself.
    pub(crate) fn stay(&mut self, checkout: &Checkout) -> anyhow::Result<()> {
        while !checkout.interrupt.is_set() {
            self.fleet.check()?;
            if let Some(nats) = &mut self.nats {
                nats.program().check()?;
            }
            if let Some(postgres) = &mut self.postgres {
                postgres.program().check()?;
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        Ok(())
    }

    /// Services first, then what they need.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        step("stopping", || {
            self.fleet.stop()?;
            if let Some(nats) = &mut self.nats {
                nats.program().stop()?;
            }
            if let Some(postgres) = &mut self.postgres {
                postgres.program().stop()?;
            }
            Ok(())
        })
    }
}

fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).with_context(|| {
        format!("a stack is running on {} already: stop that one first", folder.display())
    })?;
    Ok(file)
}
