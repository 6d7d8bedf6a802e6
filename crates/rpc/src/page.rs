use prost::Message;
use sha2::{Digest, Sha256};

use crate::Fields;

const SIZE_DEFAULT: i32 = 50;
const SIZE_MAX: i32 = 1000;
/// Well below the 4 MiB that a gRPC client takes in one message.
const PAGE_MAX_BYTES: usize = 2 << 20;

/// Where a list goes on: behind the key of the last row that was sent, so that rows which come meanwhile move nothing.
///
/// The token also holds which filters it is for: with others it is refused.
#[derive(Debug)]
pub struct PageToken {
    /// Key of the last row sent, in the words of the list.
    pub after: Option<String>,
    filters: String,
}

/// One page of a list: one row more than `size` was asked of the store, to see whether another page follows.
#[derive(Debug)]
pub struct Page {
    pub size: i64,
    pub token: PageToken,
}

impl Page {
    /// Reads `page_size` and `page_token`; `filters` is anything that tells one list from another.
    pub fn read(fields: &mut Fields, size: i32, token: &str, filters: &str) -> Self {
        Self::read_up_to(fields, size, token, filters, SIZE_DEFAULT, SIZE_MAX)
    }

    /// The same with other bounds.
    pub fn read_up_to(
        fields: &mut Fields,
        size: i32,
        token: &str,
        filters: &str,
        size_default: i32,
        size_max: i32,
    ) -> Self {
        let size = if size == 0 { size_default } else { size };
        let size = fields.within("page_size", size, 1, size_max);
        let filters = hash(filters);
        let after = match token.split_once('.') {
            None if token.is_empty() => None,
            Some((held, after)) if held == filters => Some(after.to_owned()),
            _ => {
                fields.bad("page_token", "is not from a page of this list");
                None
            }
        };
        Self { size: i64::from(size), token: PageToken { after, filters } }
    }

    /// How many rows to ask of the store.
    #[must_use]
    pub fn limit(&self) -> i64 {
        self.size + 1
    }

    /// Takes the extra row off and gives the next token, empty on the last page.
    pub fn cut<T>(&self, rows: &mut Vec<T>, key: impl Fn(&T) -> String) -> String {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        if rows.len() <= size {
            return String::new();
        }
        rows.truncate(size);
        self.behind(rows, key)
    }

    /// The same for rows as they are sent, which may be large: a page ends where a message has no room for more.
    pub fn fit<T: Message>(&self, rows: &mut Vec<T>, key: impl Fn(&T) -> String) -> String {
        let mut bytes = 0;
        let room = rows.iter().take_while(|row| {
            bytes += row.encoded_len();
            bytes <= PAGE_MAX_BYTES
        });
        let room = room.count().max(1);
        if rows.len() <= room {
            return self.cut(rows, key);
        }
        rows.truncate(room.min(usize::try_from(self.size).unwrap_or(usize::MAX)));
        self.behind(rows, key)
    }

    /// The token of the page behind these rows.
    fn behind<T>(&self, rows: &[T], key: impl Fn(&T) -> String) -> String {
        rows.last().map(|last| format!("{}.{}", self.token.filters, key(last))).unwrap_or_default()
    }
}

impl PageToken {
    /// The key that the page goes on behind, read as the list's own type.
    pub fn key<T: std::str::FromStr>(&self, fields: &mut Fields) -> Option<T> {
        let after = self.after.as_deref()?;
        let key = after.parse().ok();
        if key.is_none() {
            fields.bad("page_token", "is not from a page of this list");
        }
        key
    }
}

fn hash(filters: &str) -> String {
    Sha256::digest(filters).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(size: i32, mut rows: Vec<String>) -> (usize, bool) {
        let page = Page::read(&mut Fields::default(), size, "", "");
        let next = page.fit(&mut rows, Clone::clone);
        (rows.len(), !next.is_empty())
    }

    #[test]
    fn a_page_of_large_rows_ends_where_a_message_is_full() {
        let rows = |count, bytes| vec!["x".repeat(bytes); count];
        assert_eq!(cut(3, rows(3, 9)), (3, false));
        assert_eq!(cut(3, rows(4, 9)), (3, true));
        assert_eq!(
            cut(1000, rows(300, 16 << 10)),
            (127, true),
            "each has a tag and its length, too"
        );
        assert_eq!(cut(100, rows(101, 16 << 10)), (100, true));
        assert_eq!(cut(100, rows(2, 3 << 20)), (1, true), "one row always goes");
        assert_eq!(cut(100, rows(1, 3 << 20)), (1, false));
    }
}
