//! What is booked for what happens. Pure: facts in, lines out.

#[cfg(test)]
mod tests;

use chrono::{DateTime, NaiveDate, Utc};
use ids::JournalId;
use money::{Money, MoneyError};
use rust_decimal::Decimal;
use uuid::Uuid;

const DEBTORS: &str = "1100";
const BANK: &str = "1200";
const CUSTOMER_CREDIT: &str = "2110";
const SALES_TAX: &str = "2200";
const SALES: &str = "4000";
const SALES_RETURNS: &str = "4090";

/// What happened, as far as the books care.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fact {
    InvoiceIssued {
        invoice_id: Uuid,
        gross: Money,
        tax: Money,
    },
    /// Nothing had been paid.
    InvoiceVoided {
        invoice_id: Uuid,
        gross: Money,
        tax: Money,
    },
    /// Something had been paid: all but the residual.
    CreditNoteIssued {
        invoice_id: Uuid,
        gross: Money,
        tax: Money,
        residual: Money,
    },
    PaymentReceived {
        payment_id: Uuid,
        amount: Money,
        /// Invoices with what each got.
        allocations: Vec<(Uuid, Money)>,
        unallocated: Money,
    },
}

/// The kind of document that a line refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "varchar", rename_all = "snake_case")]
pub(crate) enum RefType {
    Order,
    Invoice,
    Payroll,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) account: &'static str,
    /// One of the two is 0.
    pub(crate) debit: Money,
    pub(crate) credit: Money,
    pub(crate) ref_type: RefType,
    pub(crate) ref_id: Uuid,
}

/// What one event is booked as.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Journal {
    pub(crate) id: JournalId,
    pub(crate) source: &'static str,
    pub(crate) source_event_id: Uuid,
    pub(crate) event_type: String,
    pub(crate) effective_date: NaiveDate,
    pub(crate) lines: Vec<Line>,
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
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) event_type: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Account {
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) account_type: AccountType,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "varchar", rename_all = "snake_case")]
pub(crate) enum AccountType {
    Asset,
    Liability,
    Equity,
    Income,
    Expense,
}

/// All that was booked on an account. Sums may be larger than an amount can be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Balance {
    pub(crate) code: String,
    pub(crate) name: String,
    pub(crate) account_type: AccountType,
    pub(crate) debit: Decimal,
    pub(crate) credit: Decimal,
}

/// Why a fact is not booked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotBookable {
    #[error("a part is larger than the whole")]
    PartTooLarge,
    #[error("debit {debit} is not credit {credit}")]
    Unbalanced { debit: Money, credit: Money },
    #[error(transparent)]
    Amount(#[from] MoneyError),
}

/// The lines of a fact, balanced; none when it moves no money.
///
/// All lines of a document balance by themselves. Money that paid no invoice refers to its payment, in the place of an invoice.
pub(crate) fn book(fact: &Fact) -> Result<Vec<Line>, NotBookable> {
    let lines = match fact {
        Fact::InvoiceIssued { invoice_id, gross, tax } => {
            let on = Document(*invoice_id);
            let net = part(*gross, *tax)?;
            vec![on.debit(DEBTORS, *gross), on.credit(SALES, net), on.credit(SALES_TAX, *tax)]
        }
        Fact::InvoiceVoided { invoice_id, gross, tax } => {
            let on = Document(*invoice_id);
            let net = part(*gross, *tax)?;
            vec![on.debit(SALES, net), on.debit(SALES_TAX, *tax), on.credit(DEBTORS, *gross)]
        }
        Fact::CreditNoteIssued { invoice_id, gross, tax, residual } => {
            let on = Document(*invoice_id);
            let (net, paid) = (part(*gross, *tax)?, part(*gross, *residual)?);
            vec![
                on.debit(SALES_RETURNS, net),
                on.debit(SALES_TAX, *tax),
                on.credit(DEBTORS, *residual),
                on.credit(CUSTOMER_CREDIT, paid),
            ]
        }
        Fact::PaymentReceived { payment_id, amount, allocations, unallocated } => {
            let mut rest = *amount;
            let mut lines = Vec::with_capacity(2 * allocations.len() + 2);
            for (invoice_id, share) in allocations {
                let on = Document(*invoice_id);
                lines.extend([on.debit(BANK, *share), on.credit(DEBTORS, *share)]);
                rest = part(rest, *share)?;
            }
            let on = Document(*payment_id);
            lines.extend([on.debit(BANK, rest), on.credit(CUSTOMER_CREDIT, *unallocated)]);
            lines
        }
    };
    let lines: Vec<Line> =
        lines.into_iter().filter(|line| !line.debit.is_zero() || !line.credit.is_zero()).collect();
    let (debit, credit) = (sum(&lines, |line| line.debit)?, sum(&lines, |line| line.credit)?);
    if debit == credit { Ok(lines) } else { Err(NotBookable::Unbalanced { debit, credit }) }
}

/// The invoice, or the payment that has none, to which lines refer.
struct Document(Uuid);

impl Document {
    fn debit(&self, account: &'static str, debit: Money) -> Line {
        Line { account, debit, credit: Money::ZERO, ref_type: RefType::Invoice, ref_id: self.0 }
    }

    fn credit(&self, account: &'static str, credit: Money) -> Line {
        Line { account, debit: Money::ZERO, credit, ref_type: RefType::Invoice, ref_id: self.0 }
    }
}

/// What a part leaves of the whole.
fn part(whole: Money, part: Money) -> Result<Money, NotBookable> {
    let rest = whole.checked_sub(part)?;
    if rest.is_negative() || part.is_negative() { Err(NotBookable::PartTooLarge) } else { Ok(rest) }
}

pub(crate) fn sum<T>(all: &[T], amount: impl Fn(&T) -> Money) -> Result<Money, MoneyError> {
    all.iter().map(amount).try_fold(Money::ZERO, Money::checked_add)
}

impl std::fmt::Display for RefType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Order => "order",
            Self::Invoice => "invoice",
            Self::Payroll => "payroll",
        })
    }
}
