use log::{Apply, ApplyError, Event, Log};
use proto::events::v1::StockChanged;
use sqlx::PgConnection;

use super::{Told, amount, book, day, not_booked, read_id};
use crate::domain::{Document, Fact, RefType};

const SOURCE: &str = "inventory";

/// What stock is worth.
#[derive(Debug, Clone)]
pub(crate) struct InventoryBooks {
    pub(crate) log: Log,
}

impl Apply for InventoryBooks {
    const TYPES: &'static [&'static str] =
        &["stock.received", "stock.shipped", "stock.returned", "stock.adjusted"];

    async fn apply(&self, tx: &mut PgConnection, events: &[Event]) -> Result<(), ApplyError> {
        book(tx, &self.log, SOURCE, events, read).await
    }
}

/// None when no cost is known.
fn read(event: &Event) -> Result<Told, ApplyError> {
    let data: StockChanged = event.data()?;
    if data.cost.is_none() {
        return Ok(None);
    }
    let cost = amount(data.cost.as_ref())?;
    let document = document(&data)?;
    let fact = match event.event_type.as_str() {
        "stock.received" => Fact::StockReceived { document, cost },
        "stock.shipped" => Fact::StockShipped { document, cost },
        "stock.returned" => Fact::StockReturned { document, cost },
        "stock.adjusted" if data.gain => Fact::StockFound { document, cost },
        "stock.adjusted" => Fact::StockLost { document, cost },
        _ => return Err(not_booked(event)),
    };
    Ok(Some((fact, day(&data.effective_date)?)))
}

/// The order that the stock was for or, of a receipt or an adjustment, its own document.
fn document(data: &StockChanged) -> Result<Document, ApplyError> {
    let (ref_type, ref_id) = if data.order_id.is_empty() {
        (RefType::Stock, &data.document_id)
    } else {
        (RefType::Order, &data.order_id)
    };
    Ok(Document { ref_type, ref_id: read_id(ref_id)? })
}
