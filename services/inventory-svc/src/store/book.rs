//! What several orders have reserved, locked and written together. However many orders: four statements to lock, seven to write at most.

use std::collections::BTreeSet;

use ids::OrderId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{items, movements, reservations};
use crate::domain::{Book, ReservationState, ReservedLine};

/// Locks orders' reservations, adding those that are missing as held ones, and the items of the SKUs that they want.
pub(crate) async fn lock_for_reserving(
    tx: &mut PgConnection,
    orders: &BTreeSet<OrderId>,
    skus: &BTreeSet<&str>,
    ttl_s: u32,
) -> sqlx::Result<Book> {
    let ids: Vec<Uuid> = orders.iter().map(|id| id.0).collect();
    let fresh = reservations::insert(tx, &ids, ReservationState::Held, ttl_s).await?;
    let new: BTreeSet<Uuid> = fresh.iter().map(|reservation| reservation.order_id.0).collect();
    let known: Vec<Uuid> = ids.into_iter().filter(|id| !new.contains(id)).collect();
    let (mut headers, mut lines) = (Vec::new(), Vec::new());
    if !known.is_empty() {
        headers = reservations::lock(tx, &known).await?;
        lines = reservations::lines(tx, &known).await?;
    }
    let skus: Vec<String> = skus.iter().map(|sku| (*sku).to_owned()).collect();
    let levels = items::lock(tx, &skus).await?;
    Ok(Book::new(fresh, headers, lines, levels))
}

/// Locks orders' reservations and, for those whose goods are to be shipped, given back or taken back, what they hold. What these shipments
/// and returns have moved is read once the locks are held: whoever moves the same holds them before.
pub(crate) async fn lock(
    tx: &mut PgConnection,
    orders: &BTreeSet<OrderId>,
    moving: &BTreeSet<OrderId>,
    documents: &[Uuid],
) -> sqlx::Result<Book> {
    let ids: Vec<Uuid> = orders.iter().map(|id| id.0).collect();
    let headers = reservations::lock(tx, &ids).await?;
    let (mut lines, mut levels) = (Vec::new(), Vec::new());
    if !moving.is_empty() {
        let ids: Vec<Uuid> = moving.iter().map(|id| id.0).collect();
        lines = reservations::lines(tx, &ids).await?;
        let skus: BTreeSet<&String> = lines.iter().map(|line: &ReservedLine| &line.sku).collect();
        let skus: Vec<String> = skus.into_iter().cloned().collect();
        levels = items::lock(tx, &skus).await?;
    }
    let mut known = Vec::new();
    if !documents.is_empty() {
        known = movements::of_documents(tx, documents).await?;
    }
    Ok(Book::new(Vec::new(), headers, lines, levels).knowing(known))
}

/// Writes what has changed.
pub(crate) async fn save(tx: &mut PgConnection, book: &Book) -> sqlx::Result<()> {
    items::save(tx, &book.shelf).await?;
    reservations::delete_lines(tx, book.emptied_reservations()).await?;
    reservations::insert_lines(tx, &book.added_lines()).await?;
    reservations::update_lines(tx, &book.changed_lines()).await?;
    reservations::update(tx, &book.changed_reservations()).await?;
    reservations::delete(tx, book.unused_reservations()).await
}
