//! What happens to the quantities of an order's lines, and what they are worth.
//!
//! **Invariant:** what an order is worth is always the sum over what is still bought of its lines, each rounded by itself. Whatever is
//! given up or returned is worth the difference: so all that is taken off a line, in whatever parts, is exactly what it was sold for.

use ids::OrderItemId;
use money::{Money, MoneyError};

use super::{Item, Portion, ReturnLine};
use crate::OrdersError;

/// Gross and tax of what is still bought: each line's amount and tax are rounded, half a penny up, and then added.
pub(crate) fn totals(items: &[Item]) -> Result<(Money, Money), MoneyError> {
    let (mut net, mut tax) = (Money::ZERO, Money::ZERO);
    for item in items {
        let amount = item.price.checked_mul(item.kept_qty())?;
        net = net.checked_add(amount)?;
        tax = tax.checked_add(amount.part(item.tax_rate)?)?;
    }
    Ok((net.checked_add(tax)?, tax))
}

/// By how much gross and tax are less than they were.
pub(crate) fn difference(before: &[Item], now: &[Item]) -> Result<(Money, Money), MoneyError> {
    let ((gross_before, tax_before), (gross, tax)) = (totals(before)?, totals(now)?);
    Ok((gross_before.checked_sub(gross)?, tax_before.checked_sub(tax)?))
}

/// Whether anything is still to be shipped.
pub(crate) fn is_open(items: &[Item]) -> bool {
    items.iter().any(|item| item.open_qty() > 0)
}

/// Ships the named quantities, or all that is open when none is named. Gives what leaves, in the order's order.
pub(crate) fn ship(
    items: &mut [Item],
    named: &[(OrderItemId, i32)],
) -> Result<Vec<Portion>, OrdersError> {
    refuse_unknown(items, named.iter().map(|(id, _)| id))?;
    let (mut lines, mut over) = (Vec::new(), Vec::new());
    for item in items {
        let open = item.open_qty();
        let asked = named.iter().find(|(id, _)| *id == item.id).map(|(_, qty)| *qty);
        let qty = if named.is_empty() { open } else { asked.unwrap_or(0) };
        if qty > open {
            over.push((item.id, qty, open));
        } else if qty > 0 {
            item.shipped_qty += qty;
            lines.push(item.portion(qty));
        }
    }
    if over.is_empty() { Ok(lines) } else { Err(OrdersError::OverShipment(over)) }
}

/// Gives up all that is open.
pub(crate) fn give_up(items: &mut [Item]) -> Vec<Portion> {
    let open = items.iter_mut().filter(|item| item.open_qty() > 0);
    let lines = open.map(|item| {
        let qty = item.open_qty();
        item.cancelled_qty += qty;
        item.portion(qty)
    });
    lines.collect()
}

/// Takes back what was shipped and has not come back before: a line's id, how many, and whether they can be sold again. Gives what comes
/// back, in the order's order, of each line first what can be sold again.
pub(crate) fn take_back(
    items: &mut [Item],
    named: &[(OrderItemId, i32, bool)],
) -> Result<Vec<ReturnLine>, OrdersError> {
    refuse_unknown(items, named.iter().map(|(id, _, _)| id))?;
    let (mut lines, mut over) = (Vec::new(), Vec::new());
    for item in items {
        let (can, mut asked) = (item.shipped_qty - item.returned_qty, 0);
        for restock in [true, false] {
            let of = |(id, _, way): &&(OrderItemId, i32, bool)| *id == item.id && *way == restock;
            for (_, qty, _) in named.iter().filter(of) {
                asked += qty;
                lines.push(ReturnLine { of: item.portion(*qty), restock });
            }
        }
        if asked > can {
            over.push((item.id, asked, can));
        }
        item.returned_qty += asked;
    }
    if over.is_empty() { Ok(lines) } else { Err(OrdersError::OverReturn(over)) }
}

fn refuse_unknown<'a>(
    items: &[Item],
    named: impl Iterator<Item = &'a OrderItemId>,
) -> Result<(), OrdersError> {
    let is_of_order = |id: &OrderItemId| items.iter().any(|item| item.id == *id);
    let unknown = named.enumerate().filter(|(_, id)| !is_of_order(id));
    let unknown: Vec<usize> = unknown.map(|(place, _)| place).collect();
    if unknown.is_empty() { Ok(()) } else { Err(OrdersError::UnknownLines(unknown)) }
}

impl Item {
    fn portion(&self, qty: i32) -> Portion {
        Portion { item_id: self.id, sku: self.sku.clone(), qty }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn item(qty: i32, price: &str, tax_rate: &str) -> Item {
        Item {
            id: OrderItemId::generate(),
            sku: "nut-m8".to_owned(),
            qty,
            price: Money::parse(price).unwrap(),
            price_agreed: false,
            tax_rate: tax_rate.parse().unwrap(),
            shipped_qty: 0,
            cancelled_qty: 0,
            returned_qty: 0,
        }
    }

    #[test]
    fn a_total_is_the_sum_of_rounded_lines() {
        let items = [item(3, "0.33", "0.2"), item(1, "0.13", "0.2"), item(7, "1.00", "0")];
        let (total, tax) = totals(&items).unwrap();
        assert_eq!(tax.to_string(), "0.23"); // 0.198 -> 0.20, 0.026 -> 0.03
        assert_eq!(total.to_string(), "8.35");
    }

    #[test]
    fn shipping_takes_what_is_open_and_no_more() {
        let mut items = [item(3, "1.00", "0"), item(2, "1.00", "0")];
        (items[0].shipped_qty, items[1].cancelled_qty) = (1, 1);
        assert!(matches!(
            ship(&mut items.clone(), &[(items[0].id, 3), (items[1].id, 2)]),
            Err(OrdersError::OverShipment(over)) if over == [(items[0].id, 3, 2), (items[1].id, 2, 1)]
        ));
        let part = [(items[1].id, 1)];
        ship(&mut items, &part).unwrap();
        assert!(is_open(&items));
        let rest = ship(&mut items, &[]).unwrap();
        assert_eq!(rest.iter().map(|line| line.qty).collect::<Vec<_>>(), [2]);
        assert!(!is_open(&items));
    }

    #[test]
    fn only_what_has_left_comes_back() {
        let mut items = [item(3, "1.00", "0"), item(2, "1.00", "0")];
        (items[0].shipped_qty, items[0].returned_qty) = (3, 1);
        let (first, second) = (items[0].id, items[1].id);
        let too_much = [(first, 1, true), (second, 1, true), (first, 2, false)];
        assert!(matches!(
            take_back(&mut items.clone(), &too_much),
            Err(OrdersError::OverReturn(over)) if over == [(first, 3, 2), (second, 1, 0)]
        ));
        let lines = take_back(&mut items, &[(first, 1, false), (first, 1, true)]).unwrap();
        let lines: Vec<_> = lines.iter().map(|line| (line.of.qty, line.restock)).collect();
        assert_eq!((lines, items[0].returned_qty), (vec![(1, true), (1, false)], 3));
    }

    proptest! {
        /// Also when goods come back before the rest is given up.
        #[test]
        fn what_is_taken_off_in_parts_sums_to_what_it_was_sold_for(
            qty in 1..40i32,
            pence in 1..500i128,
            rate in 0..=10_000i64,
            parts in prop::collection::vec((any::<bool>(), 1..9i32), 1..12),
        ) {
            let mut items = [item(qty, "0.01", "0")];
            items[0].price = Money::from_hundredths(pence).unwrap();
            items[0].tax_rate = rust_decimal::Decimal::new(rate, 4);
            items[0].shipped_qty = (qty + 1) / 2;
            let sold = totals(&items).unwrap();
            let mut off = (Money::ZERO, Money::ZERO);
            for (is_return, most) in parts.into_iter().chain([(false, 0), (true, qty)]) {
                let before = items.clone();
                if is_return {
                    let some = most.min(items[0].shipped_qty - items[0].returned_qty);
                    let id = items[0].id;
                    take_back(&mut items, &[(id, some, true)]).unwrap();
                } else {
                    give_up(&mut items);
                }
                let (gross, tax) = difference(&before, &items).unwrap();
                prop_assert!(!tax.is_negative() && tax <= gross);
                off = (off.0.checked_add(gross).unwrap(), off.1.checked_add(tax).unwrap());
            }
            prop_assert_eq!(items[0].kept_qty(), 0);
            prop_assert_eq!(off, sold);
        }
    }
}
