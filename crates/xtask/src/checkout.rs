use std::{
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, ensure};
use stack::{Fleet, Interrupt, Parts, parts::sha256, postgres::closed_to_postgres, process::which};
use tempfile::TempDir;

/// The folder that all this is about.
pub(crate) struct Checkout {
    pub(crate) root: PathBuf,
    pub(crate) interrupt: Interrupt,
    /// Where cargo puts what it builds for the dev profile.
    target: PathBuf,
}

/// How binaries are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Dev,
    Release,
}

impl Checkout {
    pub(crate) fn find(interrupt: Interrupt) -> anyhow::Result<Self> {
        // Cargo tells where the package is now; what the compiler was told is where it was.
        let package = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = package.ancestors().nth(2).context("no checkout around xtask")?.to_owned();
        let exe = std::env::current_exe()?;
        let target = exe.parent().context("no folder around xtask's binary")?.to_owned();
        Ok(Self { root, interrupt, target })
    }

    /// All that is made here and is not source. Elsewhere only for root whose checkout is closed to others, as which Postgres must run.
    pub(crate) fn dot_folder(&self) -> PathBuf {
        if closed_to_postgres(&self.root.join("crates")).is_none() {
            return self.root.join(".bramble");
        }
        let name = sha256(self.root.as_os_str().as_bytes());
        Path::new("/var/tmp").join(format!("bramble-{}", &name[..16]))
    }

    pub(crate) fn parts(&self) -> Parts {
        Parts::new(&self.dot_folder().join("parts"))
    }

    /// A folder that goes with its value, and that Postgres can enter.
    pub(crate) fn scratch(&self, what: &str) -> anyhow::Result<TempDir> {
        let tmp = self.dot_folder().join("tmp");
        fs::create_dir_all(&tmp)?;
        Ok(tempfile::Builder::new().prefix(&format!("{what}-")).tempdir_in(tmp)?)
    }

    /// Runs cargo on this terminal.
    pub(crate) fn cargo(&self, args: &[&str]) -> anyhow::Result<()> {
        self.interrupt.run(self.command("cargo").args(args))
    }

    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(&self.root);
        command
    }

    /// Puts DuckDB's library where `DUCKDB_LIB_DIR` says: nothing links without it.
    pub(crate) fn fetch_duckdb(&self) -> anyhow::Result<()> {
        self.parts().duckdb(&self.root.join(".bramble/lib"), &self.interrupt)
    }

    /// Packages of Python's registry, pinned with their checksums: a folder for `PYTHONPATH`.
    pub(crate) fn python_packages(&self, requirements: &str) -> anyhow::Result<PathBuf> {
        let requirements = self.root.join(requirements);
        let folder = self.dot_folder().join("python").join(sha256(&fs::read(&requirements)?));
        if folder.exists() {
            return Ok(folder);
        }
        let beside = folder.with_extension("new");
        if beside.exists() {
            fs::remove_dir_all(&beside)?;
        }
        let mut pip = self.command("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        pip.args(["--root-user-action", "ignore", "--require-hashes", "--only-binary", ":all:"]);
        pip.arg("--target").arg(&beside).arg("-r").arg(requirements);
        self.interrupt.run(&mut pip).context("python3 with pip (apt-get install python3-pip)")?;
        fs::rename(&beside, &folder)?;
        Ok(folder)
    }

    /// Packages of Node's registry, pinned with their checksums by the lock file beside the list: the folder that has `node_modules`.
    pub(crate) fn node_packages(&self, list: &str) -> anyhow::Result<PathBuf> {
        let from = self.root.join(list);
        let files = ["package.json", "package-lock.json"];
        let read =
            |file: &&str| fs::read(from.join(file)).with_context(|| format!("{list}/{file}"));
        let contents = files.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?.concat();
        let folder = self.dot_folder().join("node").join(sha256(&contents));
        if folder.exists() {
            return Ok(folder);
        }
        let beside = folder.with_extension("new");
        if beside.exists() {
            fs::remove_dir_all(&beside)?;
        }
        fs::create_dir_all(&beside)?;
        for file in files {
            fs::copy(from.join(file), beside.join(file))?;
        }
        let mut npm = self.command("npm");
        // No package runs anything of its own, nor fetches a browser.
        npm.args(["ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]);
        self.interrupt.run(npm.current_dir(&beside)).context("npm (apt-get install npm)")?;
        fs::rename(&beside, &folder)?;
        Ok(folder)
    }

    /// A Chromium: the machine's own or, for root on Debian, the one that is installed now.
    pub(crate) fn chromium(&self) -> anyhow::Result<PathBuf> {
        let found =
            || ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(which);
        if let Some(chromium) = found() {
            return Ok(chromium);
        }
        let by_hand = "the dashboard is tested in a Chromium: apt-get install chromium";
        ensure!(rustix::process::geteuid().is_root() && which("apt-get").is_some(), by_hand);
        for args in [&["update"][..], &["install", "--yes", "--no-install-recommends", "chromium"]]
        {
            let mut apt = self.command("apt-get");
            apt.arg("-qq").args(args).env("DEBIAN_FRONTEND", "noninteractive");
            self.interrupt.run(apt.stdout(Stdio::null())).context(by_hand)?;
        }
        found().context(by_hand)
    }

    /// Builds the services and `bramble`; gives the folder of the binaries.
    pub(crate) fn build(&self, profile: Profile) -> anyhow::Result<PathBuf> {
        self.build_with(profile, &[])
    }

    /// The same, and more packages: built together they share their libraries.
    pub(crate) fn build_with(
        &self,
        profile: Profile,
        more: &[&'static str],
    ) -> anyhow::Result<PathBuf> {
        self.fetch_duckdb()?;
        let mut args = vec!["build", "--locked"];
        let all = Fleet::names().chain(["bramble-cli"]).chain(more.iter().copied());
        args.extend(all.flat_map(|package| ["-p", package]));
        if profile == Profile::Release {
            args.push("--release");
        }
        self.cargo(&args)?;
        Ok(match profile {
            Profile::Dev => self.target.clone(),
            Profile::Release => self.target.with_file_name("release"),
        })
    }
}

/// Says what is being done, and how long it took.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    eprintln!("▸ {what}");
    let began = Instant::now();
    let done = work().with_context(|| format!("{what}: failed"))?;
    eprintln!("  done in {:.1} s", began.elapsed().as_secs_f32());
    Ok(done)
}
