//! Answers: the domain as protos.

use chrono::NaiveDate;
use money::MoneyError;
use proto::ledger::v1 as pb;

use crate::{
    domain::{
        Account, AccountType, Balance, Entry, Journal, Line, Origin, Period, PeriodState, Posting,
        RefType,
    },
    queries::WholeJournal,
};

pub(super) fn account(account: Account) -> pb::Account {
    let account_type = match account.account_type {
        AccountType::Asset => pb::AccountType::Asset,
        AccountType::Liability => pb::AccountType::Liability,
        AccountType::Equity => pb::AccountType::Equity,
        AccountType::Income => pb::AccountType::Income,
        AccountType::Expense => pb::AccountType::Expense,
    };
    pb::Account {
        code: account.code,
        name: account.name,
        r#type: account_type.into(),
        control: account.control,
        locked: account.locked,
        create_time: Some(rpc::to_time(account.created_at)),
        etag: account.version.to_string(),
    }
}

pub(super) fn balance(balance: Balance) -> pb::AccountBalance {
    pb::AccountBalance {
        account: Some(account(balance.account)),
        debit: Some(rpc::to_sum(balance.debit)),
        credit: Some(rpc::to_sum(balance.credit)),
        balance: Some(rpc::to_sum(balance.debit - balance.credit)),
    }
}

pub(super) fn trial_balance(all: Vec<Balance>) -> pb::GetTrialBalanceResponse {
    let total_debit = Some(rpc::to_sum(all.iter().map(|balance| balance.debit).sum()));
    let total_credit = Some(rpc::to_sum(all.iter().map(|balance| balance.credit).sum()));
    let balances = all.into_iter().map(balance).collect();
    pb::GetTrialBalanceResponse { balances, total_debit, total_credit }
}

pub(super) fn entry(entry: Entry) -> pb::Entry {
    pb::Entry {
        entry_id: entry.id.to_string(),
        journal_id: entry.journal_id.to_string(),
        account: entry.account,
        debit: Some(rpc::to_money(entry.debit)),
        credit: Some(rpc::to_money(entry.credit)),
        ref_type: entry.ref_type.to_string(),
        ref_id: entry.ref_id.to_string(),
        effective_date: rpc::to_date(entry.effective_date),
        create_time: Some(rpc::to_time(entry.created_at)),
        event_type: entry.event_type,
        document_date: rpc::to_date(entry.document_date),
    }
}

/// Without its entries.
pub(super) fn journal(journal: Journal) -> pb::Journal {
    pb::Journal {
        journal_id: journal.id.to_string(),
        effective_date: rpc::to_date(journal.effective_date),
        document_date: rpc::to_date(journal.document_date),
        description: journal.description.unwrap_or_default(),
        source: journal.source,
        event_type: journal.event_type,
        ref_type: journal.ref_type.to_string(),
        ref_id: journal.ref_id.to_string(),
        amount: Some(rpc::to_money(journal.amount)),
        post_time: Some(rpc::to_time(journal.posted_at)),
        reverses_journal_id: text(journal.reverses),
        reversed_by_journal_id: text(journal.reversed_by),
        entries: Vec::new(),
    }
}

pub(super) fn whole_journal(whole: WholeJournal) -> pb::Journal {
    let entries = whole.entries.into_iter().map(entry).collect();
    pb::Journal { entries, ..journal(whole.journal) }
}

/// What would be posted: nothing of it has a key yet.
pub(super) fn preview((posting, date): (Posting, NaiveDate)) -> Result<pb::Journal, MoneyError> {
    let amount = posting.amount()?;
    let line = |line: Line| pb::Entry {
        debit: Some(rpc::to_money(line.debit())),
        credit: Some(rpc::to_money(line.credit())),
        ref_type: line.document.ref_type.to_string(),
        ref_id: ref_id(&line),
        account: line.account,
        effective_date: rpc::to_date(date),
        event_type: posting.origin.event_type.clone(),
        document_date: rpc::to_date(date),
        ..Default::default()
    };
    let entries: Vec<pb::Entry> = posting.lines.into_iter().map(line).collect();
    let (ref_type, ref_id) = entries
        .first()
        .map(|first| (first.ref_type.clone(), first.ref_id.clone()))
        .unwrap_or_default();
    Ok(pb::Journal {
        effective_date: rpc::to_date(date),
        document_date: rpc::to_date(date),
        description: posting.description.unwrap_or_default(),
        source: posting.origin.source,
        event_type: posting.origin.event_type,
        ref_type,
        ref_id,
        amount: Some(rpc::to_money(amount)),
        entries,
        ..Default::default()
    })
}

/// A journal that is no document's own has none before it is posted.
fn ref_id(line: &Line) -> String {
    match line.document.ref_type {
        RefType::Journal => String::new(),
        RefType::Order
        | RefType::Invoice
        | RefType::Payroll
        | RefType::Payment
        | RefType::Stock => line.document.ref_id.to_string(),
    }
}

pub(super) fn origin(origin: Origin, posted_sequence: Option<i64>) -> pb::Origin {
    pb::Origin {
        source: origin.source,
        event_id: origin.event_id.to_string(),
        event_type: origin.event_type,
        event_time: origin.event_time.map(rpc::to_time),
        sequence: origin.sequence.unwrap_or_default(),
        causation_event_id: text(origin.causation_id),
        request_id: text(origin.request_id),
        actor: origin.actor.unwrap_or_default(),
        traceparent: origin.traceparent.unwrap_or_default(),
        posted_sequence: posted_sequence.unwrap_or_default(),
    }
}

pub(super) fn period(period: Period) -> pb::Period {
    let state = match period.state {
        PeriodState::Open => pb::PeriodState::Open,
        PeriodState::Closed => pb::PeriodState::Closed,
    };
    let (change_time, changed_by) = period.changed.unzip();
    pb::Period {
        period: period.month.to_string(),
        state: state.into(),
        change_time: change_time.map(rpc::to_time),
        changed_by: changed_by.unwrap_or_default(),
    }
}

fn text(id: Option<impl std::fmt::Display>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}
