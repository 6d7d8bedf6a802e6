use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, ensure};
use ed25519_dalek::{
    SigningKey,
    pkcs8::{EncodePrivateKey, EncodePublicKey, KeypairBytes, spki::der::pem::LineEnding},
};

/// Make the pair of keys that tokens are signed and checked with.
#[derive(Debug, clap::Args)]
pub(crate) struct Keys {
    /// Folder for private.pem, which `bramble token` signs with, and public.pem, which the services check with. Keys that are there stay.
    #[arg(long)]
    dir: PathBuf,
}

pub(crate) fn run(keys: &Keys) -> anyhow::Result<()> {
    let (private, public) = (keys.dir.join("private.pem"), keys.dir.join("public.pem"));
    for path in [&private, &public] {
        ensure!(!path.exists(), "{} is there already: keys are never overwritten", path.display());
    }
    fs::create_dir_all(&keys.dir).with_context(|| format!("cannot make {}", keys.dir.display()))?;

    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| anyhow!("no randomness: {error}"))?;
    let key = SigningKey::from_bytes(&secret);
    // Without the public half inside, which older OpenSSL does not read.
    let pair = KeypairBytes { secret_key: secret, public_key: None };
    write_new(&private, pair.to_pkcs8_pem(LineEnding::LF)?.as_bytes(), 0o600)?;
    let public_pem = key.verifying_key().to_public_key_pem(LineEnding::LF)?;
    write_new(&public, public_pem.as_bytes(), 0o644)?;
    println!("{}\n{}", private.display(), public.display());
    Ok(())
}

fn write_new(path: &Path, contents: &[u8], mode: u32) -> anyhow::Result<()> {
    let mut file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(contents)?;
    file.sync_all()?;
    Ok(())
}
