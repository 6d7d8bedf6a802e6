//! Makes rows that were counted beside a folder the live ones of it.
//!
//! Their files get names in the folder, as second names of the same bytes where the disk knows that; then the manifest is replaced. Until
//! that instant the folder stands for what it was, and what was counted stays whole beside it: whoever is killed begins again.

use std::{fs, io, path::Path};

use anyhow::{Context, ensure};
use manifest::{FILE_NAME, Manifest};

use super::{PARQUET, listed, load::read_saved, retired::keep_manifest};

/// Gives the new version, which is the one behind `before`. Nobody may write either folder meanwhile.
pub(crate) fn adopt(folder: &Path, before: &Manifest, counted: &Path) -> anyhow::Result<u64> {
    let mut saved = read_saved(counted)?.context("nothing was counted")?;
    for (source, position) in &before.positions {
        let reached = saved.manifest.positions.get(source).map_or(0, |at| at.log_id);
        ensure!(reached >= position.log_id, "of {source} less is counted than before");
        // It was counted from the log: where to go on in the stream, the live files know.
        if let Some(counted) = saved.manifest.positions.get_mut(source) {
            counted.stream_sequence = position.stream_sequence;
        }
    }
    let version = before.version + 1;
    for (index, file) in saved.manifest.files.iter_mut().enumerate() {
        // Another index than a flush would give: none of these is in the way of the next one's.
        let name = format!("{}.{version}.r{index}{PARQUET}", file.table);
        second_name(&counted.join(&file.path), folder, &name).with_context(|| name.clone())?;
        file.path = name;
    }
    saved.manifest.version = version;
    listed::list_all(folder, &mut saved.manifest)?;
    manifest::sync(folder)?;
    keep_manifest(folder, before.version);
    manifest::write_whole(folder, FILE_NAME, &serde_json::to_vec(&saved)?)
        .context("the manifest cannot be written")?;
    Ok(version)
}

fn second_name(file: &Path, folder: &Path, name: &str) -> io::Result<()> {
    let target = folder.join(name);
    match fs::remove_file(&target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => (),
    }
    match fs::hard_link(file, &target) {
        Ok(()) => Ok(()),
        // A disk such as an SD card's own file system has none.
        Err(_) => manifest::place(folder, name, &fs::read(file)?),
    }
}
