//! Tiles and tensors: which cells a tile takes, and where its results go.

use super::phase::{DensePhase, Phases};
use super::tiling::Tiling;
use crate::cpu::Real;
use crate::geometry::{Taps, read};
use crate::problem::{Boundary, to_usize};

/// A tile of a phase: its place among the phase's tiles, along each axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct OverlapTile<'a> {
    pub(super) axes: &'a [Phases; 3],
    pub(super) phases: [DensePhase; 3],
    pub(super) tiling: &'a Tiling,
    pub(super) at: [usize; 3],
}

impl OverlapTile<'_> {
    /// Results along an axis: the last tile may have fewer.
    fn results(&self, axis: usize) -> usize {
        let kept = self.tiling.kept[axis];
        kept.min(self.phases[axis].count - self.at[axis] * kept)
    }

    /// How many results each axis has, and at which cells.
    pub(super) fn kept(&self) -> [(usize, usize); 3] {
        [0, 1, 2].map(|axis| (self.results(axis), self.axes[axis].stride))
    }

    /// Where along an axis its results lie: the first one, and the distance to the next.
    fn place(&self, axis: usize) -> (usize, usize) {
        let DensePhase { first, apart, .. } = self.phases[axis];
        // Where there is a second tile this is less than the axis' extent.
        (first + (self.at[axis] * self.tiling.kept[axis]).saturating_mul(apart), apart)
    }

    /// The coordinates that it reads along an axis: the first, the distance, and how many.
    fn reads(&self, axis: usize) -> (i64, i64, usize) {
        let (DensePhase { begin, step, taps, .. }, stride) = (self.phases[axis], self.axes[axis].stride);
        let position = (self.at[axis] * self.tiling.kept[axis] * stride) as i64;
        let cells = (self.results(axis) - 1) * stride + self.axes[axis].taps[taps].count;
        (begin + position * step, step, cells)
    }

    /// Takes the cells that its results read from `plane`. What no result reads is 0: it may be infinite.
    pub(super) fn take<T: Real>(&self, plane: &[T], boundary: Boundary, cells: &mut [T]) {
        let [_, height, width] = self.tiling.lengths;
        let extents = [0, 1, 2].map(|axis| self.axes[axis].source);
        let constant = T::from_f64(boundary.fill());
        let reads = [0, 1, 2].map(|axis| self.reads(axis));
        let outside = |axis: usize, i: usize| {
            let (begin, step, _) = reads[axis];
            read(boundary, begin + i as i64 * step, extents[axis] as u64).map(to_usize)
        };
        let [depths, heights] =
            [0, 1].map(|axis| (0..reads[axis].2).map(|i| outside(axis, i)).collect::<Vec<_>>());
        for (row, place) in cells.chunks_exact_mut(width).enumerate() {
            let (z, y) = (row / height, row % height);
            let (Some(z), Some(y)) = (depths.get(z), heights.get(y)) else {
                place.fill(T::default());
                continue;
            };
            let (place, rest) = place.split_at_mut(reads[2].2);
            rest.fill(T::default());
            match (z, y) {
                (Some(z), Some(y)) => {
                    let line = &plane[(z * extents[1] + y) * extents[2]..][..extents[2]];
                    take_row(place, line, (reads[2].0, reads[2].1), boundary);
                }
                _ => place.fill(constant),
            }
        }
    }

    /// Takes what belongs to its results from a plane of the result's shape, each at its position.
    pub(super) fn take_results<T: Real>(&self, plane: &[T], cells: &mut [T]) {
        let [_, height, width] = self.tiling.lengths;
        cells.fill(T::default());
        let stride = self.axes[2].stride;
        self.rows(|from, row| {
            let (first, apart) = self.place(2);
            let (row, count) = (row[0] * height + row[1], self.results(2));
            let to = cells[row * width..][..width].iter_mut().step_by(stride);
            let from = plane[from + first..].iter().step_by(apart);
            for (to, from) in to.zip(from).take(count) {
                *to = *from;
            }
        });
    }

    /// Puts its results, times `scale`, into `out`, which begins at element `begin` of the plane.
    pub(super) fn put<T: Real>(&self, cells: &[T], scale: T, begin: usize, out: &mut [T]) {
        let [_, height, width] = self.tiling.lengths;
        let stride = self.axes[2].stride;
        self.rows(|to, row| {
            let (first, apart) = self.place(2);
            let (row, count) = (row[0] * height + row[1], self.results(2));
            let from = &cells[row * width..][..width];
            let to = &mut out[to + first - begin..];
            if stride == 1 && apart == 1 {
                for (to, from) in to.iter_mut().zip(&from[..count]) {
                    *to = *from * scale;
                }
                return;
            }
            for (to, from) in to.iter_mut().step_by(apart).zip(from.iter().step_by(stride)).take(count) {
                *to = *from * scale;
            }
        });
    }

    /// Calls `visit` with where a row of the plane begins and which row of the tile it is.
    fn rows(&self, mut visit: impl FnMut(usize, [usize; 2])) {
        let [depth, height] = [0, 1].map(|axis| self.place(axis));
        for z in 0..self.results(0) {
            for y in 0..self.results(1) {
                let row = (depth.0 + z * depth.1) * self.axes[1].result + height.0 + y * height.1;
                visit(row * self.axes[2].result, [z * self.axes[0].stride, y * self.axes[1].stride]);
            }
        }
    }
}

/// Takes one filter; `tap` says where the weight of a tap of each axis lies.
pub(super) fn take_filter<T: Real>(
    filter: &[T],
    taps: [&Taps; 3],
    lengths: [usize; 3],
    tap: impl Fn([usize; 3]) -> usize,
    cells: &mut [T],
) {
    cells.fill(T::default());
    let [depth, height, width] = taps;
    for z in 0..depth.count {
        for y in 0..height.count {
            let row = &mut cells[(z * lengths[1] + y) * lengths[2]..][..width.count];
            for (x, cell) in row.iter_mut().enumerate() {
                *cell = filter[tap([depth.at(z), height.at(y), width.at(x)])];
            }
        }
    }
}

/// The cells at `begin`, `begin + step`, .. of a line.
fn take_row<T: Real>(place: &mut [T], line: &[T], (begin, step): (i64, i64), boundary: Boundary) {
    let steps = |cells: i64| to_usize(cells.max(0).unsigned_abs().div_ceil(step.unsigned_abs()));
    let before = steps(-begin).min(place.len());
    let past = steps(line.len() as i64 - begin).clamp(before, place.len());
    let constant = T::from_f64(boundary.fill());
    let inside = &mut place[before..past];
    if !inside.is_empty() {
        let first = to_usize((begin + before as i64 * step).unsigned_abs());
        if step == 1 {
            inside.copy_from_slice(&line[first..first + (past - before)]);
        } else {
            let cells = line[first..].iter().step_by(to_usize(step.unsigned_abs()));
            inside.iter_mut().zip(cells).for_each(|(place, cell)| *place = *cell);
        }
    }
    for i in (0..before).chain(past..place.len()) {
        let cell = read(boundary, begin + i as i64 * step, line.len() as u64);
        place[i] = cell.map_or(constant, |cell| line[to_usize(cell)]);
    }
}
