//! The service under test with all that it needs, and the words that the tests use.

use std::time::Duration;

use async_nats::Client;
use clap::Parser;
use inventory_svc::{Config, Sweeper};
use log::{Cause, Log, NewEvent};
use proto::{
    common::v1::Money,
    events::v1::{
        OrderCancelled, OrderDrafted, OrderPartCancelled, OrderPlaced, OrderReturned, OrderShipped,
        ReturnedLine, ShippedLine,
    },
    inventory::v1::{self as pb, inventory_service_client::InventoryServiceClient},
    log::v1::event_log_client::EventLogClient,
};
use rpc::Shutdown;
use rust_decimal::Decimal;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tonic::Status;
use uuid::Uuid;

use testkit::{PlayedService, ServiceLog, TestDb, TestNats, past_midnight};

use crate::orders::FakeOrders;

pub(crate) const WAIT_MAX: Duration = Duration::from_secs(30);

pub(crate) struct App {
    pub(crate) client: InventoryServiceClient<rpc::Client>,
    pub(crate) event_log: EventLogClient<rpc::Client>,
    pub(crate) log: ServiceLog,
    /// Sees everything.
    pub(crate) db: PgPool,
    pub(crate) orders: FakeOrders,
    pub(crate) sweeper: Sweeper,
    played_orders: PlayedService,
    config: Config,
    bus: Client,
    shutdown: Shutdown,
    _database: TestDb,
    _nats: TestNats,
}

impl Drop for App {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::start_on(TestDb::start().await).await
    }

    pub(crate) async fn start_on(database: TestDb) -> Self {
        let nats = TestNats::start().await;
        let orders = FakeOrders::default();
        let config = Config::parse_from([
            "inventory-svc",
            "--database-url",
            &database.url("inventory_svc"),
            "--nats-url",
            &nats.url(),
            "--orders-url",
            &orders.start().await,
            // Tests drive the sweeper themselves.
            "--sweep-interval-ms",
            "3600000",
        ]);
        let shutdown = Shutdown::new();
        let bus = log::connect(&config.nats, "test").await.unwrap();
        let played_orders = PlayedService::start(&database, bus.clone(), "orders", &shutdown).await;

        let pool = pg::connect(&config.postgres, "inventory").await.unwrap();
        let to_orders = config.client.client(&config.orders_url).unwrap();
        let sweeper = Sweeper::new(Log::new(pool.clone(), "inventory"), to_orders);
        let channel = serve(&config, bus.clone(), &shutdown).await;
        let db = PgPool::connect(&database.admin_url()).await.unwrap();
        past_midnight(&db, "Europe/London", 2).await;
        Self {
            client: InventoryServiceClient::new(channel.clone()),
            event_log: EventLogClient::new(channel),
            log: ServiceLog::new(&db, "inventory", WAIT_MAX),
            db,
            orders,
            sweeper,
            played_orders,
            config,
            bus,
            shutdown,
            _database: database,
            _nats: nats,
        }
    }

    /// One more of the service, on the same database and bus.
    pub(crate) async fn replica(&self) -> InventoryServiceClient<rpc::Client> {
        InventoryServiceClient::new(serve(&self.config, self.bus.clone(), &self.shutdown).await)
    }

    /// Adds a product for 9.99 each, of which so many are on hand.
    pub(crate) async fn stock(&self, sku: &str, on_hand: i32) {
        let product = product(sku, &format!("a {sku}"), "9.99");
        self.client.clone().create_product(product).await.unwrap();
        if on_hand > 0 {
            self.receive(sku, on_hand).await.unwrap();
        }
    }

    pub(crate) async fn receive(&self, sku: &str, quantity: i32) -> Result<pb::Item, Status> {
        let request =
            pb::ReceiveStockRequest { sku: sku.to_owned(), quantity, ..Default::default() };
        let answer = self.client.clone().receive_stock(request).await?;
        Ok(answer.into_inner().item.unwrap())
    }

    /// Receives so many for so much each.
    pub(crate) async fn buy(&self, sku: &str, quantity: i32, unit_cost: &str) {
        let request = pb::ReceiveStockRequest {
            sku: sku.to_owned(),
            quantity,
            unit_cost: unit_cost.to_owned(),
            ..Default::default()
        };
        self.client.clone().receive_stock(request).await.unwrap();
    }

    pub(crate) async fn adjust(
        &self,
        reason: pb::AdjustmentReason,
        changes: &[(&str, i32)],
    ) -> Result<pb::AdjustStockResponse, Status> {
        let request = pb::AdjustStockRequest {
            reason: reason.into(),
            lines: adjust_lines(changes),
            ..Default::default()
        };
        Ok(self.client.clone().adjust_stock(request).await?.into_inner())
    }

    pub(crate) async fn confirm(&self, order_id: &str) -> Result<pb::Reservation, Status> {
        let request =
            pb::ConfirmReservationRequest { order_id: order_id.to_owned(), ..Default::default() };
        let answer = self.client.clone().confirm_reservation(request).await?;
        Ok(answer.into_inner().reservation.unwrap())
    }

    /// Ships lines or, when there are none, all that is open.
    pub(crate) async fn commit(
        &self,
        order_id: &str,
        shipment_id: &str,
        lines: &[(&str, i32)],
    ) -> Result<pb::CommitReservationResponse, Status> {
        let line = |(sku, quantity): &(&str, i32)| pb::CommitReservationLine {
            sku: (*sku).to_owned(),
            quantity: *quantity,
        };
        let request = pb::CommitReservationRequest {
            order_id: order_id.to_owned(),
            shipment_id: shipment_id.to_owned(),
            lines: lines.iter().map(line).collect(),
            ..Default::default()
        };
        Ok(self.client.clone().commit_reservation(request).await?.into_inner())
    }

    /// Each line with whether it can be sold again.
    pub(crate) async fn take_back(
        &self,
        order_id: &str,
        return_id: &str,
        lines: &[(&str, i32, bool)],
    ) -> Result<Vec<pb::Movement>, Status> {
        let line = |(sku, quantity, restock): &(&str, i32, bool)| pb::ReturnStockLine {
            sku: (*sku).to_owned(),
            quantity: *quantity,
            restock: *restock,
        };
        let request = pb::ReturnStockRequest {
            order_id: order_id.to_owned(),
            return_id: return_id.to_owned(),
            lines: lines.iter().map(line).collect(),
            ..Default::default()
        };
        Ok(self.client.clone().return_stock(request).await?.into_inner().movements)
    }

    /// What all that is on hand is worth.
    pub(crate) async fn value(&self, sku: &str) -> String {
        self.item(sku).await.value.unwrap().amount
    }

    /// The data of all events of a type, in order.
    pub(crate) async fn told(&self, event_type: &str) -> Vec<serde_json::Value> {
        sqlx::query_scalar(
            "select payload->'data' from inventory.events_log where event_type = $1 order by id",
        )
        .bind(event_type)
        .fetch_all(&self.db)
        .await
        .unwrap()
    }

    /// How many events there are by now.
    pub(crate) async fn event_count(&self) -> i64 {
        sqlx::query_scalar("select count(*) from inventory.events_log")
            .fetch_one(&self.db)
            .await
            .unwrap()
    }

    /// Today, where the business is: the same day throughout a test.
    pub(crate) async fn today(&self) -> String {
        sqlx::query_scalar("select (now() at time zone 'Europe/London')::date::text")
            .fetch_one(&self.db)
            .await
            .unwrap()
    }

    pub(crate) async fn reserve(
        &self,
        order_id: &str,
        lines: &[(&str, i32)],
    ) -> Result<pb::ReserveStockResponse, Status> {
        let line = |(sku, quantity): &(&str, i32)| pb::ReserveStockLine {
            sku: (*sku).to_owned(),
            quantity: *quantity,
        };
        let lines = lines.iter().map(line).collect();
        let request =
            pb::ReserveStockRequest { order_id: order_id.to_owned(), lines, ..Default::default() };
        Ok(self.client.clone().reserve_stock(request).await?.into_inner())
    }

    pub(crate) async fn release(&self, order_id: &str) -> Result<(), Status> {
        let request =
            pb::ReleaseReservationRequest { order_id: order_id.to_owned(), ..Default::default() };
        self.client.clone().release_reservation(request).await.map(|_| ())
    }

    pub(crate) async fn reservation(&self, order_id: &str) -> Result<pb::Reservation, Status> {
        let request = pb::GetReservationRequest { order_id: order_id.to_owned() };
        let answer = self.client.clone().get_reservation(request).await?;
        Ok(answer.into_inner().reservation.unwrap())
    }

    pub(crate) async fn item(&self, sku: &str) -> pb::Item {
        let request = pb::GetItemRequest { sku: sku.to_owned() };
        self.client.clone().get_item(request).await.unwrap().into_inner().item.unwrap()
    }

    /// On hand and reserved.
    pub(crate) async fn levels(&self, sku: &str) -> (i32, i32) {
        let item = self.item(sku).await;
        (item.on_hand, item.reserved)
    }

    /// Lets a reservation's time have run out so long ago.
    pub(crate) async fn run_out(&self, order_id: &str, seconds_ago: i32) {
        let updated = sqlx::query(
            "update inventory.reservations set expires_at = now() - make_interval(secs => $2) where order_id = $1",
        )
        .bind(order_id.parse::<Uuid>().unwrap())
        .bind(f64::from(seconds_ago))
        .execute(&self.db)
        .await
        .unwrap();
        assert_eq!(updated.rows_affected(), 1);
    }

    /// Publishes orders' events, and waits until this service has applied them or put them aside.
    pub(crate) async fn hear(&self, events: &[NewEvent]) {
        self.played_orders.publish(events).await;
        self.log.catch_up("orders").await;
    }

    /// How many Postgres has seen in this database.
    pub(crate) async fn deadlocks(&self) -> i64 {
        // A session tells the statistics of its past after a second, with its next statement.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        for _ in 0..20 {
            self.item("A").await;
        }
        sqlx::query_scalar(
            "select deadlocks from pg_stat_database where datname = current_database()",
        )
        .fetch_one(&self.db)
        .await
        .unwrap()
    }

    /// Panics unless reserved is the sum of what is open, on hand the sum of all movements, and its value the sum of their costs.
    pub(crate) async fn check_books(&self) {
        let off: Vec<String> = sqlx::query_scalar(
            "select i.sku from inventory.inventory_items i,
               lateral (select coalesce(sum(qty), 0) as qty, coalesce(sum(cost), 0) as cost, count(*) as count
                        from inventory.stock_movements m where m.sku = i.sku) m
             where i.reserved_qty <> (
                 select coalesce(sum(l.qty - l.shipped_qty - l.released_qty), 0) from inventory.reservation_items l
                 join inventory.reservations r using (order_id)
                 where l.sku = i.sku and r.state in ('held', 'confirmed'))
               or (i.qty_on_hand, i.value, i.movement_count) <> (m.qty, m.cost, m.count)",
        )
        .fetch_all(&self.db)
        .await
        .unwrap();
        assert!(off.is_empty(), "the books do not balance for {off:?}");
        let verified = self.client.clone().verify_stock(pb::VerifyStockRequest::default()).await;
        assert_eq!(verified.unwrap().into_inner().difference_count, 0);
    }

    /// Panics unless each thing's version is how many events have told of it, numbered without a hole.
    pub(crate) async fn check_versions(&self) {
        let off: Vec<String> = sqlx::query_scalar(
            "select coalesce(a.id, e.id) from (
               -- One that only says that nothing may be reserved any more never had an event.
               select order_id::text as id, version from inventory.reservations r
               where state <> 'released'
                  or exists (select from inventory.reservation_items i where i.order_id = r.order_id)
               union all select sku, version from inventory.products
               union all select 'item:' || sku, version from inventory.inventory_items where version > 0) a
             full join (
               select payload->>'subject' as id, array_agg((payload->>'version')::int order by id) as versions
               from inventory.events_log
               where event_type not in ('stock.received', 'stock.adjusted') group by 1) e on e.id = a.id
             where e.versions is distinct from (select array_agg(n) from generate_series(1, a.version) n)",
        )
        .fetch_all(&self.db)
        .await
        .unwrap();
        assert!(off.is_empty(), "versions and events differ for {off:?}");
    }

    /// Panics unless what was told of costs is what all stock is worth: what account 1001 will say.
    pub(crate) async fn check_account(&self) {
        let (told, worth): (Option<Decimal>, Option<Decimal>) = sqlx::query_as(
            "select (select sum(case when event_type in ('stock.received', 'stock.returned')
                                       or event_type = 'stock.adjusted' and (payload->'data'->>'gain')::boolean is true
                                     then 1 else -1 end * (payload->'data'->'cost'->>'amount')::numeric)
                     from inventory.events_log where payload->'data' ? 'cost'),
                    (select sum(value) from inventory.inventory_items)",
        )
        .fetch_one(&self.db)
        .await
        .unwrap();
        assert_eq!(told.unwrap_or_default(), worth.unwrap_or_default());
    }
}

async fn serve(config: &Config, bus: Client, shutdown: &Shutdown) -> rpc::Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let pool = pg::connect(&config.postgres, "inventory").await.unwrap();
    let (config, shutdown) = (config.clone(), shutdown.clone());
    tokio::spawn(async move {
        inventory_svc::serve(&config, pool, bus, listener, shutdown).await.unwrap();
    });
    rpc::ClientConfig::default().client(&url).unwrap()
}

pub(crate) fn new_order() -> String {
    Uuid::now_v7().to_string()
}

pub(crate) fn adjust_lines(changes: &[(&str, i32)]) -> Vec<pb::AdjustStockLine> {
    let line = |(sku, change): &(&str, i32)| pb::AdjustStockLine {
        sku: (*sku).to_owned(),
        quantity_change: *change,
    };
    changes.iter().map(line).collect()
}

/// What moved, as SKU, reason, quantity and cost.
pub(crate) fn moved(movements: &[pb::Movement]) -> Vec<(&str, pb::MovementReason, i32, &str)> {
    let shown = movements.iter().map(|one| {
        let cost = one.cost.as_ref().map_or("", |cost| cost.amount.as_str());
        (one.sku.as_str(), one.reason(), one.quantity, cost)
    });
    shown.collect()
}

pub(crate) fn money(amount: &str) -> Option<Money> {
    Some(Money { amount: amount.to_owned(), currency_code: String::new() })
}

pub(crate) fn product(sku: &str, name: &str, price: &str) -> pb::CreateProductRequest {
    pb::CreateProductRequest {
        sku: sku.to_owned(),
        name: name.to_owned(),
        price: money(price),
        ..Default::default()
    }
}

pub(crate) fn placed(order_id: &str) -> NewEvent {
    let data = OrderPlaced { order_id: order_id.to_owned(), ..Default::default() };
    NewEvent::new("order.placed", order_id, 2, &data, &Cause::of_call())
}

pub(crate) fn shipped(order_id: &str, shipment_id: &str, lines: &[(&str, i32)]) -> NewEvent {
    let line = |(sku, quantity): &(&str, i32)| ShippedLine {
        line_id: Uuid::now_v7().to_string(),
        sku: (*sku).to_owned(),
        quantity: *quantity,
    };
    let data = OrderShipped {
        order_id: order_id.to_owned(),
        shipment_id: shipment_id.to_owned(),
        lines: lines.iter().map(line).collect(),
        complete: false,
    };
    NewEvent::new("order.shipped", order_id, 3, &data, &Cause::of_call())
}

pub(crate) fn part_cancelled(order_id: &str) -> NewEvent {
    let data = OrderPartCancelled { order_id: order_id.to_owned(), ..Default::default() };
    NewEvent::new("order.part_cancelled", order_id, 4, &data, &Cause::of_call())
}

pub(crate) fn returned(order_id: &str, return_id: &str, lines: &[(&str, i32, bool)]) -> NewEvent {
    let line = |(sku, quantity, restock): &(&str, i32, bool)| ReturnedLine {
        line_id: Uuid::now_v7().to_string(),
        sku: (*sku).to_owned(),
        quantity: *quantity,
        restock: *restock,
    };
    let data = OrderReturned {
        order_id: order_id.to_owned(),
        return_id: return_id.to_owned(),
        lines: lines.iter().map(line).collect(),
        ..Default::default()
    };
    NewEvent::new("order.returned", order_id, 5, &data, &Cause::of_call())
}

pub(crate) fn cancelled(order_id: &str) -> NewEvent {
    let data = OrderCancelled { order_id: order_id.to_owned(), ..Default::default() };
    NewEvent::new("order.cancelled", order_id, 4, &data, &Cause::of_call())
}

pub(crate) fn deleted(order_id: &str) -> NewEvent {
    let data = OrderDrafted { order_id: order_id.to_owned(), ..Default::default() };
    NewEvent::new("order.deleted", order_id, 2, &data, &Cause::of_call())
}
