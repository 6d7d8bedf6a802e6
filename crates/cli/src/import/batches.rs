//! Products, customers and stock: rows that go in batches.
//!
//! A batch that a service refuses is split by what it names, or else halved, until only the bad rows are left out. Batches are cut by
//! place in the file, so that a bad row changes no batch but its own. Memory: a few batches, and the keys of the file's rows.

use std::collections::HashMap;

use futures::{StreamExt, stream};
use tokio::time::{MissedTickBehavior, interval};

use super::{
    Shared, TICK,
    calls::Failure,
    check::{Check, reason, why},
    progress::Progress,
    refused::Refused,
    source::{Row, Source},
    summary::Rows,
    verdict::Verdict,
};

const ROWS_MAX: usize = 500;
/// At a time.
const BATCHES: usize = 4;

/// One kind of rows.
pub(crate) trait Batch {
    type Item: Clone;

    /// Reads a row; none when nothing is to be done for it.
    fn read(&self, check: &mut Check<'_>) -> Option<Self::Item>;
    /// Columns whose values no two rows of a file may share, with the value as it counts.
    fn keys(&self, item: &Self::Item) -> Vec<(&'static str, String)>;
    /// Sends at most [`ROWS_MAX`] as one request, all or none.
    async fn send(&self, items: Vec<Self::Item>) -> Result<(), Failure>;
}

/// Rows that stand together in the file.
struct Slot<I> {
    good: Vec<(Row, I)>,
    refused: Vec<(Row, String)>,
    /// Rows for which nothing is to be done.
    idle: u64,
}

/// What became of a slot.
struct Settled {
    accepted: u64,
    refused: Vec<(Row, String)>,
}

/// Sends all rows of a file.
pub(crate) async fn import<B: Batch>(
    shared: &Shared,
    kind: &'static str,
    source: Source,
    batch: &B,
) -> anyhow::Result<Rows> {
    let mut refused = Refused::new(&shared.refused_dir, kind, source.header(), &shared.inputs);
    let mut progress = Progress::new(kind, &source, &shared.calls);
    let mut done = Rows::default();
    let slots = Slots { source, batch, seen: HashMap::new(), broken: None };
    let settled = stream::iter(slots)
        .take_while(|_| std::future::ready(!shared.calls.is_stopped()))
        .map(async |slot| match slot {
            Ok(slot) => settle(batch, slot).await,
            Err(error) => {
                shared.calls.stop(format!("{error:#}"));
                Settled { accepted: 0, refused: Vec::new() }
            }
        })
        .buffered(BATCHES);
    let mut settled = std::pin::pin!(settled);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            next = settled.next() => {
                let Some(next) = next else { break };
                done.accepted += next.accepted;
                for (row, reason) in &next.refused {
                    refused.write(row, reason)?;
                    done.refused += 1;
                }
            }
            _ = tick.tick() => progress.show(done.accepted + done.refused),
        }
    }
    done.elapsed = progress.finish(done.accepted + done.refused);
    done.refused_file = refused.finish()?;
    Ok(done)
}

/// Sends a slot, and what is left of it, until each row is in or refused, or the import ends.
async fn settle<B: Batch>(batch: &B, slot: Slot<B::Item>) -> Settled {
    let mut settled = Settled { accepted: slot.idle, refused: slot.refused };
    let mut waiting = vec![slot.good];
    while let Some(part) = waiting.pop() {
        if part.is_empty() {
            continue;
        }
        let items = part.iter().map(|(_, item)| item.clone()).collect();
        match batch.send(items).await {
            Ok(()) => settled.accepted += u64::try_from(part.len()).unwrap_or(u64::MAX),
            Err(Failure::Refused(status)) => {
                let (mut rest, bad) = split(part, &Verdict::read(&status, "requests"));
                if bad.is_empty() {
                    waiting.push(rest.split_off(rest.len() / 2));
                }
                waiting.push(rest);
                settled.refused.extend(bad);
            }
            Err(Failure::Stopped) => break,
        }
    }
    settled.refused.sort_by_key(|(row, _)| row.line);
    settled
}

type Part<I> = Vec<(Row, I)>;

/// Takes out the rows that the verdict names; the only row there is needs no name.
fn split<I>(part: Part<I>, verdict: &Verdict) -> (Part<I>, Vec<(Row, String)>) {
    let alone = part.len() == 1;
    let (mut rest, mut bad) = (Vec::new(), Vec::new());
    for (place, (row, item)) in part.into_iter().enumerate() {
        let named = verdict.places.get(&place).into_iter().flatten();
        let mut whys: Vec<String> = named.map(|(column, said)| why(&row, column, said)).collect();
        whys.extend(verdict.skus.get(row.get("sku")).map(|said| why(&row, "sku", said)));
        if whys.is_empty() && alone {
            whys.push(verdict.message.clone());
        }
        if whys.is_empty() {
            rest.push((row, item));
        } else {
            let reason = reason(&row, &whys);
            bad.push((row, reason));
        }
    }
    (rest, bad)
}

/// Cuts a file into slots of [`ROWS_MAX`] rows.
struct Slots<'a, B> {
    source: Source,
    batch: &'a B,
    /// By column and value, the line that has it.
    seen: HashMap<(&'static str, String), u64>,
    /// Reported after the rows before it.
    broken: Option<anyhow::Error>,
}

impl<B: Batch> Slots<'_, B> {
    fn take(&mut self, slot: &mut Slot<B::Item>, row: Row) {
        let mut check = Check::new(&row);
        let item = self.batch.read(&mut check);
        let keys = item.as_ref().map(|item| self.batch.keys(item)).unwrap_or_default();
        for (column, value) in &keys {
            if let Some(line) = self.seen.get(&(*column, value.clone())) {
                check.bad(column, format!("is that of line {line} already"));
            }
        }
        let whys = check.done();
        if !whys.is_empty() {
            let reason = reason(&row, &whys);
            slot.refused.push((row, reason));
            return;
        }
        self.seen.extend(keys.into_iter().map(|key| (key, row.line)));
        match item {
            Some(item) => slot.good.push((row, item)),
            None => slot.idle += 1,
        }
    }
}

impl<B: Batch> Iterator for Slots<'_, B> {
    type Item = anyhow::Result<Slot<B::Item>>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.broken.take() {
            return Some(Err(error));
        }
        let mut slot = Slot { good: Vec::new(), refused: Vec::new(), idle: 0 };
        let mut rows = 0;
        while rows < ROWS_MAX {
            match self.source.next() {
                Some(Ok(row)) => self.take(&mut slot, row),
                Some(Err(error)) if rows == 0 => return Some(Err(error)),
                Some(Err(error)) => {
                    self.broken = Some(error);
                    break;
                }
                None => break,
            }
            rows += 1;
        }
        (rows > 0).then_some(Ok(slot))
    }
}
