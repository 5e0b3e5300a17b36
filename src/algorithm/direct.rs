//! `Direct`: every invocation sums the windows of a few cells of the result, straight from the operands. The three
//! directions are one loop with exchanged roles; long sums and repeated cells are added up by a second launch.

mod fold;
mod params;
mod roles;
mod tables;

use super::{Config, Unsupported};
use crate::kernel::{DirectSpec, Kernel, Params, WORKGROUP};
use crate::problem::{ConvProblem, Element, TensorLayout};
use crate::program::{Binding, Buffer, Grid, Launch, Program, Table, Target};

use params::Cut;
use roles::{Roles, has_table, is_folded, three_axes, written_extents};

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

/// Most numbers that one invocation of the fold adds up through lists of places, for the same reason.
const MAX_PLACES: u64 = 1 << 13;

/// Indices, extents and coordinates stay below this.
const MAX_INDEX: u64 = 1 << 31;

/// Most words of the tables that the host computes: 64 MiB.
const MAX_TABLE: u64 = 1 << 24;

/// Sums are cut no shorter to fill a GPU.
const MIN_STEPS: u64 = 1 << 8;

/// Most parts of one sum: one invocation adds them up.
const MAX_PARTS: u64 = 1 << 14;

pub(super) fn candidates(problem: &ConvProblem, target: &Target) -> Result<Vec<Config>, Unsupported> {
    accepts(problem, target)?;
    let roles = Roles::new(problem, &problem.result().strides);
    let lanes = if roles.vector_loads { 4 } else { 1 };
    // A tile of four serves a count of three at a quarter's waste, a count of two at half.
    let tiles_c: &[u32] = if roles.channels >= 3 { &[4, 1] } else { &[1] };
    let tiles_x: &[u32] = if may_tile(problem) && roles.axes[2].cells() >= 3 { &[4, 1] } else { &[1] };
    let mut configs: Vec<DirectConfig> = tiles_c
        .iter()
        .flat_map(|&tile_c| tiles_x.iter().map(move |&tile_x| DirectConfig { tile_c, tile_x, lanes }))
        .collect();
    // Stable: the largest tile first, then by how far a small problem stays from filling the device.
    configs.sort_by_key(|c| FILLS_A_GPU.saturating_sub(params::tile_counts(&roles, c).iter().product()));
    Ok(configs.into_iter().map(Config::Direct).collect())
}

/// Whether neighbouring cells share their factors.
fn may_tile(problem: &ConvProblem) -> bool {
    !problem.unshared()
}

/// Declines what no configuration can run. Gives how many padded cells stand for one cell of the result, at most.
fn accepts(problem: &ConvProblem, target: &Target) -> Result<u64, Unsupported> {
    let element = problem.element();
    if element == Element::F64 || element == Element::F16 && !target.features.f16 {
        return Err(Unsupported::Element { element });
    }
    let limits = &target.limits;
    for (what, needed, limit) in [
        ("storage buffers", 6, limits.max_storage_buffers),
        ("invocations per workgroup", WORKGROUP, limits.max_invocations),
    ] {
        if needed > limit {
            return Err(Unsupported::Limit { what, needed: needed.into(), limit: limit.into() });
        }
    }
    for axis in three_axes(problem) {
        // The kernel compares wrapped coordinates: both sides of 0 must stay below 2^31, and a tile may
        // hang over the last cell by three steps.
        let stride = if axis.output > 1 { axis.stride } else { 1 };
        let dilation = if axis.kernel > 1 { axis.dilation } else { 1 };
        let over = axis.reach().saturating_add(stride.max(dilation).saturating_mul(4));
        for (what, value) in [("window reach", over), ("padding", axis.pad_begin)] {
            if value >= MAX_INDEX {
                return Err(Unsupported::IndexTooLarge { what, value });
            }
        }
    }
    // What the kernel counts and addresses, in elements: larger buffers exist, but not for 32-bit indices.
    let tensors = [("input", problem.input()), ("weight", problem.weight()), ("output", problem.output())];
    for (what, tensor) in tensors {
        let largest = tensor.extents.iter().copied().fold(tensor.span, u64::max);
        if largest >= MAX_INDEX {
            return Err(Unsupported::IndexTooLarge { what, value: largest });
        }
    }
    let words = tables::words(problem);
    if words > MAX_TABLE {
        return Err(Unsupported::Limit { what: "words of tables", needed: words, limit: MAX_TABLE });
    }
    let limit = binding_limit(target);
    let table = ("tables", words * 4);
    for (buffer, bytes) in
        tensors.map(|(what, t)| (what, binding_bytes(problem, t))).into_iter().chain([table])
    {
        if bytes > limit {
            return Err(Unsupported::BindingTooLarge { buffer, bytes, limit });
        }
    }
    let places = if is_folded(problem) { tables::most_places(problem) } else { 1 };
    if places > MAX_PLACES {
        let what = "reads of one input cell through the boundary";
        return Err(Unsupported::Limit { what, needed: places, limit: MAX_PLACES });
    }
    Ok(places)
}

fn binding_limit(target: &Target) -> u64 {
    target.limits.max_binding_bytes.min(target.limits.max_buffer_bytes)
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
        && (config.tile_x == 1 || config.tile_x == 4 && may_tile(problem))
        && (config.lanes == 1 || config.lanes == 4 && direct.vector_loads);
    if !fits {
        return Err(Unsupported::Config { config: Config::Direct(config) });
    }
    if result.is_empty() {
        return Ok(Program::default());
    }
    let written = written_extents(problem);
    let size = written.iter().fold(1u64, |product, &e| product.saturating_mul(e));
    let parts = if is_folded(problem) { MAX_PLACES / places } else { MAX_PARTS };
    let cut = Cut::new(&direct, &config, size, binding_limit(target), parts)?;
    let in_parts = cut.parts() > 1 || is_folded(problem);
    let compact = compact_strides(&written);
    let roles = if in_parts { Roles::new(problem, &compact) } else { direct };
    let mut tables = vec![tables::direct(problem, &roles, config.lanes)];
    let elements = size.saturating_mul(cut.parts());
    let (workspace, limit) = (elements.saturating_mul(4), binding_limit(target));
    if in_parts && elements >= MAX_INDEX {
        return Err(Unsupported::IndexTooLarge { what: "partial sums", value: elements });
    }
    if in_parts && workspace > limit {
        return Err(Unsupported::BindingTooLarge { buffer: "partial sums", bytes: workspace, limit });
    }
    let sums = if in_parts { Buffer::Workspace(0) } else { Buffer::Result };
    let mut launches = vec![gather(problem, &roles, target, config, &cut, &tables[0], sums, size)?];
    if in_parts {
        let (launch, table) = fold::launch(problem, target, &written, cut.parts())?;
        launches.push(launch);
        tables.push(table);
    }
    let workspace = if in_parts { vec![workspace] } else { Vec::new() };
    Ok(Program { tables, workspace, launches, ..Program::default() })
}

/// The launch that sums, into the result or, without the epilogue, into parts.
#[allow(clippy::too_many_arguments, reason = "one call, and all of it is the launch")]
fn gather(
    problem: &ConvProblem,
    roles: &Roles,
    target: &Target,
    config: DirectConfig,
    cut: &Cut,
    table: &Table,
    sums: Buffer,
    size: u64,
) -> Result<Launch, Unsupported> {
    let whole = sums == Buffer::Result;
    let counts = params::tile_counts(roles, &config);
    // Saturating: a product past 64 bits is refused by the grid like any other that is too large.
    let tiles = counts.iter().fold(1u64, |product, &c| product.saturating_mul(c));
    let invocations = tiles.saturating_mul(cut.parts());
    let grid = Grid::linear(invocations, WORKGROUP, &target.limits)
        .ok_or(Unsupported::GridTooLarge { invocations })?;
    let DirectConfig { tile_c, tile_x, lanes } = config;
    let element = problem.element();
    let sum = if whole { element } else { Element::F32 };
    let spec = DirectSpec { tile_c, tile_x, lanes, table: has_table(problem), element, sum };
    let block = params::direct(problem, roles, &config, cut, counts, !whole, size);
    let output = if whole { binding_bytes(problem, problem.result()) } else { size * cut.parts() * 4 };
    let bytes = |tensor: &TensorLayout| binding_bytes(problem, tensor);
    let operand = |buffer: Buffer| match buffer {
        Buffer::Input => bytes(problem.input()),
        Buffer::Weight => bytes(problem.weight()),
        _ => bytes(problem.output()),
    };
    let [bias, residual] = epilogue_bindings(problem, table, 0, whole);
    let bindings = vec![
        bind(table, 0, roles.a.0, operand(roles.a.0)),
        bind(table, 0, roles.b.0, operand(roles.b.0)),
        bias,
        residual,
        bind(table, 0, Buffer::Table(0), 0),
        bind(table, 0, sums, output),
    ];
    Ok(Launch { kernel: Kernel::Direct, spec: spec.into(), params: Params::Direct(block), bindings, grid })
}

/// The epilogue as both uniform blocks hold it: code of the activation, whether there is a residual, whether a bias;
/// factors of the sum and of the residual; the activation's parameters.
fn epilogue_words(problem: &ConvProblem) -> ([u32; 4], [f32; 2], [f32; 4]) {
    let epilogue = problem.epilogue();
    let (code, [first, second]) = epilogue.activation.code();
    (
        [code, epilogue.beta.is_some().into(), epilogue.bias.into(), 0],
        [single(epilogue.alpha), single(epilogue.beta.unwrap_or(0.0))],
        [single(first), single(second), 0.0, 0.0],
    )
}

/// Bindings of the bias and of the residual where a launch reads them.
fn epilogue_bindings(problem: &ConvProblem, table: &Table, index: usize, used: bool) -> [Binding; 2] {
    let epilogue = problem.epilogue();
    let bias = problem.bias_len().saturating_mul(problem.element().bytes()).next_multiple_of(4);
    let residual = binding_bytes(problem, problem.result());
    [
        bind(table, index, Buffer::Bias, if used && epilogue.bias { bias } else { 0 }),
        bind(table, index, Buffer::Residual, if used && epilogue.beta.is_some() { residual } else { 0 }),
    ]
}

/// The whole of `buffer`. A part that does not exist (no input channels, no bias, ...) is bound to the launch's
/// table and never read.
fn bind(table: &Table, index: usize, buffer: Buffer, size: u64) -> Binding {
    match size {
        0 => Binding { buffer: Buffer::Table(index), offset: 0, size: table.words.len() as u64 * 4 },
        size => Binding { buffer, offset: 0, size },
    }
}

/// Bytes bound for a tensor: whole words.
fn binding_bytes(problem: &ConvProblem, tensor: &TensorLayout) -> u64 {
    tensor.span.saturating_mul(problem.element().bytes()).next_multiple_of(4)
}

/// Strides of a tensor without gaps, its last axis innermost.
fn compact_strides(extents: &[u64]) -> Vec<u64> {
    let mut strides = vec![1u64; extents.len()];
    for axis in (1..extents.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(extents[axis]);
    }
    strides
}

/// Steps in the kernel's wrapping 32-bit arithmetic. What is stepped along was checked by [`accepts`] to stay below
/// 2^31 on either side of 0, so only steps that are never taken can be cut.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as said above")]
fn word(value: i64) -> u32 {
    value as u32
}

/// The same of a count.
#[allow(clippy::cast_possible_truncation, reason = "as said above")]
fn count(value: u64) -> u32 {
    value as u32
}

#[allow(clippy::cast_possible_truncation, reason = "kernels compute in f32: rounding is meant")]
fn single(value: f64) -> f32 {
    value as f32
}
