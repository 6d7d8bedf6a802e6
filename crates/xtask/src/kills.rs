//! SIGKILLs at random moments, spread evenly over an import.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    time::{Duration, Instant},
};

use anyhow::Context;
use stack::Fleet;

/// Who is killed.
const VICTIM: &str = "olap-consumer";
/// How long a kill waits at most once its part of the import has begun: about as long as what is counted waits to be written, so that it
/// comes anywhere between two writes, within one, or while the folder is being opened.
const PAUSE_MAX_MS: u64 = 2000;
/// How often it is looked how far the import is.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The kills of one import: one in each of as many equal parts of its orders.
pub(crate) struct Kills {
    count: u64,
    orders: u64,
    done: u64,
    random: u64,
    /// When the next one comes, once its part has begun.
    due: Option<Instant>,
    looked: Instant,
}

impl Kills {
    /// `orders` are all that will be placed. The same seed draws the same pauses.
    pub(crate) fn new(count: u64, orders: u64, seed: Option<u64>) -> Self {
        let seed = seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        if count > 0 {
            println!("  {VICTIM} is killed {count} times (--seed {seed})");
        }
        Self { count, orders, done: 0, random: seed, due: None, looked: Instant::now() }
    }

    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    pub(crate) fn are_done(&self) -> bool {
        self.done == self.count
    }

    /// Kills when it is time, and starts the victim again. To be called often; `placed` says how many orders have been.
    pub(crate) fn look(
        &mut self,
        fleet: &mut Fleet,
        placed: impl FnOnce() -> anyhow::Result<u64>,
    ) -> anyhow::Result<()> {
        match self.due {
            _ if self.are_done() => (),
            Some(due) if Instant::now() >= due => {
                fleet.program(VICTIM)?.kill().context("it cannot be killed")?;
                fleet.restart(VICTIM)?;
                self.done += 1;
                self.due = None;
            }
            None if self.looked.elapsed() >= LOOK_EVERY => {
                self.looked = Instant::now();
                if placed()? * self.count >= self.done * self.orders {
                    self.due = Some(self.looked + self.pause());
                }
            }
            Some(_) | None => (),
        }
        Ok(())
    }

    fn pause(&mut self) -> Duration {
        // SplitMix64.
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Duration::from_millis((z ^ (z >> 31)) % PAUSE_MAX_MS)
    }
}
