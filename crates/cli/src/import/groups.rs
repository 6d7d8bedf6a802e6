use std::collections::HashMap;

use uuid::{Uuid, uuid};

use super::source::{Row, Source};

const NAMESPACE: Uuid = uuid!("0d8a7b52-7d43-5e8b-8f5e-5f2c9a1d6e30");
/// Far beyond what an order may have: the rest counts as another order with the same reference, and is refused for it.
const ROWS_MAX: usize = 10_000;

/// The rows of one order.
pub(crate) struct Group {
    /// At least one.
    pub(crate) rows: Vec<Row>,
    /// The same for the same `order_ref`, and for nothing else.
    pub(crate) request_id: Uuid,
    /// The line at which the same order began before: its lines do not stand together.
    pub(crate) earlier: Option<u64>,
}

/// Puts rows with the same `order_ref` that follow each other together. Memory: one order, and some 40 bytes for each that has been seen.
pub(crate) struct Groups<S = Source> {
    source: S,
    /// The row that showed that the order before it was complete.
    next: Option<Row>,
    seen: HashMap<Uuid, u64>,
}

impl<S> Groups<S> {
    pub(crate) fn new(source: S) -> Self {
        Self { source, next: None, seen: HashMap::new() }
    }
}

impl<S: Iterator<Item = anyhow::Result<Row>>> Iterator for Groups<S> {
    type Item = anyhow::Result<Group>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = match self.next.take() {
            Some(row) => row,
            None => match self.source.next()? {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            },
        };
        let mut rows = vec![first];
        while rows.len() < ROWS_MAX {
            match self.source.next() {
                Some(Ok(row)) if row.get("order_ref") == rows[0].get("order_ref") => rows.push(row),
                Some(Ok(row)) => {
                    self.next = Some(row);
                    break;
                }
                // What has been read of the order may be a part of it only.
                Some(Err(error)) => return Some(Err(error)),
                None => break,
            }
        }
        let request_id = Uuid::new_v5(&NAMESPACE, rows[0].get("order_ref").as_bytes());
        let line = rows[0].line;
        let begun = *self.seen.entry(request_id).or_insert(line);
        Some(Ok(Group { rows, request_id, earlier: (begun != line).then_some(begun) }))
    }
}
