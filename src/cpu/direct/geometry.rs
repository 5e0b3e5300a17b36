//! The spatial axes as `Direct` walks them: always three, in array lengths, without what changes nothing.

use crate::problem::{Axis, Boundary, ConvProblem, Direction, Source, gcd, to_usize};

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

/// Taps at equal distances: the `i`-th is `first + i·step`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::cpu) struct Hits {
    pub(in crate::cpu) first: usize,
    pub(in crate::cpu) step: usize,
    pub(in crate::cpu) count: usize,
}

impl Hits {
    const NONE: Self = Self { first: 0, step: 1, count: 0 };

    pub(in crate::cpu) fn taps(self) -> impl Iterator<Item = usize> + Clone {
        (0..self.count).map(move |i| self.tap(i))
    }

    pub(in crate::cpu) fn tap(self, i: usize) -> usize {
        self.first + i * self.step
    }
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

    /// The same axis of so many cells.
    fn pointwise(cells: usize) -> Self {
        Self { input: cells, output: cells, reach: cells as i64, ..Self::ONE }
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

    /// The cell that tap `k` reads for output `o`, `None` outside.
    pub(in crate::cpu) fn cell_of(&self, boundary: Boundary, o: usize, k: usize) -> Option<usize> {
        self.cell(boundary, o as i64 * self.stride + k as i64 * self.dilation - self.begin)
    }

    /// The taps of output `o`: all, but for those on `Zero`.
    pub(in crate::cpu) fn taps_of_output(&self, boundary: Boundary, o: usize) -> Hits {
        if boundary != Boundary::Zero {
            return Hits { first: 0, step: 1, count: self.kernel };
        }
        let first = o as i64 * self.stride - self.begin;
        let bound = |coordinate| div_ceil(coordinate - first, self.dilation).clamp(0, self.kernel as i64);
        let [from, to] = [0, self.input as i64].map(bound);
        Hits { first: index(from), step: 1, count: index(to - from) }
    }

    /// The outputs for which tap `k` reads a cell of the input.
    pub(in crate::cpu) fn outputs_of_tap(&self, k: usize) -> std::ops::Range<usize> {
        let ahead = k as i64 * self.dilation - self.begin;
        let bound = |coordinate| div_ceil(coordinate - ahead, self.stride).clamp(0, self.output as i64);
        index(bound(0))..index(bound(self.input as i64))
    }

    /// The taps that read padded coordinate `at` (0 is the first padded cell), for the output [`Self::output_at`].
    pub(in crate::cpu) fn taps_of_coordinate(&self, steps: &Steps, at: i64) -> Hits {
        let Steps { common, between, inverse } = *steps;
        if at % common != 0 {
            return Hits::NONE;
        }
        // Neither before the first nor past the last output.
        let most = (at / self.dilation).min(self.kernel as i64 - 1);
        let least = div_ceil(at - (self.output as i64 - 1) * self.stride, self.dilation).max(0);
        // Those with tap·dilation ≡ at modulo the stride.
        let any = times((at / common).rem_euclid(between), inverse, between);
        let first = least + (any - least).rem_euclid(between);
        if first > most {
            return Hits::NONE;
        }
        Hits { first: index(first), step: index(between), count: index((most - first) / between) + 1 }
    }

    /// The output for which tap `k` reads padded coordinate `at`.
    pub(in crate::cpu) fn output_at(&self, at: i64, k: usize) -> usize {
        index((at - k as i64 * self.dilation) / self.stride)
    }

    /// Every pair of tap and output that reads cell `x`, with `steps` those of this axis.
    pub(in crate::cpu) fn products_of_input(
        &self,
        steps: &Steps,
        boundary: Boundary,
        x: usize,
    ) -> Vec<(usize, usize)> {
        let of = |at: i64| self.taps_of_coordinate(steps, at).taps().map(move |k| (k, self.output_at(at, k)));
        self.coordinates_of(boundary, x).into_iter().flat_map(of).collect()
    }

    /// The padded coordinates that stand for cell `x`.
    fn coordinates_of(&self, boundary: Boundary, x: usize) -> Vec<i64> {
        let (x, cells) = (x as i64, self.input as i64);
        let here = x + self.begin;
        // Every `period`-th coordinate from those of `cells` on, of which the first is the input's first.
        let repeated = |cells: [i64; 2], period: i64| {
            let [one, other] = cells.map(|cell| (cell + self.begin).rem_euclid(period));
            let of = |first: i64| (first..self.reach).step_by(to_usize(period.unsigned_abs()));
            let mut all: Vec<i64> =
                if one == other { of(one).collect() } else { of(one).chain(of(other)).collect() };
            all.sort_unstable();
            all
        };
        match boundary {
            Boundary::Wrap => repeated([x; 2], cells),
            Boundary::Reflect => repeated([x, 2 * cells - 1 - x], 2 * cells),
            Boundary::Mirror if cells > 1 => repeated([x, 2 * (cells - 1) - x], 2 * (cells - 1)),
            Boundary::Mirror => (0..self.reach).collect(),
            Boundary::Nearest => {
                let first = if x == 0 { 0 } else { here };
                let end = if x == cells - 1 { self.reach } else { here + 1 };
                (first..end.min(self.reach)).collect()
            }
            Boundary::Zero | Boundary::Constant(_) => (here..self.reach.min(here + 1)).collect(),
        }
    }
}

/// Which taps meet an output at a coordinate: every `between`-th.
#[derive(Clone, Copy, Debug)]
pub(in crate::cpu) struct Steps {
    /// Common divisor of stride and dilation.
    common: i64,
    between: i64,
    /// Of `dilation / common`, modulo `between`.
    inverse: i64,
}

impl Steps {
    pub(in crate::cpu) fn new(line: &Line) -> Self {
        let common = gcd(line.stride.unsigned_abs(), line.dilation.unsigned_abs()) as i64;
        let between = line.stride / common;
        Self { common, between, inverse: inverse(line.dilation / common, between) }
    }
}

/// `⌈a/b⌉` for `b > 0`
pub(in crate::cpu) fn div_ceil(a: i64, b: i64) -> i64 {
    -(-a).div_euclid(b)
}

/// `a·b` modulo `m`, of numbers below `m`.
#[allow(clippy::cast_possible_truncation, reason = "what is left is below `m`")]
pub(in crate::cpu) fn times(a: i64, b: i64, m: i64) -> i64 {
    (i128::from(a) * i128::from(b) % i128::from(m)) as i64
}

/// `i` with `i·a ≡ 1` modulo `m`, of numbers that have no factor in common; 0 modulo 1.
pub(in crate::cpu) fn inverse(a: i64, m: i64) -> i64 {
    let (mut r, mut s) = ([m, a % m], [0, 1]);
    while r[1] > 0 {
        let q = r[0] / r[1];
        (r, s) = ([r[1], r[0] - q * r[1]], [s[1], s[0] - q * s[1]]);
    }
    s[0].rem_euclid(m)
}

/// What was checked not to be negative.
pub(in crate::cpu) fn index(coordinate: i64) -> usize {
    to_usize(coordinate.unsigned_abs())
}

/// A problem's extents, with the spatial axes brought to three.
#[derive(Clone, Debug)]
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
    /// Most products that a result sums.
    pub(in crate::cpu) terms: u64,
}

impl Geometry {
    /// Of the problem as it is.
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
            terms: problem.terms(),
        }
    }

    /// Images of one channel are one long row if no tap crosses cells: for sums in which images do not meet, as they do in a
    /// transform.
    pub(super) fn join_images(&mut self) {
        let is_row = self.lines.iter().all(Line::is_pointwise);
        if is_row && self.n > 1 && [self.groups, self.c, self.q] == [1; 3] && !self.unshared {
            let cells = self.n * self.input().iter().product::<usize>();
            self.lines = [Line::ONE, Line::ONE, Line::pointwise(cells)];
            self.n = 1;
        }
    }

    /// The same with every cell that windows visit for an input, of which the first is the first padded one.
    pub(in crate::cpu) fn padded(&self) -> Self {
        let lines = self.lines.map(|line| Line { input: to_usize(line.reach as u64), begin: 0, ..line });
        Self { lines, boundary: Boundary::Zero, ..self.clone() }
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

    /// Where the filter of output channel `channel` at `position` of `y`, for input channel `c` of its group, begins.
    pub(in crate::cpu) fn filter(&self, channel: usize, position: usize, c: usize) -> usize {
        let positions = if self.unshared { self.output().iter().product() } else { 1 };
        let position = if self.unshared { position } else { 0 };
        ((channel * positions + position) * self.c + c) * self.taps()
    }
}

/// Drops axes of one cell and joins neighbours that no tap crosses, so that rows are as long as they can be.
fn three_lines(axes: &[Axis]) -> [Line; 3] {
    let mut lines: Vec<Line> = Vec::new();
    for line in axes.iter().map(Line::new).filter(|line| *line != Line::ONE) {
        match lines.last_mut() {
            Some(last) if last.is_pointwise() && line.is_pointwise() => {
                *last = Line::pointwise(last.input * line.input);
            }
            _ => lines.push(line),
        }
    }
    let mut three = [Line::ONE; 3];
    three[3 - lines.len()..].copy_from_slice(&lines);
    three
}
