//! The launches of `im2col.wgsl`: the matrix of windows, and the input with its padding written out.

use super::gemm::last_of;
use super::roles::{Roles, has_table, three_axes};
use super::{count, first, single, tables};
use crate::implementation::Cannot;
use crate::kernel::{GemmParams, Im2colSpec, Kernel, Params, WORKGROUP};
use crate::problem::{ConvProblem, Direction};
use crate::program::{Binding, Grid, Launch};
use crate::target::Target;

/// Writes `block.chunk[2]` products of `block.counts[1]` columns, for each of `block.tiles[2]` groups: the gathered tensor, both
/// tables, the matrix.
pub(in crate::algorithm) fn write(
    problem: &ConvProblem,
    target: &Target,
    mut block: GemmParams,
    bindings: [Binding; 4],
) -> Result<Launch, Cannot> {
    let element = problem.element();
    let rows = block.chunk[2].div_ceil(Im2colSpec::EACH);
    let invocations = (u64::from(block.counts[1]) * u64::from(rows)).saturating_mul(block.tiles[2].into());
    let grid =
        Grid::linear(invocations, WORKGROUP, &target.limits).ok_or(Cannot::GridTooLarge { invocations })?;
    block.counts[3] = count(invocations);
    // Products are counted on one by one.
    let inner = block.stride[3];
    block.steps[2..].copy_from_slice(&[1 / inner, 1 % inner]);
    block.first[2] = last_of(problem, bindings[0]);
    Ok(Launch {
        kernel: Kernel::Im2col,
        spec: Im2colSpec { table: has_table(problem), element }.into(),
        params: Params::Gemm(block),
        bindings: bindings.to_vec(),
        grid,
    })
}

/// The input with its padding: compact, channels outermost, then images.
pub(in crate::algorithm) struct Padded {
    extents: [u64; 3],
    /// Per channel, image, z, y and x.
    strides: [u64; 5],
    pub(in crate::algorithm) elements: u64,
}

impl Padded {
    /// Where windows visit cells outside that are not zero, and there is an input.
    pub(in crate::algorithm) fn of(problem: &ConvProblem) -> Option<Self> {
        has_table(problem).then(|| Self::new(problem)).filter(|padded| padded.elements > 0)
    }

    /// The cells from the first to the last that windows visit.
    fn new(problem: &ConvProblem) -> Self {
        let extents = three_axes(problem).map(|axis| axis.reach());
        let [z, y, x] = extents;
        let (mut strides, mut step) = ([1; 5], 1u64);
        for (stride, extent) in strides.iter_mut().rev().zip([x, y, z, problem.n(), problem.c_in()]) {
            *stride = step;
            step = step.saturating_mul(extent);
        }
        Self { extents, strides, elements: step }
    }

    /// What gathers from the input, gathers from this.
    pub(in crate::algorithm) fn replace(&self, problem: &ConvProblem, roles: &mut Roles) {
        let [channel, image, z, y, x] = self.strides;
        let group = (problem.c_in() / problem.groups()).saturating_mul(channel);
        roles.a.1 = match problem.direction() {
            Direction::GradWeight => [channel, group, image],
            _ => [image, group, channel],
        };
        for ((axis, extent), stride) in roles.axes.iter_mut().zip(self.extents).zip([z, y, x]) {
            (axis.a_extent, axis.a_stride) = (extent, stride);
        }
    }

    /// The launch that writes it: a matrix of one tap, whose columns are the images and padded cells, whose products are the
    /// channels. The input, both tables, and where it is written.
    pub(in crate::algorithm) fn launch(
        &self,
        problem: &ConvProblem,
        target: &Target,
        bindings: [Binding; 4],
    ) -> Result<Launch, Cannot> {
        let input = problem.input();
        let spatial = |i: usize| (i + problem.rank()).checked_sub(3).map_or(0, |a| input.strides[2 + a]);
        let [z, y, x] = self.extents.map(count);
        let block = GemmParams {
            a_extent: [0, 0, 0, count(problem.c_in())],
            stride: [1; 4],
            a_stride: [spatial(0), spatial(1), spatial(2), input.strides[1]].map(count),
            cells: [z, y, x, count(problem.n())],
            base: [count(input.strides[0]), 0, 0, 0],
            first: [count(first(problem, input)), 0, 0, 0],
            tiles: [0, 0, 1, 0],
            counts: [0, count(self.strides[0]), 0, 0],
            chunk: [0, 0, count(problem.c_in()), 0],
            order: [1, 0, 0, 0],
            tables: {
                let [z, y, x] = tables::boundary_begins(problem, 0);
                [z, y, x, 0]
            },
            scale: [0.0, 0.0, single(problem.boundary().fill()), 0.0],
            ..GemmParams::default()
        };
        write(problem, target, block, bindings)
    }
}
