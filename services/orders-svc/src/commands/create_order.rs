use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use ids::OrderId;
use log::{Cause, Claim, Log, NewEvent, RequestKey};
use proto::events::v1::OrderDrafted;
use uuid::Uuid;

use crate::{
    OrdersError,
    commands::{self, PlaceOrder},
    domain::{Item, Order},
    grpc::Orders,
    store,
};

/// Drafts that arrive while others commit go together in the next transaction.
pub(crate) type Drafts = batch::Batcher<NewDraft, Result<Drafted, OrdersError>, sqlx::Error>;

#[derive(Debug, Clone)]
pub(crate) struct NewDraft {
    pub(crate) request_key: Option<RequestKey>,
    pub(crate) cause: Cause,
    pub(crate) order: Order,
    pub(crate) items: Vec<Item>,
    /// Place it at once.
    pub(crate) place: bool,
    /// When history has it placed.
    pub(crate) placed_at: Option<DateTime<Utc>>,
}

/// What became of a draft.
#[derive(Debug, Clone)]
pub(crate) enum Drafted {
    New(DateTime<Utc>),
    /// The same request made this order before.
    Earlier(OrderId),
}

/// Commits a draft and, if so asked, places it. A draft that inventory-svc refuses is taken away again; one that it could not be asked about
/// stays, and the same request goes on with it.
#[tracing::instrument(name = "orders.create_order", skip_all, fields(order.id = %draft.order.id))]
pub(crate) async fn create_order(
    orders: &Orders,
    draft: NewDraft,
) -> Result<(Order, Vec<Item>), OrdersError> {
    let (place, placed_at, cause) = (draft.place, draft.placed_at, draft.cause.clone());
    let request_id = draft.request_key.as_ref().map(|key| key.id);
    let (mut order, items) = (draft.order.clone(), draft.items.clone());
    let (order, items) = match orders.drafts.submit(draft).await?? {
        Drafted::New(created_at) => {
            order.created_at = created_at;
            (order, items)
        }
        Drafted::Earlier(id) => {
            let mut db = orders.log.pool().acquire().await?;
            let earlier = store::orders::get(&mut db, id).await?;
            (earlier, store::items::of_order(&mut db, id).await?)
        }
    };
    if !place {
        return Ok((order, items));
    }
    let id = order.id;
    let command = PlaceOrder { request_key: None, cause: cause.clone(), order, items, placed_at };
    match commands::place_order(orders, command).await {
        Err(OrdersError::Stock(refusal)) => {
            commands::delete_draft(&orders.log, id, request_id, &cause).await?;
            Err(OrdersError::Stock(refusal))
        }
        placed => placed,
    }
}

/// Commits drafts. Six statements however many; waits only for equal requests.
pub(crate) async fn create_drafts(
    log: Log,
    drafts: Vec<NewDraft>,
) -> sqlx::Result<Vec<Result<Drafted, OrdersError>>> {
    let mut tx = log.begin().await?;
    let now = store::orders::now(&mut tx).await?;
    let customers: Vec<Uuid> = drafts.iter().map(|draft| draft.order.customer_id.0).collect();
    let customers: HashSet<_> =
        store::customers::existing(&mut tx, &customers).await?.into_iter().collect();

    let mut verdicts: Vec<Option<Result<Drafted, OrdersError>>> = Vec::with_capacity(drafts.len());
    let mut claims: Vec<(&RequestKey, String)> = Vec::new();
    // The first of equal requests in the batch makes the order, the others answer with it.
    let mut first: HashMap<Uuid, (&RequestKey, OrderId)> = HashMap::new();
    for draft in &drafts {
        verdicts.push(if !customers.contains(&draft.order.customer_id) {
            Some(Err(OrdersError::UnknownCustomer(draft.order.customer_id)))
        } else if draft.placed_at.is_some_and(|placed_at| placed_at > now) {
            Some(Err(OrdersError::PlacedInFuture))
        } else if let Some(key) = &draft.request_key {
            match first.get(&key.id) {
                Some((same, id)) if *same == key => Some(Ok(Drafted::Earlier(*id))),
                Some(_) => Some(Err(OrdersError::RequestIdUsed(key.id))),
                None => {
                    first.insert(key.id, (key, draft.order.id));
                    claims.push((key, draft.order.id.to_string()));
                    None
                }
            }
        } else {
            None
        });
    }
    let known = log::claim_all(&mut tx, store::SCHEMA, &claims).await?;
    let known: HashMap<Uuid, Claim> = claims.iter().map(|(key, _)| key.id).zip(known).collect();
    for (draft, verdict) in drafts.iter().zip(&mut verdicts) {
        let Some(key) = &draft.request_key else { continue };
        match known.get(&key.id) {
            // Whichever of equal requests was first: all answer with the order that the first one of all made.
            Some(Claim::Answered(id)) if !matches!(verdict, Some(Err(_))) => {
                let id =
                    id.parse().map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))?;
                *verdict = Some(Ok(Drafted::Earlier(id)));
            }
            Some(Claim::Other) => *verdict = Some(Err(OrdersError::RequestIdUsed(key.id))),
            Some(Claim::Answered(_) | Claim::New) | None => (),
        }
    }

    let new: Vec<&NewDraft> =
        drafts.iter().zip(&verdicts).filter(|(_, v)| v.is_none()).map(|(draft, _)| draft).collect();
    insert(&log, &mut tx, &new).await?;
    log.commit(tx).await?;
    Ok(verdicts.into_iter().map(|verdict| verdict.unwrap_or(Ok(Drafted::New(now)))).collect())
}

async fn insert(log: &Log, tx: &mut sqlx::PgConnection, new: &[&NewDraft]) -> sqlx::Result<()> {
    let orders: Vec<&Order> = new.iter().map(|draft| &draft.order).collect();
    let items: Vec<(OrderId, &[Item])> =
        new.iter().map(|draft| (draft.order.id, draft.items.as_slice())).collect();
    store::orders::insert_drafts(tx, &orders).await?;
    store::items::insert(tx, &items).await?;
    let events: Vec<NewEvent> = new
        .iter()
        .map(|NewDraft { order, cause, .. }| {
            let data = OrderDrafted {
                order_id: order.id.to_string(),
                customer_id: order.customer_id.to_string(),
            };
            NewEvent::new("order.created", order.id, order.version, &data, cause)
        })
        .collect();
    log.append(tx, &events).await
}
