use std::collections::BTreeMap;

use ids::{OrderId, ReturnId};
use money::Money;

use super::Contents;
use crate::{
    InventoryError,
    domain::{Book, By, Document, Moves, News, Reason, ReservedLine, shelf::portion},
};

/// How much of a SKU comes back, and how much of that cannot be sold again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TakenBack {
    pub(crate) qty: i32,
    pub(crate) scrapped: i32,
}

impl TakenBack {
    pub(crate) fn add(&mut self, qty: i32, restock: bool) {
        self.qty = self.qty.saturating_add(qty);
        if !restock {
            self.scrapped = self.scrapped.saturating_add(qty);
        }
    }
}

impl Book {
    /// Takes goods back that an order was shipped, for what they had cost, and scraps those that cannot be sold again, for what they came in
    /// for: others of the SKU are worth what they were. Gives the news of what came and what was scrapped; none when that return has come
    /// before.
    pub(crate) fn take_back(
        &mut self,
        order_id: OrderId,
        return_id: ReturnId,
        goods: &BTreeMap<String, TakenBack>,
        by: By,
    ) -> Result<Option<(News, Moves)>, InventoryError> {
        self.reservation(order_id)?;
        let order = Some(order_id);
        let came = goods.iter().map(|(sku, back)| ((Reason::Return, sku.clone()), back.qty));
        let gone = goods.iter().filter(|(_, back)| back.scrapped > 0);
        let gone = gone.map(|(sku, back)| ((Reason::Scrapped, sku.clone()), -back.scrapped));
        let said = Contents { order_id: order, goods: came.chain(gone).collect() };
        match self.documents.get(&return_id.0) {
            Some(back) if *back == said => return Ok(None),
            Some(_) => return Err(InventoryError::ReturnDiffers(return_id)),
            None => (),
        }
        self.check_owner(order_id, by)?;
        let (mut came, mut gone) = (Moves::default(), Moves::default());
        let mut scraps = Vec::new();
        for (sku, back) in goods {
            let line = self.lines.entry(order_id).or_default().get_mut(sku);
            let out = line.as_ref().map_or(0, |line| line.shipped_qty - line.returned_qty);
            let line = line.filter(|_| (1..=out).contains(&back.qty)).ok_or_else(|| {
                InventoryError::OverReturn { order_id, sku: sku.clone(), qty: back.qty, out }
            })?;
            let cost = cost_of_return(line, back.qty)?;
            let document = Document { reason: Reason::Return, id: return_id.0, order_id: order };
            came.add(self.shelf.put(sku, back.qty, Some(cost), document)?)?;
            if back.scrapped > 0 {
                let cost = portion(cost, back.scrapped, back.qty);
                let cost = cost.map_err(|_| InventoryError::ValueOutOfRange(sku.clone()))?;
                scraps.push((sku, back.scrapped, cost));
            }
        }
        // Only once all is here: the event of what came tells its levels.
        for (sku, qty, cost) in scraps {
            let document = Document { reason: Reason::Scrapped, id: return_id.0, order_id: order };
            gone.add(self.shelf.take(sku, qty, 0, Some(cost), document)?)?;
        }
        self.documents.insert(return_id.0, said);
        self.changed_lines.insert(order_id);
        let news = News { version: self.tell(order_id)?, moves: came };
        Ok(Some((news, gone)))
    }
}

/// What those that come back had cost when they left: all that came back so far, less what was counted of it before, so that the last one
/// brings all that is left.
fn cost_of_return(line: &mut ReservedLine, qty: i32) -> Result<Money, InventoryError> {
    line.returned_qty += qty;
    let back = portion(line.shipped_cost, line.returned_qty, line.shipped_qty)
        // More may have left since, for less each.
        .map(|back| back.max(line.returned_cost));
    let cost = back.and_then(|back| back.checked_sub(line.returned_cost));
    let cost = cost.map_err(|_| InventoryError::ValueOutOfRange(line.sku.clone()))?;
    let back = line.returned_cost.checked_add(cost);
    line.returned_cost = back.map_err(|_| InventoryError::ValueOutOfRange(line.sku.clone()))?;
    Ok(cost)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn whatever_leaves_between_returns_they_bring_back_what_left() {
        let money = |text| Money::parse(text).unwrap();
        let mut line = ReservedLine {
            shipped_qty: 2,
            shipped_cost: money("2.01"),
            ..ReservedLine::new(OrderId(Uuid::from_u128(1)), "a".to_owned(), 10)
        };
        assert_eq!(cost_of_return(&mut line, 1).unwrap(), money("1.01"), "half a penny up");
        // Eight more leave for nothing: by now each had cost 0.201.
        line.shipped_qty = 10;
        assert_eq!(cost_of_return(&mut line, 1).unwrap(), Money::ZERO, "never negative");
        assert_eq!(cost_of_return(&mut line, 4).unwrap(), money("0.20"));
        assert_eq!(cost_of_return(&mut line, 4).unwrap(), money("0.80"));
        assert_eq!((line.returned_qty, line.returned_cost), (10, money("2.01")));
    }
}
