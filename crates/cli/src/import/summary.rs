use std::{path::PathBuf, time::Duration};

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use money::Money;
use serde_json::{Value, json};

use super::progress::{grouped, per_second};

/// What became of a file of products, customers or stock.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) elapsed: Duration,
    pub(crate) refused_file: Option<PathBuf>,
}

/// What became of a file of orders.
#[derive(Debug, Default)]
pub(crate) struct Sales {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) lines_accepted: u64,
    pub(crate) lines_refused: u64,
    /// Sum of the answers' totals, in hundredths.
    total: i128,
    pub(crate) elapsed: Duration,
    pub(crate) refused_file: Option<PathBuf>,
}

impl Sales {
    pub(crate) fn accept(&mut self, lines: usize, total: Money) {
        self.accepted += 1;
        self.lines_accepted += u64::try_from(lines).unwrap_or(u64::MAX);
        self.total += total.hundredths();
    }

    pub(crate) fn refuse(&mut self, lines: usize) {
        self.refused += 1;
        self.lines_refused += u64::try_from(lines).unwrap_or(u64::MAX);
    }

    fn total(&self) -> String {
        let (pounds, pence) = (self.total / 100, self.total % 100);
        format!("{pounds}.{pence:02}")
    }
}

/// What became of an import.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// Why it ended before its end.
    pub(crate) why: Option<String>,
    pub(crate) products: Option<Rows>,
    pub(crate) customers: Option<Rows>,
    pub(crate) stock: Option<Rows>,
    pub(crate) orders: Option<Sales>,
    pub(crate) elapsed: Duration,
}

impl Summary {
    fn rows(&self) -> impl Iterator<Item = (&'static str, &Rows)> {
        let all =
            [("products", &self.products), ("customers", &self.customers), ("stock", &self.stock)];
        all.into_iter().filter_map(|(kind, rows)| rows.as_ref().map(|rows| (kind, rows)))
    }

    fn refused_files(&self) -> Vec<&PathBuf> {
        let rows = self.rows().filter_map(|(_, rows)| rows.refused_file.as_ref());
        let orders = self.orders.as_ref().and_then(|orders| orders.refused_file.as_ref());
        rows.chain(orders).collect()
    }

    /// For people.
    pub(crate) fn text(&self) -> String {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        table.set_header(["", "accepted", "refused", "seconds", "per second"]);
        let mut row = |kind: &str, accepted, refused, elapsed: Duration| {
            table.add_row([
                kind.to_owned(),
                grouped(accepted),
                grouped(refused),
                format!("{:.1}", elapsed.as_secs_f32()),
                grouped(per_second(accepted + refused, elapsed)),
            ]);
        };
        for (kind, rows) in self.rows() {
            row(kind, rows.accepted, rows.refused, rows.elapsed);
        }
        if let Some(orders) = &self.orders {
            row("orders", orders.accepted, orders.refused, orders.elapsed);
            row("lines of orders", orders.lines_accepted, orders.lines_refused, orders.elapsed);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut text = table.to_string();
        if let Some(orders) = &self.orders {
            text += &format!("\nTotal of the accepted orders: {}", orders.total());
        }
        text += &format!("\nAll took {:.1} s.", self.elapsed.as_secs_f32());
        for file in self.refused_files() {
            text += &format!(
                "\nRefused lines, each with its reason: {}. Mend that file and import it, not the whole again.",
                file.display()
            );
        }
        if let Some(why) = &self.why {
            text += &format!(
                "\nNot finished: {why}.\nRun the same command again to go on: what is in already is not taken twice."
            );
        }
        text
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let mut json = json!({
            "finished": self.why.is_none(),
            "seconds": seconds(self.elapsed),
            "refused_files": self.refused_files(),
        });
        for (kind, rows) in self.rows() {
            json[format!("{kind}_accepted")] = rows.accepted.into();
            json[format!("{kind}_refused")] = rows.refused.into();
        }
        if let Some(orders) = &self.orders {
            json["orders_accepted"] = orders.accepted.into();
            json["orders_refused"] = orders.refused.into();
            json["lines_accepted"] = orders.lines_accepted.into();
            json["lines_refused"] = orders.lines_refused.into();
            json["total_accepted"] = orders.total().into();
            json["orders_seconds"] = seconds(orders.elapsed);
            let done = orders.accepted + orders.refused;
            json["orders_per_second"] = per_second(done, orders.elapsed).into();
            let lines = orders.lines_accepted + orders.lines_refused;
            json["lines_per_second"] = per_second(lines, orders.elapsed).into();
        }
        json
    }
}

fn seconds(elapsed: Duration) -> Value {
    let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(ms).as_secs_f64().into()
}
