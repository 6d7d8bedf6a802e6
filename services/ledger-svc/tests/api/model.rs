//! Random lives of invoices and payments, beside a billing-svc that fits on a page.

use std::collections::BTreeMap;

use log::NewEvent;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};

use crate::app::{App, credited, issued, new_id, paid, voided};

const DAYS: u32 = 6;

#[derive(Debug, Clone)]
enum Step {
    /// In pence.
    Issue {
        gross: i64,
        tax: i64,
    },
    /// Pays what is open of this life's invoices, from one on.
    Pay {
        pence: i64,
        from: usize,
    },
    TakeBack {
        invoice: usize,
    },
}

/// What happens, and on which day: not in the order of the days.
fn steps() -> impl Strategy<Value = Vec<(Step, u32)>> {
    let step = prop_oneof![
        3 => (0..50_000i64, 0..=100i64)
            .prop_map(|(gross, percent)| Step::Issue { gross, tax: gross * percent / 100 }),
        3 => (1..80_000i64, 0..10usize).prop_map(|(pence, from)| Step::Pay { pence, from }),
        2 => (0..16usize).prop_map(|invoice| Step::TakeBack { invoice }),
    ];
    prop::collection::vec((step, 0..DAYS), 1..60)
}

fn day(day: u32) -> String {
    format!("2026-03-{:02}", 25 + day)
}

fn amount(pence: i64) -> String {
    format!("{}.{:02}", pence / 100, pence % 100)
}

struct Invoice {
    id: String,
    gross: i64,
    tax: i64,
    paid: i64,
    open: bool,
}

/// Changes of what customers owe, what is theirs, and what is in the bank, in pence; of each life and of all before.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Sums {
    owed: i64,
    credit: i64,
    bank: i64,
}

#[derive(Default)]
struct Billing {
    invoices: Vec<Invoice>,
    /// Where the invoices of this life begin.
    first: usize,
    by_day: BTreeMap<u32, Sums>,
}

impl Billing {
    fn take(&mut self, step: &Step, on: u32) -> Option<NewEvent> {
        let sums = self.by_day.entry(on).or_default();
        let date = day(on);
        match *step {
            Step::Issue { gross, tax } => {
                let id = new_id();
                sums.owed += gross;
                let event = issued(&id, &amount(gross), &amount(tax), &date);
                self.invoices.push(Invoice { id, gross, tax, paid: 0, open: true });
                Some(event)
            }
            Step::Pay { pence, from } => {
                let mut left = pence;
                let mut shares = Vec::new();
                for invoice in
                    self.invoices.iter_mut().skip(self.first + from).filter(|one| one.open)
                {
                    let share = left.min(invoice.gross - invoice.paid);
                    if share > 0 {
                        invoice.paid += share;
                        left -= share;
                        shares.push((invoice.id.as_str(), amount(share)));
                    }
                }
                sums.owed -= pence - left;
                sums.credit += left;
                sums.bank += pence;
                let shares: Vec<(&str, &str)> =
                    shares.iter().map(|(id, share)| (*id, share.as_str())).collect();
                Some(paid(&new_id(), &amount(pence), &shares, &amount(left), &date))
            }
            Step::TakeBack { invoice } => {
                let invoice = self.invoices.get_mut(self.first + invoice).filter(|one| one.open)?;
                invoice.open = false;
                let residual = invoice.gross - invoice.paid;
                sums.owed -= residual;
                sums.credit += invoice.paid;
                let (gross, tax) = (amount(invoice.gross), amount(invoice.tax));
                Some(if invoice.paid == 0 {
                    voided(&invoice.id, &gross, &tax, &date)
                } else {
                    credited(&invoice.id, &gross, &tax, &amount(residual), &date)
                })
            }
        }
    }

    fn sums_up_to(&self, day: u32) -> Sums {
        let mut all = Sums::default();
        for sums in self.by_day.range(..=day).map(|(_, sums)| sums) {
            all.owed += sums.owed;
            all.credit += sums.credit;
            all.bank += sums.bank;
        }
        all
    }

    fn residuals(&self) -> BTreeMap<String, i64> {
        let residual = |one: &Invoice| if one.open { one.gross - one.paid } else { 0 };
        self.invoices
            .iter()
            .filter(|one| one.gross > 0)
            .map(|one| (one.id.clone(), residual(one)))
            .collect()
    }
}

async fn booked_up_to(app: &App, day: &str) -> Sums {
    let answer = app.trial_balance(day).await;
    assert_eq!(answer.total_debit, answer.total_credit, "{day}");
    let (mut all, mut sum) = (BTreeMap::new(), 0);
    for one in answer.balances {
        let balance = one.balance.unwrap().amount.replace('.', "").parse::<i64>().unwrap();
        sum += balance;
        all.insert(one.account.unwrap().code, balance);
    }
    assert_eq!(sum, 0, "{day}");
    let of = |account: &str| all.get(account).copied().unwrap_or_default();
    Sums { owed: of("1100"), credit: -of("2110"), bank: of("1200") }
}

#[tokio::test]
async fn whatever_happens_the_books_balance_and_agree_with_billing() {
    let app = App::start().await;
    let mut runner = TestRunner::new(Config::default());
    let mut billing = Billing::default();
    for _ in 0..12 {
        let steps = steps().new_tree(&mut runner).unwrap().current();
        billing.first = billing.invoices.len();
        let events: Vec<NewEvent> =
            steps.iter().filter_map(|(step, on)| billing.take(step, *on)).collect();
        app.hear(&events).await;
        assert_eq!(app.log.dead_letters().await, [""; 0], "{steps:?}");
        for on in 0..DAYS {
            let booked = booked_up_to(&app, &day(on)).await;
            assert_eq!(booked, billing.sums_up_to(on), "up to {} of {steps:?}", day(on));
        }
        assert_eq!(booked_up_to(&app, "").await, billing.sums_up_to(DAYS), "{steps:?}");
        let owed: Vec<(String, i64)> = sqlx::query_as(
            "select ref_id::text, (sum(debit - credit) * 100)::bigint from ledger.ledger_entries
             where account = '1100' group by ref_id",
        )
        .fetch_all(&app.db)
        .await
        .unwrap();
        assert_eq!(BTreeMap::from_iter(owed), billing.residuals(), "{steps:?}");
        app.check_books().await;
    }
}
