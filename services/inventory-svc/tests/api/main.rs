//! The service over gRPC: a real server on port 0, a real Postgres, a real NATS; orders-svc is played by the tests.
#![expect(clippy::unwrap_used, reason = "a test fails by it, helpers of tests too")]

mod app;
mod orders;

mod create_product;
mod batch_create_products;
mod get_product;
mod list_products;
mod items;
mod receive_stock;
mod batch_receive_stock;
mod reserve_stock;
mod reserve_stock_races;
mod release_reservation;
mod order_events;
mod sweeper;
mod model;
