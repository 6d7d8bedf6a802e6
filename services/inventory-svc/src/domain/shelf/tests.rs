use proptest::prelude::*;

use super::*;

fn money(text: &str) -> Money {
    Money::parse(text).unwrap()
}

fn shelf(on_hand: i32, value: &str, reorder_point: i32) -> Shelf {
    let level = Level {
        sku: "a".to_owned(),
        name: "an a".to_owned(),
        price: Money::ZERO,
        archived: false,
        qty_on_hand: on_hand,
        reserved_qty: 0,
        reorder_point,
        value: money(value),
        movement_count: 0,
        reorder_told: false,
        version: 0,
        seen_at: DateTime::UNIX_EPOCH,
    };
    Shelf::new(vec![level])
}

fn document(reason: Reason) -> Document {
    Document { reason, id: Uuid::from_u128(1), order_id: None }
}

fn put(shelf: &mut Shelf, qty: i32, cost: Option<&str>) -> String {
    shelf.put("a", qty, cost.map(money), document(Reason::Receipt)).unwrap().cost.to_string()
}

fn take(shelf: &mut Shelf, qty: i32) -> String {
    shelf.take("a", qty, 0, None, document(Reason::Lost)).unwrap().cost.to_string()
}

fn value(shelf: &Shelf) -> String {
    shelf.level("a").unwrap().value.to_string()
}

/// Available of each that is told to have fallen to its reorder point.
fn needed(shelf: &mut Shelf) -> Vec<i32> {
    let needed = |news| match news {
        ItemNews::ReorderNeeded { available, .. } => Some(available),
        ItemNews::ReorderPointSet { .. } => None,
    };
    shelf.item_news().into_iter().filter_map(needed).collect()
}

#[test]
fn what_leaves_takes_its_share_and_the_last_one_all() {
    let mut shelf = shelf(0, "0", 0);
    assert_eq!(put(&mut shelf, 3, Some("10.00")), "10.00");
    assert_eq!(take(&mut shelf, 1), "3.33");
    assert_eq!(take(&mut shelf, 1), "3.34", "half a penny goes up");
    assert_eq!((take(&mut shelf, 1).as_str(), value(&shelf).as_str()), ("3.33", "0.00"));
}

#[test]
fn what_comes_moves_the_average() {
    let mut shelf = shelf(10, "10.00", 0);
    put(&mut shelf, 10, Some("20.00"));
    assert_eq!(take(&mut shelf, 4), "6.00");
    assert_eq!(put(&mut shelf, 2, None), "3.00", "at the average, where nobody knows");
    assert_eq!(value(&shelf), "27.00");
}

#[test]
fn nothing_on_hand_has_no_average() {
    let mut shelf = shelf(0, "0", 0);
    assert_eq!(put(&mut shelf, 5, None), "0.00");
    put(&mut shelf, 5, Some("7.00"));
    assert_eq!(take(&mut shelf, 5), "3.50");
}

#[test]
fn movements_have_their_numbers_and_signs() {
    let mut shelf = shelf(0, "0", 0);
    put(&mut shelf, 3, Some("9.00"));
    take(&mut shelf, 2);
    let moved: Vec<_> = shelf.movements().iter().map(|m| (m.sequence, m.qty, m.cost)).collect();
    assert_eq!(moved, [(1, 3, money("9")), (2, -2, money("-6"))]);
}

#[test]
fn no_more_leaves_than_is_free() {
    let mut shelf = shelf(5, "5.00", 0);
    shelf.promise("a", 3).unwrap();
    for (qty, promised) in [(3, 0), (6, 3), (i32::MAX, 0)] {
        let refusal = shelf.take("a", qty, promised, None, document(Reason::Lost)).unwrap_err();
        assert!(matches!(refusal, InventoryError::BelowReserved(_)), "{qty} {promised}");
    }
    let changes = BTreeMap::from([("a".to_owned(), -3)]);
    let refusal = shelf.adjust(&changes, document(Reason::Lost)).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "less would be left than is reserved: a (on hand 5, reserved 3, change -3)"
    );
    assert!(shelf.movements().is_empty());
}

#[test]
fn more_than_can_be_counted_is_refused() {
    let mut shelf = shelf(1, "999999999999.00", 0);
    let dear = shelf.put("a", 1, Some(money("1.00")), document(Reason::Receipt)).unwrap_err();
    assert!(matches!(dear, InventoryError::ValueOutOfRange(_)));
    let many = shelf.put("a", i32::MAX, Some(Money::ZERO), document(Reason::Receipt)).unwrap_err();
    assert!(matches!(many, InventoryError::TooMany(_)));
}

#[test]
fn a_fall_to_the_reorder_point_is_told_once_until_it_is_above_again() {
    let mut shelf = shelf(10, "0", 4);
    shelf.promise("a", 5).unwrap();
    assert_eq!(needed(&mut shelf), [0; 0]);
    shelf.promise("a", 2).unwrap();
    assert_eq!(needed(&mut shelf), [3]);
    put(&mut shelf, 1, None);
    assert_eq!(needed(&mut shelf), [0; 0], "4 is not above 4");
    put(&mut shelf, 1, None);
    assert_eq!(needed(&mut shelf), [0; 0]);
    take(&mut shelf, 1);
    assert_eq!(needed(&mut shelf), [4]);
    assert_eq!(shelf.level("a").unwrap().version, 2);
}

#[test]
fn what_comes_and_goes_at_once_falls_past_nothing() {
    let mut shelf = shelf(4, "0", 4);
    put(&mut shelf, 0, None);
    assert_eq!(needed(&mut shelf), [4]);
    put(&mut shelf, 2, None);
    take(&mut shelf, 2);
    assert_eq!(needed(&mut shelf), [0; 0]);
}

#[test]
fn a_reorder_point_that_is_raised_to_what_is_there_is_told_after_it_was_set() {
    let mut shelf = shelf(10, "0", 0);
    let mut news = Vec::new();
    for point in [9, 10, 11] {
        shelf.set_reorder_point("a", point).unwrap();
        news.extend(shelf.item_news());
    }
    let told: Vec<(bool, i32)> = news
        .into_iter()
        .map(|news| match news {
            ItemNews::ReorderPointSet { version, .. } => (false, version),
            ItemNews::ReorderNeeded { version, .. } => (true, version),
        })
        .collect();
    assert_eq!(told, [(false, 1), (false, 2), (true, 3), (false, 4)]);
}

#[test]
fn a_delivery_counts_before_its_reorder_point() {
    let mut shelf = shelf(0, "0", 0);
    let level = shelf.receive("a", 5, None, Some(4), document(Reason::Receipt)).unwrap().level;
    assert_eq!((level.on_hand, level.reorder_point), (5, 4));
    assert_eq!(needed(&mut shelf), [0; 0]);
    shelf.receive("a", 5, None, Some(10), document(Reason::Receipt)).unwrap();
    assert_eq!(needed(&mut shelf), [10]);
}

#[test]
fn of_an_archived_product_nothing_is_needed() {
    let mut shelf = shelf(0, "0", 3);
    shelf.set_archived("a", true).unwrap();
    put(&mut shelf, 1, None);
    assert_eq!(needed(&mut shelf), [0; 0]);
}

proptest! {
    /// Whatever comes and goes: the value is what movements cost, nothing is worth nothing, and news of a fall comes once a fall.
    #[test]
    fn the_value_is_exact_and_falls_are_told_once(
        steps in prop::collection::vec((0..4u8, 1..9i32, 0..2000i128), 1..80),
    ) {
        let mut shelf = shelf(0, "0", 2);
        // Nothing is told before anything was there.
        shelf.levels.get_mut("a").unwrap().reorder_told = true;
        let mut was_above = false;
        for (what, qty, cost) in steps {
            let cost = Money::from_hundredths(cost).unwrap();
            let free = shelf.level("a").unwrap().available();
            match what {
                0 => drop(shelf.put("a", qty, Some(cost), document(Reason::Receipt)).unwrap()),
                1 => drop(shelf.put("a", qty, None, document(Reason::Found)).unwrap()),
                _ => prop_assert_eq!(shelf.take("a", qty, 0, None, document(Reason::Lost)).is_ok(), qty <= free),
            }
            let level = shelf.level("a").unwrap().clone();
            let sum = shelf.movements().iter().map(|moved| moved.cost.hundredths()).sum::<i128>();
            prop_assert_eq!(level.value.hundredths(), sum);
            prop_assert!(!level.value.is_negative());
            prop_assert!(level.qty_on_hand > 0 || level.value.is_zero());
            let is_above = level.available() > 2;
            prop_assert_eq!(needed(&mut shelf).len(), usize::from(was_above && !is_above));
            was_above = is_above;
        }
    }
}
