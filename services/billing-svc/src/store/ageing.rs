//! What is owed at the end of a day, by how late it is.
//!
//! It is the sum of all movements up to that day; reckoned back from what is owed now, so that it costs what is open and what has moved since.

use chrono::NaiveDate;
use ids::CustomerId;
use money::Money;
use pg::FilteredRead;

/// What is owed by customers with how late it is; of all customers together without one.
#[derive(Debug, Clone)]
pub(crate) struct Ageing {
    pub(crate) customer_id: Option<CustomerId>,
    pub(crate) current: Money,
    pub(crate) to_30: Money,
    pub(crate) to_60: Money,
    pub(crate) to_90: Money,
    pub(crate) over_90: Money,
    pub(crate) total: Money,
}

/// A page of customers behind a key by their ids, with the totals of all as the last row.
pub(crate) async fn ageing(
    db: &mut FilteredRead,
    day: NaiveDate,
    customer_id: Option<CustomerId>,
    after: Option<CustomerId>,
    limit: i64,
) -> sqlx::Result<Vec<Ageing>> {
    sqlx::query_as!(
        Ageing,
        r#"with owed as materialized (
             select customer_id, due_date, residual as amount from billing.invoices
             where residual > 0 and ($2::uuid is null or customer_id = $2)
             union all
             select i.customer_id, i.due_date, -m.amount
             from billing.receivable_movements m join billing.invoices i on i.id = m.invoice_id
             where m.effective_date > $1 and ($2::uuid is null or m.customer_id = $2)
           ), aged as materialized (
             select customer_id, grouping(customer_id) = 1 as is_total,
                    coalesce(sum(amount) filter (where $1 - due_date <= 0), 0) as current,
                    coalesce(sum(amount) filter (where $1 - due_date between 1 and 30), 0) as to_30,
                    coalesce(sum(amount) filter (where $1 - due_date between 31 and 60), 0) as to_60,
                    coalesce(sum(amount) filter (where $1 - due_date between 61 and 90), 0) as to_90,
                    coalesce(sum(amount) filter (where $1 - due_date >= 91), 0) as over_90,
                    coalesce(sum(amount), 0) as total
             from owed group by grouping sets ((customer_id), ())
           )
           select customer_id as "customer_id: _", current as "current!: _", to_30 as "to_30!: _", to_60 as "to_60!: _",
                  to_90 as "to_90!: _", over_90 as "over_90!: _", total as "total!: _"
           from (
             (select * from aged
              where not is_total and (current, to_30, to_60, to_90, over_90) <> (0, 0, 0, 0, 0)
                and ($3::uuid is null or customer_id > $3)
              order by customer_id limit $4)
             union all
             select * from aged where is_total
           ) page order by is_total, customer_id"#,
        day,
        customer_id as _,
        after as _,
        limit,
    )
    .fetch_all(&mut **db)
    .await
}
