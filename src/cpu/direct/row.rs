//! The innermost axis: how a source row is laid out so that every tap reads neighbouring cells.
//!
//! A stride deals the cells of a row to `stride` phases. Laid out phase by phase, what one tap reads for
//! consecutive results is consecutive, whatever stride, dilation and boundary are, and the sums of
//! [`LANES`] results advance together.

use std::ops::Range;

use super::geometry::{Fold, Line};
use crate::cpu::Real;
use crate::problem::{Boundary, to_usize};

/// Results summed side by side.
pub(super) const LANES: usize = 8;

/// Cells of zeros around every run of source cells: a vector that begins or ends outside stays in bounds.
const MARGIN: usize = LANES - 1;

/// Cells of a run: `len` cells of the source row from `first` on, `step` apart, lie at `at`.
#[derive(Debug)]
struct Run {
    at: usize,
    len: usize,
    first: usize,
    step: usize,
}

/// One tap of a kernel row. Sums of positions wrap: `base + shift` is in bounds whenever the tap counts.
#[derive(Debug)]
pub(super) struct Tap {
    pub(super) k: usize,
    /// Lane 0 of a tile reads at `base + shift`.
    pub(super) base: usize,
    /// Lane 0 of a tile lies at output position `output + shift` of the row.
    pub(super) output: usize,
    /// Where in the row this tap may read; elsewhere it does not count.
    pub(super) valid: Range<usize>,
}

/// Up to [`LANES`] results that advance together.
#[derive(Debug)]
pub(super) struct Tile {
    pub(super) shift: usize,
    /// The taps that reach any of them.
    pub(super) taps: Range<usize>,
    /// Their places, in [`RowLayout::cells`].
    pub(super) cells: Range<usize>,
}

/// How source rows are laid out for one range of results.
#[derive(Debug, Default)]
pub(super) struct RowLayout {
    /// Cells of a row as laid out.
    pub(super) len: usize,
    /// Taps of a kernel row, those without effect included.
    pub(super) kernel: usize,
    runs: Vec<Run>,
    /// Cells of the boundary: position, and what it repeats (`None`: the constant).
    outside: Vec<(usize, Option<usize>)>,
    pub(super) taps: Vec<Tap>,
    pub(super) tiles: Vec<Tile>,
    /// The result that each lane of each tile adds to, from the beginning of the range.
    pub(super) cells: Vec<usize>,
}

/// Coordinates as wrapping positions.
#[allow(clippy::cast_possible_truncation, reason = "only sums that are in bounds are used; they wrap back")]
fn wrapping(value: i64) -> usize {
    value as usize
}

/// The phase of a coordinate and its place there.
fn deal(coordinate: i64, stride: i64) -> (i64, i64) {
    // A division costs more than all else that is done per cell.
    if stride == 1 { (0, coordinate) } else { (coordinate.rem_euclid(stride), coordinate.div_euclid(stride)) }
}

/// `⌈a/b⌉` for `b > 0`
fn div_ceil(a: i64, b: i64) -> i64 {
    -(-a).div_euclid(b)
}

/// What one tap reads for the outputs `outputs`: cells `from..` of a phase of the source row.
struct Reads {
    k: usize,
    outputs: Range<i64>,
    phase: i64,
    from: i64,
}

impl RowLayout {
    /// Rows of `x`, for the outputs `range`, in tiles.
    pub(super) fn forward(line: &Line, boundary: Boundary, range: Range<usize>) -> Self {
        let mut layout = Self::untiled(line, boundary, range.clone());
        let cells = range.len();
        layout.cells.extend(0..cells);
        for cell in (0..cells).step_by(LANES) {
            let end = cells.min(cell + LANES);
            // Later taps reach earlier outputs.
            let outputs =
                |tap: &Tap| tap.valid.start.wrapping_sub(tap.base)..tap.valid.end.wrapping_sub(tap.base);
            let first = layout.taps.partition_point(|tap| outputs(tap).start >= end);
            let last = layout.taps.partition_point(|tap| outputs(tap).end > cell);
            layout.tiles.push(Tile { shift: cell, taps: first..last.max(first), cells: cell..end });
        }
        layout
    }

    /// Rows of `x`, for the outputs `range`: taps and places only.
    pub(super) fn untiled(line: &Line, boundary: Boundary, range: Range<usize>) -> Self {
        let (start, end) = (range.start as i64, range.end as i64);
        let mut reads: Vec<Reads> = Vec::with_capacity(line.kernel);
        for k in 0..line.kernel {
            let ahead = k as i64 * line.dilation - line.begin;
            let mut outputs = start..end;
            if boundary == Boundary::Zero {
                outputs.start = start.max(div_ceil(-ahead, line.stride));
                outputs.end = end.min(div_ceil(line.input as i64 - ahead, line.stride));
            }
            if !outputs.is_empty() {
                let coordinate = outputs.start * line.stride + ahead;
                let (phase, from) = deal(coordinate, line.stride);
                reads.push(Reads { k, outputs, phase, from });
            }
        }
        let mut layout = Self { kernel: line.kernel, ..Self::default() };
        layout.place(line, boundary, start, &reads);
        layout
    }

    /// Places what the taps read, sharing cells that several of them read.
    fn place(&mut self, line: &Line, boundary: Boundary, start: i64, reads: &[Reads]) {
        let mut order: Vec<&Reads> = reads.iter().collect();
        order.sort_by_key(|r| (r.phase, r.from));
        let mut bases = vec![0; line.kernel];
        let mut i = 0;
        self.len = MARGIN;
        while i < order.len() {
            let (phase, begin) = (order[i].phase, order[i].from);
            let mut end = begin;
            while i < order.len() && order[i].phase == phase && order[i].from <= end {
                let Reads { k, outputs, from, .. } = order[i];
                end = end.max(from + (outputs.end - outputs.start));
                bases[*k] = wrapping(self.len as i64 + from - begin - (outputs.start - start));
                i += 1;
            }
            self.place_run(line, boundary, begin * line.stride + phase, end - begin);
        }
        self.taps.extend(reads.iter().map(|r| {
            let at = |o: i64| bases[r.k].wrapping_add(wrapping(o - start));
            let valid = at(r.outputs.start)..at(r.outputs.end);
            Tap { k: r.k, base: bases[r.k], output: wrapping(start), valid }
        }));
    }

    /// `len` cells from `coordinate` on, `line.stride` apart, then a margin.
    fn place_run(&mut self, line: &Line, boundary: Boundary, coordinate: i64, len: i64) {
        let inside_from = div_ceil(-coordinate, line.stride).clamp(0, len);
        let inside_to = div_ceil(line.input as i64 - coordinate, line.stride).clamp(inside_from, len);
        let at = self.len;
        for j in (0..inside_from).chain(inside_to..len) {
            let cell = line.cell(boundary, coordinate + j * line.stride);
            self.outside.push((at + to_usize(j as u64), cell));
        }
        if inside_from < inside_to {
            self.runs.push(Run {
                at: at + to_usize(inside_from as u64),
                len: to_usize((inside_to - inside_from) as u64),
                first: to_usize((coordinate + inside_from * line.stride) as u64),
                step: usize::try_from(line.stride).unwrap_or(usize::MAX),
            });
        }
        self.len += to_usize(len as u64) + MARGIN;
    }

    /// Rows of the gradient of `y`, for the gradient of the input cells `range`.
    pub(super) fn transposed(line: &Line, fold: &Fold, range: Range<usize>) -> Self {
        let mut coordinates: Vec<(i64, i64, usize)> = fold
            .coordinates(range.clone())
            .into_iter()
            .map(|(x, at)| (deal(at, line.stride), x - range.start))
            .map(|((phase, at), cell)| (phase, at, cell))
            .collect();
        coordinates.sort_unstable();
        let mut taps: Vec<(i64, i64, usize)> = (0..line.kernel)
            .map(|k| (deal(k as i64 * line.dilation, line.stride), k))
            .map(|((phase, ahead), k)| (phase, ahead, k))
            .collect();
        taps.sort_unstable();
        let read = outputs_read(line, fold, &range);
        let len = to_usize((read.end - read.start) as u64);
        let runs = vec![Run { at: MARGIN, len, first: to_usize(read.start as u64), step: 1 }];
        let mut layout = Self { len: len + 2 * MARGIN, kernel: line.kernel, runs, ..Self::default() };
        for &(_, ahead, k) in &taps {
            let base = wrapping(MARGIN as i64 - ahead - read.start);
            layout.taps.push(Tap { k, base, output: wrapping(-ahead), valid: MARGIN..MARGIN + len });
        }
        layout.cells.reserve(coordinates.len());
        let mut rest = coordinates.as_slice();
        while let Some(&(phase, at, _)) = rest.first() {
            let follows = |(i, c): (i64, &(i64, i64, usize))| (c.0, c.1) == (phase, at + i);
            let count = (0..).zip(rest).take(LANES).take_while(|&pair| follows(pair)).count();
            let (tile, later) = rest.split_at(count);
            rest = later;
            let first = taps.partition_point(|&(p, ahead, _)| (p, ahead) <= (phase, at - read.end));
            let last =
                taps.partition_point(|&(p, ahead, _)| (p, ahead) < (phase, at + count as i64 - read.start));
            if first < last {
                let from = layout.cells.len();
                layout.cells.extend(tile.iter().map(|&(.., cell)| cell));
                let cells = from..layout.cells.len();
                layout.tiles.push(Tile { shift: wrapping(at), taps: first..last, cells });
            }
        }
        layout
    }

    /// Copies a source row to its places; margins are left as they are.
    pub(super) fn fill<T: Real>(&self, to: &mut [T], row: &[T], constant: T) {
        for run in &self.runs {
            let to = &mut to[run.at..run.at + run.len];
            if run.step == 1 {
                to.copy_from_slice(&row[run.first..run.first + run.len]);
            } else {
                to.iter_mut().zip(row[run.first..].iter().step_by(run.step)).for_each(|(to, v)| *to = *v);
            }
        }
        for &(at, cell) in &self.outside {
            to[at] = cell.map_or(constant, |cell| row[cell]);
        }
    }

    /// The same for a row that lies outside as a whole.
    pub(super) fn fill_constant<T: Real>(&self, to: &mut [T], constant: T) {
        for run in &self.runs {
            to[run.at..run.at + run.len].fill(constant);
        }
        for &(at, _) in &self.outside {
            to[at] = constant;
        }
    }
}

/// The outputs whose windows may reach the input cells `range`.
fn outputs_read(line: &Line, fold: &Fold, range: &Range<usize>) -> Range<i64> {
    let outputs = line.output as i64;
    let Fold::Shift { begin, .. } = fold else { return 0..outputs };
    let span = (line.kernel as i64 - 1) * line.dilation;
    let first = div_ceil(range.start as i64 + begin - span, line.stride).clamp(0, outputs);
    let last = div_ceil(range.end as i64 + begin, line.stride).clamp(first, outputs);
    first..last
}
