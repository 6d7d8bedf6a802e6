//! Accounts by request: get, create, rename, lock, unlock.

use proto::ledger::v1::{
    Account, AccountType, CreateAccountRequest, GetAccountRequest, LockAccountRequest,
    UnlockAccountRequest, UpdateAccountRequest,
};
use testkit::refusal;
use tokio::task::JoinSet;
use tonic::{Code, Status};

use crate::{
    app::{App, capital, new_id},
    events::paid,
};

const DAY: &str = "2026-03-31";

fn till() -> CreateAccountRequest {
    CreateAccountRequest {
        code: "1210".to_owned(),
        name: "Till".to_owned(),
        r#type: AccountType::Asset.into(),
        ..Default::default()
    }
}

async fn create(app: &App, request: CreateAccountRequest) -> Result<Account, Status> {
    Ok(app.client.clone().create_account(request).await?.into_inner().account.unwrap())
}

async fn get(app: &App, code: &str) -> Result<Account, Status> {
    let request = GetAccountRequest { code: code.to_owned() };
    Ok(app.client.clone().get_account(request).await?.into_inner().account.unwrap())
}

async fn rename(app: &App, code: &str, name: &str, etag: &str) -> Result<Account, Status> {
    let account = Account {
        code: code.to_owned(),
        name: name.to_owned(),
        etag: etag.to_owned(),
        ..Default::default()
    };
    update(app, account, &["name"]).await
}

async fn update(app: &App, account: Account, paths: &[&str]) -> Result<Account, Status> {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    let request = UpdateAccountRequest {
        account: Some(account),
        update_mask: Some(prost_types::FieldMask { paths }),
        ..Default::default()
    };
    Ok(app.client.clone().update_account(request).await?.into_inner().account.unwrap())
}

async fn lock(app: &App, code: &str, etag: &str) -> Result<Account, Status> {
    let (code, etag) = (code.to_owned(), etag.to_owned());
    let request = LockAccountRequest { code, etag, ..Default::default() };
    Ok(app.client.clone().lock_account(request).await?.into_inner().account.unwrap())
}

async fn unlock(app: &App, code: &str, etag: &str) -> Result<Account, Status> {
    let (code, etag) = (code.to_owned(), etag.to_owned());
    let request = UnlockAccountRequest { code, etag, ..Default::default() };
    Ok(app.client.clone().unlock_account(request).await?.into_inner().account.unwrap())
}

#[tokio::test]
async fn an_account_that_is_created_is_in_the_chart_and_can_be_posted_on() {
    let app = App::start().await;
    let account = create(&app, till()).await.unwrap();
    let shown = (&*account.code, &*account.name, account.r#type(), account.control, account.locked);
    assert_eq!(shown, ("1210", "Till", AccountType::Asset, false, false));
    assert_eq!(get(&app, "1210").await.unwrap(), account);
    let mut journal = capital("5.00", DAY);
    "1210".clone_into(&mut journal.lines[0].account);
    app.post(journal).await.unwrap();
    assert_eq!(app.balances("").await, ["1210 5.00", "3200 -5.00"]);
    assert_eq!(app.log.told_of("1210").await, [("account.created".to_owned(), 1)]);
}

#[tokio::test]
async fn accounts_that_sum_up_what_services_keep_are_the_control_accounts() {
    let app = App::start().await;
    let chart = app.client.clone().list_accounts(proto::ledger::v1::ListAccountsRequest {}).await;
    let chart = chart.unwrap().into_inner().accounts.into_iter();
    let control: Vec<String> = chart.filter(|one| one.control).map(|one| one.code).collect();
    assert_eq!(control, ["1001", "1100", "2110", "2220"]);
}

#[tokio::test]
async fn a_code_is_given_once() {
    let app = App::start().await;
    for (code, is_new) in [("1210", true), ("1210", false), ("1100", false)] {
        let created = create(&app, CreateAccountRequest { code: code.to_owned(), ..till() }).await;
        if is_new {
            created.unwrap();
            continue;
        }
        let refused = refusal(created);
        refused.is(Code::AlreadyExists, "ACCOUNT_EXISTS");
        assert_eq!(refused.facts, [format!("account: {code}")]);
    }
    assert_eq!(app.count("ledger.accounts").await, 21);
}

#[tokio::test]
async fn the_same_request_a_hundred_times_at_once_creates_one_account() {
    let app = App::start().await;
    let request = CreateAccountRequest { request_id: new_id(), ..till() };
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let (mut client, request) = (app.client.clone(), request.clone());
        calls.spawn(async move { client.create_account(request).await.unwrap().into_inner() });
    }
    let answers = calls.join_all().await;
    assert!(answers.iter().all(|answer| answer == &answers[0]));
    assert_eq!(app.log.told_of("1210").await, [("account.created".to_owned(), 1)]);

    let other = CreateAccountRequest { name: "Cash".to_owned(), ..request };
    refusal(create(&app, other).await).is(Code::AlreadyExists, "REQUEST_ID_USED");
}

#[tokio::test]
async fn a_request_that_was_refused_can_be_made_again() {
    let app = App::start().await;
    let request_id = new_id();
    let request = CreateAccountRequest { request_id, code: "1100".to_owned(), ..till() };
    refusal(create(&app, request.clone()).await).is(Code::AlreadyExists, "ACCOUNT_EXISTS");
    create(&app, CreateAccountRequest { code: "1210".to_owned(), ..request }).await.unwrap();
}

#[tokio::test]
async fn the_chart_has_an_end() {
    let app = App::start().await;
    sqlx::query(
        "insert into ledger.accounts (code, name, type) select 'x' || n, 'x', 'asset' from generate_series(1, 979) n",
    )
    .execute(&app.db)
    .await
    .unwrap();
    create(&app, till()).await.unwrap();
    let one_more = CreateAccountRequest { code: "1211".to_owned(), ..till() };
    refusal(create(&app, one_more).await).is(Code::FailedPrecondition, "CHART_FULL");
}

#[tokio::test]
async fn a_name_changes_by_the_mask_and_with_the_right_etag_only() {
    let app = App::start().await;
    let before = get(&app, "1100").await.unwrap();
    let after = rename(&app, "1100", "Trade debtors", &before.etag).await.unwrap();
    assert_eq!(
        after,
        Account { name: "Trade debtors".to_owned(), etag: after.etag.clone(), ..before.clone() }
    );
    assert_ne!(after.etag, before.etag);
    let stale = refusal(rename(&app, "1100", "Receivables", &before.etag).await);
    stale.is(Code::Aborted, "ETAG_STALE");
    assert_eq!(rename(&app, "1100", "Trade debtors", "").await.unwrap(), after);
    assert_eq!(get(&app, "1100").await.unwrap(), after);
    // The chart's own accounts were told of by nobody: their first change is their second version.
    assert_eq!(app.log.told_of("1100").await, [("account.updated".to_owned(), 2)]);
}

#[tokio::test]
async fn a_rename_that_is_sent_again_does_not_undo_the_next_one() {
    let app = App::start().await;
    let request = |request_id: &str, name: &str| UpdateAccountRequest {
        request_id: request_id.to_owned(),
        account: Some(Account {
            code: "1100".to_owned(),
            name: name.to_owned(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["name".to_owned()] }),
    };
    let (first, second) = (new_id(), new_id());
    for (id, name) in [(&first, "One"), (&second, "Two"), (&first, "One")] {
        app.client.clone().update_account(request(id, name)).await.unwrap();
    }
    assert_eq!(get(&app, "1100").await.unwrap().name, "Two");
    let other = app.client.clone().update_account(request(&first, "Three")).await;
    refusal(other).is(Code::AlreadyExists, "REQUEST_ID_USED");
}

#[tokio::test]
async fn nobody_posts_by_hand_on_a_locked_account_but_events_do() {
    let app = App::start().await;
    let account = lock(&app, "1200", "").await.unwrap();
    assert!(account.locked);
    assert_eq!(lock(&app, "1200", "").await.unwrap(), account, "again is the same");
    let refused = refusal(app.post(capital("5.00", DAY)).await);
    refused.is(Code::FailedPrecondition, "ACCOUNT_LOCKED");
    assert_eq!(refused.facts, ["account: 1200"]);
    app.hear(&[paid(&new_id(), "3.00", &[], "3.00", DAY)]).await;
    assert_eq!(app.balances("").await, ["1200 3.00", "2110 -3.00"]);

    let account = unlock(&app, "1200", &account.etag).await.unwrap();
    assert!(!account.locked);
    assert_eq!(unlock(&app, "1200", "").await.unwrap(), account);
    app.post(capital("5.00", DAY)).await.unwrap();
    let told = [("account.locked", 2), ("account.unlocked", 3)];
    assert_eq!(app.log.told_of("1200").await, told.map(|(of, at)| (of.to_owned(), at)));
}

#[tokio::test]
async fn a_control_account_is_neither_locked_nor_unlocked() {
    let app = App::start().await;
    for answer in [lock(&app, "1100", "").await, unlock(&app, "1100", "").await] {
        let refused = refusal(answer);
        refused.is(Code::FailedPrecondition, "CONTROL_ACCOUNT");
        assert_eq!(refused.facts, ["account: 1100"]);
    }
}

#[tokio::test]
async fn a_lock_with_a_stale_etag_or_a_used_request_id_is_refused() {
    let app = App::start().await;
    let before = get(&app, "1200").await.unwrap();
    rename(&app, "1200", "Current account", "").await.unwrap();
    refusal(lock(&app, "1200", &before.etag).await).is(Code::Aborted, "ETAG_STALE");
    refusal(unlock(&app, "1200", &before.etag).await).is(Code::Aborted, "ETAG_STALE");

    let request =
        LockAccountRequest { request_id: new_id(), code: "1200".to_owned(), ..Default::default() };
    app.client.clone().lock_account(request.clone()).await.unwrap();
    unlock(&app, "1200", "").await.unwrap();
    let again = app.client.clone().lock_account(request.clone()).await.unwrap().into_inner();
    assert!(!again.account.unwrap().locked, "it was answered before and locks nothing anew");
    let other = LockAccountRequest { code: "4000".to_owned(), ..request.clone() };
    let other = app.client.clone().lock_account(other).await;
    refusal(other).is(Code::AlreadyExists, "REQUEST_ID_USED");
    let other = UnlockAccountRequest {
        request_id: request.request_id,
        code: request.code,
        ..Default::default()
    };
    let other = app.client.clone().unlock_account(other).await;
    refusal(other).is(Code::AlreadyExists, "REQUEST_ID_USED");
}

#[tokio::test]
async fn an_account_that_the_chart_lacks_is_not_found() {
    let app = App::start().await;
    let answers = [
        get(&app, "1101").await,
        rename(&app, "1101", "X", "").await,
        lock(&app, "1101", "").await,
        unlock(&app, "1101", "").await,
    ];
    for answer in answers {
        let refused = refusal(answer);
        refused.is(Code::NotFound, "ACCOUNT_NOT_FOUND");
        assert_eq!(refused.facts, ["account: 1101"]);
    }
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let bad = CreateAccountRequest {
        request_id: "1".to_owned(),
        code: "11 00".to_owned(),
        name: " ".to_owned(),
        r#type: 0,
    };
    refusal(create(&app, bad).await).names(&["request_id", "type", "code", "name"]);
    let bad = CreateAccountRequest { code: "1".repeat(65), r#type: 9, ..till() };
    refusal(create(&app, bad).await).names(&["type", "code"]);
    refusal(get(&app, "").await).names(&["code"]);
    refusal(lock(&app, "", "").await).names(&["code"]);
    refusal(unlock(&app, &"1".repeat(65), "").await).names(&["code"]);
    let named = |code: &str, name: &str| Account {
        code: code.to_owned(),
        name: name.to_owned(),
        ..Default::default()
    };
    refusal(update(&app, named("1100", "X"), &[]).await).names(&["update_mask"]);
    refusal(update(&app, named("1100", ""), &["name", "type"]).await)
        .names(&["update_mask", "account.name"]);
    refusal(update(&app, named("", "X"), &["code"]).await).names(&["account.code", "update_mask"]);
}
