//! What the service can be told to do: one file per verb, one transaction per command.

mod post_events;
mod post_journals;
mod reverse_journal;
mod create_account;
mod update_account;
mod lock_account;
mod close_period;
mod reopen_period;

pub(crate) use close_period::{ChangePeriod, close_period};
pub(crate) use create_account::{CreateAccount, create_account};
pub(crate) use lock_account::{LockAccount, lock_account};
pub(crate) use post_events::post_events;
pub(crate) use post_journals::{NewJournal, PostJournals, post_journals, preview_journals};
pub(crate) use reopen_period::reopen_period;
pub(crate) use reverse_journal::{ReverseJournal, reverse_journal};
pub(crate) use update_account::{UpdateAccount, update_account};

use std::collections::HashMap;

use chrono::{Months, NaiveDate};
use log::{Cause, NewEvent};
use money::MoneyError;
use proto::events::v1::{AccountChanged, JournalLine, JournalPosted};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    LedgerError,
    domain::{Account, Line, Month, Origin, Posting, Side},
    store,
};

/// `journal.posted`. Fails when the sum is more than an amount can be.
fn posted(posting: &Posting, date: NaiveDate, cause: &Cause) -> Result<NewEvent, MoneyError> {
    let by_hand = posting.origin.source == store::SCHEMA;
    let document = posting.document();
    let data = JournalPosted {
        journal_id: posting.id.to_string(),
        source_event_id: if by_hand { String::new() } else { posting.origin.event_id.to_string() },
        ref_type: document.map(|on| on.ref_type.to_string()).unwrap_or_default(),
        ref_id: document.map(|on| on.ref_id.to_string()).unwrap_or_default(),
        effective_date: rpc::to_date(date),
        amount: Some(rpc::to_money(posting.amount()?)),
        reverses_journal_id: posting.reverses.map(|id| id.to_string()).unwrap_or_default(),
        lines: posting.lines.iter().map(told_line).collect(),
    };
    Ok(NewEvent::new("journal.posted", posting.id, 1, &data, cause))
}

fn told_line(line: &Line) -> JournalLine {
    let (account, amount) = (line.account.clone(), Some(rpc::to_money(line.amount)));
    match line.side {
        Side::Debit => JournalLine { account, debit: amount, credit: None },
        Side::Credit => JournalLine { account, debit: None, credit: amount },
    }
}

/// Of what is posted by hand. Its event is told of when it is posted.
fn by_hand(cause: &Cause, request_id: Option<Uuid>) -> Origin {
    Origin {
        source: store::SCHEMA.to_owned(),
        event_id: Uuid::nil(),
        event_type: "journal.posted".to_owned(),
        event_time: None,
        sequence: None,
        causation_id: None,
        request_id,
        actor: Some(cause.actor().to_owned()),
        traceparent: cause.traceparent().map(str::to_owned),
    }
}

/// Holds the accounts of lines as they are. One statement.
async fn hold_accounts<'a>(
    tx: &mut PgConnection,
    journals: impl Iterator<Item = &'a [Line]> + Clone,
) -> Result<Accounts, LedgerError> {
    let mut codes: Vec<String> = journals.flatten().map(|line| line.account.clone()).collect();
    codes.sort_unstable();
    codes.dedup();
    let held = store::accounts::hold(tx, &codes).await?;
    Ok(Accounts(held.into_iter().map(|account| (account.code.clone(), account)).collect()))
}

/// By code.
struct Accounts(HashMap<String, Account>);

impl Accounts {
    /// Refuses lines by hand on accounts that the chart lacks, that only events post on, or that are locked.
    fn admit(&self, lines: &[Line]) -> Result<(), LedgerError> {
        for Line { account: code, .. } in lines {
            match self.0.get(code) {
                None => return Err(LedgerError::AccountNotFound(code.clone())),
                Some(account) if account.control => {
                    return Err(LedgerError::ControlAccount(code.clone()));
                }
                Some(account) if account.locked => {
                    return Err(LedgerError::AccountLocked(code.clone()));
                }
                Some(_) => (),
            }
        }
        Ok(())
    }
}

/// Refuses a day that is mistyped (more than a year ahead), or whose month takes no journals any more.
fn admit_day(
    day: NaiveDate,
    today: NaiveDate,
    closed_through: Option<Month>,
) -> Result<(), LedgerError> {
    let last = today.checked_add_months(Months::new(12)).unwrap_or(NaiveDate::MAX);
    if day > last {
        return Err(LedgerError::TooFarAhead(last));
    }
    let period = Month::of(day);
    match closed_through {
        Some(closed_through) if period <= closed_through => {
            Err(LedgerError::PeriodClosed { period, closed_through })
        }
        _ => Ok(()),
    }
}

/// `account.created` and the like.
fn account_event(event_type: &'static str, account: &Account, cause: &Cause) -> NewEvent {
    let data = AccountChanged { code: account.code.clone() };
    NewEvent::new(event_type, &account.code, account.version, &data, cause)
}
