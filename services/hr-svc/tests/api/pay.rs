//! Who sees, and who says, what somebody earns, with real keys and tokens.

use proto::hr::v1::{
    CreateEmployeeRequest, Employee, GetEmployeeRequest, ListEmployeesRequest, SetSalaryRequest,
    UpdateEmployeeRequest, hr_service_client::HrServiceClient,
};
use testkit::{Keys, refusal};
use tonic::{Code, Status};

use crate::app::{App, ann, change};

const WRITES: &str = "employees.write";
const READS: &str = "employees.read";
const SEES_PAY: &str = "pay.read";
const SAYS_PAY: &str = "pay.write";

struct Doors {
    app: App,
    keys: Keys,
}

/// What each method shows of an employee.
struct Seen {
    created: Employee,
    got: Employee,
    listed: Employee,
    updated: Employee,
}

impl Doors {
    async fn start() -> Self {
        let keys = Keys::new(1);
        let file = keys.public();
        let app = App::start_with(&["--auth-public-key", file.to_str().unwrap()]).await;
        Self { app, keys }
    }

    fn caller(&self, permissions: &[&str]) -> HrServiceClient<rpc::Client> {
        self.app.with_token(self.keys.token(permissions, 600))
    }

    async fn look(&self, permissions: &[&str]) -> Seen {
        let mut caller = self.caller(permissions);
        let created = create(&mut caller, ann()).await.unwrap();
        let got = get(&mut caller, &created.employee_id).await.unwrap();
        let listed = list(&mut caller).await.unwrap().pop().unwrap();
        let to = Employee { name: "Anna".to_owned(), ..created.clone() };
        let updated = update(&mut caller, change(&to, &["name"])).await.unwrap();
        Seen { created, got, listed, updated }
    }
}

type Caller = HrServiceClient<rpc::Client>;

async fn create(caller: &mut Caller, request: CreateEmployeeRequest) -> Result<Employee, Status> {
    Ok(caller.create_employee(request).await?.into_inner().employee.unwrap())
}

async fn get(caller: &mut Caller, id: &str) -> Result<Employee, Status> {
    let request = GetEmployeeRequest { employee_id: id.to_owned() };
    Ok(caller.get_employee(request).await?.into_inner().employee.unwrap())
}

async fn list(caller: &mut Caller) -> Result<Vec<Employee>, Status> {
    Ok(caller.list_employees(ListEmployeesRequest::default()).await?.into_inner().employees)
}

async fn update(caller: &mut Caller, request: UpdateEmployeeRequest) -> Result<Employee, Status> {
    Ok(caller.update_employee(request).await?.into_inner().employee.unwrap())
}

#[tokio::test]
async fn pay_is_shown_to_those_who_may_see_it() {
    let doors = Doors::start().await;
    for permissions in [&[WRITES, READS, SEES_PAY, SAYS_PAY][..], &["*"]] {
        let seen = doors.look(permissions).await;
        for one in [seen.created, seen.got, seen.listed, seen.updated] {
            assert_eq!(one.salary_pence, Some(3_000_000), "{permissions:?}");
            assert_eq!(one.payroll_meta, ann().payroll_meta, "{permissions:?}");
        }
    }
}

#[tokio::test]
async fn pay_is_shown_to_nobody_else_by_any_method() {
    let doors = Doors::start().await;
    let seen = doors.look(&[WRITES, READS, SAYS_PAY]).await;
    for one in [&seen.created, &seen.got, &seen.listed, &seen.updated] {
        assert_eq!((one.salary_pence, &one.payroll_meta), (None, &None));
        assert_eq!(one.role, "baker", "the rest is shown");
    }
    // One who does not see it neither loses nor changes it.
    let mut all_seeing = doors.caller(&["*"]);
    let whole = get(&mut all_seeing, &seen.created.employee_id).await.unwrap();
    assert_eq!((whole.salary_pence, whole.payroll_meta), (Some(3_000_000), ann().payroll_meta));
    let sees_only = doors.caller(&[SEES_PAY]).get_employee(GetEmployeeRequest::default()).await;
    refusal(sees_only).is(Code::PermissionDenied, "PERMISSION_MISSING");
}

#[tokio::test]
async fn pay_is_said_by_those_only_who_may() {
    let doors = Doors::start().await;
    let mut writer = doors.caller(&[WRITES, SEES_PAY]);
    let unpaid = || CreateEmployeeRequest { salary_pence: 0, payroll_meta: None, ..ann() };
    let paid = CreateEmployeeRequest { salary_pence: 1, ..unpaid() };
    let withheld = CreateEmployeeRequest { payroll_meta: ann().payroll_meta, ..unpaid() };
    let created = create(&mut writer, unpaid()).await.unwrap();
    let to = Employee {
        name: "Anna".to_owned(),
        salary_pence: Some(1),
        payroll_meta: ann().payroll_meta,
        ..created.clone()
    };
    let set = SetSalaryRequest {
        employee_id: created.employee_id.clone(),
        salary_pence: Some(1),
        ..Default::default()
    };
    let refused = [
        refusal(create(&mut writer, paid.clone()).await),
        refusal(create(&mut writer, withheld.clone()).await),
        refusal(update(&mut writer, change(&to, &["salary_pence"])).await),
        refusal(update(&mut writer, change(&to, &["name", "payroll_meta"])).await),
        refusal(writer.set_salary(set.clone()).await),
    ];
    for refused in refused {
        refused.is(Code::PermissionDenied, "PERMISSION_MISSING");
        assert_eq!(refused.facts, [format!("permission: {SAYS_PAY}")]);
    }
    let all = doors.caller(&["*"]);
    let seen = get(&mut all.clone(), &created.employee_id).await.unwrap();
    assert_eq!(seen, created, "nothing of it was done");
    assert_eq!(doors.app.counts().await, (1, 1, 1));
    // A name is no pay, and pay is set with `pay.write` alone.
    update(&mut writer, change(&to, &["name"])).await.unwrap();
    doors.caller(&[SAYS_PAY]).set_salary(set).await.unwrap();
    let mut both = doors.caller(&[WRITES, SAYS_PAY]);
    create(&mut both, paid).await.unwrap();
    create(&mut both, withheld).await.unwrap();
    update(&mut both, change(&to, &["salary_pence", "payroll_meta"])).await.unwrap();
    let seen = get(&mut all.clone(), &created.employee_id).await.unwrap();
    assert_eq!((seen.salary_pence, seen.payroll_meta), (Some(1), to.payroll_meta));
}

#[tokio::test]
async fn each_method_needs_its_permission() {
    let doors = Doors::start().await;
    let ann = create(&mut doors.caller(&["*"]), ann()).await.unwrap();
    let mut reader = doors.caller(&[READS, SEES_PAY]);
    let mut writer = doors.caller(&[WRITES, SEES_PAY]);
    let refused = [
        (refusal(create(&mut reader, crate::app::ann()).await), WRITES),
        (refusal(update(&mut reader, change(&ann, &["name"])).await), WRITES),
        (refusal(get(&mut writer, &ann.employee_id).await), READS),
        (refusal(list(&mut writer).await), READS),
    ];
    for (refused, permission) in refused {
        refused.is(Code::PermissionDenied, "PERMISSION_MISSING");
        assert_eq!(refused.facts, [format!("permission: {permission}")]);
    }
    let strangers = [
        (doors.app.client.clone(), "TOKEN_MISSING"),
        (doors.app.with_token(Keys::new(2).token(&["*"], 600)), "TOKEN_INVALID"),
        (doors.app.with_token(doors.keys.token(&["*"], -600)), "TOKEN_INVALID"),
    ];
    for (mut stranger, reason) in strangers {
        refusal(get(&mut stranger, &ann.employee_id).await).is(Code::Unauthenticated, reason);
        refusal(list(&mut stranger).await).is(Code::Unauthenticated, reason);
        let asked = create(&mut stranger, crate::app::ann()).await;
        refusal(asked).is(Code::Unauthenticated, reason);
        let asked = update(&mut stranger, change(&ann, &["name"])).await;
        refusal(asked).is(Code::Unauthenticated, reason);
    }
    assert_eq!(doors.app.counts().await, (1, 1, 1));
}
