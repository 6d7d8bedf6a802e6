//! No request reads the books from end to end, however large they are.

use std::{iter::repeat_n, time::Duration};

use proto::ledger::v1::{
    ClosePeriodRequest, GetBalanceRequest, ListEntriesRequest, ListJournalsRequest,
    ListPeriodsRequest, PeriodState,
};
use testkit::eventually;

use crate::app::App;

/// Postgres tells of what an idle session did after ten seconds.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How often each request comes before the next: seven times to one of the pool's four connections. From the sixth time on Postgres prefers
/// a plan for any values, if it ever would.
const TIMES: usize = 28;

/// 40,000 journals of two entries in the two years up to the end of 2021: one in 1,000 of hr, one in 1,000 by hand. Triggers would take
/// minutes; what they do is done here.
const LARGE: &str = "
    set session_replication_role = replica;
    insert into ledger.journals (id, source, source_event_id, event_type, ref_type, ref_id, effective_date, description)
    select ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, s.source, gen_random_uuid(), 'test.made', 'invoice',
           ('00000000-0000-7000-9000-' || lpad(to_hex(n / 2), 12, '0'))::uuid, date '2020-01-01' + n * 730 / 40000,
           case when s.source = 'ledger' then 'x' end
    from generate_series(0, 39999) n
    cross join lateral (select case when n % 1000 = 7 then 'hr' when n % 1000 = 9 then 'ledger'
                                    when n % 2 = 0 then 'billing' else 'inventory' end as source) s;
    insert into ledger.ledger_entries (id, journal_id, account, debit, credit, ref_type, ref_id)
    select ('00000000-0000-7000-a000-' || lpad(to_hex(n), 12, '0'))::uuid, ('00000000-0000-7000-8000-' || lpad(to_hex(n / 2), 12, '0'))::uuid,
           case when n % 2000 < 2 then '8100' when n % 2 = 0 then '1200' else '1100' end,
           case when n % 2 = 0 then 1 else 0 end, n % 2, 'invoice', ('00000000-0000-7000-9000-' || lpad(to_hex(n / 4), 12, '0'))::uuid
    from generate_series(0, 79999) n;
    insert into ledger.account_days
    select e.account, j.effective_date, sum(e.debit), sum(e.credit)
    from ledger.ledger_entries e join ledger.journals j on j.id = e.journal_id group by 1, 2;
    set session_replication_role = origin;
    analyze ledger.journals;
    analyze ledger.ledger_entries;
    analyze ledger.account_days;
";

/// What was read of the large tables: without an index, and by one.
async fn read(app: &App) -> (i64, i64) {
    sqlx::query_as(
        "select sum(seq_tup_read)::bigint, sum(idx_tup_fetch)::bigint from pg_stat_user_tables
         where schemaname = 'ledger' and relname in ('journals', 'ledger_entries')",
    )
    .fetch_one(&app.db)
    .await
    .unwrap()
}

async fn ask_all(app: &App) {
    let mut client = app.client.clone();
    let text = str::to_owned;
    let days = (text("2020-06-01"), text("2020-08-31"));
    let document = (text("invoice"), text("00000000-0000-7000-9000-000000000fff"));
    for account in ["1100", "8100"] {
        let newest = ListEntriesRequest { account: text(account), ..Default::default() };
        let by_day = ListEntriesRequest {
            from_date: days.0.clone(),
            to_date: days.1.clone(),
            ..newest.clone()
        };
        for request in [newest, by_day].iter().flat_map(|request| repeat_n(request, TIMES)) {
            let entries = client.list_entries(request.clone()).await.unwrap().into_inner().entries;
            assert!(!entries.is_empty());
        }
        let request = GetBalanceRequest { account: text(account), as_of_date: text("2020-12-31") };
        for request in repeat_n(request, TIMES) {
            client.get_balance(request).await.unwrap();
        }
    }
    let of_document = ListEntriesRequest {
        ref_type: document.0.clone(),
        ref_id: document.1.clone(),
        ..Default::default()
    };
    for request in repeat_n(of_document, TIMES) {
        assert_eq!(client.list_entries(request).await.unwrap().into_inner().entries.len(), 4);
    }
    let all = ListJournalsRequest::default();
    let of_hr = ListJournalsRequest { source: text("hr"), ..Default::default() };
    let within = ListJournalsRequest { from_date: days.0, to_date: days.1, ..Default::default() };
    let of_document =
        ListJournalsRequest { ref_type: document.0, ref_id: document.1, ..Default::default() };
    for (request, count) in [(all, 50), (of_hr, 40), (within, 50), (of_document, 2)] {
        for request in repeat_n(request, TIMES) {
            let journals = client.list_journals(request).await.unwrap().into_inner().journals;
            assert_eq!(journals.len(), count);
        }
    }
    for _ in 0..TIMES {
        app.trial_balance("2020-12-31").await;
        let periods = ListPeriodsRequest { state: PeriodState::Open.into(), ..Default::default() };
        client.list_periods(periods).await.unwrap();
    }
    // Most of the books lie behind the one that is closed again and again.
    let months = (0..23).map(|month| format!("{}-{:02}", 2020 + month / 12, 1 + month % 12));
    for period in months.chain(repeat_n(text("2021-12"), TIMES)) {
        let close = ClosePeriodRequest { period: period.clone(), ..Default::default() };
        client.close_period(close).await.unwrap();
        if period == "2021-12" {
            app.reopen(&period).await.unwrap();
        }
    }
}

#[tokio::test]
async fn every_list_balance_and_close_is_served_by_an_index() {
    let app = App::start().await;
    // What this session itself has read is told before all else.
    let mut one = app.db.acquire().await.unwrap();
    for statements in [LARGE, "select pg_stat_force_next_flush()"] {
        sqlx::raw_sql(statements).execute(&mut *one).await.unwrap();
    }
    drop(one);
    let before = read(&app).await;
    ask_all(&app).await;
    let times = i64::try_from(TIMES).unwrap();
    eventually("what was read is told", WAIT_MAX, async || {
        read(&app).await.1 > before.1 + times * 200
    })
    .await;
    tokio::time::sleep(Duration::from_secs(11)).await;
    let after = read(&app).await;
    assert_eq!(after.0, before.0, "entries or journals were read without an index");
    let by_index = (after.1 - before.1) / times;
    assert!(by_index < 12_000, "{by_index} rows of 120,000 were read to answer 15 requests");
}
