use std::{
    io::IsTerminal,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{calls::Calls, source::Source};

const PLAIN_EVERY: Duration = Duration::from_secs(5);

/// How far one file is: a bar on a terminal, a line now and then elsewhere.
pub(crate) struct Progress {
    kind: &'static str,
    calls: Calls,
    consumed: Arc<AtomicU64>,
    size: u64,
    started: Instant,
    bar: Option<ProgressBar>,
    printed: Instant,
}

impl Progress {
    pub(crate) fn new(kind: &'static str, source: &Source, calls: &Calls) -> Self {
        let (consumed, size) = source.extent();
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(
                "{prefix:>9} [{bar:32}] {percent:>3} %  {msg}  {eta} left",
            );
            ProgressBar::new(size)
                .with_prefix(kind)
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        let now = Instant::now();
        let calls = calls.clone();
        Self { kind, calls, consumed, size, started: now, bar, printed: now }
    }

    /// Shows that so many orders or rows are done.
    pub(crate) fn show(&mut self, done: u64) {
        let consumed = self.consumed.load(Relaxed).min(self.size);
        match &self.bar {
            Some(bar) => {
                bar.set_position(consumed);
                bar.set_message(self.text(done));
            }
            None if self.printed.elapsed() >= PLAIN_EVERY => {
                self.printed = Instant::now();
                let elapsed = self.started.elapsed();
                let to_go = u128::from(self.size - consumed);
                let left_s = elapsed.as_millis() * to_go / u128::from(consumed.max(1)) / 1000;
                let percent = consumed * 100 / self.size.max(1);
                eprintln!("{}: {percent} %, {}, {left_s} s left", self.kind, self.text(done));
            }
            None => (),
        }
    }

    /// Leaves one line behind.
    pub(crate) fn finish(self, done: u64) -> Duration {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let elapsed = self.started.elapsed();
        eprintln!("{}: {} in {:.1} s", self.kind, self.text(done), elapsed.as_secs_f32());
        elapsed
    }

    fn text(&self, done: u64) -> String {
        let rate = per_second(done, self.started.elapsed());
        let waiting = match self.calls.waiting() {
            0 => String::new(),
            calls => format!(", {calls} calls are to be tried again"),
        };
        format!("{} ({}/s{waiting})", grouped(done), grouped(rate))
    }
}

pub(crate) fn per_second(count: u64, elapsed: Duration) -> u64 {
    let rate = u128::from(count) * 1000 / elapsed.as_millis().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// With commas between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let shown = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(per_second(500, Duration::from_millis(250)), 2000);
        assert_eq!(per_second(5, Duration::ZERO), 5000);
    }
}
