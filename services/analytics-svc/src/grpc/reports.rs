//! How questions that add up are read, and their answers shown.

use proto::analytics::v1 as pb;
use rpc::Fields;

use super::{FIRST_DAY, LAST_DAY};
use crate::domain::{
    AccountTotals, CustomerAgeing, DaySpan, LowStock, Period, PeriodOfSales, Rank, SkuSales,
};

/// The first day and the last, as far back and ahead as days are known where one is not said.
pub(super) fn read_days(fields: &mut Fields, (start, end): (&str, &str)) -> DaySpan {
    let start = fields.optional_date("start_date", start);
    let end = fields.optional_date("end_date", end);
    if start.zip(end).is_some_and(|(start, end)| end < start) {
        fields.bad("end_date", "must not be before start_date");
    }
    (start.unwrap_or(FIRST_DAY), end.unwrap_or(LAST_DAY))
}

pub(super) fn read_period(fields: &mut Fields, period: i32) -> Period {
    match pb::Period::try_from(period) {
        Ok(pb::Period::Day) => Period::Day,
        Ok(pb::Period::Week) => Period::Week,
        Ok(pb::Period::Month) => Period::Month,
        Ok(pb::Period::Unspecified) | Err(_) => {
            fields.bad("period", "must be PERIOD_DAY, PERIOD_WEEK or PERIOD_MONTH");
            Period::Day
        }
    }
}

pub(super) fn read_rank(fields: &mut Fields, rank: i32) -> Rank {
    match pb::Rank::try_from(rank) {
        Ok(pb::Rank::Unspecified | pb::Rank::Amount) => Rank::Amount,
        Ok(pb::Rank::Quantity) => Rank::Quantity,
        Err(_) => {
            fields.bad("rank", "must be RANK_AMOUNT or RANK_QUANTITY");
            Rank::Amount
        }
    }
}

pub(super) fn show_period(period: Period, sales: &PeriodOfSales) -> pb::PeriodOfSales {
    pb::PeriodOfSales {
        start_date: rpc::to_date(sales.start),
        end_date: rpc::to_date(period.last_day(sales.start)),
        total_amount: Some(rpc::to_sum(sales.total_amount)),
        order_count: sales.order_count,
    }
}

pub(super) fn show_sku(sales: SkuSales) -> pb::SkuSales {
    pb::SkuSales {
        sku: sales.sku,
        quantity: sales.quantity,
        shipped_quantity: sales.shipped_quantity,
        returned_quantity: sales.returned_quantity,
        total_amount: Some(rpc::to_sum(sales.total_amount)),
        line_count: sales.line_count,
    }
}

pub(super) fn show_customer(ageing: &CustomerAgeing) -> pb::CustomerAgeing {
    let owed = &ageing.owed;
    pb::CustomerAgeing {
        customer_id: ageing.customer_id.to_string(),
        current: Some(rpc::to_sum(owed.current)),
        bucket_30: Some(rpc::to_sum(owed.bucket_30)),
        bucket_60: Some(rpc::to_sum(owed.bucket_60)),
        bucket_90: Some(rpc::to_sum(owed.bucket_90)),
        bucket_over_90: Some(rpc::to_sum(owed.bucket_over_90)),
        total_ar: Some(rpc::to_sum(owed.total)),
    }
}

pub(super) fn show_low(item: LowStock) -> pb::LowStock {
    pb::LowStock {
        sku: item.sku,
        qty_on_hand: item.qty_on_hand,
        reserved_qty: item.reserved_qty,
        available: item.qty_on_hand.saturating_sub(item.reserved_qty),
        reorder_point: item.reorder_point,
        archived: item.archived,
    }
}

pub(super) fn show_account(totals: AccountTotals) -> pb::AccountTotals {
    pb::AccountTotals {
        account: totals.account,
        debit: Some(rpc::to_sum(totals.debit)),
        credit: Some(rpc::to_sum(totals.credit)),
    }
}
