//! The service's face: each method reads its request, calls one function, and answers.

mod employees;
mod payroll;
mod read;
mod show;

pub(crate) use employees::Hr;
pub(crate) use payroll::Payroll;
