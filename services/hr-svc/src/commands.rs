//! What the service can be told to do: one file per verb, one transaction per command.

mod create_employee;
mod update_employee;

pub(crate) use create_employee::{CreateEmployee, create_employee};
pub(crate) use update_employee::{UpdateEmployee, update_employee};
