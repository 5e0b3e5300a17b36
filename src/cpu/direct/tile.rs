//! The innermost loops: the sums of one tile.

use rayon::prelude::*;

use super::row::{LANES, LaneGroup, RowLayout, Tap};
use super::sources::Pair;
use crate::cpu::Real;
use crate::cpu::memory::{OutOfMemory, zeros};
use crate::cpu::steps;
use crate::problem::to_usize;

/// The sums of a tile for one result channel.
pub(super) type Lanes<T> = [T; LANES];

/// Weights in the order in which [`packed`] reads them: for every block of `CB` result channels and every source
/// channel, the kernel's taps with `CB` weights each; zeros where a block is not full.
#[derive(Debug)]
pub(super) struct PackedFilters<T> {
    values: Vec<T>,
    per_source: usize,
    sources: usize,
}

impl<T: Real> PackedFilters<T> {
    /// `weight(block, source, tap, lane)` is the weight of lane `lane` of block `block`, if there is one.
    pub(super) fn new(
        [blocks, sources, taps, lanes]: [usize; 4],
        weight: impl Fn(usize, usize, usize, usize) -> Option<T> + Sync,
    ) -> Result<Self, OutOfMemory> {
        let per_source = taps * lanes;
        steps::count(blocks * sources * per_source);
        let mut values = zeros("weights laid out anew", blocks * sources * per_source)?;
        values.par_chunks_mut(per_source).enumerate().with_min_len(64).for_each(
            |(at, values): (_, &mut [T])| {
                let (block, source) = (at / sources, at % sources);
                for (i, value) in values.iter_mut().enumerate() {
                    *value = weight(block, source, i / lanes, i % lanes).unwrap_or_default();
                }
            },
        );
        Ok(Self { values, per_source, sources })
    }

    /// The weights of block `block` from source channel `source` on.
    pub(super) fn from(&self, block: usize, source: usize) -> &[T] {
        &self.values[(block * self.sources + source) * self.per_source..]
    }

    /// Weights that one source channel takes.
    pub(super) fn per_source(&self) -> usize {
        self.per_source
    }
}

/// What one tile reads: laid out source rows, `slots` per channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct TileReads<'a, T> {
    pub(super) arena: &'a [T],
    pub(super) slots: usize,
    pub(super) layout: &'a RowLayout,
    pub(super) pairs: &'a [Pair],
    pub(super) tile: &'a LaneGroup,
    /// Products that are added one after the other, before their sum is added to the others: see [`block_of`].
    pub(super) block: usize,
    /// Channels of a block, whatever others are in the arena.
    pub(super) channels: usize,
}

/// How many of `terms` products are added one after the other. Every addition to a sum of numbers of one sign may round the same
/// way: `n` of them are off by up to `n` roundings. Blocks of `√K`, and `√K` sums of blocks, are off by `2·√K`: the error bound.
pub(super) fn block_of(terms: u64) -> usize {
    to_usize(terms.isqrt()).max(64)
}

/// Adds the products of every channel in the arena to `CB` result channels at once. Cells that do not count are
/// zeros: right as long as all weights are finite.
pub(super) fn packed<T: Real, const CB: usize>(
    sums: &mut [Lanes<T>; CB],
    window: TileReads<'_, T>,
    weights: &[T],
    per_source: usize,
) {
    let TileReads { arena, slots, layout, pairs, tile, block, channels } = window;
    let taps = &layout.taps[tile.taps.clone()];
    steps::count(1);
    if taps.is_empty() || pairs.is_empty() {
        return;
    }
    // A block is some channels, or a part of one.
    let [pairs_at_once, taps_at_once] = if taps.len() * pairs.len() <= block {
        [pairs.len(), taps.len()]
    } else {
        let taps_at_once = taps.len().min(block);
        [(block / taps_at_once).min(pairs.len()), taps_at_once]
    };
    let rows = arena.chunks(slots * layout.len * channels);
    for (rows, weights) in rows.zip(weights.chunks(per_source * channels)) {
        for pairs in pairs.chunks(pairs_at_once) {
            for taps in taps.chunks(taps_at_once) {
                let block = SumBlock { rows, slots, layout, pairs, taps, shift: tile.shift };
                let added = block.sum::<CB>(weights, per_source);
                for (sums, added) in sums.iter_mut().zip(added) {
                    for (sum, added) in sums.iter_mut().zip(added) {
                        *sum += added;
                    }
                }
            }
        }
    }
}

/// Products that are added one after the other.
#[derive(Clone, Copy)]
struct SumBlock<'a, T> {
    rows: &'a [T],
    slots: usize,
    layout: &'a RowLayout,
    pairs: &'a [Pair],
    taps: &'a [Tap],
    shift: usize,
}

impl<T: Real> SumBlock<'_, T> {
    #[inline(always)]
    fn sum<const CB: usize>(self, weights: &[T], per_source: usize) -> [Lanes<T>; CB] {
        let SumBlock { rows, slots, layout, pairs, taps, shift } = self;
        let mut acc = [[T::default(); LANES]; CB];
        steps::count(LANES * CB * taps.len() * pairs.len() * (rows.len() / (slots * layout.len)));
        let add = |acc: &mut [Lanes<T>; CB], row: &[T], weights: &[T], tap: &Tap| {
            let (at, w) = (tap.base.wrapping_add(shift), &weights[tap.k * CB..]);
            // Both are always long enough; asking this way needs no check per element.
            let (Some(x), Some(w)) = (row[at..].first_chunk::<LANES>(), w.first_chunk::<CB>()) else {
                return;
            };
            for (acc, w) in acc.iter_mut().zip(w) {
                for (acc, x) in acc.iter_mut().zip(x) {
                    *acc += *w * *x;
                }
            }
        };
        let channels = rows.chunks_exact(slots * layout.len).zip(weights.chunks_exact(per_source));
        for (rows, weights) in channels {
            let of = |pair: &Pair| {
                let row = &rows[pair.slot * layout.len..][..layout.len];
                (row, &weights[pair.kernel_row * layout.kernel * CB..][..layout.kernel * CB])
            };
            // The longer loop is the inner one.
            if taps.len() < pairs.len() {
                for tap in taps {
                    for pair in pairs {
                        let (row, weights) = of(pair);
                        add(&mut acc, row, weights, tap);
                    }
                }
            } else {
                for pair in pairs {
                    let (row, weights) = of(pair);
                    for tap in taps {
                        add(&mut acc, row, weights, tap);
                    }
                }
            }
        }
        acc
    }
}

/// Where the weights of one result channel lie among all weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strides {
    /// From one source channel to the next.
    pub(super) source: usize,
    /// From one output position to the next: 0 when all share one filter.
    pub(super) position: usize,
    /// Positions in a row of `y`.
    pub(super) row: usize,
    /// Taps of the kernel.
    pub(super) taps: usize,
    pub(super) flip: bool,
}

/// The same for one result channel and any weights: skips what does not count, and looks up the weight of every output
/// position. `weights` begins at the first source channel in the arena.
pub(super) fn plain<T: Real>(sums: &mut Lanes<T>, window: TileReads<'_, T>, weights: &[T], strides: Strides) {
    let TileReads { arena, slots, layout, pairs, tile, block, channels } = window;
    let (mut acc, mut added) = ([T::default(); LANES], 0);
    let mut flush = |acc: &mut Lanes<T>| {
        for (sum, acc) in sums.iter_mut().zip(acc) {
            *sum += std::mem::take(acc);
        }
    };
    for (c, rows) in arena.chunks_exact(slots * layout.len).enumerate() {
        if c % channels == 0 {
            flush(&mut acc);
            added = 0;
        }
        for pair in pairs {
            let row = &rows[pair.slot * layout.len..][..layout.len];
            for tap in &layout.taps[tile.taps.clone()] {
                let at = tap.base.wrapping_add(tile.shift);
                let k = pair.kernel_row * layout.kernel + tap.k;
                let k = if strides.flip { strides.taps - 1 - k } else { k };
                if added == block {
                    flush(&mut acc);
                    added = 0;
                }
                added += 1;
                steps::count(LANES);
                for lane in 0..tile.cells.len() {
                    if tap.valid.contains(&(at + lane)) {
                        let column = tap.output.wrapping_add(tile.shift).wrapping_add(lane);
                        let position = (pair.output_row * strides.row + column) * strides.position;
                        acc[lane] += weights[c * strides.source + position + k] * row[at + lane];
                    }
                }
            }
        }
    }
    flush(&mut acc);
}
