//! `Direct`: every invocation sums the windows of a few cells of the result, straight from the operands. The three
//! directions are one loop with exchanged roles; long sums and repeated cells are added up by a second launch.

mod params;

use std::fmt;

use super::shared::roles::{Roles, has_table, is_folded, written_elements, written_extents};
use super::shared::{
    MAX_PARTS, MAX_PLACES, bind_gather, binding_limit, check_device, check_sizes, compact_strides, cost,
    fold, proportion, tables,
};
use super::{Algorithm, Candidate, Cannot, Config, Implementation, PlanContext, Resource};
use crate::kernel::{DirectSpec, Kernel, Params, WORKGROUP};
use crate::problem::{ConvProblem, Direction, Element};
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

impl fmt::Display for DirectConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} channels x {} outputs, {} per load", self.tile_c, self.tile_x, self.lanes)
    }
}

/// The implementation.
#[derive(Clone, Copy)]
pub(super) struct GpuDirect;

impl Implementation<Program> for GpuDirect {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Direct
    }

    fn plan(&self, problem: &ConvProblem, context: &PlanContext) -> Result<Vec<Candidate<Program>>, Cannot> {
        let places = accepts(problem, &context.target)?;
        let roles = Roles::new(problem, &problem.result().strides);
        let (mut candidates, mut why) = (Vec::new(), None);
        for config in configs(problem, &roles) {
            match DirectSizes::new(problem, &context.target, &roles, config, places) {
                Ok(sizes) => {
                    let each = cost::DirectInvocation {
                        tile: [config.tile_c, config.tile_x],
                        summed: roles.summed,
                        lanes: config.lanes,
                        lines: lines(problem, &roles, config),
                    };
                    let parts = sizes.cut.parts().count;
                    let mut estimate = cost::direct(context, problem, &each, (sizes.tiles, parts));
                    if is_folded(problem) {
                        estimate = estimate + cost::added_up(context, sizes.size as f64, parts as f64);
                    }
                    let lower = move |problem: &ConvProblem, context: &PlanContext| {
                        lower(problem, &context.target, config, &sizes)
                    };
                    candidates.push(Candidate::new(Config::new(config), estimate, lower));
                }
                Err(reason) => why = why.or(Some(reason)),
            }
        }
        if candidates.is_empty() { why.map_or(Ok(candidates), Err) } else { Ok(candidates) }
    }
}

/// What there is for a problem, the largest tile first.
fn configs(problem: &ConvProblem, roles: &Roles) -> Vec<DirectConfig> {
    let lanes = if roles.vector_loads { 4 } else { 1 };
    // A tile of four serves a count of three at a quarter's waste, a count of two at half.
    let tiles_c: &[u32] = if roles.channels >= 3 { &[4, 1] } else { &[1] };
    let tiles_x: &[u32] = if may_tile(problem, roles) && roles.axes[2].cells() >= 3 { &[4, 1] } else { &[1] };
    let of_channels =
        |&tile_c: &u32| tiles_x.iter().map(move |&tile_x| DirectConfig { tile_c, tile_x, lanes });
    tiles_c.iter().flat_map(of_channels).collect()
}

/// Lines of a cache that 32 neighbours read at once of the source and of the filter, roughly.
fn lines(problem: &ConvProblem, roles: &Roles, config: DirectConfig) -> [u64; 2] {
    let x = &roles.axes[2];
    if problem.direction() == Direction::GradWeight {
        // They are taps of several channels.
        [8, 8]
    } else if x.a_stride == 1 {
        [(u64::from(config.tile_x) * x.stride.unsigned_abs()).clamp(1, 32), 1]
    } else {
        // They are channels of one position.
        [1, 8]
    }
}

/// What one configuration makes of a problem, as far as limits go.
#[derive(Clone, Copy)]
struct DirectSizes {
    /// Elements that are written, before a fold.
    size: u64,
    /// Tiles of the result.
    tiles: u64,
    cut: Boxes,
}

impl DirectSizes {
    /// `places` padded cells stand for a cell of the result, at most.
    fn new(
        problem: &ConvProblem,
        target: &Target,
        roles: &Roles,
        config: DirectConfig,
        places: u64,
    ) -> Result<Self, Cannot> {
        let size = written_elements(problem);
        // Saturating: a product past 64 bits is refused by the grid like any other that is too large.
        let tiles =
            params::tile_counts(roles, &config).iter().fold(1u64, |product, &c| product.saturating_mul(c));
        let parts = if is_folded(problem) { MAX_PLACES / places } else { MAX_PARTS };
        let cut = Boxes::new(problem, roles, &config, size, (binding_limit(target), parts))?;
        check_steps(problem, roles, cut.parts().count)?;
        Ok(Self { size, tiles, cut })
    }
}

/// Whether neighbouring cells share their factors, and where most taps meet nothing, most of those that do.
fn may_tile(problem: &ConvProblem, roles: &Roles) -> bool {
    let apart = roles.axes[2].stride.unsigned_abs().div_ceil(roles.axes[2].dilation.unsigned_abs().max(1));
    let [.., is_sparse] = proportion::is_sparse(problem, roles);
    !problem.unshared() && (!is_sparse || apart <= params::most_inside(&roles.axes[2]))
}

/// Declines what no configuration can run. Gives how many padded cells stand for one cell of the result, at most.
fn accepts(problem: &ConvProblem, target: &Target) -> Result<u64, Cannot> {
    check_device(problem, target, &[(WORKGROUP, Resource::Invocations)], 6)?;
    let places = check_sizes(problem, target, tables::words(problem))?;
    check_steps(problem, &Roles::new(problem, &problem.result().strides), 1)?;
    Ok(places)
}

/// Declines what so many parts of sums would take out of proportion.
fn check_steps(problem: &ConvProblem, roles: &Roles, parts: u64) -> Result<(), Cannot> {
    let written =
        written_extents(problem).iter().map(|&e| u128::from(e)).fold(parts.into(), u128::saturating_mul);
    proportion::check(problem, proportion::of_clipped(problem, roles, written))
}

fn lower(
    problem: &ConvProblem,
    target: &Target,
    config: DirectConfig,
    &DirectSizes { size, cut, .. }: &DirectSizes,
) -> Result<Program, Cannot> {
    let result = problem.result();
    if result.is_empty() {
        return Ok(Program::default());
    }
    let written = written_extents(problem);
    let parts = cut.parts();
    // Boxes of a long sum are added to the result, but not in half the precision.
    let is_coarse = problem.element() == Element::F16 && cut.is_long();
    let in_parts = parts.count > 1 || is_folded(problem) || is_coarse;
    let strides = if in_parts { compact_strides(&written) } else { result.strides.clone() };
    let roles = Roles::new(problem, &strides);
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
) -> Result<Launch, Cannot> {
    let whole = sums == Buffer::Result;
    let counts = params::tile_counts(roles, &config);
    // Saturating: a product past 64 bits is refused by the grid like any other that is too large.
    let tiles = counts.iter().fold(1u64, |product, &c| product.saturating_mul(c));
    let invocations = tiles.saturating_mul(cut.parts().count);
    let grid =
        Grid::linear(invocations, WORKGROUP, &target.limits).ok_or(Cannot::GridTooLarge { invocations })?;
    let DirectConfig { tile_c, tile_x, lanes } = config;
    let element = problem.element();
    let sum = if whole { element } else { Element::F32 };
    let spec = DirectSpec { tile_c, tile_x, lanes, table: has_table(problem), element, sum };
    let block = params::direct(problem, roles, &config, cut, counts, !whole, size);
    let bindings = bind_gather(problem, table, roles, sums, size * cut.parts().count * 4);
    Ok(Launch { kernel: Kernel::Direct, spec: spec.into(), params: Params::Direct(block), bindings, grid })
}
