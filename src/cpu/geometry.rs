//! A problem as the loops of the CPU path walk it: extents in array lengths, always three axes, without what changes nothing.

use crate::geometry::{Line, is_pointwise, joined_axes, pointwise, three_axes};
use crate::problem::{Axis, Boundary, ConvProblem, Direction, to_usize};

/// A problem's extents, with the spatial axes brought to three.
#[derive(Clone, Debug)]
pub(super) struct Geometry {
    pub(super) n: usize,
    pub(super) groups: usize,
    /// Input channels of a group.
    pub(super) c: usize,
    /// Output channels of a group.
    pub(super) q: usize,
    pub(super) lines: [Line; 3],
    pub(super) boundary: Boundary,
    pub(super) flip: bool,
    pub(super) unshared: bool,
    pub(super) direction: Direction,
    /// Most products that a result sums.
    pub(super) terms: u64,
}

impl Geometry {
    /// Of the problem as it is.
    pub(super) fn new(problem: &ConvProblem) -> Self {
        Self::of(problem, &joined_axes(problem.axes()))
    }

    /// With the images of one channel as one long row if no tap crosses positions: for sums in which images do not meet, as they do
    /// in a transform.
    pub(super) fn with_joined_images(problem: &ConvProblem) -> Self {
        let axes = joined_axes(problem.axes());
        let mut geometry = Self::of(problem, &axes);
        let is_single = [geometry.groups, geometry.c, geometry.q] == [1; 3] && !geometry.unshared;
        if axes.iter().all(is_pointwise) && geometry.n > 1 && is_single {
            let positions = axes.iter().map(|axis| axis.input).fold(problem.n(), |all, n| all * n);
            geometry.lines = three_axes(&[pointwise(positions)]).map(|axis| Line::new(&axis));
            geometry.n = 1;
        }
        geometry
    }

    fn of(problem: &ConvProblem, axes: &[Axis; 3]) -> Self {
        let [n, c_in, c_out, groups] =
            [problem.n(), problem.c_in(), problem.c_out(), problem.groups()].map(to_usize);
        Self {
            n,
            groups,
            c: c_in / groups,
            q: c_out / groups,
            lines: axes.each_ref().map(Line::new),
            boundary: problem.boundary(),
            flip: problem.flip(),
            unshared: problem.unshared(),
            direction: problem.direction(),
            terms: problem.terms(),
        }
    }

    /// The same with every cell that windows visit for an input, of which the first is the first padded one.
    pub(super) fn padded(&self) -> Self {
        Self { lines: self.lines.map(Line::padded), boundary: Boundary::Zero, ..self.clone() }
    }

    /// Cells of the input's spatial axes.
    pub(super) fn input(&self) -> [usize; 3] {
        self.lines.map(|l| l.input)
    }

    /// Cells of the output's spatial axes.
    pub(super) fn output(&self) -> [usize; 3] {
        self.lines.map(|l| l.output)
    }

    /// Taps of the kernel.
    pub(super) fn taps(&self) -> usize {
        self.lines.iter().map(|l| l.kernel).product()
    }

    /// Rows of the kernel: its taps on the two outer axes.
    pub(super) fn kernel_rows(&self) -> usize {
        self.lines[0].kernel * self.lines[1].kernel
    }

    /// Where in a filter the weight of tap `tap` lies. Flipping every axis reverses the filter.
    pub(super) fn filter_index(&self, tap: usize) -> usize {
        if self.flip { self.taps() - 1 - tap } else { tap }
    }

    /// Where the filter of output channel `channel` at `position` of `y`, for input channel `c` of its group, begins.
    pub(super) fn filter(&self, channel: usize, position: usize, c: usize) -> usize {
        let positions = if self.unshared { self.output().iter().product() } else { 1 };
        let position = if self.unshared { position } else { 0 };
        ((channel * positions + position) * self.c + c) * self.taps()
    }
}
