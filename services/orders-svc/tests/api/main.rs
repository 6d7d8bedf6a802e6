//! The service over gRPC: a real server on port 0, a real Postgres, a real NATS, a real inventory-svc; billing-svc is played by the tests.
#![expect(clippy::unwrap_used, reason = "a test fails by it, helpers of tests too")]

mod app;
mod requests;
mod books;
mod proxy;

mod create_customer;
mod batch_create_customers;
mod update_customer;
mod archive_customer;
mod list_customers;
mod create_order;
mod create_order_fields;
mod create_order_once;
mod import;
mod update_order;
mod delete_order;
mod place_order;
mod place_order_faults;
mod place_order_races;
mod hold_order;
mod get_order;
mod list_orders;
mod list_orders_plans;
mod watch_order;
mod position;
mod ship_order;
mod ship_order_races;
mod list_shipments;
mod cancel_order;
mod cancel_rest;
mod return_order;
mod equal_requests;
mod payments;
mod events;
mod killed;
mod postgres_away;
mod model;
