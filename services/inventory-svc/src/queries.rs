//! Reads that are more than one store call, each of one snapshot.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use ids::OrderId;
use log::Log;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

use crate::{
    InventoryError,
    domain::{Reservation, ReservedLine},
    store::{self, verification::Proof},
};

/// SKUs that one statement proves.
const CHUNK: i64 = 1000;
/// Differences that are told.
const TOLD_MAX: usize = 100;

/// What is promised to an order, by SKU.
pub(crate) type Promise = (Reservation, Vec<ReservedLine>);

pub(crate) async fn reservation(log: &Log, id: OrderId) -> Result<Promise, InventoryError> {
    let mut tx = snapshot(log).await?;
    let found = store::reservations::find(&mut tx, id).await?;
    let reservation = found.ok_or(InventoryError::ReservationNotFound(id))?;
    let lines = store::reservations::lines(&mut tx, &[id.0]).await?;
    tx.commit().await?;
    Ok((reservation, lines))
}

/// Open ones by order, behind a key; of one SKU, when it is given, those that still hold some of it.
pub(crate) async fn open_reservations(
    log: &Log,
    sku: Option<&str>,
    after: Option<OrderId>,
    limit: i64,
) -> Result<Vec<Promise>, InventoryError> {
    let mut tx = snapshot(log).await?;
    let found = match sku {
        Some(sku) => store::reservations::list_of_sku(&mut tx, sku, after, limit).await?,
        None => store::reservations::list_open(&mut tx, after, limit).await?,
    };
    let ids: Vec<Uuid> = found.iter().map(|one| one.order_id.0).collect();
    let mut lines: BTreeMap<OrderId, Vec<ReservedLine>> = BTreeMap::new();
    for line in store::reservations::lines(&mut tx, &ids).await? {
        lines.entry(line.order_id).or_default().push(line);
    }
    tx.commit().await?;
    let with_lines = |one: Reservation| {
        let lines = lines.remove(&one.order_id).unwrap_or_default();
        (one, lines)
    };
    Ok(found.into_iter().map(with_lines).collect())
}

/// What was looked at, and what differs.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    pub(crate) items: i64,
    pub(crate) movements: i64,
    pub(crate) open_lines: i64,
    pub(crate) differences: i64,
    /// The first ones, by SKU.
    pub(crate) first: Vec<Difference>,
    pub(crate) at: DateTime<Utc>,
}

#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) sku: String,
    pub(crate) what: What,
    pub(crate) recorded: String,
    pub(crate) proven: String,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    Reserved,
    OnHand,
    Value,
    MovementCount,
}

/// Proves what items say by their history; all items when none is named. One statement a thousand SKUs, so that each ends well in time.
#[tracing::instrument(name = "inventory.verify_stock", skip_all)]
pub(crate) async fn verify(log: &Log, skus: Vec<String>) -> Result<Verified, InventoryError> {
    let mut tx = snapshot(log).await?;
    let mut verified =
        Verified { at: store::verification::now(&mut tx).await?, ..Verified::default() };
    if skus.is_empty() {
        let mut after = String::new();
        loop {
            let chunk = store::verification::skus(&mut tx, &after, CHUNK).await?;
            let Some(last) = chunk.last() else { break };
            after.clone_from(last);
            verified.add(store::verification::proofs(&mut tx, &chunk).await?);
        }
    } else {
        verified.add(store::verification::proofs(&mut tx, &skus).await?);
    }
    tx.commit().await?;
    Ok(verified)
}

impl Verified {
    fn add(&mut self, proofs: Vec<Proof>) {
        for proof in proofs {
            self.items += 1;
            self.movements += proof.movements;
            self.open_lines += proof.open_lines;
            let said = [
                (What::Reserved, i64::from(proof.reserved).to_string(), proof.open.to_string()),
                (What::OnHand, i64::from(proof.on_hand).to_string(), proof.moved.to_string()),
                (What::Value, proof.value.to_string(), proof.cost.to_string()),
                (
                    What::MovementCount,
                    proof.movement_count.to_string(),
                    proof.movements.to_string(),
                ),
            ];
            for (what, recorded, proven) in said.into_iter().filter(|(_, said, is)| said != is) {
                self.differences += 1;
                if self.first.len() < TOLD_MAX {
                    let sku = proof.sku.clone();
                    self.first.push(Difference { sku, what, recorded, proven });
                }
            }
        }
    }
}

async fn snapshot(log: &Log) -> Result<Transaction<'static, Postgres>, InventoryError> {
    Ok(log.pool().begin_with("begin isolation level repeatable read, read only").await?)
}
