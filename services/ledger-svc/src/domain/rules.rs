//! The table of the books: what each fact debits and credits.

#[cfg(test)]
mod tests;

use money::{Money, MoneyError};
use uuid::Uuid;

use super::{Document, Line, RefType, Side, sum};

const STOCK: &str = "1001";
const DEBTORS: &str = "1100";
const BANK: &str = "1200";
const GOODS_NOT_INVOICED: &str = "2109";
const CUSTOMER_CREDIT: &str = "2110";
const SALES_TAX: &str = "2200";
const PAYE: &str = "2210";
const NATIONAL_INSURANCE: &str = "2211";
const NET_WAGES: &str = "2220";
const PENSION: &str = "2230";
const SALES: &str = "4000";
const SALES_RETURNS: &str = "4090";
const COST_OF_SALES: &str = "5000";
const STOCK_LOSS: &str = "5210";
const GROSS_WAGES: &str = "7000";
const EMPLOYER_NI: &str = "7006";
const EMPLOYER_PENSION: &str = "7007";
const BAD_DEBT: &str = "8100";

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
    /// An invoice, or a part of it, was taken back; the residual had not been paid.
    CreditNoteIssued {
        invoice_id: Uuid,
        gross: Money,
        tax: Money,
        residual: Money,
    },
    InvoiceWrittenOff {
        invoice_id: Uuid,
        amount: Money,
    },
    PaymentReceived(Paid),
    PaymentReversed(Paid),
    /// A customer's credit paid invoices: each with what it got.
    CreditAllocated {
        amount: Money,
        allocations: Vec<(Uuid, Money)>,
    },
    RefundIssued {
        refund_id: Uuid,
        amount: Money,
    },
    StockReceived {
        document: Document,
        cost: Money,
    },
    StockShipped {
        document: Document,
        cost: Money,
    },
    StockReturned {
        document: Document,
        cost: Money,
    },
    StockFound {
        document: Document,
        cost: Money,
    },
    StockLost {
        document: Document,
        cost: Money,
    },
    PayrollApproved(Wages),
    PayrollPaid {
        run_id: Uuid,
        net: Money,
    },
    /// What was approved is taken back.
    PayrollReversed(Wages),
    /// What was paid came back.
    PayrollRepaid {
        run_id: Uuid,
        net: Money,
    },
}

/// A payment, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Paid {
    pub(crate) payment_id: Uuid,
    pub(crate) amount: Money,
    /// Invoices with what each got.
    pub(crate) allocations: Vec<(Uuid, Money)>,
    /// The customer's credit.
    pub(crate) unallocated: Money,
}

/// A payroll run in sums.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Wages {
    pub(crate) run_id: Uuid,
    pub(crate) gross: Money,
    pub(crate) paye: Money,
    pub(crate) employee_ni: Money,
    pub(crate) employee_pension: Money,
    pub(crate) employer_ni: Money,
    pub(crate) employer_pension: Money,
    pub(crate) net: Money,
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
/// All lines of a document balance by themselves. Money that paid no invoice refers to its payment.
pub(crate) fn book(fact: &Fact) -> Result<Vec<Line>, NotBookable> {
    let lines = match fact {
        Fact::InvoiceIssued { invoice_id, gross, tax } => {
            let on = invoice(*invoice_id);
            let net = part(*gross, *tax)?;
            vec![on.debit(DEBTORS, *gross), on.credit(SALES, net), on.credit(SALES_TAX, *tax)]
        }
        Fact::InvoiceVoided { invoice_id, gross, tax } => {
            let on = invoice(*invoice_id);
            let net = part(*gross, *tax)?;
            vec![on.debit(SALES, net), on.debit(SALES_TAX, *tax), on.credit(DEBTORS, *gross)]
        }
        Fact::CreditNoteIssued { invoice_id, gross, tax, residual } => {
            let on = invoice(*invoice_id);
            let (net, paid) = (part(*gross, *tax)?, part(*gross, *residual)?);
            vec![
                on.debit(SALES_RETURNS, net),
                on.debit(SALES_TAX, *tax),
                on.credit(DEBTORS, *residual),
                on.credit(CUSTOMER_CREDIT, paid),
            ]
        }
        Fact::InvoiceWrittenOff { invoice_id, amount } => {
            invoice(*invoice_id).pair(BAD_DEBT, DEBTORS, *amount)
        }
        Fact::PaymentReceived(paid) => received(paid)?,
        Fact::PaymentReversed(paid) => mirror(received(paid)?),
        Fact::CreditAllocated { amount, allocations } => allocated(*amount, allocations)?,
        Fact::RefundIssued { refund_id, amount } => {
            payment(*refund_id).pair(CUSTOMER_CREDIT, BANK, *amount)
        }
        Fact::StockReceived { document, cost } => document.pair(STOCK, GOODS_NOT_INVOICED, *cost),
        Fact::StockShipped { document, cost } => document.pair(COST_OF_SALES, STOCK, *cost),
        Fact::StockReturned { document, cost } => document.pair(STOCK, COST_OF_SALES, *cost),
        Fact::StockFound { document, cost } => document.pair(STOCK, STOCK_LOSS, *cost),
        Fact::StockLost { document, cost } => document.pair(STOCK_LOSS, STOCK, *cost),
        Fact::PayrollApproved(wages) => approved(wages)?,
        Fact::PayrollPaid { run_id, net } => payroll(*run_id).pair(NET_WAGES, BANK, *net),
        Fact::PayrollReversed(wages) => mirror(approved(wages)?),
        Fact::PayrollRepaid { run_id, net } => payroll(*run_id).pair(BANK, NET_WAGES, *net),
    };
    balanced(lines.into_iter().filter(|line| !line.amount.is_zero()).collect())
}

fn received(paid: &Paid) -> Result<Vec<Line>, NotBookable> {
    let mut rest = paid.amount;
    let mut lines = Vec::with_capacity(2 * paid.allocations.len() + 2);
    for (invoice_id, share) in &paid.allocations {
        lines.extend(invoice(*invoice_id).pair(BANK, DEBTORS, *share));
        rest = part(rest, *share)?;
    }
    let on = payment(paid.payment_id);
    lines.extend([on.debit(BANK, rest), on.credit(CUSTOMER_CREDIT, paid.unallocated)]);
    Ok(lines)
}

fn allocated(amount: Money, allocations: &[(Uuid, Money)]) -> Result<Vec<Line>, NotBookable> {
    let shared = sum(allocations, |(_, share)| *share)?;
    if shared != amount {
        return Err(NotBookable::Unbalanced { debit: amount, credit: shared });
    }
    let pair = |(invoice_id, share): &(Uuid, Money)| {
        invoice(*invoice_id).pair(CUSTOMER_CREDIT, DEBTORS, *share)
    };
    Ok(allocations.iter().flat_map(pair).collect())
}

fn approved(wages: &Wages) -> Result<Vec<Line>, NotBookable> {
    let on = payroll(wages.run_id);
    let insurance = wages.employee_ni.checked_add(wages.employer_ni)?;
    let pension = wages.employee_pension.checked_add(wages.employer_pension)?;
    Ok(vec![
        on.debit(GROSS_WAGES, wages.gross),
        on.debit(EMPLOYER_NI, wages.employer_ni),
        on.debit(EMPLOYER_PENSION, wages.employer_pension),
        on.credit(PAYE, wages.paye),
        on.credit(NATIONAL_INSURANCE, insurance),
        on.credit(PENSION, pension),
        on.credit(NET_WAGES, wages.net),
    ])
}

fn invoice(ref_id: Uuid) -> Document {
    Document { ref_type: RefType::Invoice, ref_id }
}

fn payment(ref_id: Uuid) -> Document {
    Document { ref_type: RefType::Payment, ref_id }
}

fn payroll(ref_id: Uuid) -> Document {
    Document { ref_type: RefType::Payroll, ref_id }
}

impl Document {
    fn debit(self, account: &str, amount: Money) -> Line {
        Line { account: account.to_owned(), side: Side::Debit, amount, document: self }
    }

    fn credit(self, account: &str, amount: Money) -> Line {
        Line { account: account.to_owned(), side: Side::Credit, amount, document: self }
    }

    fn pair(self, debit: &str, credit: &str, amount: Money) -> Vec<Line> {
        vec![self.debit(debit, amount), self.credit(credit, amount)]
    }
}

fn mirror(lines: Vec<Line>) -> Vec<Line> {
    lines.into_iter().map(Line::mirror).collect()
}

/// What a part leaves of the whole.
fn part(whole: Money, part: Money) -> Result<Money, NotBookable> {
    let rest = whole.checked_sub(part)?;
    if rest.is_negative() || part.is_negative() { Err(NotBookable::PartTooLarge) } else { Ok(rest) }
}

fn balanced(lines: Vec<Line>) -> Result<Vec<Line>, NotBookable> {
    let (debit, credit) = (sum(&lines, Line::debit)?, sum(&lines, Line::credit)?);
    if debit == credit { Ok(lines) } else { Err(NotBookable::Unbalanced { debit, credit }) }
}
