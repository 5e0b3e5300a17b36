//! The gradient of the weight: tiles of the input with their halo, times the gradients of the output.

use super::axes::Axes;
use super::params::{four, window_items};
use super::tile::{AT_ONCE, PLACES, StagingSteps, WORKGROUP, WorkgroupTile, run, sizes, traffic};
use super::{Candidate, Config, DepthwiseConfig, INVOCATIONS, PlanContext, outside};
use crate::algorithm::shared::roles::{Loop, LoopPhase, Roles, forwards, written_elements, written_extents};
use crate::algorithm::shared::{
    ENDLESS, MAX_INDEX, MAX_PARTS, MAX_RUN, RUN, bind, bind_sums, bind_tensor, binding_limit,
    compact_strides, cost, count, epilogue_bindings, first, fold, set_epilogue, single, tables, tensor, word,
};
use crate::implementation::{Cannot, Resource};
use crate::kernel::depthwise::{Counter, ROWS, inverse};
use crate::kernel::depthwise_weight::{DepthwiseWeightParams, DepthwiseWeightSpec};
use crate::kernel::{Kernel, Params};
use crate::problem::{ConvProblem, Element};
use crate::program::{Binding, Buffer, Grid, Launch, Program, Table};
use crate::target::Target;

/// Images times cells along z that the kernel tells apart.
pub(super) const MAX_PLANES: u64 = 1 << 20;
/// Columns of eight rows that one invocation goes through, roughly: it bounds the time of an invocation, and keeps its loops
/// below the 65,535 iterations after which llvmpipe (seen in Mesa 22.3) leaves every loop of a shader.
const MAX_ITEMS: u64 = 512;
/// Planes that workgroup memory holds.
const PLANES: u64 = 64;
/// Workgroups that fill a compute unit.
const PER_UNIT: u64 = 8;

/// What a workgroup takes at once.
#[derive(Clone, Copy, Debug)]
struct Share {
    /// Of the cells; its `planes` are those of all pairs.
    tile: WorkgroupTile,
    pairs: u64,
    /// Planes of a pair.
    planes: u64,
    /// Pieces of the taps of a column.
    pieces: u64,
    /// Invocations that share a sum.
    shares: u64,
}

/// A problem as the kernel sees it.
struct Sum {
    roles: Roles,
    axes: Axes,
    /// Radices and steps in a, b and r of the digits of a pair.
    digits: [[u64; 4]; 3],
    pairs: u64,
    planes: u64,
}

impl Sum {
    fn new(problem: &ConvProblem, strides: &[u64]) -> Self {
        let roles = Roles::new(problem, strides);
        let axes = Axes::new(&[0, 1, 2].map(|i| exchanged(&roles.axes[i])));
        let (_, [a_in, a_group, _]) = roles.a;
        let (_, [b_group, b_out, _]) = roles.b;
        let r_group = roles.channels.saturating_mul(roles.r[1]);
        let digits = [
            [roles.channels, 0, b_out, roles.r[1]],
            [roles.images, a_in, 0, roles.r[0]],
            [roles.groups, a_group, b_group, r_group],
        ];
        let pairs = digits.iter().fold(1u64, |all, digit| all.saturating_mul(digit[0]));
        let planes = roles.summed.saturating_mul(axes.loops[0].cells());
        Self { roles, axes, digits, pairs, planes }
    }

    /// Elements of the input between neighbouring pairs.
    fn pair_step(&self) -> u64 {
        self.digits.iter().find(|digit| digit[0] > 1).map_or(0, |digit| digit[1])
    }
}

/// The loop of the forward direction: taps of the kernel, cells of the output.
fn exchanged(axis: &Loop) -> Loop {
    let turned = |phase: &LoopPhase| LoopPhase { taps: phase.cells, cells: phase.taps, ..*phase };
    let phases = axis.phases.iter().map(turned).collect();
    forwards(&Loop { stride: axis.dilation, dilation: axis.stride, phases, ..axis.clone() })
}

pub(super) fn plan(problem: &ConvProblem, context: &PlanContext) -> Result<Vec<Candidate<Program>>, Cannot> {
    let sum = Sum::new(problem, &problem.result().strides);
    if sum.planes >= MAX_PLANES {
        return Err(Cannot::Limit {
            resource: Resource::PlanesOfOneSum,
            needed: sum.planes,
            limit: MAX_PLANES,
        });
    }
    let (cost, share) = Share::choose(&sum);
    let size = problem.result().len();
    let parts = share.parts(&sum, &context.target, size)?;
    // So many workgroups take no longer than one.
    let workgroups = share.boxes(&sum).iter().map(|&n| n as f64).product::<f64>() * parts[2] as f64;
    let idle = (AT_ONCE * context.model.compute_units / workgroups.max(1.0)).max(1.0);
    let mut estimate = cost::launched(context, 1)
        + cost::worked(context, cost as f64 * idle * f64::from(INVOCATIONS), problem.bytes() as f64)
        + cost::waited(context, 2.0 * workgroups * parts[1] as f64, INVOCATIONS);
    if parts[2] > 1 {
        estimate = estimate + cost::added_up(context, size as f64, parts[2] as f64);
    }
    let config = DepthwiseConfig { channels: 1 };
    let lower =
        move |problem: &ConvProblem, context: &PlanContext| lower(problem, &context.target, &share, parts);
    Ok(vec![Candidate::new(Config::new(config), estimate, lower)])
}

impl Share {
    fn new(
        sum: &Sum,
        taps: [u64; 2],
        pieces: u64,
        pairs: u64,
        [columns, bands, blocks]: [u64; 3],
    ) -> Option<Self> {
        let together = taps[1].saturating_mul(pieces).saturating_mul(pairs);
        let mut tile = WorkgroupTile { columns, bands, blocks, planes: 1, channel_blocks: 1, taps };
        let cells = tile.lanes();
        let places = tile.places(&sum.axes, 1);
        let room = PLACES / places.plane.saturating_add(cells.saturating_mul(2)).max(1);
        let planes = room.min(PLANES) / pairs;
        let planes = planes.min(sum.planes.max(1));
        tile.planes = planes * pairs;
        let shares = WORKGROUP.checked_div(together)?;
        let share = (planes > 0 && shares > 0).then_some(Self { tile, pairs, planes, pieces, shares })?;
        (share.run(sum) <= RUN).then_some(share)
    }

    /// Products of a step that an invocation adds one after the other.
    fn run(&self, sum: &Sum) -> u64 {
        self.items() * if sum.axes.column.pitch == 8 { u64::from(ROWS) } else { 2 }
    }

    /// Steps whose products an invocation adds one after the other, of `each` in all.
    fn block_steps(&self, sum: &Sum, each: u64) -> u64 {
        let run = self.run(sum).max(1);
        if run.saturating_mul(each) > MAX_RUN { (RUN / run).max(1) } else { ENDLESS }
    }

    /// Columns of eight rows of a pair, per invocation.
    fn items(&self) -> u64 {
        (self.tile.columns * self.tile.bands * self.tile.blocks * self.planes).div_ceil(self.shares)
    }

    /// Tiles of columns, bands, blocks of rows and planes.
    fn tiles(&self, sum: &Sum) -> [u64; 4] {
        [
            sum.axes.loops[2].cells().max(1).div_ceil(self.tile.columns),
            sum.axes.bands().div_ceil(self.tile.bands),
            sum.axes.blocks().div_ceil(self.tile.blocks),
            sum.planes.max(1).div_ceil(self.planes),
        ]
    }

    /// Boxes of taps along z, rows and columns, and sets of pairs.
    fn boxes(&self, sum: &Sum) -> [u64; 4] {
        let [z, _, columns] = &sum.axes.loops;
        let rows = sum.axes.pieces().div_ceil(self.pieces);
        [z.taps(), rows, columns.taps().div_ceil(self.tile.taps[1]), sum.pairs.div_ceil(self.pairs)]
    }

    /// Vector instructions of all workgroups, roughly.
    fn cost(&self, sum: &Sum, places: &StagingSteps) -> u64 {
        let items = places.width * places.bands * places.fours * self.tile.planes;
        let gradients = self.tile.lanes() * 2;
        let [common, ..] = sum.axes.across;
        let [_, rows, columns] = &sum.axes.loops;
        let loaded = run(&[
            (columns.a_stride.saturating_mul(common), places.width),
            (rows.a_stride.saturating_mul(sum.axes.row_unit()), places.fours * 4),
            (sum.pair_step(), self.pairs),
        ]);
        let loads = traffic((items + gradients) * 4, loaded);
        let staging = (items.div_ceil(WORKGROUP) + gradients.div_ceil(WORKGROUP)) * 90 + 80 + loads;
        let column = sum.axes.column;
        let one = staging + self.items() * u64::from(column.taps * 8 + column.fours() * 4 + 60);
        let counts = self.tiles(sum).into_iter().chain(self.boxes(sum));
        counts.fold(one, |all, n| all.saturating_mul(n))
    }

    /// The cheapest, with its cost.
    fn choose(sum: &Sum) -> (u64, Self) {
        let [_, rows, columns] = &sum.axes.loops;
        let at_once = u64::from(sum.axes.column.taps);
        let mut best: Option<(u64, Self)> = None;
        for pieces in sizes(if sum.axes.column.pitch == 8 { 1 } else { sum.axes.pieces() }) {
            for tap_columns in sizes(columns.taps()) {
                let taps = [rows.taps().clamp(1, pieces * at_once), tap_columns];
                for pairs in
                    sizes(sum.pairs).filter(|pairs| pairs * pieces * tap_columns <= WORKGROUP && *pairs <= 32)
                {
                    for nl in sizes(columns.cells()) {
                        for nb in sizes(sum.axes.blocks()).filter(|nb| nl * nb * 2 <= PLACES) {
                            for nu in sizes(sum.axes.bands()).filter(|nu| nl * nb * nu * 2 <= PLACES) {
                                let Some(share) = Self::new(sum, taps, pieces, pairs, [nl, nu, nb]) else {
                                    continue;
                                };
                                let cost = share.cost(sum, &share.tile.places(&sum.axes, 1));
                                if best.is_none_or(|(least, _)| cost < least) {
                                    best = Some((cost, share));
                                }
                            }
                        }
                    }
                }
            }
        }
        // The smallest one always finds room.
        let taps = [rows.taps().clamp(1, at_once), 1];
        let tile = WorkgroupTile { columns: 1, bands: 1, blocks: 1, planes: 1, channel_blocks: 1, taps };
        best.unwrap_or_else(|| {
            let least = Self { tile, pairs: 1, planes: 1, pieces: 1, shares: WORKGROUP };
            (least.cost(sum, &tile.places(&sum.axes, 1)), least)
        })
    }

    /// Steps in all, of a part, and parts, for results of `size` elements.
    fn parts(&self, sum: &Sum, target: &Target, size: u64) -> Result<[u64; 3], Cannot> {
        let steps = self.tiles(sum).into_iter().fold(1u64, u64::saturating_mul);
        let workgroups = self.boxes(sum).into_iter().fold(1u64, u64::saturating_mul).max(1);
        let most = (MAX_ITEMS / (self.items() + 4)).max(1);
        let units = target.units();
        let room = binding_limit(target).min(4 * (MAX_INDEX - 1)) / size.saturating_mul(4).max(1);
        let wanted =
            (units * PER_UNIT).div_ceil(workgroups).clamp(1, room.clamp(1, 256)).max(steps.div_ceil(most));
        let each = steps.div_ceil(wanted);
        let parts = steps.div_ceil(each);
        if parts > MAX_PARTS {
            return Err(Cannot::Limit { resource: Resource::PartsOfOneSum, needed: parts, limit: MAX_PARTS });
        }
        Ok([steps, each, parts])
    }
}

fn lower(
    problem: &ConvProblem,
    target: &Target,
    share: &Share,
    [steps, each, parts]: [u64; 3],
) -> Result<Program, Cannot> {
    let result = problem.result();
    if result.is_empty() {
        return Ok(Program::default());
    }
    let written = written_extents(problem);
    let size = written_elements(problem);
    let copies = if parts > 1 { fold::copies(target, size, parts)? } else { 0 };
    let strides = if parts > 1 { compact_strides(&written) } else { result.strides.clone() };
    let sum = Sum::new(problem, &strides);
    let mut words = tables::boundary(problem);
    words.resize(words.len().max(4), 0);
    let mut program = Program { tables: vec![Table { name: "boundary", words }], ..Program::default() };
    let sums = if parts > 1 { Buffer::Workspace(0) } else { Buffer::Result };
    let written_to = bind_sums(problem, &program.tables[0], sums, copies);
    let mut block = block(problem, &sum, share, [steps, each, parts], size);
    let invocations = u64::from(block.counts[2]).saturating_mul(WORKGROUP);
    let grid =
        Grid::linear(invocations, INVOCATIONS, &target.limits).ok_or(Cannot::GridTooLarge { invocations })?;
    if parts == 1 {
        set_epilogue(problem, &mut block.epilogue, &mut block.scale, &mut block.activation);
    }
    program.launches.push(launch(problem, &sum, &program.tables[0], block, grid, written_to));
    if parts > 1 {
        program.workspace.push(copies);
        fold::append(&mut program, problem, target, &written, (fold::Parts::of(parts), size))?;
    }
    Ok(program)
}

fn launch(
    problem: &ConvProblem,
    sum: &Sum,
    table: &Table,
    block: DepthwiseWeightParams,
    grid: Grid,
    output: Binding,
) -> Launch {
    let direct = output.buffer == Buffer::Result;
    let element = problem.element();
    let stored = if direct { element } else { Element::F32 };
    let spec = DepthwiseWeightSpec { column: sum.axes.column, element, sum: stored };
    let [_, residual] = epilogue_bindings(problem, table, 0, direct);
    let bindings = vec![
        bind_tensor(problem, table, 0, Buffer::Input),
        bind_tensor(problem, table, 0, Buffer::GradOutput),
        residual,
        bind(table, 0, Buffer::Table(0), 0),
        output,
    ];
    let params = Params::DepthwiseWeight(Box::new(block));
    Launch { kernel: Kernel::DepthwiseWeight, spec: spec.into(), params, bindings, grid }
}

/// How the gradients of the output are staged, and how an invocation goes through them.
fn counters(sum: &Sum, share: &Share, places: &StagingSteps) -> [Counter; 2] {
    let WorkgroupTile { columns, bands, blocks, planes, .. } = share.tile;
    let apart = sum.axes.apart;
    let [_, rows, column] = &sum.axes.loops;
    let (row_step, column_step) = (rows.b_stride.unsigned_abs(), column.b_stride.unsigned_abs());
    let pair_b = sum.digits.iter().find(|digit| digit[0] > 1).map_or(0, |digit| digit[2]);
    let fours = apart.saturating_mul(4);
    let mut digits = [
        (blocks * 2, [1, fours.saturating_mul(row_step), fours, 0], fours.saturating_mul(row_step)),
        (bands, [blocks * 2, row_step, 1, 0], row_step),
        (columns, [bands * blocks * 2, column_step, 0, 1], column_step),
        (planes, [columns * bands * blocks * 2, 0, 0, 1 << 16], pair_b),
    ];
    digits.sort_by_key(|&(radix, _, step)| if radix > 1 { step } else { u64::MAX });
    let gradients = Counter::new(digits.map(|(radix, unit, _)| (count(radix), four(unit))), count(WORKGROUP));
    let [_, across, _] = sum.axes.across;
    let work = [
        (blocks, [2 * u64::from(sum.axes.column.pitch), apart.saturating_mul(ROWS.into()), 0, 0]),
        (bands, [places.band, 1, 0, 0]),
        (columns, [across.saturating_mul(places.column), 0, 1, 0]),
        (share.planes, [places.plane, 0, 0, 1]),
    ];
    [gradients, Counter::new(work.map(|(radix, unit)| (count(radix), four(unit))), count(share.shares))]
}

fn block(
    problem: &ConvProblem,
    sum: &Sum,
    share: &Share,
    [steps, each, parts]: [u64; 3],
    size: u64,
) -> DepthwiseWeightParams {
    let Sum { roles, axes, digits, pairs, planes } = sum;
    let tile = &share.tile;
    let places = tile.places(axes, 1);
    let [gradients, work] = counters(sum, share, &places);
    let [z, rows, columns] = &axes.loops;
    let (_, [.., a_image]) = roles.a;
    let (_, [.., b_image]) = roles.b;
    let of = |value: fn(&Loop) -> i64, last: u64| {
        [word(value(z)), word(value(rows)), word(value(columns)), count(last)]
    };
    let begin = if parts == 1 { first(problem, problem.result()) as i64 } else { 0 };
    let phases = axes.loops.iter().flat_map(|axis| axis.phases.first());
    let first_of_r = phases.map(|phase| phase.r_first).fold(begin, i64::wrapping_add);
    let first_of = |buffer| first(problem, tensor(problem, buffer));
    let pad = |axis: &Loop| axis.phases.first().map_or(0, |phase| phase.pad);
    let each_digit = |i: usize, last: u64| four([digits[0][i], digits[1][i], digits[2][i], last]);
    let [_, _, along] = axes.across;
    let boxes = share.boxes(sum);
    let workgroups = boxes.into_iter().fold(parts, u64::saturating_mul);
    let together = tile.taps[1] * share.pieces * share.pairs;
    let tap_rows = share.pieces * u64::from(axes.column.taps);
    let cells = tile.columns * tile.bands * tile.blocks * 2;
    let (_, fill) = outside(problem);
    let inverses = [tile.taps[1], share.pieces, together, z.cells()].map(|n| inverse(count(n)));
    DepthwiseWeightParams {
        window: window_items(
            problem,
            axes,
            tile,
            &places,
            sum.pair_step(),
            (0, tables::boundary_begins(problem, 0)),
        ),
        gradients,
        work,
        lane: four([tile.taps[1], share.pieces, share.pairs, share.shares]),
        lane_inverse: inverses,
        places: four([
            along.saturating_mul(places.column),
            share.planes * places.plane,
            tile.planes * places.plane,
            share.planes * cells,
        ]),
        pair_radix: four([digits[0][0], digits[1][0], *pairs, share.planes]),
        pair_a: each_digit(1, a_image),
        pair_b: each_digit(2, b_image),
        pair_r: [each_digit(3, 0)[0], each_digit(3, 0)[1], each_digit(3, 0)[2], word(first_of_r)],
        planes: four([*planes, z.cells(), tile.planes]),
        tiles: share.tiles(sum).map(count),
        tile: four([tile.columns, tile.bands, tile.blocks]),
        taps: four([z.taps(), rows.taps(), columns.taps(), tap_rows]),
        boxes: boxes.map(count),
        stride: of(|axis| axis.stride, axes.apart),
        dilation: of(|axis| axis.dilation, 0),
        pad: [word(pad(z)), word(pad(rows)), word(pad(columns)), count(first_of(Buffer::Input))],
        cells: four([z.cells(), rows.cells(), columns.cells(), first_of(Buffer::GradOutput)]),
        b_stride: of(|axis| axis.b_stride, axes.apart.wrapping_mul(rows.b_stride.unsigned_abs())),
        r_stride: of(|axis| axis.r_stride, size),
        counts: four([steps, each, workgroups, share.block_steps(sum, each)]),
        scale: [1.0, 0.0, single(fill), inverse(count(share.planes))],
        ..DepthwiseWeightParams::default()
    }
}
