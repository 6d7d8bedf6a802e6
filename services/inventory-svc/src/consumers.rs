//! Events of other services that move stock.

mod orders;

pub(crate) use orders::OrderFates;
