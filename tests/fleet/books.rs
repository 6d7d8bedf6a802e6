//! A shop does everything that a shop can do, at random and several people at once: whatever they did, the books tie.

use std::collections::BTreeMap;

use proto::{
    analytics::v1::{
        self as analytics, GetArAgeingRequest, QueryArAgeingByCustomerRequest,
        analytics_service_client::AnalyticsServiceClient,
    },
    billing::v1 as billing,
    hr::v1::{self as hr, payroll_service_client::PayrollServiceClient},
    inventory::v1 as inventory,
    ledger::v1::{self as ledger, ledger_service_client::LedgerServiceClient},
};

use crate::{
    clerk::{Clerk, SKUS},
    world::{World, eventually},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_a_shop_does_the_books_tie() {
    let world = World::start().await;
    for (sku, price) in SKUS.iter().zip(["2.50", "3.33", "19.99", "0.07"]) {
        world.product(sku, price, 40).await;
    }
    let customers = [world.customer().await, world.customer().await, world.customer().await];
    let clerk = |name, seed| Clerk::new(name, &world, &customers, seed);
    let (mut ann, mut bob, mut cy) = (clerk("ann", 1), clerk("bob", 2), clerk("cy", 3));
    for (code, name) in [("7400", "Rent"), ("3100", "Drawings")] {
        world.account(code, name).await;
    }
    tokio::join!(ann.work(), bob.work(), cy.work());

    let mut tally = BTreeMap::<&str, (u32, u32)>::new();
    for (what, (done, refused)) in [ann, bob, cy].into_iter().flat_map(|clerk| clerk.tally) {
        let sum = tally.entry(what).or_default();
        *sum = (sum.0 + done, sum.1 + refused);
    }
    let never: Vec<_> = tally.iter().filter(|(_, (done, _))| *done == 0).collect();
    assert!(never.is_empty(), "never done: {never:?} of {tally:?}");

    world.verify().await;
    world.books_tie().await;
}

impl World {
    async fn account(&self, code: &str, name: &str) {
        let request = ledger::CreateAccountRequest {
            code: code.to_owned(),
            name: name.to_owned(),
            r#type: ledger::AccountType::Expense.into(),
            ..Default::default()
        };
        let mut books = LedgerServiceClient::new(self.client("ledger-svc"));
        books.create_account(request).await.unwrap();
    }

    /// What the services say of themselves is what the books say of them.
    async fn books_tie(&self) {
        let mut books = LedgerServiceClient::new(self.client("ledger-svc"));
        let request = ledger::GetTrialBalanceRequest::default();
        let trial = books.get_trial_balance(request).await.unwrap().into_inner();
        assert_eq!(trial.total_debit, trial.total_credit);
        let account = |code: &str| {
            let mut all = trial.balances.iter();
            let one = all.find(|balance| balance.account.as_ref().unwrap().code == code);
            one.map_or("0.00".to_owned(), |one| one.balance.as_ref().unwrap().amount.clone())
        };

        let request = inventory::VerifyStockRequest::default();
        let proof = self.inventory().verify_stock(request).await.unwrap().into_inner();
        assert_eq!(proof.differences, []);
        assert_eq!(proof.item_count, 4);
        let request = inventory::ListItemsRequest::default();
        let items = self.inventory().list_items(request).await.unwrap().into_inner().items;
        let values = items.iter().map(|item| pence(&item.value.as_ref().unwrap().amount));
        assert_eq!(values.sum::<i64>(), pence(&account("1001")), "stock");

        let request = billing::GetAgeingRequest::default();
        let ageing = self.billing().get_ageing(request).await.unwrap().into_inner();
        let owed = ageing.total.unwrap().total.unwrap().amount;
        assert_eq!(owed, account("1100"), "debtors");
        let mut credit = 0;
        for customer in &ageing.customers {
            let request = billing::GetCustomerBalanceRequest {
                customer_id: customer.customer_id.clone(),
                ..Default::default()
            };
            let balance = self.billing().get_customer_balance(request).await.unwrap().into_inner();
            assert_eq!(balance.owed, customer.buckets.as_ref().unwrap().total);
            credit += pence(&balance.credit.unwrap().amount);
        }
        // Those who owe nothing may have credit, too.
        let rest = self.sql("select coalesce(sum(amount), 0) from billing.credit_movements").await;
        assert_eq!(
            pence(&rest),
            -pence(&account("2110")),
            "credit, of which debtors have {credit}"
        );

        let mut payroll = PayrollServiceClient::new(self.client("hr-svc"));
        let request = hr::ListPayrollRunsRequest {
            status: hr::PayrollRunStatus::Approved.into(),
            ..Default::default()
        };
        let runs = payroll.list_payroll_runs(request).await.unwrap().into_inner().payroll_runs;
        let unpaid: i64 = runs.iter().map(|run| run.totals.as_ref().unwrap().net_pence).sum();
        assert_eq!(unpaid, -pence(&account("2220")), "net wages");
        assert_eq!(account("9998"), "0.00", "suspense");

        eventually("debtors in the analytics", async || {
            let mut analytics = AnalyticsServiceClient::new(self.client("analytics-svc"));
            let request = GetArAgeingRequest::default();
            let answer = analytics.get_ar_ageing(request).await.ok()?.into_inner();
            (answer.total_ar?.amount == owed).then_some(())
        })
        .await;
        // Worked out from what changed on each day, and from what is open.
        let known: Vec<_> = ageing.customers.iter().map(|of| owed_in_billing(of.clone())).collect();
        for as_of_date in [ageing.as_of_date, String::new()] {
            eventually("agreement on what each customer owes", async || {
                let mut analytics = AnalyticsServiceClient::new(self.client("analytics-svc"));
                let as_of_date = as_of_date.clone();
                let request = QueryArAgeingByCustomerRequest { as_of_date, ..Default::default() };
                let answer =
                    analytics.query_ar_ageing_by_customer(request).await.ok()?.into_inner();
                let counted = answer.customers.into_iter().map(owed_in_analytics);
                counted.eq(known.iter().cloned()).then_some(())
            })
            .await;
        }
    }
}

/// A customer, and the amounts by how late they are.
type Owed = (String, [String; 6]);

fn owed_in_billing(of: billing::CustomerAgeing) -> Owed {
    let owed = of.buckets.unwrap();
    let owed = [
        owed.current,
        owed.days_1_to_30,
        owed.days_31_to_60,
        owed.days_61_to_90,
        owed.days_over_90,
        owed.total,
    ];
    (of.customer_id, owed.map(|money| money.unwrap().amount))
}

fn owed_in_analytics(of: analytics::CustomerAgeing) -> Owed {
    let owed =
        [of.current, of.bucket_30, of.bucket_60, of.bucket_90, of.bucket_over_90, of.total_ar];
    (of.customer_id, owed.map(|money| money.unwrap().amount))
}

fn pence(amount: &str) -> i64 {
    let (pounds, pence) = amount.split_once('.').unwrap();
    let sign = if amount.starts_with('-') { -1 } else { 1 };
    pounds.parse::<i64>().unwrap() * 100 + sign * pence.parse::<i64>().unwrap()
}
