//! Accounts, journals and months of the books, and what is booked for what happens. Pure: facts in, lines out.

mod account;
mod journal;
mod month;
mod rules;

pub(crate) use account::{Account, AccountType, Balance};
pub(crate) use journal::{
    DESCRIPTION_MAX, DayKey, Days, Document, Entry, Journal, Line, Origin, Posting, RefType, Side,
    sum,
};
pub(crate) use month::{Month, Period, PeriodState, booked_on, day_of};
pub(crate) use rules::{Fact, Paid, Wages, book};
