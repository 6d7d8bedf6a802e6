mod fake;
mod files;
mod whole;

use std::{io::Cursor, path::Path};

use csv::ReaderBuilder;

/// The rows of a CSV file by column name.
fn rows(path: &Path) -> Vec<std::collections::HashMap<String, String>> {
    let text = std::fs::read_to_string(path).unwrap();
    ReaderBuilder::new()
        .from_reader(Cursor::new(text))
        .deserialize()
        .collect::<Result<_, _>>()
        .unwrap()
}
