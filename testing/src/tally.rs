//! Keeping count of what was compared.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::report::report;

/// What a table-driven test did with its rows: nothing is passed over in silence.
#[derive(Debug)]
pub struct Tally {
    pub ran: usize,
    /// Row and reason.
    pub skipped: Vec<(String, String)>,
    pub failed: Vec<String>,
    started: Instant,
    /// The rows that took longest, the longest first.
    slowest: Vec<(Duration, String)>,
}

impl Default for Tally {
    fn default() -> Self {
        Self { ran: 0, skipped: Vec::new(), failed: Vec::new(), started: Instant::now(), slowest: Vec::new() }
    }
}

/// How many of the slowest rows are named.
const SLOWEST: usize = 3;

impl Tally {
    /// Checks every row, several at a time: as many as there are cores. Failures stand in the order of the rows.
    ///
    /// # Panics
    ///
    /// If `check` panics.
    pub fn of<T: Sync>(
        rows: &[T],
        name: impl Fn(&T) -> &str + Sync,
        check: impl Fn(&T, &mut Self) + Sync,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let started = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..cores.min(rows.len()) {
                scope.spawn(|| {
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(row) = rows.get(at) else { break };
                        let mut tally = Self::default();
                        check(row, &mut tally);
                        let took = tally.started.elapsed();
                        done.lock().expect("no row panicked").push((at, took, tally));
                    }
                });
            }
        });
        let mut done = done.into_inner().expect("no row panicked");
        done.sort_by_key(|(at, ..)| *at);
        let mut all = Self { started, ..Self::default() };
        for (at, took, tally) in done {
            all.ran += tally.ran;
            all.skipped.extend(tally.skipped);
            all.failed.extend(tally.failed);
            all.slowest.push((took, name(&rows[at]).to_owned()));
        }
        all.slowest.sort_by_key(|(took, _)| std::cmp::Reverse(*took));
        all.slowest.truncate(SLOWEST);
        all
    }

    /// Counts a row that was compared.
    pub fn check<T>(&mut self, result: Result<T, String>) {
        self.ran += 1;
        if let Err(message) = result {
            self.failed.push(message);
        }
    }

    /// Counts a row that was declined.
    pub fn skip(&mut self, name: impl Into<String>, reason: impl Into<String>) {
        self.skipped.push((name.into(), reason.into()));
    }

    /// Prints what ran, how long it took and, by reason, what did not run.
    ///
    /// # Panics
    ///
    /// If nothing ran or anything failed.
    pub fn finish(self, what: &str) {
        let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, reason) in &self.skipped {
            reasons.entry(reason).or_default().push(name);
        }
        let mut text = format!("{what}: {} pairs ran, {} declined", self.ran, self.skipped.len());
        let _ = write!(text, ", in {:.1} s", self.started.elapsed().as_secs_f64());
        if !self.slowest.is_empty() {
            let row = |(took, name): &(Duration, String)| format!("{name} {:.1} s", took.as_secs_f64());
            let _ =
                write!(text, ", of which {}", self.slowest.iter().map(row).collect::<Vec<_>>().join(", "));
        }
        for (reason, names) in reasons {
            // Past so many, the names say no more than their number.
            const SHOWN: usize = 60;
            let more = if names.len() > SHOWN { ", .." } else { "" };
            let shown = names[..names.len().min(SHOWN)].join(", ");
            let _ = write!(text, "\n  {} x {reason}: {shown}{more}", names.len());
        }
        report(&text);
        assert!(self.ran > 0, "{what}: nothing ran\n{text}");
        let failed = self.failed.len();
        assert!(failed == 0, "{what}: {failed} of {} failed:\n  {}", self.ran, self.failed.join("\n  "));
    }
}
