//! The spatial axes as `Direct` walks them: always three, in array lengths, without what changes nothing.

use crate::problem::{Axis, Boundary, ConvProblem, Direction, Source, to_usize};

/// One spatial axis: extents as array lengths, steps as signed coordinates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::cpu) struct Line {
    pub(in crate::cpu) input: usize,
    pub(in crate::cpu) kernel: usize,
    pub(in crate::cpu) output: usize,
    pub(in crate::cpu) stride: i64,
    pub(in crate::cpu) dilation: i64,
    pub(in crate::cpu) begin: i64,
    /// Padded cells that the windows visit.
    pub(in crate::cpu) reach: i64,
}

impl Line {
    const ONE: Self = Self { input: 1, kernel: 1, output: 1, stride: 1, dilation: 1, begin: 0, reach: 1 };

    fn new(axis: &Axis) -> Self {
        let [input, kernel, output] = [axis.input, axis.kernel, axis.output].map(to_usize);
        // `ConvProblem::new` keeps what windows reach below 2^62. A step that is never taken may be
        // anything: it becomes 1.
        let step = |step: u64, taken: bool| if taken { step as i64 } else { 1 };
        let (stride, dilation) = (step(axis.stride, output > 1), step(axis.dilation, kernel > 1));
        Self {
            input,
            kernel,
            output,
            stride,
            dilation,
            begin: axis.pad_begin as i64,
            reach: axis.reach() as i64,
        }
    }

    /// Whether output `o` reads cell `o` and nothing else.
    fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.begin == 0 && self.input == self.output
    }

    /// The cell at `coordinate` (0 is the input's first), `None` outside.
    pub(in crate::cpu) fn cell(&self, boundary: Boundary, coordinate: i64) -> Option<usize> {
        if (0..self.input as i64).contains(&coordinate) {
            return Some(to_usize(coordinate as u64));
        }
        match boundary.source(coordinate, self.input as u64) {
            Source::Cell(cell) => Some(to_usize(cell)),
            Source::Outside => None,
        }
    }

    /// What the window of output `o` reads: taps with their cells, `None` for a constant. Taps on
    /// `Zero` are left out.
    pub(in crate::cpu) fn taps_of_output(&self, boundary: Boundary, o: usize) -> Vec<(usize, Option<usize>)> {
        let first = o as i64 * self.stride - self.begin;
        let read = |k: usize| (k, self.cell(boundary, first + k as i64 * self.dilation));
        let counts = |&(_, cell): &(usize, Option<usize>)| cell.is_some() || boundary != Boundary::Zero;
        (0..self.kernel).map(read).filter(counts).collect()
    }

    /// What reads input cell `x`: taps with their outputs.
    pub(in crate::cpu) fn taps_of_input(&self, fold: &Fold, x: usize) -> Vec<(usize, usize)> {
        let mut taps = Vec::new();
        for (_, coordinate) in fold.coordinates(x..x + 1) {
            for k in 0..self.kernel {
                let ahead = coordinate - k as i64 * self.dilation;
                if ahead >= 0 && ahead % self.stride == 0 && ahead / self.stride < self.output as i64 {
                    taps.push((k, to_usize((ahead / self.stride) as u64)));
                }
            }
        }
        taps
    }
}

/// Which padded coordinates (0 is the first padded cell) stand for which input cell.
#[derive(Debug)]
pub(in crate::cpu) enum Fold {
    /// Cell `x` is coordinate `x + begin`, if a window comes that far.
    Shift {
        /// Padding before the input.
        begin: i64,
        /// Coordinates that the windows visit.
        reach: i64,
    },
    /// Pairs of cell and coordinate, sorted.
    Table(Vec<(usize, i64)>),
}

impl Fold {
    pub(in crate::cpu) fn new(line: &Line, boundary: Boundary) -> Self {
        if !boundary.repeats() {
            return Self::Shift { begin: line.begin, reach: line.reach };
        }
        let pair = |at: i64| line.cell(boundary, at - line.begin).map(|cell| (cell, at));
        let visits = (line.output as i64).saturating_mul(line.kernel as i64);
        let mut table: Vec<_> = if line.reach <= visits {
            (0..line.reach).filter_map(pair).collect()
        } else {
            // Windows with wide gaps: only what taps land on.
            let taps = |o: i64| (0..line.kernel as i64).map(move |k| o * line.stride + k * line.dilation);
            (0..line.output as i64).flat_map(taps).filter_map(pair).collect()
        };
        table.sort_unstable();
        table.dedup();
        Self::Table(table)
    }

    /// The coordinates that stand for the cells `x`, each with its cell.
    pub(in crate::cpu) fn coordinates(&self, x: std::ops::Range<usize>) -> Vec<(usize, i64)> {
        match self {
            Self::Shift { begin, reach } => {
                x.map(|x| (x, x as i64 + begin)).filter(|(_, at)| at < reach).collect()
            }
            Self::Table(table) => {
                let from = table.partition_point(|&(cell, _)| cell < x.start);
                let to = table.partition_point(|&(cell, _)| cell < x.end);
                table[from..to].to_vec()
            }
        }
    }
}

/// A problem's extents, with the spatial axes brought to three.
#[derive(Debug)]
pub(in crate::cpu) struct Geometry {
    pub(in crate::cpu) n: usize,
    pub(in crate::cpu) groups: usize,
    /// Input channels of a group.
    pub(in crate::cpu) c: usize,
    /// Output channels of a group.
    pub(in crate::cpu) q: usize,
    pub(in crate::cpu) lines: [Line; 3],
    pub(in crate::cpu) boundary: Boundary,
    pub(in crate::cpu) flip: bool,
    pub(in crate::cpu) unshared: bool,
    pub(in crate::cpu) direction: Direction,
}

impl Geometry {
    pub(in crate::cpu) fn new(problem: &ConvProblem) -> Self {
        let [n, c_in, c_out, groups] =
            [problem.n(), problem.c_in(), problem.c_out(), problem.groups()].map(to_usize);
        Self {
            n,
            groups,
            c: c_in / groups,
            q: c_out / groups,
            lines: three_lines(problem.axes()),
            boundary: problem.boundary(),
            flip: problem.flip(),
            unshared: problem.unshared(),
            direction: problem.direction(),
        }
    }

    /// Cells of the input's spatial axes.
    pub(in crate::cpu) fn input(&self) -> [usize; 3] {
        self.lines.map(|l| l.input)
    }

    /// Cells of the output's spatial axes.
    pub(in crate::cpu) fn output(&self) -> [usize; 3] {
        self.lines.map(|l| l.output)
    }

    /// Taps of the kernel.
    pub(in crate::cpu) fn taps(&self) -> usize {
        self.lines.iter().map(|l| l.kernel).product()
    }

    /// Rows of the kernel: its taps on the two outer axes.
    pub(in crate::cpu) fn kernel_rows(&self) -> usize {
        self.lines[0].kernel * self.lines[1].kernel
    }

    /// Where in a filter the weight of tap `tap` lies. Flipping every axis reverses the filter.
    pub(in crate::cpu) fn filter_index(&self, tap: usize) -> usize {
        if self.flip { self.taps() - 1 - tap } else { tap }
    }
}

/// Drops axes of one cell and joins neighbours that no tap crosses, so that rows are as long as they can be.
fn three_lines(axes: &[Axis]) -> [Line; 3] {
    let mut lines: Vec<Line> = Vec::new();
    for line in axes.iter().map(Line::new).filter(|line| *line != Line::ONE) {
        match lines.last_mut() {
            Some(last) if last.is_pointwise() && line.is_pointwise() => {
                let cells = last.input * line.input;
                *last = Line { input: cells, output: cells, reach: cells as i64, ..Line::ONE };
            }
            _ => lines.push(line),
        }
    }
    let mut three = [Line::ONE; 3];
    three[3 - lines.len()..].copy_from_slice(&lines);
    three
}
