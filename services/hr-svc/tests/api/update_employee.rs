use futures::future::join_all;
use proto::hr::v1::{Employee, UpdateEmployeeRequest};
use tonic::Code;

use testkit::refusal;

use crate::app::{App, ann, change, change_as_seen, mask, new_id, object, text};

const ALL: [&str; 6] = ["name", "email", "role", "salary_pence", "payroll_meta", "payroll_group"];

/// Somebody else altogether.
fn other(than: &Employee) -> Employee {
    Employee {
        name: "Bob".to_owned(),
        email: format!("bob-{}", than.email),
        role: "butcher".to_owned(),
        salary_pence: Some(4_000_000),
        payroll_meta: Some(object(&[("tax_code", text("BR"))])),
        payroll_group: "shop-2".to_owned(),
        ..than.clone()
    }
}

#[tokio::test]
async fn the_fields_that_the_mask_names_are_changed_and_no_others() {
    let app = App::start().await;
    for field in ALL {
        let before = app.create(ann()).await.unwrap();
        let wanted = other(&before);
        let mut expected = Employee { etag: "2".to_owned(), ..before.clone() };
        match field {
            "name" => expected.name.clone_from(&wanted.name),
            "email" => expected.email.clone_from(&wanted.email),
            "role" => expected.role.clone_from(&wanted.role),
            "salary_pence" => expected.salary_pence = wanted.salary_pence,
            "payroll_group" => expected.payroll_group.clone_from(&wanted.payroll_group),
            _ => expected.payroll_meta.clone_from(&wanted.payroll_meta),
        }
        assert_eq!(app.update(change(&wanted, &[field])).await.unwrap(), expected);
        assert_eq!(app.get(&before.employee_id).await.unwrap(), expected, "{field}");
    }
    let before = app.create(ann()).await.unwrap();
    let expected = Employee { etag: "2".to_owned(), ..other(&before) };
    let twice = [ALL, ALL].concat();
    assert_eq!(app.update(change(&other(&before), &twice)).await.unwrap(), expected);
    let none = Employee { payroll_meta: None, ..before };
    assert_eq!(app.update(change(&none, &["payroll_meta"])).await.unwrap().payroll_meta, None);
}

#[tokio::test]
async fn a_change_that_changes_nothing_writes_nothing() {
    let app = App::start().await;
    let ann = app.create(ann()).await.unwrap();
    let request = UpdateEmployeeRequest { request_id: new_id(), ..change(&ann, &ALL) };
    for _ in 0..2 {
        assert_eq!(app.update(request.clone()).await.unwrap(), ann);
    }
    assert_eq!(app.counts().await, (1, 1, 1));
}

#[tokio::test]
async fn an_email_address_of_another_is_refused_and_ones_own_in_another_case_is_not() {
    let app = App::start().await;
    let (ann, bob) = (app.create(ann()).await.unwrap(), app.create(ann()).await.unwrap());
    for email in [bob.email.clone(), bob.email.to_uppercase()] {
        let taken = Employee { email, name: "Bob".to_owned(), ..ann.clone() };
        let refused = refusal(app.update(change(&taken, &["email", "name"])).await);
        refused.is(Code::AlreadyExists, "EMAIL_TAKEN");
        assert_eq!(refused.facts, [format!("employee_id: {}", bob.employee_id)]);
    }
    assert_eq!(app.get(&ann.employee_id).await.unwrap(), ann);
    let own = Employee { email: ann.email.to_uppercase(), ..ann.clone() };
    assert_eq!(app.update(change(&own, &["email"])).await.unwrap().email, own.email);
    assert_eq!(app.counts().await, (2, 2, 3));

    // What she gave up is free.
    let new = Employee { email: format!("new-{}", own.email), ..own.clone() };
    app.update(change(&new, &["email"])).await.unwrap();
    let taken_over = Employee { email: ann.email, ..bob };
    app.update(change(&taken_over, &["email"])).await.unwrap();
}

#[tokio::test]
async fn fifty_at_once_who_want_one_email_address_do_not_share_it() {
    let app = App::start().await;
    let mut all = Vec::new();
    for _ in 0..50 {
        all.push(app.create(ann()).await.unwrap());
    }
    let wanted = "one@example.org".to_owned();
    let changes = all.into_iter().map(|one| Employee { email: wanted.clone(), ..one });
    let answers = join_all(changes.map(async |to| app.update(change(&to, &["email"])).await)).await;
    let (changed, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((changed.len(), refused.len()), (1, 49));
    let id = changed.into_iter().next().unwrap().unwrap().employee_id;
    for refused in refused.into_iter().map(refusal) {
        refused.is(Code::AlreadyExists, "EMAIL_TAKEN");
        assert_eq!(refused.facts, [format!("employee_id: {id}")]);
    }
}

#[tokio::test]
async fn one_who_has_not_seen_the_last_change_is_refused() {
    let app = App::start().await;
    let first = app.create(ann()).await.unwrap();
    let renamed = Employee { name: "Anna".to_owned(), ..first.clone() };
    let second = app.update(change_as_seen(&renamed, &["name"])).await.unwrap();
    assert_ne!(second.etag, first.etag);
    for etag in [first.etag.as_str(), "3", "02", "x"] {
        let seen = Employee { name: "Bob".to_owned(), etag: etag.to_owned(), ..first.clone() };
        let refused = refusal(app.update(change_as_seen(&seen, &["name"])).await);
        refused.is(Code::Aborted, "ETAG_STALE");
        assert_eq!(refused.facts, [format!("employee_id: {}", first.employee_id)]);
    }
    assert_eq!(app.get(&first.employee_id).await.unwrap(), second);
    let seen = Employee { name: "Bob".to_owned(), ..second };
    assert_eq!(app.update(change_as_seen(&seen, &["name"])).await.unwrap().name, "Bob");
}

#[tokio::test]
async fn of_a_hundred_at_once_who_have_seen_the_same_one_changes_it() {
    let app = App::start().await;
    let seen = app.create(ann()).await.unwrap();
    let changes = (0..100).map(|n| Employee { name: format!("Ann {n}"), ..seen.clone() });
    let changes = changes.map(async |to| app.update(change_as_seen(&to, &["name"])).await);
    let answers = join_all(changes).await;
    let (changed, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((changed.len(), refused.len()), (1, 99));
    refused.into_iter().map(refusal).for_each(|refused| refused.is(Code::Aborted, "ETAG_STALE"));
    let changed = changed.into_iter().next().unwrap().unwrap();
    assert_eq!(app.get(&seen.employee_id).await.unwrap(), changed);
}

#[tokio::test]
async fn a_hundred_changes_at_once_all_happen_one_after_the_other() {
    let app = App::start().await;
    let ann = app.create(ann()).await.unwrap();
    let changes = (0..100).map(|n| Employee { role: format!("baker {n}"), ..ann.clone() });
    for changed in join_all(changes.map(async |to| app.update(change(&to, &["role"])).await)).await
    {
        changed.unwrap();
    }
    let told = app.log.told_of(&ann.employee_id).await;
    let updated = (2..=101).map(|version| ("employee.updated".to_owned(), version));
    let created = std::iter::once(("employee.created".to_owned(), 1));
    assert_eq!(told, created.chain(updated).collect::<Vec<_>>());
    assert_eq!(app.get(&ann.employee_id).await.unwrap().etag, "101");
}

#[tokio::test]
async fn an_unknown_employee_is_not_found() {
    let app = App::start().await;
    let ann = app.create(ann()).await.unwrap();
    let nobody = Employee { employee_id: new_id(), ..ann };
    let refused = refusal(app.update(change(&nobody, &["name"])).await);
    refused.is(Code::NotFound, "EMPLOYEE_NOT_FOUND");
    assert_eq!(refused.facts, [format!("employee_id: {}", nobody.employee_id)]);
}

#[tokio::test]
async fn a_mask_names_one_field_or_more_and_only_such_as_can_be_changed() {
    let app = App::start().await;
    let ann = app.create(ann()).await.unwrap();
    let without = UpdateEmployeeRequest { update_mask: None, ..change(&ann, &[]) };
    for request in [without, change(&ann, &[])] {
        refusal(app.update(request).await).names(&["update_mask"]);
    }
    for path in ["", "*", "names", "Name", "employee.name", "employee_id", "etag", "create_time"] {
        let refused = refusal(app.update(change(&other(&ann), &["name", path])).await);
        refused.names(&["update_mask"]);
        assert!(refused.message.contains(&format!("{path:?} is none of name, ")), "{refused:?}");
    }
    assert_eq!(app.get(&ann.employee_id).await.unwrap(), ann);
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let app = App::start().await;
    let bad = Employee {
        employee_id: "ann".to_owned(),
        role: " ".to_owned(),
        payroll_meta: Some(object(&[("a", text("\0"))])),
        ..Default::default()
    };
    let request = UpdateEmployeeRequest {
        request_id: "x".to_owned(),
        employee: Some(bad),
        update_mask: Some(mask(&[&ALL[..], &["age"]].concat())),
    };
    refusal(app.update(request).await).names(&[
        "request_id",
        "employee.employee_id",
        "update_mask",
        "employee.name",
        "employee.email",
        "employee.role",
        "employee.salary_pence",
        "employee.payroll_meta",
    ]);
    let empty = UpdateEmployeeRequest::default();
    refusal(app.update(empty).await).names(&["employee.employee_id", "update_mask"]);
    // What is not named may be anything.
    let ann = app.create(ann()).await.unwrap();
    let request = Employee {
        employee_id: ann.employee_id.clone(),
        role: "cook".to_owned(),
        ..Default::default()
    };
    let changed = app.update(change(&request, &["role"])).await.unwrap();
    assert_eq!(changed, Employee { role: "cook".to_owned(), etag: "2".to_owned(), ..ann });
}
