//! What the other services know themselves: what is to be reordered, the newest orders, how far each log is.
//!
//! Each is asked with a short deadline: a page is looked at now. They are asked with this service's own token, so of what they answer only
//! what whoever may see figures may see is handed on: no customer.

use std::{collections::BTreeMap, time::Duration};

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use futures::future::join_all;
use prost_types::Timestamp;
use proto::{
    inventory::v1::{ListItemsRequest, inventory_service_client::InventoryServiceClient},
    log::v1::{GetLogStatusRequest, GetLogStatusResponse, event_log_client::EventLogClient},
    orders::v1::{ListOrdersRequest, OrderStatus, orders_service_client::OrdersServiceClient},
};
use serde_json::{Value, json};
use tonic::{Code, Request, Status};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::panels::Refused;
use crate::{Config, store::Version};

const ANSWER_MAX: Duration = Duration::from_secs(2);
/// Of the SKUs that are low: so many are looked at, and the worst of them shown.
const LOW_LOOKED_AT: i32 = 1000;
const LOW_SHOWN: usize = 10;
const ORDERS_SHOWN: i32 = 8;
/// The table of events that olap-consumer could not count, of whichever source.
const SET_ASIDE: &str = "set_aside_events";

pub(super) struct Neighbours {
    orders: OrdersServiceClient<rpc::Client>,
    inventory: InventoryServiceClient<rpc::Client>,
    /// Those with a log, by its name.
    logs: Vec<(&'static str, rpc::Client)>,
    olap: rpc::Client,
}

impl Neighbours {
    pub(super) fn new(config: &Config) -> anyhow::Result<Self> {
        let client = |url: &str| config.client.client(url);
        let (orders, inventory) = (client(&config.orders_url)?, client(&config.inventory_url)?);
        Ok(Self {
            orders: OrdersServiceClient::new(orders.clone()),
            inventory: InventoryServiceClient::new(inventory.clone()),
            logs: vec![
                ("orders", orders),
                ("inventory", inventory),
                ("billing", client(&config.billing_url)?),
                ("hr", client(&config.hr_url)?),
                ("ledger", client(&config.ledger_url)?),
            ],
            olap: client(&config.olap_url)?,
        })
    }

    /// The SKUs at or below their reorder point, furthest below first.
    pub(super) async fn low_on_stock(&self) -> Result<Value, Refused> {
        let request =
            ListItemsRequest { low: true, page_size: LOW_LOOKED_AT, ..Default::default() };
        let answer = self.inventory.clone().list_items(soon(request)).await;
        let answer = answer.map_err(|status| refused("inventory-svc", &status))?.into_inner();
        let mut items = answer.items;
        items.sort_by_key(|item| {
            (i64::from(item.available) - i64::from(item.reorder_point), item.available)
        });
        let count = items.len();
        let shown = items.into_iter().take(LOW_SHOWN).map(|item| {
            json!({
                "sku": item.sku, "name": item.name, "on_hand": item.on_hand, "reserved": item.reserved,
                "available": item.available, "reorder_point": item.reorder_point,
            })
        });
        Ok(json!({
            "items": shown.collect::<Vec<_>>(), "count": count, "is_all": answer.next_page_token.is_empty(),
        }))
    }

    /// Those placed last before some time.
    pub(super) async fn newest_orders(
        &self,
        before: Option<DateTime<Utc>>,
    ) -> Result<Value, Refused> {
        let request = ListOrdersRequest {
            page_size: ORDERS_SHOWN,
            place_time_before: before.map(rpc::to_time),
            ..Default::default()
        };
        let answer = self.orders.clone().list_orders(soon(request)).await;
        let answer = answer.map_err(|status| refused("orders-svc", &status))?.into_inner();
        let orders = answer.orders.iter().map(|order| {
            json!({
                "order_id": order.order_id,
                "placed_at": order.place_time.as_ref().map(text),
                "status": status_word(order.status()),
                "paid": order.paid,
                "total": order.total.as_ref().map(|total| &total.amount),
            })
        });
        Ok(json!({ "orders": orders.collect::<Vec<_>>() }))
    }

    /// Each service: whether it serves, what waits in its log, how far it is behind those that it follows, and what it put aside.
    pub(super) async fn fleet(&self, live: Option<&Version>) -> Value {
        let asked = self.logs.iter().map(async |(source, client)| {
            let log = EventLogClient::new(client.clone());
            let (state, log) = tokio::join!(state(client), log_status(log));
            (*source, state, log)
        });
        let (asked, olap) = tokio::join!(join_all(asked), state(&self.olap));
        let ends: BTreeMap<&str, i64> = asked
            .iter()
            .filter_map(|(source, _, log)| Some((*source, log.as_ref().ok()?.last_sequence)))
            .collect();
        let mut services: Vec<Value> = asked
            .iter()
            .map(|(source, state, log)| show_service(source, state, log, &ends))
            .collect();
        let counted = live.into_iter().flat_map(|live| &live.manifest.positions);
        let counted = counted.map(|(source, counted)| {
            json!({
                "source": source, "behind": behind(ends.get(source.as_str()), counted.log_id),
                "dead_letters": 0, "error": "",
            })
        });
        let set_aside = live.into_iter().flat_map(|live| live.manifest.files_of(SET_ASIDE));
        let set_aside: u64 = set_aside.map(|file| file.row_count).sum();
        services.push(json!({
            "name": "olap-consumer", "state": olap, "set_aside": set_aside, "consumers": counted.collect::<Vec<_>>(),
        }));
        let own = if live.is_some() { "serving" } else { "not_ready" };
        services.push(json!({ "name": "analytics-svc", "state": own, "consumers": [] }));
        json!({ "services": services })
    }
}

fn show_service(
    source: &str,
    state: &str,
    log: &Result<GetLogStatusResponse, Status>,
    ends: &BTreeMap<&str, i64>,
) -> Value {
    let (relay, consumers) = match log {
        Ok(log) => (log.relay.clone(), log.consumers.as_slice()),
        Err(_) => (None, [].as_slice()),
    };
    let relay = relay.map(|relay| {
        json!({
            "waiting": relay.waiting_count,
            "since": relay.waiting_since_time.as_ref().map(text),
            "error": relay.error,
        })
    });
    let consumers = consumers.iter().map(|consumer| {
        json!({
            "source": consumer.source,
            "behind": behind(ends.get(consumer.source.as_str()), consumer.sequence),
            "dead_letters": consumer.dead_letter_count,
            "error": consumer.error,
        })
    });
    json!({
        "name": format!("{source}-svc"),
        "state": state,
        "relay": relay,
        "consumers": consumers.collect::<Vec<_>>(),
        // One that serves and does not tell how its log is has a reason.
        "error": log.as_ref().err().filter(|_| state != "away").map(Status::message),
    })
}

/// Up to how many events one that has applied so much has not applied; ids have gaps. None while the end is not known.
fn behind(end: Option<&i64>, applied: i64) -> Option<i64> {
    end.map(|end| end.saturating_sub(applied).max(0))
}

async fn state(client: &rpc::Client) -> &'static str {
    let answer = HealthClient::new(client.clone()).check(soon(HealthCheckRequest::default())).await;
    match answer.map(|answer| answer.into_inner().status()) {
        Ok(ServingStatus::Serving) => "serving",
        Ok(ServingStatus::NotServing | ServingStatus::Unknown | ServingStatus::ServiceUnknown) => {
            "not_ready"
        }
        Err(_) => "away",
    }
}

async fn log_status(mut log: EventLogClient<rpc::Client>) -> Result<GetLogStatusResponse, Status> {
    Ok(log.get_log_status(soon(GetLogStatusRequest {})).await?.into_inner())
}

fn soon<T>(request: T) -> Request<T> {
    let mut request = Request::new(request);
    request.set_timeout(ANSWER_MAX);
    request
}

/// What a neighbour did not answer is nothing that whoever looks has done wrong.
fn refused(service: &str, status: &Status) -> Refused {
    let (reason, why) = match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => {
            ("NEIGHBOUR_AWAY", format!("{service} does not answer"))
        }
        _ => ("NEIGHBOUR_REFUSES", format!("{service}: {}", status.message())),
    };
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, reason, &why)
}

fn status_word(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Unspecified => "",
        OrderStatus::Draft => "draft",
        OrderStatus::Placed => "placed",
        OrderStatus::Cancelled => "cancelled",
        OrderStatus::Shipped => "shipped",
        OrderStatus::Completed => "completed",
    }
}

fn text(time: &Timestamp) -> Option<String> {
    let nanos = u32::try_from(time.nanos).ok()?;
    Some(DateTime::from_timestamp(time.seconds, nanos)?.to_rfc3339())
}
