//! A customer's account: what is owed less credit, document by document.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate, Utc};
use ids::CustomerId;
use money::Money;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::MovementKind;

/// One document that changed the balance.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) day: NaiveDate,
    pub(crate) recorded_at: DateTime<Utc>,
    pub(crate) document_id: Uuid,
    pub(crate) kind: MovementKind,
    /// The number of an invoice or credit note, the external reference of a payment or refund.
    pub(crate) reference: String,
    pub(crate) amount: Money,
    /// After it.
    pub(crate) balance: Money,
}

/// Where a line stands among the others.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    day: NaiveDate,
    recorded_at: DateTime<Utc>,
    document_id: Uuid,
    kind: String,
}

/// The balances before the first day and at the end of the last.
pub(crate) async fn ends(
    db: &mut PgConnection,
    customer_id: CustomerId,
    (from, to): (NaiveDate, NaiveDate),
) -> sqlx::Result<(Money, Money)> {
    let ends = sqlx::query!(
        r#"select coalesce(sum(amount) filter (where effective_date < $2), 0) as "opening!: Money",
                  coalesce(sum(amount), 0) as "closing!: Money"
           from (select effective_date, amount from billing.receivable_movements
                 where customer_id = $1 and effective_date <= $3
                 union all
                 select effective_date, -amount from billing.credit_movements
                 where customer_id = $1 and effective_date <= $3) m"#,
        customer_id as _,
        from,
        to,
    )
    .fetch_one(db)
    .await?;
    Ok((ends.opening, ends.closing))
}

/// Lines of some days behind a key: by day, and as they were recorded within one. A document that changed nothing, such as an allocation of
/// credit, has none. Costs all that moved in these days, whichever page it is.
pub(crate) async fn lines(
    db: &mut PgConnection,
    customer_id: CustomerId,
    (from, to): (NaiveDate, NaiveDate),
    opening: Money,
    after: Option<Key>,
    limit: i64,
) -> sqlx::Result<Vec<Line>> {
    let after = after.as_ref();
    sqlx::query_as!(
        Line,
        r#"with moved as (
             select effective_date, kind, document_id, created_at, amount from billing.receivable_movements
             where customer_id = $1 and effective_date between $2 and $3
             union all
             select effective_date, kind, document_id, created_at, -amount from billing.credit_movements
             where customer_id = $1 and effective_date between $2 and $3
           ), line as (
             select effective_date as day, min(created_at) as recorded_at, document_id, kind, sum(amount) as amount
             from moved group by effective_date, document_id, kind having sum(amount) <> 0
           ), page as (
             select * from (
               select *, $4::numeric + sum(amount) over (order by day, recorded_at, document_id, kind) as balance from line
             ) running
             where $5::date is null or (day, recorded_at, document_id, kind) > ($5, $6::timestamptz, $7::uuid, $8::text)
             order by day, recorded_at, document_id, kind limit $9
           )
           select p.day as "day!", p.recorded_at as "recorded_at!", p.document_id as "document_id!", p.kind as "kind!: _",
                  coalesce(i.number, n.number, y.external_reference, r.external_reference, '') as "reference!",
                  p.amount as "amount!: _", p.balance as "balance!: _"
           from page p
           left join billing.invoices i on i.id = p.document_id and p.kind in ('invoice', 'void', 'write_off')
           left join billing.credit_notes n on n.id = p.document_id and p.kind = 'credit_note'
           left join billing.payments y on y.id = p.document_id and p.kind in ('payment', 'reversal')
           left join billing.refunds r on r.id = p.document_id and p.kind = 'refund'
           order by p.day, p.recorded_at, p.document_id, p.kind"#,
        customer_id as _,
        from,
        to,
        opening as _,
        after.map(|key| key.day),
        after.map(|key| key.recorded_at),
        after.map(|key| key.document_id),
        after.map(|key| key.kind.clone()),
        limit,
    )
    .fetch_all(db)
    .await
}

impl Line {
    pub(crate) fn key(&self) -> Key {
        Key {
            day: self.day,
            recorded_at: self.recorded_at,
            document_id: self.document_id,
            kind: self.kind.to_string(),
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let micros = self.recorded_at.timestamp_micros();
        write!(f, "{}/{micros}/{}/{}", self.day, self.document_id, self.kind)
    }
}

impl FromStr for Key {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(4, '/');
        let mut part = || anyhow::Context::context(parts.next(), "a part is missing");
        let (day, micros, document_id, kind) = (part()?, part()?, part()?, part()?);
        let recorded_at = DateTime::from_timestamp_micros(micros.parse()?);
        Ok(Self {
            day: day.parse()?,
            recorded_at: anyhow::Context::context(recorded_at, "not a time")?,
            document_id: document_id.parse()?,
            kind: kind.to_owned(),
        })
    }
}
