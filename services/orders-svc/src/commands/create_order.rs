use std::collections::HashMap;

use chrono::{DateTime, Utc};
use ids::{CustomerId, OrderId};
use log::{Cause, Claim, Log, NewEvent, RequestKey};
use proto::events::v1::OrderDrafted;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    OrdersError,
    commands::{self, Answer, PlaceOrder},
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

/// Commits a draft and, if so asked, places it. A draft that is refused is taken away again, and so is one that nobody could name. One
/// that inventory-svc could not be asked about stays, and the same request goes on with it.
#[tracing::instrument(name = "orders.create_order", skip_all, fields(order.id = %draft.order.id))]
pub(crate) async fn create_order(orders: &Orders, draft: NewDraft) -> Result<Answer, OrdersError> {
    let (place, placed_at, cause) = (draft.place, draft.placed_at, draft.cause.clone());
    let request_id = draft.request_key.as_ref().map(|key| key.id);
    let (mut order, mut items) = (draft.order.clone(), draft.items.clone());
    match orders.drafts.submit(draft).await?? {
        Drafted::New(created_at) => order.created_at = created_at,
        Drafted::Earlier(id) => {
            let mut db = orders.log.pool().acquire().await?;
            order = match store::orders::find(&mut db, id).await? {
                Some(order) => order,
                None => return Err(gone(&mut db, id, request_id).await?),
            };
            // What was placed once is answered as it is now, also when it was cancelled since.
            if !place || order.placed_at.is_some() {
                return Ok(Answer::Known(id));
            }
            items = store::items::of_order(&mut db, id).await?;
        }
    }
    if !place {
        return Ok(Answer::New(Box::new(order), items));
    }
    let id = order.id;
    let command = PlaceOrder { request_key: None, cause: cause.clone(), order, items, placed_at };
    let placed = commands::place_order(orders, command).await.map_err(taken_away);
    if let Err(error) = &placed
        && (error.is_final() || request_id.is_none())
        && commands::delete_draft(&orders.log, id, request_id, &cause).await?
    {
        // By an equal request, when what refused this one was over.
        return Ok(Answer::Known(id));
    }
    placed
}

/// The draft that the same request made earlier is there no more: somebody deleted it, which is remembered, or an equal request was refused
/// at this very moment, and took draft and request with it.
async fn gone(
    db: &mut PgConnection,
    id: OrderId,
    request_id: Option<Uuid>,
) -> Result<OrdersError, OrdersError> {
    let deleted = store::requests::made(db, request_id, id).await?;
    Ok(if deleted { OrdersError::OrderNotFound(id) } else { OrdersError::Changed(id) })
}

/// An equal request was refused meanwhile, and took the draft with it: the next one starts anew.
fn taken_away(error: OrdersError) -> OrdersError {
    match error {
        OrdersError::OrderNotFound(id) => OrdersError::Changed(id),
        error => error,
    }
}

/// Commits drafts. Seven statements however many, one more when a customer is archived; waits only for equal requests.
pub(crate) async fn create_drafts(
    log: Log,
    drafts: Vec<NewDraft>,
) -> sqlx::Result<Vec<Result<Drafted, OrdersError>>> {
    let mut tx = log.begin().await?;
    let now = store::orders::now(&mut tx).await?;
    let customers: Vec<Uuid> = drafts.iter().map(|draft| draft.order.customer_id.0).collect();
    let customers: HashMap<CustomerId, bool> =
        store::customers::standing(&mut tx, &customers).await?.into_iter().collect();
    let mut verdicts: Vec<Result<Drafted, OrdersError>> =
        drafts.iter().map(|draft| check(draft, &customers, now)).collect();
    claim(&mut tx, &drafts, &mut verdicts).await?;
    refuse_archived(&mut tx, &drafts, &customers, &mut verdicts).await?;

    let is_new = |verdict: &_| matches!(verdict, Ok(Drafted::New(_)));
    let new: Vec<&NewDraft> =
        drafts.iter().zip(&verdicts).filter(|(_, v)| is_new(v)).map(|(draft, _)| draft).collect();
    insert(&log, &mut tx, &new).await?;
    log.commit(tx).await?;
    Ok(verdicts)
}

/// What only the database knows: whether the customer exists, and what time it is.
fn check(
    draft: &NewDraft,
    customers: &HashMap<CustomerId, bool>,
    now: DateTime<Utc>,
) -> Result<Drafted, OrdersError> {
    let customer_id = draft.order.customer_id;
    if !customers.contains_key(&customer_id) {
        return Err(OrdersError::UnknownCustomer(customer_id));
    }
    if draft.placed_at.is_some_and(|placed_at| placed_at > now) {
        return Err(OrdersError::PlacedInFuture);
    }
    Ok(Drafted::New(now))
}

/// Of equal requests the first of all has made the order, and the others answer with it.
async fn claim(
    tx: &mut PgConnection,
    drafts: &[NewDraft],
    verdicts: &mut [Result<Drafted, OrdersError>],
) -> sqlx::Result<()> {
    let with_key = drafts.iter().zip(verdicts).filter(|(_, verdict)| verdict.is_ok());
    let (claims, asking): (Vec<_>, Vec<_>) = with_key
        .filter_map(|(draft, verdict)| {
            let key = draft.request_key.as_ref()?;
            Some(((key, draft.order.id.to_string()), verdict))
        })
        .unzip();
    let found = log::claim_all(tx, store::SCHEMA, &claims).await?;
    for ((verdict, (key, _)), claim) in asking.into_iter().zip(&claims).zip(found) {
        match claim {
            Claim::New => (),
            Claim::Answered(id) => {
                let id = id.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
                *verdict = Ok(Drafted::Earlier(id));
            }
            Claim::Other => *verdict = Err(OrdersError::RequestIdUsed(key.id)),
        }
    }
    Ok(())
}

/// Nothing new for those who are archived; what was answered before is answered again.
async fn refuse_archived(
    tx: &mut PgConnection,
    drafts: &[NewDraft],
    customers: &HashMap<CustomerId, bool>,
    verdicts: &mut [Result<Drafted, OrdersError>],
) -> sqlx::Result<()> {
    let mut refused: Vec<Uuid> = Vec::new();
    for (draft, verdict) in drafts.iter().zip(verdicts) {
        let customer_id = draft.order.customer_id;
        if matches!(verdict, Ok(Drafted::New(_))) && customers.get(&customer_id) == Some(&true) {
            *verdict = Err(OrdersError::CustomerArchived(customer_id));
            refused.extend(draft.request_key.as_ref().map(|key| key.id));
        }
    }
    store::requests::forget(tx, &refused).await
}

async fn insert(log: &Log, tx: &mut PgConnection, new: &[&NewDraft]) -> sqlx::Result<()> {
    if new.is_empty() {
        return Ok(());
    }
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
