//! People's own SQL, asked by the Flight SQL driver that Python programs use.

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use arrow::array::AsArray;
use futures::TryStreamExt;
use serde::Serialize;
use serde_json::{Value, json};
use testkit::Keys;

use crate::{
    app::App,
    olap::{ageing, hours_of_sales, sales, stock},
    sql_processes::stream_of,
};

/// Runs the queries, the service being part of the test's own process here.
pub(crate) const WORKER: [&str; 2] = ["--sql-worker", env!("CARGO_BIN_EXE_analytics-svc")];

pub(crate) async fn start(arguments: &[&str]) -> App {
    App::start_with(&[&WORKER, arguments].concat()).await
}

/// What the driver prints, a line a question.
pub(crate) async fn ask_as(app: &App, options: Value, questions: &[impl Serialize]) -> Vec<Value> {
    let url = app.url.replace("http", "grpc");
    let told = json!({"url": url, "options": options, "ask": questions}).to_string();
    let asking = tokio::task::spawn_blocking(move || {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients/sql.py");
        let mut python = Command::new("python3")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        python.stdin.take().unwrap().write_all(told.as_bytes()).unwrap();
        python.wait_with_output().unwrap()
    });
    let said = String::from_utf8(asking.await.unwrap().stdout).unwrap();
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) async fn ask(app: &App, questions: &[impl Serialize]) -> Vec<Value> {
    let answers = ask_as(app, json!({}), questions).await;
    assert_eq!(answers.len(), questions.len());
    answers
}

/// Rows with a space between cells.
pub(crate) fn rows(answer: &Value) -> Vec<String> {
    assert!(answer["refused"].is_null(), "{answer}");
    let cell = |cell: &Value| cell.as_str().unwrap_or("-").to_owned();
    let row = |row: &Value| row.as_array().unwrap().iter().map(cell).collect::<Vec<_>>().join(" ");
    answer["rows"].as_array().unwrap().iter().map(row).collect()
}

pub(crate) fn refused(answer: &Value) -> &str {
    assert!(answer["refused"].is_string(), "it was answered: {answer}");
    answer["refused"].as_str().unwrap()
}

pub(crate) fn publish(app: &App) {
    let hours = sales(&[
        ("2026-07-01T22:00:00Z", "100.10", 2),
        // Already the next day in London.
        ("2026-07-01T23:00:00Z", "20.02", 1),
        ("2026-07-02T09:00:00Z", "3.30", 1),
    ]);
    let levels = stock("2026-07-02T09:00:00Z", &[("MUG", 7, 2), ("TEA", 3, 0)]);
    let files =
        vec![app.olap.file("sales_by_hour", &hours), app.olap.file("stock_snapshot", &levels)];
    app.olap.publish(42, files);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_python_program_asks_what_nobody_thought_of() {
    let app = start(&[]).await;
    publish(&app);
    let answers = ask(
        &app,
        &[
            "select hour::date as day, sum(total_amount), sum(order_count) from sales_by_hour group by all order by day",
            "with stocked as (from stock_snapshot) select sku, qty_on_hand - reserved_qty as free from stocked order by free desc",
            "select source, sequence, event_time from watermark",
            "select hour, total_amount from sales_by_hour order by hour limit 1;  -- with a remark",
            "select count(*) from trial_balance",
            "describe stock_snapshot",
            "show tables",
            "objects",
            "-- a plan;\n/* of */ explain select sku from stock_snapshot where qty_on_hand > 5",
        ],
    )
    .await;
    // Days are those of the business, money is exact.
    assert_eq!(rows(&answers[0]), ["2026-07-01 100.10 2", "2026-07-02 23.32 2"]);
    assert_eq!(rows(&answers[1]), ["MUG 5", "TEA 3"]);
    assert_eq!(rows(&answers[2]), ["orders 42 2026-11-24 09:30:00.123456+00:00"]);
    assert_eq!(answers[3]["columns"], json!(["hour", "total_amount"]));
    assert_eq!(rows(&answers[3]), ["2026-07-01 23:00:00+01:00 100.10"]);
    assert_eq!(rows(&answers[4]), ["0"], "a table that nothing was written of is there, and empty");
    assert_eq!(rows(&answers[5])[1], "qty_on_hand INTEGER YES - - -");
    let tables = rows(&answers[6]);
    assert!(tables.contains(&"order_facts".to_owned()), "{tables:?}");
    let known = rows(&answers[7]);
    assert!(known.contains(&"sales_by_hour hour total_amount order_count".to_owned()), "{known:?}");
    assert_eq!(known.len(), tables.len());
    let plan = rows(&answers[8]).join("\n");
    let folder = app.olap.folder.file_name().unwrap().to_str().unwrap();
    assert!(plan.contains("qty_on_hand>5"), "{plan}");
    assert!(
        !plan.contains(".parquet") && !plan.contains(folder),
        "it tells where files are: {plan}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_tool_is_told_of_columns_is_what_an_answer_has() {
    let app = start(&[]).await;
    app.olap.publish(1, Vec::new());
    let known = &ask(&app, &["objects"]).await[0];
    let tables: Vec<Vec<String>> = serde_json::from_value(known["rows"].clone()).unwrap();
    let questions: Vec<String> =
        tables.iter().map(|table| format!("select * from {}", table[0])).collect();
    let questions: Vec<&str> = questions.iter().map(String::as_str).collect();
    for (table, answer) in tables.iter().zip(ask(&app, &questions).await) {
        assert_eq!(answer["columns"], json!(table[1..]), "{table:?} {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_recurs_reads_the_table_that_it_is_named_like() {
    let app = start(&[]).await;
    publish(&app);
    let recurring = |query: &str| {
        format!(
            "with recursive stock_snapshot as ({query}) select sum(qty_on_hand) from stock_snapshot"
        )
    };
    let questions = [
        // Only behind UNION the name is that of its own rows.
        "from stock_snapshot union all from stock_snapshot where false",
        "with b as (from stock_snapshot) from b union all from stock_snapshot where false",
        "with b as (from stock_snapshot) select 1 as qty_on_hand union all
         select sum(b.qty_on_hand)::int from b, stock_snapshot a having max(a.qty_on_hand) = 1",
        "select 1 as qty_on_hand union all select qty_on_hand + 1 from stock_snapshot where qty_on_hand < 3",
    ]
    .map(recurring);
    let answers = ask(&app, &questions).await;
    let sums: Vec<_> = answers.iter().flat_map(rows).collect();
    assert_eq!(sums, ["10", "10", "11", "6"]);
}

/// All files of a folder and what is in them.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            found.extend(contents(&entry.path()));
        } else {
            found.insert(entry.path(), fs::read(entry.path()).unwrap());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_query_over_the_tables_is_refused() {
    let app = start(&[]).await;
    publish(&app);
    let before = contents(&app.olap.folder);
    let outside = tempfile::tempdir().unwrap();
    let there = outside.path().join("x").display().to_string();
    let secret = outside.path().join("secret.csv");
    fs::write(&secret, "pay\n12345\n").unwrap();
    let secret = secret.display().to_string();
    let ours = app.olap.folder.join("sales_by_hour/00000001.parquet").display().to_string();
    let ours = ours.replace('\'', "''");

    let no_query = [
        format!("copy (select 1) to '{there}'"),
        format!("copy (select 1) to '{ours}'"),
        format!("copy sales_by_hour to '{there}' (format parquet)"),
        format!("copy sales_by_hour from '{secret}'"),
        format!("export database '{there}'"),
        format!("attach '{there}' as a"),
        "attach ':memory:' as a".to_owned(),
        "install httpfs".to_owned(),
        "load httpfs".to_owned(),
        format!("load '{there}'"),
        "set memory_limit = '100GB'".to_owned(),
        "set enable_external_access = true".to_owned(),
        "reset lock_configuration".to_owned(),
        "set variable a = 1".to_owned(),
        "pragma enable_profiling".to_owned(),
        "pragma database_list".to_owned(),
        "call pragma_version()".to_owned(),
        "create table t as select 1".to_owned(),
        "create or replace view sales_by_hour as select 1".to_owned(),
        "create secret s (type s3)".to_owned(),
        "drop view sales_by_hour".to_owned(),
        "insert into sales_by_hour values (now(), 1, 1)".to_owned(),
        "update sales_by_hour set order_count = 0".to_owned(),
        "delete from sales_by_hour".to_owned(),
        "begin".to_owned(),
        "checkpoint".to_owned(),
        format!("explain copy (select 1) to '{there}'"),
        "explain explain select 1".to_owned(),
        format!("prepare p as copy (select 1) to '{there}'"),
    ];
    let several = [
        format!("select 1; copy (select 1) to '{there}'"),
        format!("copy (select 1) to '{there}'; select 1"),
        "select 1; select 2".to_owned(),
        format!("explain select 1; copy (select 1) to '{there}'"),
        "explain analyze select * from sales_by_hour".to_owned(),
        "/* a */ explain analyze select * from sales_by_hour".to_owned(),
        "explain -- \nanalyze select * from sales_by_hour".to_owned(),
        "explain (analyze) select * from sales_by_hour".to_owned(),
        "explain (analyze, format json) select * from sales_by_hour".to_owned(),
    ];
    let elsewhere = [
        format!("select * from '{secret}'"),
        format!("select (select count(*) from '{secret}')"),
        format!(r#"with "{secret}" as (from "{secret}") from "{secret}""#),
        format!(r#"from '{secret}', (with "{secret}" as (select 1) from "{secret}")"#),
        format!(
            r#"with recursive "{secret}" as (from "{secret}" union all from "{secret}") from "{secret}""#
        ),
        "with a as (from b), b as (select 1) from a".to_owned(),
        "select * from 'https://example.com/x.parquet'".to_owned(),
        "select * from 's3://bucket/x.csv'".to_owned(),
        "select * from information_schema.tables".to_owned(),
        "select * from pg_catalog.pg_class".to_owned(),
        "select * from sqlite_master".to_owned(),
        "select * from temp.main.sales_by_hour".to_owned(),
        "select * from set_aside_events".to_owned(),
    ];
    let functions = [
        format!("select * from read_csv('{secret}')"),
        format!("select * from read_csv_auto(['{secret}'])"),
        format!("select * from read_text('{secret}')"),
        format!("select * from read_blob('{secret}')"),
        format!("select * from read_json('{secret}')"),
        format!("select * from read_parquet('{ours}')"),
        format!("select * from parquet_scan('{ours}')"),
        format!("select * from parquet_metadata('{ours}')"),
        format!("select * from sniff_csv('{secret}')"),
        "select * from glob('/*')".to_owned(),
        "select * from query('select 1')".to_owned(),
        "select * from query_table('sales_by_hour')".to_owned(),
        "select * from duckdb_settings()".to_owned(),
        "select * from duckdb_secrets()".to_owned(),
        "select exists(select 1 from duckdb_extensions())".to_owned(),
        "select * from pragma_table_info('sales_by_hour')".to_owned(),
        "select * from histogram('sales_by_hour', 'hour')".to_owned(),
        format!(
            "select * from json_execute_serialized_sql(json_serialize_sql('from ''{secret}'''))"
        ),
        "select getenv('PATH')".to_owned(),
        "select system.main.getenv('PATH')".to_owned(),
        "select current_setting('allowed_paths')".to_owned(),
        "select write_log('x')".to_owned(),
        "select sleep_ms(1)".to_owned(),
    ];
    let nothing = [" ".to_owned(), "-- nothing".to_owned(), "/* nor here */ ;".to_owned()];
    let groups: [(&str, &[String]); 5] = [
        ("there is no statement", &nothing),
        ("only queries can be asked", &no_query),
        ("", &several),
        ("there is no table", &elsewhere),
        ("cannot be used here", &functions),
    ];
    for (why, attacks) in groups {
        let attacks: Vec<&str> = attacks.iter().map(String::as_str).collect();
        for (sql, answer) in attacks.iter().zip(ask(&app, &attacks).await) {
            let refused = refused(&answer);
            assert!(
                refused.contains(why) && refused.contains("InvalidArgument"),
                "{sql}: {refused}"
            );
        }
    }
    assert_eq!(contents(&app.olap.folder), before, "nothing was written");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1, "nowhere");
    assert_eq!(rows(&ask(&app, &["select count(*) from sales_by_hour"]).await[0]), ["3"]);
}

/// Fails unless each of these is refused for that reason, and the next one is answered.
async fn end_alone(app: &App, questions: &[(&str, &str)]) {
    for (sql, why) in questions {
        let answers = ask(app, &[*sql, "select sum(order_count) from sales_by_hour"]).await;
        let refused = refused(&answers[0]);
        assert!(refused.contains(why), "{}: {refused}", &sql[..sql.len().min(100)]);
        assert_eq!(rows(&answers[1]), ["4"], "the next one is answered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_takes_too_long_ends_alone() {
    let app = start(&["--sql-seconds-max", "6"]).await;
    publish(&app);
    let questions = [
        "with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r",
        "select count(*) from range(1000000) a, range(1000000) b where (a.range * b.range) % 7 = 3",
    ];
    end_alone(&app, &questions.map(|sql| (sql, "took longer"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_wants_too_much_ends_alone() {
    // Its memory is full long before its time is over.
    let limits =
        ["--sql-seconds-max", "300", "--sql-rows-max", "1000", "--sql-answer-mib-max", "8"];
    let app = start(&limits).await;
    publish(&app);
    let deep = format!("select {}1{}", "(".repeat(20_000), ")".repeat(20_000));
    let long = format!("select '{}'", "x".repeat(70_000));
    let nested = format!("select * from {}sales_by_hour{}", "(from ".repeat(900), ")".repeat(900));
    let questions = [
        ("select length(repeat('x', 3800000000))", "more memory"),
        ("select list(range) from range(200000000)", "more memory"),
        ("select string_agg(repeat('x', 1000), '') from range(100000000)", "more memory"),
        ("select count(*) from (select distinct hash(range) from range(100000000))", "more memory"),
        ("select count(*) from (from range(50000000) order by hash(range))", "more memory"),
        (
            "with recursive r(t) as (select repeat('x', 1000) union all select t || t from r) select count(*) from r",
            "more memory",
        ),
        ("select * from range(1001)", "more rows than one may have, which BRAMBLE_SQL_ROWS_MAX"),
        ("select repeat('x', 10000) from range(1000)", "more bytes"),
        (&deep, "memory exhausted"),
        (&nested, "depth limit"),
        (&long, "64 KiB"),
    ];
    end_alone(&app, &questions).await;
    let most = ["select count(*) from range(1000)", "select * from range(1000)"];
    let answers = ask(&app, &most).await;
    assert_eq!(rows(&answers[0]), ["1000"]);
    assert_eq!(rows(&answers[1]).len(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_may_be_larger_than_the_memory_of_its_query_and_keeps_the_order_of_the_files() {
    let app = start(&["--sql-memory-mib", "64"]).await;
    // 100 MB.
    let skus: Vec<String> = (0..100_000).map(|n| format!("{n:01000}")).collect();
    let levels: Vec<_> = skus.iter().map(|sku| (sku.as_str(), 1, 0)).collect();
    let levels = stock("2026-07-02T09:00:00Z", &levels);
    app.olap.publish(1, vec![app.olap.file("stock_snapshot", &levels)]);
    for sql in ["from stock_snapshot", "from stock_snapshot limit 99999"] {
        let mut pieces = stream_of(&app.url, sql).await;
        let mut read = 0;
        while let Some(piece) = pieces.try_next().await.unwrap() {
            for sku in piece.column(0).as_string::<i32>() {
                assert_eq!(sku.unwrap().parse::<usize>().unwrap(), read);
                read += 1;
            }
        }
        assert!(read >= 99_999, "{read}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_needs_a_token_with_its_own_permission() {
    let keys = Keys::new(1);
    let app = start(&["--auth-public-key", keys.public().to_str().unwrap()]).await;
    publish(&app);
    let count = ["select count(*) from stock_snapshot"];
    let bearer =
        |token: &str| json!({"adbc.flight.sql.authorization_header": format!("Bearer {token}")});
    let good = keys.token(&["analytics.sql"], 600);
    assert_eq!(rows(&ask_as(&app, bearer(&good), &count).await[0]), ["2"]);
    // What asks for a name and a password is given the token as the password.
    let password = json!({"username": "ann", "password": good});
    assert_eq!(rows(&ask_as(&app, password, &count).await[0]), ["2"]);

    for (token, why) in [
        (keys.token(&["analytics.read"], 600), "PermissionDenied"),
        (keys.token(&["*"], -3600), "Unauthenticated"),
        (Keys::new(2).token(&["*"], 600), "Unauthenticated"),
    ] {
        let answers = ask_as(&app, bearer(&token), &["objects", count[0]]).await;
        assert!(answers.iter().all(|answer| refused(answer).contains(why)), "{answers:?}");
    }
    let answers = ask_as(&app, json!({}), &["objects", count[0]]).await;
    assert!(
        answers.iter().all(|answer| refused(answer).contains("Unauthenticated")),
        "{answers:?}"
    );
    let wrong = json!({"username": "ann", "password": "secret"});
    assert!(ask_as(&app, wrong, &count).await.is_empty(), "it cannot even connect");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_and_absence_are_said() {
    let app = start(&[]).await;
    let said = ask(&app, &["select 1"]).await;
    assert!(refused(&said[0]).contains("nothing has been materialized yet"), "{said:?}");

    let bad = app.olap.file("sales_by_hour", &hours_of_sales(1, "1.00", 1));
    let good = app.olap.file("ar_ageing", &ageing(&[("2026-11-24T09:00:00Z", ["1.00"; 6])]));
    fs::write(app.olap.folder.join(&bad.path), "x").unwrap();
    app.olap.publish(1, vec![bad, good]);
    let said = ask(&app, &["from sales_by_hour", "select total_ar from ar_ageing"]).await;
    assert!(refused(&said[0]).contains("cannot be used"), "{said:?}");
    assert_eq!(rows(&said[1]), ["1.00"], "another table is not touched by it");
}
