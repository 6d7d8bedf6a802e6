use futures::future::join_all;
use proto::hr::v1::{Employee, UpdateEmployeeRequest};
use tonic::Code;

use testkit::refusal;

use crate::app::{App, ann, change, change_as_seen, new_id};

/// A rise, for one who has seen the employee as she is.
fn rise(employee: &Employee) -> UpdateEmployeeRequest {
    let raised = Employee { salary_pence: Some(3_500_000), ..employee.clone() };
    UpdateEmployeeRequest { request_id: new_id(), ..change_as_seen(&raised, &["salary_pence"]) }
}

#[tokio::test]
async fn the_same_request_again_changes_nothing_though_its_etag_is_stale() {
    let app = App::start().await;
    let request = rise(&app.create(ann()).await.unwrap());
    let raised = app.update(request.clone()).await.unwrap();
    assert_eq!(app.update(request.clone()).await.unwrap(), raised);
    // Somebody else takes it back; the retry of the first does not bring it again.
    let back = Employee { salary_pence: Some(3_000_000), ..raised };
    let back = app.update(change(&back, &["salary_pence"])).await.unwrap();
    assert_eq!(app.update(request).await.unwrap(), back);
    assert_eq!(app.log.told_of(&back.employee_id).await.len(), 3);
}

#[tokio::test]
async fn a_hundred_equal_requests_at_once_are_one() {
    let app = App::start().await;
    let ann = app.create(ann()).await.unwrap();
    let request = rise(&ann);
    let answers = join_all((0..100).map(|_| app.update(request.clone()))).await;
    let raised = Employee { salary_pence: Some(3_500_000), etag: "2".to_owned(), ..ann };
    for answer in answers {
        assert_eq!(answer.unwrap(), raised);
    }
    assert_eq!(app.counts().await, (1, 1, 2));
}

#[tokio::test]
async fn a_request_id_is_for_one_request() {
    let app = App::start().await;
    let (ann, bob) = (app.create(ann()).await.unwrap(), app.create(ann()).await.unwrap());
    let request = rise(&ann);
    let raised = app.update(request.clone()).await.unwrap();
    let more = Employee { salary_pence: Some(3_500_001), ..raised.clone() };
    let others =
        [change_as_seen(&more, &["salary_pence"]), change_as_seen(&raised, &["name"]), rise(&bob)];
    for other in others {
        let other = UpdateEmployeeRequest { request_id: request.request_id.clone(), ..other };
        let refused = refusal(app.update(other).await);
        refused.is(Code::AlreadyExists, "REQUEST_ID_USED");
        assert_eq!(refused.facts, [format!("request_id: {}", request.request_id)]);
    }
    assert_eq!(app.get(&ann.employee_id).await.unwrap(), raised);
    assert_eq!(app.get(&bob.employee_id).await.unwrap(), bob);
}

#[tokio::test]
async fn a_refused_request_leaves_nothing_behind() {
    let app = App::start().await;
    let ann = app.create(ann()).await.unwrap();
    let mut request = rise(&ann);
    request.employee.as_mut().unwrap().etag = "7".to_owned();
    refusal(app.update(request.clone()).await).is(Code::Aborted, "ETAG_STALE");
    request.employee.as_mut().unwrap().etag = ann.etag;
    assert_eq!(app.update(request).await.unwrap().salary_pence, Some(3_500_000));
}
