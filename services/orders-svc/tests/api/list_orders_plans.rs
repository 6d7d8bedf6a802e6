//! Each list of orders and customers is served by an index, whatever is asked for: the statements themselves are planned.

use std::{fs, path::Path};

use sqlx::{AssertSqlSafe, PgConnection};

use crate::app::App;

/// The statements that `store` has, as they are described for the build.
fn statements() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.sqlx");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let read = files.map(|file| {
        let described: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        described["query"].as_str().unwrap().to_owned()
    });
    read.collect()
}

/// The plans of all statements that have these words, for parameters that the planner does not know.
async fn plans(db: &mut PgConnection, words: &[&str], parameters: &str) -> Vec<String> {
    let mut plans = Vec::new();
    for statement in statements().iter().filter(|text| words.iter().all(|word| text.contains(word)))
    {
        let prepare = format!("prepare listed as {statement}");
        sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *db).await.unwrap();
        let explain = format!("explain (costs off) execute listed ({parameters})");
        let plan: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(explain)).fetch_all(&mut *db).await.unwrap();
        sqlx::raw_sql("deallocate listed").execute(&mut *db).await.unwrap();
        plans.push(plan.join("\n"));
    }
    assert!(!plans.is_empty(), "no statement has {words:?}");
    plans
}

#[tokio::test]
async fn every_list_is_served_by_an_index() {
    let app = App::start().await;
    sqlx::raw_sql(
        "insert into orders.customers (id, name, email)
         select gen_random_uuid(), md5(n::text), n::text from generate_series(1, 2000) n;
         insert into orders.orders (id, customer_id, status, total_amount, placed_at, created_at)
         select gen_random_uuid(), id, case n when 1 then 'draft' when 2 then 'placed' when 3 then 'shipped' else 'completed' end,
                0, now() - make_interval(mins => n), now() - make_interval(mins => n)
         from orders.customers, generate_series(1, 20) n;
         analyze orders.orders; analyze orders.customers",
    )
    .execute(&app.db)
    .await
    .unwrap();
    let mut db = app.db.acquire().await.unwrap();
    sqlx::raw_sql("set plan_cache_mode = force_generic_plan").execute(&mut *db).await.unwrap();

    let all = [
        (&["from orders.orders", "where id < coalesce"][..], "null, 51", "orders_pkey"),
        (&["from orders.orders", "status = 'completed'", "id <"], "null, 51", "orders_pkey"),
        (
            &["from orders.orders", "status <> 'completed'"],
            "'placed', null, 51",
            "orders_status_id_idx",
        ),
        (
            &["from orders.orders", "order by placed_at desc"],
            "null, null, null, null, null, 51",
            "orders_placed_at_id_idx",
        ),
        (
            &["from orders.orders", "customer_id = $1", "order by created_at desc"],
            "gen_random_uuid(), null, null, null, null, null, null, null, 51",
            "idx_orders_customer",
        ),
        (&["from orders.customers", "order by c.id limit"], "false, null, 51", "customers_pkey"),
        (
            &["from orders.customers", "order by lower(c.name)"],
            "'a', null, null, false, 51",
            "customers_name_idx",
        ),
    ];
    for (words, parameters, index) in all {
        for plan in plans(&mut db, words, parameters).await {
            assert!(plan.contains(&format!("using {index} ")), "{words:?}:\n{plan}");
            // Neither reads all to sort it, nor starts at the first page to reach a later one.
            let sorts =
                plan.lines().any(|line| line.trim_start().trim_start_matches("->  ") == "Sort");
            assert!(!sorts && plan.contains("Index Cond"), "{words:?}:\n{plan}");
        }
    }
}
