//! ledger-svc's rows and events: a journal for each financial event.

use chrono::{DateTime, Utc};
use proto::events::v1::{JournalLine, JournalPosted};
use testkit::Dice;
use uuid::Uuid;

use crate::{
    calendar::day_of,
    copying::Rows,
    events::{EventLog, Happened},
    money::Pence,
    trade::uuid,
};

pub(crate) const DEBTORS: &str = "1100";
pub(crate) const BANK: &str = "1200";
pub(crate) const CUSTOMER_CREDIT: &str = "2110";
pub(crate) const SALES: &str = "4000";
pub(crate) const SALES_RETURNS: &str = "4090";

#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) log: EventLog,
    pub(crate) dice: Dice,
    pub(crate) journals: Rows,
    pub(crate) entries: Rows,
}

/// What is booked, and why.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) event_type: &'static str,
    pub(crate) event_id: Uuid,
    pub(crate) invoice: Uuid,
    pub(crate) at: DateTime<Utc>,
}

impl Books {
    /// Debits are above 0, credits below; what is 0 is left out.
    pub(crate) fn post(&mut self, entry: Entry, lines: &[(&str, Pence)]) -> anyhow::Result<()> {
        let Entry { event_type, event_id, invoice, at } = entry;
        let (journal, day) = (uuid(at, &self.dice), day_of(at));
        self.journals.plain(journal).plain("billing").plain(event_id).plain(event_type);
        self.journals.plain("invoice").plain(invoice).plain(day).time(at).end()?;
        let mut sum = Pence::ZERO;
        let mut told = Vec::with_capacity(lines.len());
        for (account, amount) in lines.iter().filter(|(_, amount)| *amount != Pence::ZERO) {
            let is_debit = *amount > Pence::ZERO;
            let amount = Pence(amount.0.abs());
            let (debit, credit) =
                if is_debit { (amount, Pence::ZERO) } else { (Pence::ZERO, amount) };
            sum = sum + debit;
            self.entries.plain(uuid(at, &self.dice)).plain(account).plain(debit).plain(credit);
            self.entries.plain("invoice").plain(invoice).time(at).plain(journal).end()?;
            let (debit, credit) =
                if is_debit { (amount.to_money(), None) } else { (None, amount.to_money()) };
            told.push(JournalLine { account: (*account).to_owned(), debit, credit });
        }
        let data = JournalPosted {
            journal_id: journal.to_string(),
            source_event_id: event_id.to_string(),
            ref_type: "invoice".to_owned(),
            ref_id: invoice.to_string(),
            effective_date: day.to_string(),
            amount: sum.to_money(),
            reverses_journal_id: String::new(),
            lines: told,
        };
        let happened = Happened {
            at,
            id: uuid(at, &self.dice),
            event_type: "journal.posted",
            subject: &journal.to_string(),
            version: 1,
            because_of: Some(event_id),
        };
        self.log.append(happened, &data)?;
        Ok(())
    }

    pub(crate) fn finish(self) -> anyhow::Result<EventLog> {
        self.journals.finish()?;
        self.entries.finish()?;
        Ok(self.log)
    }
}
