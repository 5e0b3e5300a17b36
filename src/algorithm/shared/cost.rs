//! Estimates of time: of tiles, to choose between them, and of sums straight from the operands, to choose between those and
//! products of matrices. In thousandths of what one multiply-add takes a compute unit at its peak.
//!
//! What a device has more or less of than this says shifts both sides alike. Remainders that do not fill the device are not
//! counted, because the number of its units is a guess itself.

use super::roles::{Loop, Roles, has_table};
use crate::kernel::Tile;
use crate::problem::{Axis, ConvProblem, Direction};
use crate::target::Target;

/// Invocations that keep a compute unit busy: two workgroups of 256, whose registers are what a unit holds of 64 sums each.
/// With fewer it waits.
const BUSY: u64 = 512;

/// What an element of workgroup or cache traffic of a tile takes beside its instructions, in multiply-adds. A cache gives a
/// unit about an element for every sixteen of its multiply-adds, most of which products hide.
const TILE_LOAD: u128 = 4;

/// What an element takes that is read from memory or written to it for nothing but being laid out or added up.
const MEMORY: u128 = 16;

/// What a launch takes before and after its work: a few microseconds.
const LAUNCH: u128 = 1 << 18;

/// What a product takes in the direct kernel with its part of the addresses, and a load, which neighbours share in the cache
/// rather than in registers.
const DIRECT_PRODUCT: u128 = 2;
const DIRECT_LOAD: u128 = 8;

/// Products of a box of the direct kernel, roughly, into which it cuts a sum to fill a device.
const DIRECT_PART: u128 = 1 << 7;

/// Thousandths, so that no choice hangs on what a division cuts off.
pub(in crate::algorithm) const SCALE: u128 = 1000;

/// Launches that multiply, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::algorithm) struct Launches {
    pub(in crate::algorithm) count: u64,
    /// Tiles of the result in each.
    pub(in crate::algorithm) tiles: u64,
    /// Products of a sum in each, over all its parts.
    pub(in crate::algorithm) products: u64,
}

/// Invocations that fill the device.
pub(in crate::algorithm) fn busy(target: &Target) -> u64 {
    target.units().saturating_mul(BUSY)
}

/// Per cent of the vector issue slots of a step that are multiply-adds where bits tell what lies outside, by Mesa's compiler
/// for RDNA 2 (`benches/results/isa.json`).
fn share(tile: Tile) -> u128 {
    match (tile.rows, tile.depth) {
        (128, 16) => 85,
        (128, _) => 83,
        (64, _) => 81,
        _ => 70,
    }
}

/// Of one step of a tile: what it issues, what it loads.
fn step(tile: Tile) -> [u128; 2] {
    let [rows, columns, depth] = [tile.rows, tile.columns, tile.depth].map(u128::from);
    let issued = rows * columns * 100 * SCALE / share(tile);
    [issued, TILE_LOAD * (rows + columns) * SCALE].map(|one| one * depth)
}

/// Of launches in a row, with sums of `size` elements that are cut into `parts`.
pub(in crate::algorithm) fn products(
    target: &Target,
    tile: Tile,
    launches: &[Launches],
    (parts, size): (u64, u64),
) -> u128 {
    // So many tiles issue what they do in no more time than one, but do not load it.
    let at_once = u128::from(busy(target) / u64::from(tile.invocations()));
    let [issued, loaded] = step(tile);
    let of = |launches: &Launches| {
        let tiles = u128::from(launches.tiles).saturating_mul(parts.into());
        let each = issued.saturating_mul(tiles.max(at_once)).saturating_add(loaded.saturating_mul(tiles));
        let steps = launches.products.div_ceil(parts.max(1)).div_ceil(tile.depth.into());
        let time = shared(target, each.saturating_mul(steps.into()));
        time.saturating_add(LAUNCH * SCALE).saturating_mul(launches.count.into())
    };
    let all = launches.iter().map(of).fold(0, u128::saturating_add);
    let sums = if parts > 1 { copied(target, u128::from(size).saturating_mul(parts.into())) } else { 0 };
    all.saturating_add(sums)
}

/// Of work that all units share.
fn shared(target: &Target, work: u128) -> u128 {
    work / u128::from(target.units())
}

/// Of a launch that reads and writes so many elements.
fn copied(target: &Target, elements: u128) -> u128 {
    shared(target, elements.saturating_mul(2 * MEMORY * SCALE)).saturating_add(LAUNCH * SCALE)
}

/// Of what every run lays out before it multiplies: the factors of a gradient by the weight, a padded input.
pub(in crate::algorithm) fn laid_out(problem: &ConvProblem, target: &Target) -> u128 {
    let factors = if problem.direction() == Direction::GradWeight {
        copied(target, problem.output().len().into())
    } else {
        0
    };
    let padded = if has_table(problem) { copied(target, problem.input().len().into()) } else { 0 };
    factors.saturating_add(padded)
}

/// Of sums straight from the operands, in the first configuration of `Direct`.
pub(in crate::algorithm) fn direct(problem: &ConvProblem, roles: &Roles, target: &Target) -> u128 {
    let results = u128::from(problem.result().len());
    if results == 0 {
        return 0;
    }
    let busy = u128::from(busy(target));
    let [z, y, x] = &roles.axes;
    let count = |axis: &Loop, tile: u64| u128::from(axis.cells().div_ceil(tile)) * axis.phases.len() as u128;
    let tiles = |(channels, cells): (u64, u64)| {
        let rows = u128::from(roles.channels.div_ceil(channels)).saturating_mul(roles.groups.into());
        let factors = [count(z, 1), count(y, 1), count(x, cells), roles.images.into()];
        factors.into_iter().fold(rows, u128::saturating_mul)
    };
    let fits = |&(channels, cells): &(u64, u64)| {
        (channels == 1 || roles.channels >= 3) && (cells == 1 || x.cells() >= 3)
    };
    // The largest first, then by how far a small problem stays from filling the device.
    let configs = [(4, 4), (4, 1), (1, 4), (1, 1)].into_iter().filter(fits);
    let (channels, cells) = configs.min_by_key(|&tile| busy.saturating_sub(tiles(tile))).unwrap_or((1, 1));
    let tiles = tiles((channels, cells));
    let product = DIRECT_PRODUCT * u128::from(channels * cells) + DIRECT_LOAD * u128::from(channels + cells);
    let per_cell = reached(problem) / results;
    let parts = busy.div_ceil(tiles.max(1)).min(per_cell / DIRECT_PART).max(1);
    let tiles = tiles.max(busy / parts);
    // At least one product: an empty sum is stored too.
    let work = tiles.saturating_mul(product * SCALE).saturating_mul(per_cell.max(1));
    let fold = if parts > 1 { copied(target, results.saturating_mul(parts)) } else { 0 };
    shared(target, work).saturating_add(LAUNCH * SCALE).saturating_add(fold)
}

/// Products of cells inside the input, roughly: the direct kernel leaves out the others.
fn reached(problem: &ConvProblem) -> u128 {
    let along = |axis: &Axis| {
        let (outputs, taps) = (u128::from(axis.output), u128::from(axis.kernel));
        let inside = |step: u64| u128::from(axis.input.div_ceil(step.max(1)));
        outputs.saturating_mul(taps.min(inside(axis.dilation))).min(taps.saturating_mul(inside(axis.stride)))
    };
    let channels = u128::from(problem.c_out()).saturating_mul((problem.c_in() / problem.groups()).into());
    let all = channels.saturating_mul(problem.n().into());
    problem.axes().iter().map(along).fold(all, u128::saturating_mul)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_the_machine_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results/isa.json");
        let text = std::fs::read_to_string(path).expect("the counts");
        let counts: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        for tile in Tile::ALL {
            let Tile { rows, columns, depth, fours: (m, n) } = tile;
            let name = format!("BM-{rows}__BN-{columns}__BK-{depth}__SM-{m}__SN-{n}__CHECK-1");
            let name = format!("implicit_gemm__{name}__Scalar-f32__Scalar4-vec4f__Sum-f32");
            let families = counts["kernels"][&name].as_array().expect("families");
            let rdna2 = families.iter().find(|one| one["family"] == "NAVI21").expect("RDNA 2");
            let counted = rdna2["step_fma_share"].as_f64().expect("a share");
            assert!((counted * 100.0).round() == share(tile) as f64, "{name}: {counted}");
        }
    }
}
