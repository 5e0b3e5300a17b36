//! Forward and input gradient: every result row is a sum over source rows.
//!
//! A task owns a block of result rows in some channels. It lays out the source rows that the block reads, a few
//! channels at a time, and sums tile by tile. The order of every sum is that of the formula (source channel, kernel row,
//! tap), whatever the tasks are, so the bits do not depend on the number of threads.

use std::ops::Range;

use rayon::prelude::*;

use super::geometry::{Fold, Geometry};
use super::row::{LANES, RowLayout};
use super::sources::Sources;
use super::tile::{self, Lanes, Packed, Strides, Window};
use super::{Finish, all_finite};
use crate::cpu::Real;
use crate::problem::Direction;

/// Longest range of a row that one task takes: with its source rows it stays in the first cache.
const ROW_RANGE: usize = 1024;

/// Elements of laid out source rows per task: 128 KiB of f32, a part of the second cache.
const ARENA: usize = 32 * 1024;

/// Multiply-accumulates below which starting a task costs more than it brings.
const TASK_MACS: usize = 64 * 1024;

/// Cells of a block of rows for which a block of weights, once loaded, is used.
const BLOCK_CELLS: usize = 64;

/// Everything that the tasks share.
struct Gather<'a, T> {
    geometry: &'a Geometry,
    /// Channels of the result and of the source in a group.
    channels: [usize; 2],
    /// Spatial extents of the result and of the source.
    extents: [[usize; 3]; 2],
    folds: [Fold; 3],
    source: &'a [T],
    weight: &'a [T],
    packed: Option<Packed<T>>,
    /// Result channels summed side by side.
    block: usize,
    constant: T,
    /// The layout of rows, if all tasks share one.
    whole_row: Option<RowLayout>,
    finish: &'a Finish<'a, T>,
}

/// A part of the result.
struct Task<'r, T> {
    image: usize,
    group: usize,
    channels: Range<usize>,
    rows: Range<usize>,
    cells: Range<usize>,
    /// One slice per channel.
    out: Vec<&'r mut [T]>,
}

/// Adds the sums to `result`, which is all zeros, and finishes them.
pub(super) fn run<T: Real>(
    geometry: &Geometry,
    source: &[T],
    weight: &[T],
    result: &mut [T],
    finish: &Finish<'_, T>,
) {
    let gather = Gather::new(geometry, source, weight, finish);
    let tasks = gather.tasks(result);
    tasks.into_par_iter().for_each_init(Vec::new, |arena, task| gather.run(task, arena));
}

impl<'a, T: Real> Gather<'a, T> {
    fn new(geometry: &'a Geometry, source: &'a [T], weight: &'a [T], finish: &'a Finish<'a, T>) -> Self {
        let forward = geometry.direction == Direction::Forward;
        let (mut channels, mut extents) = ([geometry.q, geometry.c], [geometry.output(), geometry.input()]);
        if !forward {
            channels.reverse();
            extents.reverse();
        }
        // The forward direction needs none of them: a table of nothing.
        let folds = geometry
            .lines
            .each_ref()
            .map(|line| if forward { Fold::Table(Vec::new()) } else { Fold::new(line, geometry.boundary) });
        let block = T::CHANNEL_BLOCK.min(channels[0].next_power_of_two());
        let plain = geometry.unshared || !all_finite(weight);
        let packed = (!plain).then(|| pack(geometry, channels, block, weight));
        let constant = T::from_f64(geometry.boundary.fill());
        let mut gather = Self {
            geometry,
            channels,
            extents,
            folds,
            source,
            weight,
            packed,
            block: if plain { 1 } else { block },
            constant,
            whole_row: None,
            finish,
        };
        let width = extents[0][2];
        gather.whole_row = (width <= ROW_RANGE).then(|| gather.layout(0..width));
        gather
    }

    fn layout(&self, cells: Range<usize>) -> RowLayout {
        let line = &self.geometry.lines[2];
        match self.geometry.direction {
            Direction::Forward => RowLayout::forward(line, self.geometry.boundary, cells),
            _ => RowLayout::transposed(line, &self.folds[2], cells),
        }
    }

    fn sources(&self, rows: Range<usize>) -> Sources {
        let [outer, inner, _] = &self.folds;
        match self.geometry.direction {
            Direction::Forward => Sources::forward(self.geometry, rows),
            _ => Sources::transposed(self.geometry, [outer, inner], rows),
        }
    }

    /// Channels, rows and cells of a task: enough tasks for all threads, none too small.
    fn task_sizes(&self) -> [usize; 3] {
        let planes = self.geometry.n * self.geometry.groups;
        let [channels, sources] = self.channels;
        let [depth, height, width] = self.extents[0];
        let (rows, wanted) = (depth * height, 4 * rayon::current_num_threads());
        let row_macs = width.saturating_mul(channels * sources).saturating_mul(self.geometry.taps()).max(1);
        let task_rows = match &self.whole_row {
            Some(_) => {
                let enough = BLOCK_CELLS.div_ceil(width).max(TASK_MACS / row_macs);
                enough.min((planes * rows).div_ceil(wanted)).clamp(1, rows)
            }
            None => 1,
        };
        let task_cells = width.min(ROW_RANGE);
        let pieces = rows.div_ceil(task_rows) * width.div_ceil(task_cells);
        let parts = wanted.div_ceil(planes * pieces).min(channels.div_ceil(self.block));
        [channels.div_ceil(parts).next_multiple_of(self.block), task_rows, task_cells]
    }

    /// Cuts the result into tasks.
    fn tasks<'r>(&self, result: &'r mut [T]) -> Vec<Task<'r, T>> {
        let Geometry { n, groups, .. } = *self.geometry;
        let channels = self.channels[0];
        let [depth, height, width] = self.extents[0];
        let rows = depth * height;
        let [task_channels, task_rows, task_cells] = self.task_sizes();
        let mut tasks = Vec::new();
        for (image, group) in (0..n).flat_map(|image| (0..groups).map(move |group| (image, group))) {
            for channels in ranges(channels, task_channels) {
                for rows in ranges(rows, task_rows) {
                    for cells in ranges(width, task_cells) {
                        let (channels, rows) = (channels.clone(), rows.clone());
                        tasks.push(Task { image, group, channels, rows, cells, out: Vec::new() });
                    }
                }
            }
        }
        let parts = channels.div_ceil(task_channels);
        let pieces = rows.div_ceil(task_rows) * width.div_ceil(task_cells);
        // A task takes whole rows, or a part of one: a slice either way.
        let cut = if task_cells < width { task_cells } else { task_rows * width };
        for (plane, values) in result.chunks_mut(rows * width).enumerate() {
            let (image_group, channel) = (plane / channels, plane % channels);
            let first = (image_group * parts + channel / task_channels) * pieces;
            let slices = values.chunks_mut(task_rows * width).flat_map(|rows| rows.chunks_mut(cut));
            for (task, out) in tasks[first..first + pieces].iter_mut().zip(slices) {
                task.out.push(out);
            }
        }
        tasks
    }

    fn run(&self, task: Task<'_, T>, arena: &mut Vec<T>) {
        let own;
        let layout = match &self.whole_row {
            Some(layout) => layout,
            None => {
                own = self.layout(task.cells.clone());
                &own
            }
        };
        let sources = self.sources(task.rows.clone());
        let per_channel = sources.rows.len() * layout.len;
        let blocks = task.channels.len().div_ceil(self.block);
        let mut sums =
            vec![[T::default(); LANES]; blocks * self.block * task.rows.len() * layout.tiles.len()];
        // Without source rows nothing is added.
        if let Some(fitting) = ARENA.checked_div(per_channel) {
            let at_once = fitting.clamp(1, self.channels[1]);
            arena.clear();
            arena.resize(per_channel * at_once, T::default());
            for first in (0..self.channels[1]).step_by(at_once) {
                let channels = first..self.channels[1].min(first + at_once);
                let arena = &mut arena[..per_channel * channels.len()];
                self.fill(&task, &sources, layout, channels, arena);
                self.add(&task, &sources, layout, first, arena, &mut sums);
            }
        }
        self.store(task, layout, &sums);
    }

    /// Lays out the source rows of `channels`.
    fn fill(
        &self,
        task: &Task<'_, T>,
        sources: &Sources,
        layout: &RowLayout,
        channels: Range<usize>,
        arena: &mut [T],
    ) {
        let [depth, height, width] = self.extents[1];
        let first = (task.image * self.geometry.groups + task.group) * self.channels[1];
        let mut places = arena.chunks_exact_mut(layout.len);
        for channel in channels {
            let plane = &self.source[(first + channel) * depth * height * width..][..depth * height * width];
            for (source, place) in sources.rows.iter().zip(&mut places) {
                match source {
                    Some(row) => layout.fill(place, &plane[row * width..][..width], self.constant),
                    None => layout.fill_constant(place, self.constant),
                }
            }
        }
    }

    /// Adds what the source channels in the arena, from `first` on, bring.
    fn add(
        &self,
        task: &Task<'_, T>,
        sources: &Sources,
        layout: &RowLayout,
        first: usize,
        arena: &[T],
        sums: &mut [Lanes<T>],
    ) {
        let slots = sources.rows.len();
        let mut sums = sums.chunks_exact_mut(self.block);
        for channel in task.channels.clone().step_by(self.block) {
            for row in 0..task.rows.len() {
                let pairs = sources.pairs(row);
                for (tile, sums) in layout.tiles.iter().zip(&mut sums) {
                    let window = Window { arena, slots, layout, pairs, tile };
                    match &self.packed {
                        Some(packed) => self.add_packed(task, packed, channel, first, window, sums),
                        None => {
                            let (from, strides) = self.plain_weights(task.group, channel, first);
                            tile::plain(&mut sums[0], window, &self.weight[from..], strides);
                        }
                    }
                }
            }
        }
    }

    fn add_packed(
        &self,
        task: &Task<'_, T>,
        packed: &Packed<T>,
        channel: usize,
        first: usize,
        window: Window<'_, T>,
        sums: &mut [Lanes<T>],
    ) {
        let block = task.group * self.channels[0].div_ceil(self.block) + channel / self.block;
        let (weights, step) = (packed.from(block, first), packed.per_source());
        if let Ok(sums) = <&mut [_; 4]>::try_from(&mut *sums) {
            tile::packed(sums, window, weights, step);
        } else if let Ok(sums) = <&mut [_; 2]>::try_from(&mut *sums) {
            tile::packed(sums, window, weights, step);
        } else if let Ok(sums) = <&mut [_; 1]>::try_from(sums) {
            tile::packed(sums, window, weights, step);
        }
    }

    /// Where the weights of a result channel and of the source channels from `first` on begin.
    fn plain_weights(&self, group: usize, channel: usize, first: usize) -> (usize, Strides) {
        let Geometry { c, q, unshared, flip, .. } = *self.geometry;
        let [depth, height, width] = self.geometry.output();
        let taps = self.geometry.taps();
        let positions = if unshared { depth * height * width } else { 1 };
        let (per_input, per_output) = (taps, positions * c * taps);
        let [result, source] = match self.geometry.direction {
            Direction::Forward => [per_output, per_input],
            _ => [per_input, per_output],
        };
        let from = group * q * per_output + channel * result + first * source;
        (from, Strides { source, position: if unshared { c * taps } else { 0 }, row: width, taps, flip })
    }

    /// Adds the sums to their cells, in the order of the tiles, and finishes them.
    fn store(&self, task: Task<'_, T>, layout: &RowLayout, sums: &[Lanes<T>]) {
        let [depth, height, width] = self.extents[0];
        let (rows, tiles) = (task.rows.len(), layout.tiles.len());
        let channel = task.group * self.channels[0] + task.channels.start;
        let channels = self.geometry.groups * self.channels[0];
        for (i, out) in task.out.into_iter().enumerate() {
            let first = i / self.block * rows * tiles * self.block + i % self.block;
            let mut sums = sums.iter().skip(first).step_by(self.block);
            for out in out.chunks_mut(task.cells.len()) {
                for (tile, sums) in layout.tiles.iter().zip(&mut sums) {
                    for (&cell, sum) in layout.cells[tile.cells.clone()].iter().zip(sums) {
                        out[cell] += *sum;
                    }
                }
            }
            let plane = (task.image * channels + channel + i) * depth * height * width;
            self.finish.apply(out, plane + task.rows.start * width + task.cells.start, channel + i);
        }
    }
}

/// `0..len` in ranges of `step`.
fn ranges(len: usize, step: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len).step_by(step).map(move |start| start..len.min(start + step))
}

fn pack<T: Real>(geometry: &Geometry, channels: [usize; 2], block: usize, weight: &[T]) -> Packed<T> {
    let (blocks, taps) = (channels[0].div_ceil(block), geometry.taps());
    Packed::new([geometry.groups * blocks, channels[1], taps, block], |at, source, tap, lane| {
        let (group, channel) = (at / blocks, at % blocks * block + lane);
        let (q, c) = match geometry.direction {
            Direction::Forward => (channel, source),
            _ => (source, channel),
        };
        let filter = (group * geometry.q + q) * geometry.c + c;
        (channel < channels[0]).then(|| weight[filter * taps + geometry.filter_index(tap)])
    })
}
