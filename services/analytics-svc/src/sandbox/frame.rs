//! What a query's process is told, and what it answers.
//!
//! It is told lines of JSON: a [`Task`], then [`Files`]. It answers frames: a letter, a length of four bytes, and as many bytes.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Of one frame. Answers are cut into pieces that are much smaller; one value may be larger than a piece.
pub(super) const FRAME_MAX_BYTES: u32 = 16 << 20;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) sql: String,
    /// What stands for each `?` of it: encoded `FlightData` as a stranger sent it.
    pub(super) parameters: Vec<Vec<u8>>,
    /// Only the answer's columns are wanted, and of which types the parameters should be.
    pub(super) columns_only: bool,
    pub(super) limits: Limits,
    /// In which times are shown, and days begin.
    pub(super) time_zone: String,
    /// What may be read: by name, the definition of a view that is empty and has the right columns.
    pub(super) tables: BTreeMap<String, String>,
}

/// What one query may use.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Limits {
    pub(crate) memory_mib: u32,
    pub(crate) threads: u8,
    pub(crate) seconds: u32,
    pub(crate) rows: u64,
    pub(crate) answer_mib: u32,
}

/// The sound files of each table that the query reads, all of one version, and the version's own rows.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Files {
    pub(super) of_tables: BTreeMap<String, Vec<String>>,
    /// The definition of the view that tells how fresh all this is.
    pub(super) watermark: String,
    /// The same, to be told with the columns of the answer.
    pub(super) note: String,
}

#[derive(Debug)]
pub(super) enum Frame {
    /// The tables that the query reads.
    Needs(Vec<String>),
    /// An encoded `FlightData`.
    Data(Vec<u8>),
    Failed(Failure),
    Done,
}

/// Why there is no answer, or no more of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Failure {
    /// It is no query, or it names what it may not.
    Refused(String),
    /// DuckDB's own words.
    Sql(String),
    OutOfMemory,
    /// DuckDB's own words, which name the file.
    FileUnreadable(String),
    TooManyRows,
    TooManyBytes,
    /// Something of ours.
    Internal(String),
}

impl Frame {
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let json;
        let (letter, bytes) = match self {
            Self::Needs(tables) => {
                json = serde_json::to_vec(tables)?;
                (b'N', json.as_slice())
            }
            Self::Data(data) => (b'D', data.as_slice()),
            Self::Failed(failure) => {
                json = serde_json::to_vec(failure)?;
                (b'F', json.as_slice())
            }
            Self::Done => (b'.', [].as_slice()),
        };
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        to.write_all(&[letter])?;
        to.write_all(&length.to_le_bytes())?;
        to.write_all(bytes)?;
        to.flush()
    }

    /// Trusts nothing of what it reads.
    pub(super) async fn read(from: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let letter = from.read_u8().await?;
        let length = from.read_u32_le().await?;
        if length > FRAME_MAX_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is too large"));
        }
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        from.read_exact(&mut bytes).await?;
        Ok(match letter {
            b'N' => Self::Needs(serde_json::from_slice(&bytes)?),
            b'D' => Self::Data(bytes),
            b'F' => Self::Failed(serde_json::from_slice(&bytes)?),
            b'.' => Self::Done,
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "no such frame")),
        })
    }
}
