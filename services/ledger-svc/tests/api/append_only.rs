//! What Postgres itself refuses, whoever asks.

use sqlx::{AssertSqlSafe, PgPool, error::DatabaseError};

use crate::{
    app::{App, capital, new_id},
    events::issued,
};

/// For the service's own role, and for one that may do everything.
fn logins(app: &App) -> [String; 2] {
    [app.database.url("ledger_svc"), app.database.admin_url()]
}

/// Runs statements in one transaction.
async fn run(pool: &PgPool, sql: &str) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut *tx).await?;
    tx.commit().await
}

async fn refused(pool: &PgPool, sql: &str) -> Box<dyn DatabaseError> {
    run(pool, sql).await.unwrap_err().into_database_error().unwrap()
}

/// A journal with entries of (account, debit, credit).
fn posting(entries: &[(&str, &str, &str)]) -> String {
    posting_of(&new_id(), entries)
}

fn posting_of(journal: &str, entries: &[(&str, &str, &str)]) -> String {
    format!(
        "insert into ledger.journals (id, source, source_event_id, event_type, ref_type, ref_id, effective_date)
         values ('{journal}', 'test', '{}', 'test.made', 'invoice', '{}', '2026-03-31');
         {}",
        new_id(),
        new_id(),
        added(journal, entries)
    )
}

/// All entries by one statement; nothing without any.
fn added(journal: &str, entries: &[(&str, &str, &str)]) -> String {
    let entry = |(account, debit, credit): &(&str, &str, &str)| {
        let (id, document) = (new_id(), new_id());
        format!("('{id}', '{journal}', '{account}', {debit}, {credit}, 'invoice', '{document}')")
    };
    let entries: Vec<String> = entries.iter().map(entry).collect();
    if entries.is_empty() {
        return String::new();
    }
    format!(
        "insert into ledger.ledger_entries (id, journal_id, account, debit, credit, ref_type, ref_id) values {};",
        entries.join(", ")
    )
}

#[tokio::test]
async fn nobody_changes_or_deletes_what_is_booked() {
    let app = App::start().await;
    app.hear(&[issued(&new_id(), "12.00", "2.00", "2026-03-31")]).await;
    let before = app.trial_balance("").await;
    let statements = [
        "update ledger.ledger_entries set debit = debit + 1 where debit > 0",
        "update ledger.ledger_entries set account = '9998'",
        "delete from ledger.ledger_entries",
        "truncate ledger.ledger_entries",
        "update ledger.journals set effective_date = '2020-01-01'",
        "delete from ledger.journals",
        "truncate ledger.journals, ledger.ledger_entries",
        "update ledger.journals set description = 'x'",
        "update ledger.events_log set event_type = 'x'",
        "delete from ledger.events_log",
        "truncate ledger.events_log",
    ];
    let service = PgPool::connect(&app.database.url("ledger_svc")).await.unwrap();
    for statement in statements {
        // Permission denied.
        assert_eq!(refused(&service, statement).await.code().unwrap(), "42501", "{statement}");
        let by_owner = format!("set role bramble_ledger_owner; {statement}");
        for statement in [statement, by_owner.as_str()] {
            let refusal = refused(&app.db, statement).await;
            // Restrict violation, by the trigger.
            assert_eq!(refusal.code().unwrap(), "23001", "{statement}: {refusal}");
            assert!(refusal.message().ends_with("is append-only"), "{refusal}");
        }
    }
    assert_eq!(app.trial_balance("").await, before);
    app.check_books().await;
}

#[tokio::test]
async fn a_journal_that_does_not_balance_or_has_no_two_entries_is_refused() {
    let app = App::start().await;
    let bad: [(&[_], _); 5] = [
        (&[], "journals_entries_check"),
        (&[("1200", "5.00", "0")], "ledger_entries_balance_check"),
        (&[("1200", "5.00", "0"), ("2110", "0", "4.99")], "ledger_entries_balance_check"),
        (&[("1200", "5.00", "0"), ("2110", "5.00", "0")], "ledger_entries_balance_check"),
        (
            &[("1200", "5.00", "0"), ("2110", "0", "5.00"), ("4000", "0", "0.01")],
            "ledger_entries_balance_check",
        ),
    ];
    for url in logins(&app) {
        let pool = PgPool::connect(&url).await.unwrap();
        for (entries, constraint) in bad {
            let refusal = refused(&pool, &posting(entries)).await;
            assert_eq!(refusal.code().unwrap(), "23514", "{entries:?}");
            assert_eq!(refusal.constraint(), Some(constraint), "{entries:?}");
        }
        let good = posting(&[("1200", "5.00", "0"), ("2110", "0", "4.99"), ("4000", "0", "0.01")]);
        run(&pool, &good).await.unwrap();
    }
    assert_eq!(app.count("ledger.journals").await, 2);
    assert_eq!(app.balances("").await, ["1200 10.00", "2110 -9.98", "4000 -0.02"]);
}

#[tokio::test]
async fn an_entry_has_one_side_of_more_than_nothing_and_an_account_of_the_chart() {
    let app = App::start().await;
    let one_side = "ledger_entries_debit_credit_check";
    let bad = [
        (("1200", "5.00", "5.00"), one_side),
        (("1200", "0", "0"), one_side),
        (("1200", "-5.00", "0"), one_side),
        (("1200", "0", "-5.00"), one_side),
        (("1201", "5.00", "0"), "ledger_entries_account_fkey"),
    ];
    for url in logins(&app) {
        let pool = PgPool::connect(&url).await.unwrap();
        for (entry, constraint) in bad {
            let refusal = refused(&pool, &posting(&[entry, ("2110", "0", "5.00")])).await;
            assert_eq!(refusal.constraint(), Some(constraint), "{entry:?}");
        }
    }
    assert_eq!(app.count("ledger.journals").await, 0);
}

#[tokio::test]
async fn nothing_joins_a_journal_that_was_posted_before_though_it_balances() {
    let app = App::start().await;
    app.hear(&[issued(&new_id(), "12.00", "2.00", "2026-03-31")]).await;
    let journal: String = sqlx::query_scalar("select id::text from ledger.journals")
        .fetch_one(&app.db)
        .await
        .unwrap();
    let pair = [("1200", "5.00", "0"), ("2110", "0", "5.00")];
    let joins = added(&journal, &pair);
    // As old as the journal itself, as far as that can be said.
    let posted_at = "(select posted_at from ledger.journals)";
    let as_old = joins
        .replace("ref_id) values", "ref_id, created_at) values")
        .replace("'), ('", &format!("', {posted_at}), ('"))
        .replace("');", &format!("', {posted_at});"));
    // In the transaction of the journal itself, also once it was checked.
    let own = new_id();
    let twice = posting_of(&own, &pair) + &added(&own, &pair);
    let checked = posting_of(&own, &pair) + "set constraints all immediate;" + &added(&own, &pair);
    for url in logins(&app) {
        let pool = PgPool::connect(&url).await.unwrap();
        for late in [&joins, &as_old, &twice, &checked] {
            let refusal = refused(&pool, late).await;
            assert_eq!(refusal.constraint(), Some("ledger_entries_journal_check"), "{late}");
        }
    }
    assert_eq!(app.count("ledger.journals").await, 1);
    assert_eq!(app.count("ledger.ledger_entries").await, 3);
}

#[tokio::test]
async fn the_sums_of_the_days_follow_from_the_entries_and_from_nothing_else() {
    let app = App::start().await;
    app.hear(&[issued(&new_id(), "12.00", "2.00", "2026-03-31")]).await;
    let before = app.trial_balance("").await;
    let statements = [
        "insert into ledger.account_days values ('1100', '2026-04-01', 1, 0)",
        "update ledger.account_days set debit = debit + 1",
        "delete from ledger.account_days",
    ];
    for url in logins(&app) {
        let pool = PgPool::connect(&url).await.unwrap();
        for statement in statements {
            let refusal = refused(&pool, statement).await;
            assert_eq!(refusal.code().unwrap(), "23001", "{statement}: {refusal}");
            assert!(refusal.message().ends_with("follows from the entries"), "{refusal}");
        }
        let posted = posting(&[("1200", "5.00", "0"), ("2110", "0", "5.00")]);
        run(&pool, &posted).await.unwrap();
        app.check_days().await;
    }
    assert_ne!(app.trial_balance("").await, before);
}

#[tokio::test]
async fn a_journal_is_reversed_once_and_only_one_by_hand_has_a_reason() {
    let app = App::start().await;
    let original = app.post(capital("5.00", "2026-03-31")).await.unwrap().journal_id;
    let reversing = |source: &str| {
        posting(&[("3200", "5.00", "0"), ("1200", "0", "5.00")])
            .replace("effective_date)", "effective_date, description, reverses_journal_id)")
            .replace("'2026-03-31')", &format!("'2026-03-31', 'x', '{original}')"))
            .replace("'test',", &format!("'{source}',"))
    };
    for url in logins(&app) {
        let pool = PgPool::connect(&url).await.unwrap();
        let refusal = refused(&pool, &reversing("billing")).await;
        assert_eq!(refusal.constraint(), Some("journals_source_check"));
    }
    run(&app.db, &reversing("ledger")).await.unwrap();
    let refusal = refused(&app.db, &reversing("ledger")).await;
    assert_eq!(refusal.constraint(), Some("journals_reverses_journal_id_key"));
}
