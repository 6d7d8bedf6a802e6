//! Reports as files, and the folder of the materializations as it is, read by a program that knows nothing of this fleet.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::world::{World, root, said};

/// Of each report: what to ask, the columns, and whether something is in it after one sale.
const REPORTS: [(&[&str], &str); 13] = [
    (&["sales"], "hour,total_amount,order_count"),
    (&["sales", "--by", "day"], "start_date,total_amount,order_count"),
    (&["sales", "--by", "week", "--from", "2020-01-01"], "start_date,total_amount,order_count"),
    (&["sales", "--by", "month", "--to", "2999-12-31"], "start_date,total_amount,order_count"),
    (
        &["sales", "--by", "sku"],
        "sku,quantity,shipped_quantity,returned_quantity,total_amount,line_count",
    ),
    (&["stock"], "sku,qty_on_hand,reserved_qty,snapshot_at"),
    (&["stock", "--as-of", "2999-12-31"], "sku,qty_on_hand,reserved_qty,snapshot_at"),
    (&["ageing"], "business_day,current,bucket_30,bucket_60,bucket_90,bucket_over_90,total_ar"),
    (
        &["ageing", "--by-customer"],
        "customer_id,current,bucket_30,bucket_60,bucket_90,bucket_over_90,total_ar",
    ),
    (&["trial-balance", "--as-of", "2999-12-31"], "account,debit,credit"),
    (
        &["order-lines"],
        "order_id,line_id,customer_id,sku,quantity,cancelled_quantity,shipped_quantity,returned_quantity,\
         unit_price,tax_rate,amount,placed_at,cancelled",
    ),
    (&["stock", "--low"], "sku,qty_on_hand,reserved_qty,available,reorder_point"),
    (
        &["ageing", "--by-customer", "--as-of", "2999-12-31"],
        "customer_id,current,bucket_30,bucket_60,bucket_90,bucket_over_90,total_ar",
    ),
];

async fn sold() -> World {
    let world = World::start().await;
    let customer = world.customer().await;
    world.product("TEA", "2.50", 10).await;
    world.product("MUG", "8.00", 3).await;
    let order = world.order(&customer, &[("TEA", 2), ("MUG", 1)]).await.unwrap();
    world.invoice(&order.order_id).await;
    // And its journals are posted.
    world.verify().await;
    world
}

fn export(world: &World, report: &[&str], path: &Path) {
    let out = ["export", "--wait-for-fresh", "--out", path.to_str().unwrap()];
    let said = world.bramble(&[&out, report].concat());
    assert!(said.contains("rows in"), "{said}");
}

/// What a table of the folder holds, by the manifest.
fn read(world: &World, table: &str) -> Vec<Value> {
    let mut python = Command::new("python3");
    python.arg(root().join("tests/clients/parquet.py"));
    let rows = said(python.arg(world.folder.path().join("olap")).arg(table));
    serde_json::from_str(&rows).unwrap()
}

#[tokio::test]
async fn every_report_is_written_as_csv_and_as_parquet() {
    let world = sold().await;
    let mut contents = Vec::new();
    for (report, columns) in REPORTS {
        let csv = world.folder.path().join("report.csv");
        export(&world, report, &csv);
        let text = fs::read_to_string(&csv).unwrap();
        let (head, rows) = text.split_once('\n').unwrap();
        assert_eq!(head, columns, "{report:?}");
        contents.push(rows.to_owned());

        let parquet = world.folder.path().join("report.parquet");
        export(&world, report, &parquet);
        let mut python = Command::new("python3");
        let read = "import polars, sys; frame = polars.read_parquet(sys.argv[1]); print(','.join(frame.columns), len(frame))";
        let read = said(python.args(["-c", read]).arg(&parquet));
        assert_eq!(read.trim(), format!("{columns} {}", rows.lines().count()), "{report:?}");
    }
    let hour = &contents[0];
    assert!(hour.ends_with(":00:00Z,13.00,1\n") && hour.lines().count() == 1, "{hour}");
    for period in &contents[1..4] {
        assert!(period.ends_with(",13.00,1\n") && period.lines().count() == 1, "{period}");
    }
    let stock: Vec<_> = contents[5].lines().map(|row| row.rsplit_once(',').unwrap().0).collect();
    assert_eq!(stock, ["MUG,3,1", "TEA,10,2"]);
    assert_eq!(contents[4], "MUG,1,0,0,8.00,1\nTEA,2,0,0,5.00,1\n");
    assert_eq!(contents[6], contents[5], "the end of a day to come is now");
    assert_eq!(contents[9], "1100,13.00,0.00\n4000,0.00,13.00\n");
    let lines: Vec<Vec<&str>> = contents[10].lines().map(|row| row.split(',').collect()).collect();
    let mut lines: Vec<_> = lines.iter().map(|cells| cells[3..11].join(",")).collect();
    lines.sort();
    assert_eq!(lines, ["MUG,1,0,0,0,8.00,0.0000,8.00", "TEA,2,0,0,0,2.50,0.0000,5.00"]);
    assert_eq!(contents[11], "", "nothing is low");
    let late = ",0.00,0.00,0.00,0.00,13.00,13.00\n";
    assert!(contents[12].ends_with(late), "{}", contents[12]);
    let owed = "13.00,0.00,0.00,0.00,0.00,13.00\n";
    assert!(contents[7].ends_with(owed), "{}", contents[7]);
    assert!(contents[8].ends_with(owed), "{}", contents[8]);
}

#[tokio::test]
async fn a_question_of_ones_own_is_a_report_too_and_a_bad_one_is_said() {
    let world = sold().await;
    let csv = world.folder.path().join("answer.csv");
    let sql = "select sum(total_amount) as sold, sum(order_count) as orders from sales_by_hour";
    export(&world, &["sql", sql], &csv);
    assert_eq!(fs::read_to_string(&csv).unwrap(), "sold,orders\n13.00,1\n");

    let mut bad = world.fleet.cli().unwrap();
    let bad = bad.args(["export", "sql", "copy sales_by_hour to 'x'", "--out"]).arg(&csv);
    let refused = bad.output().unwrap();
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("only queries can be asked"), "{why}");
    assert_eq!(fs::read_to_string(&csv).unwrap(), "sold,orders\n13.00,1\n", "it is as it was");
}

#[tokio::test]
async fn the_folder_is_read_as_it_is() {
    let world = sold().await;
    export(&world, &["sales"], &world.folder.path().join("wait.csv"));
    let sales = read(&world, "sales_by_hour");
    assert_eq!(sales.len(), 1);
    assert_eq!(
        (&sales[0]["total_amount"], &sales[0]["order_count"]),
        (&"13.00".into(), &"1".into())
    );
    let stock = read(&world, "stock_snapshot");
    assert_eq!(stock.iter().map(|row| &row["sku"]).collect::<Vec<_>>(), ["MUG", "TEA"]);
    let owed = read(&world, "open_invoices");
    assert_eq!(owed[0]["residual"], "13.00");
    assert_eq!(owed[0]["customer_id"].as_str().unwrap().matches('-').count(), 4, "{owed:?}");
    assert!(read(&world, "set_aside_events").is_empty(), "a table without rows has no file");
}
