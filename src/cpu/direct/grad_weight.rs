//! Weight gradient: every weight is a dot product of what its tap reads with the gradient of `y`.
//!
//! A task owns some taps of the filters of some input channels. Each of its sums advances in [`LANES`] partial sums, which
//! are added up at the very end, always in the same order. What is laid out and listed at a time is bounded, however large
//! kernels and steps are.

use std::ops::Range;

use rayon::prelude::*;

use super::gather::{laid, ranges};
use super::row::{LANES, MARGIN, RowLayout, Tap};
use super::sources::{Pair, Rows, Sources};
use super::tile::{self, Lanes};
use super::{Finish, all_finite};
use crate::cpu::Real;
use crate::cpu::geometry::Geometry;
use crate::cpu::memory::{OutOfMemory, ScratchPool, room, threads, zeros};
use crate::cpu::steps;
use crate::problem::Boundary;

/// Longest range of output cells taken at once; whole tiles.
const ROW_RANGE: usize = 1024 * LANES;

/// Output cells taken at once, as whole rows: with `x` laid out they stay in the second cache.
const BLOCK_CELLS: usize = 8 * 1024;

/// Cells of a source row that are laid out at a time, and of all source rows.
const MOST_LAID: usize = 1 << 16;
const MOST_ARENA: usize = 1 << 20;

/// Taps of a kernel row, and pairs of kernel row and output row, at a time.
const MOST_TAPS: usize = 4096;

/// Weights of a task.
const MOST_WEIGHTS: usize = 1 << 16;

/// Multiply-accumulates below which a task takes several input channels.
const TASK_MACS: usize = 64 * 1024;

/// How much a task takes.
#[derive(Clone, Copy, Debug)]
struct WeightSizes {
    /// Input channels and output channels.
    inputs: usize,
    outputs: usize,
    /// Taps along each axis; all along an axis after one of which it takes several.
    taps: [usize; 3],
    /// Rows of `y`, and cells of a row, at a time.
    rows: usize,
    cells: usize,
    /// Cells of a row as it is laid out, and rows, at most.
    laid: usize,
    slots: usize,
}

impl WeightSizes {
    fn new(geometry: &Geometry, block: usize) -> Self {
        let &Geometry { groups, c, q, n, ref lines, .. } = geometry;
        let [depth, height, width] = geometry.output();
        // First what does not depend on the number of threads, as it cuts sums into blocks.
        let mut taps = taps_of(geometry.taps().min(MOST_WEIGHTS), geometry);
        let mut cells = width.min(ROW_RANGE);
        let of_row = |cells: usize, taps: usize| laid(&lines[2], true, cells, taps);
        // Taps that have no cells in common have many, unless the range is short.
        if of_row(cells, taps[2].min(MOST_TAPS)) > MOST_LAID {
            cells = cells.min(MOST_LAID / 64);
        }
        while taps[2] > 1 && (taps[2] > MOST_TAPS || of_row(cells, taps[2]) > MOST_LAID) {
            taps = [1, 1, taps[2].div_ceil(2)];
        }
        let source_rows = lines[0].input * lines[1].input + 1;
        let slots = |rows: usize, taps: [usize; 3]| (rows * taps[0] * taps[1]).min(source_rows);
        let laid = |taps: [usize; 3]| of_row(cells, taps[2]) + MARGIN * (taps[2] + 1);
        let fits = |rows: usize, taps: [usize; 3]| {
            rows * taps[0] * taps[1] <= MOST_TAPS && slots(rows, taps) * laid(taps) <= MOST_ARENA
        };
        while taps[0] * taps[1] > 1 && !fits(1, taps) {
            let at = usize::from(taps[0] == 1);
            taps[at] = taps[at].div_ceil(2);
        }
        let mut rows = (BLOCK_CELLS / width).clamp(1, depth * height);
        while rows > 1 && !fits(rows, taps) {
            rows /= 2;
        }
        // Then tasks for all threads.
        let wanted = 4 * rayon::current_num_threads();
        let parts = wanted.div_ceil(groups * c).min(q.div_ceil(block));
        let outputs = q.div_ceil(parts).next_multiple_of(block);
        let channels = groups * c * q.div_ceil(outputs);
        let piece = taps_of(geometry.taps().div_ceil(wanted.div_ceil(channels)), geometry);
        let taps: [usize; 3] = std::array::from_fn(|axis| taps[axis].min(piece[axis]));
        let pieces: usize = (0..3).map(|axis| lines[axis].kernel.div_ceil(taps[axis])).product();
        let macs =
            n.saturating_mul(depth * height * width).saturating_mul(outputs * taps.iter().product::<usize>());
        let most = (channels * pieces / wanted).clamp(1, c);
        let inputs = (TASK_MACS / macs.max(1)).clamp(1, most);
        Self { inputs, outputs, taps, rows, cells, laid: laid(taps), slots: slots(rows, taps) }
    }

    fn weights(&self) -> usize {
        self.taps.iter().product()
    }

    /// Elements of laid out rows, and blocks of sums in lanes.
    fn scratch(&self, block: usize) -> [usize; 2] {
        [self.slots * self.laid, self.inputs * self.outputs.div_ceil(block) * self.weights()]
    }

    /// Additions to a lane that an image brings for the rows and cells at a time, at most.
    fn steps(&self) -> usize {
        self.rows * self.cells.div_ceil(LANES)
    }

    /// Whether sums are added up in totals: of so many `steps` at a time, for so many rows, cells and images.
    fn has_totals(&self, geometry: &Geometry, block: usize) -> bool {
        let [depth, height, width] = geometry.output();
        let times = (depth * height).div_ceil(self.rows) * width.div_ceil(self.cells);
        times.saturating_mul(geometry.n).saturating_mul(self.added(block)) > block
    }

    /// Additions to a sum that an image brings: its steps, or if these are cut into blocks, their sums.
    fn added(&self, block: usize) -> usize {
        if self.steps() > block { self.steps().div_ceil(block) + 1 } else { self.steps() }
    }

    /// Boxes of taps.
    fn pieces(&self, geometry: &Geometry) -> usize {
        (0..3).map(|axis| geometry.lines[axis].kernel.div_ceil(self.taps[axis])).product()
    }

    /// Tasks of a group.
    fn tasks(&self, geometry: &Geometry) -> usize {
        geometry.c.div_ceil(self.inputs) * geometry.q.div_ceil(self.outputs) * self.pieces(geometry)
    }
}

/// About `piece` taps along each axis.
fn taps_of(piece: usize, geometry: &Geometry) -> [usize; 3] {
    let [depth, height, width] = geometry.lines.map(|line| line.kernel);
    if piece >= height * width {
        [(piece / (height * width)).min(depth), height, width]
    } else if piece >= width {
        [1, piece / width, width]
    } else {
        [1, 1, piece]
    }
}

/// Everything that the tasks share.
struct Dots<'a, T, const CB: usize> {
    geometry: &'a Geometry,
    sizes: WeightSizes,
    rows: Rows<'a>,
    input: &'a [T],
    /// The gradient of `y`, its rows filled up with zeros to whole tiles.
    grad_output: Vec<T>,
    /// Length of these rows.
    row: usize,
    /// Whether cells that do not count may be multiplied by zero instead of skipped.
    finite: bool,
    constant: T,
    /// Products of a lane that are added one after the other.
    block: usize,
}

/// Filters of some input channels, a box of their taps.
struct WeightTask<'r, T> {
    group: usize,
    inputs: Range<usize>,
    channels: Range<usize>,
    taps: [Range<usize>; 3],
    /// One slice per output channel and input channel.
    out: Vec<&'r mut [T]>,
}

/// Memory of a thread.
struct WeightScratch<T, const CB: usize> {
    arena: Vec<T>,
    sums: Vec<[Lanes<T>; CB]>,
    totals: Vec<[Lanes<T>; CB]>,
}

/// Elements that [`run`] allocates.
pub(super) fn scratch_elements<T: Real>(geometry: &Geometry) -> u64 {
    if geometry.unshared {
        let elements =
            if geometry.n > tile::block_of(geometry.terms) { filters_of_a_row(geometry) } else { 0 };
        return elements as u64 * threads(rows_of_filters(geometry)) as u64;
    }
    let block = T::CHANNEL_BLOCK.min(geometry.q.next_power_of_two());
    let sizes = WeightSizes::new(geometry, block);
    let [arena, sums] = sizes.scratch(block);
    let copies = 1 + usize::from(sizes.has_totals(geometry, tile::block_of(geometry.terms)));
    let threads = threads(geometry.groups * sizes.tasks(geometry)) as u64;
    let [depth, height, width] = geometry.output();
    let padded = geometry.n * geometry.groups * geometry.q * depth * height * width.next_multiple_of(LANES);
    // Lists of the tasks of a group, and of their slices.
    let slices =
        geometry.q.saturating_mul(geometry.c).saturating_mul(sizes.pieces(geometry)).saturating_mul(16);
    let lists = slices.saturating_add(sizes.tasks(geometry).saturating_mul(256)) / size_of::<T>();
    let at_once = threads.min(geometry.groups as u64);
    (padded as u64)
        .saturating_add(threads * (arena + copies * sums * block * LANES) as u64)
        .saturating_add(at_once.saturating_mul(lists as u64))
}

/// Adds the sums to `result`, which is all zeros, and finishes them.
pub(super) fn run<T: Real>(
    geometry: &Geometry,
    input: &[T],
    grad_output: &[T],
    result: &mut [T],
    finish: &Finish<'_, T>,
) -> Result<(), OutOfMemory> {
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
) -> Result<(), OutOfMemory> {
    let finite = all_finite(input) && all_finite(grad_output);
    let width = geometry.lines[2].output;
    let row = width.next_multiple_of(LANES);
    let sizes = WeightSizes::new(geometry, CB);
    let dots = Dots::<T, CB> {
        geometry,
        sizes,
        rows: Rows::forward(geometry),
        input,
        grad_output: pad_rows(grad_output, width, row)?,
        row,
        finite,
        constant: T::from_f64(geometry.boundary.fill()),
        block: tile::block_of(geometry.terms),
    };
    let [arena, sums] = sizes.scratch(CB);
    let totals = if sizes.has_totals(geometry, dots.block) { sums } else { 0 };
    let pool = ScratchPool::new(geometry.groups * sizes.tasks(geometry), || {
        let what = "rows laid out anew and their sums";
        Ok(WeightScratch { arena: room(what, arena)?, sums: room(what, sums)?, totals: room(what, totals)? })
    })?;
    let one = |task: WeightTask<'_, T>| pool.with(|scratch| dots.run(task, scratch, finish));
    let of_group = geometry.q * geometry.c * geometry.taps();
    result.par_chunks_mut(of_group).enumerate().for_each(|(group, result)| {
        let tasks = tasks(geometry, sizes, group, result);
        if geometry.groups < 4 * rayon::current_num_threads() {
            tasks.into_par_iter().for_each(one);
        } else {
            tasks.into_iter().for_each(one);
        }
    });
    Ok(())
}

fn pad_rows<T: Real>(values: &[T], width: usize, row: usize) -> Result<Vec<T>, OutOfMemory> {
    steps::count(values.len() / width * row);
    let mut padded: Vec<T> = zeros("the gradient laid out anew", values.len() / width * row)?;
    padded.par_chunks_mut(row).zip(values.par_chunks(width)).with_min_len(256).for_each(|(to, from)| {
        to[..width].copy_from_slice(from);
    });
    Ok(padded)
}

/// Cuts the filters of a group.
fn tasks<'r, T: Real>(
    geometry: &Geometry,
    sizes: WeightSizes,
    group: usize,
    result: &'r mut [T],
) -> Vec<WeightTask<'r, T>> {
    let Geometry { c, q, .. } = *geometry;
    let kernel = geometry.lines.map(|line| line.kernel);
    let mut boxes = Vec::new();
    for z in ranges(kernel[0], sizes.taps[0]) {
        for y in ranges(kernel[1], sizes.taps[1]) {
            boxes.extend(ranges(kernel[2], sizes.taps[2]).map(|x| [z.clone(), y.clone(), x]));
        }
    }
    let mut tasks = Vec::with_capacity(sizes.tasks(geometry));
    for channels in ranges(q, sizes.outputs) {
        for inputs in ranges(c, sizes.inputs) {
            for taps in &boxes {
                let (channels, inputs) = (channels.clone(), inputs.clone());
                let out = Vec::with_capacity(channels.len() * inputs.len());
                tasks.push(WeightTask { group, inputs, channels, taps: taps.clone(), out });
            }
        }
    }
    let parts = c.div_ceil(sizes.inputs);
    for (filter, mut values) in result.chunks_mut(geometry.taps()).enumerate() {
        let (channel, input) = (filter / c, filter % c);
        let first = (channel / sizes.outputs * parts + input / sizes.inputs) * boxes.len();
        for task in &mut tasks[first..first + boxes.len()] {
            let len = task.taps.iter().map(ExactSizeIterator::len).product::<usize>();
            // A flipped kernel has its first taps last.
            let out = if geometry.flip {
                values.split_off_mut(values.len() - len..)
            } else {
                values.split_off_mut(..len)
            };
            task.out.extend(out);
        }
    }
    tasks
}

impl<T: Real, const CB: usize> Dots<'_, T, CB> {
    fn run(&self, task: WeightTask<'_, T>, scratch: &mut WeightScratch<T, CB>, finish: &Finish<'_, T>) {
        let [depth, height, width] = self.geometry.output();
        let blocks = task.channels.len().div_ceil(CB);
        let weights = task.taps.iter().map(ExactSizeIterator::len).product::<usize>();
        let WeightScratch { arena, sums, totals } = scratch;
        sums.clear();
        sums.resize(task.inputs.len() * blocks * weights, [[T::default(); LANES]; CB]);
        totals.clear();
        let mut added = 0;
        let [z, y, x] = &task.taps;
        for rows in ranges(depth * height, self.sizes.rows) {
            let sources = Sources::within(&self.rows, rows, &[z.clone(), y.clone()]);
            let (slots, pairs) = sources.into_kernel_rows();
            for cells in ranges(width, self.sizes.cells) {
                let line = &self.geometry.lines[2];
                let layout = RowLayout::untiled(line, self.geometry.boundary, cells, x.clone());
                arena.clear();
                arena.resize(slots.len() * layout.len, T::default());
                for image in 0..self.geometry.n {
                    if added + self.sizes.added(self.block) > self.block {
                        add_up(totals, sums);
                        added = 0;
                    }
                    added += self.sizes.added(self.block);
                    for (input, sums) in task.inputs.clone().zip(sums.chunks_exact_mut(blocks * weights)) {
                        self.fill(&task, image, input, &slots, &layout, arena);
                        self.add(&task, image, &pairs, &layout, arena, sums);
                    }
                }
            }
        }
        if !totals.is_empty() {
            add_up(totals, sums);
            std::mem::swap(sums, totals);
        }
        self.store(task, sums, finish);
    }

    fn fill(
        &self,
        task: &WeightTask<'_, T>,
        image: usize,
        input: usize,
        slots: &[Option<usize>],
        layout: &RowLayout,
        arena: &mut [T],
    ) {
        let [depth, height, width] = self.geometry.input();
        let plane = (image * self.geometry.groups + task.group) * self.geometry.c + input;
        let plane = &self.input[plane * depth * height * width..][..depth * height * width];
        for (source, place) in slots.iter().zip(arena.chunks_exact_mut(layout.len.max(1))) {
            match source {
                Some(row) => layout.fill(place, &plane[row * width..][..width], self.constant),
                None => layout.fill_constant(place, self.constant),
            }
        }
    }

    /// Adds what one image brings through the rows in the arena.
    fn add(
        &self,
        task: &WeightTask<'_, T>,
        image: usize,
        pairs: &[Pair],
        layout: &RowLayout,
        arena: &[T],
        sums: &mut [[Lanes<T>; CB]],
    ) {
        let [depth, height, _] = self.geometry.output();
        let plane = depth * height * self.row;
        let image_group = (image * self.geometry.groups + task.group) * self.geometry.q;
        let [z, y, x] = &task.taps;
        let weights = z.len() * y.len() * x.len();
        let kernel_height = self.geometry.lines[1].kernel;
        for (channel, sums) in task.channels.clone().step_by(CB).zip(sums.chunks_exact_mut(weights)) {
            steps::count(1);
            // The last block repeats its last channel; what comes of that is not stored.
            let planes: [&[T]; CB] = std::array::from_fn(|i| {
                let channel = (channel + i).min(task.channels.end - 1);
                &self.grad_output[(image_group + channel) * plane..][..plane]
            });
            for pairs in pairs.chunk_by(|a, b| a.kernel_row == b.kernel_row) {
                let kernel_row = pairs[0].kernel_row;
                let [kz, ky] = [kernel_row / kernel_height - z.start, kernel_row % kernel_height - y.start];
                let sums = &mut sums[(kz * y.len() + ky) * x.len()..][..x.len()];
                for tap in &layout.taps {
                    self.dot(&mut sums[tap.k - x.start], pairs, tap, layout, arena, planes);
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
        if self.sizes.steps() > self.block {
            return self.dot_in_blocks(sums, list, tap, layout, arena, planes);
        }
        let mut acc = *sums;
        // Whole tiles around the cells that count, from the beginning of the range.
        let cells = tap.valid.start.wrapping_sub(tap.base)..tap.valid.end.wrapping_sub(tap.base);
        let tiles = cells.start / LANES..cells.end.div_ceil(LANES);
        for pair in list {
            self.add_row(&mut acc, pair, tap, layout, arena, planes, &cells, tiles.clone());
        }
        *sums = acc;
    }

    /// The same for many products. A function of its own, so that few have all registers for themselves.
    #[inline(never)]
    fn dot_in_blocks(
        &self,
        sums: &mut [Lanes<T>; CB],
        list: &[Pair],
        tap: &Tap,
        layout: &RowLayout,
        arena: &[T],
        planes: [&[T]; CB],
    ) {
        let cells = tap.valid.start.wrapping_sub(tap.base)..tap.valid.end.wrapping_sub(tap.base);
        let tiles = cells.start / LANES..cells.end.div_ceil(LANES);
        // A block is some rows, or a part of one.
        let rows = (self.block / tiles.len().max(1)).max(1);
        for list in list.chunks(rows) {
            let mut first = tiles.start;
            while first < tiles.end {
                let end =
                    if tiles.len() <= self.block { tiles.end } else { tiles.end.min(first + self.block) };
                let mut acc = [[T::default(); LANES]; CB];
                for pair in list {
                    self.add_row(&mut acc, pair, tap, layout, arena, planes, &cells, first..end);
                }
                for (sums, acc) in sums.iter_mut().zip(acc) {
                    for (sum, acc) in sums.iter_mut().zip(acc) {
                        *sum += acc;
                    }
                }
                first = end;
            }
        }
    }

    /// Adds the products of some tiles of a row of which `cells` count.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "a struct of them would lie in memory")]
    fn add_row(
        &self,
        acc: &mut [Lanes<T>; CB],
        pair: &Pair,
        tap: &Tap,
        layout: &RowLayout,
        arena: &[T],
        planes: [&[T]; CB],
        cells: &Range<usize>,
        tiles: Range<usize>,
    ) {
        let row = &arena[pair.slot * layout.len..][..layout.len];
        let at = pair.output_row * self.row + tap.output + tiles.start * LANES;
        let len = tiles.len() * LANES;
        steps::count(1 + len * CB);
        let xs = row[tap.base.wrapping_add(tiles.start * LANES)..][..len].as_chunks::<LANES>().0;
        let hs = planes.map(|plane| plane[at..at + len].as_chunks::<LANES>().0);
        if self.finite {
            return add_products(acc, xs, hs);
        }
        for o in cells.start.max(tiles.start * LANES)..cells.end.min(tiles.end * LANES) {
            let (i, lane) = (o / LANES - tiles.start, o % LANES);
            for (acc, h) in acc.iter_mut().zip(hs) {
                acc[lane] += h[i][lane] * xs[i][lane];
            }
        }
    }

    fn store(&self, task: WeightTask<'_, T>, sums: &[[Lanes<T>; CB]], finish: &Finish<'_, T>) {
        let Geometry { c, q, flip, .. } = *self.geometry;
        let (blocks, taps) = (task.channels.len().div_ceil(CB), self.geometry.taps());
        let [_, height, width] = self.geometry.lines.map(|line| line.kernel);
        let [z, y, x] = &task.taps;
        let weights = z.len() * y.len() * x.len();
        let first = (z.start * height + y.start) * width + x.start;
        let first = if flip { taps - first - weights } else { first };
        for (at, out) in task.out.into_iter().enumerate() {
            steps::count(1 + out.len() * LANES);
            // In the order of the filters: output channels, then input channels.
            let (i, input) = (at / task.inputs.len(), at % task.inputs.len());
            let channel = task.group * q + task.channels.start + i;
            let filter = (channel * c + task.inputs.start + input) * taps;
            let sums = &sums[(input * blocks + i / CB) * weights..][..weights];
            let sum = |sums: &[Lanes<T>; CB]| add_lanes_up(sums[i % CB]);
            if flip {
                out.iter_mut().rev().zip(sums).for_each(|(out, sums)| *out = sum(sums));
            } else {
                out.iter_mut().zip(sums).for_each(|(out, sums)| *out = sum(sums));
            }
            finish.apply(out, filter + first, channel);
        }
    }
}

/// Adds sums to totals, and begins anew.
fn add_up<T: Real, const CB: usize>(totals: &mut Vec<[Lanes<T>; CB]>, sums: &mut [[Lanes<T>; CB]]) {
    steps::count(sums.len() * LANES * CB);
    totals.resize(sums.len(), [[T::default(); LANES]; CB]);
    for (total, sums) in totals.iter_mut().zip(sums) {
        add_lanes(total, sums);
    }
}

fn add_lanes<T: Real, const CB: usize>(to: &mut [Lanes<T>; CB], from: &mut [Lanes<T>; CB]) {
    for (to, from) in to.iter_mut().zip(from) {
        for (to, from) in to.iter_mut().zip(from) {
            *to += std::mem::take(from);
        }
    }
}

/// Adds products lane by lane; all of `hs` are as long as `xs`.
#[inline(always)]
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

fn add_lanes_up<T: Real>([a, b, c, d, e, f, g, h]: Lanes<T>) -> T {
    ((a + b) + (c + d)) + ((e + f) + (g + h))
}

/// Weights of an output channel at all positions of a row of `y`.
fn filters_of_a_row(geometry: &Geometry) -> usize {
    geometry.lines[2].output * geometry.c * geometry.taps()
}

fn rows_of_filters(geometry: &Geometry) -> usize {
    geometry.groups * geometry.q * geometry.output()[0] * geometry.output()[1]
}

/// A weight per output position: nothing but the images is summed over. One task per channel and row of `y`.
fn unshared<T: Real>(
    geometry: &Geometry,
    input: &[T],
    grad_output: &[T],
    result: &mut [T],
    finish: &Finish<'_, T>,
) -> Result<(), OutOfMemory> {
    let ([depth, height, _], filters) = (geometry.output(), filters_of_a_row(geometry));
    let block = tile::block_of(geometry.terms);
    // Images are added up in blocks.
    let apart = if geometry.n > block { filters } else { 0 };
    let pool = ScratchPool::new(rows_of_filters(geometry), || zeros("sums of some images", apart))?;
    result.par_chunks_mut(filters).enumerate().for_each(|(chunk, out)| {
        pool.with(|sums: &mut Vec<T>| {
            let (channel, row) = (chunk / (depth * height), chunk % (depth * height));
            for images in ranges(geometry.n, block) {
                if apart == 0 {
                    add_images(geometry, input, grad_output, images, [channel, row], out);
                    continue;
                }
                add_images(geometry, input, grad_output, images, [channel, row], sums);
                out.iter_mut().zip(&mut *sums).for_each(|(out, sum)| *out += std::mem::take(sum));
            }
            finish.apply(out, chunk * filters, channel);
        });
    });
    Ok(())
}

fn add_images<T: Real>(
    geometry: &Geometry,
    input: &[T],
    grad_output: &[T],
    images: Range<usize>,
    [channel, row]: [usize; 2],
    out: &mut [T],
) {
    let &Geometry { groups, q, c, boundary, .. } = geometry;
    let ([depth, height, width], taps, line) = (geometry.output(), geometry.taps(), &geometry.lines[2]);
    let (cells, constant) = (geometry.input().iter().product::<usize>(), T::from_f64(boundary.fill()));
    let rows = Rows::forward(geometry);
    let kernel_rows = rows.kernel_rows(row);
    for image in images {
        let plane = (image * groups * q + channel) * depth * height + row;
        let gradient = &grad_output[plane * width..][..width];
        for at in 0..c {
            let plane = &input[((image * groups + channel / q) * c + at) * cells..][..cells];
            for pair in 0..kernel_rows.count() {
                let (kernel_row, source, _) = rows.pair(row, kernel_rows, pair);
                let source = source.map(|row| &plane[row * line.input..][..line.input]);
                for k in 0..line.kernel {
                    let tap = at * taps + geometry.filter_index(kernel_row * line.kernel + k);
                    let inside = line.outputs_of_tap(k);
                    let outputs = if boundary == Boundary::Zero { inside } else { 0..width };
                    steps::count(1 + outputs.len());
                    for o in outputs {
                        let cell = source.zip(line.cell_of(boundary, o, k));
                        let x = cell.map_or(constant, |(source, cell)| source[cell]);
                        out[o * c * taps + tap] += gradient[o] * x;
                    }
                }
            }
        }
    }
}
