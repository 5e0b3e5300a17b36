//! The innermost loops: the sums of one tile.

use rayon::prelude::*;

use super::row::{LANES, RowLayout, Tile};
use super::sources::Pair;
use crate::cpu::Real;

/// The sums of a tile for one result channel.
pub(super) type Lanes<T> = [T; LANES];

/// Weights in the order in which [`packed`] reads them: for every block of `CB` result channels and every source
/// channel, the kernel's taps with `CB` weights each; zeros where a block is not full.
#[derive(Debug)]
pub(super) struct Packed<T> {
    values: Vec<T>,
    per_source: usize,
    sources: usize,
}

impl<T: Real> Packed<T> {
    /// `weight(block, source, tap, lane)` is the weight of lane `lane` of block `block`, if there is one.
    pub(super) fn new(
        [blocks, sources, taps, lanes]: [usize; 4],
        weight: impl Fn(usize, usize, usize, usize) -> Option<T> + Sync,
    ) -> Self {
        let per_source = taps * lanes;
        let mut values = vec![T::default(); blocks * sources * per_source];
        values.par_chunks_mut(per_source).enumerate().with_min_len(64).for_each(|(at, values)| {
            let (block, source) = (at / sources, at % sources);
            for (i, value) in values.iter_mut().enumerate() {
                *value = weight(block, source, i / lanes, i % lanes).unwrap_or_default();
            }
        });
        Self { values, per_source, sources }
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
pub(super) struct Window<'a, T> {
    pub(super) arena: &'a [T],
    pub(super) slots: usize,
    pub(super) layout: &'a RowLayout,
    pub(super) pairs: &'a [Pair],
    pub(super) tile: &'a Tile,
}

/// Adds the products of every channel in the arena to `CB` result channels at once. Cells that do not count are
/// zeros: right as long as all weights are finite.
pub(super) fn packed<T: Real, const CB: usize>(
    sums: &mut [Lanes<T>; CB],
    window: Window<'_, T>,
    weights: &[T],
    per_source: usize,
) {
    let Window { arena, slots, layout, pairs, tile } = window;
    let (shift, taps) = (tile.shift, &layout.taps[tile.taps.clone()]);
    let kernel_width = |row: usize| row * layout.kernel * CB;
    let mut acc = *sums;
    for (rows, weights) in arena.chunks_exact(slots * layout.len).zip(weights.chunks_exact(per_source)) {
        for pair in pairs {
            let row = &rows[pair.slot * layout.len..][..layout.len];
            let weights = &weights[kernel_width(pair.kernel_row)..][..layout.kernel * CB];
            for tap in taps {
                let (at, w) = (tap.base.wrapping_add(shift), &weights[tap.k * CB..]);
                // Both are always long enough; asking this way needs no check per element.
                let (Some(x), Some(w)) = (row[at..].first_chunk::<LANES>(), w.first_chunk::<CB>()) else {
                    continue;
                };
                for (acc, w) in acc.iter_mut().zip(w) {
                    for (acc, x) in acc.iter_mut().zip(x) {
                        *acc += *w * *x;
                    }
                }
            }
        }
    }
    *sums = acc;
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
pub(super) fn plain<T: Real>(sums: &mut Lanes<T>, window: Window<'_, T>, weights: &[T], strides: Strides) {
    let Window { arena, slots, layout, pairs, tile } = window;
    for (c, rows) in arena.chunks_exact(slots * layout.len).enumerate() {
        for pair in pairs {
            let row = &rows[pair.slot * layout.len..][..layout.len];
            for tap in &layout.taps[tile.taps.clone()] {
                let at = tap.base.wrapping_add(tile.shift);
                let k = pair.kernel_row * layout.kernel + tap.k;
                let k = if strides.flip { strides.taps - 1 - k } else { k };
                for lane in 0..tile.cells.len() {
                    if tap.valid.contains(&(at + lane)) {
                        let column = tap.output.wrapping_add(tile.shift).wrapping_add(lane);
                        let position = (pair.output_row * strides.row + column) * strides.position;
                        sums[lane] += weights[c * strides.source + position + k] * row[at + lane];
                    }
                }
            }
        }
    }
}
