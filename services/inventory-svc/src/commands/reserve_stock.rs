use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use ids::OrderId;
use log::{Cause, Claim, Log, NewEvent, RequestKey};
use money::Money;
use sqlx::PgConnection;

use crate::{
    InventoryError,
    commands::promised,
    domain::{Book, Wanted},
    store,
};

/// Orders that want stock while others commit go together in the next transaction: a hot SKU's row is locked once for all of them.
pub(crate) type Reservations = batch::Batcher<Reserve, Verdict, sqlx::Error>;
type Verdict = Result<Reserved, InventoryError>;

/// How often a transaction that Postgres has undone, such as for a deadlock, is run again.
const RETRIES_MAX: u32 = 5;
const RETRY_AFTER: Duration = Duration::from_millis(20);

/// What an order wants.
#[derive(Debug, Clone)]
pub(crate) struct Reserve {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) order_id: OrderId,
    /// By SKU; quantities on several lines are added up.
    pub(crate) wanted: BTreeMap<String, Wanted>,
}

/// What an order has got.
#[derive(Debug, Clone)]
pub(crate) struct Reserved {
    /// By SKU.
    pub(crate) goods: Vec<Good>,
    pub(crate) expires_at: DateTime<Utc>,
}

/// A SKU as it is sold now.
#[derive(Debug, Clone)]
pub(crate) struct Good {
    pub(crate) sku: String,
    pub(crate) name: String,
    pub(crate) price: Money,
}

/// Reserves for orders in the order of their arrival, each all or nothing. Five statements however many orders and lines, three more when some
/// are repeated or refused, three more when some have a request id; locks reservations by order, then items by SKU.
#[tracing::instrument(name = "inventory.reserve_stock", skip_all, fields(count = requests.len()))]
pub(crate) async fn reserve_all(
    log: Log,
    ttl_s: u32,
    requests: Vec<Reserve>,
) -> sqlx::Result<Vec<Verdict>> {
    let mut retries = 0;
    loop {
        match try_reserve(&log, ttl_s, &requests).await {
            Err(error) if was_undone(&error) && retries < RETRIES_MAX => {
                retries += 1;
                tracing::warn!(%error, retries, "reservations are tried again");
                tokio::time::sleep(RETRY_AFTER * retries).await;
            }
            done => return done,
        }
    }
}

async fn try_reserve(log: &Log, ttl_s: u32, requests: &[Reserve]) -> sqlx::Result<Vec<Verdict>> {
    let orders: BTreeSet<OrderId> = requests.iter().map(|request| request.order_id).collect();
    let wanted = requests.iter().flat_map(|request| request.wanted.keys());
    let skus: BTreeSet<&str> = wanted.map(String::as_str).collect();

    let mut tx = log.begin().await?;
    let claims = claim(&mut tx, requests).await?;
    let mut book = store::book::lock_for_reserving(&mut tx, &orders, &skus, ttl_s).await?;
    let mut events = Vec::new();
    let ttl = TimeDelta::seconds(ttl_s.into());
    let (mut verdicts, mut forgotten) = (Vec::with_capacity(requests.len()), Vec::new());
    for (request, claim) in requests.iter().zip(claims) {
        let verdict = match (&request.request_key, &claim) {
            (Some(key), Some(Claim::Other)) => Err(InventoryError::RequestIdUsed(key.id)),
            _ => reserve(&mut book, request, ttl, &mut events),
        };
        if let (Err(_), Some(Claim::New), Some(key)) = (&verdict, claim, &request.request_key) {
            forgotten.push(key.id);
        }
        verdicts.push(verdict);
    }
    store::requests::forget(&mut tx, &forgotten).await?;
    store::book::save(&mut tx, &book).await?;
    log.append(&mut tx, &events).await?;
    log.commit(tx).await?;
    Ok(verdicts)
}

/// What is known of each request that has an id.
async fn claim(tx: &mut PgConnection, requests: &[Reserve]) -> sqlx::Result<Vec<Option<Claim>>> {
    let keys = requests
        .iter()
        .filter_map(|one| Some((one.request_key.as_ref()?, one.order_id.to_string())));
    let keys: Vec<_> = keys.collect();
    let mut claims = log::claim_all(tx, store::SCHEMA, &keys).await?.into_iter();
    let claim = |request: &Reserve| request.request_key.as_ref().and_then(|_| claims.next());
    Ok(requests.iter().map(claim).collect())
}

fn reserve(
    book: &mut Book,
    request: &Reserve,
    ttl: TimeDelta,
    events: &mut Vec<NewEvent>,
) -> Verdict {
    let Reserve { cause, order_id, wanted, .. } = request;
    if let Some(news) = book.reserve(*order_id, wanted, ttl)? {
        events.extend(promised("stock.reserved", *order_id, news, book, cause));
    }
    let good = |sku: &String| {
        let level = book.shelf.level(sku)?;
        Some(Good { sku: sku.clone(), name: level.name.clone(), price: level.price })
    };
    Ok(Reserved {
        goods: wanted.keys().filter_map(good).collect(),
        expires_at: book.expires_at(*order_id)?,
    })
}

/// Class 40: a deadlock, or transactions that could not have run one after the other.
fn was_undone(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("40"))
}
