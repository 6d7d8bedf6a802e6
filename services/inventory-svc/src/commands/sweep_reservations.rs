use std::{collections::BTreeSet, time::Duration};

use ids::OrderId;
use log::{Cause, Log, NewEvent};
use proto::orders::v1::{GetOrderRequest, OrderStatus, orders_service_client::OrdersServiceClient};
use tonic::{Code, Request, Status};

use crate::{
    InventoryError,
    commands::promised,
    domain::{Book, By, GRACE},
    store,
};

/// Reservations that one step looks after.
const BATCH_MAX: u16 = 100;
const ASK_MAX: Duration = Duration::from_secs(2);

/// Looks after reservations that no order has confirmed in time: a crash between the reservation and the order costs nothing.
///
/// Two replicas may ask about the same ones: whoever locks one first settles it, the other finds it settled.
#[derive(Debug)]
pub struct Sweeper {
    log: Log,
    orders: OrdersServiceClient<rpc::Client>,
}

/// What has become of an order.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// It may still be placed, and reserved for again.
    Draft,
    /// It needs its stock.
    Placed,
    /// It never will.
    Over,
}

impl Sweeper {
    #[must_use]
    pub fn new(log: Log, orders: rpc::Client) -> Self {
        Self { log, orders: OrdersServiceClient::new(orders) }
    }

    pub(crate) async fn run(self, interval: Duration, shutdown: rpc::Shutdown) {
        let work = async {
            loop {
                // The first one can wait, too: a fleet that starts has enough to do.
                tokio::time::sleep(interval).await;
                let swept = loop {
                    match self.step().await {
                        Ok(settled) if settled == usize::from(BATCH_MAX) => (),
                        swept => break swept,
                    }
                };
                if let Err(error) = swept {
                    tracing::warn!(%error, "reservations that ran out stay for now");
                }
            }
        };
        tokio::select! { () = work => (), () = shutdown.cancelled() => () }
    }

    /// Asks orders-svc about a batch of reservations that ran out, and settles those that it knows the fate of. Gives their count.
    pub async fn step(&self) -> Result<usize, InventoryError> {
        let mut db = self.log.pool().acquire().await?;
        let grace_s = GRACE.num_seconds();
        let found = store::reservations::run_out(&mut db, grace_s, BATCH_MAX.into()).await?;
        drop(db);
        let mut fates = Vec::new();
        for id in found {
            match self.fate(id).await {
                Ok(fate) => fates.push((id, fate)),
                Err(status) => {
                    tracing::warn!(order.id = %id, error = status.message(), "orders-svc cannot be asked");
                    if matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded) {
                        break;
                    }
                }
            }
        }
        self.settle(&fates).await
    }

    async fn fate(&self, id: OrderId) -> Result<Fate, Status> {
        let mut request = Request::new(GetOrderRequest { order_id: id.to_string() });
        request.set_timeout(ASK_MAX);
        match self.orders.clone().get_order(request).await {
            Ok(answer) => match answer.into_inner().order.unwrap_or_default().status() {
                OrderStatus::Draft => Ok(Fate::Draft),
                OrderStatus::Placed | OrderStatus::Shipped | OrderStatus::Completed => {
                    Ok(Fate::Placed)
                }
                OrderStatus::Cancelled => Ok(Fate::Over),
                OrderStatus::Unspecified => Err(Status::internal("an order without a status")),
            },
            Err(status) if status.code() == Code::NotFound => Ok(Fate::Over),
            Err(status) => Err(status),
        }
    }

    /// Locks as every command does, and looks again: one that was renewed or confirmed meanwhile stays.
    async fn settle(&self, fates: &[(OrderId, Fate)]) -> Result<usize, InventoryError> {
        if fates.is_empty() {
            return Ok(0);
        }
        let orders: BTreeSet<OrderId> = fates.iter().map(|(id, _)| *id).collect();
        let cause = Cause::of_call();
        let mut tx = self.log.begin().await?;
        let mut book = store::book::lock(&mut tx, &orders, &orders, &[]).await?;
        let (mut events, mut settled) = (Vec::new(), 0);
        for (id, fate) in fates {
            if book.has_run_out(*id) {
                tracing::info!(order.id = %id, ?fate, "a reservation ran out");
                events.extend(settle(&mut book, *id, *fate, &cause)?);
                settled += 1;
            }
        }
        store::book::save(&mut tx, &book).await?;
        self.log.append(&mut tx, &events).await?;
        self.log.commit(tx).await?;
        Ok(settled)
    }
}

fn settle(
    book: &mut Book,
    id: OrderId,
    fate: Fate,
    cause: &Cause,
) -> Result<Vec<NewEvent>, InventoryError> {
    let news = match fate {
        Fate::Placed => {
            book.confirm(id, By::Order)?;
            None
        }
        Fate::Draft => book.lapse(id)?,
        Fate::Over => book.release(id, By::Order)?,
    };
    Ok(news.map_or_else(Vec::new, |news| promised("stock.released", id, news, book, cause)))
}
