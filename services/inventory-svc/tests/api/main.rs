//! The service over gRPC: a real server on port 0, a real Postgres, a real NATS; orders-svc is played by the tests.
#![expect(clippy::unwrap_used, reason = "a test fails by it, helpers of tests too")]

mod app;
mod orders;

mod create_product;
mod batch_create_products;
mod get_product;
mod list_products;
mod update_product;
mod archive_product;
mod items;
mod update_item;
mod receive_stock;
mod batch_receive_stock;
mod adjust_stock;
mod count_stock;
mod costs;
mod list_movements;
mod verify_stock;
mod reserve_stock;
mod reserve_stock_races;
mod confirm_reservation;
mod extend_reservation;
mod commit_reservation;
mod release_reservation;
mod return_stock;
mod list_reservations;
mod reorder_needed;
mod causes;
mod order_events;
mod placed_orders;
mod once;
mod sweeper;
mod upgrade;
mod model;
