//! Every filter of a list, every balance and every lock starts at an index, whatever it is asked for.

use crate::app::App;

/// The plan of a statement that knows none of its parameters, on tables that are not tiny.
async fn plan(
    db: &mut sqlx::PgConnection,
    types: &str,
    statement: &str,
    arguments: &str,
) -> String {
    let prepare = format!("prepare asked ({types}) as {statement}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(prepare)).execute(&mut *db).await.unwrap();
    let explain = sqlx::AssertSqlSafe(format!("explain (costs off) execute asked ({arguments})"));
    let lines: Vec<String> = sqlx::query_scalar(explain).fetch_all(&mut *db).await.unwrap();
    sqlx::raw_sql("deallocate asked").execute(db).await.unwrap();
    lines.join("\n")
}

#[tokio::test]
async fn what_is_asked_for_is_found_by_an_index() {
    let app = App::start().await;
    sqlx::raw_sql(
        "insert into billing.invoices (id, number, order_id, customer_id, amount, status, issued_at, due_date, paid_at, paid_amount)
         select gen_random_uuid(), 'X' || n, gen_random_uuid(), gen_random_uuid(), 1,
                case n % 50 when 0 then 'issued' else 'paid' end, now(), date '2016-01-01' + n % 3000,
                case n % 50 when 0 then null else now() end, case n % 50 when 0 then 0 else 1 end
         from generate_series(1, 20000) n;
         insert into billing.payments (id, customer_id, external_reference, amount, unallocated, received_at, named_order_id)
         select gen_random_uuid(), customer_id, number, 1, case when status = 'issued' then 1 else 0 end, now(),
                case when status = 'issued' then order_id end from billing.invoices;
         insert into billing.credit_notes (id, number, invoice_id, customer_id, amount, credited, unallocated)
         select gen_random_uuid(), number, id, customer_id, 1, 1, case when status = 'issued' then 1 else 0 end from billing.invoices;
         insert into billing.refunds (id, customer_id, external_reference, amount)
         select gen_random_uuid(), customer_id, number, 1 from billing.invoices;
         insert into billing.receivable_movements (invoice_id, customer_id, kind, document_id, effective_date, amount)
         select id, customer_id, 'invoice', id, due_date, 1 from billing.invoices;
         insert into billing.credit_movements (customer_id, kind, document_id, payment_id, effective_date, amount)
         select customer_id, 'payment', id, id, date '2016-01-01' + length(external_reference), 1 from billing.payments;
         analyze",
    )
    .execute(&app.db)
    .await
    .unwrap();
    let mut db = app.db.acquire().await.unwrap();
    sqlx::raw_sql("set plan_cache_mode = force_generic_plan").execute(&mut *db).await.unwrap();
    let id = "gen_random_uuid()";
    let days = "'2016-05-01', '2016-05-02'";
    for (types, statement, arguments, index) in [
        (
            "uuid, text, bool, date, date, uuid, bigint",
            "select id from billing.invoices where customer_id = $1 and ($2::text is null or status = $2)
               and (not $3::bool or residual > 0) and ($4::date is null or due_date >= $4)
               and ($5::date is null or due_date <= $5) and ($6::uuid is null or id < $6)
             order by id desc limit $7",
            format!("{id}, null, false, {days}, null, 51"),
            "invoices_customer_id_id_idx",
        ),
        (
            "date, date, text, uuid, bigint",
            "select id from billing.invoices
             where due_date between coalesce($1, '-infinity'::date) and coalesce($2, 'infinity'::date)
               and ($3::text is null or status = $3) and ($4::uuid is null or id < $4)
             order by id desc limit $5",
            format!("{days}, null, null, 51"),
            "invoices_due_date_id_idx",
        ),
        (
            "date, date, uuid, bigint",
            "select id from billing.invoices where residual > 0 and ($1::date is null or due_date >= $1)
               and ($2::date is null or due_date <= $2) and ($3::uuid is null or id < $3)
             order by id desc limit $4",
            format!("{days}, null, 51"),
            "invoices_open_id_idx",
        ),
        (
            "text, uuid, bigint",
            "select id from billing.invoices where status = $1 and ($2::uuid is null or id < $2)
             order by id desc limit $3",
            "'paid', null, 51".to_owned(),
            "invoices_status_id_idx",
        ),
        (
            "uuid, bigint",
            "select id from billing.invoices where ($1::uuid is null or id < $1) order by id desc limit $2",
            "null, 51".to_owned(),
            "invoices_pkey",
        ),
        (
            "uuid, uuid, uuid, bigint",
            "select id from billing.invoices where customer_id = $1 and ($2::uuid is null or id = $2)
               and ($3::uuid is null or order_id = $3) and residual > 0
             order by due_date, id limit $4 for update",
            format!("{id}, null, null, 1000"),
            "invoices_open_idx",
        ),
        (
            "uuid[], uuid[]",
            "select p.id from unnest($1::uuid[], $2::uuid[]) as placed (order_id, customer_id)
             join billing.payments p on p.named_order_id = placed.order_id and p.customer_id = placed.customer_id
             where p.named_order_id is not null and p.unallocated > 0 order by p.id",
            format!("array[{id}], array[{id}]"),
            "payments_named_order_id_idx",
        ),
        (
            "uuid, bool, uuid, bigint",
            "select id from billing.payments where customer_id = $1 and (not $2::bool or unallocated <> 0)
               and ($3::uuid is null or id < $3) order by id desc limit $4",
            format!("{id}, false, null, 51"),
            "payments_customer_id_id_idx",
        ),
        (
            "uuid, bigint",
            "select id from billing.payments where unallocated <> 0 and ($1::uuid is null or id < $1)
             order by id desc limit $2",
            "null, 51".to_owned(),
            "payments_unallocated_id_idx",
        ),
        (
            "uuid",
            "select id from billing.payments where customer_id = $1 and unallocated <> 0",
            id.to_owned(),
            "payments_unallocated_idx",
        ),
        (
            "uuid, uuid, bigint",
            "select id from billing.credit_notes where customer_id = $1 and ($2::uuid is null or id < $2)
             order by id desc limit $3",
            format!("{id}, null, 51"),
            "credit_notes_customer_id_id_idx",
        ),
        (
            "uuid, uuid, uuid, bigint",
            "select id from billing.credit_notes where invoice_id = $1 and ($2::uuid is null or customer_id = $2)
               and ($3::uuid is null or id < $3) order by id desc limit $4",
            format!("{id}, null, null, 51"),
            "credit_notes_invoice_id_id_idx",
        ),
        (
            "uuid, uuid, bigint",
            "select id from billing.refunds where customer_id = $1 and ($2::uuid is null or id < $2)
             order by id desc limit $3",
            format!("{id}, null, 51"),
            "refunds_customer_id_id_idx",
        ),
        (
            "uuid, date",
            "select sum(amount) from billing.receivable_movements where customer_id = $1 and effective_date <= $2",
            format!("{id}, '2016-05-01'"),
            "receivable_movements_customer_id_effective_date_idx",
        ),
        (
            "uuid, date",
            "select sum(amount) from billing.credit_movements where customer_id = $1 and effective_date <= $2",
            format!("{id}, '2016-05-01'"),
            "credit_movements_customer_id_effective_date_idx",
        ),
        (
            "date",
            "select sum(amount) from billing.receivable_movements where effective_date > $1",
            "'2024-01-01'".to_owned(),
            "receivable_movements_effective_date_idx",
        ),
        (
            "uuid[]",
            "select sum(amount) from billing.receivable_movements where payment_id = any($1)",
            "array[gen_random_uuid()]".to_owned(),
            "receivable_movements_payment_id_idx",
        ),
        (
            "uuid",
            "select invoice_id from billing.receivable_movements where document_id = $1 and kind = 'allocation'",
            id.to_owned(),
            "receivable_movements_allocation_idx",
        ),
    ] {
        let plan = plan(&mut db, types, statement, &arguments).await;
        assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{statement}\n{plan}");
    }
}
