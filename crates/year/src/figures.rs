//! What was measured, as tables that a README takes.

use std::{fs, time::Duration};

use anyhow::Context;

/// How long calls took.
#[derive(Debug, Clone, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn add(&mut self, took: Duration) {
        self.0.push(took);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn sum(&self) -> Duration {
        self.0.iter().sum()
    }

    /// That many of a hundred took no longer.
    pub(crate) fn percentile(&self, of_hundred: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let place = (sorted.len() * of_hundred).div_ceil(100).saturating_sub(1);
        sorted.get(place).copied().unwrap_or_default()
    }
}

/// As `1.23`, in milliseconds.
pub(crate) fn ms(of: Duration) -> String {
    let micros = of.as_micros();
    match micros {
        ..100_000 => format!("{}.{:02}", micros / 1000, micros % 1000 / 10),
        _ => (micros / 1000).to_string(),
    }
}

/// As `12.3`, in seconds.
pub(crate) fn seconds(of: Duration) -> String {
    format!("{}.{}", of.as_secs(), of.subsec_millis() / 100)
}

/// So many a second.
pub(crate) fn rate(count: u64, of: Duration) -> u128 {
    u128::from(count) * 1000 / of.as_millis().max(1)
}

pub(crate) fn mib(bytes: u64) -> String {
    let tenths = bytes * 10 / (1 << 20);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// How often the second goes into the first.
pub(crate) fn ratio(first: Duration, second: Duration) -> String {
    let tenths = first.as_micros() * 10 / second.as_micros().max(1);
    if tenths < 100 {
        format!("{}.{}", tenths / 10, tenths % 10)
    } else {
        (tenths / 10).to_string()
    }
}

/// What a process has in memory, and the most that it had since it was last forgotten.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) peak: u64,
}

impl Memory {
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let bytes = |name: &str| -> anyhow::Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.context("no such line")?.trim().trim_end_matches(" kB");
            Ok(kib.parse::<u64>()? << 10)
        };
        Ok(Self { now: bytes("VmRSS:")?, peak: bytes("VmHWM:")? })
    }

    /// The peak begins anew.
    pub(crate) fn forget_peak(pid: u32) -> anyhow::Result<()> {
        Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let mut times = Times::default();
        assert_eq!(times.percentile(50), Duration::ZERO);
        (1..=100).rev().for_each(|n| times.add(Duration::from_millis(n)));
        let at = |of| times.percentile(of).as_millis();
        assert_eq!((at(50), at(99), at(100), times.count()), (50, 99, 100, 100));
    }

    #[test]
    fn figures_are_written_for_people() {
        let micros = Duration::from_micros;
        assert_eq!(
            (ms(micros(1234)), ms(micros(50)), ms(micros(2_345_678))),
            ("1.23".into(), "0.05".into(), "2345".into())
        );
        assert_eq!(
            (ratio(micros(1000), micros(300)), ratio(micros(90_000), micros(300))),
            ("3.3".into(), "300".into())
        );
        assert_eq!(
            (seconds(Duration::from_millis(61_250)), rate(500, Duration::from_millis(250))),
            ("61.2".into(), 2000)
        );
        assert_eq!(mib(1_572_864), "1.5");
    }
}
