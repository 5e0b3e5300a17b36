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
use super::shared::roles::{Roles, all_phases, is_folded, written_elements, written_extents};
use super::shared::{
    MAX_INDEX, check_device, check_sizes, compact_strides, cost, count, fold, proportion, tables,
};
use super::{Algorithm, Candidate, Cannot, Config, Implementation, PlanContext, Resource};
use crate::implementation::Estimate;
use crate::kernel::fft::{AxisSpec, Block, root};
use crate::problem::{ConvProblem, Direction, Element};
use crate::program::{Buffer, Program, Table};
use crate::target::Target;

pub use config::FftConfig;
use config::FftWork;
use geometry::{DenseLine, Lines};
use launches::FftLaunches;
use memory::FftSizes;

/// Most combinations of sub-images and phases: each is transforms of its own.
const MAX_PARTS: u64 = 64;

/// Storage buffers of a launch.
const BUFFERS: u32 = 6;

/// The implementation.
#[derive(Clone, Copy)]
pub(super) struct GpuFft;

impl Implementation<Program> for GpuFft {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Fft
    }

    fn plan(&self, problem: &ConvProblem, context: &PlanContext) -> Result<Vec<Candidate<Program>>, Cannot> {
        let target = &context.target;
        accepts(problem, target)?;
        let (lines, work) = described(problem, target, &roles(problem, &problem.result().strides).0);
        let parts = lines.parts();
        let (mut candidates, mut why) = (Vec::new(), None);
        for config in config::candidates(&lines, &parts, &work, target) {
            match candidate(problem, context, &parts, &work, config) {
                Ok(mut candidate) => {
                    // Ranked for a usual batch: by none other is an earlier one slower, or bits would depend on the batch.
                    candidate.estimate = at_least(candidates.last(), candidate.estimate);
                    candidates.push(candidate);
                }
                Err(reason) => why = why.or(Some(reason)),
            }
        }
        if candidates.is_empty() {
            // The innermost axis is the one that needs most.
            let [z, y, x] = lines.most(|line| line.least(work.tiles_summed));
            let across = (Resource::TransformSamplesAcross, z.max(y), config::most_across(target));
            let along = (Resource::TransformSamples, x, config::MAX_LENGTH);
            let (resource, needed, limit) = if across.1 > across.2 { across } else { along };
            return Err(why.unwrap_or(Cannot::Limit { resource, needed, limit }));
        }
        Ok(candidates)
    }
}

/// No less than that of the candidate before.
fn at_least(before: Option<&Candidate<Program>>, estimate: Estimate) -> Estimate {
    before.map_or(estimate, |before| if before.estimate > estimate { before.estimate } else { estimate })
}

fn candidate(
    problem: &ConvProblem,
    context: &PlanContext,
    parts: &[[DenseLine; 3]],
    work: &FftWork,
    config: FftConfig,
) -> Result<Candidate<Program>, Cannot> {
    check_steps(problem, parts, work, &config)?;
    let sizes = FftSizes::new(problem, context, parts, work, &config)?;
    let estimate = work.estimate(context, parts, &config)
        + cost::launched(context, sizes.launches)
        + cost::laid_out_input(context, problem);
    Ok(Candidate::new(Config::new(config), estimate, move |problem, context| {
        lower(problem, &context.target, config, &sizes)
    }))
}

impl FftConfig {
    /// The program by these lengths, which need not be among the best guesses.
    ///
    /// # Errors
    ///
    /// What rules it out; lengths that do not hold the filter.
    #[doc(hidden)]
    pub fn lower(self, problem: &ConvProblem, context: &PlanContext) -> Result<Program, Cannot> {
        let target = &context.target;
        accepts(problem, target)?;
        let (lines, work) = described(problem, target, &roles(problem, &problem.result().strides).0);
        for (needed, limit) in
            lines.most(|line| line.least(work.tiles_summed)).into_iter().zip(self.lengths())
        {
            if needed > limit {
                return Err(Cannot::Limit { resource: Resource::TransformSamples, needed, limit });
            }
        }
        let needs = [
            (self.block.invocations(), Resource::Invocations),
            (self.block.workgroup_bytes(), Resource::WorkgroupBytes),
        ];
        check_device(problem, target, &needs, BUFFERS)?;
        candidate(problem, context, &lines.parts(), &work, self)?.lower(problem, context)
    }
}

/// Declines what no transform can run.
fn accepts(problem: &ConvProblem, target: &Target) -> Result<(), Cannot> {
    if problem.unshared() {
        return Err(Cannot::Unshared);
    }
    if problem.element() != Element::F32 {
        return Err(Cannot::Element { element: problem.element() });
    }
    check_device(problem, target, &[], BUFFERS)?;
    // Counted before they are made.
    let phases = all_phases(problem);
    if phases > MAX_PARTS {
        return Err(Cannot::Limit { resource: Resource::Phases, needed: phases, limit: MAX_PARTS });
    }
    check_sizes(problem, target, tables::words(problem))?;
    let roles = Roles::new(problem, &problem.result().strides);
    let parts = roles.axes.iter().map(geometry::count).fold(1, u64::saturating_mul);
    if parts > MAX_PARTS {
        let resource = Resource::SubImages;
        return Err(Cannot::Limit { resource, needed: parts, limit: MAX_PARTS });
    }
    Ok(())
}

/// Declines tiles that are out of proportion to what they hold.
fn check_steps(
    problem: &ConvProblem,
    parts: &[[DenseLine; 3]],
    work: &FftWork,
    config: &FftConfig,
) -> Result<(), Cannot> {
    let steps = work.steps(parts, config);
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

fn lower(
    problem: &ConvProblem,
    target: &Target,
    config: FftConfig,
    sizes: &FftSizes,
) -> Result<Program, Cannot> {
    if problem.result().is_empty() {
        return Ok(Program::default());
    }
    let written = written_extents(problem);
    let folded = is_folded(problem);
    let strides = if folded { compact_strides(&written) } else { problem.result().strides.clone() };
    let (roles, padded) = roles(problem, &strides);
    let (lines, work) = described(problem, target, &roles);
    let size = written_elements(problem);
    let mut program = Program { tables: tables_of(problem, &config), ..Program::default() };
    let fft = FftLaunches::new(
        problem,
        target,
        (&roles, padded.as_ref()),
        &config,
        (sizes, folded, size),
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
