//! `Depthwise`: groups of one or few channels. A workgroup brings a tile with its halo to workgroup memory once and uses
//! every value for all taps that reach it; an invocation holds eight rows of one channel, or of eight where a few channels
//! become many (the first layer of a network).

mod axes;
mod params;
mod tile;
mod weight;

use super::shared::roles::{
    Loop, MAX_PHASES, Roles, all_phases, forwards, has_table, is_folded, written_extents,
};
use super::shared::{bind_gather, check_device, check_sizes, compact_strides, fold, proportion, tables};
use super::{Config, Resource, Unsupported};
use crate::kernel::depthwise::DepthwiseSpec;
use crate::kernel::{Kernel, Params};
use crate::problem::{ConvProblem, Direction, Element};
use crate::program::{Buffer, Grid, Launch, Program, Table};
use crate::target::{DeviceClass, Target};
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

/// Below this many results a launch is over before a tile is staged.
const WORTHWHILE: u64 = 1 << 12;

/// Invocations of a workgroup.
const INVOCATIONS: u32 = 256;

/// Bytes of workgroup memory: values and factors, planes, their channels.
const MEMORY: u32 = 944 * 16 + 64 * 20;

/// Where few channels are summed over and rows share their values, it reads least.
pub(super) fn suited(problem: &ConvProblem, target: &Target) -> Result<(), Unsupported> {
    // A barrier costs a software device what a hundred products do.
    if target.device_class == DeviceClass::Software {
        return Err(Unsupported::Barriers);
    }
    // Counted before they are made.
    Unsupported::past("phases of a stride", all_phases(problem), MAX_PHASES)?;
    // Of what is past a limit, pieces may be within it.
    accepts(problem, target).or_else(|why| if why.is_limit() { Ok(()) } else { Err(why) })?;
    if problem.direction() == Direction::GradWeight {
        return weight::suited(problem);
    }
    let (roles, axes) = walked(problem, &problem.result().strides);
    Unsupported::past("channels summed over in a group", roles.summed, 4)?;
    shares(&axes)?;
    Unsupported::below("results", problem.result().len(), WORTHWHILE)
}

/// Whether several taps read a value that is brought once.
fn shares(axes: &Axes) -> Result<(), Unsupported> {
    let taps = axes.loops.iter().map(Loop::taps).fold(1, u64::saturating_mul);
    Unsupported::below("taps", taps, 2)?;
    Unsupported::past("places between the rows of a column", axes.column.pitch.into(), 2)
}

pub(super) fn candidates(problem: &ConvProblem, target: &Target) -> Result<Vec<Config>, Unsupported> {
    accepts(problem, target)?;
    if problem.direction() == Direction::GradWeight {
        return Ok(vec![Config::Depthwise(DepthwiseConfig { channels: 1 })]);
    }
    let (roles, axes) = walked(problem, &problem.result().strides);
    let several = roles.channels >= 3 && axes.column.pitch <= 2;
    let channels: &[u32] = match (several, roles.channels >= 5) {
        (false, _) => &[1],
        (true, true) => &[8, 1],
        (true, false) => &[1, 8],
    };
    Ok(channels.iter().map(|&channels| Config::Depthwise(DepthwiseConfig { channels })).collect())
}

/// Declines what no configuration can run.
fn accepts(problem: &ConvProblem, target: &Target) -> Result<(), Unsupported> {
    if problem.unshared() {
        return Err(Unsupported::Unshared);
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
        return Err(Unsupported::Channels { wanted: MAX_CHANNELS, got: summed });
    }
    // Phases were counted; each is a row.
    let roles = Roles::new(problem, &problem.result().strides);
    proportion::check(problem, proportion::of_all(problem, &roles))?;
    if problem.direction() == Direction::GradWeight {
        return weight::check(problem);
    }
    let (roles, axes) = walked(problem, &problem.result().strides);
    let [z, _, columns] = &axes.loops;
    let runs = [z.taps(), columns.taps(), axes.pieces()].into_iter().fold(roles.summed, u64::saturating_mul);
    if runs > MAX_COLUMNS {
        return Err(Unsupported::Limit {
            resource: Resource::ColumnsOfTaps,
            needed: runs,
            limit: MAX_COLUMNS,
        });
    }
    Ok(())
}

/// The roles with all axes forwards, and the axes as the kernel walks them.
fn walked(problem: &ConvProblem, strides: &[u64]) -> (Roles, Axes) {
    let mut roles = Roles::new(problem, strides);
    roles.axes = std::array::from_fn(|i| forwards(&roles.axes[i]));
    let axes = Axes::new(&roles.axes);
    (roles, axes)
}

pub(super) fn lower(
    problem: &ConvProblem,
    target: &Target,
    config: DepthwiseConfig,
) -> Result<Program, Unsupported> {
    accepts(problem, target)?;
    if problem.direction() == Direction::GradWeight {
        return weight::lower(problem, target, config);
    }
    let result = problem.result();
    let written = written_extents(problem);
    let size = written.iter().fold(1u64, |product, &e| product.saturating_mul(e));
    let folded = is_folded(problem);
    let strides = if folded { compact_strides(&written) } else { result.strides.clone() };
    let (roles, axes) = walked(problem, &strides);
    if !(config.channels == 1 || config.channels == 8 && axes.column.pitch <= 2) {
        return Err(Unsupported::Config { config: Config::Depthwise(config).to_string() });
    }
    if result.is_empty() {
        return Ok(Program::default());
    }
    let copies = if folded { fold::copies(target, size, 1)? } else { 0 };
    let mut program = Program { tables: vec![tables::direct(problem, &roles, 1)], ..Program::default() };
    let sums = if folded { Buffer::Workspace(0) } else { Buffer::Result };
    let launch = gather(problem, target, (&roles, &axes), config, &program.tables[0], (sums, size))?;
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
    config: DepthwiseConfig,
    table: &Table,
    (sums, size): (Buffer, u64),
) -> Result<Launch, Unsupported> {
    let whole = params::whole(roles, axes, config);
    // Taps are summed box by box along the rows: boxes are those of one image, or its bits would depend on the batch.
    let of_image = params::whole(&Roles { images: roles.images.min(1), ..roles.clone() }, axes, config);
    let rows = WorkgroupTile::choose(axes, &of_image, target, None).taps[0];
    let tile = WorkgroupTile::choose(axes, &whole, target, Some(rows));
    let direct = sums == Buffer::Result;
    let (block, workgroups) = params::block(problem, target, (roles, axes), &whole, &tile, direct);
    let invocations = workgroups.saturating_mul(WORKGROUP);
    let grid = Grid::linear(invocations, INVOCATIONS, &target.limits)
        .ok_or(Unsupported::GridTooLarge { invocations })?;
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
