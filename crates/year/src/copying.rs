//! Rows on their way into Postgres: text in the form of COPY, a megabyte at a time, each table by a connection of its own.

use std::{fmt::Display, io::Write};

use anyhow::{Context, anyhow};
use chrono::{DateTime, SecondsFormat, Utc};
use sqlx::{Connection, PgConnection};
use tokio::{sync::mpsc, task::JoinHandle};

const CHUNK_BYTES: usize = 1 << 20;
/// Chunks that wait for Postgres.
const CHUNKS: usize = 4;

/// Where the rows of one table go.
#[derive(Debug)]
pub(crate) struct Rows {
    buffer: Vec<u8>,
    columns: usize,
    sender: mpsc::Sender<Vec<u8>>,
}

/// A COPY that waits for rows, and ends with them.
pub(crate) type Copying = JoinHandle<anyhow::Result<u64>>;

impl Rows {
    /// `target` is a table and its columns.
    pub(crate) fn start(url: &str, target: &'static str) -> (Self, Copying) {
        let (sender, receiver) = mpsc::channel(CHUNKS);
        let url = url.to_owned();
        let copying = tokio::spawn(async move {
            copy(&url, target, receiver).await.with_context(|| format!("copying {target}"))
        });
        (Self { buffer: Vec::with_capacity(CHUNK_BYTES), columns: 0, sender }, copying)
    }

    /// The next column of a row, whose text holds nothing that COPY reads in its own way.
    pub(crate) fn plain(&mut self, value: impl Display) -> &mut Self {
        self.separate();
        // Writing to memory does not fail.
        let _ = write!(self.buffer, "{value}");
        self
    }

    /// Any text.
    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        self.separate();
        for byte in value.bytes() {
            match byte {
                b'\\' => self.buffer.extend(b"\\\\"),
                b'\t' => self.buffer.extend(b"\\t"),
                b'\n' => self.buffer.extend(b"\\n"),
                b'\r' => self.buffer.extend(b"\\r"),
                _ => self.buffer.push(byte),
            }
        }
        self
    }

    pub(crate) fn time(&mut self, at: DateTime<Utc>) -> &mut Self {
        self.plain(time(at))
    }

    pub(crate) fn optional(&mut self, value: Option<impl Display>) -> &mut Self {
        match value {
            Some(value) => self.plain(value),
            None => self.plain("\\N"),
        }
    }

    /// Ends a row.
    pub(crate) fn end(&mut self) -> anyhow::Result<()> {
        self.buffer.push(b'\n');
        self.columns = 0;
        if self.buffer.len() < CHUNK_BYTES { Ok(()) } else { self.send() }
    }

    /// Ends the table.
    pub(crate) fn finish(mut self) -> anyhow::Result<()> {
        self.send()
    }

    fn separate(&mut self) {
        if self.columns > 0 {
            self.buffer.push(b'\t');
        }
        self.columns += 1;
    }

    fn send(&mut self) -> anyhow::Result<()> {
        let room = Vec::with_capacity(self.buffer.capacity());
        let chunk = std::mem::replace(&mut self.buffer, room);
        self.sender.blocking_send(chunk).map_err(|_| anyhow!("Postgres takes no more rows"))
    }
}

pub(crate) fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

async fn copy(url: &str, target: &str, mut rows: mpsc::Receiver<Vec<u8>>) -> anyhow::Result<u64> {
    let mut db = PgConnection::connect(url).await?;
    // What is drawn ties by itself: neither keys that point elsewhere nor triggers are asked.
    sqlx::query("set session_replication_role = replica").execute(&mut db).await?;
    let mut copy = db.copy_in_raw(&format!("copy {target} from stdin")).await?;
    while let Some(chunk) = rows.recv().await {
        if let Err(error) = copy.send(chunk).await {
            // What Postgres has to say of a row comes with the end.
            return Err(copy.finish().await.err().unwrap_or(error).into());
        }
    }
    let count = copy.finish().await?;
    db.close().await?;
    Ok(count)
}
