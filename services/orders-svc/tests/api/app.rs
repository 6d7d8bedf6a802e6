//! The service under test with all that it needs.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use clap::Parser;
use inventory_svc::Sweeper;
use log::{Cause, Log, NewEvent};
use orders_svc::Config;
use proto::{
    events::v1::{InvoicePaid, InvoiceReopened},
    inventory::v1::inventory_service_client::InventoryServiceClient,
    log::v1::event_log_client::EventLogClient,
    orders::v1::orders_service_client::OrdersServiceClient,
};
use rpc::Shutdown;
use sqlx::PgPool;
use tokio::net::TcpListener;

use testkit::{Keys, PlayedService, Port, ServiceLog, TestDb, TestNats, eventually};

use crate::{proxy::Proxy, requests::new_id};

pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60);

pub(crate) type Orders = OrdersServiceClient<rpc::Client>;

pub(crate) struct App {
    /// A caller without a token, whom the open doors let in.
    pub(crate) client: Orders,
    pub(crate) event_log: EventLogClient<rpc::Client>,
    pub(crate) inventory: InventoryServiceClient<rpc::Client>,
    /// Stands between the two services, if so asked.
    pub(crate) proxy: Proxy,
    /// inventory-svc's: tests drive it themselves.
    pub(crate) sweeper: Sweeper,
    pub(crate) log: ServiceLog,
    /// Sees everything.
    pub(crate) db: PgPool,
    url: String,
    inventory_url: String,
    arguments: Vec<String>,
    process: Option<Child>,
    /// The process's.
    port: Option<Port>,
    billing: PlayedService,
    shutdown: Shutdown,
    database: TestDb,
    _nats: TestNats,
    keys: Keys,
}

impl Drop for App {
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.kill();
    }
}

impl App {
    /// Everything in this process.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let app = Self::around(listener.local_addr().unwrap().port(), false).await;
        serve(&app.arguments, listener, &app.shutdown).await;
        app
    }

    /// The same with a wall between the services.
    pub(crate) async fn start_with_proxy() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let app = Self::around(listener.local_addr().unwrap().port(), true).await;
        serve(&app.arguments, listener, &app.shutdown).await;
        app
    }

    /// The same, and orders-svc in a process of its own, which can be killed.
    pub(crate) async fn start_as_process() -> Self {
        let port = Port::any().unwrap();
        let mut app = Self::around(port.number(), true).await;
        app.port = Some(port);
        app.restart().await;
        app
    }

    /// All but orders-svc, which will listen at the port.
    async fn around(port: u16, with_proxy: bool) -> Self {
        let (database, nats) = (TestDb::start().await, TestNats::start().await);
        let keys = Keys::new(7);
        let public_key = keys.public();
        let url = format!("http://127.0.0.1:{port}");
        let shutdown = Shutdown::new();
        let (inventory_url, sweeper) = serve_inventory(&database, &nats, &url, &shutdown).await;
        let to_inventory = rpc::ClientConfig::default().client(&inventory_url).unwrap();
        let proxy = Proxy::start(to_inventory.clone()).await;
        let arguments = [
            "orders-svc",
            "--database-url",
            &database.url("orders_svc"),
            "--nats-url",
            &nats.url(),
            "--inventory-url",
            if with_proxy { &proxy.url } else { &inventory_url },
            // No hole is ever fetched here.
            "--billing-url",
            "http://127.0.0.1:9",
            "--auth-public-key",
            public_key.to_str().unwrap(),
            "--open",
        ];
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();

        let bus = log::connect(&config(&arguments).nats, "test").await.unwrap();
        let billing = PlayedService::start(&database, bus, "billing", &shutdown).await;
        let db = PgPool::connect(&database.admin_url()).await.unwrap();
        let channel = rpc::ClientConfig::default().client(&url).unwrap();
        Self {
            client: OrdersServiceClient::new(channel.clone()),
            event_log: EventLogClient::new(channel),
            inventory: InventoryServiceClient::new(to_inventory),
            proxy,
            sweeper,
            log: ServiceLog::new(&db, "orders", WAIT_MAX),
            db,
            url,
            inventory_url,
            arguments,
            process: None,
            port: None,
            billing,
            shutdown,
            database,
            _nats: nats,
            keys,
        }
    }

    /// A second replica of the service, on the same database.
    pub(crate) async fn start_another(&self) -> Orders {
        self.start_with(&self.arguments).await
    }

    /// The same, and no wall stands before it.
    pub(crate) async fn start_another_past_proxy(&self) -> Orders {
        let past = |argument: &String| match argument {
            wall if *wall == self.proxy.url => self.inventory_url.clone(),
            other => other.clone(),
        };
        self.start_with(&self.arguments.iter().map(past).collect::<Vec<_>>()).await
    }

    async fn start_with(&self, arguments: &[String]) -> Orders {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        serve(arguments, listener, &self.shutdown).await;
        OrdersServiceClient::new(rpc::ClientConfig::default().client(&url).unwrap())
    }

    /// Waits until so many statements of orders-svc wait for a lock.
    pub(crate) async fn has_waiting(&self, count: i64) {
        let waiting = "select count(*) from pg_stat_activity
                       where datname = current_database() and usename = 'orders_svc' and wait_event_type = 'Lock'";
        let are_so_many = async || self.count(waiting).await == count;
        eventually("statements wait", WAIT_MAX, are_so_many).await;
    }

    /// Ann, whose token has these permissions.
    pub(crate) fn caller(&self, permissions: &[&str]) -> Orders {
        let token = Some(self.keys.token(permissions, 3600));
        let config = rpc::ClientConfig { token, ..rpc::ClientConfig::default() };
        OrdersServiceClient::new(config.client(&self.url).unwrap())
    }

    /// Tells all parts to end, as SIGTERM does.
    pub(crate) fn stop(&self) {
        self.shutdown.cancel();
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Starts the process where it was, and waits until it serves.
    pub(crate) async fn restart(&mut self) {
        let address = self.url.trim_start_matches("http://").to_owned();
        let process = Command::new(env!("CARGO_BIN_EXE_orders-svc"))
            .args(&self.arguments[1..])
            .args(["--grpc-addr", &address])
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(process.unwrap());
        eventually("the process listens", WAIT_MAX, async || {
            tokio::net::TcpStream::connect(&address).await.is_ok()
        })
        .await;
    }

    /// Waits until each service has applied what the other has published so far, and what billing has.
    pub(crate) async fn settle(&self) {
        let behind = "select
               coalesce(max(e.id), 0) > (select coalesce(max(log_id), 0) from inventory.consumer_positions)
               or (select coalesce(max(id), 0) from billing.events_log)
                 > (select coalesce(max(log_id), 0) from orders.consumer_positions)
             from orders.events_log e";
        let is_behind =
            async || sqlx::query_scalar::<_, bool>(behind).fetch_one(&self.db).await.unwrap();
        eventually("both services have heard", WAIT_MAX, async || !is_behind().await).await;
    }

    /// billing-svc says that an order's invoice is paid, so often.
    pub(crate) async fn hear_paid(&self, orders: &[&str]) {
        let event = |order_id: &&str| {
            let (invoice_id, order_id) = (new_id(), (*order_id).to_owned());
            let data = InvoicePaid { invoice_id: invoice_id.clone(), order_id };
            NewEvent::new("invoice.paid", invoice_id, 2, &data, &Cause::of_call())
        };
        let events: Vec<NewEvent> = orders.iter().map(event).collect();
        self.billing.publish(&events).await;
        self.settle().await;
    }

    /// billing-svc says that an order's invoice is owed again.
    pub(crate) async fn hear_reopened(&self, order_id: &str) {
        self.hear_in_one_batch(order_id, &[false]).await;
    }

    /// billing-svc says that an order's invoice is paid, or is owed again, one after the other.
    pub(crate) async fn hear_in_one_batch(&self, order_id: &str, paid: &[bool]) {
        let event = |paid: &bool| {
            let (invoice_id, order_id) = (new_id(), order_id.to_owned());
            if *paid {
                let data = InvoicePaid { invoice_id: invoice_id.clone(), order_id };
                return NewEvent::new("invoice.paid", invoice_id, 2, &data, &Cause::of_call());
            }
            let data = InvoiceReopened { invoice_id: invoice_id.clone(), order_id, residual: None };
            NewEvent::new("invoice.reopened", invoice_id, 3, &data, &Cause::of_call())
        };
        let events: Vec<NewEvent> = paid.iter().map(event).collect();
        self.billing.publish(&events).await;
        self.settle().await;
    }

    /// Types and versions only, such as `order.placed 2`.
    pub(crate) async fn told_of(&self, subject: &str) -> Vec<String> {
        let told = self.log.told_of(subject).await;
        told.into_iter().map(|(what, version)| format!("{what} {version}")).collect()
    }

    /// The answer to a question that has one number.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.db).await.unwrap()
    }

    /// Why events were put aside by either service, in their order.
    pub(crate) async fn dead_letters(&self) -> Vec<String> {
        let letters = "select error from orders.dead_letters union all select error from inventory.dead_letters";
        sqlx::query_scalar(letters).fetch_all(&self.db).await.unwrap()
    }

    /// How many Postgres has seen in this database.
    pub(crate) async fn deadlocks(&self) -> i64 {
        // A session tells the statistics of its past after a second, or when it ends.
        tokio::time::sleep(Duration::from_millis(1100)).await;
        for _ in 0..20 {
            let _ = self.find_order(&new_id()).await;
            let _ = self.reservation(&new_id()).await;
        }
        self.count("select deadlocks from pg_stat_database where datname = current_database()")
            .await
    }

    /// Ends orders-svc's sessions, and lets nobody begin one. The others keep theirs.
    pub(crate) async fn close_the_database(&self) {
        let name = &self.database.name;
        self.database.admin(&format!("alter database {name} with allow_connections false")).await;
        let end = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                   where datname = current_database() and usename = 'orders_svc'";
        self.count(end).await;
    }

    pub(crate) async fn open_the_database(&self) {
        let name = &self.database.name;
        self.database.admin(&format!("alter database {name} with allow_connections true")).await;
    }

    /// Adds the foreign keys that a shared database has.
    pub(crate) async fn share_the_database(&self) {
        let url = self.database.admin_url();
        schema::cross_schema(&url, schema::CrossSchema::Apply).await.unwrap();
    }
}

fn config(arguments: &[String]) -> Config {
    Config::parse_from(arguments)
}

async fn serve(arguments: &[String], listener: TcpListener, shutdown: &Shutdown) {
    let config = config(arguments);
    let bus = log::connect(&config.nats, "test").await.unwrap();
    let pool = pg::connect(&config.postgres, "orders").await.unwrap();
    let told = shutdown.clone();
    tokio::spawn(async move {
        orders_svc::serve(&config, pool, bus, listener, told).await.unwrap();
    });
}

async fn serve_inventory(
    database: &TestDb,
    nats: &TestNats,
    orders_url: &str,
    shutdown: &Shutdown,
) -> (String, Sweeper) {
    let config = inventory_svc::Config::parse_from([
        "inventory-svc",
        "--database-url",
        &database.url("inventory_svc"),
        "--nats-url",
        &nats.url(),
        "--orders-url",
        orders_url,
        "--sweep-interval-ms",
        "3600000",
    ]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let bus = log::connect(&config.nats, "test").await.unwrap();
    let pool = pg::connect(&config.postgres, "inventory").await.unwrap();
    let to_orders = config.client.client(&config.orders_url).unwrap();
    let sweeper = Sweeper::new(Log::new(pool.clone(), "inventory"), to_orders);
    let told = shutdown.clone();
    tokio::spawn(async move {
        inventory_svc::serve(&config, pool, bus, listener, told).await.unwrap();
    });
    (url, sweeper)
}
