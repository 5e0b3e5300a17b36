//! The size of tiles: lengths of the transforms along each axis, by what they are estimated to cost.

use std::sync::LazyLock;

use super::cost;
use super::phase::Phases;
use crate::problem::Direction;

/// Lengths tried along an axis where one, two or three axes have some.
const TRIED: [usize; 4] = [1, 160, 40, 16];

/// Images for which tiles are chosen where images are not summed over. Whatever the batch, an image then has the same transforms,
/// and so the same bits. With more images larger tiles would be cheaper, as filters are transformed once for all of them, with
/// fewer smaller ones: over common layers this choice is estimated at 13 per cent above the best for one image, 6 for sixteen.
const IMAGES: usize = 4;

/// Cells of the largest tile: numbers of a gigabyte, with its spectrum.
pub(super) const MOST_POINTS: usize = 1 << 26;

/// Cells of a tile that holds the taps and nothing more.
pub(super) fn least(axes: &[Phases; 3]) -> usize {
    axes.iter().map(Phases::most_taps).fold(1, usize::saturating_mul)
}

/// Complex numbers in the spectrum of a real tile.
pub(super) fn bins_of([depth, height, width]: [usize; 3]) -> usize {
    depth * height * (width / 2 + 1)
}

/// What is convolved, as far as the size of tiles depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) images: usize,
    pub(super) groups: usize,
    /// Channels of a group in the source and in the result.
    pub(super) channels: [usize; 2],
    pub(super) direction: Direction,
    /// Bytes of a number.
    pub(super) bytes: usize,
}

/// Overlapping tiles of the source. The `i`-th along an axis gives a phase's results from `i·kept` on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Tiling {
    pub(super) lengths: [usize; 3],
    /// Results of a tile.
    pub(super) kept: [usize; 3],
    /// Estimated time of a run on one thread, in nanoseconds: with the transforms of the filters, and without.
    pub(super) cost: [f64; 2],
}

impl Tiling {
    /// The cheapest, of a batch of [`IMAGES`] unless images are summed over; `None`: no tile of at most [`MOST_POINTS`] holds the
    /// taps.
    pub(super) fn new(axes: &[Phases; 3], load: &Load) -> Option<Self> {
        if least(axes) > MOST_POINTS {
            return None;
        }
        let several = axes.iter().filter(|axis| axis.result.max(axis.most_taps()) > 1).count().max(1);
        let runs = axes.each_ref().map(runs);
        let [outer, middle, inner] = [0, 1, 2].map(|at| {
            let tried = lengths(&axes[at], TRIED[several], at == 2);
            tried.into_iter().map(|length| Tried::new(&axes[at], &runs[at], length)).collect::<Vec<_>>()
        });
        let images = if load.direction == Direction::GradWeight { load.images } else { IMAGES };
        let usual = Load { images, ..*load };
        let filters: f64 = axes.iter().map(|axis| axis.taps.len() as f64).product();
        let mut best: Option<(f64, [&Tried; 3])> = None;
        for a in &outer {
            for b in &middle {
                for c in &inner {
                    let tried = [a, b, c];
                    if tried.iter().fold(1, |all: usize, one| all.saturating_mul(one.length)) > MOST_POINTS {
                        continue;
                    }
                    let [cost, _] = cost_of(tried, &usual, filters);
                    if best.is_none_or(|(least, _)| cost < least) {
                        best = Some((cost, tried));
                    }
                }
            }
        }
        best.map(|(_, tried)| Self {
            lengths: tried.map(|one| one.length),
            kept: tried.map(|one| one.kept),
            cost: cost_of(tried, load, filters),
        })
    }
}

/// A length along one axis.
#[derive(Clone, Copy, Debug)]
struct Tried {
    length: usize,
    /// Its logarithm to the base of 2.
    log: f64,
    /// Results of a tile.
    kept: usize,
    /// Tiles of all phases.
    tiles: f64,
}

impl Tried {
    fn new(axis: &Phases, runs: &[(usize, f64)], length: usize) -> Self {
        let kept = (length - axis.most_taps()) / axis.stride + 1;
        let tiles = runs.iter().map(|(count, phases)| count.div_ceil(kept) as f64 * phases).sum();
        Self { length, log: (length as f64).log2(), kept, tiles }
    }
}

fn cost_of(tried: [&Tried; 3], load: &Load, filters: f64) -> [f64; 2] {
    let tiles = tried.iter().map(|one| one.tiles).product::<f64>() * load.images as f64;
    let log = tried.iter().map(|one| one.log).sum();
    cost::of(load, (tried.map(|one| one.length), log), tiles, filters)
}

/// How many results phases have, and how many phases have so many.
fn runs(axis: &Phases) -> Vec<(usize, f64)> {
    // Earlier phases never have fewer, and none more than one more.
    axis.all.chunk_by(|a, b| a.count == b.count).map(|run| (run[0].count, run.len() as f64)).collect()
}

/// Lengths to try along an axis, no less than its taps and no more than takes it whole. Those of the last axis are even, as
/// transforms of odd real rows take twice the time.
fn lengths(axis: &Phases, most: usize, last: bool) -> Vec<usize> {
    let (taps, step) = (axis.most_taps(), if last { 2 } else { 1 });
    let whole = (axis.most_results().saturating_sub(1)).saturating_mul(axis.stride).saturating_add(taps);
    let start = taps.div_ceil(step).max(1);
    // More than this much longer than the taps, nothing is left to gain but that there is one tile.
    let end = whole.min(taps.saturating_mul(64).max(1 << 10)).min(MOST_POINTS).div_ceil(step).max(start);
    // From the first that holds the taps to the first that holds all.
    let smooth = smooth();
    let [from, to] = [start, end].map(|least| smooth.partition_point(|&length| length < least));
    let mut all: Vec<_> = smooth[from..=to].iter().map(|length| length * step).collect();
    if taps == 1 {
        all.insert(0, 1);
    }
    let every = all.len().div_ceil(most);
    let last = all.len() - 1;
    all.into_iter().enumerate().filter(|(at, _)| at % every == 0 || *at == last).map(|(_, len)| len).collect()
}

/// The numbers without a prime factor above 7, up to one past [`MOST_POINTS`].
fn smooth() -> &'static [usize] {
    static ALL: LazyLock<Vec<usize>> = LazyLock::new(|| {
        let powers = |of: usize| {
            move |from: usize| {
                std::iter::successors(Some(from), move |&n| n.checked_mul(of))
                    .take_while(|&n| n <= 2 * MOST_POINTS)
            }
        };
        let mut all: Vec<usize> =
            powers(2)(1).flat_map(powers(3)).flat_map(powers(5)).flat_map(powers(7)).collect();
        all.sort_unstable();
        all
    });
    &ALL
}

#[cfg(test)]
mod tests {
    use super::smooth;

    #[test]
    fn lengths_have_small_factors() {
        let slow = |least: usize| {
            let reduced = |n: usize| {
                [2, 3, 5, 7].iter().fold(n, |mut n, p| {
                    while n.is_multiple_of(*p) {
                        n /= p;
                    }
                    n
                })
            };
            (least..).find(|&n| reduced(n) == 1).expect("a power of two at last")
        };
        for least in (1..2000).chain([4095, 4097, 65_537, 96_000, 123_457]) {
            let first = smooth().partition_point(|&length| length < least);
            assert_eq!(smooth()[first], slow(least), "{least}");
        }
    }
}
