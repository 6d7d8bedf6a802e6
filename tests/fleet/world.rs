//! A fleet of a test's own, and the words that the tests use.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use proto::{
    billing::v1::{self as billing, billing_service_client::BillingServiceClient},
    common::v1::Money,
    inventory::v1::{self as inventory, inventory_service_client::InventoryServiceClient},
    orders::v1::{self as orders, orders_service_client::OrdersServiceClient},
};
use sqlx::{AssertSqlSafe, PgPool};
use stack::{Fleet, Interrupt, Nats, Ports, fleet::Settings};
use testkit::TestDb;
use tonic::Status;
use uuid::Uuid;

const WAIT_MAX: Duration = Duration::from_secs(60);
const VERIFY: &str = include_str!("../verify.sql");

pub(crate) struct World {
    pub(crate) fleet: Fleet,
    pub(crate) nats: Nats,
    /// Sees everything.
    pub(crate) db: PgPool,
    pub(crate) database: TestDb,
    pub(crate) folder: tempfile::TempDir,
}

/// Where cargo put the binaries of the fleet.
pub(crate) fn bin() -> PathBuf {
    std::env::var_os("BRAMBLE_BIN").expect("run by `cargo xtask test`").into()
}

/// The checkout.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn settings(database: &TestDb, nats_url: String, folder: PathBuf) -> Settings {
    Settings {
        bin: bin(),
        folder,
        admin_url: database.admin_url(),
        password: None,
        nats_url,
        ports: Ports::Any,
        env: vec![("BRAMBLE_OLAP_FLUSH_INTERVAL_MS".to_owned(), "200".to_owned())],
    }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With more settings for all services.
    pub(crate) async fn start_with(env: &[(&str, &str)]) -> Self {
        Self::start_on(TestDb::start().await, env).await
    }

    /// On a database that may be of an earlier version.
    pub(crate) async fn start_on(database: TestDb, env: &[(&str, &str)]) -> Self {
        let mut world = Self::begin_on(database, env).await;
        let interrupt = Interrupt::default();
        world.fleet.migrate(&interrupt).unwrap();
        world.fleet.launch(&interrupt).unwrap();
        world.fleet.wait_until_ready(&interrupt).unwrap();
        world
    }

    /// On a database as it is, with no service running yet.
    pub(crate) async fn begin_on(database: TestDb, env: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let interrupt = Interrupt::default();
        let server = stack::process::which("nats-server").unwrap();
        let nats = Nats::start(&server, &folder.path().join("nats"), &interrupt).unwrap();
        let mut settings = settings(&database, nats.url(), folder.path().to_owned());
        settings.env.extend(env.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let fleet = Fleet::new(settings).unwrap();
        let db = PgPool::connect(&database.admin_url()).await.unwrap();
        Self { fleet, nats, db, database, folder }
    }

    /// Starts the services before anybody migrates, sees these wait, and then all of them serve.
    pub(crate) async fn launch_before_migrations(&mut self, waiting: &[&str]) {
        let interrupt = Interrupt::default();
        self.fleet.launch(&interrupt).unwrap();
        for schema in waiting {
            let log = self.folder.path().join(format!("logs/{schema}-svc.log"));
            let word = format!("waiting for the migrations of schema {schema}");
            eventually("word of what is waited for", async || {
                let said = fs::read_to_string(&log).ok()?;
                said.contains(&word).then_some(())
            })
            .await;
        }
        self.fleet.migrate(&interrupt).unwrap();
        self.fleet.wait_until_ready(&interrupt).unwrap();
        self.fleet.stop().unwrap();
    }

    pub(crate) fn orders(&self) -> OrdersServiceClient<rpc::Client> {
        OrdersServiceClient::new(self.client("orders-svc"))
    }

    pub(crate) fn inventory(&self) -> InventoryServiceClient<rpc::Client> {
        InventoryServiceClient::new(self.client("inventory-svc"))
    }

    pub(crate) fn billing(&self) -> BillingServiceClient<rpc::Client> {
        BillingServiceClient::new(self.client("billing-svc"))
    }

    pub(crate) fn client(&self, service: &str) -> rpc::Client {
        rpc::ClientConfig::default().client(&self.fleet.url(service)).unwrap()
    }

    pub(crate) async fn customer(&self) -> String {
        let request = orders::CreateCustomerRequest {
            name: "Ann Teak".to_owned(),
            email: format!("{}@example.com", Uuid::now_v7().simple()),
            ..Default::default()
        };
        let answer = self.orders().create_customer(request).await.unwrap();
        answer.into_inner().customer.unwrap().customer_id
    }

    /// A product of which so many are on hand.
    pub(crate) async fn product(&self, sku: &str, price: &str, on_hand: i32) {
        let request = inventory::CreateProductRequest {
            sku: sku.to_owned(),
            name: format!("a {sku}"),
            price: money(price),
            ..Default::default()
        };
        self.inventory().create_product(request).await.unwrap();
        let request = inventory::ReceiveStockRequest {
            sku: sku.to_owned(),
            quantity: on_hand,
            ..Default::default()
        };
        self.inventory().receive_stock(request).await.unwrap();
    }

    /// Orders and places at once.
    pub(crate) async fn order(
        &self,
        customer_id: &str,
        lines: &[(&str, i32)],
    ) -> Result<orders::Order, Status> {
        self.orders().create_order(order(customer_id, lines)).await.map(placed)
    }

    /// The invoice of an order, once it is there.
    pub(crate) async fn invoice(&self, order_id: &str) -> billing::Invoice {
        eventually("an invoice", async || {
            let request =
                billing::GetInvoiceRequest { order_id: order_id.to_owned(), ..Default::default() };
            self.billing().get_invoice(request).await.ok()?.into_inner().invoice
        })
        .await
    }

    /// One number or text of the database.
    pub(crate) async fn sql(&self, statement: &str) -> String {
        let statement = format!("select ({statement})::text");
        let found: Option<String> =
            sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(&self.db).await.unwrap();
        found.unwrap_or_default()
    }

    /// Which invariants are broken right now, each with an example.
    pub(crate) async fn broken(&self) -> Vec<String> {
        let rows: Vec<(String, i64, Option<String>)> =
            sqlx::query_as(VERIFY).fetch_all(&self.db).await.unwrap();
        let broken = rows.into_iter().filter(|(_, broken, _)| *broken > 0);
        broken
            .map(|(what, broken, example)| format!("{what}: {broken}, such as {example:?}"))
            .collect()
    }

    /// Waits until every event has had its effect, then fails if anything does not tie.
    pub(crate) async fn verify(&self) {
        let mut last = Vec::new();
        let tied = tokio::time::timeout(WAIT_MAX, async {
            loop {
                last = self.broken().await;
                if last.is_empty() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        if tied.await.is_err() {
            panic!("{last:#?}");
        }
    }

    /// What `bramble` says on its standard output.
    pub(crate) fn bramble(&self, args: &[&str]) -> String {
        said(self.fleet.cli().unwrap().args(args))
    }
}

impl Drop for World {
    /// A test that fails tells what all services, and NATS, have said: why one did not do its part, another may know.
    #[expect(clippy::print_stderr, reason = "a second panic would end all tests")]
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let folder = self.folder.path();
        let logs = fs::read_dir(folder.join("logs")).into_iter().flatten().flatten();
        for log in logs.map(|log| log.path()).chain([folder.join("nats/log")]) {
            let said = fs::read(&log).unwrap_or_default();
            eprintln!("--- {}\n{}", log.display(), String::from_utf8_lossy(&said));
        }
    }
}

/// What a program says on its standard output; fails if it fails.
pub(crate) fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {out}{err}");
    out.into_owned()
}

pub(crate) fn order(customer_id: &str, lines: &[(&str, i32)]) -> orders::CreateOrderRequest {
    let line = |(sku, quantity): &(&str, i32)| orders::CreateOrderLine {
        sku: (*sku).to_owned(),
        quantity: *quantity,
        ..Default::default()
    };
    orders::CreateOrderRequest {
        request_id: Uuid::now_v7().to_string(),
        customer_id: customer_id.to_owned(),
        lines: lines.iter().map(line).collect(),
        place: true,
        ..Default::default()
    }
}

pub(crate) fn placed(answer: tonic::Response<orders::CreateOrderResponse>) -> orders::Order {
    answer.into_inner().order.unwrap()
}

pub(crate) fn money(amount: &str) -> Option<Money> {
    Some(Money { amount: amount.to_owned(), currency_code: String::new() })
}

/// Asks again until there is an answer.
pub(crate) async fn eventually<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let found = tokio::time::timeout(WAIT_MAX, async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("no {what} after {WAIT_MAX:?}"))
}
