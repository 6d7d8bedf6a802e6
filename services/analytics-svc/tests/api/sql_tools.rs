//! What database tools ask before, and beside, a query: the calls that the driver for JDBC makes are made here one by one.

use std::{collections::BTreeMap, time::Duration};

use arrow::{
    array::{AsArray, RecordBatch},
    datatypes::{Int32Type, UInt32Type},
};
use arrow_flight::{
    Action, FlightDescriptor, FlightInfo,
    error::FlightError,
    sql::{
        Any, CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys,
        CommandGetImportedKeys, CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTables,
        CommandGetXdbcTypeInfo, CommandStatementIngest, ProstMessageExt, SqlInfo,
        client::FlightSqlServiceClient,
    },
};
use futures::{TryStreamExt, stream};
use prost::Message;
use serde_json::{Value, json};
use testkit::Keys;
use tonic::transport::Channel;

use crate::{
    app::App,
    olap::hours_of_sales,
    sql::{ask_as, publish, refused, rows, start},
    sql_processes::client,
};

async fn fetched(
    client: &mut FlightSqlServiceClient<Channel>,
    info: Result<FlightInfo, FlightError>,
) -> RecordBatch {
    let ticket = info.unwrap().endpoint[0].ticket.clone().unwrap();
    let mut pieces = client.do_get(ticket).await.unwrap();
    // An answer without a row has its columns all the same.
    let first = pieces.try_next().await.unwrap();
    first.unwrap_or_else(|| RecordBatch::new_empty(pieces.schema().unwrap().clone()))
}

/// Asked with a command that the client has no method for.
async fn asked(app: &App, command: &impl ProstMessageExt) -> RecordBatch {
    let mut client = client(&app.url).await;
    let descriptor = FlightDescriptor::new_cmd(command.as_any().encode_to_vec());
    let info = client.inner_mut().get_flight_info(descriptor).await.unwrap().into_inner();
    fetched(&mut client, Ok(info)).await
}

fn texts(rows: &RecordBatch, column: &str) -> Vec<String> {
    let column = rows.column_by_name(column).unwrap().as_string::<i32>();
    column.iter().map(|text| text.unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_finds_the_tables_and_what_their_columns_mean() {
    let app = start(&[]).await;
    app.olap.publish(1, Vec::new());
    let mut client = client(&app.url).await;
    let info = client.get_catalogs().await;
    assert_eq!(texts(&fetched(&mut client, info).await, "catalog_name"), ["memory"]);
    let of_catalog = |catalog: &str| CommandGetDbSchemas {
        catalog: Some(catalog.to_owned()),
        db_schema_filter_pattern: Some("%".to_owned()),
    };
    assert_eq!(texts(&asked(&app, &of_catalog("memory")).await, "db_schema_name"), ["main"]);
    assert_eq!(asked(&app, &of_catalog("other")).await.num_rows(), 0);
    let info = client.get_table_types().await;
    assert_eq!(texts(&fetched(&mut client, info).await, "table_type"), ["VIEW"]);

    let tables = |pattern: &str, kinds: &[&str]| CommandGetTables {
        catalog: Some("memory".to_owned()),
        db_schema_filter_pattern: Some("main".to_owned()),
        table_name_filter_pattern: Some(pattern.to_owned()),
        table_types: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        include_schema: true,
    };
    let some = asked(&app, &tables("sales%", &["TABLE", "VIEW"])).await;
    assert!(texts(&some, "table_name").contains(&"sales_by_hour".to_owned()), "{some:?}");
    assert!(texts(&some, "table_name").iter().all(|name| name.starts_with("sales")), "{some:?}");
    assert_eq!(asked(&app, &tables("%", &["SYSTEM TABLE"])).await.num_rows(), 0);

    let all = asked(&app, &tables("%", &[])).await;
    let schemas = all.column_by_name("table_schema").unwrap().as_binary::<i32>();
    for (name, schema) in texts(&all, "table_name").iter().zip(schemas.iter()) {
        let message = arrow_flight::IpcMessage(schema.unwrap().to_vec().into());
        let schema = arrow::datatypes::Schema::try_from(message).unwrap();
        for field in schema.fields() {
            let remark = field.metadata().get("ARROW:FLIGHT:SQL:REMARKS");
            let remark =
                remark.unwrap_or_else(|| panic!("{name}.{} is not explained", field.name()));
            assert!(remark.len() > 10, "{name}.{}: {remark}", field.name());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_is_told_of_keys_types_and_abilities() {
    let app = start(&[]).await;
    app.olap.publish(1, Vec::new());
    let table = || "order_facts".to_owned();
    let keys = asked(&app, &CommandGetPrimaryKeys { table: table(), ..Default::default() }).await;
    assert_eq!((keys.num_rows(), keys.num_columns()), (0, 6));
    let imported = CommandGetImportedKeys { table: table(), ..Default::default() };
    let exported = CommandGetExportedKeys { table: table(), ..Default::default() };
    let crossed =
        CommandGetCrossReference { pk_table: table(), fk_table: table(), ..Default::default() };
    for keys in
        [asked(&app, &imported).await, asked(&app, &exported).await, asked(&app, &crossed).await]
    {
        assert_eq!((keys.num_rows(), keys.num_columns()), (0, 13));
        assert!(keys.schema().field_with_name("delete_rule").is_ok());
    }

    let types = asked(&app, &CommandGetXdbcTypeInfo { data_type: None }).await;
    let names = texts(&types, "type_name");
    assert!(names.contains(&"DECIMAL".to_owned()) && names.len() == 10, "{names:?}");
    let dates = asked(&app, &CommandGetXdbcTypeInfo { data_type: Some(91) }).await;
    assert_eq!(texts(&dates, "type_name"), ["DATE"]);

    let all = asked(&app, &CommandGetSqlInfo { info: Vec::new() }).await;
    let numbers = all.column_by_name("info_name").unwrap().as_primitive::<UInt32Type>();
    let values = all.column_by_name("value").unwrap().as_union();
    let told: BTreeMap<u32, _> =
        numbers.values().iter().zip(0..).map(|(n, at)| (*n, values.value(at))).collect();
    // All that the JDBC driver looks for: older ones fail where one is missing.
    for info in (500..=575).chain([0, 1, 2, 3]) {
        let missing = SqlInfo::try_from(info).map_or("", |info| info.as_str_name());
        assert!(told.contains_key(&u32::try_from(info).unwrap()), "{missing} ({info}) is not told");
    }
    let info = |info: SqlInfo| &told[&u32::try_from(i32::from(info)).unwrap()];
    assert!(info(SqlInfo::FlightSqlServerReadOnly).as_boolean().value(0));
    assert!(!info(SqlInfo::SqlTransactionsSupported).as_boolean().value(0));
    let unions = info(SqlInfo::SqlSupportedUnions).as_primitive::<Int32Type>().value(0);
    assert_eq!(unions, 0b11);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_refused_in_clear_words() {
    let app = start(&[]).await;
    publish(&app);
    let mut client = client(&app.url).await;
    let update = client.execute_update("drop view sales_by_hour".to_owned(), None).await;
    assert!(update.unwrap_err().to_string().contains("only queries can be asked"));
    let begun = client.begin_transaction().await;
    assert!(begun.unwrap_err().to_string().contains("there are no transactions"));
    let ingest = client
        .execute_ingest(
            CommandStatementIngest { table: "sales_by_hour".to_owned(), ..Default::default() },
            stream::iter([Ok::<_, FlightError>(hours_of_sales(1, "1.00", 1))]),
        )
        .await;
    assert!(ingest.unwrap_err().to_string().contains("only queries can be asked"));

    // Nothing that a stranger sends is an error of ours.
    for bytes in [&b""[..], b"\x00", b"\xff\xff\xff\xff", b"select 1"] {
        let descriptor = FlightDescriptor::new_cmd(bytes.to_vec());
        let status = client.inner_mut().get_flight_info(descriptor).await.unwrap_err();
        assert!(!status.to_string().contains("nternal"), "{status}");
        let ticket = arrow_flight::Ticket::new(bytes.to_vec());
        let status = client.inner_mut().do_get(ticket).await.map(drop).unwrap_err();
        assert!(!status.to_string().contains("nternal"), "{status}");
    }
    for (kind, why) in [
        ("CancelFlightInfo", "a query ends when its answer is no longer read"),
        ("CancelQuery", "a query ends when its answer is no longer read"),
        ("BeginSavepoint", "there are no transactions"),
        ("EndTransaction", "there are no transactions"),
        ("GetSessionOptions", "there is no such action"),
    ] {
        let refused = acted(&mut client, kind, packed(kind)).await.unwrap_err();
        assert!(refused.contains(why) && refused.contains("not implemented"), "{kind}: {refused}");
    }
    let closed = acted(&mut client, "CloseSession", Vec::new()).await.unwrap();
    assert_eq!(closed, [8, 1]);
}

async fn acted(
    client: &mut FlightSqlServiceClient<Channel>,
    kind: &str,
    body: Vec<u8>,
) -> Result<Vec<u8>, String> {
    let action = Action { r#type: kind.to_owned(), body: body.into() };
    let results = client.inner_mut().do_action(action).await;
    let mut results = results.map_err(|status| status.to_string())?.into_inner();
    let result = results.message().await.map_err(|status| status.to_string())?;
    Ok(result.unwrap().body.to_vec())
}

/// An empty request of an action.
fn packed(kind: &str) -> Vec<u8> {
    let type_url = format!("type.googleapis.com/arrow.flight.protocol.sql.Action{kind}Request");
    Any { type_url, ..Any::default() }.encode_to_vec()
}

fn fresh(positions: &str, seconds: &str) -> Value {
    json!({
        "adbc.flight.sql.rpc.call_header.bramble-min-position": positions,
        "adbc.flight.sql.rpc.timeout_seconds.fetch": seconds,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_waits_for_what_it_must_include_or_says_that_it_does_not() {
    let app = start(&[]).await;
    publish(&app);
    let count = ["select count(*) from sales_by_hour", "select sequence from watermark"];
    for counted in ["orders=42", " orders = 41 ", "orders=42,billing=0", ""] {
        let answers = ask_as(&app, fresh(counted, "20"), &count).await;
        assert_eq!([rows(&answers[0]), rows(&answers[1])], [["3"], ["42"]], "{counted}");
    }
    let answers = ask_as(&app, fresh("orders=43", "5"), &count[..1]).await;
    let late = refused(&answers[0]);
    assert!(late.contains("not counted yet: orders is at 42 of 43"), "{late}");
    assert!(late.contains("DeadlineExceeded") || late.contains("TIMEOUT"), "{late}");
    for (wrong, why) in [
        ("orders", "orders=42,billing=7"),
        ("orders=x", "orders=42,billing=7"),
        ("payroll=1", "is none of"),
        ("orders=-1", "min_position[0].sequence"),
    ] {
        let answers = ask_as(&app, fresh(wrong, "20"), &count[..1]).await;
        let refused = refused(&answers[0]);
        assert!(refused.contains("InvalidArgument"), "{wrong}: {refused}");
        assert!(refused.contains(why) || refused.contains("min"), "{wrong}: {refused}");
    }

    let asking = ask_as(&app, fresh("orders=50", "20"), &count);
    let counting = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        app.olap.publish(50, vec![app.olap.file("sales_by_hour", &hours_of_sales(5, "1.00", 1))]);
    };
    let (answers, ()) = tokio::join!(asking, counting);
    assert_eq!([rows(&answers[0]), rows(&answers[1])], [["5"], ["50"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_says_which_version_it_is_from() {
    let app = start(&[]).await;
    publish(&app);
    let mut client = client(&app.url).await;
    let info = client.execute("select sequence from watermark".to_owned(), None).await;
    let answer = fetched(&mut client, info).await;
    let note: Value =
        serde_json::from_str(&answer.schema().metadata()["bramble.watermark"]).unwrap();
    assert_eq!(note["positions"], json!({"orders": 42}));
    assert_eq!(note["event_time"], "2026-11-24T09:30:00.123456Z");
    assert!(note["version"].as_u64().unwrap() > 0 && note["written_at"].is_string(), "{note}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_knows_a_name_and_a_password_shakes_hands_and_goes_on_with_the_token() {
    let keys = Keys::new(1);
    let app = start(&["--auth-public-key", keys.public().to_str().unwrap()]).await;
    publish(&app);
    let token = keys.token(&["analytics.sql"], 600);
    let mut good = client(&app.url).await;
    good.handshake("ann", &token).await.unwrap();
    let info = good.execute("select count(*) from stock_snapshot".to_owned(), None).await;
    assert_eq!(fetched(&mut good, info).await.num_rows(), 1);
    let mut bad = client(&app.url).await;
    assert!(bad.handshake("ann", "secret").await.unwrap_err().to_string().contains("token"));
}
