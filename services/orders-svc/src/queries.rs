//! Reads that are more than one store call.

mod watches;

use std::collections::HashMap;

use ids::{CustomerId, OrderId};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    OrdersError,
    domain::{Customer, Item, Order, OrderStatus, Return, Shipment},
    store::{self, NameKey, TimeKey, orders::Times},
};

pub(crate) use watches::{Watch, Watches};

/// Reads see one moment only.
const SNAPSHOT: &str = "begin isolation level repeatable read, read only";
/// Shipments and returns that go with an order; lists have all.
const SHOWN_MAX: i64 = 100;

/// An order with all that belongs to it.
#[derive(Debug)]
pub(crate) struct WholeOrder {
    pub(crate) order: Order,
    pub(crate) items: Vec<Item>,
    /// The first ones.
    pub(crate) shipments: Vec<Shipment>,
    pub(crate) returns: Vec<Return>,
}

/// An order with its lines, shipments and returns, all of one moment.
pub(crate) async fn whole_order(pool: &PgPool, id: OrderId) -> Result<WholeOrder, OrdersError> {
    let mut tx = pool.begin_with(SNAPSHOT).await?;
    let order = store::orders::get(&mut tx, id).await?;
    let items = store::items::of_order(&mut tx, id).await?;
    let shipments = store::shipments::of_order(&mut tx, id, None, SHOWN_MAX).await?;
    let returns = store::returns::of_order(&mut tx, id, None, SHOWN_MAX).await?;
    tx.commit().await?;
    Ok(WholeOrder { order, items, shipments, returns })
}

/// Those of the orders that exist, with their lines, all of one moment. Two statements however many.
pub(crate) async fn orders_with_lines(
    pool: &PgPool,
    ids: &[Uuid],
) -> Result<Vec<(Order, Vec<Item>)>, OrdersError> {
    let mut tx = pool.begin_with(SNAPSHOT).await?;
    let orders = store::orders::find_all(&mut tx, ids).await?;
    let mut lines: HashMap<OrderId, Vec<Item>> = HashMap::with_capacity(orders.len());
    for (order_id, item) in store::items::of_orders(&mut tx, ids).await? {
        lines.entry(order_id).or_default().push(item);
    }
    tx.commit().await?;
    let with_lines = orders.into_iter().map(|order| {
        let items = lines.remove(&order.id).unwrap_or_default();
        (order, items)
    });
    Ok(with_lines.collect())
}

/// Which orders a list has, and in which order: each kind has an index.
#[derive(Debug)]
pub(crate) enum OrderList {
    /// Newest first.
    All { status: Option<OrderStatus> },
    /// Latest placed first.
    Placed { placed: Times, status: Option<OrderStatus> },
    /// Newest first.
    OfCustomer { id: CustomerId, created: Times, placed: Times, status: Option<OrderStatus> },
}

impl OrderList {
    /// Behind the key of the last row that was sent.
    pub(crate) async fn read(
        &self,
        db: &mut PgConnection,
        before: Option<TimeKey>,
        limit: i64,
    ) -> sqlx::Result<Vec<Order>> {
        let id = before.map(|key| OrderId(key.id));
        match self {
            Self::All { status: None } => store::orders::list(db, id, limit).await,
            Self::All { status: Some(status) } => {
                store::orders::list_with_status(db, *status, id, limit).await
            }
            Self::Placed { placed, status } => {
                store::orders::list_placed(db, placed, *status, before, limit).await
            }
            Self::OfCustomer { id, created, placed, status } => {
                store::orders::list_of_customer(db, *id, created, placed, *status, before, limit)
                    .await
            }
        }
    }
}

/// Which customers a list has.
#[derive(Debug)]
pub(crate) struct CustomerList {
    pub(crate) which: Customers,
    pub(crate) show_archived: bool,
}

#[derive(Debug)]
pub(crate) enum Customers {
    /// Oldest first.
    All {
        after: Option<CustomerId>,
    },
    WithEmail(String),
    /// In the order of their names.
    Named {
        prefix: String,
        after: Option<NameKey>,
    },
}

impl CustomerList {
    pub(crate) async fn read(
        &self,
        db: &mut PgConnection,
        limit: i64,
    ) -> sqlx::Result<Vec<Customer>> {
        let archived = self.show_archived;
        match &self.which {
            Customers::All { after } => store::customers::list(db, archived, *after, limit).await,
            Customers::WithEmail(email) => {
                let found = store::customers::find_by_emails(db, std::slice::from_ref(email));
                let found = found.await?.into_iter();
                Ok(found.filter(|one| archived || one.archived_at.is_none()).collect())
            }
            Customers::Named { prefix, after } => {
                store::customers::list_by_name(db, prefix, archived, after.as_ref(), limit).await
            }
        }
    }
}
