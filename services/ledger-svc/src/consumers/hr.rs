use log::{Apply, ApplyError, Event, Log};
use proto::events::v1::{PayrollApproved, PayrollPaid, PayrollReversed};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Told, amount, book, day, not_booked, read_id, refused};
use crate::domain::{Fact, Wages};

const SOURCE: &str = "hr";

/// Payroll runs, in sums.
#[derive(Debug, Clone)]
pub(crate) struct HrBooks {
    pub(crate) log: Log,
}

impl Apply for HrBooks {
    const TYPES: &'static [&'static str] =
        &["payroll.approved", "payroll.paid", "payroll.reversed", "payroll.repaid"];

    async fn apply(&self, tx: &mut PgConnection, events: &[Event]) -> Result<(), ApplyError> {
        book(tx, &self.log, SOURCE, events, read).await
    }
}

fn read(event: &Event) -> Result<Told, ApplyError> {
    Ok(Some(match event.event_type.as_str() {
        "payroll.approved" => {
            let data: PayrollApproved = event.data()?;
            let run_id = read_id(&data.payroll_run_id)?;
            (Fact::PayrollApproved(wages(run_id, &data)?), day(&data.effective_date)?)
        }
        "payroll.paid" => {
            let data: PayrollPaid = event.data()?;
            let run_id = read_id(&data.payroll_run_id)?;
            let net = amount(data.net.as_ref())?;
            (Fact::PayrollPaid { run_id, net }, day(&data.pay_date)?)
        }
        "payroll.reversed" => {
            let data: PayrollReversed = event.data()?;
            let approved =
                data.approved.ok_or_else(|| refused("a reversal without what was approved"))?;
            // It refers to the run that it takes back, so that all of a run balances.
            let run_id = read_id(&data.payroll_run_id)?;
            let wages = wages(run_id, &approved)?;
            (Fact::PayrollReversed(wages), day(&approved.effective_date)?)
        }
        "payroll.repaid" => {
            let data: PayrollPaid = event.data()?;
            let run_id = read_id(&data.payroll_run_id)?;
            let net = amount(data.net.as_ref())?;
            (Fact::PayrollRepaid { run_id, net }, day(&data.pay_date)?)
        }
        _ => return Err(not_booked(event)),
    }))
}

fn wages(run_id: Uuid, data: &PayrollApproved) -> Result<Wages, ApplyError> {
    Ok(Wages {
        run_id,
        gross: amount(data.gross.as_ref())?,
        paye: amount(data.paye.as_ref())?,
        employee_ni: amount(data.employee_ni.as_ref())?,
        employee_pension: amount(data.employee_pension.as_ref())?,
        employer_ni: amount(data.employer_ni.as_ref())?,
        employer_pension: amount(data.employer_pension.as_ref())?,
        net: amount(data.net.as_ref())?,
    })
}
