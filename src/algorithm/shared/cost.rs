//! What launches are estimated to take, by the model of a device: what they issue, what they load, what they wait for.
//!
//! Remainders that do not fill the device are not counted, because the number of its units is a guess itself.

use super::roles::has_table;
use crate::implementation::{Estimate, PlanContext};
use crate::kernel::Tile;
use crate::problem::{Axis, ConvProblem, Direction, TensorLayout};
use crate::target::Target;

/// Invocations that keep a compute unit busy: two workgroups of 256, whose registers are what a unit holds of 64 sums each.
/// With fewer it waits.
const BUSY: u64 = 512;

/// Invocations of the workgroup that a barrier of the model is of.
const OF_BARRIER: f64 = 256.0;

/// Multiply-adds that take a tile as long as an element of workgroup or cache traffic, beside its instructions. A cache gives a
/// unit about an element for every sixteen of its multiply-adds, most of which products hide.
const TILE_LOAD: f64 = 4.0;

/// Barriers of a step of a tile: before it is multiplied and after.
const TILE_BARRIERS: f64 = 2.0;

/// Issue slots of an invocation of a tile before its first step, most of which it waits for memory, and of a result for its
/// epilogue.
const TILE_START: f64 = 600.0;
const TILE_RESULT: f64 = 25.0;

/// Issue slots of the direct kernel by its machine code (`benches/results/isa.json`): of a tile for where it lies, of a result for
/// its epilogue, of a tap for what lies outside where it has four cells or one, of a channel of a tap, and of a load, of which a unit
/// issues one every fourth clock.
const DIRECT_TILE: f64 = 100.0;
const DIRECT_RESULT: f64 = 25.0;
const DIRECT_TAP: [f64; 2] = [24.0, 4.0];
const DIRECT_STEP: f64 = 4.0;
const DIRECT_LOAD: f64 = 5.0;

/// Issue slots of an element that is added up, of eight divisions for where it lies, and of one that is laid out anew.
const FOLDED: f64 = 290.0;
const LAID_OUT: f64 = 60.0;

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

/// The share of the vector issue slots of a step that are multiply-adds where bits tell what lies outside, by Mesa's compiler
/// for RDNA 2 (`benches/results/isa.json`).
fn share(tile: Tile) -> f64 {
    match (tile.rows, tile.depth) {
        (128, 16) => 0.85,
        (128, _) => 0.83,
        (64, _) => 0.81,
        _ => 0.70,
    }
}

/// What issues so many slots and meanwhile moves so many bytes, of the whole device: a slot is what a multiply-add takes.
pub(in crate::algorithm) fn worked(context: &PlanContext, slots: f64, bytes: f64) -> Estimate {
    let model = &context.model;
    Estimate::from_secs((slots / model.fma_per_s).max(bytes / model.bytes_per_s))
}

/// So many launches, beside their work.
pub(in crate::algorithm) fn launched(context: &PlanContext, launches: u64) -> Estimate {
    Estimate::from_secs(launches as f64 * context.model.launch_s)
}

/// So many barriers of workgroups of so many invocations.
pub(in crate::algorithm) fn waited(context: &PlanContext, barriers: f64, invocations: u32) -> Estimate {
    let each = context.model.barrier_s * f64::from(invocations) / OF_BARRIER;
    Estimate::from_secs(barriers * each / context.model.compute_units)
}

/// A launch that adds up `copies` of `elements` sums in f32 which were written a moment ago: both.
pub(in crate::algorithm) fn added_up(context: &PlanContext, elements: f64, copies: f64) -> Estimate {
    // Written and read.
    let cached = context.model.bytes_per_s / context.model.cached_bytes_per_s;
    launched(context, 1) + worked(context, elements * FOLDED, elements * copies * 8.0 * cached)
}

/// Launches in a row that move so many bytes together, with sums of `size` elements that are cut into `parts`.
pub(in crate::algorithm) fn products(
    context: &PlanContext,
    tile: Tile,
    launches: &[Launches],
    bytes: u64,
    (parts, size): (u64, u64),
) -> Estimate {
    // So many tiles issue what they do in no more time than one, but do not load it.
    let at_once = (busy(&context.target) / u64::from(tile.invocations())) as f64;
    let [rows, columns, depth] = [tile.rows, tile.columns, tile.depth].map(f64::from);
    let [multiplied, loaded] = [rows * columns / share(tile), TILE_LOAD * (rows + columns)];
    let once = TILE_START * f64::from(tile.invocations()) + TILE_RESULT * rows * columns;
    let (mut slots, mut barriers, mut count) = (0.0, 0.0, 0);
    for launches in launches {
        let tiles = launches.tiles as f64 * parts as f64;
        let steps = launches.products.div_ceil(parts.max(1)).div_ceil(tile.depth.into()) as f64;
        let times = launches.count as f64;
        let of_tile = multiplied * depth * steps + once;
        slots += times * (of_tile * tiles.max(at_once) + loaded * depth * steps * tiles);
        barriers += times * TILE_BARRIERS * steps * tiles;
        count += launches.count;
    }
    let all = worked(context, slots, bytes as f64)
        + waited(context, barriers, tile.invocations())
        + launched(context, count);
    if parts > 1 { all + added_up(context, size as f64, parts as f64) } else { all }
}

/// A launch that reads a tensor and lays it out anew.
fn copied(context: &PlanContext, problem: &ConvProblem, tensor: &TensorLayout) -> Estimate {
    let (elements, bytes) = (tensor.len() as f64, problem.element().bytes() as f64);
    launched(context, 1) + worked(context, elements * LAID_OUT, 2.0 * elements * bytes)
}

/// The padded input, where a run lays it out.
pub(in crate::algorithm) fn laid_out_input(context: &PlanContext, problem: &ConvProblem) -> Estimate {
    if has_table(problem) { copied(context, problem, problem.input()) } else { Estimate::default() }
}

/// The filter of a gradient with respect to the weight, which every run lays out before it multiplies.
pub(in crate::algorithm) fn laid_out_filter(context: &PlanContext, problem: &ConvProblem) -> Estimate {
    let is_weight = problem.direction() == Direction::GradWeight;
    if is_weight { copied(context, problem, problem.output()) } else { Estimate::default() }
}

/// What an invocation of the direct kernel has.
pub(in crate::algorithm) struct DirectInvocation {
    /// Channels and cells of its tile.
    pub(in crate::algorithm) tile: [u32; 2],
    /// Channels summed over, and how many a load brings.
    pub(in crate::algorithm) summed: u64,
    pub(in crate::algorithm) lanes: u32,
    /// Lines of a cache that neighbours read at once of the source and of the filter.
    pub(in crate::algorithm) lines: [u64; 2],
}

/// Sums straight from the operands, in `tiles` whose sums are cut into `parts`.
pub(in crate::algorithm) fn direct(
    context: &PlanContext,
    problem: &ConvProblem,
    each: &DirectInvocation,
    (tiles, parts): (u64, u64),
) -> Estimate {
    let results = problem.result().len() as f64;
    if results == 0.0 {
        return Estimate::default();
    }
    let tap = DIRECT_TAP[usize::from(each.tile[1] == 1)];
    let ([channels, cells], lanes, parts) = (each.tile.map(f64::from), f64::from(each.lanes), parts as f64);
    let more = context.model.line_slots;
    let [of_source, of_filter] = each.lines.map(|lines| DIRECT_LOAD + more * (lines - 1) as f64);
    let loads = cells * of_source + channels * of_filter;
    let step = channels * cells * lanes + DIRECT_STEP + channels + cells + loads;
    let of_result = reached(problem) / results;
    let sum = of_result / (each.summed.max(1) as f64) * tap + of_result / lanes * step;
    let once = DIRECT_TILE + DIRECT_RESULT * channels * cells;
    // So many invocations take no longer than one.
    let full = busy(&context.target) as f64;
    let slots = (tiles as f64 * parts).max(full) * (sum / parts + once);
    let added = if parts > 1.0 { added_up(context, results, parts) } else { Estimate::default() };
    worked(context, slots, problem.bytes() as f64) + launched(context, 1) + added
}

/// Products of cells inside the input, roughly: the direct kernel leaves out the others.
fn reached(problem: &ConvProblem) -> f64 {
    let along = |axis: &Axis| {
        let [outputs, taps] = [axis.output, axis.kernel].map(|n| n as f64);
        let inside = |step: u64| axis.input.div_ceil(step.max(1)) as f64;
        (outputs * taps.min(inside(axis.dilation))).min(taps * inside(axis.stride))
    };
    let channels = problem.c_out() as f64 * (problem.c_in() / problem.groups()) as f64;
    problem.axes().iter().map(along).fold(channels * problem.n() as f64, |all, one| all * one)
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
            assert!(((counted - share(tile)) * 200.0).abs() <= 1.0, "{name}: {counted}");
        }
    }
}
