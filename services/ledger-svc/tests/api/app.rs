//! The service under test with all that it needs, and the words that the tests use.

use std::time::Duration;

use async_nats::{
    Client,
    jetstream::{self, stream::Stream},
};
use chrono::NaiveDate;
use clap::Parser;
use ledger_svc::Config;
use log::NewEvent;
use proto::{
    common::v1::Money,
    ledger::v1::{self as pb, ledger_service_client::LedgerServiceClient},
    log::v1::event_log_client::EventLogClient,
};
use rpc::Shutdown;
use sqlx::PgPool;
use tokio::net::TcpListener;
use tonic::Status;
use uuid::Uuid;

use testkit::{PlayedService, ServiceLog, TestDb, TestNats, past_midnight};

pub(crate) const WAIT_MAX: Duration = Duration::from_secs(60);

pub(crate) struct App {
    pub(crate) client: LedgerServiceClient<rpc::Client>,
    pub(crate) event_log: EventLogClient<rpc::Client>,
    pub(crate) log: ServiceLog,
    pub(crate) billing: PlayedService,
    pub(crate) inventory: PlayedService,
    pub(crate) hr: PlayedService,
    /// Sees everything.
    pub(crate) db: PgPool,
    pub(crate) database: TestDb,
    config: Config,
    url: String,
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
        Self::start_on(TestDb::start().await).await
    }

    pub(crate) async fn start_on(database: TestDb) -> Self {
        Self::start_with(database, &[]).await
    }

    /// With more settings than a test needs.
    pub(crate) async fn start_with(database: TestDb, settings: &[&str]) -> Self {
        let nats = TestNats::start().await;
        let (database_url, nats_url) = (database.url("ledger_svc"), nats.url());
        let needed = [
            "ledger-svc",
            "--database-url",
            &database_url,
            "--nats-url",
            &nats_url,
            // No hole is ever fetched here.
            "--billing-url",
            "http://127.0.0.1:9",
            "--inventory-url",
            "http://127.0.0.1:9",
            "--hr-url",
            "http://127.0.0.1:9",
        ];
        let config = Config::parse_from(needed.iter().chain(settings));
        let shutdown = Shutdown::new();
        let bus = log::connect(&config.nats, "test").await.unwrap();
        let play = |schema| PlayedService::start(&database, bus.clone(), schema, &shutdown);
        let (billing, inventory, hr) =
            (play("billing").await, play("inventory").await, play("hr").await);
        let db = PgPool::connect(&database.admin_url()).await.unwrap();
        past_midnight(&db, "Europe/London", 2).await;
        let url = serve(&config, &shutdown).await;
        let channel = rpc::ClientConfig::default().client(&url).unwrap();
        Self {
            client: LedgerServiceClient::new(channel.clone()),
            event_log: EventLogClient::new(channel),
            log: ServiceLog::new(&db, "ledger", WAIT_MAX),
            billing,
            inventory,
            hr,
            db,
            database,
            config,
            url,
            bus,
            shutdown,
            _nats: nats,
        }
    }

    /// A client of whoever has the token.
    pub(crate) fn with_token(&self, token: String) -> LedgerServiceClient<rpc::Client> {
        let config = rpc::ClientConfig { token: Some(token), ..Default::default() };
        LedgerServiceClient::new(config.client(&self.url).unwrap())
    }

    /// A second replica of the service, on the same database.
    pub(crate) async fn start_another(&self) {
        serve(&self.config, &self.shutdown).await;
    }

    /// Publishes billing's events, all of them twice, and waits until this service has booked them or put them aside.
    pub(crate) async fn hear(&self, events: &[NewEvent]) {
        self.hear_from("billing", events).await;
    }

    /// The same of any source.
    pub(crate) async fn hear_from(&self, source: &str, events: &[NewEvent]) {
        // The position lets the second ones through: it never saw their places in the log.
        let log = &self.played(source).log;
        let mut tx = log.begin().await.unwrap();
        for _ in 0..2 {
            log.append(&mut tx, events).await.unwrap();
        }
        log.commit(tx).await.unwrap();
        self.log.catch_up(source).await;
    }

    fn played(&self, source: &str) -> &PlayedService {
        let played = [("billing", &self.billing), ("inventory", &self.inventory), ("hr", &self.hr)];
        played.into_iter().find(|(name, _)| *name == source).unwrap().1
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
             where source_event_id = $1",
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

    /// Today, where the business is: the same day throughout a test.
    pub(crate) async fn today(&self) -> NaiveDate {
        sqlx::query_scalar("select (now() at time zone 'Europe/London')::date")
            .fetch_one(&self.db)
            .await
            .unwrap()
    }

    pub(crate) async fn trial_balance(&self, as_of_date: &str) -> pb::GetTrialBalanceResponse {
        let request = pb::GetTrialBalanceRequest { as_of_date: as_of_date.to_owned() };
        self.client.clone().get_trial_balance(request).await.unwrap().into_inner()
    }

    pub(crate) async fn post(&self, journal: pb::NewJournal) -> Result<pb::Journal, Status> {
        let request = pb::PostJournalRequest { journal: Some(journal), ..Default::default() };
        self.post_request(request).await
    }

    pub(crate) async fn post_request(
        &self,
        request: pb::PostJournalRequest,
    ) -> Result<pb::Journal, Status> {
        Ok(self.client.clone().post_journal(request).await?.into_inner().journal.unwrap())
    }

    pub(crate) async fn reverse(
        &self,
        request: pb::ReverseJournalRequest,
    ) -> Result<pb::Journal, Status> {
        Ok(self.client.clone().reverse_journal(request).await?.into_inner().journal.unwrap())
    }

    pub(crate) async fn get_journal(&self, journal_id: &str) -> Result<pb::Journal, Status> {
        let request = pb::GetJournalRequest { journal_id: journal_id.to_owned() };
        Ok(self.client.clone().get_journal(request).await?.into_inner().journal.unwrap())
    }

    pub(crate) async fn close(&self, period: &str) -> Result<pb::Period, Status> {
        let request = pb::ClosePeriodRequest { period: period.to_owned(), ..Default::default() };
        Ok(self.client.clone().close_period(request).await?.into_inner().period.unwrap())
    }

    pub(crate) async fn reopen(&self, period: &str) -> Result<pb::Period, Status> {
        let request = pb::ReopenPeriodRequest { period: period.to_owned(), ..Default::default() };
        Ok(self.client.clone().reopen_period(request).await?.into_inner().period.unwrap())
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

    /// Panics unless the sums of the days of accounts are those of the entries.
    pub(crate) async fn check_days(&self) {
        let off: Vec<String> = sqlx::query_scalar(
            "select coalesce(d.account, s.account) || ' ' || coalesce(d.day, s.day) from ledger.account_days d
             full join (select e.account, j.effective_date as day, sum(e.debit) as debit, sum(e.credit) as credit
                        from ledger.ledger_entries e join ledger.journals j on j.id = e.journal_id group by 1, 2) s
             on s.account = d.account and s.day = d.day
             where (d.debit, d.credit) is distinct from (s.debit, s.credit)",
        )
        .fetch_all(&self.db)
        .await
        .unwrap();
        assert!(off.is_empty(), "the days are not the sums of the entries: {off:?}");
    }

    /// Panics unless every journal and every document balances, each event is booked once, each journal was told of once, one by hand by
    /// the event that it books, none was posted into a month after it was closed, a reversal mirrors its original, and the sums of the days
    /// are those of the entries.
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
             where event_type = 'journal.posted' and (payload->>'subject')::uuid not in (select id from ledger.journals)
             union all
             select 'by hand ' || j.id from ledger.journals j
             where j.source = 'ledger'
               and not exists (select from ledger.events_log e
                               where e.payload->>'id' = j.source_event_id::text and e.payload->>'subject' = j.id::text)
             union all
             select 'closed ' || j.id from ledger.journals j
             left join ledger.periods p on p.month = date_trunc('month', j.effective_date)
             where j.effective_date < (select max(month) + interval '1 month' from ledger.periods where state = 'closed')
               and (p.state is distinct from 'closed' or p.changed_at <= j.posted_at)
             union all
             select 'reversal ' || r.id from ledger.journals r
             where exists (
               select from (select account, ref_type, ref_id, debit, credit from ledger.ledger_entries where journal_id = r.id) m
               full join (select account, ref_type, ref_id, credit as debit, debit as credit from ledger.ledger_entries
                          where journal_id = r.reverses_journal_id) o using (account, ref_type, ref_id, debit, credit)
               where r.reverses_journal_id is not null and (m is null or o is null))",
        )
        .fetch_all(&self.db)
        .await
        .unwrap();
        assert!(off.is_empty(), "the books do not balance: {off:?}");
        self.check_days().await;
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

impl Journal {
    /// All of whose lines refer to one document.
    pub(crate) fn of(
        document: &str,
        event_type: &str,
        effective_date: &str,
        lines: &[&str],
    ) -> Self {
        Self {
            event_type: event_type.to_owned(),
            effective_date: effective_date.to_owned(),
            document: document.to_owned(),
            lines: lines.iter().map(|line| format!("{line} {document}")).collect(),
        }
    }
}

/// Gives where it is.
async fn serve(config: &Config, shutdown: &Shutdown) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let bus = log::connect(&config.nats, "test").await.unwrap();
    let pool = pg::connect(&config.postgres, "ledger").await.unwrap();
    let (config, told) = (config.clone(), shutdown.clone());
    tokio::spawn(async move {
        ledger_svc::serve(&config, pool, bus, listener, told).await.unwrap();
    });
    url
}

pub(crate) fn new_id() -> String {
    Uuid::now_v7().to_string()
}

pub(crate) fn money(amount: &str) -> Option<Money> {
    Some(Money { amount: amount.to_owned(), currency_code: "GBP".to_owned() })
}

/// What `amount` is, in pence.
pub(crate) fn pence(amount: Option<Money>) -> i64 {
    amount.unwrap().amount.replace('.', "").parse().unwrap()
}

/// `NewLine`s of (account, debit, credit), where "" is none.
pub(crate) fn lines(lines: &[(&str, &str, &str)]) -> Vec<pb::NewLine> {
    let side = |amount: &str| if amount.is_empty() { None } else { money(amount) };
    let line = |(account, debit, credit): &(&str, &str, &str)| pb::NewLine {
        account: (*account).to_owned(),
        debit: side(debit),
        credit: side(credit),
    };
    lines.iter().map(line).collect()
}

/// Money that an owner pays in.
pub(crate) fn capital(amount: &str, date: &str) -> pb::NewJournal {
    pb::NewJournal {
        effective_date: date.to_owned(),
        description: "Capital paid in".to_owned(),
        lines: lines(&[("1200", amount, ""), ("3200", "", amount)]),
        ..Default::default()
    }
}
