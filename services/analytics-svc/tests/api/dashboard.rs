//! What the dashboard answers to whom.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Keys, eventually};

use crate::{
    app::{App, WAIT_MAX},
    browser::{follow, get, post},
    neighbours::{self, HOSTILE},
    olap::{ageing, sales, stock},
};

/// Of the page with all that belongs to it, as it is sent to a browser.
const PAGE_MAX_BYTES: usize = 300 << 10;
const PANELS: [&str; 5] = ["sales", "receivables", "stock", "orders", "fleet"];

async fn json_of(app: &App, path: &str) -> Value {
    let answer = get(&app.dashboard, path, &[]).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

/// Everything that a page names with `src` or `href`.
fn named(page: &str) -> Vec<&str> {
    let after =
        |name: &'static str| page.split(name).skip(1).filter_map(|rest| rest.split('"').next());
    after("src=\"").chain(after("href=\"")).filter(|path| path.starts_with("/assets/")).collect()
}

#[tokio::test]
async fn the_page_is_small_and_all_of_it_comes_from_here() {
    let app = App::start().await;
    let mut sent = 0;
    for path in ["/", "/login"] {
        let page = get(&app.dashboard, path, &[]).await;
        // Nobody is asked for a token where the doors are open.
        assert_eq!(page.status, if path == "/" { 200 } else { 303 });
    }
    let page = get(&app.dashboard, "/", &["accept-encoding: gzip, br"]).await;
    sent += page.body.len();
    let page = String::from_utf8(page.unzipped()).unwrap();
    assert!(
        page.contains(r#"data-currency="GBP" data-time-zone="Europe/London" data-open="true""#),
        "{page}"
    );
    assert!(
        !page.contains("://") && !page.contains("style=") && !page.contains("onclick="),
        "{page}"
    );
    let assets = named(&page);
    assert_eq!(assets.len(), 6, "the icon twice: {assets:?}");
    for path in assets {
        let zipped = get(&app.dashboard, path, &["accept-encoding: gzip"]).await;
        let plain = get(&app.dashboard, path, &[]).await;
        assert_eq!(zipped.unzipped(), plain.body, "{path}");
        assert_eq!(plain.header("cache-control"), "public, max-age=31536000, immutable", "{path}");
        sent += zipped.body.len();
        let seen = format!("if-none-match: {}", plain.header("etag"));
        assert_eq!(get(&app.dashboard, path, &[&seen]).await.status, 304);
        let unnamed = path.split('?').next().unwrap();
        for other in [unnamed.to_owned(), format!("{unnamed}?v=older")] {
            let same = get(&app.dashboard, &other, &[]).await;
            assert_eq!((same.header("cache-control"), &same.body), ("no-cache", &plain.body));
        }
    }
    assert!(sent < PAGE_MAX_BYTES, "{sent} bytes");
    assert!(sent < 50_000, "{sent} bytes: it was 33,000");
}

#[tokio::test]
async fn every_answer_tells_the_browser_to_trust_nothing_but_the_page_itself() {
    let app = App::start().await;
    let paths = [
        "/",
        "/login",
        "/assets/app.js",
        "/api/sales",
        "/api/fleet",
        "/nowhere",
        "/assets/../Cargo.toml",
    ];
    for path in paths {
        let answer = get(&app.dashboard, path, &[]).await;
        let policy = answer.header("content-security-policy");
        for rule in [
            "default-src 'none';",
            "script-src 'self';",
            "style-src 'self';",
            "connect-src 'self';",
            "frame-ancestors 'none';",
            "base-uri 'none';",
            "form-action 'self';",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), value, "{path}");
        }
        if !path.contains("assets") && path != "/" {
            assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        }
    }
    assert_eq!(get(&app.dashboard, "/nowhere", &[]).await.status, 404);
    assert_eq!(get(&app.dashboard, "/api/nothing", &[]).await.status, 404);
}

#[tokio::test]
async fn where_the_doors_are_open_only_this_machine_may_ask() {
    let app = App::start().await;
    for path in ["/", "/api/sales", "/api/live", "/assets/app.js"] {
        let answer = get(&app.dashboard, path, &["host: evil.example"]).await;
        assert_eq!(answer.status, 421, "{path}");
        assert!(answer.header("content-security-policy").contains("default-src 'none'"));
    }
    assert_eq!(get(&app.dashboard, "/", &["host: localhost:8080"]).await.status, 200);
}

#[tokio::test]
async fn the_cookie_of_another_bramble_locks_nobody_out_of_an_open_one() {
    let keys = Keys::new(1);
    let key = format!("--auth-public-key={}", keys.public().display());
    let app = App::start_with(&[&key, "--open"]).await;
    let foreign = Keys::new(2).token(&["analytics.read"], 600);
    let cookie = format!("cookie: bramble-token={foreign}");
    assert_eq!(get(&app.dashboard, "/", &[&cookie]).await.status, 200);
    assert_eq!(get(&app.dashboard, "/api/fleet", &[&cookie]).await.status, 200);
    // A program that shows a token means it.
    let bearer = format!("authorization: Bearer {foreign}");
    assert_eq!(get(&app.dashboard, "/api/fleet", &[&bearer]).await.status, 401);
}

#[tokio::test]
async fn sales_are_those_of_the_day_its_week_and_its_month() {
    let app = App::start().await;
    let rows = [
        ("2026-10-24T09:00:00Z", "1000.00", 10),
        ("2026-11-17T09:00:00Z", "200.00", 2),
        ("2026-11-23T10:00:00Z", "30.00", 3),
        ("2026-11-24T09:00:00Z", "4.05", 1),
        ("2026-11-24T23:00:00Z", "0.45", 1),
        ("2026-11-25T00:00:00Z", "7777.00", 7),
    ];
    app.olap.publish_table(6, "sales_by_hour", &sales(&rows));
    let data = json_of(&app, "/api/sales?day=2026-11-24").await;
    let periods: Vec<String> =
        data["periods"].as_array().unwrap().iter().map(Value::to_string).collect();
    let expected = [
        json!({"name": "day", "from": "2026-11-24", "to": "2026-11-24", "amount": "4.50", "orders": 2,
            "before_from": "2026-11-23", "before_to": "2026-11-23", "before_amount": "30.00", "before_orders": 3}),
        json!({"name": "week", "from": "2026-11-23", "to": "2026-11-24", "amount": "34.50", "orders": 5,
            "before_from": "2026-11-16", "before_to": "2026-11-17", "before_amount": "200.00", "before_orders": 2}),
        json!({"name": "month", "from": "2026-11-01", "to": "2026-11-24", "amount": "234.50", "orders": 7,
            "before_from": "2026-10-01", "before_to": "2026-10-24", "before_amount": "1000.00", "before_orders": 10}),
    ];
    assert_eq!(periods, expected.map(|period| period.to_string()));
    assert_eq!(
        (data["day"].as_str(), data["is_today"].as_bool()),
        (Some("2026-11-24"), Some(false))
    );
    assert_eq!(data["newest_day"], Value::Null);
    let hours = data["hours"].as_array().unwrap();
    assert_eq!(hours.len(), 24);
    assert_eq!(hours[9], json!({"at": "2026-11-24T09:00:00Z", "amount": "4.05", "orders": 1}));
    assert_eq!(hours[10], json!({"at": "2026-11-24T10:00:00Z", "amount": "0.00", "orders": 0}));
    let days = data["days"].as_array().unwrap();
    assert_eq!((days.len(), &days[0]["at"]), (31, &json!("2026-10-25")));
    assert_eq!(days[30], json!({"at": "2026-11-24", "amount": "4.50", "orders": 2}));
    let mark = &data["watermark"];
    assert_eq!(mark["positions"], json!({"orders": 6}));
    assert_eq!(mark["event_time"], "2026-11-24T09:30:00.123456Z");
    assert_eq!(mark["version"], 1);
    assert!(mark["written_at"].is_string());

    // On a day without a sale the newest one is named.
    let quiet = json_of(&app, "/api/sales?day=2027-03-01").await;
    assert_eq!(
        (&quiet["newest_day"], &quiet["periods"][0]["orders"]),
        (&json!("2026-11-25"), &json!(0))
    );
    for bad in ["24.11.2026", "2026-02-30", "x", "1899-12-31", "3000-01-01", "9999-12-31"] {
        let refused = get(&app.dashboard, &format!("/api/sales?day={bad}"), &[]).await;
        assert_eq!(
            (refused.status, &refused.json()["error"]["reason"]),
            (400, &json!("DAY_INVALID"))
        );
    }
    for far in ["1900-01-01", "2999-12-31"] {
        let answer = get(&app.dashboard, &format!("/api/sales?day={far}"), &[]).await;
        assert_eq!(answer.status, 200, "{far}");
    }
}

#[tokio::test]
async fn what_customers_owe_is_that_of_the_day() {
    let app = App::start().await;
    let buckets = ["100.00", "20.02", "3.30", "0.04", "0.00", "123.36"];
    app.olap.publish_table(9, "ar_ageing", &ageing(&[("2026-11-24T12:00:00Z", buckets)]));
    let data = json_of(&app, "/api/receivables?day=2026-11-24").await;
    assert_eq!((&data["as_of"], &data["total"]), (&json!("2026-11-24"), &json!("123.36")));
    assert_eq!(
        data["buckets"],
        json!([
            {"from_day": null, "to_day": null, "amount": "100.00"},
            {"from_day": 1, "to_day": 30, "amount": "20.02"},
            {"from_day": 31, "to_day": 60, "amount": "3.30"},
            {"from_day": 61, "to_day": 90, "amount": "0.04"},
            {"from_day": 91, "to_day": null, "amount": "0.00"},
        ])
    );
    assert_eq!(data["watermark"]["positions"], json!({"orders": 9}));
    // Today's is the newest that there is.
    assert_eq!(json_of(&app, "/api/receivables").await["total"], "123.36");
    assert_eq!(json_of(&app, "/api/receivables?day=2026-11-23").await, json!({"as_of": null}));
}

/// What is told of the fleet once each service is as it should be: a neighbour has two seconds, in which it must be connected to at first.
async fn fleet_once(app: &App, is_so: impl Fn(&Value) -> bool) -> Value {
    let mut fleet = Value::Null;
    eventually("word of the fleet", WAIT_MAX, async || {
        fleet = json_of(app, "/api/fleet").await;
        fleet["services"].as_array().unwrap().iter().all(&is_so)
    })
    .await;
    fleet
}

#[tokio::test]
async fn neighbours_tell_what_is_low_what_was_ordered_and_how_they_are() {
    let url = neighbours::start(true).await;
    let urls = ["orders", "inventory", "billing", "hr", "ledger", "olap"]
        .map(|name| format!("--{name}-url={url}"));
    let app = App::start_with(&urls.each_ref().map(String::as_str)).await;
    let levels = app.olap.file("stock_snapshot", &stock("2026-11-24T09:30:00Z", &[("TEA", 1, 0)]));
    // What is in it is of no interest here, how much is.
    let set_aside = stock("2026-11-24T09:30:00Z", &[("one", 1, 0), ("two", 1, 0)]);
    let set_aside = app.olap.file("set_aside_events", &set_aside);
    app.olap.publish(97, vec![levels, set_aside]);
    let fleet =
        fleet_once(&app, |service| service["state"] == "serving" && service["error"].is_null())
            .await;

    let low = json_of(&app, "/api/stock").await;
    let items = low["items"].as_array().unwrap();
    assert_eq!((items.len(), &low["count"], &low["is_all"]), (10, &json!(12), &json!(true)));
    let worst = json!({"sku": "SKU-07", "name": HOSTILE, "on_hand": 7, "reserved": 1, "available": 6, "reorder_point": 100});
    assert_eq!(items[0], worst);
    assert_eq!(items[1]["sku"], "SKU-01");

    let data = json_of(&app, "/api/orders").await;
    let second = json!({"order_id": "second", "placed_at": "2026-11-24T10:00:00+00:00", "status": "shipped", "paid": true, "total": "12.50"});
    assert_eq!((data["orders"].as_array().unwrap().len(), &data["orders"][0]), (2, &second));
    assert!(
        !data.to_string().contains("customer"),
        "whoever may see figures may not see customers: {data}"
    );
    let before = json_of(&app, "/api/orders?day=2026-11-23").await;
    assert_eq!(
        (before["orders"].as_array().unwrap().len(), &before["orders"][0]["order_id"]),
        (1, &json!("first"))
    );
    let far = json_of(&app, "/api/orders?day=2999-12-31").await;
    assert_eq!(far["orders"], data["orders"], "nothing is behind it");

    let services = fleet["services"].as_array().unwrap();
    let names: Vec<_> = services.iter().map(|service| service["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "orders-svc",
            "inventory-svc",
            "billing-svc",
            "hr-svc",
            "ledger-svc",
            "olap-consumer",
            "analytics-svc"
        ]
    );
    assert_eq!(
        services[0]["relay"],
        json!({"waiting": 2, "since": "2026-11-24T09:59:00+00:00", "error": "NATS: away"})
    );
    assert_eq!(
        services[0]["consumers"],
        json!([{"source": "billing", "behind": 7, "dead_letters": 4, "error": ""}])
    );
    assert_eq!(services[5]["set_aside"], 2);
    // Of 100 events of orders 97 are counted.
    assert_eq!(
        services[5]["consumers"],
        json!([{"source": "orders", "behind": 3, "dead_letters": 0, "error": ""}])
    );
}

#[tokio::test]
async fn a_neighbour_that_is_away_or_unwell_is_said_to_be_and_nothing_else_suffers() {
    // Nobody listens at port 1; the others are not ready.
    let url = neighbours::start(false).await;
    let billing = format!("--billing-url={url}");
    let away = ["orders", "inventory", "hr", "ledger", "olap"]
        .map(|name| format!("--{name}-url=http://127.0.0.1:1"));
    let arguments: Vec<&str> = away.iter().map(String::as_str).chain([billing.as_str()]).collect();
    let app = App::start_with(&arguments).await;
    app.olap.publish_table(6, "sales_by_hour", &sales(&[("2026-11-24T09:00:00Z", "4.05", 1)]));
    for (panel, service) in [("stock", "inventory-svc"), ("orders", "orders-svc")] {
        let refused = get(&app.dashboard, &format!("/api/{panel}"), &[]).await;
        let error =
            json!({"reason": "NEIGHBOUR_AWAY", "message": format!("{service} does not answer")});
        assert_eq!((refused.status, &refused.json()["error"]), (503, &error));
    }
    let fleet = fleet_once(&app, |service| {
        service["name"] != "billing-svc" || service["state"] == "not_ready"
    })
    .await;
    let states: Vec<_> =
        fleet["services"].as_array().unwrap().iter().map(|service| &service["state"]).collect();
    assert_eq!(states, ["away", "away", "not_ready", "away", "away", "away", "serving"]);
    assert_eq!(json_of(&app, "/api/sales?day=2026-11-24").await["periods"][0]["amount"], "4.05");
}

#[tokio::test]
async fn before_the_first_version_the_page_is_there_and_says_so() {
    let app = App::start().await;
    assert_eq!(get(&app.dashboard, "/", &[]).await.status, 200);
    for panel in ["sales", "receivables"] {
        let refused = get(&app.dashboard, &format!("/api/{panel}"), &[]).await;
        assert_eq!(
            (refused.status, &refused.json()["error"]["reason"]),
            (503, &json!("NOT_MATERIALIZED_YET"))
        );
    }
    let mut live = follow(&app.dashboard, "/api/live?day=2026-11-24", &[]).await;
    assert_eq!(live.next("sales").await["error"]["reason"], "NOT_MATERIALIZED_YET");
    app.olap.publish_table(1, "sales_by_hour", &sales(&[("2026-11-24T09:00:00Z", "4.05", 1)]));
    assert_eq!(live.next("sales").await["periods"][0]["amount"], "4.05");
}

#[tokio::test]
async fn a_page_is_told_of_each_change_and_of_nothing_else_until_the_process_ends() {
    let app = App::start().await;
    app.olap.publish_table(1, "sales_by_hour", &sales(&[("2026-11-24T09:00:00Z", "4.05", 1)]));
    let mut live = follow(&app.dashboard, "/api/live?day=2026-11-24", &[]).await;
    assert_eq!(live.status().await, 200);
    assert_eq!(live.next("sales").await["periods"][0]["amount"], "4.05");
    live.next("beat").await;
    let rows = [("2026-11-24T09:00:00Z", "4.05", 1), ("2026-11-24T10:00:00Z", "1.00", 1)];
    app.olap.publish_table(2, "sales_by_hour", &sales(&rows));
    let told = live.next("sales").await;
    assert_eq!(
        (&told["periods"][0]["amount"], &told["watermark"]["positions"]),
        (&json!("5.05"), &json!({"orders": 2}))
    );
    // A beat later nothing was told again.
    let mut quiet = follow(&app.dashboard, "/api/live?day=2026-11-24", &[]).await;
    for panel in PANELS {
        quiet.next(panel).await;
        quiet = follow(&app.dashboard, "/api/live?day=2026-11-24", &[]).await;
    }
    app.shutdown.cancel();
    live.ends().await;
    quiet.ends().await;
}

/// Doors that are closed, and whose keys fit.
async fn closed(keys: &Keys) -> App {
    let key = format!("--auth-public-key={}", keys.public().display());
    let app = App::start_with(&[&key]).await;
    app.olap.publish_table(1, "sales_by_hour", &sales(&[("2026-11-24T09:00:00Z", "4.05", 1)]));
    app
}

#[tokio::test]
async fn behind_closed_doors_nothing_is_shown_without_a_token_that_may_read_figures() {
    let keys = Keys::new(1);
    let app = closed(&keys).await;
    let index = get(&app.dashboard, "/", &[]).await;
    assert_eq!((index.status, index.header("location")), (303, "/login"));
    let strangers = [
        String::new(),
        "cookie: bramble-token=nonsense".to_owned(),
        format!("cookie: bramble-token={}", Keys::new(2).token(&["*"], 600)),
        format!("cookie: bramble-token={}", keys.token(&["analytics.read"], -600)),
        format!("authorization: Bearer {}", Keys::new(2).token(&["analytics.read"], 600)),
    ];
    let weak = format!("cookie: bramble-token={}", keys.token(&["orders.read"], 600));
    let strong = keys.token(&["analytics.read"], 600);
    let known =
        [format!("cookie: a=b; bramble-token={strong}"), format!("authorization: Bearer {strong}")];
    for path in
        PANELS.map(|panel| format!("/api/{panel}")).into_iter().chain(["/api/live".to_owned()])
    {
        for stranger in &strangers {
            let refused = get(&app.dashboard, &path, &[stranger]).await;
            assert_eq!(
                (refused.status, &refused.json()["error"]["reason"]),
                (401, &json!("UNAUTHENTICATED")),
                "{path}"
            );
        }
        let refused = get(&app.dashboard, &path, &[&weak]).await;
        assert_eq!(
            (refused.status, &refused.json()["error"]["reason"]),
            (403, &json!("PERMISSION_DENIED")),
            "{path}"
        );
    }
    for line in &known {
        let shown = get(&app.dashboard, "/api/sales?day=2026-11-24", &[line]).await;
        assert_eq!(shown.json()["periods"][0]["amount"], "4.05");
        assert_eq!(get(&app.dashboard, "/", &[line]).await.status, 200);
    }
    // A name that is not of this machine is fine where a token is needed.
    let elsewhere = get(&app.dashboard, "/api/sales", &["host: bramble.example", &known[0]]).await;
    assert_eq!(elsewhere.status, 200);
}

#[tokio::test]
async fn a_token_is_kept_where_no_script_and_no_other_site_gets_at_it() {
    let keys = Keys::new(1);
    let app = closed(&keys).await;
    let page = get(&app.dashboard, "/login", &[]).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains(r#"<form method="post" action="/login">"#));
    let login = async |token: &str, lines: &[&str]| {
        post(&app.dashboard, "/login", lines, &format!("token={token}")).await
    };
    for (token, status, why) in [
        ("nonsense".to_owned(), 401, "no token of ours"),
        (String::new(), 401, "no token of ours"),
        ("%3Cscript%3Ealert(1)%3C/script%3E".to_owned(), 401, "no token of ours"),
        (keys.token(&["orders.read"], 600), 403, "lacks analytics.read"),
    ] {
        let refused = login(&token, &[]).await;
        assert_eq!(refused.status, status, "{token}");
        let text = refused.text();
        assert!(text.contains(why) && !text.contains("<script"), "{text}");
        assert_eq!(refused.header("set-cookie"), "");
    }
    let token = keys.token(&["analytics.read"], 600);
    // As it is pasted.
    let kept = login(&format!("+{token}%0A"), &["sec-fetch-site: same-origin"]).await;
    assert_eq!((kept.status, kept.header("location")), (303, "/"));
    let cookie = kept.header("set-cookie");
    let (pair, rest) = cookie.split_once("; ").unwrap();
    assert_eq!(pair, format!("bramble-token={token}"));
    assert!(
        rest.contains("HttpOnly") && rest.contains("SameSite=Strict") && rest.contains("Path=/"),
        "{cookie}"
    );
    let age =
        rest.split("Max-Age=").nth(1).unwrap().split(';').next().unwrap().parse::<i64>().unwrap();
    assert!((590..=600).contains(&age) && !rest.contains("Secure"), "{cookie}");
    let forwarded = login(&token, &["x-forwarded-proto: https"]).await;
    assert!(forwarded.header("set-cookie").ends_with("; Secure"));
    let shown = get(&app.dashboard, "/", &[&format!("cookie: {pair}")]).await;
    assert_eq!(shown.status, 200);
    assert!(shown.text().contains(r#"data-open="false""#));

    for path in ["/login", "/logout"] {
        let lines = ["sec-fetch-site: cross-site"];
        let other = post(&app.dashboard, path, &lines, &format!("token={token}")).await;
        assert_eq!((other.status, other.header("set-cookie")), (403, ""), "{path}");
    }
    let left = post(&app.dashboard, "/logout", &[], "").await;
    assert!(left.header("set-cookie").starts_with("bramble-token=; Path=/; Max-Age=0"));
    let large = login(&"x".repeat(20 << 10), &[]).await;
    assert_eq!(large.status, 413);
}

#[tokio::test]
async fn a_page_is_kept_up_to_date_no_longer_than_its_token_is_good_for() {
    let keys = Keys::new(1);
    let app = closed(&keys).await;
    let began = std::time::Instant::now();
    // A token's end is a whole second, so that this one is good for more than nine.
    let line = format!("cookie: bramble-token={}", keys.token(&["analytics.read"], 10));
    let mut live = follow(&app.dashboard, "/api/live", &[&line]).await;
    live.next("sales").await;
    live.ends().await;
    let took = began.elapsed();
    assert!(took > Duration::from_millis(8900) && took < Duration::from_secs(25), "{took:?}");
}

#[tokio::test]
async fn there_is_an_end_to_how_many_pages_are_open_and_those_that_close_make_room() {
    let app = App::start().await;
    let mut open = Vec::new();
    for _ in 0..64 {
        let mut page = follow(&app.dashboard, "/api/live", &[]).await;
        assert_eq!(page.status().await, 200);
        open.push(page);
    }
    let refused = get(&app.dashboard, "/api/live", &[]).await;
    assert_eq!(
        (refused.status, &refused.json()["error"]["reason"]),
        (503, &json!("TOO_MANY_PAGES"))
    );
    open.pop();
    eventually("there is room again", WAIT_MAX, async || {
        follow(&app.dashboard, "/api/live", &[]).await.status().await == 200
    })
    .await;
}
