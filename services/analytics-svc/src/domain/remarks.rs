//! What a column means, for people who look at it in a database tool. The contract itself is [`manifest::tables`].

/// None for a column that this build does not know.
pub(super) fn of(table: &str, column: &str) -> Option<&'static str> {
    Some(match (table, column) {
        ("sales_by_hour", "hour") => "When the hour began in which the orders were placed; the key",
        ("sales_by_hour", "total_amount") => {
            "With tax, of what was ordered then and not cancelled; a return leaves it"
        }
        ("sales_by_hour", "order_count") => "Orders placed then and not cancelled",

        ("stock_by_day", "qty_on_hand") => "At the end of the day; holds until the SKU's next row",
        ("stock_by_day", "reserved_qty") => {
            "Of these on hand, promised to orders; holds until the next row"
        }
        ("stock_by_day", "business_day") => {
            "Day on which the levels changed; the key, with the SKU"
        }
        (_, "qty_on_hand") => "In stock now, the reserved ones among them",
        (_, "reserved_qty") => "Of these on hand, promised to orders",
        (_, "snapshot_at") => "When these levels were reached",
        (_, "reorder_point") => {
            "Low on stock when on hand less reserved is this or less; 0: never set"
        }
        (_, "archived") => "Whether the product is not sold any more",

        ("ar_ageing", "as_of") => "An instant within the business day, which is the key",
        (_, "current") => "Owed and not yet due",
        (_, "bucket_30") => "Owed since 1 to 30 days past the due date",
        (_, "bucket_60") => "Owed since 31 to 60 days past the due date",
        (_, "bucket_90") => "Owed since 61 to 90 days past the due date",
        (_, "bucket_over_90") => "Owed since 91 days or more past the due date",
        (_, "total_ar") => "All that is owed: the sum of the five",

        (_, "invoice_id") => "Invoice on which something is owed; the key",
        (_, "residual") => "What is still owed on it",
        (_, "due_date") => "Day until which payment was agreed",
        ("receivables_by_day", "amount") => {
            "By how much what is owed with this due date changed; owed on a day is the sum up to it"
        }
        ("receivables_by_day", "business_day") => "Day on which it changed",

        (_, "account") => "Account code; empty for old journals that told no lines",
        (_, "day") => "Effective day of the journals; a balance is the sum of all days up to it",
        (_, "debit") => "Debited on that day",
        (_, "credit") => "Credited on that day",

        (_, "order_id") => "Order that the line belongs to",
        (_, "line_id") => "Line of the order; the key, with the time and the order",
        (_, "placed_at") => "When the order was placed",
        ("order_facts", "quantity") => "Ordered, those cancelled later among them",
        (_, "cancelled_quantity") => "Of these ordered, cancelled",
        (_, "unit_price") => "Net price of one, as the order keeps it",
        (_, "tax_rate") => "Such as 0.2000; null where the order did not tell it",
        ("order_facts", "amount") => {
            "Net: what is not cancelled times the price; a return leaves it"
        }
        (_, "cancelled") => "Whether the whole order was cancelled",

        ("sales_by_sku_day", "business_day") => "Day of placing; rows of one day and SKU add up",
        (_, "month") => "First day of the month of placing; rows of one month and SKU add up",
        (_, "quantity") => "Ordered and not cancelled",
        (_, "amount") => "Net, of what was ordered and not cancelled",
        (_, "line_count") => "Lines of orders of which something is kept",

        (_, "sku") => "Stock keeping unit, the client's own",
        (_, "customer_id") => "Customer who ordered, or who owes it",
        (_, "shipped_quantity") => "Of these ordered, shipped by now",
        (_, "returned_quantity") => "Of these shipped, returned by now",

        ("watermark", "source") => "Service whose log is counted",
        ("watermark", "sequence") => "How far that log is counted in all tables",
        ("watermark", "event_time") => "When the newest event that is counted happened",
        ("watermark", "written_at") => "When these tables were written",
        ("watermark", "version") => "Which version of the tables this query reads",
        _ => return None,
    })
}
