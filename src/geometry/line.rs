//! What single positions of an axis meet: an axis in array lengths, for loops that go from position to position.

use super::{Meeting, div_ceil, read};
use crate::problem::{Axis, Boundary, to_usize};

/// One spatial axis: extents as array lengths, steps as signed coordinates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    pub(crate) input: usize,
    pub(crate) kernel: usize,
    pub(crate) output: usize,
    pub(crate) stride: i64,
    pub(crate) dilation: i64,
    pub(crate) begin: i64,
    /// Padded cells that the windows visit.
    pub(crate) reach: i64,
}

/// Taps at equal distances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taps {
    pub(crate) first: usize,
    /// From one to the next.
    pub(crate) step: i64,
    pub(crate) count: usize,
}

impl Taps {
    pub(crate) const NONE: Self = Self { first: 0, step: 1, count: 0 };

    /// Every tap, in order.
    pub(crate) fn all(self) -> impl Iterator<Item = usize> + Clone {
        (0..self.count).map(move |i| self.at(i))
    }

    /// The `i`-th.
    pub(crate) fn at(self, i: usize) -> usize {
        index(self.first as i64 + i as i64 * self.step)
    }
}

impl Line {
    /// Of an axis without steps that are never taken, such as [`joined_axes`](super::joined_axes) makes.
    pub(crate) fn new(axis: &Axis) -> Self {
        let [input, kernel, output] = [axis.input, axis.kernel, axis.output].map(to_usize);
        // `ConvProblem::new` keeps what windows reach below 2^62.
        let [stride, dilation, begin] = [axis.stride, axis.dilation, axis.pad_begin].map(|n| n as i64);
        Self { input, kernel, output, stride, dilation, begin, reach: axis.reach() as i64 }
    }

    /// The same with every position that windows visit for an input, of which the first is the first padded one.
    pub(crate) fn padded(self) -> Self {
        Self { input: index(self.reach), begin: 0, ..self }
    }

    /// Which taps meet which padded positions.
    pub(crate) fn meeting(&self) -> Meeting {
        Meeting::new(self.stride.unsigned_abs(), self.dilation.unsigned_abs())
    }

    /// The cell at `coordinate` (0 is the input's first), `None` outside.
    pub(crate) fn cell(&self, boundary: Boundary, coordinate: i64) -> Option<usize> {
        read(boundary, coordinate, self.input as u64).map(to_usize)
    }

    /// The cell that tap `k` reads for output `o`, `None` outside.
    pub(crate) fn cell_of(&self, boundary: Boundary, o: usize, k: usize) -> Option<usize> {
        self.cell(boundary, o as i64 * self.stride + k as i64 * self.dilation - self.begin)
    }

    /// The taps of output `o`: all, but for those on `Zero`.
    pub(crate) fn taps_of_output(&self, boundary: Boundary, o: usize) -> Taps {
        if boundary != Boundary::Zero {
            return Taps { first: 0, step: 1, count: self.kernel };
        }
        let first = o as i64 * self.stride - self.begin;
        let bound = |coordinate| div_ceil(coordinate - first, self.dilation).clamp(0, self.kernel as i64);
        let [from, to] = [0, self.input as i64].map(bound);
        Taps { first: index(from), step: 1, count: index(to - from) }
    }

    /// The outputs for which tap `k` reads a cell of the input.
    pub(crate) fn outputs_of_tap(&self, k: usize) -> std::ops::Range<usize> {
        let ahead = k as i64 * self.dilation - self.begin;
        let bound = |coordinate| div_ceil(coordinate - ahead, self.stride).clamp(0, self.output as i64);
        index(bound(0))..index(bound(self.input as i64))
    }

    /// The taps that read padded coordinate `at` (0 is the first padded cell), for the output [`Self::output_at`].
    pub(crate) fn taps_of_coordinate(&self, meeting: &Meeting, at: i64) -> Taps {
        let Some(any) = meeting.first(at.unsigned_abs()) else { return Taps::NONE };
        // Neither before the first nor past the last output.
        let most = (at / self.dilation).min(self.kernel as i64 - 1);
        let least = div_ceil(at - (self.output as i64 - 1) * self.stride, self.dilation).max(0);
        let (any, step) = (any as i64, meeting.step as i64);
        let first = least + (any - least).rem_euclid(step);
        if first > most {
            return Taps::NONE;
        }
        Taps { first: index(first), step, count: index((most - first) / step) + 1 }
    }

    /// The output for which tap `k` reads padded coordinate `at`.
    pub(crate) fn output_at(&self, at: i64, k: usize) -> usize {
        index((at - k as i64 * self.dilation) / self.stride)
    }

    /// Every pair of tap and output that reads cell `x`, with `meeting` that of this axis.
    pub(crate) fn products_of_input(
        &self,
        meeting: &Meeting,
        boundary: Boundary,
        x: usize,
    ) -> Vec<(usize, usize)> {
        let of =
            |at: i64| self.taps_of_coordinate(meeting, at).all().map(move |k| (k, self.output_at(at, k)));
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

/// What was checked not to be negative.
pub(crate) fn index(coordinate: i64) -> usize {
    to_usize(coordinate.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{axes, products};
    use super::super::with_steps_taken;
    use super::*;

    fn boundaries() -> [Boundary; 6] {
        use Boundary::{Constant, Mirror, Nearest, Reflect, Wrap, Zero};
        [Zero, Constant(2.0), Wrap, Reflect, Mirror, Nearest]
    }

    #[test]
    fn a_line_says_of_single_positions_what_the_formula_says() {
        for axis in axes().iter().map(with_steps_taken) {
            let (line, all) = (Line::new(&axis), products(&axis));
            let meeting = line.meeting();
            let number = |n: i64| index(n);
            for at in 0..line.reach {
                let mut wanted: Vec<_> =
                    all.iter().filter(|p| p[1] == at).map(|p| (number(p[2]), number(p[0]))).collect();
                wanted.sort_unstable();
                let taps = line.taps_of_coordinate(&meeting, at);
                let got: Vec<_> = taps.all().map(|k| (k, line.output_at(at, k))).collect();
                assert_eq!(got, wanted, "{axis:?} {at}");
            }
            let inside = |at: i64| (0..line.input as i64).contains(&(at - line.begin));
            for k in 0..line.kernel {
                let reads = |p: &&[i64; 3]| number(p[2]) == k && inside(p[1]);
                let wanted: Vec<_> = all.iter().filter(reads).map(|p| number(p[0])).collect();
                assert!(line.outputs_of_tap(k).eq(wanted), "{axis:?} {k}");
            }
            for o in 0..line.output {
                let reads = |p: &&[i64; 3]| number(p[0]) == o && inside(p[1]);
                let wanted: Vec<_> = all.iter().filter(reads).map(|p| number(p[2])).collect();
                assert!(line.taps_of_output(Boundary::Zero, o).all().eq(wanted), "{axis:?} {o}");
                assert!(line.taps_of_output(Boundary::Wrap, o).all().eq(0..line.kernel));
            }
        }
    }

    #[test]
    fn every_product_of_a_cell_is_found_under_every_boundary() {
        for axis in axes().iter().map(with_steps_taken) {
            let line = Line::new(&axis);
            for boundary in boundaries() {
                for x in 0..line.input {
                    let pairs = (0..line.kernel).flat_map(|k| (0..line.output).map(move |o| (k, o)));
                    let wanted: Vec<_> =
                        pairs.filter(|&(k, o)| line.cell_of(boundary, o, k) == Some(x)).collect();
                    let mut got = line.products_of_input(&line.meeting(), boundary, x);
                    got.sort_unstable();
                    assert_eq!(got, wanted, "{axis:?} {boundary:?} {x}");
                }
            }
        }
    }
}
