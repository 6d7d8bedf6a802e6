//! When to write next: at each interval, and soon after the first change where nothing was written for an interval.
//!
//! So a sale in a quiet shop is seen at once, and costs no more files than it would later; in a busy one nothing is written more often than
//! at each interval.

use std::time::Duration;

use tokio::time::Instant;

/// A sale becomes an invoice and a journal in other services, which come within that time: they are written with it.
const SETTLES_AFTER: Duration = Duration::from_millis(250);

pub(super) struct Turns {
    interval: Duration,
    /// When the last write began that had anything to write.
    written: Instant,
    next: Instant,
}

impl Turns {
    /// What is there is looked at at once.
    pub(super) fn new(interval: Duration, now: Instant) -> Self {
        Self { interval, written: now, next: now }
    }

    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Something was counted that is not written.
    pub(super) fn changed(&mut self, now: Instant) {
        let soon = (now + SETTLES_AFTER).max(self.written + self.interval);
        self.next = self.next.min(soon);
    }

    /// A write that began then is done, or came to nothing.
    pub(super) fn taken(&mut self, began: Instant, had_work: bool) {
        self.next = began + self.interval;
        if had_work {
            self.written = began;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(2);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_comes_in_a_quiet_time_is_written_soon() {
        let start = Instant::now();
        let mut turns = Turns::new(INTERVAL, start);
        for quiet in [start, start + INTERVAL, start + INTERVAL * 2] {
            assert_eq!(turns.next(), quiet);
            turns.taken(quiet, false);
        }
        let sold = start + ms(4100);
        turns.changed(sold);
        // What follows from it does not put it off.
        turns.changed(sold + ms(50));
        assert_eq!(turns.next(), sold + SETTLES_AFTER);
        turns.taken(sold + SETTLES_AFTER, true);
        assert_eq!(turns.next(), sold + SETTLES_AFTER + INTERVAL);
        // So soon after a write the next one is not due before its time.
        turns.changed(sold + ms(300));
        assert_eq!(turns.next(), sold + SETTLES_AFTER + INTERVAL);
    }

    #[test]
    fn what_never_stops_coming_is_written_at_each_interval() {
        let start = Instant::now();
        let mut turns = Turns::new(INTERVAL, start);
        let (mut now, mut writes) = (start, 0);
        while now < start + INTERVAL * 10 {
            if now >= turns.next() {
                turns.taken(now, true);
                writes += 1;
            }
            now += ms(10);
            turns.changed(now);
        }
        assert_eq!(writes, 10);
    }

    #[test]
    fn a_short_interval_is_kept() {
        let start = Instant::now();
        let mut turns = Turns::new(ms(50), start);
        turns.taken(start, false);
        turns.changed(start + ms(10));
        assert_eq!(turns.next(), start + ms(50));
    }
}
