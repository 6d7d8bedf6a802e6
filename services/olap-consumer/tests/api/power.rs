//! Power cuts: the folder is on a disk of its own, a file, of which a copy is what a cut would leave at that instant.
//! (Without the syncs, four of five such copies held files of no bytes.) It mounts disks, so root and loop devices are needed:
//! `cargo test -p olap-consumer --features power-cuts --test api power`.

use std::{path::Path, process::Command, time::Duration};

use manifest::Manifest;
use testkit::Dice;

use crate::{folder, model, shop::Shop, trade::trade};

/// A file system in a file, mounted until it is dropped.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn new(disk: &Path, at: &'a Path) -> Self {
        run(Command::new("mount").args(["-o", "loop"]).args([disk, at]));
        Self(at)
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(self.0));
    }
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_at_any_instant_leaves_a_version_that_is_whole() {
    let shop = Shop::start().await;
    let place = tempfile::tempdir().unwrap();
    let [disk, copy, live, dead] =
        ["disk", "copy", "live", "dead"].map(|name| place.path().join(name));
    [&live, &dead].into_iter().for_each(|at| std::fs::create_dir(at).unwrap());
    run(Command::new("truncate").args(["-s", "32M"]).arg(&disk));
    run(Command::new("mkfs.ext4").arg("-q").arg(&disk));
    let _live = Mounted::new(&disk, &live);

    let trading = trade(&shop, 2000, 29);
    let child = shop.spawn(&live.join("olap"));
    let signal = |name: &str| run(Command::new("kill").args([name, &child.0.id().to_string()]));
    let dice = Dice::new(30);
    let mut versions = Vec::new();
    for cut in 0..60 {
        let pause = dice.roll(300);
        tokio::time::sleep(Duration::from_millis(50 + pause)).await;
        signal("-STOP");
        std::fs::copy(&disk, &copy).unwrap();
        signal("-CONT");
        let _dead = Mounted::new(&copy, &dead);
        let left = dead.join("olap");
        if Manifest::read(&left).is_ok_and(|found| found.is_none()) {
            assert!(versions.is_empty(), "cut {cut}: there was a version before");
            continue;
        }
        let (manifest, tables) = folder::read(&left);
        assert_eq!(tables, model::tables(&shop, &manifest).await, "cut {cut}");
        assert!(versions.last().is_none_or(|last| *last <= manifest.version), "cut {cut}");
        versions.push(manifest.version);
    }
    versions.dedup();
    assert!(versions.len() > 20, "{versions:?}");
    trading.iter().for_each(tokio::task::JoinHandle::abort);
    // Before its disk goes.
    drop(child);
}
