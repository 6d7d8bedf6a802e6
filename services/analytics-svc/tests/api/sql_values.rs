//! Values that are bound to a statement.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BinaryArray, Int64Array, NullArray, RecordBatch, StringArray},
    datatypes::{DataType, Field, TimeUnit},
};
use arrow_flight::{
    Action, FlightData, Ticket,
    error::FlightError,
    sql::{
        ActionClosePreparedStatementRequest, CommandPreparedStatementQuery, ProstMessageExt,
        client::PreparedStatement,
    },
    utils::batches_to_flight_data,
};
use futures::TryStreamExt;
use prost::{Message, bytes::Bytes};
use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::{
    app::App,
    sql::{ask, publish, refused, rows, start},
    sql_processes::client,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_python_program_binds_values_of_all_kinds() {
    let app = start(&[]).await;
    publish(&app);
    for (question, expected) in [
        (json!(["select qty_on_hand from stock_snapshot where sku = ?", "MUG"]), "7"),
        (json!(["select sku from stock_snapshot where qty_on_hand < ?", 5]), "TEA"),
        (json!(["select sku from stock_snapshot order by sku limit ? offset ?", 1, 1]), "TEA"),
        (
            json!(["select order_count from sales_by_hour where total_amount = ?", {"decimal": "20.02"}]),
            "1",
        ),
        (json!(["select sum(total_amount * ?) from sales_by_hour", {"decimal": "0.5"}]), "61.710"),
        (
            json!(["select sum(order_count) from sales_by_hour where hour::date = ?", {"date": "2026-07-02"}]),
            "2",
        ),
        // An instant is one wherever it is told; a clock without a zone is the business's.
        (
            json!(["select order_count from sales_by_hour where hour = ?", {"time": "2026-07-02T01:00:00+02:00"}]),
            "1",
        ),
        (
            json!(["select order_count from sales_by_hour where hour = ?", {"time": "2026-07-02T00:00:00"}]),
            "1",
        ),
        (
            json!(["select date_trunc('day', ?::timestamptz)::varchar", {"time": "2026-07-01T23:00:00Z"}]),
            "2026-07-02 00:00:00+01",
        ),
        (json!(["select ?::boolean, ?, ?", true, 1.5, -3]), "True 1.5 -3"),
        (json!(["select count(*) from stock_snapshot where sku in (?, ?)", "MUG", "TEA"]), "2"),
        (json!(["select $2 || $1 || $2", "a", "b"]), "bab"),
        (json!(["with a as (select ? as x) select x from a where ? = 1", "y", 1]), "y"),
    ] {
        assert_eq!(rows(&ask(&app, &[&question]).await[0]), [expected], "{question}");
    }
}

/// A text that would be a statement, or the end of one, if it were ever made part of one.
const ATTACKS: [&str; 10] = [
    "MUG' or '1' = '1",
    "'; drop view stock_snapshot; --",
    "MUG'; copy (select 1) to '/tmp/x'; select '",
    "$1",
    "?",
    "/etc/passwd",
    "'\"\\",
    "\\x00\u{1}\u{7f}",
    "’\u{202e} or 1=1",
    "{\"sql\": \"select 1\"}",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_value_is_never_text_of_the_statement() {
    let app = start(&[]).await;
    publish(&app);
    let mut questions = Vec::new();
    for attack in ATTACKS {
        questions.push(json!(["select count(*) from stock_snapshot where sku = ?", attack]));
        questions.push(json!(["select ?", attack]));
        questions.push(json!(["select count(*) from stock_snapshot where sku like ?", attack]));
    }
    let answers = ask(&app, &questions).await;
    for (attack, answers) in ATTACKS.iter().zip(answers.chunks(3)) {
        assert_eq!(rows(&answers[0]), ["0"], "{attack}");
        assert_eq!(rows(&answers[1]), [*attack]);
        assert_eq!(rows(&answers[2]), ["0"], "{attack}");
    }
    for (question, why) in [
        (json!(["from ?", "stock_snapshot"]), "syntax error"),
        (json!(["select * from query_table(?)", "stock_snapshot"]), "cannot be used here"),
        (json!(["select * from read_csv(?)", "/etc/passwd"]), "cannot be used here"),
        (json!(["select getenv(?)", "PATH"]), "cannot be used here"),
        (
            json!(["select * from stock_snapshot order by qty_on_hand limit ?", "1; drop"]),
            "convert",
        ),
        (json!(["copy (select 1) to ?", "/tmp/x"]), "only queries can be asked"),
        (json!(["set threads = ?", 8]), "only queries can be asked"),
    ] {
        let answers = ask(&app, &[&question]).await;
        let refused = refused(&answers[0]).to_lowercase();
        assert!(
            refused.contains(why) && refused.contains("invalidargument"),
            "{question}: {refused}"
        );
    }
    assert_eq!(rows(&ask(&app, &["select count(*) from stock_snapshot"]).await[0]), ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_do_not_fit_are_refused_in_clear_words() {
    let app = start(&[]).await;
    publish(&app);
    let many: Vec<Value> =
        [json!("select 1")].into_iter().chain((0..1001).map(|n| json!(n))).collect();
    for (question, why) in [
        (json!("select ?"), "the query takes one value, and none is given"),
        (json!(["select ?, ?", 1]), "the query takes 2 values, and one is given"),
        (json!(["select ?", 1, 2]), "the query takes one value, and 2 are given"),
        (json!(["select 1", 1]), "the query takes no values, and one is given"),
        (json!(["select $sku", "MUG"]), "no value is given for $sku"),
        (json!(["select 1 where ? = date '2026-07-01'", "soon"]), "invalid date field format"),
        (json!(["select 1 + ?::int", "many"]), "Could not convert string 'many' to INT32"),
        (json!(["select ?", "x".repeat(600_000)]), "512 KiB together"),
        (json!(many), "up to 1000 values"),
        (json!({"many": ["select ?", [1], [2]]}), "only queries can be asked"),
    ] {
        let told = question.to_string();
        let answers = ask(&app, &[question]).await;
        let refused = refused(&answers[0]);
        assert!(refused.contains(why), "{}: {refused}", &told[..told.len().min(100)]);
    }
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

async fn prepared(app: &App, sql: &str) -> PreparedStatement<Channel> {
    client(&app.url).await.prepare(sql.to_owned(), None).await.unwrap()
}

type Spoil<'a> = &'a dyn Fn(&mut [FlightData]);

/// As the service makes one, or anybody.
#[derive(Clone, PartialEq, Message)]
struct Handle {
    #[prost(string, tag = "1")]
    sql: String,
    #[prost(message, repeated, tag = "2")]
    values: Vec<FlightData>,
}

fn handle_of(sql: &str, values: &[FlightData]) -> Vec<u8> {
    Handle { sql: sql.to_owned(), values: values.to_vec() }.encode_to_vec()
}

fn ticket_of(handle: Vec<u8>) -> Ticket {
    let command = CommandPreparedStatementQuery { prepared_statement_handle: handle.into() };
    Ticket::new(command.as_any().encode_to_vec())
}

async fn fetch(app: &App, ticket: Ticket) -> Result<RecordBatch, FlightError> {
    let mut pieces = client(&app.url).await.do_get(ticket).await?;
    Ok(pieces.try_next().await?.unwrap())
}

async fn answer(
    app: &App,
    of: &mut PreparedStatement<Channel>,
) -> Result<RecordBatch, FlightError> {
    let info = of.execute().await?;
    fetch(app, info.endpoint[0].ticket.clone().unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_is_told_of_which_types_values_should_be() {
    let app = start(&[]).await;
    app.olap.publish(1, Vec::new());
    let sql = "select sku from order_facts where sku = $sku and amount > $least and quantity in ($n, 2) and placed_at >= $since and placed_at::date < $until limit $most";
    let prepared = prepared(&app, sql).await;
    let instant = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("Europe/London")));
    let expected = [
        ("sku", DataType::Utf8),
        ("least", DataType::Decimal128(18, 2)),
        ("n", DataType::Int32),
        ("since", instant),
        ("until", DataType::Date32),
        ("most", DataType::Int64),
    ];
    let expected = expected.map(|(name, kind)| Arc::new(Field::new(name, kind, true)));
    let mut told = prepared.parameter_schema().unwrap().fields().to_vec();
    told.sort_by_key(|field| expected.iter().position(|other| other.name() == field.name()));
    assert_eq!(told, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_to_be_bound_is_not_trusted() {
    let app = start(&[]).await;
    publish(&app);
    let number = |n: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![n])) };
    let two: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let bytes: ArrayRef = Arc::new(BinaryArray::from_vec(vec![b"x"]));
    let long: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(3_000_000)]));
    for (values, why) in [
        (batch(vec![("1", two)]), "one row of values at a time"),
        (batch(vec![("1", bytes)]), "value 1: Binary cannot be bound"),
        (batch(vec![("1", long)]), "512 KiB together"),
    ] {
        let mut prepared = prepared(&app, "select ?").await;
        prepared.set_parameters(values).unwrap();
        let refused = answer(&app, &mut prepared).await.unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }

    // Bytes that are not what their heads say.
    let good = batch(vec![("1", number(1)), ("2", Arc::new(StringArray::from(vec!["x"])))]);
    let good = batches_to_flight_data(&good.schema(), vec![good]).unwrap();
    let heads_only = |data: &mut [FlightData]| data[1].data_body = Bytes::new();
    let no_head = |data: &mut [FlightData]| data[1].data_header = Bytes::new();
    let cut = |data: &mut [FlightData]| {
        let head = data[1].data_header.clone();
        data[1].data_header = head.slice(..head.len() / 2);
    };
    let noise = |data: &mut [FlightData]| {
        data[1].data_body = data[1].data_body.iter().map(|byte| byte ^ 0xff).collect();
    };
    let no_columns = |data: &mut [FlightData]| data[0].data_header = Bytes::new();
    let doubled = |data: &mut [FlightData]| data[1] = data[0].clone();
    let spoil: [Spoil<'_>; 6] = [&heads_only, &no_head, &cut, &noise, &no_columns, &doubled];
    for (at, spoil) in spoil.iter().enumerate() {
        let mut data = good.clone();
        spoil(&mut data);
        let handle = handle_of("select ?::bigint, ?::varchar", &data);
        let refused = fetch(&app, ticket_of(handle)).await.unwrap_err().to_string();
        assert!(refused.contains("values cannot be read"), "{at}: {refused}");
    }
    let handle = handle_of("select ?::bigint, ?::varchar", &good);
    assert_eq!(fetch(&app, ticket_of(handle)).await.unwrap().column(0), &number(1));

    // By name, and nothing.
    let mut named = prepared(&app, "select $a::bigint, $b is null").await;
    let nothing: ArrayRef = Arc::new(NullArray::new(1));
    named.set_parameters(batch(vec![("b", nothing), ("a", number(7))])).unwrap();
    assert_eq!(answer(&app, &mut named).await.unwrap().column(0), &number(7));

    // Bound twice: the newer values hold.
    let mut again = prepared(&app, "select ?::bigint").await;
    for n in [1, 2] {
        again.set_parameters(batch(vec![("1", number(n))])).unwrap();
        assert_eq!(answer(&app, &mut again).await.unwrap().column(0), &number(n));
    }

    // A handle is what a stranger says it is.
    for (handle, why) in [
        (b"select 1".to_vec(), "no handle"),
        (vec![0xff; 100], "no handle"),
        (vec![b'\n'; 2 << 20], "no handle"),
        (handle_of("drop view sales_by_hour", &[]), "only queries can be asked"),
        (handle_of("select ?", &[]), "the query takes one value, and none is given"),
        (handle_of("select ?", &[FlightData::default()]), "the values cannot be read"),
    ] {
        let refused = fetch(&app, ticket_of(handle)).await.unwrap_err();
        assert!(refused.to_string().contains(why), "{why}: {refused}");
    }
    // To close one that never was is no harm.
    let close = ActionClosePreparedStatementRequest { prepared_statement_handle: "x".into() };
    let action = Action {
        r#type: "ClosePreparedStatement".to_owned(),
        body: close.as_any().encode_to_vec().into(),
    };
    let mut client = client(&app.url).await;
    client.inner_mut().do_action(action).await.unwrap();
}
