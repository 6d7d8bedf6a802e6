//! What others hear of stock.

use ids::{OrderId, ReturnId, ShipmentId};
use log::{Cause, NewEvent};
use proto::events::v1::{ReorderNeeded, ReorderPointSet, StockChanged, StockLevelChanged};
use uuid::Uuid;

use crate::domain::{Book, Calendar, ItemNews, LevelChange, Moves, News, Reason, Shelf};

/// Why something is told, and the calendar by which the books date what it cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) calendar: &'a Calendar,
    pub(crate) cause: &'a Cause,
}

/// `stock.reserved` or `stock.released`, and what fell to its reorder point by it.
pub(crate) fn promised(
    event_type: &'static str,
    order_id: OrderId,
    news: News,
    book: &mut Book,
    cause: &Cause,
) -> Vec<NewEvent> {
    let order = order_id.to_string();
    let data =
        StockChanged { order_id: order, levels: show(news.moves.levels), ..Default::default() };
    let event = NewEvent::new(event_type, order_id, news.version, &data, cause);
    with_items(vec![event], &mut book.shelf, cause)
}

/// `stock.shipped`.
pub(crate) fn shipped(
    order_id: OrderId,
    shipment_id: ShipmentId,
    news: News,
    book: &mut Book,
    told: Told<'_>,
) -> Vec<NewEvent> {
    let data = StockChanged {
        order_id: order_id.to_string(),
        shipment_id: shipment_id.to_string(),
        ..told.of(news.moves)
    };
    let event = NewEvent::new("stock.shipped", order_id, news.version, &data, told.cause);
    with_items(vec![event], &mut book.shelf, told.cause)
}

/// `stock.returned`, and `stock.adjusted` for what of it is scrapped.
pub(crate) fn returned(
    order_id: OrderId,
    return_id: ReturnId,
    (came, scrapped): (News, Moves),
    book: &mut Book,
    told: Told<'_>,
) -> Vec<NewEvent> {
    let data = StockChanged {
        order_id: order_id.to_string(),
        document_id: return_id.to_string(),
        ..told.of(came.moves)
    };
    let event = NewEvent::new("stock.returned", order_id, came.version, &data, told.cause);
    let found = Moves::default();
    let scrapped = told.adjusted(return_id.0, Reason::Scrapped, found, scrapped);
    with_items(std::iter::once(event).chain(scrapped).collect(), &mut book.shelf, told.cause)
}

impl Told<'_> {
    /// `stock.received`.
    pub(crate) fn received(self, delivery: Uuid, moves: Moves, shelf: &mut Shelf) -> Vec<NewEvent> {
        let data = StockChanged { document_id: delivery.to_string(), ..self.of(moves) };
        let event = NewEvent::new("stock.received", delivery, 1, &data, self.cause);
        with_items(vec![event], shelf, self.cause)
    }

    /// `stock.adjusted`, one a direction.
    pub(crate) fn adjusted(
        self,
        document: Uuid,
        reason: Reason,
        found: Moves,
        lost: Moves,
    ) -> Vec<NewEvent> {
        let moved = [(true, found), (false, lost)];
        let moved = moved.into_iter().filter(|(_, moves)| !moves.is_empty());
        let event = |(version, (gain, moves)): (i32, (bool, Moves))| {
            let data = StockChanged {
                document_id: document.to_string(),
                gain,
                reason: reason.word().to_owned(),
                ..self.of(moves)
            };
            NewEvent::new("stock.adjusted", document, version, &data, self.cause)
        };
        (1..).zip(moved).map(event).collect()
    }

    fn of(self, moves: Moves) -> StockChanged {
        let costly = moves.at.filter(|_| moves.cost.is_positive());
        let day = costly.map(|at| rpc::to_date(self.calendar.day_of(at)));
        StockChanged {
            levels: show(moves.levels),
            cost: costly.map(|_| rpc::to_money(moves.cost)),
            effective_date: day.unwrap_or_default(),
            ..Default::default()
        }
    }
}

fn with_items(mut events: Vec<NewEvent>, shelf: &mut Shelf, cause: &Cause) -> Vec<NewEvent> {
    events.extend(item_events(shelf, cause));
    events
}

/// What is to be told of items themselves. No SKU has a colon, so that no product has an item's subject.
pub(crate) fn item_events(shelf: &mut Shelf, cause: &Cause) -> Vec<NewEvent> {
    let event = |news: ItemNews| match news {
        ItemNews::ReorderPointSet { sku, reorder_point, version } => {
            let subject = format!("item:{sku}");
            let data = ReorderPointSet { sku, reorder_point };
            NewEvent::new("stock.reorder_point_set", subject, version, &data, cause)
        }
        ItemNews::ReorderNeeded { sku, available, reorder_point, version } => {
            let subject = format!("item:{sku}");
            let data = ReorderNeeded { sku, available, reorder_point };
            NewEvent::new("stock.reorder_needed", subject, version, &data, cause)
        }
    };
    shelf.item_news().into_iter().map(event).collect()
}

fn show(levels: Vec<LevelChange>) -> Vec<StockLevelChanged> {
    let level = |level: LevelChange| StockLevelChanged {
        sku: level.sku,
        quantity: level.qty,
        on_hand: level.on_hand,
        reserved: level.reserved,
        reorder_point: level.reorder_point,
    };
    levels.into_iter().map(level).collect()
}
