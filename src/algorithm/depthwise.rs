//! `Depthwise`: groups of one or few channels. A workgroup brings a tile with its halo to workgroup memory once and uses
//! every value for all taps that reach it; an invocation holds eight rows of one channel, or of eight where a few channels
//! become many (the first layer of a network).

mod axes;
mod params;
mod tile;
mod weight;

use std::fmt;

use super::shared::roles::{Roles, forwards, has_table, is_folded, written_elements, written_extents};
use super::shared::{
    bind_gather, check_device, check_sizes, compact_strides, cost, fold, proportion, tables,
};
use super::{Algorithm, Candidate, Cannot, Config, Implementation, PlanContext, Resource};
use crate::kernel::depthwise::DepthwiseSpec;
use crate::kernel::{Kernel, Params};
use crate::problem::{ConvProblem, Direction, Element};
use crate::program::{Buffer, Grid, Launch, Program, Table};
use crate::target::Target;
use axes::Axes;
use tile::{WORKGROUP, WorkgroupTile};

/// What one invocation computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DepthwiseConfig {
    /// Channels of the result: 1 or 8.
    pub channels: u32,
}

/// Most channels summed over: for each, the tile is staged once.
const MAX_CHANNELS: u64 = 8;

/// Most columns of taps that one invocation runs through. It bounds the time of an invocation, and keeps its loops, at up to
/// 75 iterations of each where every check is on, below the 65,535 after which llvmpipe (seen in Mesa 22.3) leaves them.
const MAX_COLUMNS: u64 = 400;

/// Invocations of a workgroup.
const INVOCATIONS: u32 = 256;

/// Bytes of workgroup memory: values and factors, planes, their channels.
const MEMORY: u32 = 944 * 16 + 64 * 20;

impl fmt::Display for DepthwiseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x 8 rows per invocation", self.channels)
    }
}

/// The implementation.
#[derive(Clone, Copy)]
pub(super) struct Depthwise;

impl Implementation<Program> for Depthwise {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Depthwise
    }

    fn plan(&self, problem: &ConvProblem, context: &PlanContext) -> Result<Vec<Candidate<Program>>, Cannot> {
        accepts(problem, &context.target)?;
        if problem.direction() == Direction::GradWeight {
            return weight::plan(problem, context);
        }
        let (roles, axes) = walked(problem);
        let [z, _, columns] = &axes.loops;
        let runs =
            [z.taps(), columns.taps(), axes.pieces()].into_iter().fold(roles.summed, u64::saturating_mul);
        if runs > MAX_COLUMNS {
            return Err(Cannot::Limit {
                resource: Resource::ColumnsOfTaps,
                needed: runs,
                limit: MAX_COLUMNS,
            });
        }
        let several = roles.channels >= 3 && axes.column.pitch <= 2;
        let channels: &[u32] = match (several, roles.channels >= 5) {
            (false, _) => &[1],
            (true, true) => &[8, 1],
            (true, false) => &[1, 8],
        };
        let candidate = |&channels: &u32| {
            let config = DepthwiseConfig { channels };
            let whole = params::whole(&roles, &axes, config);
            // Taps are summed box by box along the rows: boxes are those of one image, or its bits would depend on the batch.
            let of_image =
                params::whole(&Roles { images: roles.images.min(1), ..roles.clone() }, &axes, config);
            let [rows, _] = WorkgroupTile::choose(&axes, &of_image, &context.target, None).taps;
            let tile = WorkgroupTile::choose(&axes, &whole, &context.target, Some(rows));
            let mut estimate = tile.estimate(context, &axes, &whole, problem.bytes());
            if is_folded(problem) {
                estimate = estimate + cost::added_up(context, written_elements(problem) as f64, 1.0);
            }
            Candidate::new(Config::new(config), estimate, move |problem, context| {
                lower(problem, &context.target, config, &tile)
            })
        };
        Ok(channels.iter().map(candidate).collect())
    }
}

/// Declines what no configuration can run.
fn accepts(problem: &ConvProblem, target: &Target) -> Result<(), Cannot> {
    if problem.unshared() {
        return Err(Cannot::Unshared);
    }
    let needs = [(INVOCATIONS, Resource::Invocations), (MEMORY, Resource::WorkgroupBytes)];
    check_device(problem, target, &needs, 6)?;
    check_sizes(problem, target, tables::words(problem))?;
    let groups = problem.groups();
    let summed = match problem.direction() {
        Direction::GradInput => problem.c_out() / groups,
        _ => problem.c_in() / groups,
    };
    if summed > MAX_CHANNELS {
        return Err(Cannot::Channels { wanted: MAX_CHANNELS, got: summed });
    }
    // Phases were counted; each is a row.
    let roles = Roles::new(problem, &problem.result().strides);
    proportion::check(problem, proportion::of_all(problem, &roles))?;
    Ok(())
}

/// The roles of what is written, with all axes forwards, and the axes as the kernel walks them.
fn walked(problem: &ConvProblem) -> (Roles, Axes) {
    let mut roles = if is_folded(problem) {
        Roles::new(problem, &compact_strides(&written_extents(problem)))
    } else {
        Roles::new(problem, &problem.result().strides)
    };
    roles.axes = std::array::from_fn(|i| forwards(&roles.axes[i]));
    let axes = Axes::new(&roles.axes);
    (roles, axes)
}

fn lower(
    problem: &ConvProblem,
    target: &Target,
    config: DepthwiseConfig,
    tile: &WorkgroupTile,
) -> Result<Program, Cannot> {
    if problem.result().is_empty() {
        return Ok(Program::default());
    }
    let written = written_extents(problem);
    let size = written_elements(problem);
    let folded = is_folded(problem);
    let (roles, axes) = walked(problem);
    let copies = if folded { fold::copies(target, size, 1)? } else { 0 };
    let mut program = Program { tables: vec![tables::direct(problem, &roles, 1)], ..Program::default() };
    let sums = if folded { Buffer::Workspace(0) } else { Buffer::Result };
    let launch = gather(problem, target, (&roles, &axes), (config, tile), &program.tables[0], (sums, size))?;
    program.launches.push(launch);
    if folded {
        program.workspace.push(copies);
        fold::append(&mut program, problem, target, &written, (fold::Parts::of(1), size))?;
    }
    Ok(program)
}

/// The launch that sums, into the result or, without the epilogue, for every padded cell.
fn gather(
    problem: &ConvProblem,
    target: &Target,
    (roles, axes): (&Roles, &Axes),
    (config, tile): (DepthwiseConfig, &WorkgroupTile),
    table: &Table,
    (sums, size): (Buffer, u64),
) -> Result<Launch, Cannot> {
    let whole = params::whole(roles, axes, config);
    let direct = sums == Buffer::Result;
    let (block, workgroups) = params::block(problem, target, (roles, axes), &whole, tile, direct);
    let invocations = workgroups.saturating_mul(WORKGROUP);
    let grid =
        Grid::linear(invocations, INVOCATIONS, &target.limits).ok_or(Cannot::GridTooLarge { invocations })?;
    let element = problem.element();
    let sum = if direct { element } else { Element::F32 };
    let spec = DepthwiseSpec { channels: config.channels, column: axes.column, element, sum };
    let bindings = bind_gather(problem, table, roles, sums, size * 4);
    let params = Params::Depthwise(Box::new(block));
    Ok(Launch { kernel: Kernel::Depthwise, spec: spec.into(), params, bindings, grid })
}

/// Whether coordinates go through tables, and what lies outside.
fn outside(problem: &ConvProblem) -> (bool, f64) {
    let tabled = has_table(problem);
    (tabled, if tabled { problem.boundary().fill() } else { 0.0 })
}
