//! The launch that adds up parts of sums and places of cells, and applies the epilogue.

use super::roles::is_folded;
use super::{
    MAX_INDEX, RUN, bind, bind_tensor, binding_limit, compact_strides, count, epilogue_bindings,
    epilogue_words, first, tables,
};
use crate::implementation::Cannot;
use crate::kernel::{FoldParams, FoldSpec, Kernel, Params, WORKGROUP};
use crate::problem::{ConvProblem, Direction};
use crate::program::{Buffer, Grid, Launch, Program, Table};
use crate::target::Target;

/// Axes of the kernel: those of an unshared weight of rank 3.
const AXES: usize = 8;

/// What a fold adds up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::algorithm) struct Parts {
    pub(in crate::algorithm) count: u64,
    /// So many are added up by themselves before they are added to a total.
    pub(in crate::algorithm) run: u64,
}

impl Parts {
    /// Parts that stand for nothing but themselves.
    pub(in crate::algorithm) fn of(count: u64) -> Self {
        Self { count, run: RUN }
    }
}

/// Bytes of `parts` copies of `size` sums in f32, for a fold to add up.
pub(in crate::algorithm) fn copies(target: &Target, size: u64, parts: u64) -> Result<u64, Cannot> {
    let (elements, limit) = (size.saturating_mul(parts), binding_limit(target));
    let bytes = elements.saturating_mul(4);
    if elements >= MAX_INDEX {
        return Err(Cannot::IndexTooLarge { what: "partial sums", value: elements });
    }
    if bytes > limit {
        return Err(Cannot::BindingTooLarge { buffer: "partial sums", bytes, limit });
    }
    Ok(bytes)
}

/// Ends `program` with the launch that folds `parts`, copies of `size` elements in its first workspace.
pub(in crate::algorithm) fn append(
    program: &mut Program,
    problem: &ConvProblem,
    target: &Target,
    written: &[u64],
    (parts, size): (Parts, u64),
) -> Result<(), Cannot> {
    let (launch, table) = launch(problem, target, written, (parts, size), program.tables.len())?;
    program.launches.push(launch);
    program.tables.push(table);
    Ok(())
}

/// For `parts`, copies in the first workspace of a tensor of `written` extents, `size` elements apart; the launch's table is
/// the program's number `index`.
fn launch(
    problem: &ConvProblem,
    target: &Target,
    written: &[u64],
    (parts, size): (Parts, u64),
    index: usize,
) -> Result<(Launch, Table), Cannot> {
    let result = problem.result();
    let elements = result.len();
    let grid = Grid::linear(elements, WORKGROUP, &target.limits)
        .ok_or(Cannot::GridTooLarge { invocations: elements })?;
    let (table, places) = tables::places(problem);
    let fold = is_folded(problem);
    let (mut epilogue, [alpha, beta], activation) = epilogue_words(problem);
    epilogue[3] = count(first(problem, result));
    let spatial = problem.rank();
    // The last three axes are z, y and x of an activation: a rank below 3 has leading ones between.
    let eight = |values: &[u64], missing: u64| -> [[u32; 4]; 2] {
        let mut axes = [missing; AXES];
        let split = values.len() - if fold { spatial } else { 0 };
        let (front, back) = values.split_at(split);
        axes[AXES - back.len()..].copy_from_slice(back);
        let end = if fold { AXES - 3 } else { AXES };
        axes[end - front.len()..end].copy_from_slice(front);
        let words = axes.map(count);
        [[words[0], words[1], words[2], words[3]], [words[4], words[5], words[6], words[7]]]
    };
    let per_channel = match problem.direction() {
        Direction::GradWeight => 1,
        _ => result.extents[2..].iter().product(),
    };
    let block = FoldParams {
        extent: eight(&result.extents, 1),
        r_stride: eight(&result.strides, 0),
        s_stride: eight(&compact_strides(written), 0),
        places: [places[0], places[1], places[2], count(per_channel)],
        counts: [elements, parts.count, size, problem.bias_len()].map(count),
        epilogue,
        scale: [alpha, beta, 0.0, 0.0],
        activation,
        run: [count(parts.run), 0, 0, 0],
    };
    let spec = FoldSpec { fold, element: problem.element() };
    let [bias, residual] = epilogue_bindings(problem, &table, index, true);
    let bindings = vec![
        bind(&table, index, Buffer::Workspace(0), size * parts.count * 4),
        bias,
        residual,
        bind(&table, index, Buffer::Table(index), 0),
        bind_tensor(problem, &table, index, Buffer::Result),
    ];
    Ok((
        Launch { kernel: Kernel::Fold, spec: spec.into(), params: Params::Fold(block), bindings, grid },
        table,
    ))
}
