use std::collections::BTreeMap;

use log::{Cause, Log, RequestKey};
use sqlx::PgConnection;
use uuid::Uuid;

use super::item_events;
use crate::{
    InventoryError,
    commands::Told,
    domain::{Calendar, Document, Movement, Reason, Shelf},
    store,
};

#[derive(Debug)]
pub(crate) struct AdjustStock {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) reason: Reason,
    /// By SKU, with the line that says so.
    pub(crate) changes: BTreeMap<String, (usize, i32)>,
}

/// Changes what is on hand, all or nothing, and gives the adjustment and what it moved. Six statements however many; locks the items by SKU.
#[tracing::instrument(name = "inventory.adjust_stock", skip_all, fields(count = command.changes.len()))]
pub(crate) async fn adjust_stock(
    log: &Log,
    calendar: &Calendar,
    command: AdjustStock,
) -> Result<(Uuid, Vec<Movement>), InventoryError> {
    let AdjustStock { request_key, cause, reason, changes } = command;
    let mut tx = log.begin().await?;
    let id = claim(&mut tx, request_key.as_ref()).await?;
    if let Claimed::New(id) = id {
        let skus: Vec<String> = changes.keys().cloned().collect();
        let mut shelf = Shelf::new(store::items::lock(&mut tx, &skus).await?);
        let skus = shelf.missing(changes.iter().map(|(sku, (line, _))| (*line, sku)));
        if !skus.is_empty() {
            return Err(InventoryError::UnknownSkus { list: "lines", skus });
        }
        let changes = changes.into_iter().map(|(sku, (_, change))| (sku, change)).collect();
        adjust(log, &mut tx, calendar, &mut shelf, Adjustment { id, reason, changes }, &cause)
            .await?;
    }
    let moved = store::movements::of_documents(&mut tx, &[id.id()]).await?;
    log.commit(tx).await?;
    Ok((id.id(), moved))
}

/// The document of a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Claimed {
    New(Uuid),
    Earlier(Uuid),
}

impl Claimed {
    pub(super) fn id(self) -> Uuid {
        match self {
            Self::New(id) | Self::Earlier(id) => id,
        }
    }
}

pub(super) async fn claim(
    tx: &mut PgConnection,
    key: Option<&RequestKey>,
) -> Result<Claimed, InventoryError> {
    let id = Uuid::now_v7();
    match log::answered(tx, store::SCHEMA, key, id).await? {
        None => Ok(Claimed::New(id)),
        Some(earlier) => {
            let earlier = earlier.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)));
            Ok(Claimed::Earlier(earlier?))
        }
    }
}

/// By how much what is on hand differs from what it should be.
#[derive(Debug)]
pub(super) struct Adjustment {
    pub(super) id: Uuid,
    pub(super) reason: Reason,
    pub(super) changes: BTreeMap<String, i32>,
}

/// Moves, writes and tells.
pub(super) async fn adjust(
    log: &Log,
    tx: &mut PgConnection,
    calendar: &Calendar,
    shelf: &mut Shelf,
    adjustment: Adjustment,
    cause: &Cause,
) -> Result<(), InventoryError> {
    let Adjustment { id, reason, changes } = adjustment;
    let document = Document { reason, id, order_id: None };
    let (found, lost) = shelf.adjust(&changes, document)?;
    let mut events = Told { calendar, cause }.adjusted(id, reason, found, lost);
    events.extend(item_events(shelf, cause));
    store::items::save(tx, shelf).await?;
    log.append(tx, &events).await?;
    Ok(())
}
