use std::time::Duration;

use chrono::{DateTime, Utc};
use log::{Cause, Log, NewEvent};
use proto::events::v1::InvoiceOverdue;

use crate::{
    BillingError,
    domain::{Calendar, Invoice, Move},
    store,
};

/// Invoices that one step marks.
const BATCH_MAX: u16 = 500;

/// Marks invoices that were not paid in time, on the day after their due date or as soon after it as the service runs again.
///
/// Several replicas may sweep: whoever locks an invoice first marks it, the others leave it out.
#[derive(Debug)]
pub struct Sweeper {
    log: Log,
    calendar: Calendar,
}

impl Sweeper {
    #[must_use]
    pub fn new(log: Log, calendar: Calendar) -> Self {
        Self { log, calendar }
    }

    pub(crate) async fn run(self, interval: Duration, shutdown: rpc::Shutdown) {
        let work = async {
            loop {
                // The first one can wait, too: a fleet that starts has enough to do.
                tokio::time::sleep(interval).await;
                let swept = loop {
                    match self.step().await {
                        Ok(marked) if marked == usize::from(BATCH_MAX) => (),
                        swept => break swept,
                    }
                };
                if let Err(error) = swept {
                    tracing::warn!(%error, "overdue invoices are not marked for now");
                }
            }
        };
        tokio::select! { () = work => (), () = shutdown.cancelled() => () }
    }

    /// Marks a batch of those that are overdue now, by the database's clock. Gives their count.
    pub async fn step(&self) -> Result<usize, BillingError> {
        let mut db = self.log.pool().acquire().await?;
        let now = store::now(&mut db).await?;
        drop(db);
        self.step_at(now).await
    }

    /// The same at another time.
    pub async fn step_at(&self, now: DateTime<Utc>) -> Result<usize, BillingError> {
        let today = self.calendar.day_of(now);
        let mut tx = self.log.begin().await?;
        let due = store::invoices::lock_past_due(&mut tx, today, BATCH_MAX.into()).await?;
        let overdue: Vec<Invoice> =
            due.into_iter().filter_map(|invoice| invoice.after(Move::FallOverdue)).collect();
        let cause = Cause::of_call();
        let events: Vec<NewEvent> =
            overdue.iter().map(|invoice| fallen_overdue(invoice, &cause)).collect();
        store::invoices::update(&mut tx, &overdue.iter().collect::<Vec<_>>()).await?;
        self.log.append(&mut tx, &events).await?;
        self.log.commit(tx).await?;
        Ok(overdue.len())
    }
}

fn fallen_overdue(invoice: &Invoice, cause: &Cause) -> NewEvent {
    let data = InvoiceOverdue {
        invoice_id: invoice.id.to_string(),
        order_id: invoice.order_id.to_string(),
        customer_id: invoice.customer_id.to_string(),
        due_date: rpc::to_date(invoice.due_date),
    };
    NewEvent::new("invoice.overdue", invoice.id, invoice.version, &data, cause)
}
