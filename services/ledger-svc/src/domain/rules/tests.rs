use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn money(hundredths: i128) -> Money {
    Money::from_hundredths(hundredths).unwrap()
}

/// `account debit credit` of each line.
fn shown(lines: &[Line]) -> Vec<String> {
    lines
        .iter()
        .map(|line| format!("{} {} {}", line.account, line.debit(), line.credit()))
        .collect()
}

fn booked(fact: &Fact) -> Vec<String> {
    shown(&book(fact).unwrap())
}

#[test]
fn each_fact_is_booked_by_the_table() {
    let id = Uuid::now_v7();
    let (gross, tax) = (money(12_000), money(2_000));
    assert_eq!(
        booked(&Fact::InvoiceIssued { invoice_id: id, gross, tax }),
        ["1100 120.00 0.00", "4000 0.00 100.00", "2200 0.00 20.00"]
    );
    assert_eq!(
        booked(&Fact::InvoiceVoided { invoice_id: id, gross, tax }),
        ["4000 100.00 0.00", "2200 20.00 0.00", "1100 0.00 120.00"]
    );
    assert_eq!(
        booked(&Fact::CreditNoteIssued { invoice_id: id, gross, tax, residual: money(7_000) }),
        ["4090 100.00 0.00", "2200 20.00 0.00", "1100 0.00 70.00", "2110 0.00 50.00"]
    );
    let allocations = vec![(Uuid::now_v7(), money(12_000)), (id, money(3_000))];
    let paid = Paid {
        payment_id: Uuid::now_v7(),
        amount: money(16_000),
        allocations: allocations.clone(),
        unallocated: money(1_000),
    };
    assert_eq!(
        booked(&Fact::PaymentReceived(paid.clone())),
        [
            "1200 120.00 0.00",
            "1100 0.00 120.00",
            "1200 30.00 0.00",
            "1100 0.00 30.00",
            "1200 10.00 0.00",
            "2110 0.00 10.00"
        ]
    );
    assert_eq!(
        booked(&Fact::PaymentReversed(paid)),
        [
            "1200 0.00 120.00",
            "1100 120.00 0.00",
            "1200 0.00 30.00",
            "1100 30.00 0.00",
            "1200 0.00 10.00",
            "2110 10.00 0.00"
        ]
    );
    assert_eq!(
        booked(&Fact::CreditAllocated { amount: money(15_000), allocations }),
        ["2110 120.00 0.00", "1100 0.00 120.00", "2110 30.00 0.00", "1100 0.00 30.00"]
    );
    let amount = money(500);
    assert_eq!(
        booked(&Fact::InvoiceWrittenOff { invoice_id: id, amount }),
        ["8100 5.00 0.00", "1100 0.00 5.00"]
    );
    assert_eq!(
        booked(&Fact::RefundIssued { refund_id: id, amount }),
        ["2110 5.00 0.00", "1200 0.00 5.00"]
    );
}

#[test]
fn stock_is_booked_by_the_table() {
    let (document, cost) = (payment(Uuid::now_v7()), money(1_234));
    let facts = [
        (Fact::StockReceived { document, cost }, "1001", "2109"),
        (Fact::StockShipped { document, cost }, "5000", "1001"),
        (Fact::StockReturned { document, cost }, "1001", "5000"),
        (Fact::StockFound { document, cost }, "1001", "5210"),
        (Fact::StockLost { document, cost }, "5210", "1001"),
    ];
    for (fact, debit, credit) in facts {
        let expected = [format!("{debit} 12.34 0.00"), format!("{credit} 0.00 12.34")];
        assert_eq!(booked(&fact), expected, "{fact:?}");
    }
}

fn wages() -> Wages {
    Wages {
        run_id: Uuid::now_v7(),
        gross: money(500_000),
        paye: money(70_000),
        employee_ni: money(24_000),
        employee_pension: money(25_000),
        employer_ni: money(61_000),
        employer_pension: money(15_000),
        net: money(381_000),
    }
}

#[test]
fn wages_are_booked_by_the_table_and_taken_back_by_their_mirror() {
    let lines = [
        ("7000", "5000.00", "0.00"),
        ("7006", "610.00", "0.00"),
        ("7007", "150.00", "0.00"),
        ("2210", "0.00", "700.00"),
        ("2211", "0.00", "850.00"),
        ("2230", "0.00", "400.00"),
        ("2220", "0.00", "3810.00"),
    ];
    let shown = lines.map(|(account, debit, credit)| format!("{account} {debit} {credit}"));
    let mirrored = lines.map(|(account, debit, credit)| format!("{account} {credit} {debit}"));
    let wages = wages();
    assert_eq!(booked(&Fact::PayrollApproved(wages)), shown);
    assert_eq!(booked(&Fact::PayrollReversed(wages)), mirrored);
    assert_eq!(
        booked(&Fact::PayrollPaid { run_id: wages.run_id, net: wages.net }),
        ["2220 3810.00 0.00", "1200 0.00 3810.00"]
    );
    assert_eq!(
        booked(&Fact::PayrollRepaid { run_id: wages.run_id, net: wages.net }),
        ["1200 3810.00 0.00", "2220 0.00 3810.00"]
    );
}

#[test]
fn wages_whose_net_is_not_what_is_left_are_not_booked() {
    let wages = Wages { net: money(381_001), ..wages() };
    let unbalanced = NotBookable::Unbalanced { debit: money(576_000), credit: money(576_001) };
    assert_eq!(book(&Fact::PayrollApproved(wages)), Err(unbalanced));
}

#[test]
fn lines_of_nothing_are_left_out_and_what_moves_nothing_has_none() {
    let id = Uuid::now_v7();
    let gross = money(500);
    assert_eq!(
        booked(&Fact::InvoiceIssued { invoice_id: id, gross, tax: Money::ZERO }),
        ["1100 5.00 0.00", "4000 0.00 5.00"]
    );
    let free = Fact::InvoiceIssued { invoice_id: id, gross: Money::ZERO, tax: Money::ZERO };
    assert_eq!(book(&free), Ok(Vec::new()));
}

#[test]
fn parts_that_do_not_add_up_are_not_booked() {
    let id = Uuid::now_v7();
    let (less, more) = (money(500), money(501));
    let too_large = Err(NotBookable::PartTooLarge);
    assert_eq!(book(&Fact::InvoiceIssued { invoice_id: id, gross: less, tax: more }), too_large);
    let note =
        Fact::CreditNoteIssued { invoice_id: id, gross: less, tax: Money::ZERO, residual: more };
    assert_eq!(book(&note), too_large);
    let paid = |allocated: Money, unallocated: Money| {
        let allocations = vec![(id, allocated)];
        Fact::PaymentReceived(Paid { payment_id: id, amount: less, allocations, unallocated })
    };
    assert_eq!(book(&paid(more, Money::ZERO)), too_large);
    let unbalanced = Err(NotBookable::Unbalanced { debit: less, credit: more });
    assert_eq!(book(&paid(money(300), money(201))), unbalanced);
    assert!(book(&paid(money(300), money(200))).is_ok());
    let allocated = Fact::CreditAllocated { amount: less, allocations: vec![(id, more)] };
    assert_eq!(book(&allocated), unbalanced);
}

/// An invoice as billing-svc knows it.
#[derive(Debug)]
struct Invoice {
    id: Uuid,
    gross: i128,
    tax: i128,
    paid: i128,
    voided: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Place { gross: i128, tax_percent: i128 },
    Pay { amount: i128, from: usize },
    Cancel { which: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..50_000i128, 0..=100i128)
            .prop_map(|(gross, tax_percent)| Step::Place { gross, tax_percent }),
        3 => (1..80_000i128, 0..8usize).prop_map(|(amount, from)| Step::Pay { amount, from }),
        2 => (0..12usize).prop_map(|which| Step::Cancel { which }),
    ];
    prop::collection::vec(step, 1..60)
}

/// Billing's rules in a few lines, and what it tells.
#[derive(Debug, Default)]
struct Billing {
    invoices: Vec<Invoice>,
    credit: i128,
}

impl Billing {
    fn take(&mut self, step: &Step) -> Option<Fact> {
        match *step {
            Step::Place { gross, tax_percent } => {
                let tax = gross * tax_percent / 100;
                let id = Uuid::now_v7();
                self.invoices.push(Invoice { id, gross, tax, paid: 0, voided: false });
                let (gross, tax) = (money(gross), money(tax));
                Some(Fact::InvoiceIssued { invoice_id: id, gross, tax })
            }
            Step::Pay { amount, from } => {
                let mut left = amount;
                let mut allocations = Vec::new();
                for invoice in self.invoices.iter_mut().skip(from).filter(|one| !one.voided) {
                    let share = left.min(invoice.gross - invoice.paid);
                    if share > 0 {
                        invoice.paid += share;
                        left -= share;
                        allocations.push((invoice.id, money(share)));
                    }
                }
                self.credit += left;
                Some(Fact::PaymentReceived(Paid {
                    payment_id: Uuid::now_v7(),
                    amount: money(amount),
                    allocations,
                    unallocated: money(left),
                }))
            }
            Step::Cancel { which } => {
                let invoice = self.invoices.get_mut(which).filter(|one| !one.voided)?;
                invoice.voided = true;
                self.credit += invoice.paid;
                let (gross, tax) = (money(invoice.gross), money(invoice.tax));
                let residual = money(invoice.gross - invoice.paid);
                Some(if invoice.paid == 0 {
                    Fact::InvoiceVoided { invoice_id: invoice.id, gross, tax }
                } else {
                    Fact::CreditNoteIssued { invoice_id: invoice.id, gross, tax, residual }
                })
            }
        }
    }

    fn owed(&self) -> i128 {
        let open = self.invoices.iter().filter(|invoice| !invoice.voided);
        open.map(|invoice| invoice.gross - invoice.paid).sum()
    }
}

proptest! {
    #[test]
    fn whatever_happens_every_document_balances_debtors_owe_the_residuals_and_credit_is_what_was_left(steps in steps()) {
        let mut billing = Billing::default();
        let mut balances: BTreeMap<String, i128> = BTreeMap::new();
        for step in &steps {
            let Some(fact) = billing.take(step) else { continue };
            let mut documents: BTreeMap<Uuid, i128> = BTreeMap::new();
            for line in book(&fact).unwrap() {
                prop_assert!(line.amount.is_positive());
                let balance = line.debit().hundredths() - line.credit().hundredths();
                *balances.entry(line.account.clone()).or_default() += balance;
                *documents.entry(line.document.ref_id).or_default() += balance;
            }
            prop_assert!(documents.values().all(|balance| *balance == 0), "{fact:?}");
            let balance_of = |account| balances.get(account).copied().unwrap_or_default();
            prop_assert_eq!(balance_of(DEBTORS), billing.owed());
            prop_assert_eq!(-balance_of(CUSTOMER_CREDIT), billing.credit);
            prop_assert_eq!(balances.values().sum::<i128>(), 0);
        }
        let tax: i128 = billing.invoices.iter().filter(|one| !one.voided).map(|one| one.tax).sum();
        prop_assert_eq!(-balances.get(SALES_TAX).copied().unwrap_or_default(), tax);
    }
}
