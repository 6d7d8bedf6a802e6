//! Random lives of orders, beside a model that fits on a page.

use std::collections::BTreeMap;

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use tonic::Code;

use testkit::refusal;

use crate::app::{App, cancelled, new_order, placed, shipped};

const SKUS: [&str; 3] = ["A", "B", "C"];
const ORDERS: usize = 6;

#[derive(Debug, Clone)]
enum Step {
    Receive { sku: usize, qty: i32 },
    Reserve { order: usize, lines: Vec<(usize, i32)> },
    Place { order: usize },
    Ship { order: usize, qty: i32 },
    Release { order: usize },
    Cancel { order: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let order = 0..ORDERS;
    prop_oneof![
        2 => (0..3usize, 1..10i32).prop_map(|(sku, qty)| Step::Receive { sku, qty }),
        4 => (order.clone(), prop::collection::vec((0..3usize, 1..4i32), 1..4))
            .prop_map(|(order, lines)| Step::Reserve { order, lines }),
        2 => order.clone().prop_map(|order| Step::Place { order }),
        3 => (order.clone(), 1..4i32).prop_map(|(order, qty)| Step::Ship { order, qty }),
        1 => order.clone().prop_map(|order| Step::Release { order }),
        1 => order.prop_map(|order| Step::Cancel { order }),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Held,
    Placed,
    Shipped,
    Released,
}

#[derive(Debug)]
struct Order {
    state: State,
    /// Ordered and shipped by SKU.
    lines: BTreeMap<usize, (i32, i32)>,
}

#[derive(Debug, Default)]
struct Model {
    on_hand: [i32; 3],
    orders: BTreeMap<usize, Order>,
}

impl Model {
    fn reserved(&self, sku: usize) -> i32 {
        let open =
            self.orders.values().filter(|order| matches!(order.state, State::Held | State::Placed));
        open.filter_map(|order| order.lines.get(&sku)).map(|(qty, shipped)| qty - shipped).sum()
    }
}

async fn take(app: &App, ids: &[String], model: &mut Model, step: &Step) {
    match step {
        Step::Receive { sku, qty } => {
            app.receive(SKUS[*sku], *qty).await.unwrap();
            model.on_hand[*sku] += qty;
        }
        Step::Reserve { order, lines } => reserve(app, ids, model, *order, lines).await,
        Step::Place { order } => {
            // orders-svc places only what is reserved.
            if let Some(Order { state: state @ State::Held, .. }) = model.orders.get_mut(order) {
                app.hear(&[placed(&ids[*order])]).await;
                *state = State::Placed;
            }
        }
        Step::Ship { order, qty } => {
            let Some(order_is) = model.orders.get_mut(order) else { return };
            if order_is.state != State::Placed {
                return;
            }
            let mut goods = Vec::new();
            for (sku, (ordered, shipped)) in &mut order_is.lines {
                let qty = (*qty).min(*ordered - *shipped);
                if qty > 0 {
                    *shipped += qty;
                    model.on_hand[*sku] -= qty;
                    goods.push((SKUS[*sku], qty));
                }
            }
            if order_is.lines.values().all(|(ordered, shipped)| ordered == shipped) {
                order_is.state = State::Shipped;
            }
            app.hear(&[shipped(&ids[*order], &new_order(), &goods)]).await;
        }
        Step::Release { order } => {
            let answer = app.release(&ids[*order]).await;
            if model.orders.get(order).is_some_and(|order| order.state == State::Shipped) {
                refusal(answer).is(Code::FailedPrecondition, "RESERVATION_SHIPPED");
                return;
            }
            answer.unwrap();
            let none = Order { state: State::Released, lines: BTreeMap::new() };
            model.orders.entry(*order).or_insert(none).state = State::Released;
        }
        Step::Cancel { order } => {
            app.hear(&[cancelled(&ids[*order])]).await;
            let none = Order { state: State::Released, lines: BTreeMap::new() };
            let order = model.orders.entry(*order).or_insert(none);
            if order.state != State::Shipped {
                order.state = State::Released;
            }
        }
    }
}

async fn reserve(
    app: &App,
    ids: &[String],
    model: &mut Model,
    order: usize,
    lines: &[(usize, i32)],
) {
    let mut wanted: BTreeMap<usize, (i32, i32)> = BTreeMap::new();
    for (sku, qty) in lines {
        wanted.entry(*sku).or_default().0 += qty;
    }
    let named: Vec<(&str, i32)> = lines.iter().map(|(sku, qty)| (SKUS[*sku], *qty)).collect();
    let answer = app.reserve(&ids[order], &named).await;
    match model.orders.get(&order) {
        Some(Order { state: State::Released, .. }) => {
            refusal(answer).is(Code::FailedPrecondition, "RESERVATION_RELEASED");
        }
        Some(known) => {
            let same = known.lines.len() == wanted.len()
                && known
                    .lines
                    .iter()
                    .all(|(sku, line)| wanted.get(sku).is_some_and(|w| w.0 == line.0));
            if same {
                answer.unwrap();
            } else {
                refusal(answer).is(Code::AlreadyExists, "RESERVATION_DIFFERS");
            }
        }
        None if wanted
            .iter()
            .any(|(sku, (qty, _))| *qty > model.on_hand[*sku] - model.reserved(*sku)) =>
        {
            refusal(answer).is(Code::FailedPrecondition, "STOCK_SHORT");
        }
        None => {
            answer.unwrap();
            model.orders.insert(order, Order { state: State::Held, lines: wanted });
        }
    }
}

#[tokio::test]
async fn whatever_happens_the_books_balance_and_agree_with_the_model() {
    let app = App::start().await;
    for sku in SKUS {
        app.stock(sku, 0).await;
    }
    let mut runner = TestRunner::new(Config::default());
    let mut model = Model::default();
    for _ in 0..8 {
        let steps = prop::collection::vec(step(), 10..40).new_tree(&mut runner).unwrap().current();
        let ids: Vec<String> = (0..ORDERS).map(|_| new_order()).collect();
        model.orders.clear();
        for (name, on_hand) in SKUS.iter().zip(model.on_hand) {
            assert_eq!(app.levels(name).await, (on_hand, 0));
        }
        for one in &steps {
            take(&app, &ids, &mut model, one).await;
            for (sku, name) in SKUS.iter().enumerate() {
                let expected = (model.on_hand[sku], model.reserved(sku));
                assert_eq!(app.levels(name).await, expected, "{name} after {one:?} of {steps:?}");
            }
            app.check_books().await;
        }
        // The next lives begin with nothing reserved.
        for order in 0..ORDERS {
            take(&app, &ids, &mut model, &Step::Cancel { order }).await;
        }
    }
    assert_eq!(app.log.dead_letters().await, [""; 0]);
}
