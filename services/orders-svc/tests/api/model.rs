//! Random lives of orders on both services, beside a model that fits on a page.

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use proto::orders::v1::{
    CancelOrderRequest, CreateOrderLine, CreateOrderRequest, Order, OrderStatus, PlaceOrderRequest,
    ShipOrderRequest,
};
use tonic::{Code, Status};

use testkit::refusal;

use crate::{
    app::App,
    requests::{amount, cancelling, line, new_id, order, placing, prices, shipping},
};

const SKUS: [&str; 3] = ["A", "B", "C"];

#[derive(Debug, Clone)]
enum Step {
    Receive { sku: usize, qty: i32 },
    Reprice { sku: usize, pence: i32 },
    Create { lines: Vec<(usize, i32, i32)>, place: bool },
    Place { order: usize },
    Ship { order: usize, most: i32 },
    Overship { order: usize },
    Cancel { order: usize },
    Pay { order: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let order = 0..12usize;
    let line = (0..3usize, 1..4i32, 0..=3i32);
    prop_oneof![
        3 => (0..3usize, 1..10i32).prop_map(|(sku, qty)| Step::Receive { sku, qty }),
        1 => (0..3usize, 1..999i32).prop_map(|(sku, pence)| Step::Reprice { sku, pence }),
        4 => (prop::collection::vec(line, 1..4), any::<bool>())
            .prop_map(|(lines, place)| Step::Create { lines, place }),
        3 => order.clone().prop_map(|order| Step::Place { order }),
        4 => (order.clone(), 0..3i32).prop_map(|(order, most)| Step::Ship { order, most }),
        1 => order.clone().prop_map(|order| Step::Overship { order }),
        2 => order.clone().prop_map(|order| Step::Cancel { order }),
        2 => order.prop_map(|order| Step::Pay { order }),
    ]
}

#[derive(Debug, Clone, PartialEq)]
struct Line {
    sku: usize,
    qty: i32,
    shipped: i32,
    pence: i32,
    /// Of tax, in fifths.
    fifths: i32,
}

#[derive(Debug)]
struct Known {
    id: String,
    line_ids: Vec<String>,
    status: OrderStatus,
    paid: bool,
    lines: Vec<Line>,
    events: usize,
}

#[derive(Debug, Default)]
struct Model {
    on_hand: [i32; 3],
    pence: [i32; 3],
    orders: Vec<Known>,
}

impl Model {
    fn reserved(&self, sku: usize) -> i32 {
        let placed = self.orders.iter().filter(|order| order.status == OrderStatus::Placed);
        let lines = placed.flat_map(|order| &order.lines).filter(|line| line.sku == sku);
        lines.map(|line| line.qty - line.shipped).sum()
    }

    fn is_short(&self, lines: &[Line]) -> bool {
        (0..3).any(|sku| {
            let wanted: i32 =
                lines.iter().filter(|line| line.sku == sku).map(|line| line.qty).sum();
            wanted > self.on_hand[sku] - self.reserved(sku)
        })
    }
}

impl Known {
    fn is_open(&self) -> bool {
        self.lines.iter().any(|line| line.shipped < line.qty)
    }

    fn complete_if_due(&mut self) {
        if self.status == OrderStatus::Shipped && self.paid {
            self.status = OrderStatus::Completed;
            self.events += 1;
        }
    }

    /// Panics unless an order is as the model has it.
    fn compare(&self, found: &Order) {
        assert_eq!((found.status(), found.paid), (self.status, self.paid));
        let line = |line: &Line| (SKUS[line.sku], line.qty, line.shipped);
        let lines: Vec<_> = self.lines.iter().map(line).collect();
        let of = found.lines.iter().map(|line| (&*line.sku, line.quantity, line.shipped_quantity));
        assert_eq!(of.collect::<Vec<_>>(), lines);
        let pence: Vec<String> = self.lines.iter().map(|line| in_pounds(line.pence)).collect();
        assert_eq!(prices(found), pence);
        let net = |line: &Line| line.pence * line.qty;
        let tax = |line: &Line| (net(line) * line.fifths * 2 + 5) / 10;
        let total: i32 = self.lines.iter().map(|line| net(line) + tax(line)).sum();
        assert_eq!(amount(found.total.as_ref()), in_pounds(total));
        assert_eq!(found.place_time.is_some(), self.was_placed());
    }

    fn was_placed(&self) -> bool {
        self.events > 1 && !(self.status == OrderStatus::Cancelled && self.events == 2)
    }
}

/// Tells of itself when it fails.
struct Life<'a>(&'a [Step]);

impl Drop for Life<'_> {
    #[expect(clippy::print_stderr, reason = "the next life will be another")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("a life that failed: {:#?}", self.0);
        }
    }
}

fn in_pounds(pence: i32) -> String {
    format!("{}.{:02}", pence / 100, pence % 100)
}

fn refused_state<T: std::fmt::Debug>(answer: Result<T, Status>) {
    refusal(answer).is(Code::FailedPrecondition, "ORDER_STATE");
}

async fn take(app: &App, model: &mut Model, customer: &str, step: &Step) {
    match step {
        Step::Receive { sku, qty } => {
            app.receive(SKUS[*sku], *qty).await;
            model.on_hand[*sku] += qty;
        }
        Step::Reprice { sku, pence } => {
            app.set_price(SKUS[*sku], &in_pounds(*pence)).await;
            model.pence[*sku] = *pence;
        }
        Step::Create { lines, place } => create(app, model, customer, lines, *place).await,
        Step::Place { order } => place(app, model, *order).await,
        Step::Ship { order, most } => ship(app, model, *order, *most).await,
        Step::Overship { order } => {
            let Some(known) = model.orders.get(*order) else { return };
            if known.status == OrderStatus::Placed {
                let lines =
                    [(&*known.line_ids[0], known.lines[0].qty - known.lines[0].shipped + 1)];
                let refused = refusal(app.ship_as(shipping(&known.id, &lines)).await);
                refused.is(Code::FailedPrecondition, "OVER_SHIPMENT");
            }
        }
        Step::Cancel { order } => {
            let Some(known) = model.orders.get_mut(*order) else { return };
            let request = CancelOrderRequest { request_id: new_id(), ..cancelling(&known.id) };
            let answer = app.cancel_as(request.clone()).await;
            let nothing_left = known.lines.iter().all(|line| line.shipped == 0);
            match known.status {
                OrderStatus::Cancelled => (),
                OrderStatus::Draft | OrderStatus::Placed if nothing_left => {
                    known.status = OrderStatus::Cancelled;
                    known.events += 1;
                }
                _ => return refused_state(answer),
            }
            assert_eq!(app.cancel_as(request).await.unwrap(), answer.unwrap());
        }
        Step::Pay { order } => {
            let Some(known) = model.orders.get_mut(*order) else { return };
            // Only what was placed has an invoice.
            if known.status != OrderStatus::Draft && known.was_placed() {
                app.hear_paid(&[&known.id]).await;
                known.paid = true;
                known.complete_if_due();
            }
        }
    }
}

async fn create(
    app: &App,
    model: &mut Model,
    customer: &str,
    lines: &[(usize, i32, i32)],
    place: bool,
) {
    let request = CreateOrderRequest {
        request_id: new_id(),
        place,
        lines: lines
            .iter()
            .map(|(sku, qty, fifths)| CreateOrderLine {
                tax_rate: format!("0.{}", fifths * 2),
                ..line(SKUS[*sku], *qty)
            })
            .collect(),
        ..order(customer, &[])
    };
    let lines: Vec<Line> = lines
        .iter()
        .map(|(sku, qty, fifths)| Line {
            sku: *sku,
            qty: *qty,
            shipped: 0,
            pence: model.pence[*sku],
            fifths: *fifths,
        })
        .collect();
    let answer = app.create(request.clone()).await;
    if place && model.is_short(&lines) {
        refusal(answer).is(Code::FailedPrecondition, "STOCK_SHORT");
        return;
    }
    let made = answer.unwrap();
    assert_eq!(app.create(request).await.unwrap(), made);
    let (status, events) = if place { (OrderStatus::Placed, 2) } else { (OrderStatus::Draft, 1) };
    let line_ids = made.lines.iter().map(|line| line.line_id.clone()).collect();
    let known = Known { id: made.order_id.clone(), line_ids, status, paid: false, lines, events };
    known.compare(&made);
    model.orders.push(known);
}

async fn place(app: &App, model: &mut Model, order: usize) {
    let Some(known) = model.orders.get(order) else { return };
    let request = PlaceOrderRequest { request_id: new_id(), ..placing(&known.id) };
    let answer = app.place_as(request.clone()).await;
    match known.status {
        OrderStatus::Cancelled => return refused_state(answer),
        OrderStatus::Draft if model.is_short(&known.lines) => {
            refusal(answer).is(Code::FailedPrecondition, "STOCK_SHORT");
            return;
        }
        OrderStatus::Draft => {
            let pence = model.pence;
            let known = &mut model.orders[order];
            (known.status, known.events) = (OrderStatus::Placed, known.events + 1);
            for line in &mut known.lines {
                line.pence = pence[line.sku];
            }
        }
        _ => (),
    }
    assert_eq!(app.place_as(request).await.unwrap(), answer.unwrap());
}

/// All that is open or, of each line, at most so many.
async fn ship(app: &App, model: &mut Model, order: usize, most: i32) {
    let Some(known) = model.orders.get_mut(order) else { return };
    let takes = |line: &Line| {
        let open = line.qty - line.shipped;
        if most == 0 { open } else { open.min(most) }
    };
    let parts: Vec<(&str, i32)> = known
        .line_ids
        .iter()
        .zip(&known.lines)
        .map(|(id, line)| (id.as_str(), takes(line)))
        .filter(|(_, qty)| *qty > 0)
        .collect();
    let named = shipping(&known.id, if most == 0 { &[] } else { &parts });
    let request = ShipOrderRequest { request_id: new_id(), ..named };
    let answer = app.ship_as(request.clone()).await;
    if known.status != OrderStatus::Placed {
        return refused_state(answer);
    }
    assert_eq!(app.ship_as(request).await.unwrap(), answer.unwrap());
    for line in &mut known.lines {
        let qty = takes(line);
        line.shipped += qty;
        model.on_hand[line.sku] -= qty;
    }
    known.events += 1;
    if !known.is_open() {
        known.status = OrderStatus::Shipped;
        known.complete_if_due();
    }
}

#[tokio::test]
async fn whatever_happens_the_books_balance_and_agree_with_the_model() {
    let app = App::start().await;
    for sku in SKUS {
        app.stock(sku, 0, "1.00").await;
    }
    let customer = app.customer().await;
    let mut runner = TestRunner::new(Config::default());
    let mut model = Model { pence: [100; 3], ..Model::default() };
    for _ in 0..8 {
        let steps = prop::collection::vec(step(), 20..50).new_tree(&mut runner).unwrap().current();
        let _told = Life(&steps);
        for one in &steps {
            take(&app, &mut model, &customer, one).await;
            app.settle().await;
            for (sku, name) in SKUS.iter().enumerate() {
                let expected = (model.on_hand[sku], model.reserved(sku));
                assert_eq!(app.levels(name).await, expected, "{name} after {one:?}");
            }
        }
        for known in &model.orders {
            known.compare(&app.order(&known.id).await);
            assert_eq!(app.told_of(&known.id).await.len(), known.events);
        }
        app.check_books().await;
        // The next lives have other orders; what these hold they hold.
        for known in std::mem::take(&mut model.orders) {
            let _ = app.cancel(&known.id).await;
            let _ = app.ship(&known.id).await;
        }
        app.settle().await;
        for (sku, name) in SKUS.iter().enumerate() {
            let (on_hand, reserved) = app.levels(name).await;
            assert_eq!(reserved, 0);
            model.on_hand[sku] = on_hand;
        }
    }
    app.check_books().await;
}
