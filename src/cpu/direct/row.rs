//! The innermost axis: how a source row is laid out so that every tap reads neighbouring cells.
//!
//! A stride deals the cells of a row to `stride` phases. Laid out phase by phase, what one tap reads for
//! consecutive results is consecutive, whatever stride, dilation and boundary are, and the sums of
//! [`LANES`] results advance together.

use std::ops::Range;

use crate::cpu::Real;
use crate::cpu::steps;
use crate::geometry::{Line, div_ceil};
use crate::problem::{Boundary, to_usize};

/// Results summed side by side.
pub(super) const LANES: usize = 8;

/// Cells of zeros around every run of source cells: a vector that begins or ends outside stays in bounds.
pub(super) const MARGIN: usize = LANES - 1;

/// Cells of a run: `len` cells of the source row from `first` on, `step` apart, lie at `at`.
#[derive(Debug)]
struct SourceRun {
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
pub(super) struct LaneGroup {
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
    runs: Vec<SourceRun>,
    /// Cells of the boundary: position, and what it repeats (`None`: the constant).
    outside: Vec<(usize, Option<usize>)>,
    pub(super) taps: Vec<Tap>,
    pub(super) tiles: Vec<LaneGroup>,
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

/// What one tap reads for the outputs `outputs`: cells `from..` of a phase of the source row.
struct Reads {
    k: usize,
    outputs: Range<i64>,
    phase: i64,
    from: i64,
}

impl RowLayout {
    /// Rows of `x`, for the outputs `range` and the taps `ks`, in tiles.
    pub(super) fn forward(line: &Line, boundary: Boundary, range: Range<usize>, ks: Range<usize>) -> Self {
        let mut layout = Self::untiled(line, boundary, range.clone(), ks);
        let cells = range.len();
        layout.cells.extend(0..cells);
        for cell in (0..cells).step_by(LANES) {
            let end = cells.min(cell + LANES);
            // Later taps reach earlier outputs.
            let outputs =
                |tap: &Tap| tap.valid.start.wrapping_sub(tap.base)..tap.valid.end.wrapping_sub(tap.base);
            let first = layout.taps.partition_point(|tap| outputs(tap).start >= end);
            let last = layout.taps.partition_point(|tap| outputs(tap).end > cell);
            layout.tiles.push(LaneGroup { shift: cell, taps: first..last.max(first), cells: cell..end });
        }
        layout
    }

    /// Rows of `x`, for the outputs `range` and the taps `ks`: taps and places only.
    pub(super) fn untiled(line: &Line, boundary: Boundary, range: Range<usize>, ks: Range<usize>) -> Self {
        let (start, end) = (range.start as i64, range.end as i64);
        steps::count(range.len() / LANES + ks.len());
        let mut reads: Vec<Reads> = Vec::with_capacity(ks.len());
        for k in ks.clone() {
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
        layout.place(line, boundary, start, ks.start, &reads);
        layout
    }

    /// Places what the taps read, sharing cells that several of them read.
    fn place(&mut self, line: &Line, boundary: Boundary, start: i64, first: usize, reads: &[Reads]) {
        let mut order: Vec<&Reads> = reads.iter().collect();
        order.sort_by_key(|r| (r.phase, r.from));
        let mut bases = vec![0; reads.last().map_or(0, |read| read.k + 1 - first)];
        let mut i = 0;
        self.len = MARGIN;
        while i < order.len() {
            let (phase, begin) = (order[i].phase, order[i].from);
            let mut end = begin;
            while i < order.len() && order[i].phase == phase && order[i].from <= end {
                let Reads { k, outputs, from, .. } = order[i];
                end = end.max(from + (outputs.end - outputs.start));
                bases[*k - first] = wrapping(self.len as i64 + from - begin - (outputs.start - start));
                i += 1;
            }
            self.place_run(line, boundary, begin * line.stride + phase, end - begin);
        }
        self.taps.extend(reads.iter().map(|r| {
            let at = |o: i64| bases[r.k - first].wrapping_add(wrapping(o - start));
            let valid = at(r.outputs.start)..at(r.outputs.end);
            Tap { k: r.k, base: bases[r.k - first], output: wrapping(start), valid }
        }));
    }

    /// `len` cells from `coordinate` on, `line.stride` apart, then a margin.
    fn place_run(&mut self, line: &Line, boundary: Boundary, coordinate: i64, len: i64) {
        let inside_from = div_ceil(-coordinate, line.stride).clamp(0, len);
        let inside_to = div_ceil(line.input as i64 - coordinate, line.stride).clamp(inside_from, len);
        let at = self.len;
        for j in (0..inside_from).chain(inside_to..len) {
            steps::count(1);
            let cell = line.cell(boundary, coordinate + j * line.stride);
            self.outside.push((at + to_usize(j as u64), cell));
        }
        if inside_from < inside_to {
            self.runs.push(SourceRun {
                at: at + to_usize(inside_from as u64),
                len: to_usize((inside_to - inside_from) as u64),
                first: to_usize((coordinate + inside_from * line.stride) as u64),
                step: to_usize(line.stride.unsigned_abs()),
            });
        }
        self.len += to_usize(len as u64) + MARGIN;
    }

    /// Rows of the gradient of `y`, for the gradient of the input cells `range` and the taps `ks`.
    pub(super) fn transposed(line: &Line, range: Range<usize>, ks: Range<usize>) -> Self {
        let (start, end) = (range.start as i64 + line.begin, (range.end as i64 + line.begin).min(line.reach));
        steps::count(range.len() + ks.len());
        let mut taps: Vec<(i64, i64, usize)> = ks
            .map(|k| (deal(k as i64 * line.dilation, line.stride), k))
            .map(|((phase, ahead), k)| (phase, ahead, k))
            .collect();
        taps.sort_unstable();
        let mut layout = Self { len: MARGIN, kernel: line.kernel, ..Self::default() };
        layout.place_outputs(line, start..end, &taps);
        // The cells of a phase are neighbours to the taps of that phase.
        for phase in 0..line.stride.min(end - start) {
            let (phase, first) = deal(start + phase, line.stride);
            let count = div_ceil(end - phase - first * line.stride, line.stride);
            let from = taps.partition_point(|&(p, ..)| p < phase);
            let of_phase = &taps[from..taps.partition_point(|&(p, ..)| p <= phase)];
            for at in (first..first + count).step_by(LANES) {
                let lanes = (first + count - at).min(LANES as i64);
                let cells = layout.cells.len();
                let cell = |i: i64| to_usize(((at + i) * line.stride + phase - start).unsigned_abs());
                layout.cells.extend((0..lanes).map(cell));
                // Outputs from the first lane's first to the last lane's last.
                let reached = |bound: i64| of_phase.partition_point(|&(_, ahead, _)| ahead < bound);
                let (first, last) = (reached(at - line.output as i64 + 1), reached(at + lanes));
                let cells = cells..layout.cells.len();
                layout.tiles.push(LaneGroup {
                    shift: wrapping(at),
                    taps: from + first..from + last.max(first),
                    cells,
                });
            }
        }
        layout
    }

    /// Places what the taps read for the coordinates `range`, sharing cells that several of them read.
    fn place_outputs(&mut self, line: &Line, range: Range<i64>, taps: &[(i64, i64, usize)]) {
        // The outputs that a tap reads: of its phase those from the first coordinate to the last.
        let reads = |&(phase, ahead, _): &(i64, i64, usize)| {
            let first = div_ceil(range.start - phase, line.stride) - ahead;
            let end = div_ceil(range.end - phase, line.stride) - ahead;
            first.clamp(0, line.output as i64)..end.clamp(0, line.output as i64)
        };
        let mut order: Vec<(Range<i64>, usize)> =
            taps.iter().enumerate().map(|(i, tap)| (reads(tap), i)).collect();
        order.sort_unstable_by_key(|(outputs, _)| outputs.start);
        let mut places = vec![(0, 0..0); taps.len()];
        let mut order = order.into_iter().filter(|(outputs, _)| !outputs.is_empty()).peekable();
        while let Some((outputs, i)) = order.next() {
            let (first, mut end, at) = (outputs.start, outputs.end, self.len);
            // Where output 0 would lie.
            let zero = wrapping(at as i64 - first);
            let place = |outputs: &Range<i64>| {
                (zero, zero.wrapping_add(wrapping(outputs.start))..zero.wrapping_add(wrapping(outputs.end)))
            };
            places[i] = place(&outputs);
            while let Some((outputs, i)) = order.next_if(|(outputs, _)| outputs.start <= end) {
                end = end.max(outputs.end);
                places[i] = place(&outputs);
            }
            let len = to_usize((end - first).unsigned_abs());
            self.runs.push(SourceRun { at, len, first: to_usize(first.unsigned_abs()), step: 1 });
            self.len += len + MARGIN;
        }
        for (&(_, ahead, k), (zero, valid)) in taps.iter().zip(places) {
            let base = zero.wrapping_sub(wrapping(ahead));
            self.taps.push(Tap { k, base, output: wrapping(-ahead), valid });
        }
    }

    /// Copies a source row to its places; margins are left as they are.
    pub(super) fn fill<T: Real>(&self, to: &mut [T], row: &[T], constant: T) {
        steps::count(self.len);
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
        steps::count(self.len);
        for run in &self.runs {
            to[run.at..run.at + run.len].fill(constant);
        }
        for &(at, _) in &self.outside {
            to[at] = constant;
        }
    }
}
