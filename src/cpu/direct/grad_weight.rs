//! Weight gradient: every weight is a dot product of what its tap reads with the gradient of `y`.
//!
//! A task owns some taps of the filters of one input channel. Each of its sums advances in [`LANES`] partial sums, which
//! are added up at the very end, always in the same order.

use std::ops::Range;

use rayon::prelude::*;

use super::geometry::Geometry;
use super::row::{LANES, RowLayout, Tap};
use super::sources::{Pair, Sources};
use super::tile::Lanes;
use super::{Finish, all_finite};
use crate::cpu::Real;

/// Longest range of output cells taken at once; whole tiles.
const ROW_RANGE: usize = 1024 * LANES;

/// Output cells taken at once, as whole rows: with `x` laid out they stay in the second cache.
const BLOCK_CELLS: usize = 8 * 1024;

/// Everything that the tasks share.
struct Dots<'a, T, const CB: usize> {
    geometry: &'a Geometry,
    input: &'a [T],
    /// The gradient of `y`, its rows filled up with zeros to whole tiles.
    grad_output: Vec<T>,
    /// Length of these rows.
    row: usize,
    /// Whether cells that do not count may be multiplied by zero instead of skipped.
    finite: bool,
    constant: T,
}

/// Filters of one input channel, a range of their taps.
struct Task<'r, T> {
    group: usize,
    c: usize,
    channels: Range<usize>,
    /// Which weights of a filter.
    weights: Range<usize>,
    /// One slice per output channel.
    out: Vec<&'r mut [T]>,
}

/// Adds the sums to `result`, which is all zeros, and finishes them.
pub(super) fn run<T: Real>(
    geometry: &Geometry,
    input: &[T],
    grad_output: &[T],
    result: &mut [T],
    finish: &Finish<'_, T>,
) {
    if geometry.unshared {
        return unshared(geometry, input, grad_output, result, finish);
    }
    match T::CHANNEL_BLOCK.min(geometry.q.next_power_of_two()) {
        4 => shared::<T, 4>(geometry, input, grad_output, result, finish),
        2 => shared::<T, 2>(geometry, input, grad_output, result, finish),
        _ => shared::<T, 1>(geometry, input, grad_output, result, finish),
    }
}

/// All positions share one filter; `CB` output channels share a loaded vector of `x`.
fn shared<T: Real, const CB: usize>(
    geometry: &Geometry,
    input: &[T],
    grad_output: &[T],
    result: &mut [T],
    finish: &Finish<'_, T>,
) {
    let finite = all_finite(input) && all_finite(grad_output);
    let width = geometry.lines[2].output;
    let row = width.next_multiple_of(LANES);
    let constant = T::from_f64(geometry.boundary.fill());
    let padded = pad_rows(grad_output, width, row);
    let dots = Dots::<T, CB> { geometry, input, grad_output: padded, row, finite, constant };
    tasks(geometry, CB, result).into_par_iter().for_each(|task| dots.run(task, finish));
}

fn pad_rows<T: Real>(values: &[T], width: usize, row: usize) -> Vec<T> {
    let mut padded = vec![T::default(); values.len() / width * row];
    padded.par_chunks_mut(row).zip(values.par_chunks(width)).with_min_len(256).for_each(|(to, from)| {
        to[..width].copy_from_slice(from);
    });
    padded
}

/// One task per input channel, or more where these are few.
fn tasks<'r, T: Real>(geometry: &Geometry, block: usize, result: &'r mut [T]) -> Vec<Task<'r, T>> {
    let Geometry { groups, c, q, .. } = *geometry;
    let (taps, wanted) = (geometry.taps(), 4 * rayon::current_num_threads());
    let parts = wanted.div_ceil(groups * c).min(q.div_ceil(block));
    let part = q.div_ceil(parts).next_multiple_of(block);
    let parts = q.div_ceil(part);
    let piece = taps.div_ceil(wanted.div_ceil(groups * c * parts).min(taps));
    let pieces = taps.div_ceil(piece);
    let mut tasks = Vec::with_capacity(groups * parts * c * pieces);
    for group in 0..groups {
        for first in (0..q).step_by(part) {
            for c in 0..c {
                for weight in (0..taps).step_by(piece) {
                    let (channels, weights) = (first..q.min(first + part), weight..taps.min(weight + piece));
                    tasks.push(Task { group, c, channels, weights, out: Vec::new() });
                }
            }
        }
    }
    for (filter, values) in result.chunks_mut(taps).enumerate() {
        let (channel, c_at) = (filter / c, filter % c);
        let first = ((channel / q * parts + channel % q / part) * c + c_at) * pieces;
        for (task, out) in tasks[first..first + pieces].iter_mut().zip(values.chunks_mut(piece)) {
            task.out.push(out);
        }
    }
    tasks
}

impl<T: Real, const CB: usize> Dots<'_, T, CB> {
    fn run(&self, task: Task<'_, T>, finish: &Finish<'_, T>) {
        let [depth, height, width] = self.geometry.output();
        let blocks = task.channels.len().div_ceil(CB);
        let mut sums = vec![[[T::default(); LANES]; CB]; blocks * task.weights.len()];
        let rows = depth * height;
        let at_once = (BLOCK_CELLS / width).clamp(1, rows);
        let mut arena = Vec::new();
        for first in (0..rows).step_by(at_once) {
            let sources = Sources::forward(self.geometry, first..rows.min(first + at_once));
            let lists = sources.by_kernel_row(self.geometry.kernel_rows());
            for cell in (0..width).step_by(ROW_RANGE) {
                let cells = cell..width.min(cell + ROW_RANGE);
                let layout = RowLayout::untiled(&self.geometry.lines[2], self.geometry.boundary, cells);
                arena.clear();
                arena.resize(sources.rows.len() * layout.len, T::default());
                for image in 0..self.geometry.n {
                    self.fill(&task, image, &sources, &layout, &mut arena);
                    self.add(&task, image, &lists, &layout, &arena, &mut sums);
                }
            }
        }
        self.store(task, &sums, finish);
    }

    fn fill(&self, task: &Task<'_, T>, image: usize, sources: &Sources, layout: &RowLayout, arena: &mut [T]) {
        let [depth, height, width] = self.geometry.input();
        let plane = (image * self.geometry.groups + task.group) * self.geometry.c + task.c;
        let plane = &self.input[plane * depth * height * width..][..depth * height * width];
        for (source, place) in sources.rows.iter().zip(arena.chunks_exact_mut(layout.len)) {
            match source {
                Some(row) => layout.fill(place, &plane[row * width..][..width], self.constant),
                None => layout.fill_constant(place, self.constant),
            }
        }
    }

    /// Adds what one image brings through the rows in the arena.
    fn add(
        &self,
        task: &Task<'_, T>,
        image: usize,
        lists: &[Vec<Pair>],
        layout: &RowLayout,
        arena: &[T],
        sums: &mut [[Lanes<T>; CB]],
    ) {
        let [depth, height, _] = self.geometry.output();
        let plane = depth * height * self.row;
        let image_group = (image * self.geometry.groups + task.group) * self.geometry.q;
        let mut sums = sums.chunks_exact_mut(task.weights.len());
        for channel in task.channels.clone().step_by(CB) {
            // The last block repeats its last channel; what comes of that is not stored.
            let planes: [&[T]; CB] = std::array::from_fn(|i| {
                let channel = (channel + i).min(task.channels.end - 1);
                &self.grad_output[(image_group + channel) * plane..][..plane]
            });
            let Some(sums) = sums.next() else { return };
            for tap in &layout.taps {
                for (kernel_row, list) in lists.iter().enumerate() {
                    let k = self.geometry.filter_index(kernel_row * layout.kernel + tap.k);
                    if task.weights.contains(&k) {
                        self.dot(&mut sums[k - task.weights.start], list, tap, layout, arena, planes);
                    }
                }
            }
        }
    }

    /// Adds the products of what one tap reads in the rows of `list`.
    fn dot(
        &self,
        sums: &mut [Lanes<T>; CB],
        list: &[Pair],
        tap: &Tap,
        layout: &RowLayout,
        arena: &[T],
        planes: [&[T]; CB],
    ) {
        let mut acc = *sums;
        // Whole tiles around the cells that count, from the beginning of the range.
        let from = tap.valid.start.wrapping_sub(tap.base);
        let to = tap.valid.end.wrapping_sub(tap.base);
        let tiles = from / LANES..to.div_ceil(LANES);
        for pair in list {
            let row = &arena[pair.slot * layout.len..][..layout.len];
            let at = pair.output_row * self.row + tap.output + tiles.start * LANES;
            let len = tiles.len() * LANES;
            let xs = row[tap.base.wrapping_add(tiles.start * LANES)..][..len].as_chunks::<LANES>().0;
            let hs = planes.map(|plane| plane[at..at + len].as_chunks::<LANES>().0);
            if self.finite {
                add_products(&mut acc, xs, hs);
                continue;
            }
            for o in from..to {
                let (i, lane) = (o / LANES - tiles.start, o % LANES);
                for (acc, h) in acc.iter_mut().zip(hs) {
                    acc[lane] += h[i][lane] * xs[i][lane];
                }
            }
        }
        *sums = acc;
    }

    fn store(&self, task: Task<'_, T>, sums: &[[Lanes<T>; CB]], finish: &Finish<'_, T>) {
        for (i, out) in task.out.into_iter().enumerate() {
            let channel = task.group * self.geometry.q + task.channels.start + i;
            let filter = (channel * self.geometry.c + task.c) * self.geometry.taps();
            let sums = &sums[i / CB * task.weights.len()..];
            for (out, sums) in out.iter_mut().zip(sums) {
                *out = add_up(sums[i % CB]);
            }
            finish.apply(out, filter + task.weights.start, channel);
        }
    }
}

/// Adds products lane by lane; all of `hs` are as long as `xs`.
fn add_products<T: Real, const CB: usize>(acc: &mut [Lanes<T>; CB], xs: &[Lanes<T>], hs: [&[Lanes<T>]; CB]) {
    let hs = hs.map(|h| &h[..xs.len()]);
    let mut sums = *acc;
    for (i, x) in xs.iter().enumerate() {
        for (sum, h) in sums.iter_mut().zip(hs) {
            for ((sum, h), x) in sum.iter_mut().zip(&h[i]).zip(x) {
                *sum += *h * *x;
            }
        }
    }
    *acc = sums;
}

fn add_up<T: Real>([a, b, c, d, e, f, g, h]: Lanes<T>) -> T {
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

/// A weight per output position: nothing but the images is summed over. One task per channel and row of `y`.
fn unshared<T: Real>(
    geometry: &Geometry,
    input: &[T],
    grad_output: &[T],
    result: &mut [T],
    finish: &Finish<'_, T>,
) {
    let ([depth, height, width], taps, c) = (geometry.output(), geometry.taps(), geometry.c);
    let (rows, channels) = (depth * height, geometry.groups * geometry.q);
    let [.., input_width] = geometry.input();
    let cells: usize = geometry.input().iter().product();
    let layout = RowLayout::untiled(&geometry.lines[2], geometry.boundary, 0..width);
    let constant = T::from_f64(geometry.boundary.fill());
    let filters = width * c * taps;
    result.par_chunks_mut(filters).enumerate().for_each_init(Vec::new, |arena, (chunk, out)| {
        let (channel, row) = (chunk / rows, chunk % rows);
        let sources = Sources::forward(geometry, row..row + 1);
        arena.clear();
        arena.resize(layout.len, T::default());
        for image in 0..geometry.n {
            let gradient = &grad_output[((image * channels + channel) * rows + row) * width..][..width];
            for at in 0..c {
                let plane = (image * geometry.groups + channel / geometry.q) * c + at;
                let plane = &input[plane * cells..][..cells];
                for pair in sources.pairs(0) {
                    match sources.rows[pair.slot] {
                        Some(row) => layout.fill(arena, &plane[row * input_width..][..input_width], constant),
                        None => layout.fill_constant(arena, constant),
                    }
                    for tap in &layout.taps {
                        let k = at * taps + geometry.filter_index(pair.kernel_row * layout.kernel + tap.k);
                        for x in tap.valid.clone() {
                            let o = x.wrapping_sub(tap.base);
                            out[o * c * taps + k] += gradient[o] * arena[x];
                        }
                    }
                }
            }
        }
        finish.apply(out, chunk * filters, channel);
    });
}
