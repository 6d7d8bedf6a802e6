//! What each customer owes, or owed at the end of a day that is over. See [`store`](super) for how values are bound and read.
//!
//! Of a day it is the sum of all changes up to it or, where that is less to read, what is open now less all changes behind it: a day of
//! last week, or the end of last month, is answered from a few files.
//!
//! There may be more customers than there is memory for the sums of all: who is on the page is found first, and only they are summed up by
//! how late they are. Both read the same files, once where the rows are few enough to be kept meanwhile.

use std::ops::{Bound, RangeBounds};

use chrono::NaiveDate;
use duckdb::{Connection, params_from_iter, types::Value};
use manifest::Materialized;
use uuid::Uuid;

use super::{Version, money, pruning};
use crate::{
    AnalyticsError,
    domain::{Buckets, CustomerAgeing, OPEN_INVOICES, RECEIVABLES_BY_DAY},
};

/// Rows of 28 bytes that a query may keep.
const KEPT_ROWS_MAX: u64 = 100_000;

/// Files whose rows sum up to what is owed.
#[derive(Debug, Default)]
pub(crate) struct Debts {
    open: Option<String>,
    changes: Option<(Changes, String)>,
    row_count: u64,
}

/// Which changes count.
#[derive(Debug, Clone, Copy)]
enum Changes {
    UpToDay,
    /// They are taken back.
    BehindDay,
}

/// What is owed now.
pub(crate) fn open_debts(version: &Version) -> Result<Debts, AnalyticsError> {
    let row_count = rows(version.manifest.files_of(OPEN_INVOICES));
    Ok(Debts { open: version.files(OPEN_INVOICES)?, changes: None, row_count })
}

/// What was owed at the end of a day on which somebody owed something, or nobody did.
pub(crate) fn debts_of_day(
    version: &Version,
    day: NaiveDate,
    is_owed: bool,
) -> Result<Debts, AnalyticsError> {
    let day = rpc::to_date(day);
    let all = || version.manifest.files_of(RECEIVABLES_BY_DAY);
    let open = || version.manifest.files_of(OPEN_INVOICES);
    if all().next().is_none() && (is_owed || open().next().is_some()) {
        return Err(AnalyticsError::CountedAnew);
    }
    let up_to = within(all(), ..=day.clone());
    let behind = within(all(), (Bound::Excluded(day), Bound::Unbounded));
    let back = rows(behind.iter().copied().chain(open()));
    let forth = rows(up_to.iter().copied());
    if back < forth {
        let changes = version.sound(behind)?.map(|files| (Changes::BehindDay, files));
        return Ok(Debts { changes, row_count: back, ..open_debts(version)? });
    }
    let changes = version.sound(up_to)?.map(|files| (Changes::UpToDay, files));
    Ok(Debts { open: None, changes, row_count: forth })
}

fn within<'a>(
    files: impl Iterator<Item = &'a Materialized>,
    days: impl RangeBounds<String>,
) -> Vec<&'a Materialized> {
    files.filter(|file| pruning::may_hold(file, &days)).collect()
}

fn rows<'a>(files: impl Iterator<Item = &'a Materialized>) -> u64 {
    files.map(|file| file.row_count).sum()
}

/// By customer, behind one; what is late is so on `day`, which is the one that the debts are of. Only of `customer`, if that is one.
pub(crate) fn ageing_by_customer(
    db: &Connection,
    debts: &Debts,
    day: NaiveDate,
    customer: Option<Uuid>,
    after: Uuid,
    limit: i64,
) -> Result<Vec<CustomerAgeing>, AnalyticsError> {
    let mut values =
        vec![Value::Text(rpc::to_date(day)), Value::Text(after.to_string()), Value::BigInt(limit)];
    let mut bind = |value: &str| {
        values.push(Value::Text(value.to_owned()));
        format!("${}", values.len())
    };
    let mut rows = Vec::new();
    if let Some(files) = &debts.open {
        let files = files_of(&bind(files));
        rows.push(format!("select customer_id, due_date, residual as amount from {files}"));
    }
    if let Some((changes, files)) = &debts.changes {
        let (amount, on) = match changes {
            Changes::UpToDay => ("amount", "<="),
            Changes::BehindDay => ("-amount", ">"),
        };
        let files = files_of(&bind(files));
        rows.push(format!(
            "select customer_id, due_date, {amount} as amount from {files} where business_day {on} $1::varchar::date"
        ));
    }
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let only =
        customer.map(|id| format!("and customer_id = {}::varchar::uuid", bind(&id.to_string())));
    let kept = if debts.row_count > KEPT_ROWS_MAX { "not materialized" } else { "materialized" };
    let mut statement = db.prepare(&format!(
        "with owed as {kept} (
           select customer_id, amount, $1::varchar::date - due_date as late from ({}) debts
           where customer_id > $2::varchar::uuid {}),
         page as (
           select customer_id from owed
           group by customer_id having sum(amount) <> 0 order by customer_id limit $3)
         select customer_id::varchar,
                coalesce(sum(amount) filter (where late <= 0), 0.00)::decimal(38, 2)::varchar,
                coalesce(sum(amount) filter (where late between 1 and 30), 0.00)::decimal(38, 2)::varchar,
                coalesce(sum(amount) filter (where late between 31 and 60), 0.00)::decimal(38, 2)::varchar,
                coalesce(sum(amount) filter (where late between 61 and 90), 0.00)::decimal(38, 2)::varchar,
                coalesce(sum(amount) filter (where late > 90), 0.00)::decimal(38, 2)::varchar,
                sum(amount)::varchar
         from owed where customer_id <= (select max(customer_id) from page)
         group by customer_id having sum(amount) <> 0 order by customer_id",
        rows.join(" union all "),
        only.unwrap_or_default()
    ))?;
    let rows = statement.query_and_then(params_from_iter(values), |row| {
        let id: String = row.get(0)?;
        Ok(CustomerAgeing {
            customer_id: Uuid::parse_str(&id).map_err(|_| AnalyticsError::NotAnId(id))?,
            owed: Buckets {
                current: money(row, 1)?,
                bucket_30: money(row, 2)?,
                bucket_60: money(row, 3)?,
                bucket_90: money(row, 4)?,
                bucket_over_90: money(row, 5)?,
                total: money(row, 6)?,
            },
        })
    })?;
    rows.collect()
}

/// The files of a bound value.
fn files_of(bound: &str) -> String {
    format!("read_parquet(string_split({bound}, chr(10)), hive_partitioning = false)")
}
