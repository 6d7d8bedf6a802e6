//! The service under test with all that it needs, and the words that the tests use.

use std::time::Duration;

use billing_svc::{Calendar, Config, Sweeper};
use chrono::{DateTime, NaiveDate, Utc};
use clap::Parser;
use log::{Cause, Log, NewEvent};
use proto::{
    billing::v1::{self as pb, billing_service_client::BillingServiceClient},
    common::v1::Money,
    events::v1::{OrderCancelled, OrderPartCancelled, OrderPlaced, OrderReturned},
    log::v1::event_log_client::EventLogClient,
};
use rpc::Shutdown;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tonic::Status;
use uuid::Uuid;

use testkit::{PlayedService, ServiceLog, TestDb, TestNats, past_midnight};

use crate::books;

const WAIT_MAX: Duration = Duration::from_secs(60);

pub(crate) struct App {
    pub(crate) client: BillingServiceClient<rpc::Client>,
    pub(crate) event_log: EventLogClient<rpc::Client>,
    pub(crate) log: ServiceLog,
    pub(crate) orders: PlayedService,
    /// Sees everything.
    pub(crate) db: PgPool,
    pub(crate) sweeper: Sweeper,
    /// Another of the kind.
    pub(crate) other_sweeper: Sweeper,
    config: Config,
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
        let database = TestDb::start().await;
        let nats = TestNats::start().await;
        let config = Config::parse_from([
            "billing-svc",
            "--database-url",
            &database.url("billing_svc"),
            "--nats-url",
            &nats.url(),
            // No hole is ever fetched here.
            "--orders-url",
            "http://127.0.0.1:9",
            // Tests drive the sweeper themselves.
            "--sweep-interval-ms",
            "3600000",
        ]);
        let shutdown = Shutdown::new();
        let bus = log::connect(&config.nats, "test").await.unwrap();
        let orders = PlayedService::start(&database, bus, "orders", &shutdown).await;
        let db = PgPool::connect(&database.admin_url()).await.unwrap();
        past_midnight(&db, "Europe/London", 2).await;
        let calendar = Calendar::new(config.time_zone, config.payment_terms_days);
        let log = Log::new(pg::connect(&config.postgres, "billing").await.unwrap(), "billing");
        let channel = serve(&config, &shutdown).await;
        Self {
            client: BillingServiceClient::new(channel.clone()),
            event_log: EventLogClient::new(channel),
            log: ServiceLog::new(&db, "billing", WAIT_MAX),
            orders,
            db,
            sweeper: Sweeper::new(log.clone(), calendar),
            other_sweeper: Sweeper::new(log, calendar),
            config,
            shutdown,
            _database: database,
            _nats: nats,
        }
    }

    /// A second replica of the service, on the same database.
    pub(crate) async fn start_another(&self) {
        serve(&self.config, &self.shutdown).await;
    }

    /// Publishes orders' events, and waits until this service has applied them or put them aside.
    pub(crate) async fn hear(&self, events: &[NewEvent]) {
        self.orders.publish(events).await;
        self.log.catch_up("orders").await;
    }

    /// Has an order placed at that time, and gives its invoice.
    pub(crate) async fn invoice(&self, customer: &str, total: &str, placed: &str) -> pb::Invoice {
        let order = new_id();
        self.hear(&[placed_at(&order, customer, total, "0.00", placed)]).await;
        self.invoice_of(&order).await
    }

    pub(crate) async fn invoice_of(&self, order_id: &str) -> pb::Invoice {
        self.find_invoice("", order_id).await.unwrap()
    }

    pub(crate) async fn find_invoice(
        &self,
        invoice_id: &str,
        order_id: &str,
    ) -> Result<pb::Invoice, Status> {
        let request = pb::GetInvoiceRequest {
            invoice_id: invoice_id.to_owned(),
            order_id: order_id.to_owned(),
        };
        Ok(self.client.clone().get_invoice(request).await?.into_inner().invoice.unwrap())
    }

    /// What is paid now, and how it stands.
    pub(crate) async fn state(&self, invoice: &pb::Invoice) -> (String, pb::InvoiceStatus) {
        let invoice = self.find_invoice(&invoice.invoice_id, "").await.unwrap();
        (invoice.residual.clone().unwrap().amount, invoice.status())
    }

    pub(crate) async fn record(
        &self,
        request: pb::RecordPaymentRequest,
    ) -> Result<pb::Payment, Status> {
        Ok(self.client.clone().record_payment(request).await?.into_inner().payment.unwrap())
    }

    /// Pays what is due first.
    pub(crate) async fn pay(&self, customer: &str, amount: &str) -> pb::Payment {
        self.record(payment(customer, amount)).await.unwrap()
    }

    /// Pays one invoice.
    pub(crate) async fn pay_invoice(&self, invoice: &pb::Invoice, amount: &str) -> pb::Payment {
        let request = pb::RecordPaymentRequest {
            invoice_id: invoice.invoice_id.clone(),
            ..payment(&invoice.customer_id, amount)
        };
        self.record(request).await.unwrap()
    }

    /// Data of all events of a type, in order.
    pub(crate) async fn events(&self, event_type: &str) -> Vec<serde_json::Value> {
        sqlx::query_scalar(
            "select payload->'data' from billing.events_log where event_type = $1 order by id",
        )
        .bind(event_type)
        .fetch_all(&self.db)
        .await
        .unwrap()
    }

    /// Today, where the business is: the same day throughout a test.
    pub(crate) async fn today(&self) -> NaiveDate {
        sqlx::query_scalar("select (now() at time zone 'Europe/London')::date")
            .fetch_one(&self.db)
            .await
            .unwrap()
    }

    /// The same time of day so many days of the business ago, as `2026-11-24T12:00:00Z`.
    pub(crate) async fn days_ago(&self, days: i32) -> String {
        let time: DateTime<Utc> = sqlx::query_scalar(
            "select (now() at time zone 'Europe/London' - make_interval(days => $1)) at time zone 'Europe/London'",
        )
        .bind(days)
        .fetch_one(&self.db)
        .await
        .unwrap();
        time.to_rfc3339()
    }

    /// Panics unless documents, movements and events say the same.
    pub(crate) async fn check_books(&self) {
        books::check(&self.db).await;
    }

    pub(crate) async fn reverse(&self, payment: &pb::Payment) -> pb::Payment {
        let request = pb::ReversePaymentRequest {
            payment_id: payment.payment_id.clone(),
            reason: "it bounced".to_owned(),
            ..Default::default()
        };
        self.client.clone().reverse_payment(request).await.unwrap().into_inner().payment.unwrap()
    }

    pub(crate) async fn get_payment(&self, payment: &pb::Payment) -> pb::Payment {
        let request = pb::GetPaymentRequest { payment_id: payment.payment_id.clone() };
        self.client.clone().get_payment(request).await.unwrap().into_inner().payment.unwrap()
    }

    pub(crate) async fn allocate(
        &self,
        request: pb::AllocateCreditRequest,
    ) -> Result<pb::CreditAllocation, Status> {
        let answer = self.client.clone().allocate_credit(request).await?;
        Ok(answer.into_inner().credit_allocation.unwrap())
    }

    pub(crate) async fn refund(
        &self,
        request: pb::RefundCreditRequest,
    ) -> Result<pb::Refund, Status> {
        Ok(self.client.clone().refund_credit(request).await?.into_inner().refund.unwrap())
    }

    pub(crate) async fn credit_note(
        &self,
        request: pb::IssueCreditNoteRequest,
    ) -> Result<pb::CreditNote, Status> {
        Ok(self.client.clone().issue_credit_note(request).await?.into_inner().credit_note.unwrap())
    }

    pub(crate) async fn void(
        &self,
        request: pb::VoidInvoiceRequest,
    ) -> Result<pb::Invoice, Status> {
        Ok(self.client.clone().void_invoice(request).await?.into_inner().invoice.unwrap())
    }

    pub(crate) async fn write_off(
        &self,
        request: pb::WriteOffInvoiceRequest,
    ) -> Result<pb::Invoice, Status> {
        Ok(self.client.clone().write_off_invoice(request).await?.into_inner().invoice.unwrap())
    }

    /// What a customer owes, and the customer's credit.
    pub(crate) async fn balance(&self, customer: &str) -> (String, String) {
        let request = pb::GetCustomerBalanceRequest {
            customer_id: customer.to_owned(),
            ..Default::default()
        };
        let balance = self.client.clone().get_customer_balance(request).await.unwrap().into_inner();
        (balance.owed.unwrap().amount, balance.credit.unwrap().amount)
    }
}

async fn serve(config: &Config, shutdown: &Shutdown) -> rpc::Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let bus = log::connect(&config.nats, "test").await.unwrap();
    let pool = pg::connect(&config.postgres, "billing").await.unwrap();
    let (config, told) = (config.clone(), shutdown.clone());
    tokio::spawn(async move {
        billing_svc::serve(&config, pool, bus, listener, told).await.unwrap();
    });
    rpc::ClientConfig::default().client(&url).unwrap()
}

pub(crate) fn new_id() -> String {
    Uuid::now_v7().to_string()
}

pub(crate) fn money(amount: &str) -> Option<Money> {
    Some(Money { amount: amount.to_owned(), currency_code: "GBP".to_owned() })
}

/// Money without an invoice, with a reference of its own.
pub(crate) fn payment(customer: &str, amount: &str) -> pb::RecordPaymentRequest {
    pb::RecordPaymentRequest {
        customer_id: customer.to_owned(),
        external_reference: new_id(),
        amount: money(amount),
        ..Default::default()
    }
}

pub(crate) fn placed_at(
    order: &str,
    customer: &str,
    total: &str,
    tax: &str,
    time: &str,
) -> NewEvent {
    let time: DateTime<Utc> = time.parse().unwrap();
    let data = OrderPlaced {
        order_id: order.to_owned(),
        customer_id: customer.to_owned(),
        total: money(total),
        tax: money(tax),
        place_time: Some(time.into()),
        lines: Vec::new(),
    };
    NewEvent::new("order.placed", order, 2, &data, &Cause::of_call())
}

/// An order of 10.00, placed before clocks change.
pub(crate) fn placed(order: &str, customer: &str) -> NewEvent {
    placed_at(order, customer, "10.00", "0.00", "2026-10-01T12:00:00Z")
}

pub(crate) fn cancelled(order: &str) -> NewEvent {
    let time: DateTime<Utc> = "2026-10-01T12:00:00Z".parse().unwrap();
    let data = OrderCancelled {
        order_id: order.to_owned(),
        place_time: Some(time.into()),
        ..Default::default()
    };
    NewEvent::new("order.cancelled", order, 3, &data, &Cause::of_call())
}

/// A part of an order is given up.
pub(crate) fn part_cancelled(order: &str, amount: &str, tax: &str) -> NewEvent {
    let data = OrderPartCancelled {
        order_id: order.to_owned(),
        amount: money(amount),
        tax: money(tax),
        ..Default::default()
    };
    NewEvent::new("order.part_cancelled", order, 3, &data, &Cause::of_call())
}

/// Goods of an order come back.
pub(crate) fn returned(order: &str, return_id: &str, amount: &str, tax: &str) -> NewEvent {
    let data = OrderReturned {
        order_id: order.to_owned(),
        return_id: return_id.to_owned(),
        amount: money(amount),
        tax: money(tax),
        ..Default::default()
    };
    NewEvent::new("order.returned", order, 4, &data, &Cause::of_call())
}

/// Credit for whatever is due first.
pub(crate) fn oldest_due(customer: &str) -> pb::AllocateCreditRequest {
    pb::AllocateCreditRequest { customer_id: customer.to_owned(), ..Default::default() }
}

pub(crate) fn refund(customer: &str, amount: &str) -> pb::RefundCreditRequest {
    pb::RefundCreditRequest {
        customer_id: customer.to_owned(),
        amount: money(amount),
        external_reference: new_id(),
        ..Default::default()
    }
}

pub(crate) fn credit_note(invoice: &pb::Invoice, amount: &str) -> pb::IssueCreditNoteRequest {
    pb::IssueCreditNoteRequest {
        invoice_id: invoice.invoice_id.clone(),
        amount: money(amount),
        reason: "it was broken".to_owned(),
        ..Default::default()
    }
}

pub(crate) fn void(invoice: &pb::Invoice) -> pb::VoidInvoiceRequest {
    pb::VoidInvoiceRequest {
        invoice_id: invoice.invoice_id.clone(),
        reason: "a mistake".to_owned(),
        ..Default::default()
    }
}

pub(crate) fn write_off(invoice: &pb::Invoice) -> pb::WriteOffInvoiceRequest {
    pb::WriteOffInvoiceRequest {
        invoice_id: invoice.invoice_id.clone(),
        reason: "they are bankrupt".to_owned(),
        ..Default::default()
    }
}

/// What each allocation got, with how many there are.
pub(crate) fn allocated(payment: &pb::Payment) -> Vec<(String, String)> {
    let amount = |part: &pb::Allocation| part.amount.clone().unwrap().amount;
    payment.allocations.iter().map(|part| (part.invoice_id.clone(), amount(part))).collect()
}

pub(crate) fn unallocated(payment: &pb::Payment) -> String {
    payment.unallocated.clone().unwrap().amount
}
