//! Of which type each value should be that a statement asks for, as far as its text tells: tools that bind values are told so beforehand.
//! Pure: it is given DuckDB's own parse. What it cannot tell is text, which DuckDB reads as what it needs.

use std::{collections::BTreeMap, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use serde_json::Value;

const TEXT: DataType = DataType::Utf8;
/// Functions whose arguments are of one type, mostly.
const ALIKE: [&str; 7] = ["+", "-", "*", "/", "%", "coalesce", "ifnull"];
/// Functions that give what they are given.
const SAME: [&str; 7] = ["min", "max", "sum", "any_value", "first", "last", "abs"];
const COUNTS: [&str; 2] = ["count", "count_star"];

/// A field for each of a statement's own names. `column` knows the types of the columns that it reads.
pub(super) fn schema(
    parsed: &Value,
    names: &[String],
    time_zone: &str,
    column: impl Fn(&str) -> Option<DataType>,
) -> Schema {
    let mut look = Look { column, time_zone, found: BTreeMap::new() };
    look.at(parsed, None);
    let field = |name: &String| {
        let kind = look.found.get(name).cloned().flatten();
        Field::new(name, kind.unwrap_or(TEXT), true)
    };
    Schema::new(names.iter().map(field).collect::<Vec<_>>())
}

struct Look<'a, F> {
    column: F,
    time_zone: &'a str,
    found: BTreeMap<String, Option<DataType>>,
}

impl<F: Fn(&str) -> Option<DataType>> Look<'_, F> {
    /// What stands here is compared with, or made, `wanted`.
    fn at(&mut self, node: &Value, wanted: Option<&DataType>) {
        match node {
            Value::Array(nodes) => nodes.iter().for_each(|node| self.at(node, None)),
            Value::Object(fields) => match node["class"].as_str() {
                Some("PARAMETER") => {
                    let name = node["identifier"].as_str().unwrap_or_default().to_owned();
                    let found = self.found.entry(name).or_default();
                    *found = found.take().or_else(|| wanted.cloned());
                }
                Some("CAST") => {
                    let kind = self.kind(node);
                    self.at(&node["child"], kind.as_ref());
                }
                Some("COMPARISON") => self.alike([&node["left"], &node["right"]]),
                Some("BETWEEN") => self.alike([&node["input"], &node["lower"], &node["upper"]]),
                Some("OPERATOR") => self.alike(children(node)),
                Some("FUNCTION") if is_one_of(node, &ALIKE) => self.alike(children(node)),
                _ => {
                    let rows = node["type"] == "LIMIT_MODIFIER";
                    let wanted = rows.then_some(&DataType::Int64);
                    fields.values().for_each(|value| self.at(value, wanted));
                }
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (),
        }
    }

    fn alike<'n>(&mut self, nodes: impl IntoIterator<Item = &'n Value> + Clone) {
        let kind = nodes.clone().into_iter().find_map(|node| self.kind(node));
        nodes.into_iter().for_each(|node| self.at(node, kind.as_ref()));
    }

    fn kind(&self, node: &Value) -> Option<DataType> {
        match node["class"].as_str()? {
            "COLUMN_REF" => (self.column)(node["column_names"].as_array()?.last()?.as_str()?),
            "CAST" => self.named(&node["cast_type"]),
            "FUNCTION" if is_one_of(node, &SAME) || is_one_of(node, &ALIKE) => {
                children(node).iter().find_map(|child| self.kind(child))
            }
            "FUNCTION" if is_one_of(node, &COUNTS) => Some(DataType::Int64),
            _ => None,
        }
    }

    /// A type as DuckDB writes it.
    fn named(&self, kind: &Value) -> Option<DataType> {
        Some(match kind["id"].as_str()? {
            "BOOLEAN" => DataType::Boolean,
            "TINYINT" | "SMALLINT" | "INTEGER" => DataType::Int32,
            "BIGINT" => DataType::Int64,
            "FLOAT" | "DOUBLE" => DataType::Float64,
            "DATE" => DataType::Date32,
            "TIMESTAMP" => DataType::Timestamp(TimeUnit::Microsecond, None),
            "TIMESTAMP WITH TIME ZONE" => {
                DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from(self.time_zone)))
            }
            "DECIMAL" => {
                let of = |name: &str| kind["type_info"][name].as_i64();
                DataType::Decimal128(of("width")?.try_into().ok()?, of("scale")?.try_into().ok()?)
            }
            _ => return None,
        })
    }
}

fn children(node: &Value) -> &[Value] {
    node["children"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn is_one_of(node: &Value, names: &[&str]) -> bool {
    node["function_name"].as_str().is_some_and(|name| names.contains(&name))
}

#[cfg(test)]
mod tests {
    use duckdb::Connection;

    use super::*;

    #[test]
    fn a_value_is_of_the_type_of_what_it_stands_beside() {
        let db = Connection::open_in_memory().unwrap();
        let money = DataType::Decimal128(18, 2);
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("Europe/London")));
        for (sql, expected) in [
            ("sku = ?", TEXT),
            ("? < amount", money.clone()),
            ("t.amount between 1 and ?", money.clone()),
            ("amount in (1, ?)", money.clone()),
            ("coalesce(amount, ?) > 1", money.clone()),
            ("quantity + ? > 1", DataType::Int32),
            ("placed_at >= ?", instant),
            ("placed_at::date = ?", DataType::Date32),
            ("month(placed_at) = ?::bigint", DataType::Int64),
            ("sku = ?::decimal(9, 1)", DataType::Decimal128(9, 1)),
            ("sku like ?", TEXT),
            ("true group by sku having sum(amount) > ?", money),
            ("true group by sku having count(*) > ?", DataType::Int64),
            ("true limit ?", DataType::Int64),
            ("lower(?) = sku", TEXT),
        ] {
            let sql = format!("select 1 from t where {sql}");
            let parse = "select json_serialize_sql(?::varchar)::varchar";
            let parsed: String = db.query_row(parse, [&sql], |row| row.get(0)).unwrap();
            let column = |name: &str| {
                crate::domain::TABLES.iter().find_map(|table| table.kind(name, "Europe/London"))
            };
            let parsed = serde_json::from_str(&parsed).unwrap();
            let schema = schema(&parsed, &["1".to_owned()], "Europe/London", column);
            assert_eq!(schema.field(0).data_type(), &expected, "{sql}");
        }
    }
}
