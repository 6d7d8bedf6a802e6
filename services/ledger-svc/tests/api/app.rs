//! The service under test with all that it needs, and the words that the tests use.

use std::time::Duration;

use async_nats::{
    Client,
    jetstream::{self, stream::Stream},
};
use clap::Parser;
use ledger_svc::Config;
use log::{Cause, NewEvent};
use proto::{
    common::v1::Money,
    events::v1::{
        CreditNoteIssued, InvoiceIssued, InvoiceVoided, PaymentAllocated, PaymentReceived,
    },
    ledger::v1::{self as pb, ledger_service_client::LedgerServiceClient},
    log::v1::event_log_client::EventLogClient,
};
use rpc::Shutdown;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tonic::Status;
use uuid::Uuid;

use testkit::{PlayedService, ServiceLog, TestDb, TestNats};

pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60);

pub(crate) struct App {
    pub(crate) client: LedgerServiceClient<rpc::Client>,
    pub(crate) event_log: EventLogClient<rpc::Client>,
    pub(crate) log: ServiceLog,
    pub(crate) billing: PlayedService,
    /// Sees everything.
    pub(crate) db: PgPool,
    pub(crate) database: TestDb,
    config: Config,
    bus: Client,
    shutdown: Shutdown,
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
            "ledger-svc",
            "--database-url",
            &database.url("ledger_svc"),
            "--nats-url",
            &nats.url(),
            // No hole is ever fetched here.
            "--billing-url",
            "http://127.0.0.1:9",
        ]);
        let shutdown = Shutdown::new();
        let bus = log::connect(&config.nats, "test").await.unwrap();
        let billing = PlayedService::start(&database, bus.clone(), "billing", &shutdown).await;
        let db = PgPool::connect(&database.admin_url()).await.unwrap();
        let channel = serve(&config, &shutdown).await;
        Self {
            client: LedgerServiceClient::new(channel.clone()),
            event_log: EventLogClient::new(channel),
            log: ServiceLog::new(&db, "ledger", WAIT_MAX),
            billing,
            db,
            database,
            config,
            bus,
            shutdown,
            _nats: nats,
        }
    }

    /// A second replica of the service, on the same database.
    pub(crate) async fn start_another(&self) {
        serve(&self.config, &self.shutdown).await;
    }

    /// Publishes billing's events, all of them twice, and waits until this service has booked them or put them aside.
    pub(crate) async fn hear(&self, events: &[NewEvent]) {
        // The position lets the second ones through: it never saw their places in the log.
        let log = &self.billing.log;
        let mut tx = log.begin().await.unwrap();
        for _ in 0..2 {
            log.append(&mut tx, events).await.unwrap();
        }
        log.commit(tx).await.unwrap();
        self.log.catch_up("billing").await;
    }

    pub(crate) async fn hear_once(&self, events: &[NewEvent]) {
        self.billing.publish(events).await;
        self.log.catch_up("billing").await;
    }

    /// A service's stream on the bus.
    pub(crate) async fn stream(&self, name: &str) -> Stream {
        jetstream::new(self.bus.clone()).get_stream(name).await.unwrap()
    }

    /// What was booked for an event.
    pub(crate) async fn journal(&self, event: &NewEvent) -> Option<Journal> {
        let found: Option<(Uuid, String, String, String)> = sqlx::query_as(
            "select id, event_type, effective_date::text, ref_type || ' ' || ref_id from ledger.journals
             where source = 'billing' and source_event_id = $1",
        )
        .bind(event.id())
        .fetch_optional(&self.db)
        .await
        .unwrap();
        let (id, event_type, effective_date, document) = found?;
        let lines = sqlx::query_scalar(
            "select concat_ws(' ', account, debit, credit, ref_type, ref_id) from ledger.ledger_entries
             where journal_id = $1 order by id",
        )
        .bind(id)
        .fetch_all(&self.db)
        .await
        .unwrap();
        Some(Journal { event_type, effective_date, document, lines })
    }

    pub(crate) async fn count(&self, table: &str) -> i64 {
        let count = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
        sqlx::query_scalar(count).fetch_one(&self.db).await.unwrap()
    }

    pub(crate) async fn trial_balance(&self, as_of_date: &str) -> pb::GetTrialBalanceResponse {
        let request = pb::GetTrialBalanceRequest { as_of_date: as_of_date.to_owned() };
        self.client.clone().get_trial_balance(request).await.unwrap().into_inner()
    }

    /// Debit − credit of the accounts that have entries, as `1100 12.00`.
    pub(crate) async fn balances(&self, as_of_date: &str) -> Vec<String> {
        let balances = self.trial_balance(as_of_date).await.balances;
        let shown = |one: pb::AccountBalance| {
            format!("{} {}", one.account.unwrap().code, one.balance.unwrap().amount)
        };
        balances.into_iter().map(shown).collect()
    }

    pub(crate) async fn entries(
        &self,
        request: pb::ListEntriesRequest,
    ) -> Result<(Vec<pb::Entry>, String), Status> {
        let page = self.client.clone().list_entries(request).await?.into_inner();
        Ok((page.entries, page.next_page_token))
    }

    /// Panics unless every journal and every document balances, each event is booked once, and each journal was told of once.
    pub(crate) async fn check_books(&self) {
        let off: Vec<String> = sqlx::query_scalar(
            "select 'document ' || ref_id from ledger.ledger_entries
             group by journal_id, ref_type, ref_id having sum(debit) <> sum(credit)
             union all
             select 'event ' || source_event_id from ledger.journals
             group by source_event_id having count(*) > 1
             union all
             select 'journal ' || j.id from ledger.journals j
             where 1 <> (select count(*) from ledger.events_log e
                         where e.event_type = 'journal.posted' and e.payload->>'subject' = j.id::text)
             union all
             select 'news of ' || (payload->>'subject') from ledger.events_log
             where (payload->>'subject')::uuid not in (select id from ledger.journals)",
        )
        .fetch_all(&self.db)
        .await
        .unwrap();
        assert!(off.is_empty(), "the books do not balance: {off:?}");
        let all = self.trial_balance("").await;
        assert_eq!(all.total_debit, all.total_credit);
    }
}

/// What was booked for one event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Journal {
    pub(crate) event_type: String,
    pub(crate) effective_date: String,
    /// As `invoice <id>`.
    pub(crate) document: String,
    /// As `1100 12.00 0.00 invoice <id>`: account, debit, credit, document.
    pub(crate) lines: Vec<String>,
}

async fn serve(config: &Config, shutdown: &Shutdown) -> rpc::Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let bus = log::connect(&config.nats, "test").await.unwrap();
    let pool = pg::connect(&config.postgres, "ledger").await.unwrap();
    let (config, told) = (config.clone(), shutdown.clone());
    tokio::spawn(async move {
        ledger_svc::serve(&config, pool, bus, listener, told).await.unwrap();
    });
    rpc::ClientConfig::default().client(&url).unwrap()
}

pub(crate) fn new_id() -> String {
    Uuid::now_v7().to_string()
}

pub(crate) fn money(amount: &str) -> Option<Money> {
    Some(Money { amount: amount.to_owned(), currency_code: "GBP".to_owned() })
}

pub(crate) fn issued(invoice: &str, gross: &str, tax: &str, date: &str) -> NewEvent {
    let data = InvoiceIssued {
        invoice_id: invoice.to_owned(),
        amount: money(gross),
        tax: money(tax),
        issue_date: date.to_owned(),
        ..Default::default()
    };
    NewEvent::new("invoice.issued", invoice, 1, &data, &Cause::of_call())
}

pub(crate) fn voided(invoice: &str, gross: &str, tax: &str, date: &str) -> NewEvent {
    let data = InvoiceVoided {
        invoice_id: invoice.to_owned(),
        amount: money(gross),
        tax: money(tax),
        void_date: date.to_owned(),
        ..Default::default()
    };
    NewEvent::new("invoice.voided", invoice, 2, &data, &Cause::of_call())
}

/// Takes an invoice back of which all but the residual was paid.
pub(crate) fn credited(
    invoice: &str,
    gross: &str,
    tax: &str,
    residual: &str,
    date: &str,
) -> NewEvent {
    let data = CreditNoteIssued {
        credit_note_id: new_id(),
        invoice_id: invoice.to_owned(),
        amount: money(gross),
        tax: money(tax),
        residual: money(residual),
        issue_date: date.to_owned(),
        ..Default::default()
    };
    NewEvent::new("credit_note.issued", invoice, 2, &data, &Cause::of_call())
}

/// Money of which each invoice named got a part; `unallocated` is the rest.
pub(crate) fn paid(
    payment: &str,
    amount: &str,
    allocations: &[(&str, &str)],
    unallocated: &str,
    date: &str,
) -> NewEvent {
    let part = |(invoice, amount): &(&str, &str)| PaymentAllocated {
        invoice_id: (*invoice).to_owned(),
        amount: money(amount),
        residual: money("0.00"),
    };
    let data = PaymentReceived {
        payment_id: payment.to_owned(),
        amount: money(amount),
        allocations: allocations.iter().map(part).collect(),
        unallocated: money(unallocated),
        receive_date: date.to_owned(),
        ..Default::default()
    };
    NewEvent::new("payment.received", payment, 1, &data, &Cause::of_call())
}
