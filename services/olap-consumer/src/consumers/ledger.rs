use anyhow::{Context, ensure};
use log::Event;
use proto::events::v1::{JournalLine, JournalPosted};

use crate::domain::{Amount, Fact, Posted};

/// A journal of before lines were told counts on the account without a name, on both sides.
pub(super) fn read(event: &Event) -> anyhow::Result<Option<Fact>> {
    if event.event_type != "journal.posted" {
        return Ok(None);
    }
    let data: JournalPosted = event.data()?;
    let day = data.effective_date.parse().context("effective_date")?;
    let lines = if data.lines.is_empty() {
        let amount = rpc::from_money(data.amount.as_ref())?.into();
        vec![(String::new(), Posted { debit: amount, credit: amount })]
    } else {
        data.lines.into_iter().map(line).collect::<Result<_, _>>()?
    };
    Ok(Some(Fact::JournalPosted { day, lines }))
}

fn line(line: JournalLine) -> anyhow::Result<(String, Posted)> {
    ensure!(!line.account.is_empty(), "a line without an account");
    let posted = match (&line.debit, &line.credit) {
        (debit @ Some(_), None) => {
            Posted { debit: rpc::from_money(debit.as_ref())?.into(), credit: Amount::ZERO }
        }
        (None, credit @ Some(_)) => {
            Posted { debit: Amount::ZERO, credit: rpc::from_money(credit.as_ref())?.into() }
        }
        (None, None) | (Some(_), Some(_)) => anyhow::bail!("a line that is no debit or credit"),
    };
    Ok((line.account, posted))
}
