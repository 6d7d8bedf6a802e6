//! Requests as commands: every field is looked at before a request is refused.

use ids::JournalId;
use log::{Cause, RequestKey};
use money::Money;
use proto::ledger::v1 as pb;
use rpc::{Fields, Page};
use tonic::Status;
use uuid::Uuid;

use crate::{
    commands::{
        ChangePeriod, CreateAccount, LockAccount, NewJournal, PostJournals, ReverseJournal,
        UpdateAccount,
    },
    domain::{
        AccountType, DESCRIPTION_MAX, DayKey, Days, Document, Line, Month, PeriodState, RefType,
        Side, sum,
    },
    store::journals::Filter,
};

const CODE_MAX: usize = 64;
const NAME_MAX: usize = 255;
const LINES_MAX: usize = 100;
const BATCH_MAX: usize = 100;
const BATCH_LINES_MAX: usize = 1000;
/// Whose events are booked, and our own.
const SOURCES: [&str; 4] = ["billing", "hr", "inventory", "ledger"];

/// What a list of entries asks for.
pub(super) struct ListEntries {
    pub(super) account: Option<String>,
    pub(super) document: Option<Document>,
    pub(super) order: Order,
    pub(super) page: Page,
}

/// In which order a list is, and behind which entry it goes on.
pub(super) enum Order {
    Newest(Option<Uuid>),
    ByDay(Days, Option<DayKey>),
}

/// What is to be explained.
pub(super) enum Of {
    Journal(JournalId),
    Entry(Uuid),
}

pub(super) fn account(fields: &mut Fields, field: &str, code: String) -> String {
    fields.text(field, code, 1, CODE_MAX)
}

pub(super) fn create_account(request: pb::CreateAccountRequest) -> Result<CreateAccount, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "CreateAccount", &request));
    let account_type = account_type(&mut fields, request.r#type);
    let code = account(&mut fields, "code", request.code);
    if code.chars().any(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '_' | '-')) {
        fields.bad("code", "may hold letters, digits, and . _ - only");
    }
    let name = fields.text("name", request.name, 1, NAME_MAX);
    let Some(account_type) = account_type else { return Err(fields.refuse()) };
    fields.done()?;
    let cause = Cause::of_call().with_request(request_id);
    Ok(CreateAccount { request_key, cause, code, name, account_type })
}

fn account_type(fields: &mut Fields, account_type: i32) -> Option<AccountType> {
    match pb::AccountType::try_from(account_type) {
        Ok(pb::AccountType::Asset) => Some(AccountType::Asset),
        Ok(pb::AccountType::Liability) => Some(AccountType::Liability),
        Ok(pb::AccountType::Equity) => Some(AccountType::Equity),
        Ok(pb::AccountType::Income) => Some(AccountType::Income),
        Ok(pb::AccountType::Expense) => Some(AccountType::Expense),
        Ok(pb::AccountType::Unspecified) => {
            fields.bad("type", "is required");
            None
        }
        Err(_) => {
            fields.bad("type", "is not a type of an account");
            None
        }
    }
}

pub(super) fn update_account(request: pb::UpdateAccountRequest) -> Result<UpdateAccount, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "UpdateAccount", &request));
    let of = request.account.unwrap_or_default();
    let code = account(&mut fields, "account.code", of.code);
    fields.update_mask(request.update_mask, &["name"]);
    let name = fields.text("account.name", of.name, 1, NAME_MAX);
    fields.done()?;
    let cause = Cause::of_call().with_request(request_id);
    Ok(UpdateAccount { request_key, cause, code, etag: given(of.etag), name })
}

pub(super) fn lock_account(request: pb::LockAccountRequest) -> Result<LockAccount, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "LockAccount", &request));
    let code = account(&mut fields, "code", request.code);
    fields.done()?;
    let cause = Cause::of_call().with_request(request_id);
    Ok(LockAccount { request_key, cause, code, etag: given(request.etag), locked: true })
}

pub(super) fn unlock_account(request: pb::UnlockAccountRequest) -> Result<LockAccount, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "UnlockAccount", &request));
    let code = account(&mut fields, "code", request.code);
    fields.done()?;
    let cause = Cause::of_call().with_request(request_id);
    Ok(LockAccount { request_key, cause, code, etag: given(request.etag), locked: false })
}

fn given(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

pub(super) fn post_journal(request: pb::PostJournalRequest) -> Result<PostJournals, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "PostJournal", &request));
    let Some(journal) = request.journal else {
        fields.bad("journal", "is required");
        return Err(fields.refuse());
    };
    let journal = new_journal(&mut fields, None, journal);
    fields.done()?;
    let cause = Cause::of_call().with_request(request_id);
    Ok(PostJournals { request_key, cause, journals: vec![journal] })
}

pub(super) fn batch_post_journals(
    request: pb::BatchPostJournalsRequest,
) -> Result<PostJournals, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "BatchPostJournals", &request));
    fields.count("journals", request.journals.len(), 1, BATCH_MAX);
    let lines: usize = request.journals.iter().map(|journal| journal.lines.len()).sum();
    if lines > BATCH_LINES_MAX {
        fields.bad("journals", format!("have {lines} lines: up to {BATCH_LINES_MAX} are possible"));
    }
    let journals = request.journals.into_iter().take(BATCH_MAX).enumerate();
    let journals =
        journals.map(|(place, one)| new_journal(&mut fields, Some(place), one)).collect();
    fields.done()?;
    let cause = Cause::of_call().with_request(request_id);
    Ok(PostJournals { request_key, cause, journals })
}

/// `place` is where the journal stands in a batch.
fn new_journal(fields: &mut Fields, place: Option<usize>, journal: pb::NewJournal) -> NewJournal {
    let field = place.map_or("journal".to_owned(), |place| format!("journals[{place}]"));
    let id = JournalId::generate();
    let effective_date =
        fields.optional_date(&format!("{field}.effective_date"), &journal.effective_date);
    let description =
        fields.text(&format!("{field}.description"), journal.description, 1, DESCRIPTION_MAX);
    let document = document(fields, &format!("{field}."), &journal.ref_type, &journal.ref_id);
    if document.is_some_and(|document| document.ref_type == RefType::Journal) {
        fields.bad(format!("{field}.ref_type"), "is order, invoice, payroll, payment or stock");
    }
    let document = document.unwrap_or(Document { ref_type: RefType::Journal, ref_id: id.0 });
    let in_lines = format!("{field}.lines");
    fields.count(&in_lines, journal.lines.len(), 2, LINES_MAX);
    let read = journal.lines.into_iter().take(LINES_MAX).enumerate();
    let lines: Vec<Option<Line>> = read
        .map(|(place, one)| line(fields, &format!("{in_lines}[{place}]"), one, document))
        .collect();
    // Whether the rest adds up is of no interest where one cannot be read.
    let whole: Option<Vec<Line>> = lines.into_iter().collect();
    let lines = whole.unwrap_or_default();
    match (sum(&lines, Line::debit), sum(&lines, Line::credit)) {
        (Ok(debit), Ok(credit)) if debit == credit => (),
        (Ok(debit), Ok(credit)) => {
            fields.bad(in_lines, format!("debit {debit} is not credit {credit}"));
        }
        (Err(error), _) | (_, Err(error)) => fields.bad(in_lines, error.to_string()),
    }
    NewJournal { id, place, effective_date, description, lines }
}

/// None when it is bad.
fn line(fields: &mut Fields, field: &str, line: pb::NewLine, document: Document) -> Option<Line> {
    let code = account(fields, &format!("{field}.account"), line.account);
    let (side, name, money) = match (&line.debit, &line.credit) {
        (Some(debit), None) => (Side::Debit, "debit", debit),
        (None, Some(credit)) => (Side::Credit, "credit", credit),
        (None, None) => {
            fields.bad(field, "has neither debit nor credit");
            return None;
        }
        (Some(_), Some(_)) => {
            fields.bad(field, "has both debit and credit");
            return None;
        }
    };
    let in_side = format!("{field}.{name}");
    let amount = fields.money(&in_side, Some(money));
    // One that cannot be read is one of 0, too, and was complained of.
    if Money::parse(&money.amount).is_ok_and(Money::is_zero) {
        fields.bad(format!("{in_side}.amount"), "must be more than 0");
    }
    Some(Line { account: code, side, amount, document }).filter(|line| line.amount.is_positive())
}

pub(super) fn reverse_journal(
    request: pb::ReverseJournalRequest,
) -> Result<ReverseJournal, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "ReverseJournal", &request));
    let id: Option<JournalId> = fields.id("journal_id", &request.journal_id);
    let effective_date = fields.optional_date("effective_date", &request.effective_date);
    let description = fields.text("description", request.description, 0, DESCRIPTION_MAX);
    let Some(id) = id else { return Err(fields.refuse()) };
    fields.done()?;
    let cause = Cause::of_call().with_request(request_id);
    Ok(ReverseJournal { request_key, cause, id, effective_date, description })
}

pub(super) fn list_journals(
    request: pb::ListJournalsRequest,
) -> Result<(Filter, Option<DayKey>, Page), Status> {
    let mut fields = Fields::default();
    let filters = format!(
        "{} {} {} {} {}",
        request.from_date, request.to_date, request.source, request.ref_type, request.ref_id
    );
    let page = Page::read(&mut fields, request.page_size, &request.page_token, &filters);
    let before: Option<DayKey> = page.token.key(&mut fields);
    let days = days(&mut fields, &request.from_date, &request.to_date);
    let source = given(request.source);
    if source.as_deref().is_some_and(|source| !SOURCES.contains(&source)) {
        fields.bad("source", "is not billing, hr, inventory or ledger");
    }
    let document = document(&mut fields, "", &request.ref_type, &request.ref_id);
    fields.done()?;
    Ok((Filter { source, document, days }, before, page))
}

pub(super) fn list_entries(request: pb::ListEntriesRequest) -> Result<ListEntries, Status> {
    let mut fields = Fields::default();
    let filters = format!(
        "{} {} {} {} {}",
        request.account, request.ref_type, request.ref_id, request.from_date, request.to_date
    );
    let page = Page::read(&mut fields, request.page_size, &request.page_token, &filters);
    let by_day = !(request.from_date.is_empty() && request.to_date.is_empty());
    let order = if by_day {
        let before = page.token.key(&mut fields);
        Order::ByDay(days(&mut fields, &request.from_date, &request.to_date), before)
    } else {
        Order::Newest(page.token.key(&mut fields))
    };
    let document = document(&mut fields, "", &request.ref_type, &request.ref_id);
    let account = given(fields.text("account", request.account, 0, CODE_MAX));
    if account.is_none() && request.ref_id.is_empty() && request.ref_type.is_empty() {
        fields.bad("account", "this, or ref_type and ref_id, is required");
    }
    fields.done()?;
    Ok(ListEntries { account, document, order, page })
}

pub(super) fn explain_entry(request: &pb::ExplainEntryRequest) -> Result<Of, Status> {
    let mut fields = Fields::default();
    let entry_id = fields.optional_id("entry_id", &request.entry_id);
    let journal_id = fields.optional_id("journal_id", &request.journal_id);
    if request.entry_id.is_empty() == request.journal_id.is_empty() {
        fields.bad("entry_id", "either this or journal_id is required");
    }
    let of = entry_id.map(Of::Entry).or(journal_id.map(Of::Journal));
    let Some(of) = of else { return Err(fields.refuse()) };
    fields.done()?;
    Ok(of)
}

pub(super) fn close_period(request: &pb::ClosePeriodRequest) -> Result<ChangePeriod, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "ClosePeriod", request));
    let Some(month) = month(&mut fields, &request.period) else { return Err(fields.refuse()) };
    fields.done()?;
    let cause = Cause::of_call().with_request(request_id);
    Ok(ChangePeriod { request_key, cause, month })
}

pub(super) fn reopen_period(request: &pb::ReopenPeriodRequest) -> Result<ChangePeriod, Status> {
    let mut fields = Fields::default();
    let request_id = fields.request_id(&request.request_id);
    let request_key = request_id.map(|id| RequestKey::new(id, "ReopenPeriod", request));
    let Some(month) = month(&mut fields, &request.period) else { return Err(fields.refuse()) };
    fields.done()?;
    let cause = Cause::of_call().with_request(request_id);
    Ok(ChangePeriod { request_key, cause, month })
}

fn month(fields: &mut Fields, text: &str) -> Option<Month> {
    let month = text.parse().ok();
    if month.is_none() {
        let why = if text.is_empty() { "is required" } else { "is not a month such as 2026-11" };
        fields.bad("period", why);
    }
    month
}

pub(super) fn list_periods(
    request: &pb::ListPeriodsRequest,
) -> Result<(Option<PeriodState>, Option<Month>, Page), Status> {
    let mut fields = Fields::default();
    let filters = format!("periods {}", request.state);
    let page = Page::read(&mut fields, request.page_size, &request.page_token, &filters);
    let before: Option<Month> = page.token.key(&mut fields);
    let state = match pb::PeriodState::try_from(request.state) {
        Ok(pb::PeriodState::Unspecified) => None,
        Ok(pb::PeriodState::Open) => Some(PeriodState::Open),
        Ok(pb::PeriodState::Closed) => Some(PeriodState::Closed),
        Err(_) => {
            fields.bad("state", "is not a state of a month");
            None
        }
    };
    fields.done()?;
    Ok((state, before, page))
}

fn days(fields: &mut Fields, from: &str, to: &str) -> Days {
    let first = fields.optional_date("from_date", from);
    let last = fields.optional_date("to_date", to);
    if first.zip(last).is_some_and(|(first, last)| first > last) {
        fields.bad("to_date", "is before from_date");
    }
    Days { first, last }
}

/// Both or neither. `prefix` is where they stand in the request.
fn document(fields: &mut Fields, prefix: &str, ref_type: &str, ref_id: &str) -> Option<Document> {
    if ref_type.is_empty() && ref_id.is_empty() {
        return None;
    }
    let kind = RefType::ALL.into_iter().find(|kind| kind.to_string() == ref_type);
    if kind.is_none() {
        fields.bad(
            format!("{prefix}ref_type"),
            "is not order, invoice, payroll, payment, stock or journal",
        );
    }
    let ref_id = fields.id(&format!("{prefix}ref_id"), ref_id);
    kind.zip(ref_id).map(|(ref_type, ref_id)| Document { ref_type, ref_id })
}
