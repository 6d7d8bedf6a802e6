//! The service over gRPC: a real server on port 0, a real Postgres, a real NATS; orders-svc is played by the tests.
#![expect(clippy::unwrap_used, reason = "a test fails by it, helpers of tests too")]

mod app;
mod books;

mod issue_invoices;
mod gapless_numbers;
mod take_back_invoices;
mod take_back_parts;
mod get_invoice;
mod list_invoices;
mod record_payment;
mod record_payment_once;
mod record_payment_of_order;
mod record_payment_races;
mod get_payment;
mod list_payments;
mod sweeper;
mod allocate_credit;
mod reverse_payment;
mod refund_credit;
mod issue_credit_note;
mod close_invoice;
mod payment_terms;
mod get_customer_balance;
mod get_statement;
mod get_ageing;
mod payments_and_credits;
mod indexes;
mod upgrade;
