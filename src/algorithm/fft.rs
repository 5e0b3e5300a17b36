//! `Fft`: the convolution as products of spectra. Tiles of the gathered tensor, as long as a transform and overlapping by the
//! kernel less one, are transformed (`fft_forward.wgsl`), multiplied with the spectra of the factors, one complex matrix product
//! per frequency (`fft_gemm.wgsl`), and transformed back (`fft_inverse.wgsl`); of each tile the cells are kept that its wrapping
//! around leaves alone: overlap-save. Where one channel is summed over, the product is made as it is loaded. The gradient by the
//! weight cuts the sum over cells into tiles instead, and sums their products before one transform back.
//!
//! Spectra of the weights are prepared. What is dense is transformed: a dilation makes sub-images, a stride is what is kept of the
//! cells. Axes longer than workgroup memory holds go through memory once more (`fft_axis.wgsl`).

mod config;
mod geometry;
mod launches;
mod memory;

use super::shared::im2col::Padded;
use super::shared::roles::{Roles, all_phases, is_folded, written_extents};
use super::shared::{MAX_INDEX, check_device, check_sizes, compact_strides, count, fold, proportion, tables};
use super::{Config, Resource, Unsupported};
use crate::kernel::fft::{AxisSpec, Block, root};
use crate::problem::{ConvProblem, Direction, Element};
use crate::program::{Buffer, Program, Table};
use crate::target::{DeviceClass, Target};

pub use config::FftConfig;
use config::FftWork;
use geometry::Lines;
use launches::FftLaunches;
use memory::FftSizes;

/// Most combinations of sub-images and phases: each is transforms of its own.
const MAX_PARTS: u64 = 64;

/// Storage buffers of a launch.
const BUFFERS: u32 = 6;

/// How much less than sums straight from the operands it must be estimated to take. The estimate was not compared with a GPU's
/// clock yet, so it errs towards what is exact.
const MARGIN: u64 = 3;

/// Where kernels are dense and large enough that products of spectra are far fewer than products of taps.
pub(super) fn suited(problem: &ConvProblem, target: &Target) -> Result<(), Unsupported> {
    // A barrier costs a software device what a hundred products do.
    if target.device_class == DeviceClass::Software {
        return Err(Unsupported::Barriers);
    }
    accepts(problem, target)?;
    let (lines, work) = described(problem, target, &roles(problem, &problem.result().strides).0);
    let cost = config::candidates(&lines, &work, target).first().map_or(u64::MAX, |&(cost, _)| cost);
    let direct = config::direct_cost(problem.macs(), problem.bytes());
    Unsupported::past("estimated operations and bytes by spectra", cost, direct / MARGIN)
}

pub(super) fn candidates(problem: &ConvProblem, target: &Target) -> Result<Vec<Config>, Unsupported> {
    accepts(problem, target)?;
    let (lines, work) = described(problem, target, &roles(problem, &problem.result().strides).0);
    let mut first = None;
    let mut found = Vec::new();
    for (_, config) in config::candidates(&lines, &work, target) {
        let sizes = check_steps(problem, &lines, &work, &config);
        match sizes.and_then(|()| FftSizes::new(problem, target, &lines, &work, &config)) {
            Ok(_) => found.push(Config::Fft(config)),
            Err(why) => first = first.or(Some(why)),
        }
    }
    if found.is_empty() {
        // The innermost axis is the one that needs most.
        let [z, y, x] = lines.most(|line| line.least(work.tiles_summed));
        let across = (Resource::TransformSamplesAcross, z.max(y), config::most_across(target));
        let along = (Resource::TransformSamples, x, config::MAX_LENGTH);
        let (resource, needed, limit) = if across.1 > across.2 { across } else { along };
        return Err(first.unwrap_or(Unsupported::Limit { resource, needed, limit }));
    }
    Ok(found)
}

/// Declines what no transform can run.
fn accepts(problem: &ConvProblem, target: &Target) -> Result<(), Unsupported> {
    if problem.unshared() {
        return Err(Unsupported::Unshared);
    }
    if problem.element() != Element::F32 {
        return Err(Unsupported::Element { element: problem.element() });
    }
    check_device(problem, target, &[], BUFFERS)?;
    // Counted before they are made.
    let phases = all_phases(problem);
    if phases > MAX_PARTS {
        return Err(Unsupported::Limit { resource: Resource::Phases, needed: phases, limit: MAX_PARTS });
    }
    check_sizes(problem, target, tables::words(problem))?;
    let roles = Roles::new(problem, &problem.result().strides);
    let parts = roles.axes.iter().map(geometry::count).fold(1, u64::saturating_mul);
    if parts > MAX_PARTS {
        let resource = Resource::SubImages;
        return Err(Unsupported::Limit { resource, needed: parts, limit: MAX_PARTS });
    }
    Ok(())
}

/// Declines tiles that are out of proportion to what they hold.
fn check_steps(
    problem: &ConvProblem,
    lines: &Lines,
    work: &FftWork,
    config: &FftConfig,
) -> Result<(), Unsupported> {
    let steps = work.steps(&lines.parts(), config);
    proportion::check(problem, steps.saturating_add(proportion::laid_out(problem)))
}

/// The dense correlations of the problem and how much there is of them.
fn described(problem: &ConvProblem, target: &Target, roles: &Roles) -> (Lines, FftWork) {
    let tiles_summed = problem.direction() == Direction::GradWeight;
    let lines = Lines::new(roles, tiles_summed, config::most_across(target));
    (lines, FftWork::new(roles, tiles_summed))
}

/// The roles of the problem: of the input with its boundary written out, where that is not zero.
fn roles(problem: &ConvProblem, strides: &[u64]) -> (Roles, Option<Padded>) {
    let mut roles = Roles::new(problem, strides);
    let padded = Padded::of(problem);
    if let Some(padded) = &padded {
        padded.replace(problem, &mut roles);
    }
    (roles, padded)
}

pub(super) fn lower(
    problem: &ConvProblem,
    target: &Target,
    config: FftConfig,
) -> Result<Program, Unsupported> {
    accepts(problem, target)?;
    let written = written_extents(problem);
    let folded = is_folded(problem);
    let strides = if folded { compact_strides(&written) } else { problem.result().strides.clone() };
    let (roles, padded) = roles(problem, &strides);
    let (lines, work) = described(problem, target, &roles);
    if !config::holds(&lines, work.tiles_summed, &config, target) {
        // What no transform can run has another reason; it may be one for pieces, of the first of which this is.
        candidates(problem, target)?;
        return Err(Unsupported::Config { config: Config::Fft(config).to_string() });
    }
    let needs = [
        (config.block.invocations(), Resource::Invocations),
        (config.block.workgroup_bytes(), Resource::WorkgroupBytes),
    ];
    check_device(problem, target, &needs, BUFFERS)?;
    check_steps(problem, &lines, &work, &config)?;
    let sizes = FftSizes::new(problem, target, &lines, &work, &config)?;
    if problem.result().is_empty() {
        return Ok(Program::default());
    }
    let size = written.iter().fold(1u64, |product, &e| product.saturating_mul(e));
    let mut program = Program { tables: tables_of(problem, &config), ..Program::default() };
    let fft = FftLaunches::new(
        problem,
        target,
        (&roles, padded.as_ref()),
        &config,
        (&sizes, folded, size),
        &program.tables,
    );
    let workspace = fft.workspace();
    let (prepare, prepared, launches) = fft.program(&lines, &work)?;
    (program.workspace, program.prepared, program.prepare, program.launches) =
        (workspace, prepared, prepare, launches);
    if folded {
        fold::append(&mut program, problem, target, &written, (fold::Parts::of(1), size))?;
    }
    Ok(program)
}

/// A piece of a problem: with transforms of its own where those of the first piece are too short for it.
pub(super) fn lower_piece(
    problem: &ConvProblem,
    target: &Target,
    config: FftConfig,
) -> Result<Program, Unsupported> {
    let is_other = |why: &Unsupported| matches!(why, Unsupported::Config { .. });
    match lower(problem, target, config) {
        Err(why) if is_other(&why) => match candidates(problem, target)?.first() {
            Some(&Config::Fft(own)) => lower(problem, target, own),
            _ => Err(why),
        },
        other => other,
    }
}

/// Places of the tables in the program.
mod table {
    /// Of taps and of the boundary, for a padded input.
    pub(super) const TAPS: usize = 0;
    pub(super) const BOUNDARY: usize = 1;
    /// The frequencies of a block and the roots of its passes.
    pub(super) const BLOCK: usize = 2;
    /// The roots of the passes of z, y and x through memory.
    pub(super) const OUTER: usize = 3;
    /// Factors between both parts of the innermost axis.
    pub(super) const TWIDDLES: usize = 6;
}

fn tables_of(problem: &ConvProblem, config: &FftConfig) -> Vec<Table> {
    let table = |name, mut words: Vec<u32>| {
        words.resize(words.len().max(4), 0);
        Table { name, words }
    };
    let outer = |&n: &u32| {
        table(
            "roots through memory",
            if n > 1 { AxisSpec { length: n, product: false }.roots() } else { Vec::new() },
        )
    };
    let [_, _, length] = config.lengths();
    let split = if is_split(config, 2) { length } else { 0 };
    let mut all = vec![
        table("taps", Vec::new()),
        table("boundary", tables::boundary(problem)),
        table("frequencies and roots", [bins(config.block).concat(), config.block.roots()].concat()),
    ];
    all.extend(config.outer.iter().map(outer));
    all.push(table("twiddles", (0..split).flat_map(|i| root(i, split)).collect()));
    all
}

/// Whether an axis is transformed partly in workgroup memory, partly through memory.
fn is_split(config: &FftConfig, axis: usize) -> bool {
    config.outer[axis] > 1 && config.block.0[axis] > 1
}

/// Of every frequency `u` of a block and `-u` the first one, and the other: the spectrum of real samples has conjugates at both.
fn bins(block: Block) -> Vec<[u32; 2]> {
    let [z, y, x] = block.0;
    let negative = |at: u32, of: u32| (of - at) % of;
    let index = |uz: u32, uy: u32, ux: u32| (uz * y + uy) * x + ux;
    let mut bins = Vec::new();
    for (uz, uy, ux) in (0..z).flat_map(|uz| (0..y).flat_map(move |uy| (0..x).map(move |ux| (uz, uy, ux)))) {
        let (own, other) = (index(uz, uy, ux), index(negative(uz, z), negative(uy, y), negative(ux, x)));
        if own <= other {
            bins.push([own, other]);
        }
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_hold_every_frequency_once() {
        for block in Block::all() {
            let mut seen = vec![0; block.points() as usize];
            for [own, other] in bins(block) {
                seen[own as usize] += 1;
                seen[other as usize] += i32::from(other != own);
            }
            assert!(seen.iter().all(|&times| times == 1), "{block:?}");
        }
    }
}
