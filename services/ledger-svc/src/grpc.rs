//! The service's face: each method reads its request, calls one function, and answers.

mod read;
mod show;

use chrono_tz::Tz;
use ids::JournalId;
use log::Log;
use pg::FilteredRead;
use proto::ledger::v1 as pb;
use rpc::Fields;
use sqlx::{Postgres, pool::PoolConnection};
use tonic::{Request, Response, Status};

use self::read::{Of, Order};
use crate::{
    LedgerError,
    commands::{self, PostJournals},
    queries, store,
};

pub(crate) struct Ledger {
    pub(crate) log: Log,
    pub(crate) zone: Tz,
}

impl Ledger {
    async fn db(&self) -> Result<PoolConnection<Postgres>, LedgerError> {
        Ok(self.log.pool().acquire().await?)
    }

    async fn filtered(&self) -> Result<FilteredRead, LedgerError> {
        Ok(FilteredRead::begin(self.log.pool()).await?)
    }
}

#[tonic::async_trait]
impl pb::ledger_service_server::LedgerService for Ledger {
    async fn list_accounts(
        &self,
        _: Request<pb::ListAccountsRequest>,
    ) -> Result<Response<pb::ListAccountsResponse>, Status> {
        let accounts = store::accounts::list(&mut *self.db().await?).await;
        let accounts = accounts.map_err(LedgerError::from)?.into_iter().map(show::account);
        Ok(Response::new(pb::ListAccountsResponse { accounts: accounts.collect() }))
    }

    async fn get_account(
        &self,
        request: Request<pb::GetAccountRequest>,
    ) -> Result<Response<pb::GetAccountResponse>, Status> {
        let mut fields = Fields::default();
        let code = read::account(&mut fields, "code", request.into_inner().code);
        fields.done()?;

        let found = store::accounts::find(&mut *self.db().await?, &code).await;
        let account = found.map_err(LedgerError::from)?;
        let account = show::account(account.ok_or(LedgerError::AccountNotFound(code))?);
        Ok(Response::new(pb::GetAccountResponse { account: Some(account) }))
    }

    async fn create_account(
        &self,
        request: Request<pb::CreateAccountRequest>,
    ) -> Result<Response<pb::CreateAccountResponse>, Status> {
        let command = read::create_account(request.into_inner())?;
        let account = commands::create_account(&self.log, command).await?;
        let account = Some(show::account(account));
        Ok(Response::new(pb::CreateAccountResponse { account }))
    }

    async fn update_account(
        &self,
        request: Request<pb::UpdateAccountRequest>,
    ) -> Result<Response<pb::UpdateAccountResponse>, Status> {
        let command = read::update_account(request.into_inner())?;
        let account = commands::update_account(&self.log, command).await?;
        let account = Some(show::account(account));
        Ok(Response::new(pb::UpdateAccountResponse { account }))
    }

    async fn lock_account(
        &self,
        request: Request<pb::LockAccountRequest>,
    ) -> Result<Response<pb::LockAccountResponse>, Status> {
        let command = read::lock_account(request.into_inner())?;
        let account = commands::lock_account(&self.log, command).await?;
        Ok(Response::new(pb::LockAccountResponse { account: Some(show::account(account)) }))
    }

    async fn unlock_account(
        &self,
        request: Request<pb::UnlockAccountRequest>,
    ) -> Result<Response<pb::UnlockAccountResponse>, Status> {
        let command = read::unlock_account(request.into_inner())?;
        let account = commands::lock_account(&self.log, command).await?;
        Ok(Response::new(pb::UnlockAccountResponse { account: Some(show::account(account)) }))
    }

    async fn post_journal(
        &self,
        request: Request<pb::PostJournalRequest>,
    ) -> Result<Response<pb::PostJournalResponse>, Status> {
        let request = request.into_inner();
        let preview = request.validate_only;
        let command = read::post_journal(request)?;
        let journal = self.post(command, preview).await?.pop();
        Ok(Response::new(pb::PostJournalResponse { journal }))
    }

    async fn batch_post_journals(
        &self,
        request: Request<pb::BatchPostJournalsRequest>,
    ) -> Result<Response<pb::BatchPostJournalsResponse>, Status> {
        let request = request.into_inner();
        let preview = request.validate_only;
        let command = read::batch_post_journals(request)?;
        let journals = self.post(command, preview).await?;
        Ok(Response::new(pb::BatchPostJournalsResponse { journals }))
    }

    async fn reverse_journal(
        &self,
        request: Request<pb::ReverseJournalRequest>,
    ) -> Result<Response<pb::ReverseJournalResponse>, Status> {
        let command = read::reverse_journal(request.into_inner())?;
        let reversal = commands::reverse_journal(&self.log, self.zone, &command).await?;
        let journal = Some(show::whole_journal(reversal));
        Ok(Response::new(pb::ReverseJournalResponse { journal }))
    }

    async fn get_journal(
        &self,
        request: Request<pb::GetJournalRequest>,
    ) -> Result<Response<pb::GetJournalResponse>, Status> {
        let mut fields = Fields::default();
        let id: Option<JournalId> = fields.id("journal_id", &request.into_inner().journal_id);
        let Some(id) = id else { return Err(fields.refuse()) };

        let journal = queries::whole_journal(&mut *self.db().await?, id).await?;
        let journal = Some(show::whole_journal(journal));
        Ok(Response::new(pb::GetJournalResponse { journal }))
    }

    async fn list_journals(
        &self,
        request: Request<pb::ListJournalsRequest>,
    ) -> Result<Response<pb::ListJournalsResponse>, Status> {
        let (filter, before, page) = read::list_journals(request.into_inner())?;
        let mut db = self.filtered().await?;
        let found = queries::list_journals(&mut db, &filter, before, page.limit()).await;
        let journals = found.map_err(LedgerError::from)?.into_iter();
        let mut journals: Vec<pb::Journal> = journals.map(show::journal).collect();
        let next_page_token = page.fit(&mut journals, |journal| {
            format!("{}/{}", journal.effective_date, journal.journal_id)
        });
        Ok(Response::new(pb::ListJournalsResponse { journals, next_page_token }))
    }

    async fn list_entries(
        &self,
        request: Request<pb::ListEntriesRequest>,
    ) -> Result<Response<pb::ListEntriesResponse>, Status> {
        let read::ListEntries { account, document, order, page } =
            read::list_entries(request.into_inner())?;
        let filter = store::entries::Filter { account: account.as_deref(), document };
        let mut db = self.filtered().await?;
        let found = match order {
            Order::Newest(before) => {
                store::entries::list(&mut db, filter, before, page.limit()).await
            }
            Order::ByDay(days, before) => {
                store::entries::list_by_day(&mut db, filter, days, before, page.limit()).await
            }
        };
        let found = found.map_err(LedgerError::from)?;
        if let Some(code) = account.filter(|_| found.is_empty()) {
            let account = store::accounts::find(&mut db, &code).await;
            if account.map_err(LedgerError::from)?.is_none() {
                return Err(LedgerError::AccountNotFound(code).into());
            }
        }
        let mut entries: Vec<pb::Entry> = found.into_iter().map(show::entry).collect();
        let next_page_token = page.fit(&mut entries, |entry| match order {
            Order::Newest(_) => entry.entry_id.clone(),
            Order::ByDay(..) => format!("{}/{}", entry.effective_date, entry.entry_id),
        });
        Ok(Response::new(pb::ListEntriesResponse { entries, next_page_token }))
    }

    async fn get_balance(
        &self,
        request: Request<pb::GetBalanceRequest>,
    ) -> Result<Response<pb::GetBalanceResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        let code = read::account(&mut fields, "account", request.account);
        let as_of = fields.optional_date("as_of_date", &request.as_of_date);
        fields.done()?;

        let balance = store::accounts::balance(&mut *self.db().await?, &code, as_of).await;
        let balance = balance.map_err(LedgerError::from)?;
        let balance = show::balance(balance.ok_or(LedgerError::AccountNotFound(code))?);
        Ok(Response::new(pb::GetBalanceResponse { balance: Some(balance) }))
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
        Ok(Response::new(show::trial_balance(balances)))
    }

    async fn explain_entry(
        &self,
        request: Request<pb::ExplainEntryRequest>,
    ) -> Result<Response<pb::ExplainEntryResponse>, Status> {
        let of = read::explain_entry(&request.into_inner())?;
        let mut db = self.db().await?;
        let id = match of {
            Of::Journal(id) => id,
            Of::Entry(id) => queries::journal_of(&mut db, id).await?,
        };
        let (journal, origin, posted_sequence) = queries::explain(&mut db, id).await?;
        let origin = Some(show::origin(origin, posted_sequence));
        let journal = Some(show::whole_journal(journal));
        Ok(Response::new(pb::ExplainEntryResponse { journal, origin }))
    }

    async fn close_period(
        &self,
        request: Request<pb::ClosePeriodRequest>,
    ) -> Result<Response<pb::ClosePeriodResponse>, Status> {
        let command = read::close_period(&request.into_inner())?;
        let period = commands::close_period(&self.log, self.zone, command).await?;
        Ok(Response::new(pb::ClosePeriodResponse { period: Some(show::period(period)) }))
    }

    async fn reopen_period(
        &self,
        request: Request<pb::ReopenPeriodRequest>,
    ) -> Result<Response<pb::ReopenPeriodResponse>, Status> {
        let command = read::reopen_period(&request.into_inner())?;
        let period = commands::reopen_period(&self.log, command).await?;
        Ok(Response::new(pb::ReopenPeriodResponse { period: Some(show::period(period)) }))
    }

    async fn list_periods(
        &self,
        request: Request<pb::ListPeriodsRequest>,
    ) -> Result<Response<pb::ListPeriodsResponse>, Status> {
        let (state, before, page) = read::list_periods(&request.into_inner())?;
        let mut db = self.db().await?;
        let found = queries::list_periods(&mut db, self.zone, state, before, page.limit()).await;
        let periods = found.map_err(LedgerError::from)?.into_iter();
        let mut periods: Vec<pb::Period> = periods.map(show::period).collect();
        let next_page_token = page.fit(&mut periods, |period| period.period.clone());
        Ok(Response::new(pb::ListPeriodsResponse { periods, next_page_token }))
    }
}

impl Ledger {
    async fn post(
        &self,
        command: PostJournals,
        preview: bool,
    ) -> Result<Vec<pb::Journal>, LedgerError> {
        if preview {
            let postings = commands::preview_journals(&self.log, self.zone, command).await?;
            return Ok(postings.into_iter().map(show::preview).collect::<Result<_, _>>()?);
        }
        let journals = commands::post_journals(&self.log, self.zone, command).await?;
        Ok(journals.into_iter().map(show::whole_journal).collect())
    }
}
