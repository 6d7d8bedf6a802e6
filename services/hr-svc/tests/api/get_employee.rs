use tonic::Code;

use testkit::refusal;

use crate::app::{App, ann, new_id};

#[tokio::test]
async fn an_employee_is_found_by_id() {
    let app = App::start().await;
    let other = app.create(ann()).await.unwrap();
    let created = app.create(ann()).await.unwrap();
    assert_ne!(created.employee_id, other.employee_id);
    assert_eq!(app.get(&created.employee_id).await.unwrap(), created);
}

#[tokio::test]
async fn an_unknown_employee_is_not_found_and_a_bad_id_is_named() {
    let app = App::start().await;
    let id = new_id();
    let refused = refusal(app.get(&id).await);
    refused.is(Code::NotFound, "EMPLOYEE_NOT_FOUND");
    assert_eq!(refused.facts, [format!("employee_id: {id}")]);
    for bad in ["", "ann", "00000000-0000-0000-0000-00000000000g"] {
        refusal(app.get(bad).await).names(&["employee_id"]);
    }
}
