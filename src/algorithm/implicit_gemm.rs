//! `ImplicitGemm`: the convolution as a product of matrices, one of which is never in memory. Channels are rows, cells of
//! the result are columns; every pair of a channel summed over and a tap is a product.
//!
//! The factors are laid out first (`pack.wgsl`), for a convolution and its gradient by the input when weights are prepared,
//! for the gradient by the weight in every run. A stride splits the input's gradient into phases, one product each.

mod product;

use super::shared::roles::{Loop, Roles, has_table, is_folded, three_axes, written_extents};
use super::shared::{
    MAX_INDEX, MAX_PARTS, MAX_PLACES, MAX_TABLE, bind, binding_bytes, binding_limit, check_device,
    check_sizes, compact_strides, count, epilogue_bindings, epilogue_words, fold, single, tables, word,
};
use super::{Config, Unsupported};
use crate::kernel::{GemmParams, GemmSpec, Kernel, PackParams, PackSpec, Params, Tile, WORKGROUP};
use crate::problem::{Axis, ConvProblem, Direction, Element};
use crate::program::{Binding, Buffer, DeviceClass, Grid, Launch, Program, Table, Target};
use product::{Product, offsets, parts};

/// Most phases: each is a launch, with tables of its own.
const MAX_PHASES: u64 = 64;

/// Compute units assumed where the device does not tell.
const COMPUTE_UNITS: u64 = 32;

/// Taps that a column has a bit for.
const MASK_BITS: u64 = 32;

/// Words of a tap in the table.
const ENTRY: usize = 4;

/// Where rows, columns and products are too few to fill even a small tile, sums read straight from the operands win.
pub(super) fn suits(problem: &ConvProblem, target: &Target) -> bool {
    let roles = Roles::new(problem, &problem.result().strides);
    let products: u64 = roles.axes.iter().map(Loop::taps).fold(roles.summed, u64::saturating_mul);
    // A barrier costs a software device what a hundred products do.
    target.device_class != DeviceClass::Software
        && roles.channels >= 16
        && products >= 32
        && columns(&roles) >= 64
}

/// Cells of the largest phase, over all images.
fn columns(roles: &Roles) -> u64 {
    roles.axes.iter().map(Loop::cells).fold(roles.images, u64::saturating_mul)
}

pub(super) fn candidates(problem: &ConvProblem, target: &Target) -> Result<Vec<Config>, Unsupported> {
    let places = accepts(problem, target)?;
    let mut tiles: Vec<Tile> =
        Tile::ALL.into_iter().filter(|&tile| Sizes::new(problem, target, tile, places).is_ok()).collect();
    if tiles.is_empty() {
        // The smallest one's reason.
        Sizes::new(problem, target, Tile::ALL[Tile::ALL.len() - 1], places)?;
    }
    let roles = Roles::new(problem, &problem.result().strides);
    tiles.sort_by_key(|tile| cost(&roles, target, *tile));
    Ok(tiles.into_iter().map(Config::ImplicitGemm).collect())
}

/// Time in units of one workgroup's product, roughly: work with what hangs over, over the device's width.
fn cost(roles: &Roles, target: &Target, tile: Tile) -> u64 {
    let (rows, columns) =
        (roles.channels.div_ceil(tile.rows.into()), columns(roles).div_ceil(tile.columns.into()));
    let tiles = rows.saturating_mul(columns).saturating_mul(roles.groups);
    let units = target.compute_units.map_or(COMPUTE_UNITS, u64::from).max(1);
    // Per mille of the multiplier's peak that a tile of so many accumulators per invocation reaches.
    let share = match tile.fours {
        (2, 2) => 850,
        (1, 2) => 700,
        _ => 450,
    };
    let volume = u64::from(tile.rows) * u64::from(tile.columns) * 1000 / share;
    // Two workgroups of 256 invocations, or as many invocations in smaller ones, share a unit.
    let at_once = units * 512 / u64::from(tile.invocations());
    tiles.div_ceil(at_once).saturating_mul(at_once).saturating_mul(volume) / units
}

/// Declines what no tile can run. Gives how many padded cells stand for one cell of the result, at most.
fn accepts(problem: &ConvProblem, target: &Target) -> Result<u64, Unsupported> {
    if problem.unshared() {
        return Err(Unsupported::Unshared);
    }
    check_device(problem, target, &[], 7)?;
    let phases = three_axes(problem).iter().map(|axis| phases(problem, axis)).fold(1, u64::saturating_mul);
    if phases > MAX_PHASES {
        return Err(Unsupported::Limit { what: "phases of a stride", needed: phases, limit: MAX_PHASES });
    }
    let taps = taps(problem);
    let words = tables::words(problem).saturating_add(taps.saturating_mul(ENTRY as u64));
    if words > MAX_TABLE {
        return Err(Unsupported::Limit { what: "words of tables", needed: words, limit: MAX_TABLE });
    }
    check_sizes(problem, target, words)
}

/// Phases of an axis, before any is made.
fn phases(problem: &ConvProblem, axis: &Axis) -> u64 {
    match problem.direction() {
        Direction::GradInput if is_folded(problem) => axis.stride.min(axis.reach()),
        Direction::GradInput => axis.stride.min(axis.input),
        _ => 1,
    }
}

/// Taps of all phases, before any is made; at least one each.
fn taps(problem: &ConvProblem) -> u64 {
    let axes = three_axes(problem);
    let of = |axis: &Axis| match problem.direction() {
        Direction::GradWeight => axis.output,
        // Each phase has its share of the kernel, rounded up.
        Direction::GradInput => axis.kernel.saturating_add(phases(problem, axis)),
        Direction::Forward => axis.kernel,
    };
    axes.iter().map(of).fold(1, u64::saturating_mul)
}

fn check_tile(problem: &ConvProblem, target: &Target, tile: Tile) -> Result<(), Unsupported> {
    let needs = [
        (tile.invocations(), "invocations per workgroup"),
        (tile.workgroup_bytes(), "bytes of workgroup memory"),
    ];
    check_device(problem, target, &needs, 7)
}

/// What one tile makes of a problem, as far as limits go.
struct Sizes {
    /// Elements that are written, before a fold.
    size: u64,
    /// Ranges into which the sums are cut.
    parts: u64,
    /// Whether they go to a workspace.
    in_parts: bool,
}

impl Sizes {
    /// `places` padded cells stand for a cell of the result, at most.
    fn new(problem: &ConvProblem, target: &Target, tile: Tile, places: u64) -> Result<Self, Unsupported> {
        check_tile(problem, target, tile)?;
        let (limit, folded) = (binding_limit(target), is_folded(problem));
        let size = written_extents(problem).iter().fold(1u64, |product, &e| product.saturating_mul(e));
        let roles = Roles::new(problem, &problem.result().strides);
        let most = if folded { MAX_PLACES / places } else { MAX_PARTS };
        let products = Product::all(&roles, tile);
        let parts = parts(&products, &roles, target, tile, (size, limit, most))?;
        let in_parts = parts > 1 || folded;
        let elements = size.saturating_mul(parts);
        if in_parts && elements >= MAX_INDEX {
            return Err(Unsupported::IndexTooLarge { what: "partial sums", value: elements });
        }
        let factors = offsets(problem, &roles, &products, tile).1;
        let sums = if in_parts { elements.saturating_mul(4) } else { 0 };
        for (buffer, bytes) in [("partial sums", sums), ("packed factors", factors)] {
            if bytes > limit {
                return Err(Unsupported::BindingTooLarge { buffer, bytes, limit });
            }
        }
        let largest = products.iter().map(|p| p.columns.max(p.products)).max().unwrap_or(0);
        if largest >= MAX_INDEX {
            let what = "columns or products of a matrix";
            return Err(Unsupported::IndexTooLarge { what, value: largest });
        }
        Ok(Self { size, parts, in_parts })
    }
}

pub(super) fn lower(problem: &ConvProblem, target: &Target, tile: Tile) -> Result<Program, Unsupported> {
    let places = accepts(problem, target)?;
    if !Tile::ALL.contains(&tile) {
        return Err(Unsupported::Config { config: Config::ImplicitGemm(tile) });
    }
    let Sizes { size, parts, in_parts } = Sizes::new(problem, target, tile, places)?;
    let result = problem.result();
    if result.is_empty() {
        return Ok(Program::default());
    }
    let written = written_extents(problem);
    let strides = if in_parts { compact_strides(&written) } else { result.strides.clone() };
    let roles = Roles::new(problem, &strides);
    let mut program = Program::default();
    if in_parts {
        program.workspace.push(size * parts * 4);
    }
    let products = Product::all(&roles, tile);
    program.tables = make_tables(problem, &products);
    let (offsets, factors) = offsets(problem, &roles, &products, tile);
    let per_run = problem.direction() == Direction::GradWeight;
    let packed_in = if per_run { Buffer::Workspace(program.workspace.len()) } else { Buffer::Prepared };
    let mut packs = Vec::new();
    let mut taps = 0;
    for (product, offset) in products.iter().zip(offsets) {
        if product.columns == 0 {
            continue;
        }
        let bytes = product.packed(&roles, tile) * problem.element().bytes();
        let packed = Binding { buffer: packed_in, offset, size: bytes };
        packs.push(pack(problem, &roles, target, tile, product, packed)?);
        let sums = if in_parts { Buffer::Workspace(0) } else { Buffer::Result };
        let table = &program.tables[0];
        let launch =
            multiply(problem, &roles, target, tile, product, packed, (parts, size, sums), taps, table)?;
        program.launches.push(launch);
        taps += product.taps.max(1);
    }
    if per_run {
        program.workspace.push(factors);
        program.launches = [packs, program.launches].concat();
    } else {
        program.prepared = factors;
        program.prepare = packs;
    }
    if in_parts {
        let (launch, table) = fold::launch(problem, target, &written, parts, program.tables.len())?;
        program.launches.push(launch);
        program.tables.push(table);
    }
    Ok(program)
}

/// The taps of every product, and the boundary.
fn make_tables(problem: &ConvProblem, products: &[Product<'_>]) -> Vec<Table> {
    let table = has_table(problem);
    let mut words = Vec::new();
    for product in products.iter().filter(|product| product.columns > 0) {
        let [(z, pz), (y, py), (x, px)] = product.axes;
        let steps = |axis: &Loop, tap: u64| (tap as i64).wrapping_mul(axis.dilation);
        for (tz, ty, tx) in each(pz.taps, py.taps, px.taps) {
            let at = [steps(z, tz), steps(y, ty), steps(x, tx)];
            let strides = [z, y, x].map(|axis| axis.a_stride as i64);
            let offset = at.iter().zip(strides).map(|(&at, stride)| at.wrapping_mul(stride)).sum::<i64>();
            words.extend([if table { 0 } else { word(offset) }, word(at[0]), word(at[1]), word(at[2])]);
        }
        if product.taps == 0 {
            // Never read as one, but counted from.
            words.extend([0; ENTRY]);
        }
    }
    words.resize(words.len().max(4), 0);
    let mut boundary = tables::boundary(problem);
    boundary.resize(boundary.len().max(4), 0);
    vec![Table { name: "taps", words }, Table { name: "boundary", words: boundary }]
}

fn each(z: u64, y: u64, x: u64) -> impl Iterator<Item = (u64, u64, u64)> {
    (0..z).flat_map(move |tz| (0..y).flat_map(move |ty| (0..x).map(move |tx| (tz, ty, tx))))
}

/// The launch that lays out the factors of one product.
fn pack(
    problem: &ConvProblem,
    roles: &Roles,
    target: &Target,
    tile: Tile,
    product: &Product<'_>,
    packed: Binding,
) -> Result<Launch, Unsupported> {
    let element = problem.element();
    let fours = product.packed(roles, tile) / 4;
    let grid = Grid::linear(fours, WORKGROUP, &target.limits)
        .ok_or(Unsupported::GridTooLarge { invocations: fours })?;
    let (b, [b_group, b_channel, b_summed]) = roles.b;
    let axes = product.axes;
    let [z, y, x] = axes.map(|(axis, phase)| (axis.b_stride, phase.taps.max(1)));
    let first = axes.iter().map(|(_, phase)| phase.b_first).sum();
    let block = PackParams {
        counts: [fours, roles.channels, product.products, 0].map(count),
        tile: [u64::from(tile.rows / 4), product.steps * u64::from(tile.depth), product.row_tiles, 0]
            .map(count),
        taps: [z.1, y.1, x.1, product.taps.max(1)].map(count),
        b_stride: [word(z.0), word(y.0), word(x.0), count(b_summed)],
        base: [count(b_group), count(b_channel), word(first), 0],
    };
    let tensor = if b == Buffer::Weight { problem.weight() } else { problem.output() };
    let bytes = binding_bytes(problem, tensor);
    // Without any factor nothing is read, but the launch has a place for them.
    let factors = if bytes == 0 {
        Binding { buffer: Buffer::Table(0), offset: 0, size: 16 }
    } else {
        Binding { buffer: b, offset: 0, size: bytes }
    };
    Ok(Launch {
        kernel: Kernel::Pack,
        spec: PackSpec { element }.into(),
        params: Params::Pack(block),
        bindings: vec![factors, packed],
        grid,
    })
}

/// The launch that multiplies.
#[allow(clippy::too_many_arguments, reason = "one call, and all of it is the launch")]
fn multiply(
    problem: &ConvProblem,
    roles: &Roles,
    target: &Target,
    tile: Tile,
    product: &Product<'_>,
    packed: Binding,
    (parts, size, sums): (u64, u64, Buffer),
    taps: u64,
    table: &Table,
) -> Result<Launch, Unsupported> {
    let whole = sums == Buffer::Result;
    let tiles = [product.row_tiles, product.column_tiles, roles.groups, parts];
    let workgroups = tiles.iter().fold(1u64, |all, &n| all.saturating_mul(n));
    let invocations = workgroups.saturating_mul(tile.invocations().into());
    let grid = Grid::linear(invocations, tile.invocations(), &target.limits)
        .ok_or(Unsupported::GridTooLarge { invocations })?;
    let axes = product.axes;
    let four = |[z, y, x]: [i64; 3], last: u64| [word(z), word(y), word(x), count(last)];
    let of = |value: fn(&Loop) -> i64| axes.map(|(axis, _)| value(axis));
    let depth = u64::from(tile.depth);
    let each = product.taps.max(1);
    // Without products there is nothing to sum, and what was packed is not looked at.
    let steps = product.products.div_ceil(depth);
    let first: i64 = axes.iter().map(|(_, phase)| phase.r_first).sum();
    let (a, [a_image, a_group, a_channel]) = roles.a;
    let [tz, ty, tx] = tables::boundary_begins(problem, 0);
    let mut block = GemmParams {
        a_extent: four(of(|axis| axis.a_extent as i64), product.products),
        stride: four(of(|axis| axis.stride), each),
        pad: four(axes.map(|(_, phase)| phase.pad), taps),
        a_stride: four(of(|axis| axis.a_stride as i64), a_channel),
        cells: four(axes.map(|(_, phase)| phase.cells as i64), roles.images),
        r_stride: four(of(|axis| axis.r_stride), roles.r[1]),
        base: [count(a_image), count(a_group), count(roles.r[0]), word(first)],
        tiles: tiles.map(count),
        steps: [steps.div_ceil(parts), steps, depth / each, depth % each].map(count),
        counts: [roles.channels, product.columns, size, workgroups].map(count),
        tables: [tz, ty, tx, 0],
        scale: [1.0, 0.0, single(problem.boundary().fill()), 0.0],
        ..GemmParams::default()
    };
    if whole {
        let factors;
        (block.epilogue, factors, block.activation) = epilogue_words(problem);
        block.scale[..2].copy_from_slice(&factors);
    }
    let element = problem.element();
    let sum = if whole { element } else { Element::F32 };
    let table_of_cells = has_table(problem);
    let mask = !table_of_cells && product.taps <= MASK_BITS;
    let spec = GemmSpec { tile, mask, table: table_of_cells, element, sum };
    let gathered = if a == Buffer::Input { problem.input() } else { problem.output() };
    let [bias, residual] = epilogue_bindings(problem, table, 0, whole);
    let output = if whole { binding_bytes(problem, problem.result()) } else { size * parts * 4 };
    let bindings = vec![
        bind(table, 0, a, binding_bytes(problem, gathered)),
        packed,
        bias,
        residual,
        bind(table, 0, Buffer::Table(0), 0),
        Binding { buffer: Buffer::Table(1), offset: 0, size: tables_bytes(problem) },
        bind(table, 0, sums, output),
    ];
    Ok(Launch {
        kernel: Kernel::ImplicitGemm,
        spec: spec.into(),
        params: Params::ImplicitGemm(block),
        bindings,
        grid,
    })
}

/// Bytes of the boundary's table; no less than four words.
fn tables_bytes(problem: &ConvProblem) -> u64 {
    (tables::boundary(problem).len() as u64).max(4) * 4
}
