use chrono::NaiveDate;
use chrono_tz::Tz;
use log::{Log, NewEvent};
use proto::events::v1::PayrollPaid;

use crate::{
    HrError,
    commands::{self, OnRun},
    domain::{Move, PayrollRun},
    store,
};

/// Notes that an approved run was paid, today unless another day is said. Locks the month's runs.
#[tracing::instrument(name = "hr.pay_payroll_run", skip_all, fields(payroll_run.id = %command.id))]
pub(crate) async fn pay_payroll_run(
    log: &Log,
    zone: Tz,
    command: &OnRun,
    pay_date: Option<NaiveDate>,
) -> Result<PayrollRun, HrError> {
    let mut tx = log.begin().await?;
    let request_key = command.request_key.as_ref();
    if let Some(earlier) = log::answered(&mut tx, store::SCHEMA, request_key, command.id).await? {
        return store::payroll_runs::get_answered(&mut tx, &earlier).await;
    }
    let run = store::payroll_runs::lock(&mut tx, command.id).await?;
    let Some(after) = commands::moved(&run, Move::Pay, command.etag.as_deref())? else {
        if let (Some(paid_on), Some(asked)) = (run.paid_on, pay_date)
            && paid_on != asked
        {
            return Err(HrError::PaidOnAnotherDay { id: run.id, paid_on });
        }
        log.commit(tx).await?;
        return Ok(run);
    };
    let today = store::today(&mut tx, zone).await?;
    // The run of the month to come is paid today.
    let first = run.period.first_day().min(today);
    let pay_date = pay_date.unwrap_or(today);
    if pay_date < first || pay_date > today {
        return Err(HrError::PayDateOut { first, last: today });
    }
    let after = PayrollRun { paid_on: Some(pay_date), ..after };
    let data = PayrollPaid {
        payroll_run_id: after.id.to_string(),
        net: commands::to_money(after.totals.net_pence())?,
        pay_date: rpc::to_date(pay_date),
    };
    let told = NewEvent::new("payroll.paid", after.id, after.version, &data, &command.cause);
    store::payroll_runs::update(&mut tx, &after, told.id()).await?;
    log.append(&mut tx, &[told]).await?;
    log.commit(tx).await?;
    Ok(after)
}
