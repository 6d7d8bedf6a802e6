//! The real binary, killed at any instant: each version that is found stands for exactly its positions, and the last one for everything.

use std::{collections::BTreeSet, fs, process::Command, time::Duration};

use manifest::Manifest;
use serde_json::json;
use testkit::eventually;

use crate::{
    folder, model,
    shop::{Lives, PATIENCE, Shop, Spawned, client},
    trade::{Lasting, ended, new_id, trade},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_killed_at_any_instant_loses_and_doubles_nothing() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let mut lives = Lives::new(6, Duration::from_millis(270));
    // There is trade as long as there are kills.
    let mut trading = Lasting::start(&shop, 200, 6);
    let (mut kills, mut versions) = (0, BTreeSet::new());
    while kills < 40 || versions.len() < 13 {
        trading.go_on().await;
        let child = shop.spawn(dir.path());
        lives.pass().await;
        drop(child);
        kills += 1;
        let mut is_new = false;
        if Manifest::read(dir.path()).unwrap().is_some() {
            let (manifest, tables) = folder::read(dir.path());
            is_new = versions.insert(manifest.version);
            if is_new {
                assert_eq!(tables, model::tables(&shop, &manifest).await, "kill {kills}");
            }
        }
        lives.note(is_new);
    }
    trading.end().await;
    let child = shop.spawn(dir.path());
    shop.caught_up(dir.path()).await;
    drop(child);
    let (manifest, tables) = folder::read(dir.path());
    assert_eq!(tables, model::tables(&shop, &manifest).await);
}

/// Tells the stream of an event that no log has, behind another one that none has.
async fn announce_far_ahead(shop: &Shop, source: &str, newest: i64) {
    let event = json!({
        "specversion": "1.0", "id": new_id(), "source": format!("/bramble/{source}"), "type": "nothing.happened", "subject": "x",
        "time": "2026-11-24T09:00:00Z", "version": 1, "actor": "test", "data": {},
        "previous": format!("{}", newest + 1), "sequence": format!("{}", newest + 2),
    });
    let subject = format!("bramble.{source}.nothing.happened.v1");
    let nats = client(&shop.nats.url()).await;
    let ack = nats.request(subject, event.to_string().into()).await.unwrap();
    assert!(!String::from_utf8_lossy(&ack.payload).contains("error"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_has_what_is_counted_written() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let said = tempfile::NamedTempFile::new().unwrap();
    let mut command = shop.command(dir.path(), "3600000");
    let mut child = Spawned(command.stderr(said.reopen().unwrap()).spawn().unwrap());
    eventually("the folder is open", PATIENCE, async || {
        Manifest::read(dir.path()).unwrap().is_some()
    })
    .await;
    ended(trade(&shop, 20, 7)).await;
    // Nobody is told what is counted in memory. But once all is, what lies between it and such an event is looked for in vain.
    let newest = shop.newest().await;
    for (source, newest) in &newest {
        announce_far_ahead(&shop, source, *newest).await;
    }
    let is_counted = |(source, newest): (&&str, &i64)| {
        let text = format!("the log of {source} has no event behind {newest} ");
        fs::read_to_string(said.path()).unwrap().contains(&text)
    };
    eventually("all is counted", PATIENCE, async || newest.iter().all(is_counted)).await;
    assert!(Manifest::read(dir.path()).unwrap().unwrap().positions.is_empty());
    let told = Command::new("kill").arg(child.0.id().to_string()).status().unwrap();
    assert!(told.success() && child.0.wait().unwrap().success());
    let (manifest, tables) = folder::read(dir.path());
    for (source, newest) in newest {
        assert_eq!(manifest.positions[source].log_id, newest);
    }
    assert_eq!(tables, model::tables(&shop, &manifest).await);
}
