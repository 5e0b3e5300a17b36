//! `Direct`: every invocation sums the windows of a few outputs, straight from the operands.

use super::{Config, Unsupported};
use crate::kernel::{DIRECT_WORKGROUP, DirectParams, DirectSpec, Kernel, Params};
use crate::problem::{Axis, Boundary, ConvProblem, Direction, Element, Source, TensorLayout};
use crate::program::{Binding, Buffer, Grid, Launch, Program, Table, Target};

/// What one invocation computes and how it loads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DirectConfig {
    /// Output channels: 1 or 4.
    pub tile_c: u32,
    /// Outputs along the innermost axis: 1 or 4.
    pub tile_x: u32,
    /// Input channels per load: 1, or 4 where they are neighbours in `x` and in `w`.
    pub lanes: u32,
}

/// A problem has fewer axes than the kernel: the missing leading ones hold one cell.
const UNIT: Axis = Axis { input: 1, kernel: 1, output: 1, stride: 1, dilation: 1, pad_begin: 0, pad_end: 0 };

/// Below this many invocations a GPU is not filled, so tiles shrink first.
const FILLS_A_GPU: u64 = 1 << 14;

/// Most loads of `x` that one output takes in one launch; longer sums go on in further launches. It
/// bounds the time of a launch, which drivers watch over. And it keeps the loops of an invocation, at
/// up to four iterations a tap, below the 65,535 after which llvmpipe (seen in Mesa 22.3) leaves every loop
/// of a shader without a word.
const MAX_STEPS: u64 = 1 << 13;

/// Longer chains of launches are declined.
const MAX_LAUNCHES: usize = 4096;

/// What `table` holds for a coordinate without a cell.
const OUTSIDE: u32 = u32::MAX;

pub(super) fn candidates(problem: &ConvProblem, target: &Target) -> Result<Vec<Config>, Unsupported> {
    accepts(problem, target)?;
    let per_group = problem.c_out() / problem.groups();
    let row = problem.axes().last().map_or(1, |a| a.output);
    let lanes = if vector_loads(problem) { 4 } else { 1 };
    // A tile of four serves a count of three at a quarter's waste, a count of two at half.
    let tiles_c: &[u32] = if per_group >= 3 { &[4, 1] } else { &[1] };
    // Weights per position are loaded anew for every output along a row.
    let tiles_x: &[u32] = if row >= 3 && !problem.unshared() { &[4, 1] } else { &[1] };
    let mut configs: Vec<DirectConfig> = tiles_c
        .iter()
        .flat_map(|&tile_c| tiles_x.iter().map(move |&tile_x| DirectConfig { tile_c, tile_x, lanes }))
        .collect();
    // Stable: the largest tile first, then by how far a small problem stays from filling the device.
    configs.sort_by_key(|c| FILLS_A_GPU.saturating_sub(tile_counts(problem, c).iter().product()));
    Ok(configs.into_iter().map(Config::Direct).collect())
}

/// What no configuration can run.
fn accepts(problem: &ConvProblem, target: &Target) -> Result<(), Unsupported> {
    let (direction, element) = (problem.direction(), problem.element());
    if direction != Direction::Forward {
        return Err(Unsupported::Direction { direction });
    }
    if element == Element::F64 || element == Element::F16 && !target.features.f16 {
        return Err(Unsupported::Element { element });
    }
    let limits = &target.limits;
    for (what, needed, limit) in [
        ("storage buffers", 6, limits.max_storage_buffers),
        ("invocations per workgroup", DIRECT_WORKGROUP, limits.max_invocations),
    ] {
        if needed > limit {
            return Err(Unsupported::Limit { what, needed: needed.into(), limit: limit.into() });
        }
    }
    let (needed, limit) = (problem.terms(), MAX_STEPS);
    if element == Element::F16 && needed > limit {
        // Partial sums would be rounded to f16 between the launches.
        return Err(Unsupported::Limit { what: "products per f16 sum", needed, limit });
    }
    let limit = limits.max_binding_bytes.min(limits.max_buffer_bytes);
    let tables = table_words(problem).saturating_mul(4);
    for (buffer, bytes) in [
        ("input", binding_bytes(problem, problem.input())),
        ("weight", binding_bytes(problem, problem.weight())),
        ("output", binding_bytes(problem, problem.output())),
        ("boundary tables", tables),
    ] {
        if bytes > limit {
            return Err(Unsupported::BindingTooLarge { buffer, bytes, limit });
        }
    }
    for axis in problem.axes() {
        // The kernel compares wrapped coordinates: both sides of 0 must stay below 2^31, and a tile may
        // hang over the last output by three strides.
        let over = axis.reach().saturating_add(axis.stride.saturating_mul(4));
        for (what, value) in [("window reach", over), ("padding", axis.pad_begin)] {
            if value >= 1 << 31 {
                return Err(Unsupported::IndexTooLarge { what, value });
            }
        }
    }
    Ok(())
}

/// Whether four neighbouring input channels can be read at once: they are adjacent in both operands
/// and every other step is a whole number of loads.
fn vector_loads(problem: &ConvProblem) -> bool {
    let steps_by_four = |tensor: &TensorLayout, channel: usize| {
        let axes = tensor.strides.iter().zip(&tensor.extents).enumerate();
        tensor.strides[channel] == 1
            && axes.filter(|&(a, (_, &e))| a != channel && e > 1).all(|(_, (s, _))| s.is_multiple_of(4))
    };
    let per_group = problem.c_in() / problem.groups();
    per_group > 0
        && per_group.is_multiple_of(4)
        && steps_by_four(problem.input(), 1)
        && steps_by_four(problem.weight(), weight_channel(problem))
}

/// The logical axis of `w` that counts input channels.
fn weight_channel(problem: &ConvProblem) -> usize {
    if problem.unshared() { 1 + problem.rank() } else { 1 }
}

pub(super) fn lower(
    problem: &ConvProblem,
    target: &Target,
    config: DirectConfig,
) -> Result<Program, Unsupported> {
    accepts(problem, target)?;
    let fits = [1, 4].contains(&config.tile_c)
        && (config.tile_x == 1 || config.tile_x == 4 && !problem.unshared())
        && (config.lanes == 1 || config.lanes == 4 && vector_loads(problem));
    if !fits {
        return Err(Unsupported::Config { config: Config::Direct(config) });
    }
    let table = problem.boundary() != Boundary::Zero;
    let tables = vec![boundary_tables(problem)];
    if problem.output().is_empty() {
        return Ok(Program { tables, ..Program::default() });
    }
    let counts = tile_counts(problem, &config);
    // Saturating: a product past 64 bits is refused by the grid like any other that is too large.
    let invocations = counts.iter().fold(1u64, |product, &c| product.saturating_mul(c));
    let grid = Grid::linear(invocations, DIRECT_WORKGROUP, &target.limits)
        .ok_or(Unsupported::GridTooLarge { invocations })?;
    let DirectConfig { tile_c, tile_x, lanes } = config;
    let spec = DirectSpec { tile_c, tile_x, lanes, table, element: problem.element() };
    let whole = params(problem, &config, counts, invocations);
    let parts = parts(&whole);
    let count = parts.len();
    if count > MAX_LAUNCHES {
        let (needed, limit) = (count as u64, MAX_LAUNCHES as u64);
        return Err(Unsupported::Limit { what: "launches for one sum", needed, limit });
    }
    let launch = |(i, part)| {
        let Part { params, reads, writes } = chained(part, &whole, i, count);
        let bindings = bindings(problem, &tables[0], reads, writes);
        let params = Params::Direct(params);
        Launch { kernel: Kernel::Direct, spec: spec.into(), params, bindings, grid }
    };
    let launches = parts.into_iter().enumerate().map(launch).collect();
    let workspace = if count > 1 { vec![binding_bytes(problem, problem.output())] } else { Vec::new() };
    Ok(Program { tables, workspace, launches, ..Program::default() })
}

/// The taps and input channels in boxes of at most [`MAX_STEPS`] products, each as the parameters of a
/// sum over that box alone: where the box begins goes into the offsets, in wrapping arithmetic.
fn parts(whole: &DirectParams) -> Vec<DirectParams> {
    let mut boxes = vec![*whole];
    for axis in 0..4 {
        let split = |params: DirectParams| {
            let (extent, inner) = match axis {
                3 => (params.in_extent[3], 1),
                _ => {
                    let taps = params.kernel[axis + 1..3].iter().map(|&k| u64::from(k)).product::<u64>();
                    (params.kernel[axis], taps * u64::from(params.in_extent[3]))
                }
            };
            let step = word((MAX_STEPS / inner.max(1)).clamp(1, u64::from(extent.max(1))));
            let starts = (0..extent.max(1)).step_by(step as usize);
            starts.map(move |begin| box_of(&params, axis, begin, step.min(extent - begin.min(extent))))
        };
        boxes = boxes.into_iter().flat_map(split).collect();
    }
    boxes
}

/// `count` taps (or input channels, axis 3) of `params` from `begin` on.
fn box_of(params: &DirectParams, axis: usize, begin: u32, count: u32) -> DirectParams {
    let mut part = *params;
    part.base[0] = part.base[0].wrapping_add(begin.wrapping_mul(params.w_stride[axis]));
    if axis == 3 {
        part.in_extent[3] = count;
        part.table[3] = part.table[3].wrapping_add(begin.wrapping_mul(params.x_stride[3]));
    } else {
        let cells = begin.wrapping_mul(params.dilation[axis]);
        part.kernel[axis] = count;
        part.pad[axis] = part.pad[axis].wrapping_sub(cells);
        part.table[axis] = part.table[axis].wrapping_add(cells);
    }
    part
}

/// One launch of a chain: what it reads as its residual and where it writes.
struct Part {
    params: DirectParams,
    reads: Option<Buffer>,
    writes: Buffer,
}

/// The `i`th of `count` partial sums. The first adds bias and residual, each later one the sum so far,
/// the last one applies the activation. They alternate between the workspace and the result.
fn chained(mut params: DirectParams, whole: &DirectParams, i: usize, count: usize) -> Part {
    let place =
        |i: usize| if (count - 1 - i).is_multiple_of(2) { Buffer::Result } else { Buffer::Workspace(0) };
    if i > 0 {
        params.dilation[3] = 0;
        params.pad[3] = 1;
        params.scale[1] = 1.0;
    }
    if i + 1 < count {
        params.channel_tiles[2] = 0;
    }
    let residual = (whole.pad[3] != 0).then_some(Buffer::Residual);
    Part { params, reads: if i == 0 { residual } else { Some(place(i - 1)) }, writes: place(i) }
}

/// Tiles along z, y and x, channel tiles of all groups, images.
fn tile_counts(problem: &ConvProblem, config: &DirectConfig) -> [u64; 5] {
    let [z, y, x] = three_axes(problem);
    let per_group = problem.c_out() / problem.groups();
    let channel_tiles = per_group.div_ceil(config.tile_c.into()) * problem.groups();
    [z.output, y.output, x.output.div_ceil(config.tile_x.into()), channel_tiles, problem.n()]
}

fn three_axes(problem: &ConvProblem) -> [Axis; 3] {
    let given = problem.axes();
    std::array::from_fn(|i| (i + given.len()).checked_sub(3).map_or(UNIT, |a| given[a]))
}

/// Strides of the last `rank` axes of a tensor as z, y, x; missing axes have one cell and stride 0.
fn spatial_strides(tensor: &TensorLayout, rank: usize) -> [u64; 3] {
    let from = tensor.strides.len() - rank;
    std::array::from_fn(|i| (i + rank).checked_sub(3).map_or(0, |a| tensor.strides[from + a]))
}

/// Everything was checked against 2^31 by `accepts` (binding sizes bound the strides of axes that are
/// stepped along), so only the strides of axes with one cell can be cut here, and those are never used.
#[allow(clippy::cast_possible_truncation, reason = "as said above")]
fn word(value: u64) -> u32 {
    value as u32
}

fn params(problem: &ConvProblem, config: &DirectConfig, counts: [u64; 5], invocations: u64) -> DirectParams {
    let axes = three_axes(problem);
    let each = |of: fn(&Axis) -> u64| axes.map(|a| word(of(&a)));
    let four = |[z, y, x]: [u32; 3], last: u64| [z, y, x, word(last)];
    let (input, weight, output) = (problem.input(), problem.weight(), problem.output());
    let rank = problem.rank();
    let lanes = u64::from(config.lanes);
    let loads = |stride: u64| word(stride / lanes);
    let per_group = problem.c_out() / problem.groups();
    let w_stride = spatial_strides(weight, rank).map(loads);
    let flipped = problem.flip();
    // Tap K - 1 - t at stride s is tap t at stride -s, counted from the last tap.
    let last_tap = (0..3).map(|i| (word(axes[i].kernel) - 1).wrapping_mul(w_stride[i])).sum::<u32>();
    let steps = tile_steps(output, rank, counts);
    let epilogue = problem.epilogue();
    let (activation, parameters) = epilogue.activation.code();
    let in_channels = word(problem.c_in() / problem.groups() / lanes);
    let channel_stride = if lanes == 4 { 1 } else { word(input.strides[1]) };
    let ci_stride = if lanes == 4 { 1 } else { word(weight.strides[weight_channel(problem)]) };
    let [z, y, x] = spatial_strides(output, rank).map(word);
    DirectParams {
        in_extent: four(each(|a| a.input), in_channels.into()),
        out_extent: four(each(|a| a.output), per_group),
        // Without input channels there is nothing to sum, however many taps.
        kernel: four(if in_channels == 0 { [0; 3] } else { each(|a| a.kernel) }, invocations),
        stride: four(each(|a| a.stride), per_group.div_ceil(config.tile_c.into())),
        dilation: four(each(|a| a.dilation), u64::from(epilogue.bias)),
        pad: four(each(|a| a.pad_begin), u64::from(epilogue.beta.is_some())),
        x_stride: {
            let [z, y, x] = spatial_strides(input, rank).map(loads);
            [z, y, x, channel_stride]
        },
        w_stride: {
            let [z, y, x] = w_stride.map(|s| if flipped { s.wrapping_neg() } else { s });
            [z, y, x, ci_stride]
        },
        y_stride: [z, y, x, word(output.strides[1])],
        base: [
            if flipped { last_tap } else { 0 },
            loads(weight.strides[0]),
            loads(input.strides[0]),
            word(output.strides[0]),
        ],
        w_position: {
            let positions = if problem.unshared() { &weight.strides[1..=rank] } else { &[] };
            let [z, y, x] = std::array::from_fn(|i| {
                (i + positions.len()).checked_sub(3).map_or(0, |a| loads(positions[a]))
            });
            [z, y, x, 0]
        },
        tile_step: [steps[0], steps[1], steps[2], steps[4]],
        tile_count: [word(counts[0]), word(counts[1]), word(counts[2]), word(counts[4])],
        channel_tiles: [steps[3], word(counts[3]), activation, in_channels.wrapping_mul(channel_stride)],
        table: {
            let begins = table_begins(problem);
            [begins[0], begins[1], begins[2], 0]
        },
        scale: [epilogue.alpha, epilogue.beta.unwrap_or(0.0), problem.boundary().fill(), 0.0].map(single),
        activation: [parameters[0], parameters[1], 0.0, 0.0].map(single),
    }
}

#[allow(clippy::cast_possible_truncation, reason = "kernels compute in f32: rounding is meant")]
fn single(value: f64) -> f32 {
    value as f32
}

/// For each of the five tile counts, how many invocations one step along it is: neighbours in the
/// output are neighbouring invocations, whatever the layout.
fn tile_steps(output: &TensorLayout, rank: usize, counts: [u64; 5]) -> [u32; 5] {
    let [z, y, x] = spatial_strides(output, rank);
    let strides = [z, y, x, output.strides[1], output.strides[0]];
    let mut order = [2, 1, 0, 3, 4];
    order.sort_by_key(|&i| if counts[i] > 1 { strides[i] } else { 0 });
    let mut steps = [1; 5];
    let mut next = 1u64;
    for i in order {
        steps[i] = word(next);
        next *= counts[i];
    }
    steps
}

/// Bytes bound for a tensor: whole words, and never nothing.
fn binding_bytes(problem: &ConvProblem, tensor: &TensorLayout) -> u64 {
    tensor.span.saturating_mul(problem.element().bytes()).next_multiple_of(4)
}

fn bindings(problem: &ConvProblem, table: &Table, residual: Option<Buffer>, result: Buffer) -> Vec<Binding> {
    let spare = Binding { buffer: Buffer::Table(0), offset: 0, size: table.words.len() as u64 * 4 };
    let bytes = problem.element().bytes();
    // A part that does not exist is bound to the table and never read: no input channels, no bias, ...
    let bind = |buffer, size: u64| {
        if size == 0 { spare } else { Binding { buffer, offset: 0, size } }
    };
    let bias = if problem.epilogue().bias { (problem.c_out() * bytes).next_multiple_of(4) } else { 0 };
    let output = binding_bytes(problem, problem.output());
    vec![
        bind(Buffer::Input, binding_bytes(problem, problem.input())),
        bind(Buffer::Weight, binding_bytes(problem, problem.weight())),
        bind(Buffer::Bias, bias),
        residual.map_or(spare, |buffer| bind(buffer, output)),
        spare,
        bind(result, output),
    ]
}

/// Words of all boundary tables; none for `Zero`, which is arithmetic.
fn table_words(problem: &ConvProblem) -> u64 {
    if problem.boundary() == Boundary::Zero {
        return 0;
    }
    three_axes(problem).iter().map(Axis::reach).fold(0, u64::saturating_add)
}

fn table_begins(problem: &ConvProblem) -> [u32; 3] {
    if problem.boundary() == Boundary::Zero {
        return [0; 3];
    }
    let [z, y, _] = three_axes(problem).map(|a| word(a.reach()));
    [0, z, z + y]
}

/// For z, y and x in turn: padded coordinate -> cell, or [`OUTSIDE`]. Padded to four words, so that
/// it can stand in for any binding.
fn boundary_tables(problem: &ConvProblem) -> Table {
    let mut words = Vec::new();
    if problem.boundary() != Boundary::Zero {
        for axis in three_axes(problem) {
            // `accepts` bounds reach and padding by 2^31.
            words.extend((0..axis.reach() as i64).map(|at| {
                match problem.boundary().source(at - axis.pad_begin as i64, axis.input) {
                    Source::Cell(cell) => word(cell),
                    Source::Outside => OUTSIDE,
                }
            }));
        }
    }
    words.resize(words.len().max(4), OUTSIDE);
    Table { name: "boundary", words }
}
