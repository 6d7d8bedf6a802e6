use std::{
    fs,
    os::unix::{
        fs::{DirBuilderExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, ensure};
use rustix::process::geteuid;

use crate::{
    Interrupt, Port,
    process::{Program, Stop, tied},
};

/// Whom Postgres runs as when the launcher is root, as which it refuses to run.
const NOBODY: u32 = 65534;
const START_MAX: Duration = Duration::from_secs(60);

/// A private Postgres.
#[derive(Debug)]
pub struct Postgres {
    program: Program,
    port: Port,
    password: String,
}

/// What its data are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// What is committed survives a power cut.
    Full,
    /// For tests, whose data nobody wants after a power cut; all else is the same.
    None,
}

impl Postgres {
    /// Starts the one whose data are in `folder`, making them first when there are none. `bin` holds its programs.
    pub fn start(
        bin: &Path,
        folder: &Path,
        durability: Durability,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        Self::start_with(bin, folder, durability, &[], interrupt)
    }

    /// The same with settings of the caller's, such as `work_mem=64MB`, which count more than those that all have.
    pub fn start_with(
        bin: &Path,
        folder: &Path,
        durability: Durability,
        settings: &[&str],
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        make_folder(folder)?;
        let (data, secret) = (folder.join("data"), folder.join("password"));
        if !data.join("PG_VERSION").exists() {
            init(bin, &data, &secret, interrupt)?;
        }
        check_version(bin, &data)?;
        let password = fs::read_to_string(&secret)?.trim().to_owned();
        let port = Port::any()?;
        let mut command = as_nobody(tied(bin.join("postgres"), Stop::Int));
        command.arg("-D").arg(&data).args(["-p", &port.number().to_string(), "-h", "127.0.0.1"]);
        // The path of a socket has a limit, which a deep checkout exceeds.
        command.args(["-c", "unix_socket_directories=", "-c", "max_connections=300"]);
        command.args(["-c", "shared_buffers=64MB", "-c", "wal_compression=on"]);
        if durability == Durability::None {
            command.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
        }
        settings.iter().for_each(|setting| {
            command.args(["-c", setting]);
        });
        let log = folder.join("log");
        let mut program = Program::start("postgres", &mut command, Stop::Int, &log)?;
        let pid = program.pid();
        program.wait_until(START_MAX, interrupt, || is_ready(&data, pid))?;
        Ok(Self { program, port, password })
    }

    /// As its superuser, in the database that it is born with.
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("postgres://postgres:{}@127.0.0.1:{}/postgres", self.password, self.port.number())
    }

    /// Of its superuser; services' roles may share it.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }
}

fn init(bin: &Path, data: &Path, secret: &Path, interrupt: &Interrupt) -> anyhow::Result<()> {
    // What an interrupted start left has no version yet.
    if data.exists() {
        fs::remove_dir_all(data)?;
    }
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    let password: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(secret, &password)?;
    fs::set_permissions(secret, fs::Permissions::from_mode(0o600))?;
    own(secret)?;
    let beside = data.with_extension("new");
    if beside.exists() {
        fs::remove_dir_all(&beside)?;
    }
    let mut command = as_nobody(Command::new(bin.join("initdb")));
    command.arg("-D").arg(&beside).arg("--pwfile").arg(secret);
    command.args(["-U", "postgres", "-A", "scram-sha-256", "-E", "UTF8", "--locale", "C.UTF-8"]);
    command.stdout(std::process::Stdio::null());
    interrupt.run(&mut command).context("Postgres' data cannot be made")?;
    fs::rename(&beside, data)?;
    Ok(())
}

/// Data are of one major version.
fn check_version(bin: &Path, data: &Path) -> anyhow::Result<()> {
    let made = fs::read_to_string(data.join("PG_VERSION"))?;
    let found = Command::new(bin.join("postgres")).arg("--version").output()?.stdout;
    let found = String::from_utf8_lossy(&found).into_owned();
    let major = found.split_whitespace().last().and_then(|version| version.split('.').next());
    ensure!(
        major == Some(made.trim()),
        "{} was made by Postgres {}, but this is {}: move that folder away, or bring the old Postgres back",
        data.display(),
        made.trim(),
        found.trim()
    );
    Ok(())
}

/// The last line that Postgres writes into its pid file says how it is; the first says whose file it is.
fn is_ready(data: &Path, pid: u32) -> bool {
    let Ok(file) = fs::read_to_string(data.join("postmaster.pid")) else { return false };
    let mut lines = file.lines();
    lines.next() == Some(&pid.to_string())
        && lines.last().is_some_and(|line| line.trim() == "ready")
}

/// A folder that only Postgres' user may enter.
fn make_folder(folder: &Path) -> anyhow::Result<()> {
    if !folder.is_dir() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    own(folder)?;
    if let Some(closed) = closed_to_postgres(folder) {
        anyhow::bail!(
            "Postgres does not run as root, and nobody else may enter {}: use another folder",
            closed.display()
        );
    }
    Ok(())
}

fn own(path: &Path) -> anyhow::Result<()> {
    if geteuid().is_root() {
        chown(path, Some(NOBODY), Some(NOBODY))
            .with_context(|| format!("cannot give {} to Postgres", path.display()))?;
    }
    Ok(())
}

/// The first of the folders above that Postgres, when it may not run as its caller, cannot pass.
#[must_use]
pub fn closed_to_postgres(folder: &Path) -> Option<PathBuf> {
    if !geteuid().is_root() {
        return None;
    }
    let folder = fs::canonicalize(folder).ok()?;
    let closed = |path: &&Path| {
        fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o001 == 0)
    };
    folder.ancestors().skip(1).filter(closed).last().map(Path::to_owned)
}

fn as_nobody(mut command: Command) -> Command {
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}
