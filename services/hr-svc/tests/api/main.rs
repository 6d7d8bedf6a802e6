//! The service over gRPC: a real server on port 0, a real Postgres, a real NATS.
#![expect(clippy::unwrap_used, reason = "a test fails by it, helpers of tests too")]

mod app;
mod payroll;

mod create_employee;
mod create_employee_once;
mod get_employee;
mod list_employees;
mod update_employee;
mod update_employee_once;
mod salaries;
mod set_salary;
mod employments;
mod create_payroll_run;
mod payroll_gross;
mod payroll_moves;
mod supplementary;
mod payroll_year;
mod payroll_lists;
mod payroll_doors;
mod payroll_events;
mod ledger;
mod pay;
mod events;
