//! The seven services as processes, on a given Postgres and NATS.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};

use crate::{
    Interrupt, Port,
    process::{Program, Stop, tied},
};

/// A service, and where it listens when that port is free.
const SERVICES: [(&str, u16); 7] = [
    ("orders-svc", 50051),
    ("inventory-svc", 50052),
    ("billing-svc", 50053),
    ("hr-svc", 50054),
    ("ledger-svc", 50055),
    ("analytics-svc", 50056),
    ("olap-consumer", 50057),
];
/// Of the services that have one: `<schema>-svc`, which logs in as `<schema>_svc`.
pub const SCHEMAS: [&str; 5] = ["orders", "inventory", "billing", "hr", "ledger"];
/// Where the dashboard is, which analytics-svc serves, when that port is free.
const DASHBOARD_PORT: u16 = 8080;
const READY_MAX: Duration = Duration::from_secs(60);
/// As in the image: glibc would keep an arena for each thread, and in each of them what was freed. The seven take a fifth less memory so,
/// olap-consumer a third, and are as fast.
const ALLOCATOR: [(&str, &str); 2] =
    [("MALLOC_ARENA_MAX", "1"), ("MALLOC_TRIM_THRESHOLD_", "131072")];

/// Where a fleet's data are.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder of the binaries.
    pub bin: PathBuf,
    /// Logs, keys and materializations go there.
    pub folder: PathBuf,
    /// The database, with a role that may create roles.
    pub admin_url: String,
    /// Of the services' roles; None: each role's is its own name.
    pub password: Option<String>,
    pub nats_url: String,
    pub ports: Ports,
    /// More settings, for all services.
    pub env: Vec<(String, String)>,
}

/// Which ports the services listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ports {
    /// The well-known ones if all of them are free, else any.
    WellKnown,
    Any,
}

/// Seven running services.
#[derive(Debug)]
pub struct Fleet {
    settings: Settings,
    programs: Vec<Program>,
    // Dropped after them.
    ports: Vec<Port>,
    dashboard_port: Port,
}

impl Fleet {
    /// Migrates the database, starts the services and waits until all are ready.
    pub fn start(settings: Settings, interrupt: &Interrupt) -> anyhow::Result<Self> {
        let mut fleet = Self::new(settings)?;
        fleet.migrate(interrupt)?;
        fleet.launch(interrupt)?;
        fleet.wait_until_ready(interrupt)?;
        Ok(fleet)
    }

    /// One that does not run yet.
    pub fn new(settings: Settings) -> anyhow::Result<Self> {
        let known: Vec<u16> = SERVICES.iter().map(|(_, port)| *port).collect();
        let ports = choose(settings.ports, &known)?;
        // By itself: others like that port, too.
        let dashboard_port = choose(settings.ports, &[DASHBOARD_PORT])?.remove(0);
        Ok(Self { ports, dashboard_port, settings, programs: Vec::new() })
    }

    /// Brings the database up to date, with the foreign keys that cross schemas, which share it here.
    pub fn migrate(&self, interrupt: &Interrupt) -> anyhow::Result<()> {
        for more in [&[][..], &["--cross-schema", "apply"]] {
            let mut command = Command::new(self.bramble());
            command.arg("migrate").args(more);
            command.env("BRAMBLE_ADMIN_DATABASE_URL", &self.settings.admin_url);
            if let Some(password) = &self.settings.password {
                for schema in SCHEMAS {
                    let variable = format!("BRAMBLE_{}_DB_PASSWORD", schema.to_uppercase());
                    command.env(variable, password);
                }
            }
            interrupt.run(&mut command).context("the database was not migrated")?;
        }
        Ok(())
    }

    /// Starts all services, and does not wait for them.
    pub fn launch(&mut self, interrupt: &Interrupt) -> anyhow::Result<()> {
        for folder in ["logs", "olap"] {
            fs::create_dir_all(self.settings.folder.join(folder))?;
        }
        self.make_keys(interrupt)?;
        for name in Self::names() {
            let program = self.spawn(name)?;
            self.programs.push(program);
        }
        Ok(())
    }

    /// The names of the services.
    pub fn names() -> impl Iterator<Item = &'static str> + Clone {
        SERVICES.iter().map(|(name, _)| *name)
    }

    /// Where a service listens, as host and port.
    #[must_use]
    pub fn address(&self, service: &str) -> String {
        let port = SERVICES.iter().zip(&self.ports).find(|((name, _), _)| *name == service);
        format!("127.0.0.1:{}", port.map_or(0, |(_, port)| port.number()))
    }

    /// The same as a client of ours takes it.
    #[must_use]
    pub fn url(&self, service: &str) -> String {
        format!("http://{}", self.address(service))
    }

    /// What a browser takes.
    #[must_use]
    pub fn dashboard(&self) -> String {
        format!("http://127.0.0.1:{}", self.dashboard_port.number())
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.settings.folder
    }

    /// The process of a service.
    pub fn program(&mut self, service: &str) -> anyhow::Result<&mut Program> {
        let program = self.programs.iter_mut().find(|program| program.name() == service);
        program.with_context(|| format!("there is no {service}"))
    }

    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// Fails if a service has ended by itself.
    pub fn check(&mut self) -> anyhow::Result<()> {
        self.programs.iter_mut().try_for_each(Program::check)
    }

    /// Starts a service again, stopping it first if it runs.
    pub fn restart(&mut self, service: &str) -> anyhow::Result<()> {
        self.program(service)?.stop()?;
        *self.program(service)? = self.spawn(service)?;
        Ok(())
    }

    /// Waits until every service says that it serves.
    pub fn wait_until_ready(&mut self, interrupt: &Interrupt) -> anyhow::Result<()> {
        let bramble = self.bramble();
        let urls: Vec<String> = Self::names().map(|name| self.url(name)).collect();
        for (program, url) in self.programs.iter_mut().zip(urls) {
            program.wait_until(READY_MAX, interrupt, || {
                let mut ask = Command::new(&bramble);
                ask.args(["health", "--url", &url]).stderr(Stdio::null());
                ask.status().is_ok_and(|status| status.success())
            })?;
        }
        Ok(())
    }

    /// The command line, knowing where everything is, with a token that may do all.
    pub fn cli(&self) -> anyhow::Result<Command> {
        let mut command = Command::new(self.bramble());
        command.envs(self.urls()).env("BRAMBLE_TOKEN", self.token()?);
        Ok(command)
    }

    /// A token that may do all.
    pub fn token(&self) -> anyhow::Result<String> {
        let key = self.settings.folder.join("keys/private.pem");
        let mut command = Command::new(self.bramble());
        command.args(["token", "--all", "--subject", "operator", "--key"]).arg(key);
        let said = command.output().context("cannot run bramble")?;
        ensure!(said.status.success(), "bramble token: {}", String::from_utf8_lossy(&said.stderr));
        Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
    }

    /// Tells all services to end, waits for them, and says which did not end well.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.programs.iter().for_each(Program::tell);
        let ended: Vec<_> = self.programs.iter_mut().map(Program::stop).collect();
        self.programs.clear();
        ended.into_iter().collect()
    }

    fn bramble(&self) -> PathBuf {
        self.settings.bin.join("bramble")
    }

    fn make_keys(&self, interrupt: &Interrupt) -> anyhow::Result<()> {
        let keys = self.settings.folder.join("keys");
        if keys.join("public.pem").exists() {
            return Ok(());
        }
        let mut command = Command::new(self.bramble());
        command.args(["keys", "--dir"]).arg(keys).stdout(Stdio::null());
        interrupt.run(&mut command)
    }

    fn spawn(&self, service: &str) -> anyhow::Result<Program> {
        let Settings { bin, folder, nats_url, env, .. } = &self.settings;
        let mut command = tied(bin.join(service), Stop::Term);
        command
            .envs(ALLOCATOR)
            .envs(self.urls())
            .env("BRAMBLE_GRPC_ADDR", self.address(service))
            .env("BRAMBLE_HTTP_ADDR", format!("127.0.0.1:{}", self.dashboard_port.number()))
            .env("BRAMBLE_NATS_URL", nats_url)
            .env("BRAMBLE_OLAP_DIR", folder.join("olap"))
            .env("BRAMBLE_AUTH_PUBLIC_KEY", folder.join("keys/public.pem"))
            .env("BRAMBLE_OPEN", "true")
            .envs(env.iter().map(|(name, value)| (name, value)));
        if let Some(schema) = service.strip_suffix("-svc").filter(|name| SCHEMAS.contains(name)) {
            let role = format!("{schema}_svc");
            let password = self.settings.password.as_deref().unwrap_or(&role);
            command.env("DATABASE_URL", log_in(&self.settings.admin_url, &role, password)?);
        }
        let log = folder.join("logs").join(format!("{service}.log"));
        Program::start(service, &mut command, Stop::Term, &log)
    }

    /// `BRAMBLE_ORDERS_URL` and so on.
    fn urls(&self) -> impl Iterator<Item = (String, String)> {
        Self::names().map(|name| {
            let short = name.trim_end_matches("-svc").trim_end_matches("-consumer");
            (format!("BRAMBLE_{}_URL", short.to_uppercase()), self.url(name))
        })
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // All are told before the first is waited for.
        self.programs.iter().for_each(Program::tell);
    }
}

/// A database's address for another role.
pub fn log_in(url: &str, role: &str, password: &str) -> anyhow::Result<String> {
    let (scheme, rest) = url.split_once("://").context("the database's URL has no ://")?;
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    Ok(format!("{scheme}://{role}:{password}@{place}"))
}

/// The known ports if all of them are to be used and free, else as many others.
fn choose(ports: Ports, known: &[u16]) -> anyhow::Result<Vec<Port>> {
    if ports == Ports::WellKnown {
        let reserved: io::Result<Vec<_>> = known.iter().copied().map(Port::reserve).collect();
        if let Ok(reserved) = reserved {
            return Ok(reserved);
        }
    }
    Ok(known.iter().map(|_| Port::any()).collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_moves_only_those_that_belong_together() {
        let known = [Port::any().unwrap(), Port::any().unwrap()].map(|port| port.number());
        let chosen = |ports| -> Vec<u16> {
            choose(ports, &known).unwrap().iter().map(Port::number).collect()
        };
        assert_eq!(chosen(Ports::WellKnown), known);
        assert_ne!(chosen(Ports::Any), known);
        let _taken = Port::reserve(known[0]).unwrap();
        let moved = chosen(Ports::WellKnown);
        assert!(moved.len() == 2 && !known.iter().any(|port| moved.contains(port)), "{moved:?}");
    }

    #[test]
    fn each_service_logs_in_as_itself() {
        let shop = "postgres://hr_svc:secret@pi:5432/shop?sslmode=require";
        let admin = "postgres://admin:p%40@pi:5432/shop?sslmode=require";
        assert_eq!(log_in(admin, "hr_svc", "secret").unwrap(), shop);
        let plain = log_in("postgres://pi/shop", "hr_svc", "hr_svc").unwrap();
        assert_eq!(plain, "postgres://hr_svc:hr_svc@pi/shop");
    }
}
