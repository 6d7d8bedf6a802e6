//! Random lives of orders on both services, beside a model that fits on two pages.

use std::fmt::Debug;

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use proto::{
    inventory::v1::VerifyStockRequest,
    orders::v1::{
        CancelOrderRequest, CreateOrderLine, CreateOrderRequest, DeleteOrderRequest,
        HoldOrderRequest, Order, OrderStatus, PlaceOrderRequest, ReleaseOrderRequest,
        ReturnOrderRequest, ShipOrderRequest, UpdateOrderRequest,
    },
};
use tonic::{Code, Status};

use testkit::refusal;

use crate::{
    app::App,
    requests::{
        cancelling, holding, line, new_id, order, placing, prices, quantities, refunds, relining,
        returning, shipping, totals,
    },
};

const SKUS: [&str; 3] = ["A", "B", "C"];

/// SKU, quantity, tax in fifths.
type Asked = (usize, i32, i32);

#[derive(Debug, Clone)]
enum Step {
    Receive { sku: usize, qty: i32 },
    Reprice { sku: usize, pence: i32 },
    Create { lines: Vec<Asked>, place: bool },
    Update { order: usize, lines: Vec<Asked> },
    Delete { order: usize },
    Place { order: usize },
    Hold { order: usize },
    Release { order: usize },
    Ship { order: usize, most: i32 },
    Overship { order: usize },
    Cancel { order: usize },
    Return { order: usize, most: i32, restock: bool },
    Overreturn { order: usize },
    Pay { order: usize },
    TakePaymentBack { order: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let order = || 0..8usize;
    let lines = || prop::collection::vec((0..3usize, 1..5i32, 0..=3i32), 1..4);
    prop_oneof![
        3 => (0..3usize, 1..12i32).prop_map(|(sku, qty)| Step::Receive { sku, qty }),
        1 => (0..3usize, 1..999i32).prop_map(|(sku, pence)| Step::Reprice { sku, pence }),
        4 => (lines(), any::<bool>()).prop_map(|(lines, place)| Step::Create { lines, place }),
        2 => (order(), lines()).prop_map(|(order, lines)| Step::Update { order, lines }),
        1 => order().prop_map(|order| Step::Delete { order }),
        3 => order().prop_map(|order| Step::Place { order }),
        1 => order().prop_map(|order| Step::Hold { order }),
        2 => order().prop_map(|order| Step::Release { order }),
        5 => (order(), 0..3i32).prop_map(|(order, most)| Step::Ship { order, most }),
        1 => order().prop_map(|order| Step::Overship { order }),
        2 => order().prop_map(|order| Step::Cancel { order }),
        4 => (order(), 1..3i32, any::<bool>())
            .prop_map(|(order, most, restock)| Step::Return { order, most, restock }),
        1 => order().prop_map(|order| Step::Overreturn { order }),
        3 => order().prop_map(|order| Step::Pay { order }),
        1 => order().prop_map(|order| Step::TakePaymentBack { order }),
    ]
}

#[derive(Debug, Clone, PartialEq)]
struct Line {
    sku: usize,
    pence: i32,
    fifths: i32,
    /// Ordered, shipped, cancelled and returned.
    qty: [i32; 4],
}

/// Gross and tax, in pence.
type Worth = (i32, i32);

#[derive(Debug)]
struct Known {
    id: String,
    line_ids: Vec<String>,
    status: OrderStatus,
    was_placed: bool,
    held: bool,
    paid: bool,
    lines: Vec<Line>,
    total: Worth,
    refunded: Worth,
    events: usize,
}

#[derive(Debug, Default)]
struct Model {
    on_hand: [i32; 3],
    pence: [i32; 3],
    orders: Vec<Known>,
}

impl Line {
    fn open(&self) -> i32 {
        let [ordered, shipped, cancelled, _] = self.qty;
        ordered - shipped - cancelled
    }

    fn worth(&self) -> Worth {
        let [ordered, _, cancelled, returned] = self.qty;
        let net = self.pence * (ordered - cancelled - returned);
        let tax = (net * self.fifths * 2 + 5) / 10;
        (net + tax, tax)
    }
}

impl Model {
    fn lines(&self, asked: &[Asked]) -> Vec<Line> {
        let line = |(sku, qty, fifths): &Asked| {
            let (sku, fifths, pence) = (*sku, *fifths, self.pence[*sku]);
            Line { sku, pence, fifths, qty: [*qty, 0, 0, 0] }
        };
        asked.iter().map(line).collect()
    }

    fn reserved(&self, sku: usize) -> i32 {
        let placed = self.orders.iter().filter(|order| order.status == OrderStatus::Placed);
        placed.flat_map(|order| &order.lines).filter(|line| line.sku == sku).map(Line::open).sum()
    }

    fn is_short(&self, lines: &[Line]) -> bool {
        (0..3).any(|sku| {
            let wanted: i32 =
                lines.iter().filter(|line| line.sku == sku).map(|line| line.qty[0]).sum();
            wanted > self.on_hand[sku] - self.reserved(sku)
        })
    }
}

impl Known {
    fn worth(&self) -> Worth {
        let add = |(gross, tax): Worth, line: &Line| (gross + line.worth().0, tax + line.worth().1);
        self.lines.iter().fold((0, 0), add)
    }

    /// Changes the lines, and gives by how much they are worth less.
    fn change(&mut self, change: impl FnMut(&mut Line)) -> Worth {
        let before = self.worth();
        self.lines.iter_mut().for_each(change);
        let now = self.worth();
        (before.0 - now.0, before.1 - now.1)
    }

    fn went(&mut self, status: OrderStatus) {
        self.status = status;
        self.events += 1;
        self.held &= matches!(status, OrderStatus::Draft | OrderStatus::Placed);
        if status == OrderStatus::Shipped && self.paid {
            self.went(OrderStatus::Completed);
        }
    }

    /// Panics unless an order is as the model has it.
    fn compare(&self, found: &Order) {
        let state = (found.status(), found.paid, found.held, found.place_time.is_some());
        assert_eq!(state, (self.status, self.paid, self.held, self.was_placed));
        let skus: Vec<_> = self.lines.iter().map(|line| SKUS[line.sku]).collect();
        assert_eq!(found.lines.iter().map(|line| &*line.sku).collect::<Vec<_>>(), skus);
        assert_eq!(quantities(found), self.lines.iter().map(|line| line.qty).collect::<Vec<_>>());
        let pence: Vec<String> = self.lines.iter().map(|line| in_pounds(line.pence)).collect();
        assert_eq!(prices(found), pence);
        let pounds = |(gross, tax): Worth| (in_pounds(gross), in_pounds(tax));
        let (total, refunded) = (pounds(self.total), pounds(self.refunded));
        assert_eq!(totals(found), (&*total.0, &*total.1));
        assert_eq!(refunds(found), (&*refunded.0, &*refunded.1));
        let of_shipments = found.shipments.iter().flat_map(|shipment| &shipment.lines);
        let left: i32 = self.lines.iter().map(|line| line.qty[1]).sum();
        assert_eq!(of_shipments.map(|line| line.quantity).sum::<i32>(), left);
        let of_returns = found.returns.iter().flat_map(|returned| &returned.lines);
        let back: i32 = self.lines.iter().map(|line| line.qty[3]).sum();
        assert_eq!(of_returns.map(|line| line.quantity).sum::<i32>(), back);
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

fn refuses<T: Debug>(answer: Result<T, Status>, reason: &str) {
    refusal(answer).is(Code::FailedPrecondition, reason);
}

/// The same request again answers the same.
fn same<T: Debug + PartialEq>(answer: Result<T, Status>, again: Result<T, Status>) {
    assert_eq!(again.unwrap(), answer.unwrap());
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
        Step::Update { order, .. }
        | Step::Delete { order }
        | Step::Place { order }
        | Step::Hold { order }
        | Step::Release { order }
        | Step::Ship { order, .. }
        | Step::Overship { order }
        | Step::Cancel { order }
        | Step::Return { order, .. }
        | Step::Overreturn { order }
        | Step::Pay { order }
        | Step::TakePaymentBack { order }
            if *order >= model.orders.len() => {}
        Step::Update { order, lines } => update(app, model, *order, lines).await,
        Step::Delete { order } => delete(app, model, *order).await,
        Step::Place { order } => place(app, model, *order).await,
        Step::Hold { order } => hold(app, &mut model.orders[*order]).await,
        Step::Release { order } => release(app, &mut model.orders[*order]).await,
        Step::Ship { order, most } => ship(app, model, *order, *most).await,
        Step::Overship { order } => overship(app, &model.orders[*order]).await,
        Step::Cancel { order } => cancel(app, &mut model.orders[*order]).await,
        Step::Return { order, most, restock } => {
            take_back(app, model, *order, *most, *restock).await;
        }
        Step::Overreturn { order } => overreturn(app, &model.orders[*order]).await,
        Step::Pay { order } => {
            let known = &mut model.orders[*order];
            // Only what was placed has an invoice.
            if known.was_placed {
                app.hear_paid(&[&known.id]).await;
                known.paid = true;
                if known.status == OrderStatus::Shipped {
                    known.went(OrderStatus::Completed);
                }
            }
        }
        Step::TakePaymentBack { order } => {
            let known = &mut model.orders[*order];
            if known.paid {
                app.hear_reopened(&known.id).await;
                known.paid = false;
                if known.status == OrderStatus::Completed {
                    known.went(OrderStatus::Shipped);
                }
            }
        }
    }
}

fn asked(lines: &[Asked]) -> Vec<CreateOrderLine> {
    let line = |(sku, qty, fifths): &Asked| {
        let tax_rate = format!("0.{}", fifths * 2);
        CreateOrderLine { tax_rate, ..line(SKUS[*sku], *qty) }
    };
    lines.iter().map(line).collect()
}

async fn create(app: &App, model: &mut Model, customer: &str, lines: &[Asked], place: bool) {
    let request = CreateOrderRequest {
        request_id: new_id(),
        place,
        lines: asked(lines),
        ..order(customer, &[])
    };
    let lines = model.lines(lines);
    let answer = app.create(request.clone()).await;
    if place && model.is_short(&lines) {
        return refuses(answer, "STOCK_SHORT");
    }
    let made = answer.unwrap();
    assert_eq!(app.create(request).await.unwrap(), made);
    let mut known = Known {
        id: made.order_id.clone(),
        line_ids: made.lines.iter().map(|line| line.line_id.clone()).collect(),
        status: if place { OrderStatus::Placed } else { OrderStatus::Draft },
        was_placed: place,
        held: false,
        paid: false,
        lines,
        total: (0, 0),
        refunded: (0, 0),
        events: if place { 2 } else { 1 },
    };
    known.total = known.worth();
    known.compare(&made);
    model.orders.push(known);
}

async fn update(app: &App, model: &mut Model, order: usize, lines: &[Asked]) {
    let now = model.lines(lines);
    let known = &mut model.orders[order];
    let request = UpdateOrderRequest {
        request_id: new_id(),
        lines: asked(lines),
        ..relining(&known.id, &[])
    };
    let answer = app.update_order(request.clone()).await;
    if known.status != OrderStatus::Draft {
        return refuses(answer, "ORDER_STATE");
    }
    let changed = answer.unwrap();
    known.line_ids = changed.lines.iter().map(|line| line.line_id.clone()).collect();
    known.lines = now;
    known.total = known.worth();
    known.events += 1;
    known.compare(&changed);
    assert_eq!(app.update_order(request).await.unwrap(), changed);
}

async fn delete(app: &App, model: &mut Model, order: usize) {
    let order_id = model.orders[order].id.clone();
    let request = DeleteOrderRequest { request_id: new_id(), order_id, ..Default::default() };
    let answer = app.delete_as(request.clone()).await;
    if model.orders[order].status != OrderStatus::Draft {
        return refuses(answer, "ORDER_STATE");
    }
    same(answer, app.delete_as(request).await);
    let gone = model.orders.remove(order);
    refusal(app.find_order(&gone.id).await).is(Code::NotFound, "ORDER_NOT_FOUND");
    assert_eq!(app.told_of(&gone.id).await.len(), gone.events + 1);
}

async fn place(app: &App, model: &mut Model, order: usize) {
    let known = &model.orders[order];
    let request = PlaceOrderRequest { request_id: new_id(), ..placing(&known.id) };
    let answer = app.place_as(request.clone()).await;
    match known.status {
        OrderStatus::Cancelled => return refuses(answer, "ORDER_STATE"),
        OrderStatus::Draft if known.held => return refuses(answer, "ORDER_HELD"),
        OrderStatus::Draft if model.is_short(&known.lines) => {
            return refuses(answer, "STOCK_SHORT");
        }
        OrderStatus::Draft => {
            let (pence, known) = (model.pence, &mut model.orders[order]);
            known.change(|line| line.pence = pence[line.sku]);
            known.total = known.worth();
            known.was_placed = true;
            known.went(OrderStatus::Placed);
        }
        _ => (),
    }
    same(answer, app.place_as(request).await);
}

async fn hold(app: &App, known: &mut Known) {
    let request = HoldOrderRequest { request_id: new_id(), ..holding(&known.id) };
    let answer = app.hold_as(request.clone()).await;
    if !matches!(known.status, OrderStatus::Draft | OrderStatus::Placed) {
        return refuses(answer, "ORDER_STATE");
    }
    known.events += usize::from(!known.held);
    known.held = true;
    same(answer, app.hold_as(request).await);
}

async fn release(app: &App, known: &mut Known) {
    let request = ReleaseOrderRequest { request_id: new_id(), order_id: known.id.clone() };
    let answer = app.release_as(request.clone()).await;
    known.events += usize::from(known.held);
    known.held = false;
    same(answer, app.release_as(request).await);
}

/// All that is open or, of each line, at most so many.
async fn ship(app: &App, model: &mut Model, order: usize, most: i32) {
    let known = &mut model.orders[order];
    let takes = |line: &Line| if most == 0 { line.open() } else { line.open().min(most) };
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
        return refuses(answer, "ORDER_STATE");
    }
    if known.held {
        return refuses(answer, "ORDER_HELD");
    }
    same(answer, app.ship_as(request).await);
    let on_hand = &mut model.on_hand;
    known.change(|line| {
        let qty = takes(line);
        line.qty[1] += qty;
        on_hand[line.sku] -= qty;
    });
    let is_open = known.lines.iter().any(|line| line.open() > 0);
    known.went(if is_open { OrderStatus::Placed } else { OrderStatus::Shipped });
}

async fn overship(app: &App, known: &Known) {
    if known.status == OrderStatus::Placed {
        let lines = [(&*known.line_ids[0], known.lines[0].open() + 1)];
        let answer = app.ship_as(shipping(&known.id, &lines)).await;
        refuses(answer, if known.held { "ORDER_HELD" } else { "OVER_SHIPMENT" });
    }
}

async fn cancel(app: &App, known: &mut Known) {
    let request = CancelOrderRequest { request_id: new_id(), ..cancelling(&known.id) };
    let answer = app.cancel_as(request.clone()).await;
    let has_left = known.lines.iter().any(|line| line.qty[1] > 0);
    let was_given_up = known.lines.iter().any(|line| line.qty[2] > 0);
    match known.status {
        OrderStatus::Cancelled => (),
        _ if was_given_up => (),
        OrderStatus::Draft | OrderStatus::Placed if !has_left => {
            known.went(OrderStatus::Cancelled);
        }
        OrderStatus::Placed => {
            let (gross, tax) = known.change(|line| line.qty[2] = line.open());
            known.total = (known.total.0 - gross, known.total.1 - tax);
            known.went(OrderStatus::Shipped);
        }
        _ => return refuses(answer, "ORDER_STATE"),
    }
    same(answer, app.cancel_as(request).await);
}

/// Of each line at most so many; every other line the other way.
async fn take_back(app: &App, model: &mut Model, order: usize, most: i32, restock: bool) {
    let known = &mut model.orders[order];
    let takes = |line: &Line| (line.qty[1] - line.qty[3]).min(most);
    let mut way = restock;
    let mut parts = Vec::new();
    for (id, line) in known.line_ids.iter().zip(&known.lines) {
        if takes(line) > 0 {
            parts.push((id.as_str(), takes(line), way));
            model.on_hand[line.sku] += if way { takes(line) } else { 0 };
            way = !way;
        }
    }
    if matches!(known.status, OrderStatus::Draft | OrderStatus::Cancelled) {
        let some = [(known.line_ids[0].as_str(), 1, restock)];
        return refuses(app.take_back(returning(&known.id, &some)).await, "ORDER_STATE");
    }
    if parts.is_empty() {
        return;
    }
    let request = ReturnOrderRequest { request_id: new_id(), ..returning(&known.id, &parts) };
    let (_, returned) = app.take_back(request.clone()).await.unwrap();
    assert_eq!(app.take_back(request).await.unwrap().1.return_id, returned.return_id);
    let (gross, tax) = known.change(|line| line.qty[3] += takes(line));
    known.refunded = (known.refunded.0 + gross, known.refunded.1 + tax);
    known.events += 1;
}

async fn overreturn(app: &App, known: &Known) {
    if !matches!(known.status, OrderStatus::Draft | OrderStatus::Cancelled) {
        let [_, shipped, _, returned] = known.lines[0].qty;
        let some = [(known.line_ids[0].as_str(), shipped - returned + 1, true)];
        refuses(app.take_back(returning(&known.id, &some)).await, "OVER_RETURN");
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
        let steps = prop::collection::vec(step(), 40..80).new_tree(&mut runner).unwrap().current();
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
            assert_eq!(app.told_of(&known.id).await.len(), known.events, "{known:?}");
        }
        app.check_books().await;
        // The next lives have other orders; what these hold they hold.
        for known in std::mem::take(&mut model.orders) {
            let _ = app.cancel(&known.id).await;
        }
        app.settle().await;
        for name in SKUS {
            assert_eq!(app.levels(name).await.1, 0, "{name}");
        }
    }
    app.check_books().await;
    let verified = app.inventory.clone().verify_stock(VerifyStockRequest::default()).await.unwrap();
    assert_eq!(verified.into_inner().differences, []);
}
