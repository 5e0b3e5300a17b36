//! `Direct`: every invocation sums the windows of a few cells of the result, straight from the operands. The three
//! directions are one loop with exchanged roles; long sums and repeated cells are added up by a second launch.

mod params;

use super::shared::roles::{Roles, has_table, is_folded, written_extents};
use super::shared::{
    MAX_PARTS, MAX_PLACES, bind_gather, binding_limit, check_device, check_sizes, compact_strides, fold,
    proportion, tables,
};
use super::{Config, Resource, Unsupported};
use crate::kernel::{DirectSpec, Kernel, Params, WORKGROUP};
use crate::problem::{ConvProblem, Element};
use crate::program::{Buffer, Grid, Launch, Program, Table};
use crate::target::Target;

use params::Boxes;

/// What one invocation computes and how it loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DirectConfig {
    /// Channels of the result: 1 or 4.
    pub tile_c: u32,
    /// Cells along the innermost axis: 1 or 4.
    pub tile_x: u32,
    /// Channels summed over per load: 1, or 4 where they are neighbours in both operands.
    pub lanes: u32,
}

/// Below this many invocations a GPU is not filled, so tiles shrink first, then sums are cut.
const FILLS_A_GPU: u64 = 1 << 14;

/// Most loads that one cell of the result takes in one invocation. It bounds the time of an invocation. And
/// it keeps its loops, at up to eleven iterations a tap (along z, where each tap runs through all inner loops),
/// below the 65,535 after which llvmpipe (seen in Mesa 22.3) leaves every loop of a shader without a word.
const MAX_STEPS: u64 = 1 << 12;

/// Cells of the widest tile.
const WIDEST: u64 = 4;

pub(super) fn candidates(problem: &ConvProblem, target: &Target) -> Result<Vec<Config>, Unsupported> {
    accepts(problem, target)?;
    let roles = Roles::new(problem, &problem.result().strides);
    let lanes = if roles.vector_loads { 4 } else { 1 };
    // A tile of four serves a count of three at a quarter's waste, a count of two at half.
    let tiles_c: &[u32] = if roles.channels >= 3 { &[4, 1] } else { &[1] };
    let tiles_x: &[u32] =
        if may_tile(problem, &roles) && roles.axes[2].cells() >= 3 { &[4, 1] } else { &[1] };
    let mut configs: Vec<DirectConfig> = tiles_c
        .iter()
        .flat_map(|&tile_c| tiles_x.iter().map(move |&tile_x| DirectConfig { tile_c, tile_x, lanes }))
        .collect();
    // Stable: the largest tile first, then by how far a small problem stays from filling the device.
    configs.sort_by_key(|c| FILLS_A_GPU.saturating_sub(params::tile_counts(&roles, c).iter().product()));
    Ok(configs.into_iter().map(Config::Direct).collect())
}

/// Whether neighbouring cells share their factors, and where most taps meet nothing, most of those that do.
fn may_tile(problem: &ConvProblem, roles: &Roles) -> bool {
    let apart = roles.axes[2].stride.unsigned_abs().div_ceil(roles.axes[2].dilation.unsigned_abs().max(1));
    let [.., is_sparse] = proportion::is_sparse(problem, roles);
    !problem.unshared() && (!is_sparse || apart <= params::most_inside(&roles.axes[2]))
}

/// Declines what no configuration can run. Gives how many padded cells stand for one cell of the result, at most.
fn accepts(problem: &ConvProblem, target: &Target) -> Result<u64, Unsupported> {
    check_device(problem, target, &[(WORKGROUP, Resource::Invocations)], 6)?;
    let places = check_sizes(problem, target, tables::words(problem))?;
    check_steps(problem, &Roles::new(problem, &problem.result().strides), 1)?;
    Ok(places)
}

/// Declines what so many parts of sums would take out of proportion.
fn check_steps(problem: &ConvProblem, roles: &Roles, parts: u64) -> Result<(), Unsupported> {
    let written =
        written_extents(problem).iter().map(|&e| u128::from(e)).fold(parts.into(), u128::saturating_mul);
    proportion::check(problem, proportion::of_clipped(problem, roles, written))
}

pub(super) fn lower(
    problem: &ConvProblem,
    target: &Target,
    config: DirectConfig,
) -> Result<Program, Unsupported> {
    let places = accepts(problem, target)?;
    let result = problem.result();
    let direct = Roles::new(problem, &result.strides);
    let fits = [1, 4].contains(&config.tile_c)
        && (config.tile_x == 1 || config.tile_x == 4 && may_tile(problem, &direct))
        && (config.lanes == 1 || config.lanes == 4 && direct.vector_loads);
    if !fits {
        return Err(Unsupported::Config { config: Config::Direct(config).to_string() });
    }
    if result.is_empty() {
        return Ok(Program::default());
    }
    let written = written_extents(problem);
    let size = written.iter().fold(1u64, |product, &e| product.saturating_mul(e));
    let parts = if is_folded(problem) { MAX_PLACES / places } else { MAX_PARTS };
    let cut = Boxes::new(problem, &direct, &config, size, (binding_limit(target), parts))?;
    let parts = cut.parts();
    check_steps(problem, &direct, parts.count)?;
    // Boxes of a long sum are added to the result, but not in half the precision.
    let is_coarse = problem.element() == Element::F16 && cut.is_long();
    let in_parts = parts.count > 1 || is_folded(problem) || is_coarse;
    let compact = compact_strides(&written);
    let roles = if in_parts { Roles::new(problem, &compact) } else { direct };
    let mut program =
        Program { tables: vec![tables::direct(problem, &roles, config.lanes)], ..Program::default() };
    let sums = if in_parts { Buffer::Workspace(0) } else { Buffer::Result };
    if in_parts {
        program.workspace.push(fold::copies(target, size, parts.count)?);
    }
    let launch = gather(problem, &roles, target, config, &cut, &program.tables[0], sums, size)?;
    program.launches.push(launch);
    if in_parts {
        fold::append(&mut program, problem, target, &written, (parts, size))?;
    }
    Ok(program)
}

/// The launch that sums, into the result or, without the epilogue, into parts.
#[allow(clippy::too_many_arguments, reason = "one call, and all of it is the launch")]
fn gather(
    problem: &ConvProblem,
    roles: &Roles,
    target: &Target,
    config: DirectConfig,
    cut: &Boxes,
    table: &Table,
    sums: Buffer,
    size: u64,
) -> Result<Launch, Unsupported> {
    let whole = sums == Buffer::Result;
    let counts = params::tile_counts(roles, &config);
    // Saturating: a product past 64 bits is refused by the grid like any other that is too large.
    let tiles = counts.iter().fold(1u64, |product, &c| product.saturating_mul(c));
    let invocations = tiles.saturating_mul(cut.parts().count);
    let grid = Grid::linear(invocations, WORKGROUP, &target.limits)
        .ok_or(Unsupported::GridTooLarge { invocations })?;
    let DirectConfig { tile_c, tile_x, lanes } = config;
    let element = problem.element();
    let sum = if whole { element } else { Element::F32 };
    let spec = DirectSpec { tile_c, tile_x, lanes, table: has_table(problem), element, sum };
    let block = params::direct(problem, roles, &config, cut, counts, !whole, size);
    let bindings = bind_gather(problem, table, roles, sums, size * cut.parts().count * 4);
    Ok(Launch { kernel: Kernel::Direct, spec: spec.into(), params: Params::Direct(block), bindings, grid })
}
