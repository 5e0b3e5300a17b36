//! How fast all threads together copy.

use std::time::{Duration, Instant};

use rayon::prelude::*;

/// Of one array: larger than most caches.
const BYTES: usize = 128 << 20;
/// What a thread copies at a time.
const CHUNK: usize = 1 << 17;
/// The fastest of so many copies counts.
const RUNS: usize = 7;

/// Bytes a second, those read and those written; `None` without the memory for it.
pub(crate) fn copy_bytes_per_second() -> Option<f64> {
    // Both at once, with a little left for all that is small: or the first one may take the last there is.
    let mut both = Vec::<u8>::new();
    both.try_reserve_exact(2 * BYTES + (1 << 20)).ok()?;
    // An allocation that nobody looks at may be left out.
    drop(std::hint::black_box(both));
    let from = filled(1)?;
    let mut to = filled(0)?;
    let mut best = Duration::MAX;
    for _ in 0..RUNS {
        let start = Instant::now();
        let pairs = to.par_chunks_mut(CHUNK).zip(from.par_chunks(CHUNK));
        pairs.for_each(|(to, from)| to.copy_from_slice(from));
        best = best.min(start.elapsed());
        // Whoever copies without effect is not timed.
        std::hint::black_box(&mut to);
    }
    (to == from).then(|| 2.0 * BYTES as f64 / best.as_secs_f64().max(1e-9))
}

fn filled(factor: u64) -> Option<Vec<u64>> {
    let mut words = Vec::new();
    words.try_reserve_exact(BYTES / 8).ok()?;
    words.extend((0..BYTES as u64 / 8).map(|i| i.wrapping_mul(factor)));
    Some(words)
}
