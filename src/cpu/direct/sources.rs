//! The two outer axes: which source rows a block of result rows reads, and under which kernel row.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::cpu::geometry::Geometry;
use crate::cpu::steps;
use crate::geometry::{Meeting, Taps};

/// A result row reads a source row through one row of the kernel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    /// Which of [`Sources::rows`].
    pub(super) slot: usize,
    /// Row of the kernel.
    pub(super) kernel_row: usize,
    /// Row of `y`: the result's or the source's, as the direction has it.
    pub(super) output_row: usize,
}

/// The kernel rows that count for one result row: those on either axis, each with each.
#[derive(Clone, Copy, Debug)]
pub(super) struct KernelRows {
    outer: Taps,
    inner: Taps,
}

impl KernelRows {
    pub(super) fn count(self) -> usize {
        self.outer.count * self.inner.count
    }

    /// Those with taps in `within`, of rows that meet neighbouring taps.
    pub(super) fn within(self, within: &[Range<usize>; 2]) -> Self {
        let cut = |taps: Taps, within: &Range<usize>| {
            let end = (taps.first + taps.count).min(within.end);
            let first = taps.first.max(within.start);
            Taps { first, count: end.saturating_sub(first), ..taps }
        };
        Self { outer: cut(self.outer, &within[0]), inner: cut(self.inner, &within[1]) }
    }

    /// The taps of the `at`-th on the two axes.
    fn taps(self, at: usize) -> [usize; 2] {
        [self.outer.at(at / self.inner.count), self.inner.at(at % self.inner.count)]
    }
}

/// How rows of the result meet rows of the source.
#[derive(Debug)]
pub(super) enum Rows<'a> {
    /// Rows of `y`, read from `x`.
    Forward(&'a Geometry),
    /// Rows of the gradient of `x`, read from the gradient of `y`.
    Transposed(&'a Geometry, [Meeting; 2]),
}

impl<'a> Rows<'a> {
    pub(super) fn forward(geometry: &'a Geometry) -> Self {
        Self::Forward(geometry)
    }

    pub(super) fn transposed(geometry: &'a Geometry) -> Self {
        Self::Transposed(geometry, [0, 1].map(|axis| geometry.lines[axis].meeting()))
    }

    /// The kernel rows of result row `row`.
    pub(super) fn kernel_rows(&self, row: usize) -> KernelRows {
        let [outer, inner] = match self {
            Self::Forward(geometry) => {
                let [z, y] = split(row, geometry.lines[1].output);
                [(0, z), (1, y)].map(|(axis, at)| geometry.lines[axis].taps_of_output(geometry.boundary, at))
            }
            Self::Transposed(geometry, meetings) => self.coordinates(row).map(|(axis, at)| {
                let line = &geometry.lines[axis];
                if at < line.reach { line.taps_of_coordinate(&meetings[axis], at) } else { Taps::NONE }
            }),
        };
        KernelRows { outer, inner }
    }

    /// The padded coordinates of row `row` of `x`, with their axes.
    fn coordinates(&self, row: usize) -> [(usize, i64); 2] {
        let (Self::Forward(geometry) | Self::Transposed(geometry, _)) = self;
        let [z, y] = split(row, geometry.lines[1].input);
        [(0, z), (1, y)].map(|(axis, at)| (axis, at as i64 + geometry.lines[axis].begin))
    }

    /// The `at`-th kernel row of result row `row`: itself, the source row (`None`: the boundary's constant), and the row of `y`.
    pub(super) fn pair(&self, row: usize, rows: KernelRows, at: usize) -> (usize, Option<usize>, usize) {
        let taps = rows.taps(at);
        match self {
            Self::Forward(geometry) => {
                let [outer, inner, _] = &geometry.lines;
                let [z, y] = split(row, inner.output);
                let z = outer.cell_of(geometry.boundary, z, taps[0]);
                let y = inner.cell_of(geometry.boundary, y, taps[1]);
                let source = z.zip(y).map(|(z, y)| z * inner.input + y);
                (taps[0] * inner.kernel + taps[1], source, row)
            }
            Self::Transposed(geometry, _) => {
                let [outer, inner, _] = &geometry.lines;
                let [(_, z), (_, y)] = self.coordinates(row);
                let source = outer.output_at(z, taps[0]) * inner.output + inner.output_at(y, taps[1]);
                (taps[0] * inner.kernel + taps[1], Some(source), source)
            }
        }
    }
}

fn split(row: usize, inner: usize) -> [usize; 2] {
    [row / inner, row % inner]
}

/// The source rows of a block of result rows.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// Rows of a source plane, each once; `None` holds the boundary's constant.
    pub(super) rows: Vec<Option<usize>>,
    pairs: Vec<Pair>,
    /// Where the pairs of each result row end.
    ends: Vec<usize>,
}

impl Sources {
    /// For the result rows `range`: of each the pairs `which`.
    pub(super) fn new(rows: &Rows<'_>, range: Range<usize>, which: Range<usize>) -> Self {
        let mut builder = Builder::default();
        for row in range {
            builder.push_row(rows, row, rows.kernel_rows(row), which.clone());
        }
        builder.built
    }

    /// For the rows `range` of `y`: of each the pairs with kernel rows in `within`.
    pub(super) fn within(rows: &Rows<'_>, range: Range<usize>, within: &[Range<usize>; 2]) -> Self {
        let mut builder = Builder::default();
        for row in range {
            builder.push_row(rows, row, rows.kernel_rows(row).within(within), 0..usize::MAX);
        }
        builder.built
    }

    /// What result row `row` of the block reads.
    pub(super) fn pairs(&self, row: usize) -> &[Pair] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.pairs[start..self.ends[row]]
    }

    /// Everything that the block reads, sorted by row of the kernel.
    pub(super) fn into_kernel_rows(mut self) -> (Vec<Option<usize>>, Vec<Pair>) {
        self.pairs.sort_by_key(|pair| pair.kernel_row);
        (self.rows, self.pairs)
    }
}

#[derive(Default)]
struct Builder {
    built: Sources,
    slots: BTreeMap<Option<usize>, usize>,
}

impl Builder {
    fn push_row(&mut self, rows: &Rows<'_>, row: usize, kernel_rows: KernelRows, which: Range<usize>) {
        let Sources { rows: sources, pairs, ends } = &mut self.built;
        // A list and a map.
        steps::count(16);
        for at in which.start..which.end.min(kernel_rows.count()) {
            steps::count(1);
            let (kernel_row, source, output_row) = rows.pair(row, kernel_rows, at);
            let slot = *self.slots.entry(source).or_insert_with(|| {
                sources.push(source);
                sources.len() - 1
            });
            pairs.push(Pair { slot, kernel_row, output_row });
        }
        ends.push(pairs.len());
    }
}
