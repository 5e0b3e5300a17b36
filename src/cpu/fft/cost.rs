//! What things cost, in nanoseconds on one thread: measured on a 2.6 GHz Zen 4 core, where only ratios matter.

use super::tiling::{Load, bins_of};
use crate::problem::{ConvProblem, Direction};

/// A number of a tile, per doubling of its transform, forth or back, in f32; f64 takes twice that.
const STAGE: f64 = 0.13;
/// A number of a tile for all that is done once: gathered, transposed, packed, stored.
const CELL: f64 = 1.6;
/// A tile, or a row of one.
const TILE: f64 = 400.0;
const ROW: f64 = 12.0;
/// A product of two complex numbers and its addition.
const PRODUCT: f64 = 0.3;
/// Bytes of a tile that stay in the second cache; a tile beyond takes this much longer.
const CACHE: f64 = 512.0 * 1024.0;
const BEYOND: f64 = 1.4;

/// A product of `Direct` in f32; of a single channel, where no value is used twice while it is at hand, it takes longer.
const DIRECT: f64 = 0.12;
const DIRECT_SINGLE: f64 = 0.3;
/// `Direct`, in the same nanoseconds.
pub(in crate::cpu) fn direct(problem: &ConvProblem) -> f64 {
    let groups = problem.groups();
    let is_single = problem.c_in() == groups && problem.c_out() == groups;
    let is_weight = problem.direction() == Direction::GradWeight;
    let product = if is_single && !is_weight { DIRECT_SINGLE } else { DIRECT };
    problem.macs() as f64 * product * problem.element().bytes() as f64 / 4.0
}

/// With the transforms of the filters, and without: of tiles of these lengths, whose points have this logarithm to the base of 2.
pub(super) fn of(load: &Load, (lengths, log): ([usize; 3], f64), tiles: f64, filters: f64) -> [f64; 2] {
    let [source, result] = load.channels.map(|channels| channels as f64);
    let (groups, bins) = (load.groups as f64, bins_of(lengths) as f64);
    let wide = load.bytes as f64 / 4.0;
    let transform = transform(lengths, log, load.bytes);
    let products = source * result * bins * PRODUCT * wide;
    let kernels = source * result * filters * transform;
    let once = groups * tiles * ((source + result) * transform + products);
    match load.direction {
        // The gradient has as many spectra as there are filters.
        Direction::GradWeight => [once + groups * kernels; 2],
        _ => [once + groups * kernels, once],
    }
}

/// A tile from cells to spectrum or back.
fn transform(lengths: [usize; 3], log: f64, bytes: usize) -> f64 {
    let points = lengths.iter().product::<usize>() as f64;
    let wide = bytes as f64 / 4.0;
    let rows = (lengths[0] * lengths[1]) as f64;
    let slow = if points * bytes as f64 > CACHE { BEYOND } else { 1.0 };
    TILE + ROW * rows + points * (STAGE * log + CELL) * wide * slow
}
