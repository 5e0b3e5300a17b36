//! The two outer axes: which source rows a block of result rows reads, and under which kernel row.

use std::collections::BTreeMap;
use std::ops::Range;

use super::geometry::{Fold, Geometry};

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
    /// For the rows `range` of a plane of `y`, read from `x`.
    pub(super) fn forward(geometry: &Geometry, range: Range<usize>) -> Self {
        let [outer, inner, _] = &geometry.lines;
        let mut sources = Builder::default();
        for row in range {
            let of_outer = outer.taps_of_output(geometry.boundary, row / inner.output);
            let of_inner = inner.taps_of_output(geometry.boundary, row % inner.output);
            for &(k0, cell0) in &of_outer {
                for &(k1, cell1) in &of_inner {
                    let source = cell0.zip(cell1).map(|(i0, i1)| i0 * inner.input + i1);
                    sources.push(source, k0 * inner.kernel + k1, row);
                }
            }
            sources.end_row();
        }
        sources.built
    }

    /// For the rows `range` of a plane of the gradient of `x`, read from the gradient of `y`.
    pub(super) fn transposed(geometry: &Geometry, folds: [&Fold; 2], range: Range<usize>) -> Self {
        let [outer, inner, _] = &geometry.lines;
        let mut sources = Builder::default();
        for row in range {
            let of_outer = outer.taps_of_input(folds[0], row / inner.input);
            let of_inner = inner.taps_of_input(folds[1], row % inner.input);
            for &(k0, o0) in &of_outer {
                for &(k1, o1) in &of_inner {
                    let source = o0 * inner.output + o1;
                    sources.push(Some(source), k0 * inner.kernel + k1, source);
                }
            }
            sources.end_row();
        }
        sources.built
    }

    /// What result row `row` of the block reads.
    pub(super) fn pairs(&self, row: usize) -> &[Pair] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.pairs[start..self.ends[row]]
    }

    /// Everything that the block reads, by row of the kernel.
    pub(super) fn by_kernel_row(&self, kernel_rows: usize) -> Vec<Vec<Pair>> {
        let mut lists = vec![Vec::new(); kernel_rows];
        for pair in &self.pairs {
            lists[pair.kernel_row].push(*pair);
        }
        lists
    }
}

#[derive(Default)]
struct Builder {
    built: Sources,
    slots: BTreeMap<Option<usize>, usize>,
}

impl Builder {
    fn push(&mut self, source: Option<usize>, kernel_row: usize, output_row: usize) {
        let Sources { rows, pairs, .. } = &mut self.built;
        let slot = *self.slots.entry(source).or_insert_with(|| {
            rows.push(source);
            rows.len() - 1
        });
        pairs.push(Pair { slot, kernel_row, output_row });
    }

    fn end_row(&mut self) {
        self.built.ends.push(self.built.pairs.len());
    }
}
