use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// Numbers that look random and are the same in each run. Clones go on with the same ones.
#[derive(Debug, Clone)]
pub struct Dice(Arc<AtomicU64>);

impl Dice {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed)))
    }

    /// From 0 on, below `sides`.
    pub fn roll<N>(&self, sides: N) -> N
    where
        N: TryFrom<u64, Error: Debug> + TryInto<u64, Error: Debug>,
    {
        // SplitMix64.
        let step = 0x9E37_79B9_7F4A_7C15_u64;
        let mut z = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % sides.try_into().unwrap()).try_into().unwrap()
    }

    /// One of them, if there is any.
    pub fn pick<'a, T>(&self, of: &'a [T]) -> Option<&'a T> {
        (!of.is_empty()).then(|| &of[self.roll(of.len())])
    }

    /// One of them, taken out.
    pub fn take<T>(&self, of: &mut Vec<T>) -> Option<T> {
        (!of.is_empty()).then(|| of.swap_remove(self.roll(of.len())))
    }

    /// Sleeps for less than `max`.
    pub async fn pause(&self, max: Duration) {
        let micros = self.roll(u64::try_from(max.as_micros()).unwrap());
        tokio::time::sleep(Duration::from_micros(micros)).await;
    }
}
