use ids::ReturnId;
use money::Money;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const TTL: TimeDelta = TimeDelta::minutes(15);

fn time(minutes: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
}

fn order(number: u128) -> OrderId {
    OrderId(Uuid::from_u128(number))
}

fn shipment(number: u128) -> ShipmentId {
    ShipmentId(Uuid::from_u128(number))
}

fn held(number: u128) -> Reservation {
    Reservation {
        order_id: order(number),
        state: ReservationState::Held,
        expires_at: time(15),
        by_call: false,
        version: 1,
        seen_at: time(0),
    }
}

/// A book of fresh reservations for orders 1 to `orders`.
fn book(orders: u128, on_hand: &[(&str, i32)]) -> Book {
    let level = |(sku, qty): &(&str, i32)| Level {
        sku: (*sku).to_owned(),
        name: format!("a {sku}"),
        price: Money::ZERO,
        archived: false,
        qty_on_hand: *qty,
        reserved_qty: 0,
        reorder_point: 0,
        value: Money::from_hundredths(i128::from(*qty) * 250).unwrap(),
        movement_count: 0,
        reorder_told: false,
        version: 0,
        seen_at: time(0),
    };
    let fresh = (1..=orders).map(held).collect();
    Book::new(fresh, Vec::new(), Vec::new(), on_hand.iter().map(level).collect())
}

fn wanted(lines: &[(&str, i32)]) -> BTreeMap<String, Wanted> {
    let line =
        |(line, (sku, qty)): (usize, &(&str, i32))| ((*sku).to_owned(), Wanted { qty: *qty, line });
    lines.iter().enumerate().map(line).collect()
}

fn goods(lines: &[(&str, i32)]) -> BTreeMap<String, i32> {
    lines.iter().map(|(sku, qty)| ((*sku).to_owned(), *qty)).collect()
}

fn level<'a>(book: &'a Book, sku: &str) -> &'a Level {
    book.shelf.level(sku).unwrap()
}

fn ship(
    book: &mut Book,
    number: u128,
    by: u128,
    lines: &[(&str, i32)],
) -> Result<News, InventoryError> {
    book.ship(order(number), shipment(by), Some(&goods(lines)), By::Order).map(Option::unwrap)
}

fn reserved(book: &Book, sku: &str) -> i32 {
    level(book, sku).reserved_qty
}

#[test]
fn an_order_gets_all_its_lines_or_none() {
    let mut book = book(2, &[("a", 5), ("b", 1)]);
    let refusal = book.reserve(order(1), &wanted(&[("a", 2), ("b", 2)]), TTL).unwrap_err();
    assert_eq!(refusal.to_string(), "too little stock: b (requested 2, available 1)");
    assert_eq!(reserved(&book, "a"), 0);

    let news = book.reserve(order(2), &wanted(&[("a", 2), ("b", 1)]), TTL).unwrap().unwrap();
    assert_eq!(news.version, 1);
    assert_eq!(news.moves.levels[0], level(&book, "a").changed_by(2));
    assert_eq!((reserved(&book, "a"), reserved(&book, "b")), (2, 1));
    assert_eq!(book.unused_reservations(), &BTreeSet::from([order(1)]));
}

#[test]
fn unknown_skus_are_all_named_with_their_lines() {
    let mut book = book(1, &[("m", 5)]);
    let refusal = book.reserve(order(1), &wanted(&[("z", 1), ("m", 9), ("a", 1)]), TTL);
    let InventoryError::UnknownSkus { skus, .. } = refusal.unwrap_err() else { panic!() };
    assert_eq!(skus, [(2, "a".to_owned()), (0, "z".to_owned())]);
}

#[test]
fn the_same_again_gets_the_same_and_no_more() {
    let mut book = book(1, &[("a", 5)]);
    assert!(book.reserve(order(1), &wanted(&[("a", 3)]), TTL).unwrap().is_some());
    assert_eq!(book.reserve(order(1), &wanted(&[("a", 3)]), TTL).unwrap(), None);
    assert_eq!((reserved(&book, "a"), book.expires_at(order(1)).unwrap()), (3, time(15)));
    let other = book.reserve(order(1), &wanted(&[("a", 2)]), TTL).unwrap_err();
    assert!(matches!(other, InventoryError::ReservationDiffers(_)));

    book.confirm(order(1), By::Order).unwrap();
    ship(&mut book, 1, 1, &[("a", 3)]).unwrap();
    assert_eq!(book.reserve(order(1), &wanted(&[("a", 3)]), TTL).unwrap(), None);
}

#[test]
fn a_repeated_reservation_that_runs_out_gets_its_full_time_again() {
    let mut book = book(1, &[("a", 5)]);
    book.reserve(order(1), &wanted(&[("a", 3)]), TTL).unwrap();
    book.reservations.get_mut(&order(1)).unwrap().seen_at = time(20);
    assert_eq!(book.reserve(order(1), &wanted(&[("a", 3)]), TTL).unwrap(), None);
    assert_eq!(book.expires_at(order(1)).unwrap(), time(35));
    assert_eq!(book.changed_reservations().len(), 1);
}

#[test]
fn what_is_released_cannot_be_reserved_confirmed_or_shipped() {
    let mut book = book(1, &[("a", 5)]);
    book.reserve(order(1), &wanted(&[("a", 3)]), TTL).unwrap();
    assert_eq!(book.release(order(1), By::Order).unwrap().unwrap().version, 2);
    assert_eq!(book.release(order(1), By::Order).unwrap(), None);
    assert_eq!(reserved(&book, "a"), 0);

    let released = |refusal| matches!(refusal, InventoryError::ReservationReleased(_));
    assert!(released(book.reserve(order(1), &wanted(&[("a", 3)]), TTL).unwrap_err()));
    assert!(released(book.confirm(order(1), By::Order).unwrap_err()));
    assert!(released(ship(&mut book, 1, 1, &[("a", 3)]).unwrap_err()));
}

#[test]
fn a_part_shipment_leaves_the_rest_to_be_released() {
    let mut book = book(1, &[("a", 5)]);
    book.reserve(order(1), &wanted(&[("a", 3)]), TTL).unwrap();
    book.confirm(order(1), By::Order).unwrap();
    assert_eq!(ship(&mut book, 1, 1, &[("a", 2)]).unwrap().version, 2);
    let news = book.release(order(1), By::Order).unwrap().unwrap();
    assert_eq!((news.version, news.moves.levels[0].qty), (3, 1));
    assert_eq!((level(&book, "a").qty_on_hand, reserved(&book, "a")), (3, 0));
    assert_eq!(book.shelf.movements()[0].qty, -2);
}

#[test]
fn all_shipped_is_shipped_and_cannot_be_released() {
    let mut book = book(1, &[("a", 5)]);
    book.reserve(order(1), &wanted(&[("a", 3)]), TTL).unwrap();
    ship(&mut book, 1, 1, &[("a", 3)]).unwrap();
    assert_eq!(book.reservations[&order(1)].state, ReservationState::Shipped);
    assert!(matches!(
        book.release(order(1), By::Order),
        Err(InventoryError::ReservationShipped(_))
    ));
}

#[test]
fn no_more_is_shipped_than_is_reserved() {
    let mut book = book(1, &[("a", 5), ("b", 5)]);
    book.reserve(order(1), &wanted(&[("a", 3)]), TTL).unwrap();
    for (sku, qty) in [("a", 4), ("a", 0), ("a", -1), ("b", 1)] {
        let refusal = ship(&mut book, 1, 1, &[(sku, qty)]).unwrap_err();
        assert!(matches!(refusal, InventoryError::OverShipment { .. }), "{sku} {qty}");
    }
}

#[test]
fn a_draft_whose_time_ran_out_can_be_reserved_for_again() {
    let mut book = book(1, &[("a", 5)]);
    book.reserve(order(1), &wanted(&[("a", 3)]), TTL).unwrap();
    assert_eq!(book.lapse(order(1)).unwrap(), None, "its time has not run out");
    book.reservations.get_mut(&order(1)).unwrap().seen_at = time(17);
    assert_eq!(book.lapse(order(1)).unwrap().unwrap().version, 2);
    assert_eq!(reserved(&book, "a"), 0);

    let news = book.reserve(order(1), &wanted(&[("a", 4)]), TTL).unwrap().unwrap();
    assert_eq!((news.version, reserved(&book, "a")), (3, 4));
    assert_eq!(book.expires_at(order(1)).unwrap(), time(32));
}

proptest! {
    /// Whatever happens in whatever order: no unit is promised twice, none comes or goes unseen, nor does a penny, and versions have no
    /// hole.
    #[test]
    fn the_book_always_balances(
        stock in prop::collection::vec(0..20i32, 3),
        steps in prop::collection::vec((0..7u8, 1..6u128, 0..3usize, 1..8i32), 1..60),
    ) {
        let skus = ["a", "b", "c"];
        let on_hand: Vec<(&str, i32)> = skus.into_iter().zip(stock.iter().copied()).collect();
        let mut book = book(5, &on_hand);
        let mut versions = BTreeMap::new();
        for (index, (what, number, sku, qty)) in steps.into_iter().enumerate() {
            let id = order(number);
            let by = if index % 3 == 0 { By::Call } else { By::Order };
            let (sku, other) = (skus[sku], skus[(sku + 1) % 3]);
            let news = match what {
                0 | 1 => book.reserve(id, &wanted(&[(sku, qty), (other, 1)]), TTL).ok().flatten(),
                2 => book.confirm(id, by).map(|_| None).unwrap_or_default(),
                3 => {
                    let id_of_shipment = shipment(u128::try_from(index).unwrap());
                    book.ship(id, id_of_shipment, Some(&goods(&[(sku, qty)])), by).ok().flatten()
                }
                4 => book.release_lines(id, &goods(&[(sku, qty)])).ok(),
                5 => {
                    let back = TakenBack { qty, scrapped: qty / 2 };
                    let back = BTreeMap::from([(sku.to_owned(), back)]);
                    let number = u128::try_from(index).unwrap() + 1000;
                    let back = book.take_back(id, ReturnId(Uuid::from_u128(number)), &back, by);
                    back.ok().flatten().map(|(news, _)| news)
                }
                _ => book.release(id, by).ok().flatten(),
            };
            if let Some(news) = news {
                let version = versions.entry(id).or_insert(0);
                *version += 1;
                prop_assert_eq!(news.version, *version);
            }
            for (sku, start) in &on_hand {
                let level = level(&book, sku);
                let open = |state| matches!(state, ReservationState::Held | ReservationState::Confirmed);
                let promised: i32 = book.lines.values().flat_map(BTreeMap::values)
                    .filter(|line| line.sku == *sku && open(book.reservations[&line.order_id].state))
                    .map(ReservedLine::open)
                    .sum();
                let moved: i32 = book.shelf.movements().iter().filter(|m| m.sku == *sku).map(|m| m.qty).sum();
                prop_assert_eq!(level.reserved_qty, promised);
                prop_assert_eq!(level.qty_on_hand, start + moved);
                let costs = book.shelf.movements().iter().filter(|m| m.sku == *sku).map(|m| m.cost.hundredths());
                prop_assert_eq!(level.value.hundredths(), i128::from(*start) * 250 + costs.sum::<i128>());
                prop_assert!((0..=level.qty_on_hand).contains(&level.reserved_qty));
            }
            for line in book.lines.values().flat_map(BTreeMap::values) {
                prop_assert!(line.returned_cost <= line.shipped_cost);
                prop_assert!(line.returned_qty < line.shipped_qty || line.returned_cost == line.shipped_cost);
            }
            // What falls is told after each step.
            book.shelf.item_news();
        }
    }
}
