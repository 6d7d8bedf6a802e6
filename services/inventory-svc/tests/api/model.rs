//! Random lives of stock and orders, beside a model that fits on two pages: its own arithmetic, in pennies.

use std::collections::BTreeMap;

use prost_types::FieldMask;
use proto::inventory::v1::{
    self as pb, AdjustmentReason, ArchiveProductRequest, BatchGetItemsRequest, CountStockLine,
    CountStockRequest, ReceiveStockRequest, ReleaseReservationLine, ReleaseReservationRequest,
    ReservationState, RestoreProductRequest, UpdateItemRequest,
};
use testkit::{Dice, refusal};
use tonic::Code;
use uuid::Uuid;

use crate::app::{App, cancelled, new_order, part_cancelled, placed, returned, shipped};

const SKUS: [&str; 3] = ["A", "B", "C"];
const ORDERS: usize = 6;
const STEPS: usize = 60;

#[derive(Debug, Clone, Default)]
struct Stock {
    on_hand: i32,
    pennies: i64,
    movements: i64,
    reorder_point: i32,
    archived: bool,
    told: bool,
    /// On hand, reserved and reorder point when that was looked at last.
    seen: (i32, i32, i32),
    /// How often it is to have been told that more is needed.
    needed: usize,
}

#[derive(Debug, Clone, Default)]
struct Line {
    qty: i32,
    shipped: i32,
    released: i32,
    back: i32,
    shipped_pennies: i64,
    back_pennies: i64,
}

impl Line {
    fn open(&self) -> i32 {
        self.qty - self.shipped - self.released
    }
}

#[derive(Debug)]
struct Order {
    id: String,
    state: ReservationState,
    /// Whether an event was the first to say that it is placed, or any has since.
    placed: bool,
    lines: BTreeMap<usize, Line>,
}

#[derive(Debug, Default)]
struct Model {
    stock: [Stock; 3],
    /// Those that were ever heard of.
    orders: BTreeMap<usize, Order>,
}

/// Half a penny up.
fn portion(pennies: i64, part: i32, whole: i32) -> i64 {
    if whole == 0 {
        0
    } else {
        (2 * pennies * i64::from(part) + i64::from(whole)) / (2 * i64::from(whole))
    }
}

impl Model {
    fn reserved(&self, sku: usize) -> i32 {
        let lines = self.orders.values().filter_map(|order| order.lines.get(&sku));
        lines.map(Line::open).sum()
    }

    fn free(&self, sku: usize) -> i32 {
        self.stock[sku].on_hand - self.reserved(sku)
    }

    fn put(&mut self, sku: usize, qty: i32, pennies: Option<i64>) {
        let stock = &mut self.stock[sku];
        stock.pennies += pennies.unwrap_or(portion(stock.pennies, qty, stock.on_hand));
        stock.on_hand += qty;
        stock.movements += 1;
    }

    fn take(&mut self, sku: usize, qty: i32) -> i64 {
        let stock = &mut self.stock[sku];
        let pennies = portion(stock.pennies, qty, stock.on_hand);
        stock.pennies -= pennies;
        stock.on_hand -= qty;
        stock.movements += 1;
        pennies
    }

    fn change(&mut self, sku: usize, change: i32) {
        if change > 0 {
            self.put(sku, change, None);
        } else if change < 0 {
            self.take(sku, -change);
        }
    }

    fn ship(&mut self, order: usize, goods: &BTreeMap<usize, i32>) {
        for (sku, qty) in goods {
            let pennies = self.take(*sku, *qty);
            let line = self.orders.get_mut(&order).unwrap().lines.get_mut(sku).unwrap();
            line.shipped += qty;
            line.shipped_pennies += pennies;
        }
        let order = self.orders.get_mut(&order).unwrap();
        order.state = ReservationState::Confirmed;
        order.close();
    }

    fn release_all(&mut self, order: usize) {
        let Some(order) = self.orders.get_mut(&order) else { return };
        for line in order.lines.values_mut() {
            line.released += line.open();
        }
        order.close();
    }

    fn take_back(&mut self, order: usize, sku: usize, qty: i32, restock: bool) {
        let line = self.orders.get_mut(&order).unwrap().lines.get_mut(&sku).unwrap();
        line.back += qty;
        let all = portion(line.shipped_pennies, line.back, line.shipped).max(line.back_pennies);
        let pennies = all - line.back_pennies;
        line.back_pennies = all;
        self.put(sku, qty, Some(pennies));
        if !restock {
            let stock = &mut self.stock[sku];
            stock.pennies -= pennies;
            stock.on_hand -= qty;
            stock.movements += 1;
        }
    }

    /// What has fallen by this step.
    fn settle(&mut self) {
        for sku in 0..SKUS.len() {
            let (free, reserved) = (self.free(sku), self.reserved(sku));
            let stock = &mut self.stock[sku];
            let low = free <= stock.reorder_point;
            let now = (stock.on_hand, reserved, stock.reorder_point);
            if std::mem::replace(&mut stock.seen, now) != now && !stock.archived {
                stock.needed += usize::from(low && !stock.told);
                stock.told = low;
            }
        }
    }
}

impl Order {
    /// Whether calls are refused that would ship it, give it up or take it back.
    fn is_the_orders(&self) -> bool {
        let confirmed =
            matches!(self.state, ReservationState::Confirmed | ReservationState::Shipped);
        confirmed && self.placed
    }

    fn is_open(&self) -> bool {
        matches!(self.state, ReservationState::Held | ReservationState::Confirmed)
    }

    fn close(&mut self) {
        if self.lines.values().any(|line| line.open() > 0) {
            return;
        }
        let sold = self.lines.values().any(|line| line.shipped > 0);
        self.state = if sold { ReservationState::Shipped } else { ReservationState::Released };
    }

    fn open(&self) -> BTreeMap<usize, i32> {
        let open = self.lines.iter().filter(|(_, line)| line.open() > 0);
        open.map(|(sku, line)| (*sku, line.open())).collect()
    }
}

struct Life {
    app: App,
    dice: Dice,
    model: Model,
}

#[tokio::test]
async fn whatever_happens_the_books_balance_and_agree_with_the_model() {
    let mut seeds: Vec<u64> = (1..=5).collect();
    // One that nobody has seen.
    seeds.push(Uuid::now_v7().as_u64_pair().1);
    for seed in seeds {
        live(seed).await;
    }
}

/// Panics with the seed, unless all that is seen is what the model says.
async fn live(seed: u64) {
    let app = App::start().await;
    for sku in SKUS {
        app.stock(sku, 0).await;
    }
    let mut life = Life { app, dice: Dice::new(seed), model: Model::default() };
    for step in 0..STEPS {
        let what = life.step().await;
        life.model.settle();
        life.compare(&format!("seed {seed}, step {step}: {what}")).await;
    }
    let app = &life.app;
    app.check_books().await;
    app.check_account().await;
    app.check_versions().await;
    assert_eq!(app.log.dead_letters().await, [""; 0], "seed {seed}");
    for (sku, stock) in SKUS.iter().zip(&life.model.stock) {
        let told = app.told("stock.reorder_needed").await;
        let needed = told.iter().filter(|data| data["sku"] == *sku).count();
        assert_eq!(needed, stock.needed, "seed {seed}: {sku}");
    }
}

impl Life {
    /// Does something at random, and says what.
    async fn step(&mut self) -> String {
        let (order, sku) = (self.dice.roll(ORDERS), self.dice.roll(SKUS.len()));
        let qty = self.dice.roll(8_i32) + 1;
        let what = self.dice.roll(16);
        match what {
            0 | 1 => self.receive(sku, qty * 2).await,
            2 => self.adjust(sku, qty).await,
            3 => self.count(sku, qty).await,
            4 => self.set_reorder_point(sku, qty).await,
            5 => self.archive(sku).await,
            6..=8 => self.reserve(order, sku, qty).await,
            9 => self.confirm(order).await,
            10 | 11 => self.ship(order).await,
            12 => self.release(order).await,
            13 => self.cancel(order).await,
            _ => self.take_back(order).await,
        }
        format!("{what} of order {order}, {qty} {}", SKUS[sku])
    }

    async fn compare(&self, when: &str) {
        let request = BatchGetItemsRequest { skus: SKUS.map(str::to_owned).to_vec() };
        let items = self.app.client.clone().batch_get_items(request).await.unwrap().into_inner();
        for (sku, item) in items.items.iter().enumerate() {
            let stock = &self.model.stock[sku];
            let value =
                item.value.as_ref().unwrap().amount.replace('.', "").parse::<i64>().unwrap();
            assert_eq!(
                (item.on_hand, item.reserved, value, item.movement_count, item.archived),
                (
                    stock.on_hand,
                    self.model.reserved(sku),
                    stock.pennies,
                    stock.movements,
                    stock.archived
                ),
                "{} after {when}",
                item.sku
            );
        }
        for order in self.model.orders.values() {
            let seen = self.app.reservation(&order.id).await.unwrap();
            assert_eq!(seen.state(), order.state, "{order:?} after {when}");
        }
    }

    async fn receive(&mut self, sku: usize, quantity: i32) {
        let pennies = self.dice.roll(900_i64);
        let known = self.dice.roll(3) > 0;
        let request = ReceiveStockRequest {
            sku: SKUS[sku].to_owned(),
            quantity,
            unit_cost: if known {
                format!("{}.{:02}", pennies / 100, pennies % 100)
            } else {
                String::new()
            },
            ..Default::default()
        };
        let answer = self.app.client.clone().receive_stock(request).await;
        if self.model.stock[sku].archived {
            refusal(answer).is(Code::FailedPrecondition, "PRODUCT_ARCHIVED");
            return;
        }
        answer.unwrap();
        self.model.put(sku, quantity, known.then(|| pennies * i64::from(quantity)));
    }

    /// Two SKUs at once, all or nothing.
    async fn adjust(&mut self, sku: usize, qty: i32) {
        let other = (sku + 1) % SKUS.len();
        let changes = [(sku, -qty), (other, self.dice.roll(4) - 2)];
        let named: Vec<(&str, i32)> = changes
            .iter()
            .filter(|(_, change)| *change != 0)
            .map(|(sku, change)| (SKUS[*sku], *change))
            .collect();
        let answer = self.app.adjust(AdjustmentReason::Correction, &named).await;
        if changes.iter().any(|(sku, change)| self.model.free(*sku) + change < 0) {
            refusal(answer).is(Code::FailedPrecondition, "BELOW_RESERVED");
            return;
        }
        answer.unwrap();
        for (sku, change) in changes {
            self.model.change(sku, change);
        }
    }

    /// Sometimes by what was seen before the last movement.
    async fn count(&mut self, sku: usize, counted_quantity: i32) {
        let stale = self.dice.roll(3) == 0 && self.model.stock[sku].movements > 0;
        let movement_count = Some(self.model.stock[sku].movements - i64::from(stale));
        let sku_name = SKUS[sku].to_owned();
        let line = CountStockLine {
            sku: sku_name,
            counted_quantity: Some(counted_quantity),
            movement_count,
        };
        let request = CountStockRequest { lines: vec![line], ..Default::default() };
        let answer = self.app.client.clone().count_stock(request).await;
        if stale {
            refusal(answer).is(Code::Aborted, "ITEM_MOVED");
        } else if counted_quantity < self.model.reserved(sku) {
            refusal(answer).is(Code::FailedPrecondition, "BELOW_RESERVED");
        } else {
            answer.unwrap();
            self.model.change(sku, counted_quantity - self.model.stock[sku].on_hand);
        }
    }

    async fn set_reorder_point(&mut self, sku: usize, reorder_point: i32) {
        let item = pb::Item { sku: SKUS[sku].to_owned(), reorder_point, ..Default::default() };
        let request = UpdateItemRequest {
            item: Some(item),
            update_mask: Some(FieldMask { paths: vec!["reorder_point".to_owned()] }),
            ..Default::default()
        };
        self.app.client.clone().update_item(request).await.unwrap();
        self.model.stock[sku].reorder_point = reorder_point;
    }

    /// What is archived is restored.
    async fn archive(&mut self, sku: usize) {
        let mut client = self.app.client.clone();
        let name = SKUS[sku].to_owned();
        if self.model.stock[sku].archived {
            let request = RestoreProductRequest { sku: name, ..Default::default() };
            client.restore_product(request).await.unwrap();
            self.model.stock[sku].archived = false;
            return;
        }
        let request = ArchiveProductRequest { sku: name, ..Default::default() };
        let answer = client.archive_product(request).await;
        if self.model.stock[sku].on_hand > 0 {
            refusal(answer).is(Code::FailedPrecondition, "PRODUCT_IN_STOCK");
            return;
        }
        answer.unwrap();
        self.model.stock[sku].archived = true;
    }

    async fn reserve(&mut self, order: usize, sku: usize, qty: i32) {
        let wanted = BTreeMap::from([(sku, qty), ((sku + 1) % SKUS.len(), 1)]);
        let named: Vec<(&str, i32)> = wanted.iter().map(|(sku, qty)| (SKUS[*sku], *qty)).collect();
        let id = self.id_of(order);
        let answer = self.app.reserve(&id, &named).await;
        if let Some(known) = self.model.orders.get(&order) {
            let had = known.lines.iter().map(|(sku, line)| (*sku, line.qty));
            if known.state == ReservationState::Released {
                refusal(answer).is(Code::FailedPrecondition, "RESERVATION_RELEASED");
            } else if had.eq(wanted) {
                answer.unwrap();
            } else {
                refusal(answer).is(Code::AlreadyExists, "RESERVATION_DIFFERS");
            }
        } else if wanted.keys().any(|sku| self.model.stock[*sku].archived) {
            refusal(answer).is(Code::FailedPrecondition, "PRODUCT_ARCHIVED");
        } else if wanted.iter().any(|(sku, qty)| *qty > self.model.free(*sku)) {
            refusal(answer).is(Code::FailedPrecondition, "STOCK_SHORT");
        } else {
            answer.unwrap();
            let line = |(sku, qty)| (sku, Line { qty, ..Line::default() });
            let lines = wanted.into_iter().map(line).collect();
            let state = ReservationState::Held;
            self.model.orders.insert(order, Order { id, state, placed: false, lines });
        }
    }

    async fn confirm(&mut self, order: usize) {
        let Some(known) = self.model.orders.get_mut(&order) else { return };
        // orders-svc places only what is reserved.
        if known.is_open() && self.dice.roll(2) == 0 {
            self.app.hear(&[placed(&known.id)]).await;
            known.state = ReservationState::Confirmed;
            known.placed = true;
            return;
        }
        let answer = self.app.confirm(&known.id).await;
        match known.state {
            ReservationState::Released => {
                refusal(answer).is(Code::FailedPrecondition, "RESERVATION_RELEASED");
            }
            ReservationState::Held => {
                answer.unwrap();
                known.state = ReservationState::Confirmed;
            }
            _ => drop(answer.unwrap()),
        }
    }

    /// A part or all, by a call or an event, or by both.
    async fn ship(&mut self, order: usize) {
        let Some(known) = self.model.orders.get(&order) else { return };
        let mut goods = known.open();
        if !known.is_open() {
            let answer = self.app.commit(&known.id, &new_order(), &[]).await;
            assert_eq!(refusal(answer).code, Code::FailedPrecondition);
            return;
        }
        if self.dice.roll(2) == 0 {
            goods.values_mut().for_each(|qty| *qty = (*qty).min(2));
        }
        let named: Vec<(&str, i32)> = goods.iter().map(|(sku, qty)| (SKUS[*sku], *qty)).collect();
        let shipment = new_order();
        let way = self.dice.roll(3);
        let by_call = way != 1 && !known.is_the_orders();
        if way != 1 {
            let answer = self.app.commit(&known.id, &shipment, &named).await;
            if by_call {
                answer.unwrap();
            } else {
                refusal(answer).is(Code::FailedPrecondition, "ORDER_PLACED");
            }
        }
        if way != 0 || !by_call {
            self.app.hear(&[shipped(&known.id, &shipment, &named)]).await;
        }
        self.model.ship(order, &goods);
        self.model.orders.get_mut(&order).unwrap().placed = !by_call;
    }

    /// One of its lines, or all.
    async fn release(&mut self, order: usize) {
        let id = self.id_of(order);
        let the_orders = self.model.orders.get(&order).is_some_and(Order::is_the_orders);
        let open = self.model.orders.get(&order).map(Order::open).unwrap_or_default();
        if let Some((sku, open)) = open.first_key_value().filter(|_| self.dice.roll(2) == 0) {
            let quantity = self.dice.roll(*open) + 1;
            let line = ReleaseReservationLine { sku: SKUS[*sku].to_owned(), quantity };
            let request = ReleaseReservationRequest {
                request_id: new_order(),
                order_id: id,
                lines: vec![line],
            };
            let answer = self.app.client.clone().release_reservation(request).await;
            if the_orders {
                refusal(answer).is(Code::FailedPrecondition, "ORDER_PLACED");
                return;
            }
            answer.unwrap();
            let known = self.model.orders.get_mut(&order).unwrap();
            known.lines.get_mut(sku).unwrap().released += quantity;
            known.close();
            return;
        }
        let answer = self.app.release(&id).await;
        let released = self.model.orders.get(&order).is_some_and(|order| {
            !order.is_open() && order.lines.values().any(|line| line.released > 0)
        });
        if the_orders && !released {
            refusal(answer).is(Code::FailedPrecondition, "ORDER_PLACED");
            return;
        }
        let all_left = self.model.orders.get(&order).is_some_and(|order| {
            order.state == ReservationState::Shipped
                && order.lines.values().all(|line| line.released == 0)
        });
        if all_left {
            refusal(answer).is(Code::FailedPrecondition, "RESERVATION_SHIPPED");
            return;
        }
        answer.unwrap();
        self.end(order, id);
    }

    async fn cancel(&mut self, order: usize) {
        let id = self.id_of(order);
        if self.model.orders.contains_key(&order) && self.dice.roll(2) == 0 {
            self.app.hear(&[part_cancelled(&id)]).await;
        } else {
            self.app.hear(&[cancelled(&id)]).await;
        }
        self.end(order, id);
    }

    async fn take_back(&mut self, order: usize) {
        let Some(known) = self.model.orders.get(&order) else { return };
        let out = known.lines.iter().find(|(_, line)| line.shipped > line.back);
        let Some((&sku, line)) = out else { return };
        let quantity = self.dice.roll(line.shipped - line.back) + 1;
        let restock = self.dice.roll(2) == 0;
        let (id, back) = (new_order(), [(SKUS[sku], quantity, restock)]);
        let way = self.dice.roll(3);
        if way != 1 {
            let answer = self.app.take_back(&known.id, &id, &back).await;
            if known.is_the_orders() {
                refusal(answer).is(Code::FailedPrecondition, "ORDER_PLACED");
            } else {
                answer.unwrap();
            }
        }
        if way != 0 || known.is_the_orders() {
            self.app.hear(&[returned(&known.id, &id, &back)]).await;
        }
        self.model.take_back(order, sku, quantity, restock);
    }

    fn id_of(&self, order: usize) -> String {
        self.model.orders.get(&order).map_or_else(new_order, |order| order.id.clone())
    }

    /// Nothing more is promised to an order, whether or not it was heard of.
    fn end(&mut self, order: usize, id: String) {
        let none =
            Order { id, state: ReservationState::Released, placed: false, lines: BTreeMap::new() };
        self.model.orders.entry(order).or_insert(none);
        self.model.release_all(order);
    }
}
