use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDate, Utc};
use ids::JournalId;
use money::{Money, MoneyError};
use uuid::Uuid;

/// Characters that say what a journal by hand is for.
pub(crate) const DESCRIPTION_MAX: usize = 500;

/// The kind of document that a line refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "varchar", rename_all = "snake_case")]
pub(crate) enum RefType {
    Order,
    Invoice,
    Payroll,
    /// Money that paid no invoice, or that went back.
    Payment,
    /// A receipt or an adjustment of stock.
    Stock,
    /// A journal that was posted by hand for no other document.
    Journal,
}

/// What a line refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) ref_type: RefType,
    pub(crate) ref_id: Uuid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Debit,
    Credit,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) account: String,
    pub(crate) side: Side,
    pub(crate) amount: Money,
    pub(crate) document: Document,
}

/// What is to be posted. It gets its day when it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Posting {
    pub(crate) id: JournalId,
    pub(crate) origin: Origin,
    /// The document's own.
    pub(crate) document_date: NaiveDate,
    /// Only of what is posted by hand.
    pub(crate) description: Option<String>,
    pub(crate) reverses: Option<JournalId>,
    /// Two or more that balance.
    pub(crate) lines: Vec<Line>,
}

/// Where a journal comes from: all that is known of its event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Origin {
    /// Whose event it is.
    pub(crate) source: String,
    pub(crate) event_id: Uuid,
    pub(crate) event_type: String,
    pub(crate) event_time: Option<DateTime<Utc>>,
    /// Its place in the log of its source.
    pub(crate) sequence: Option<i64>,
    pub(crate) causation_id: Option<Uuid>,
    pub(crate) request_id: Option<Uuid>,
    pub(crate) actor: Option<String>,
    pub(crate) traceparent: Option<String>,
}

/// A journal as it was kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Journal {
    pub(crate) id: JournalId,
    pub(crate) effective_date: NaiveDate,
    pub(crate) document_date: NaiveDate,
    pub(crate) description: Option<String>,
    pub(crate) source: String,
    pub(crate) event_type: String,
    pub(crate) ref_type: RefType,
    pub(crate) ref_id: Uuid,
    /// The sum of one side.
    pub(crate) amount: Money,
    pub(crate) posted_at: DateTime<Utc>,
    pub(crate) reverses: Option<JournalId>,
    pub(crate) reversed_by: Option<JournalId>,
}

/// A line as it was kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) id: Uuid,
    pub(crate) journal_id: JournalId,
    pub(crate) account: String,
    pub(crate) debit: Money,
    pub(crate) credit: Money,
    pub(crate) ref_type: RefType,
    pub(crate) ref_id: Uuid,
    pub(crate) effective_date: NaiveDate,
    pub(crate) document_date: NaiveDate,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) event_type: String,
}

/// A range of days, open where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Days {
    pub(crate) first: Option<NaiveDate>,
    pub(crate) last: Option<NaiveDate>,
}

/// Where a list by days goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DayKey {
    pub(crate) day: NaiveDate,
    pub(crate) id: Uuid,
}

pub(crate) fn sum<T>(all: &[T], amount: impl Fn(&T) -> Money) -> Result<Money, MoneyError> {
    all.iter().map(amount).try_fold(Money::ZERO, Money::checked_add)
}

impl Line {
    pub(crate) fn debit(&self) -> Money {
        self.on(Side::Debit)
    }

    pub(crate) fn credit(&self) -> Money {
        self.on(Side::Credit)
    }

    fn on(&self, side: Side) -> Money {
        if self.side == side { self.amount } else { Money::ZERO }
    }

    /// The same on the other side.
    pub(crate) fn mirror(mut self) -> Self {
        self.side = match self.side {
            Side::Debit => Side::Credit,
            Side::Credit => Side::Debit,
        };
        self
    }
}

impl Posting {
    /// A journal refers to the document of its first line. None without lines.
    pub(crate) fn document(&self) -> Option<Document> {
        self.lines.first().map(|line| line.document)
    }

    /// The sum of one side.
    pub(crate) fn amount(&self) -> Result<Money, MoneyError> {
        sum(&self.lines, Line::debit)
    }
}

impl Entry {
    pub(crate) fn into_line(self) -> Line {
        let debit = self.debit.is_positive();
        Line {
            account: self.account,
            side: if debit { Side::Debit } else { Side::Credit },
            amount: if debit { self.debit } else { self.credit },
            document: Document { ref_type: self.ref_type, ref_id: self.ref_id },
        }
    }
}

impl RefType {
    pub(crate) const ALL: [Self; 6] =
        [Self::Order, Self::Invoice, Self::Payroll, Self::Payment, Self::Stock, Self::Journal];
}

impl fmt::Display for RefType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Order => "order",
            Self::Invoice => "invoice",
            Self::Payroll => "payroll",
            Self::Payment => "payment",
            Self::Stock => "stock",
            Self::Journal => "journal",
        })
    }
}

impl FromStr for DayKey {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (day, id) = text.split_once('/').unwrap_or((text, ""));
        Ok(Self { day: rpc::from_date(day)?, id: id.parse()? })
    }
}

impl fmt::Display for DayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", rpc::to_date(self.day), self.id)
    }
}
