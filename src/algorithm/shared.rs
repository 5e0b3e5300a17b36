//! What algorithms share: the three directions as one loop with exchanged roles, the tables of boundaries, the launch
//! that adds up parts, and what a device's limits allow.

pub(super) mod cost;
pub(super) mod fold;
pub(super) mod gemm;
pub(super) mod im2col;
pub(super) mod matrix;
pub(super) mod outside;
pub(super) mod product;
pub(super) mod proportion;
pub(super) mod roles;
pub(super) mod tables;

use crate::implementation::{Cannot, Resource};
pub(super) use crate::problem::compact_strides;
use crate::problem::{ConvProblem, Element, TensorLayout};
use crate::program::{Binding, Buffer, Table};
use crate::target::Target;

use roles::{Roles, is_folded, three_axes};

/// Most numbers that one invocation of the fold adds up through lists of places: it bounds the time of an invocation, and keeps its
/// loops below the 65,535 iterations after which llvmpipe leaves every loop of a shader.
pub(super) const MAX_PLACES: u64 = 1 << 13;

/// Indices, extents and coordinates stay below this.
pub(super) const MAX_INDEX: u64 = 1 << 31;

/// Most products that a sum adds up one after the other, but for products of matrices. Of numbers of one sign all roundings in a
/// single accumulator go the same way, and its error grows like the number of products, not like its root: longer sums are sums
/// of blocks.
pub(super) const MAX_RUN: u64 = 192;

/// Products of a block of a longer sum.
pub(super) const RUN: u64 = 1 << 7;

/// For kernels that count what a block holds: more than any sum has.
pub(super) const ENDLESS: u64 = 1 << 30;

/// Where bindings begin: at multiples of so many bytes on every device.
const BINDING_STEP: u64 = 256;

/// Most words of the tables that the host computes: 64 MiB.
pub(super) const MAX_TABLE: u64 = 1 << 24;

/// Most words of the tables of all sub-problems of a problem: 32 MiB.
pub(super) const MAX_WORDS_OF_PIECES: u64 = MAX_TABLE / 2;

/// Most words of the rows of phases: of each the first tap is found.
const MAX_ROWS: u64 = 1 << 18;

/// Most cells outside the input that a boundary table holds: each is looked for.
const MAX_OUTSIDE: u64 = 1 << 20;

/// No budget of scratch memory below it is worth being tried, in bytes.
const LEAST_BUDGET: u64 = 1 << 16;

/// Most launches of one run.
pub(super) const MAX_LAUNCHES: u64 = 1 << 12;

/// Most parts of one sum: one invocation adds them up.
pub(super) const MAX_PARTS: u64 = 1 << 14;

/// Declines elements that the device lacks, and a kernel that its limits do not allow: these invocations or bytes per
/// workgroup, this many storage buffers.
pub(super) fn check_device(
    problem: &ConvProblem,
    target: &Target,
    needs: &[(u32, Resource)],
    buffers: u32,
) -> Result<(), Cannot> {
    let element = problem.element();
    if element == Element::F64 || element == Element::F16 && !target.features.f16 {
        return Err(Cannot::Element { element });
    }
    let limits = &target.limits;
    let limit = |resource| match resource {
        Resource::WorkgroupBytes => limits.max_workgroup_bytes,
        Resource::StorageBuffers => limits.max_storage_buffers,
        _ => limits.max_invocations,
    };
    for &(needed, resource) in needs.iter().chain([&(buffers, Resource::StorageBuffers)]) {
        if needed > limit(resource) {
            return Err(Cannot::Limit { resource, needed: needed.into(), limit: limit(resource).into() });
        }
    }
    Ok(())
}

/// Declines what 32-bit coordinates and indices do not reach, and what a binding does not hold, with this many words of
/// tables. Gives how many padded cells stand for one cell of the result, at most.
pub(super) fn check_sizes(problem: &ConvProblem, target: &Target, words: u64) -> Result<u64, Cannot> {
    // No piece has fewer phases, together with the others.
    for (resource, needed, limit) in [
        (Resource::PhaseWords, tables::rows(problem), MAX_ROWS),
        (Resource::BoundaryCells, tables::outside(problem), MAX_OUTSIDE),
    ] {
        if needed > limit {
            return Err(Cannot::Limit { resource, needed, limit });
        }
    }
    for axis in three_axes(problem) {
        // The kernels compare wrapped coordinates: both sides of 0 must stay below 2^31, and a tile may
        // hang over the last cell by three steps.
        let stride = if axis.output > 1 { axis.stride } else { 1 };
        let dilation = if axis.kernel > 1 { axis.dilation } else { 1 };
        let over = axis.reach().saturating_add(stride.max(dilation).saturating_mul(4));
        for (what, value) in [("window reach", over), ("padding", axis.pad_begin)] {
            if value >= MAX_INDEX {
                return Err(Cannot::IndexTooLarge { what, value });
            }
        }
    }
    // What the kernels count and address, in elements: larger buffers exist, but not for 32-bit indices.
    let tensors = [("input", problem.input()), ("weight", problem.weight()), ("output", problem.output())];
    for (what, tensor) in tensors {
        let largest = tensor.extents.iter().copied().fold(tensor.span, u64::max);
        if largest >= MAX_INDEX {
            return Err(Cannot::IndexTooLarge { what, value: largest });
        }
    }
    if words > MAX_TABLE {
        return Err(Cannot::Limit { resource: Resource::TableWords, needed: words, limit: MAX_TABLE });
    }
    let limit = binding_limit(target);
    let table = ("tables", words * 4);
    for (buffer, bytes) in
        tensors.map(|(what, t)| (what, binding_bytes(problem, t))).into_iter().chain([table])
    {
        if bytes > limit {
            return Err(Cannot::BindingTooLarge { buffer, bytes, limit });
        }
    }
    let places = if is_folded(problem) { tables::most_places(problem) } else { 1 };
    if places > MAX_PLACES {
        let resource = Resource::ReadsOfOneCell;
        return Err(Cannot::Limit { resource, needed: places, limit: MAX_PLACES });
    }
    Ok(places)
}

/// The budget of scratch memory to try after this one, which takes too many launches.
pub(super) fn more_workspace(budget: u64) -> u64 {
    budget.saturating_mul(2).max(LEAST_BUDGET)
}

pub(super) fn binding_limit(target: &Target) -> u64 {
    target.limits.max_binding_bytes.min(target.limits.max_buffer_bytes)
}

/// The epilogue as uniform blocks hold it: code of the activation, whether there is a residual, whether a bias;
/// factors of the sum and of the residual; the activation's parameters.
pub(super) fn epilogue_words(problem: &ConvProblem) -> ([u32; 4], [f32; 2], [f32; 4]) {
    let epilogue = problem.epilogue();
    let (code, [first, second]) = epilogue.activation.code();
    (
        [code, epilogue.beta.is_some().into(), epilogue.bias.into(), 0],
        [single(epilogue.alpha), single(epilogue.beta.unwrap_or(0.0))],
        [single(first), single(second), 0.0, 0.0],
    )
}

/// Puts the epilogue into the uniform block of a launch that writes the result.
pub(super) fn set_epilogue(
    problem: &ConvProblem,
    words: &mut [u32; 4],
    scale: &mut [f32; 4],
    activation: &mut [f32; 4],
) {
    let factors;
    (*words, factors, *activation) = epilogue_words(problem);
    scale[..2].copy_from_slice(&factors);
}

/// Bindings of the bias and of the residual where a launch reads them.
pub(super) fn epilogue_bindings(
    problem: &ConvProblem,
    table: &Table,
    index: usize,
    used: bool,
) -> [Binding; 2] {
    let (epilogue, bytes) = (problem.epilogue(), problem.element().bytes());
    let none = bind(table, index, Buffer::Bias, 0);
    // A part of a problem begins at a bound address here.
    let size = problem.bias_len().saturating_mul(bytes).next_multiple_of(4);
    let bias = Binding { offset: problem.bias_first() * bytes, ..bind(table, index, Buffer::Bias, size) };
    [
        if used && epilogue.bias && size > 0 { bias } else { none },
        if used && epilogue.beta.is_some() {
            bind_tensor(problem, table, index, Buffer::Residual)
        } else {
            none
        },
    ]
}

/// The whole of `buffer`. A part that does not exist (no input channels, no bias, ...) is bound to the launch's
/// table and never read.
pub(super) fn bind(table: &Table, index: usize, buffer: Buffer, size: u64) -> Binding {
    match size {
        0 => Binding { buffer: Buffer::Table(index), offset: 0, size: table.words.len() as u64 * 4 },
        size => Binding { buffer, offset: 0, size },
    }
}

/// The elements of a tensor of the problem. The kernel finds its first one at [`first`] of what is bound.
pub(super) fn bind_tensor(problem: &ConvProblem, table: &Table, index: usize, buffer: Buffer) -> Binding {
    let tensor = tensor(problem, buffer);
    match binding_bytes(problem, tensor) {
        0 => bind(table, index, buffer, 0),
        size => {
            let offset = (tensor.first - first(problem, tensor)) * problem.element().bytes();
            Binding { buffer, offset, size }
        }
    }
}

/// Where a launch writes its sums: the result, or `copies` bytes of another buffer for a fold.
pub(super) fn bind_sums(problem: &ConvProblem, table: &Table, buffer: Buffer, copies: u64) -> Binding {
    match buffer {
        Buffer::Result => bind_tensor(problem, table, 0, buffer),
        _ => bind(table, 0, buffer, copies),
    }
}

/// What a launch binds that reads windows and factors from where they lie: both, bias, residual, table and sums.
pub(super) fn bind_gather(
    problem: &ConvProblem,
    table: &Table,
    roles: &Roles,
    sums: Buffer,
    copies: u64,
) -> Vec<Binding> {
    let [bias, residual] = epilogue_bindings(problem, table, 0, sums == Buffer::Result);
    vec![
        bind_tensor(problem, table, 0, roles.a.0),
        bind_tensor(problem, table, 0, roles.b.0),
        bias,
        residual,
        bind(table, 0, Buffer::Table(0), 0),
        bind_sums(problem, table, sums, copies),
    ]
}

/// The tensor that a buffer holds.
pub(super) fn tensor(problem: &ConvProblem, buffer: Buffer) -> &TensorLayout {
    match buffer {
        Buffer::Input => problem.input(),
        Buffer::Weight => problem.weight(),
        Buffer::GradOutput => problem.output(),
        _ => problem.result(),
    }
}

/// Elements of a binding before a tensor's first one: bindings begin at multiples of 256 bytes.
pub(super) fn first(problem: &ConvProblem, tensor: &TensorLayout) -> u64 {
    tensor.first % (BINDING_STEP / problem.element().bytes())
}

/// Bytes bound for a tensor: whole words.
pub(super) fn binding_bytes(problem: &ConvProblem, tensor: &TensorLayout) -> u64 {
    let elements = if tensor.span == 0 { 0 } else { tensor.span.saturating_add(first(problem, tensor)) };
    elements.saturating_mul(problem.element().bytes()).next_multiple_of(4)
}

/// Steps in the kernel's wrapping 32-bit arithmetic. What is stepped along was checked by [`accepts`] to stay below
/// 2^31 on either side of 0, so only steps that are never taken can be cut.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "as said above")]
pub(super) fn word(value: i64) -> u32 {
    value as u32
}

/// The same of a count.
#[allow(clippy::cast_possible_truncation, reason = "as said above")]
pub(super) fn count(value: u64) -> u32 {
    value as u32
}

#[allow(clippy::cast_possible_truncation, reason = "kernels compute in f32: rounding is meant")]
pub(super) fn single(value: f64) -> f32 {
    value as f32
}
