//! The service's face: each method reads its request, calls one function, and answers.

use log::Log;
use proto::{common::v1::Money, ledger::v1 as pb};
use rpc::{Fields, Page};
use rust_decimal::Decimal;
use sqlx::{Postgres, pool::PoolConnection};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    LedgerError,
    domain::{Account, AccountType, Balance, Entry, RefType},
    store,
};

const ACCOUNT_MAX: usize = 64;

pub(crate) struct Ledger {
    pub(crate) log: Log,
}

impl Ledger {
    async fn db(&self) -> Result<PoolConnection<Postgres>, LedgerError> {
        Ok(self.log.pool().acquire().await?)
    }
}

#[tonic::async_trait]
impl pb::ledger_service_server::LedgerService for Ledger {
    async fn list_accounts(
        &self,
        _: Request<pb::ListAccountsRequest>,
    ) -> Result<Response<pb::ListAccountsResponse>, Status> {
        let accounts = store::accounts::list(&mut *self.db().await?).await;
        let accounts = accounts.map_err(LedgerError::from)?.into_iter().map(show_account).collect();
        Ok(Response::new(pb::ListAccountsResponse { accounts }))
    }

    async fn get_trial_balance(
        &self,
        request: Request<pb::GetTrialBalanceRequest>,
    ) -> Result<Response<pb::GetTrialBalanceResponse>, Status> {
        let mut fields = Fields::default();
        let as_of = fields.optional_date("as_of_date", &request.into_inner().as_of_date);
        fields.done()?;

        let balances = store::accounts::balances(&mut *self.db().await?, as_of).await;
        let balances = balances.map_err(LedgerError::from)?;
        Ok(Response::new(show_trial_balance(balances)))
    }

    async fn list_entries(
        &self,
        request: Request<pb::ListEntriesRequest>,
    ) -> Result<Response<pb::ListEntriesResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let filters = format!("{} {} {}", request.account, request.ref_type, request.ref_id);
        let page = Page::read(&mut fields, request.page_size, &request.page_token, &filters);
        let before: Option<Uuid> = page.token.key(&mut fields);
        let document = read_document(&mut fields, &request.ref_type, &request.ref_id);
        let account = fields.text("account", request.account, 0, ACCOUNT_MAX);
        let account = Some(account.as_str()).filter(|account| !account.is_empty());
        if account.is_none() && request.ref_id.is_empty() && request.ref_type.is_empty() {
            fields.bad("account", "this, or ref_type and ref_id, is required");
        }
        fields.done()?;

        let mut db = self.db().await?;
        let found = store::entries::list(&mut db, account, document, before, page.limit()).await;
        let mut found = found.map_err(LedgerError::from)?;
        if let Some(account) = account.filter(|_| found.is_empty()) {
            let exists = store::accounts::exists(&mut db, account).await;
            if !exists.map_err(LedgerError::from)? {
                return Err(LedgerError::AccountNotFound(account.to_owned()).into());
            }
        }
        let next_page_token = page.cut(&mut found, |entry| entry.id.to_string());
        let entries = found.into_iter().map(show_entry).collect();
        Ok(Response::new(pb::ListEntriesResponse { entries, next_page_token }))
    }
}

/// Both or neither.
fn read_document(fields: &mut Fields, ref_type: &str, ref_id: &str) -> Option<(RefType, Uuid)> {
    if ref_type.is_empty() && ref_id.is_empty() {
        return None;
    }
    let kinds = [RefType::Order, RefType::Invoice, RefType::Payroll];
    let kind = kinds.into_iter().find(|kind| kind.to_string() == ref_type);
    if kind.is_none() {
        fields.bad("ref_type", "is not order, invoice or payroll");
    }
    kind.zip(fields.id("ref_id", ref_id))
}

fn show_account(account: Account) -> pb::Account {
    let account_type = match account.account_type {
        AccountType::Asset => pb::AccountType::Asset,
        AccountType::Liability => pb::AccountType::Liability,
        AccountType::Equity => pb::AccountType::Equity,
        AccountType::Income => pb::AccountType::Income,
        AccountType::Expense => pb::AccountType::Expense,
    };
    pb::Account { code: account.code, name: account.name, r#type: account_type.into() }
}

fn show_trial_balance(all: Vec<Balance>) -> pb::GetTrialBalanceResponse {
    let total_debit = Some(show_sum(all.iter().map(|balance| balance.debit).sum()));
    let total_credit = Some(show_sum(all.iter().map(|balance| balance.credit).sum()));
    let balances = all.into_iter().map(|Balance { code, name, account_type, debit, credit }| {
        let account = show_account(Account { code, name, account_type });
        pb::AccountBalance {
            account: Some(account),
            debit: Some(show_sum(debit)),
            credit: Some(show_sum(credit)),
            balance: Some(show_sum(debit - credit)),
        }
    });
    pb::GetTrialBalanceResponse { balances: balances.collect(), total_debit, total_credit }
}

fn show_sum(sum: Decimal) -> Money {
    Money { amount: format!("{sum:.2}"), currency_code: rpc::currency().to_owned() }
}

fn show_entry(entry: Entry) -> pb::Entry {
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
    }
}
