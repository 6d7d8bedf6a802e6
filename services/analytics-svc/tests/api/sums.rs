//! Sums of money that are larger than any amount can be: shown to the penny, wherever there is one.

use manifest::tables::{
    AR_AGEING, OPEN_INVOICES, SALES_BY_HOUR, SALES_BY_SKU_DAY, SALES_BY_SKU_MONTH, TRIAL_BALANCE,
};
use proto::analytics::v1 as pb;

use crate::{
    app::{App, amount, hours},
    browser::get,
    rows::{Column, days, ids, times},
};

/// The largest that a file can hold, 92,233,720,368,547,758.07.
const LARGEST: i64 = i64::MAX;
const TWICE: &str = "184467440737095516.14";

/// The largest `DECIMAL(20,2)`, in its nine bytes.
fn largest_total() -> Vec<u8> {
    99_999_999_999_999_999_999_i128.to_be_bytes()[7..].to_vec()
}

fn publish(app: &App) {
    let olap = &app.olap;
    let two = |value: i64| Column::Long(vec![value; 2]);
    let hours = times(&["2026-11-24T09:00:00Z", "2026-11-24T10:00:00Z"]);
    let sums = |key: &str| {
        vec![
            days(&[key; 2]),
            Column::Text(vec!["MUG", "MUG"]),
            two(1),
            two(0),
            two(0),
            two(LARGEST),
            Column::Int(vec![1, 1]),
        ]
    };
    let ageing = || Column::Long(vec![LARGEST]);
    let files = vec![
        olap.rows(SALES_BY_HOUR, vec![hours, two(LARGEST), Column::Int(vec![1, 1])]),
        olap.rows(SALES_BY_SKU_DAY, sums("2026-11-24")),
        olap.rows(SALES_BY_SKU_MONTH, sums("2026-11-01")),
        olap.rows(
            AR_AGEING,
            vec![
                ageing(),
                ageing(),
                ageing(),
                ageing(),
                times(&["2026-11-24T09:00:00Z"]),
                ageing(),
                ageing(),
            ],
        ),
        olap.rows(
            OPEN_INVOICES,
            vec![ids(&[1, 2]), ids(&[7, 7]), days(&["2026-11-30"; 2]), two(LARGEST)],
        ),
        olap.rows(
            TRIAL_BALANCE,
            vec![
                Column::Text(vec!["1100", "1200"]),
                days(&["2026-11-24"; 2]),
                Column::Fixed(vec![largest_total(); 2]),
                Column::Fixed(vec![largest_total(); 2]),
            ],
        ),
    ];
    app.olap.publish(1, files);
}

#[tokio::test]
async fn a_sum_is_shown_to_the_penny_however_large_it_is() {
    let app = App::start().await;
    publish(&app);
    let of_hours = hours(&app.all_sales().await.unwrap());
    assert_eq!(of_hours[0], "2026-11-24T09:00:00Z 92233720368547758.07 1");

    let by_day =
        pb::QuerySalesByPeriodRequest { period: pb::Period::Day.into(), ..Default::default() };
    let periods = app.client.clone().query_sales_by_period(by_day).await.unwrap().into_inner();
    assert_eq!(amount(periods.periods[0].total_amount.as_ref()), TWICE);

    let one_day = pb::QuerySalesBySkuRequest {
        start_date: "2026-11-24".to_owned(),
        end_date: "2026-11-24".to_owned(),
        ..Default::default()
    };
    for query in [one_day, pb::QuerySalesBySkuRequest::default()] {
        let by_sku = app.client.clone().query_sales_by_sku(query).await.unwrap().into_inner();
        assert_eq!(amount(by_sku.skus[0].total_amount.as_ref()), TWICE);
    }
    let top = app.client.clone().get_top_products(pb::GetTopProductsRequest::default()).await;
    assert_eq!(amount(top.unwrap().into_inner().skus[0].total_amount.as_ref()), TWICE);

    let ageing = app.ageing(pb::GetArAgeingRequest::default()).await.unwrap();
    assert_eq!(amount(ageing.total_ar.as_ref()), "92233720368547758.07");
    let balance = pb::GetTrialBalanceRequest::default();
    let balance = app.client.clone().get_trial_balance(balance).await.unwrap().into_inner();
    assert_eq!(amount(balance.accounts[0].debit.as_ref()), "999999999999999999.99");
    assert_eq!(amount(balance.total_credit.as_ref()), "1999999999999999999.98");
}

#[tokio::test]
async fn a_customer_may_owe_more_than_an_amount_can_be() {
    let app = App::start().await;
    publish(&app);
    let query = pb::QueryArAgeingByCustomerRequest::default();
    let customers = app.client.clone().query_ar_ageing_by_customer(query).await.unwrap();
    let customers = customers.into_inner().customers;
    assert_eq!(amount(customers[0].current.as_ref()), TWICE);
    assert_eq!(amount(customers[0].total_ar.as_ref()), TWICE);
}

#[tokio::test]
async fn the_dashboard_shows_it_too() {
    let app = App::start().await;
    publish(&app);
    let sales = get(&app.dashboard, "/api/sales?day=2026-11-24", &[]).await.json();
    assert_eq!(sales["periods"][0]["amount"], TWICE);
    assert_eq!(sales["periods"][0]["before_amount"], "0.00");
    let owed = get(&app.dashboard, "/api/receivables?day=2026-11-24", &[]).await.json();
    assert_eq!(owed["total"], "92233720368547758.07");
}
