use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Map, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Csv,
    Json,
}

/// A column: its name for programs, its heading for people, and whether its cells are numbers.
pub(crate) struct Column(pub(crate) &'static str, pub(crate) &'static str, pub(crate) bool);

/// An answer as rows and columns.
pub(crate) struct Sheet {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Value>>,
    /// As a row, blank where there is nothing to sum.
    pub(crate) total: Option<Vec<Value>>,
    /// What is true of the whole, by name.
    pub(crate) facts: Map<String, Value>,
    /// The same for people.
    pub(crate) notes: Vec<String>,
}

impl Sheet {
    pub(crate) fn print(&self, format: Format) -> anyhow::Result<()> {
        let text = match format {
            Format::Table => self.table() + "\n",
            Format::Csv => self.csv()?,
            Format::Json => format!("{:#}\n", self.json()),
        };
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // Whoever has seen enough, such as `head`, goes away.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(UTF8_FULL_CONDENSED);
        table.set_header(self.columns.iter().map(|column| column.1));
        for row in self.rows.iter().chain(&self.total) {
            table.add_row(row.iter().map(text));
        }
        for (place, _) in self.columns.iter().enumerate().filter(|(_, column)| column.2) {
            if let Some(column) = table.column_mut(place) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let mut shown = table.to_string();
        for note in &self.notes {
            shown += "\n";
            shown += note;
        }
        shown
    }

    /// The rows alone.
    fn csv(&self) -> anyhow::Result<String> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.columns.iter().map(|column| column.0))?;
        for row in &self.rows {
            writer.write_record(row.iter().map(text))?;
        }
        Ok(String::from_utf8(writer.into_inner()?)?)
    }

    pub(super) fn json(&self) -> Value {
        let object = |row: &Vec<Value>| -> Value {
            let named = self.columns.iter().zip(row).filter(|(_, value)| !value.is_null());
            Value::Object(named.map(|(c, value)| (c.0.to_owned(), value.clone())).collect())
        };
        let mut all = self.facts.clone();
        all.insert("rows".to_owned(), self.rows.iter().map(object).collect());
        if let Some(total) = &self.total {
            all.insert("total".to_owned(), object(total));
        }
        Value::Object(all)
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sheet_is_a_table_csv_or_json() {
        let sheet = Sheet {
            columns: vec![Column("sku", "SKU", false), Column("total", "Total", true)],
            rows: vec![vec!["P1".into(), "12.50".into()], vec!["a,b".into(), "1000.00".into()]],
            total: Some(vec![Value::Null, "1012.50".into()]),
            facts: Map::from_iter([("day".to_owned(), "2017-01-09".into())]),
            notes: vec!["of 2017-01-09".to_owned()],
        };
        let table = sheet.table();
        assert!(table.contains("┆   12.50 │"), "{table}");
        assert!(table.ends_with("of 2017-01-09"), "{table}");
        assert_eq!(sheet.csv().unwrap(), "sku,total\nP1,12.50\n\"a,b\",1000.00\n");
        let json = sheet.json();
        assert_eq!(json["rows"][0]["sku"], "P1");
        assert_eq!(json["total"], serde_json::json!({"total": "1012.50"}));
        assert_eq!(json["day"], "2017-01-09");
    }
}
