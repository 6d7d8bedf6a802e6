//! What is counted is what the logs say, however often and by whatever way events come.

use std::{fs, sync::Arc, time::Duration};

use async_nats::jetstream;
use futures::TryStreamExt;
use manifest::Manifest;
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    schema::printer::print_schema,
};
use testkit::eventually;

use crate::{
    folder, model,
    shop::{Consumer, PATIENCE, SOURCES, Shop, client, still},
    trade::{Lasting, Trade, cancelled, new_id, placed},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_version_stands_for_the_events_up_to_its_positions() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let consumer = shop.consume(dir.path()).await;
    shop.caught_up(dir.path()).await;
    let mut trading = Lasting::start(&shop, 150, 1);
    let mut versions = std::collections::BTreeSet::new();
    while !trading.has_ended() || versions.len() <= 3 {
        trading.go_on().await;
        consumer.flush().await.ok();
        let (manifest, tables) = folder::read(dir.path());
        assert_eq!(tables, model::tables(&shop, &manifest).await);
        versions.insert(manifest.version);
    }
    trading.end().await;
    shop.caught_up(dir.path()).await;
    let (manifest, tables) = folder::read(dir.path());
    assert_eq!(tables, model::tables(&shop, &manifest).await);
    assert_eq!(tables.len(), 10, "{:?}", tables.keys());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_where_it_was() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let mut trades = SOURCES.map(|source| Trade::new(source, 2));
    let mut last = 0;
    for round in 0..6 {
        let consumer = shop.consume(dir.path()).await;
        for trade in &mut trades {
            trade.go_on(&shop, 20).await;
        }
        if round % 2 == 0 {
            shop.caught_up(dir.path()).await;
        } else {
            eventually("some is counted", PATIENCE, async || {
                Manifest::read(dir.path()).unwrap().is_some_and(|found| found.version > last)
            })
            .await;
        }
        consumer.stop().await;
        let (manifest, tables) = folder::read(dir.path());
        assert!(manifest.version > last);
        last = manifest.version;
        assert_eq!(tables, model::tables(&shop, &manifest).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_come_again_count_once() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let clock = still();
    let consumer = Consumer::start(shop.config(dir.path(), &[]), Arc::clone(&clock)).await;
    let mut trades = SOURCES.map(|source| Trade::new(source, 3));
    for trade in &mut trades {
        trade.go_on(&shop, 30).await;
    }
    shop.caught_up(dir.path()).await;
    let nats = client(&shop.nats.url()).await;
    let mut repeated = 0;
    for source in SOURCES {
        let stream = jetstream::new(nats.clone()).get_stream(source.to_uppercase()).await.unwrap();
        let config = jetstream::consumer::pull::Config {
            ack_policy: jetstream::consumer::AckPolicy::None,
            ..Default::default()
        };
        let all = stream.create_consumer(config).await.unwrap();
        let batch = all.fetch().max_messages(1000).messages().await.unwrap();
        let messages: Vec<_> = batch.try_collect().await.unwrap();
        for message in messages.into_iter().rev() {
            let ack = nats.request(message.subject.clone(), message.payload.clone()).await.unwrap();
            assert!(!String::from_utf8_lossy(&ack.payload).contains("error"));
            repeated += 1;
        }
    }
    assert!(repeated > 100);
    for trade in &mut trades {
        trade.go_on(&shop, 10).await;
    }
    shop.caught_up(dir.path()).await;
    consumer.stop().await;
    let (manifest, tables) = folder::read(dir.path());
    assert_eq!(tables, model::tables(&shop, &manifest).await);

    // And once more from the messed-up streams alone.
    let other = tempfile::tempdir().unwrap();
    let rebuilding = Consumer::start(shop.config(other.path(), &[]), clock).await;
    shop.caught_up(other.path()).await;
    rebuilding.stop().await;
    assert_eq!(folder::read(other.path()).1, tables);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_whose_orders_are_all_cancelled_is_gone() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let consumer = shop.consume(dir.path()).await;
    let (one, two) = (new_id(), new_id());
    shop.publish("orders", &[placed(&one, 1250, "2026-11-24T09:59:59Z")]).await;
    shop.publish("orders", &[placed(&two, 50, "2026-11-24T09:00:00Z")]).await;
    shop.caught_up(dir.path()).await;
    let sold = || folder::lines(dir.path(), "sales_by_hour");
    assert_eq!(sold(), ["2026-11-24T09:00:00.000000Z|13.00|2"]);
    shop.publish("orders", &[cancelled(&one, 1250, "2026-11-24T09:59:59Z")]).await;
    shop.caught_up(dir.path()).await;
    assert_eq!(sold(), ["2026-11-24T09:00:00.000000Z|0.50|1"]);
    shop.publish("orders", &[cancelled(&two, 50, "2026-11-24T09:00:00Z")]).await;
    shop.caught_up(dir.path()).await;
    assert_eq!(sold(), [""; 0]);
    consumer.stop().await;
    shop.consume(dir.path()).await.is_ready_soon().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_touched_is_not_written_again() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let consumer = Consumer::start(shop.config(dir.path(), &[]), still()).await;
    let mut trades = SOURCES.map(|source| Trade::new(source, 4));
    for trade in &mut trades {
        trade.go_on(&shop, 20).await;
    }
    let before = shop.caught_up(dir.path()).await;
    shop.publish("orders", &[placed(&new_id(), 1, "2026-11-24T09:00:00Z")]).await;
    let after = shop.caught_up(dir.path()).await;
    for file in &before.files {
        let same = after.files.contains(file);
        assert_eq!(same, file.table != "sales_by_hour", "{}", file.path);
    }
    // An event that changes no row moves the position alone.
    trades[2].go_on(&shop, 0).await;
    let data = proto::events::v1::CustomerChanged { customer_id: new_id() };
    let customer = crate::trade::event("customer.created", "c", &data);
    shop.publish("orders", &[customer]).await;
    let last = shop.caught_up(dir.path()).await;
    assert_eq!(last.files, after.files);
    assert!(last.positions["orders"].log_id > after.positions["orders"].log_id);
    assert!(last.event_time > after.event_time);
    // And without an event nothing is written at all.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(Manifest::read(dir.path()).unwrap().unwrap(), last);
    drop(consumer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_columns_are_those_that_everybody_reads() {
    let shop = Shop::start().await;
    let dir = tempfile::tempdir().unwrap();
    let consumer = shop.consume(dir.path()).await;
    for source in SOURCES {
        Trade::new(source, 5).go_on(&shop, 20).await;
    }
    let data = serde_json::json!({"total": "no money"});
    shop.publish_at("orders", "order.placed", "x", "2026-11-24T09:00:00Z", data).await;
    let manifest = shop.caught_up(dir.path()).await;
    let mut schemas = Vec::new();
    for table in manifest::tables::ALL {
        let file = manifest.files_of(table.name).next().unwrap();
        let file = fs::File::open(dir.path().join(&file.path)).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        print_schema(&mut schemas, reader.metadata().file_metadata().schema());
    }
    assert_eq!(
        String::from_utf8(schemas).unwrap(),
        "message sales_by_hour {
  REQUIRED INT64 hour (TIMESTAMP(MICROS,true));
  REQUIRED INT64 total_amount (DECIMAL(18,2));
  REQUIRED INT32 order_count;
}
message stock_snapshot {
  REQUIRED BYTE_ARRAY sku (STRING);
  REQUIRED INT32 qty_on_hand;
  REQUIRED INT32 reserved_qty;
  REQUIRED INT64 snapshot_at (TIMESTAMP(MICROS,true));
  REQUIRED INT32 reorder_point;
  REQUIRED BOOLEAN archived;
}
message ar_ageing {
  REQUIRED INT64 bucket_30 (DECIMAL(18,2));
  REQUIRED INT64 bucket_60 (DECIMAL(18,2));
  REQUIRED INT64 bucket_90 (DECIMAL(18,2));
  REQUIRED INT64 total_ar (DECIMAL(18,2));
  REQUIRED INT64 as_of (TIMESTAMP(MICROS,true));
  REQUIRED INT64 current (DECIMAL(18,2));
  REQUIRED INT64 bucket_over_90 (DECIMAL(18,2));
}
message open_invoices {
  REQUIRED FIXED_LEN_BYTE_ARRAY (16) invoice_id (UUID);
  REQUIRED FIXED_LEN_BYTE_ARRAY (16) customer_id (UUID);
  REQUIRED INT32 due_date (DATE);
  REQUIRED INT64 residual (DECIMAL(18,2));
}
message set_aside_events {
  REQUIRED BYTE_ARRAY source (STRING);
  REQUIRED INT64 sequence;
  REQUIRED FIXED_LEN_BYTE_ARRAY (16) event_id (UUID);
  REQUIRED BYTE_ARRAY event_type (STRING);
  REQUIRED BYTE_ARRAY subject (STRING);
  REQUIRED INT64 event_time (TIMESTAMP(MICROS,true));
  REQUIRED BYTE_ARRAY reason (STRING);
}
message trial_balance {
  REQUIRED BYTE_ARRAY account (STRING);
  REQUIRED INT32 day (DATE);
  REQUIRED FIXED_LEN_BYTE_ARRAY (9) debit (DECIMAL(20,2));
  REQUIRED FIXED_LEN_BYTE_ARRAY (9) credit (DECIMAL(20,2));
}
message stock_by_day {
  REQUIRED BYTE_ARRAY sku (STRING);
  REQUIRED INT32 qty_on_hand;
  REQUIRED INT32 reserved_qty;
  REQUIRED INT64 snapshot_at (TIMESTAMP(MICROS,true));
  REQUIRED INT32 business_day (DATE);
}
message order_facts {
  REQUIRED FIXED_LEN_BYTE_ARRAY (16) order_id (UUID);
  REQUIRED FIXED_LEN_BYTE_ARRAY (16) line_id (UUID);
  REQUIRED FIXED_LEN_BYTE_ARRAY (16) customer_id (UUID);
  REQUIRED BYTE_ARRAY sku (STRING);
  REQUIRED INT32 quantity;
  REQUIRED INT32 cancelled_quantity;
  REQUIRED INT32 shipped_quantity;
  REQUIRED INT32 returned_quantity;
  REQUIRED INT64 unit_price (DECIMAL(18,2));
  OPTIONAL INT32 tax_rate (DECIMAL(5,4));
  REQUIRED INT64 amount (DECIMAL(18,2));
  REQUIRED INT64 placed_at (TIMESTAMP(MICROS,true));
  REQUIRED BOOLEAN cancelled;
}
message sales_by_sku_day {
  REQUIRED INT32 business_day (DATE);
  REQUIRED BYTE_ARRAY sku (STRING);
  REQUIRED INT64 quantity;
  REQUIRED INT64 shipped_quantity;
  REQUIRED INT64 returned_quantity;
  REQUIRED INT64 amount (DECIMAL(18,2));
  REQUIRED INT32 line_count;
}
message sales_by_sku_month {
  REQUIRED INT32 month (DATE);
  REQUIRED BYTE_ARRAY sku (STRING);
  REQUIRED INT64 quantity;
  REQUIRED INT64 shipped_quantity;
  REQUIRED INT64 returned_quantity;
  REQUIRED INT64 amount (DECIMAL(18,2));
  REQUIRED INT32 line_count;
}
message receivables_by_day {
  REQUIRED INT32 business_day (DATE);
  REQUIRED FIXED_LEN_BYTE_ARRAY (16) customer_id (UUID);
  REQUIRED INT32 due_date (DATE);
  REQUIRED INT64 amount (DECIMAL(18,2));
}
"
    );
    drop(consumer);
}
