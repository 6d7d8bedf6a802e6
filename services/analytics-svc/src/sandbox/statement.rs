//! What a statement may be: one query over the materializations. Pure: it is given DuckDB's own parse of it.
//!
//! DuckDB's parser refuses to show anything but queries: no `COPY`, `ATTACH`, `SET`, `PRAGMA`, `INSTALL`. What is left is looked through for
//! tables that are not ours, which DuckDB would take for files, and for functions that read more than their arguments.

use std::collections::BTreeSet;

use serde_json::Value;

/// Functions that stand in a query's FROM and only compute.
const TABLE_FUNCTIONS: [&str; 3] = ["range", "generate_series", "unnest"];
/// Functions that look at the process or wait in it.
const REFUSED_FUNCTIONS: [&str; 12] = [
    "getenv",
    "current_setting",
    "getvariable",
    "current_query",
    "query",
    "query_table",
    "nextval",
    "currval",
    "pg_sleep",
    "sleep_ms",
    "write_log",
    "json_execute_serialized_sql",
];

/// The query that is to be explained, if that is what a statement is for. How it would run may be told; how it did run may not: that
/// names the files.
pub(super) fn explained(sql: &str) -> Result<Option<&str>, String> {
    let Some(query) = behind(sql, "explain") else { return Ok(None) };
    if behind(query, "analyze").or(behind(query, "analyse")).is_some() {
        return Err("a query can be explained, not analyzed: leave ANALYZE out".to_owned());
    }
    Ok(Some(query))
}

fn behind<'a>(sql: &'a str, word: &str) -> Option<&'a str> {
    let (first, rest) = behind_comments(sql).split_once(char::is_whitespace)?;
    first.eq_ignore_ascii_case(word).then_some(rest)
}

fn behind_comments(sql: &str) -> &str {
    let mut rest = sql.trim_start();
    loop {
        let behind = match rest.get(..2) {
            Some("--") => rest.split_once('\n'),
            Some("/*") => rest.split_once("*/"),
            _ => None,
        };
        match behind {
            Some((_, behind)) => rest = behind.trim_start(),
            None => return rest,
        }
    }
}

/// The tables that a parsed statement reads, if it is one query that may run.
pub(super) fn tables(
    parsed: &Value,
    is_table: impl Fn(&str) -> bool,
) -> Result<BTreeSet<String>, String> {
    if parsed["error"] != Value::Bool(false) {
        let message = parsed["error_message"].as_str().unwrap_or("this is no SQL");
        if message.starts_with("Only SELECT statements") {
            return Err("only queries can be asked: SELECT, WITH, FROM, VALUES, DESCRIBE, SHOW TABLES, SUMMARIZE, EXPLAIN".to_owned());
        }
        return Err(message.to_owned());
    }
    match parsed["statements"].as_array().map(Vec::as_slice) {
        Some([statement]) => {
            let mut look = Look { is_table, scope: Vec::new(), found: BTreeSet::new() };
            look.at(statement)?;
            Ok(look.found)
        }
        Some([]) => Err("there is no statement".to_owned()),
        _ => Err("one statement at a time".to_owned()),
    }
}

struct Look<F> {
    is_table: F,
    /// Names of common table expressions that can be seen from here.
    scope: Vec<String>,
    found: BTreeSet<String>,
}

impl<F: Fn(&str) -> bool> Look<F> {
    fn at(&mut self, node: &Value) -> Result<(), String> {
        match node {
            Value::Array(nodes) => nodes.iter().try_for_each(|node| self.at(node)),
            Value::Object(_) if node["class"] == "CONSTANT" => Ok(()),
            Value::Object(fields) => {
                let outside = self.scope.len();
                self.enter_ctes(node)?;
                self.check(node)?;
                let inside = self.scope.len();
                for (name, value) in fields.iter().filter(|(name, _)| *name != "cte_map") {
                    // A recursive one is a node of its own, which sees itself behind UNION only.
                    if node["type"] == "RECURSIVE_CTE_NODE" && name == "right" {
                        self.scope.push(text(&node["cte_name"]));
                    }
                    self.at(value)?;
                    self.scope.truncate(inside);
                }
                self.scope.truncate(outside);
                Ok(())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    /// Each sees those before it; the statement sees all.
    fn enter_ctes(&mut self, node: &Value) -> Result<(), String> {
        for entry in node["cte_map"]["map"].as_array().into_iter().flatten() {
            self.at(&entry["value"])?;
            self.scope.push(text(&entry["key"]));
        }
        Ok(())
    }

    fn check(&mut self, node: &Value) -> Result<(), String> {
        if node["type"] == "BASE_TABLE" {
            return self.check_table(node);
        }
        if node["type"] == "TABLE_FUNCTION" {
            let name = text(&node["function"]["function_name"]);
            if !TABLE_FUNCTIONS.contains(&name.as_str()) {
                return Err(format!("the function {name} cannot be used here"));
            }
        }
        if node["class"] == "FUNCTION" {
            let name = text(&node["function_name"]);
            let elsewhere = !matches!(&*text(&node["schema"]), "" | "main" | "pg_catalog");
            if elsewhere || REFUSED_FUNCTIONS.contains(&name.as_str()) {
                return Err(format!("the function {name} cannot be used here"));
            }
        }
        Ok(())
    }

    fn check_table(&mut self, node: &Value) -> Result<(), String> {
        let name = text(&node["table_name"]);
        let ours = matches!(&*text(&node["schema_name"]), "" | "main")
            && matches!(&*text(&node["catalog_name"]), "" | "memory");
        let qualified = node["schema_name"] != "" || node["catalog_name"] != "";
        if !qualified && self.scope.contains(&name) {
            return Ok(());
        }
        if ours && (self.is_table)(&name) {
            self.found.insert(name);
            return Ok(());
        }
        Err(format!("there is no table {name}"))
    }
}

/// Names are the same in either case.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_ascii_lowercase()
}
