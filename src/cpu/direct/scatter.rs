//! The gradient of the input without any table: every product is added where it belongs. For steps so large that no two
//! neighbouring results are neighbours in anything else, and for boundaries whose padded cells are too many to have a sum each.

use std::ops::Range;

use rayon::prelude::*;

use super::Finish;
use super::sources::Rows;
use super::tile;
use crate::cpu::Real;
use crate::cpu::geometry::Geometry;
use crate::cpu::memory::{OutOfMemory, ScratchPool, threads, zeros};
use crate::cpu::real::add_exactly;
use crate::cpu::steps;
use crate::geometry::{Line, div_ceil, index};

/// Cells of a row that are summed at a time.
const RANGE: usize = 1024;

/// Which weights and which gradient a row of products has.
struct Row<'a, T> {
    line: Line,
    /// A row of the gradient of `y`.
    gradient: &'a [T],
    weight: &'a [T],
    /// Where the weight of its first output and first tap lies, and how far it is to the next output's.
    first: usize,
    position: usize,
    flip: bool,
}

impl<T: Real> Row<'_, T> {
    /// The weights of output `o` for the taps `taps`, in their order.
    fn weights(&self, o: usize, taps: Range<usize>) -> impl Iterator<Item = T> {
        let first = self.first + o * self.position;
        let range = if self.flip {
            first + 1 - taps.end..first + 1 - taps.start
        } else {
            first + taps.start..first + taps.end
        };
        let (forth, back) =
            if self.flip { (&[][..], &self.weight[range]) } else { (&self.weight[range], &[][..]) };
        forth.iter().chain(back.iter().rev()).copied()
    }
}

/// A boundary that adds nothing to the input's cells: row by row.
pub(super) fn rows<T: Real>(
    geometry: &Geometry,
    grad_output: &[T],
    weight: &[T],
    result: &mut [T],
    finish: &Finish<'_, T>,
) {
    let [depth, height, width] = geometry.input();
    let rows = Rows::transposed(geometry);
    let block = tile::block_of(geometry.terms);
    result.par_chunks_mut(width).enumerate().for_each(|(at, out)| {
        let (plane, row) = (at / (depth * height), at % (depth * height));
        let (image_group, c) = (plane / geometry.c, plane % geometry.c);
        out.par_chunks_mut(RANGE).enumerate().for_each(|(part, out)| {
            let cells = part * RANGE..part * RANGE + out.len();
            let mut sums = RangeSums { out, acc: [T::default(); RANGE], added: 0, block };
            let kernel_rows = rows.kernel_rows(row);
            for q in 0..geometry.q {
                steps::count(1);
                for pair in 0..kernel_rows.count() {
                    steps::count(1);
                    let (kernel_row, _, source) = rows.pair(row, kernel_rows, pair);
                    let row =
                        of_row(geometry, grad_output, weight, [image_group, q, c], [kernel_row, source]);
                    sums.add(&row, &cells);
                }
            }
            sums.flush();
            finish.apply(sums.out, at * width + cells.start, plane % (geometry.groups * geometry.c));
        });
    });
}

/// The products of one row of the gradient of `y` with one row of the kernel.
fn of_row<'a, T: Real>(
    geometry: &Geometry,
    grad_output: &'a [T],
    weight: &'a [T],
    [image_group, q, c]: [usize; 3],
    [kernel_row, row]: [usize; 2],
) -> Row<'a, T> {
    let [depth, height, width] = geometry.output();
    let line = geometry.lines[2];
    let plane = image_group * geometry.q + q;
    let channel = image_group % geometry.groups * geometry.q + q;
    Row {
        line,
        gradient: &grad_output[(plane * depth * height + row) * width..][..width],
        weight,
        first: geometry.filter(channel, row * width, c) + geometry.filter_index(kernel_row * line.kernel),
        position: if geometry.unshared { geometry.c * geometry.taps() } else { 0 },
        flip: geometry.flip,
    }
}

/// Sums of neighbouring cells, added up in blocks.
struct RangeSums<'r, T> {
    out: &'r mut [T],
    acc: [T; RANGE],
    /// Products that a cell has in `acc`, at most.
    added: usize,
    block: usize,
}

impl<T: Real> RangeSums<'_, T> {
    fn flush(&mut self) {
        steps::count(self.out.len());
        for (out, acc) in self.out.iter_mut().zip(&mut self.acc) {
            *out += std::mem::take(acc);
        }
        self.added = 0;
    }

    /// Adds the products of a row that reach `cells`.
    fn add(&mut self, row: &Row<'_, T>, cells: &Range<usize>) {
        let line = &row.line;
        let at = |cell: usize| cell as i64 + line.begin;
        let last_tap = (line.kernel as i64 - 1) * line.dilation;
        let bound = |o: i64| o.clamp(0, line.output as i64);
        let first = bound(div_ceil(at(cells.start) - last_tap, line.stride));
        let end = bound(div_ceil(at(cells.end), line.stride)).max(first);
        // Of few taps far apart most outputs between meet nothing.
        if (line.kernel as i64) < end - first {
            return self.add_by_tap(row, cells);
        }
        for start in (first..end).step_by(self.block) {
            let outputs = start..end.min(start.saturating_add(self.block as i64));
            let count = index(outputs.end - outputs.start);
            if self.added + count > self.block {
                self.flush();
            }
            self.added += count;
            for o in outputs {
                steps::count(1);
                // Coordinate of tap 0 among the cells of the range.
                let zero = o * line.stride - at(cells.start);
                let tap =
                    |cell: i64| index(div_ceil(cell - zero, line.dilation).clamp(0, line.kernel as i64));
                let taps = tap(0)..tap(cells.len() as i64);
                let Some(cell) = (!taps.is_empty()).then(|| index(zero + taps.start as i64 * line.dilation))
                else {
                    continue;
                };
                let (o, step) = (index(o), index(line.dilation));
                steps::count(taps.len());
                let gradient = row.gradient[o];
                let acc = &mut self.acc[cell..cells.len()];
                let weights = row.weights(o, taps);
                if step == 1 {
                    acc.iter_mut().zip(weights).for_each(|(acc, w)| *acc += gradient * w);
                } else {
                    acc.iter_mut().step_by(step).zip(weights).for_each(|(acc, w)| *acc += gradient * w);
                }
            }
        }
    }

    /// The same, tap by tap.
    fn add_by_tap(&mut self, row: &Row<'_, T>, cells: &Range<usize>) {
        let line = &row.line;
        for k in 0..line.kernel {
            steps::count(1);
            let ahead = k as i64 * line.dilation - line.begin;
            let bound =
                |cell: usize| index(div_ceil(cell as i64 - ahead, line.stride).clamp(0, line.output as i64));
            let outputs = bound(cells.start)..bound(cells.end);
            if outputs.is_empty() {
                continue;
            }
            // A tap brings a cell one product at most.
            if self.added == self.block {
                self.flush();
            }
            self.added += 1;
            steps::count(outputs.len());
            let first = index(outputs.start as i64 * line.stride + ahead) - cells.start;
            let acc = self.acc[first..cells.len()].iter_mut().step_by(index(line.stride));
            for (acc, o) in acc.zip(outputs) {
                if let Some(w) = row.weights(o, k..k + 1).next() {
                    *acc += row.gradient[o] * w;
                }
            }
        }
    }
}

/// A boundary that reads the input again: plane by plane, with what each addition loses carried along (Kahan), as there is no
/// saying how many products a cell has.
pub(super) fn planes<T: Real>(
    geometry: &Geometry,
    grad_output: &[T],
    weight: &[T],
    result: &mut [T],
    finish: &Finish<'_, T>,
) -> Result<(), OutOfMemory> {
    let plane: usize = geometry.input().iter().product();
    let planes = geometry.n * geometry.groups * geometry.c;
    let pool = ScratchPool::new(planes, || zeros("what additions lose", plane))?;
    result.par_chunks_mut(plane).enumerate().for_each(|(at, out)| {
        pool.with(|lost: &mut Vec<T>| {
            lost.fill(T::default());
            let (image_group, c) = (at / geometry.c, at % geometry.c);
            for q in 0..geometry.q {
                add_plane(geometry, grad_output, weight, [image_group, q, c], out, lost);
            }
            finish.apply(out, at * plane, at % (geometry.groups * geometry.c));
        });
    });
    Ok(())
}

/// Elements that [`planes`] allocates.
pub(super) fn planes_elements(geometry: &Geometry) -> u64 {
    let planes = geometry.n * geometry.groups * geometry.c;
    geometry.input().iter().product::<usize>() as u64 * threads(planes) as u64
}

fn add_plane<T: Real>(
    geometry: &Geometry,
    grad_output: &[T],
    weight: &[T],
    channels: [usize; 3],
    out: &mut [T],
    lost: &mut [T],
) {
    let [outer, inner, line] = &geometry.lines;
    let of = |line: &Line, o: usize, k: usize| line.cell_of(geometry.boundary, o, k);
    for (z, y) in (0..outer.output).flat_map(|z| (0..inner.output).map(move |y| (z, y))) {
        for (kz, ky) in (0..outer.kernel).flat_map(|kz| (0..inner.kernel).map(move |ky| (kz, ky))) {
            steps::count(1);
            let Some(cell_row) = of(outer, z, kz).zip(of(inner, y, ky)).map(|(z, y)| z * inner.input + y)
            else {
                continue;
            };
            let pair = [kz * inner.kernel + ky, z * inner.output + y];
            let row = of_row(geometry, grad_output, weight, channels, pair);
            let cells = cell_row * line.input..(cell_row + 1) * line.input;
            let (out, lost) = (&mut out[cells.clone()], &mut lost[cells]);
            for (o, &gradient) in row.gradient.iter().enumerate() {
                // A product that looks for its cell takes as long as forty of a row that does not.
                steps::count(40 * line.kernel);
                for (k, w) in row.weights(o, 0..line.kernel).enumerate() {
                    let Some(x) = of(line, o, k) else { continue };
                    add_exactly(&mut out[x], &mut lost[x], gradient * w);
                }
            }
        }
    }
}
