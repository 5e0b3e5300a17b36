//! Forward and input gradient: every result row is a sum over source rows.
//!
//! A task owns a block of result rows in some channels. It lays out the source rows that the block reads, a few
//! channels at a time, and sums tile by tile. The order of every sum is that of the formula (source channel, kernel row,
//! tap), cut into blocks, whatever the tasks are, so the bits do not depend on the number of threads.
//!
//! What is laid out and listed at a time is bounded, however large kernels and steps are: a long kernel row is taken in parts,
//! and so are many kernel rows.

use std::ops::Range;

use rayon::prelude::*;

use super::row::{LANES, MARGIN, RowLayout};
use super::sources::{Rows, Sources};
use super::tile::{self, Lanes, PackedFilters, Strides, TileReads};
use super::{Finish, all_finite};
use crate::cpu::Real;
use crate::cpu::geometry::Geometry;
use crate::cpu::memory::{OutOfMemory, ScratchPool, room, threads};
use crate::cpu::steps;
use crate::geometry::{Line, div_ceil, index};
use crate::problem::{Boundary, Direction, to_usize};

/// Longest range of a row that one task takes: with its source rows it stays in the first cache.
const ROW_RANGE: usize = 1024;

/// Elements of laid out source rows per task: 128 KiB of f32, a part of the second cache.
const ARENA: usize = 32 * 1024;

/// The same where the rows of one channel are more.
const MOST_ARENA: usize = 1 << 20;

/// Cells of a row that are laid out at a time.
const MOST_LAID: usize = 1 << 16;

/// Taps of a kernel row, and kernel rows of a block of result rows, at a time.
const MOST_TAPS: usize = 4096;

/// Largest stride along the innermost axis of a gradient of the input: of a range, each phase has two tiles.
pub(super) const MOST_STRIDE: i64 = 64;

/// Multiply-accumulates below which starting a task costs more than it brings.
const TASK_MACS: usize = 64 * 1024;

/// Cells of a block of rows for which a block of weights, once loaded, is used.
const BLOCK_CELLS: usize = 64;

/// What follows from the extents alone.
#[derive(Debug)]
pub(super) struct Gather {
    geometry: Geometry,
    /// Channels of the result and of the source in a group.
    channels: [usize; 2],
    /// Spatial extents of the result and of the source.
    extents: [[usize; 3]; 2],
    /// Cells of a row in a task.
    cells: usize,
    /// Taps of a kernel row at a time.
    taps: usize,
    /// Cells of a source row as it is laid out, at most.
    laid: usize,
    /// Tiles of a range, at most.
    tiles: usize,
    /// Kernel rows of a result row at a time.
    pairs: usize,
    /// Source channels whose products are added one after the other. Like all that cuts sums into blocks it does not depend on
    /// the number of threads.
    block_channels: usize,
    /// The layout of rows, if all tasks share one.
    layout: Option<RowLayout>,
}

/// How much a task takes.
#[derive(Clone, Copy, Debug)]
struct GatherSizes {
    channels: usize,
    rows: usize,
    /// Source rows of a channel that are laid out at a time, at most.
    slots: usize,
}

/// Everything that the tasks share.
struct GatherRun<'a, T> {
    gather: &'a Gather,
    sizes: GatherSizes,
    rows: Rows<'a>,
    source: &'a [T],
    weight: &'a [T],
    packed: Option<PackedFilters<T>>,
    /// Result channels summed side by side.
    block: usize,
    /// Products added one after the other.
    sum_block: usize,
    constant: T,
    /// The source rows of all result rows, if all tasks share them.
    sources: Option<Sources>,
    finish: &'a Finish<'a, T>,
}

/// A part of the result.
struct GatherTask<'r, T> {
    image: usize,
    group: usize,
    channels: Range<usize>,
    rows: Range<usize>,
    cells: Range<usize>,
    /// One slice per channel, or of parts of rows one per channel and row.
    out: Vec<&'r mut [T]>,
}

/// Memory of a thread.
#[derive(Debug)]
struct GatherScratch<T> {
    arena: Vec<T>,
    sums: Vec<Lanes<T>>,
    totals: Vec<Lanes<T>>,
}

impl Gather {
    pub(super) fn new(geometry: Geometry) -> Self {
        let forward = geometry.direction == Direction::Forward;
        let (mut channels, mut extents) = ([geometry.q, geometry.c], [geometry.output(), geometry.input()]);
        if !forward {
            channels.reverse();
            extents.reverse();
        }
        let line = geometry.lines[2];
        // Rows that many result rows read are laid out for several of these at once.
        let range = (ARENA / (2 * geometry.kernel_rows())).clamp(ROW_RANGE / 8, ROW_RANGE);
        let cells = extents[0][2].min(range);
        let mut taps = line.kernel.min(MOST_TAPS);
        while taps > 1 && laid(&line, forward, cells, taps) > MOST_LAID {
            taps /= 2;
        }
        let phases = if forward { 1 } else { cells.min(to_usize(line.stride.unsigned_abs())) };
        let mut gather = Self {
            channels,
            extents,
            cells,
            taps,
            laid: laid(&line, forward, cells, taps) + MARGIN * (taps + 1),
            tiles: cells.div_ceil(LANES) + phases,
            pairs: 0,
            block_channels: 0,
            layout: None,
            geometry,
        };
        if cells == extents[0][2] && taps == line.kernel {
            let layout = gather.lay_out(0..cells, 0..taps);
            (gather.laid, gather.tiles, gather.layout) = (layout.len, layout.tiles.len(), Some(layout));
        }
        let mut pairs = gather.geometry.kernel_rows().min(MOST_TAPS);
        while pairs > 1 && gather.slots(1, pairs) * gather.laid > MOST_ARENA {
            pairs = pairs.div_ceil(2);
        }
        gather.pairs = pairs;
        let block = gather.sum_block() / (taps * pairs).max(1);
        gather.block_channels = block
            .min(ARENA / (gather.laid * gather.slots(1, pairs)).max(1))
            .clamp(1, gather.channels[1].max(1));
        gather
    }

    /// Source rows of a channel that so many result rows read through so many kernel rows each, at most.
    fn slots(&self, rows: usize, pairs: usize) -> usize {
        // One is of the boundary's constant.
        (rows * pairs).min(self.extents[1][0] * self.extents[1][1] + 1)
    }

    fn lay_out(&self, cells: Range<usize>, taps: Range<usize>) -> RowLayout {
        let line = &self.geometry.lines[2];
        match self.geometry.direction {
            Direction::Forward => RowLayout::forward(line, self.geometry.boundary, cells, taps),
            _ => RowLayout::transposed(line, cells, taps),
        }
    }

    /// The taps of a kernel row that count for any of these cells.
    fn taps_of(&self, cells: &Range<usize>) -> Range<usize> {
        let line = &self.geometry.lines[2];
        let [first, last] = [cells.start, cells.end - 1].map(|cell| cell as i64);
        // Padded coordinates of tap 0, and the cells beyond which a tap reads nothing.
        let (least, most) = match self.geometry.direction {
            Direction::Forward if self.geometry.boundary == Boundary::Zero => {
                (line.begin - last * line.stride, line.begin + line.input as i64 - 1 - first * line.stride)
            }
            Direction::Forward => return 0..line.kernel,
            _ => (first + line.begin - (line.output as i64 - 1) * line.stride, last + line.begin),
        };
        let bound = |k: i64| index(k.clamp(0, line.kernel as i64));
        let start = bound(div_ceil(least, line.dilation));
        start..bound(most.div_euclid(line.dilation) + 1).max(start)
    }

    /// Result channels that `T` sums side by side.
    fn block<T: Real>(&self) -> usize {
        T::CHANNEL_BLOCK.min(self.channels[0].next_power_of_two())
    }

    /// Enough tasks for all threads, none too small.
    fn sizes(&self, block: usize) -> GatherSizes {
        let planes = self.geometry.n * self.geometry.groups;
        let [channels, sources] = self.channels;
        let [depth, height, width] = self.extents[0];
        let (rows, wanted) = (depth * height, 4 * rayon::current_num_threads());
        let row_macs = width.saturating_mul(channels * sources).saturating_mul(self.geometry.taps()).max(1);
        let mut task_rows = 1;
        let kernel_rows = self.geometry.kernel_rows();
        if self.pairs == kernel_rows {
            let enough = BLOCK_CELLS.div_ceil(width).max(TASK_MACS / row_macs);
            // A cell that is laid out has so many products: a quarter of as many are laid out.
            let uses = self.geometry.taps().saturating_mul(channels).saturating_sub(4).max(1);
            let enough = enough.max((4 * kernel_rows).div_ceil(uses).min(kernel_rows));
            task_rows =
                enough.min((planes * rows).div_ceil(wanted)).min(MOST_TAPS / self.pairs).clamp(1, rows);
        }
        while task_rows > 1 && self.slots(task_rows, self.pairs) * self.laid * self.block_channels > 4 * ARENA
        {
            task_rows /= 2;
        }
        let pieces = rows.div_ceil(task_rows) * width.div_ceil(self.cells);
        let parts = wanted.div_ceil(planes * pieces).min(channels.div_ceil(block));
        let channels = channels.div_ceil(parts).next_multiple_of(block);
        GatherSizes { channels, rows: task_rows, slots: self.slots(task_rows, self.pairs) }
    }

    /// Channels of source rows that are laid out at a time.
    fn at_once(&self, per_channel: usize) -> usize {
        let fitting = (ARENA / per_channel.max(1)).min(self.channels[1]) / self.block_channels;
        fitting.max(1) * self.block_channels
    }

    /// Elements of laid out rows, and of sums in tiles, of a thread.
    fn scratch(&self, sizes: GatherSizes, block: usize) -> [usize; 2] {
        let channel = sizes.slots * self.laid;
        // Of fewer rows more channels are taken.
        let all = channel * self.channels[1].next_multiple_of(self.block_channels);
        let arena = all.min(ARENA.max(channel * self.block_channels));
        let channels = sizes.channels.min(self.channels[0]).next_multiple_of(block);
        [arena, channels * sizes.rows * self.tiles]
    }

    /// Tasks of an image and group.
    fn tasks(&self, sizes: GatherSizes) -> usize {
        let [depth, height, width] = self.extents[0];
        self.channels[0].div_ceil(sizes.channels)
            * (depth * height).div_ceil(sizes.rows)
            * width.div_ceil(self.cells)
    }

    /// Elements that a run allocates beside the result.
    pub(super) fn scratch_elements<T: Real>(&self) -> u64 {
        // Weights per position, or such that are not finite, are not packed.
        let plain = self.scratch_elements_of::<T>(1);
        if self.geometry.unshared {
            plain
        } else {
            plain.max(self.scratch_elements_of::<T>(self.block::<T>()))
        }
    }

    fn scratch_elements_of<T: Real>(&self, block: usize) -> u64 {
        let sizes = self.sizes(block);
        let threads = threads(self.geometry.n * self.geometry.groups * self.tasks(sizes));
        let [arena, sums] = self.scratch(sizes, block);
        let sums = sums * LANES * (1 + usize::from(self.has_totals()));
        // Lists of the tasks of an image and group, and of their slices.
        let [depth, height, width] = self.extents[0];
        let parts = if self.cells < width {
            depth * height * width.div_ceil(self.cells)
        } else {
            depth * height / sizes.rows + 1
        };
        let slices = self.channels[0].saturating_mul(parts).saturating_mul(16);
        let lists = slices.saturating_add(self.tasks(sizes).saturating_mul(256)) / size_of::<T>();
        let at_once = threads.min(self.geometry.n * self.geometry.groups);
        (self.packed_elements(block) as u64)
            .saturating_add((threads * (arena + sums)) as u64)
            .saturating_add((at_once.saturating_mul(lists)) as u64)
    }

    fn packed_elements(&self, block: usize) -> usize {
        if self.geometry.unshared {
            return 0;
        }
        let [result, source] = self.channels;
        self.geometry.groups * result.next_multiple_of(block) * source * self.geometry.taps()
    }

    fn sum_block(&self) -> usize {
        tile::block_of(self.geometry.terms)
    }

    /// Whether blocks are so many that their sums are in turn added up in blocks.
    fn has_totals(&self) -> bool {
        let parts = self.geometry.lines[2].kernel.div_ceil(self.taps)
            * self.geometry.kernel_rows().div_ceil(self.pairs);
        self.channels[1].div_ceil(self.block_channels).saturating_mul(parts) > self.sum_block()
    }

    /// Adds the sums to `result`, which is all zeros, and finishes them.
    pub(super) fn run<T: Real>(
        &self,
        source: &[T],
        weight: &[T],
        result: &mut [T],
        finish: &Finish<'_, T>,
    ) -> Result<(), OutOfMemory> {
        let geometry = &self.geometry;
        let plain = geometry.unshared || !all_finite(weight);
        let block = if plain { 1 } else { self.block::<T>() };
        let sizes = self.sizes(block);
        let mut run = GatherRun {
            gather: self,
            sizes,
            rows: match geometry.direction {
                Direction::Forward => Rows::forward(geometry),
                _ => Rows::transposed(geometry),
            },
            source,
            weight,
            packed: if plain { None } else { Some(self.pack(block, weight)?) },
            block,
            sum_block: self.sum_block(),
            constant: T::from_f64(geometry.boundary.fill()),
            sources: None,
            finish,
        };
        let of_plane = self.extents[0][0] * self.extents[0][1];
        if sizes.rows == of_plane && self.pairs == geometry.kernel_rows() {
            run.sources = Some(Sources::new(&run.rows, 0..of_plane, 0..self.pairs));
        }
        let planes = geometry.n * geometry.groups;
        let [arena, sums] = self.scratch(sizes, block);
        let totals = if self.has_totals() { sums } else { 0 };
        let pool = ScratchPool::new(planes * self.tasks(sizes), || {
            let what = "rows laid out anew and their sums";
            Ok(GatherScratch {
                arena: room(what, arena)?,
                sums: room(what, sums)?,
                totals: room(what, totals)?,
            })
        })?;
        let plane = self.channels[0] * self.extents[0].iter().product::<usize>();
        // The tasks of an image and group are there while it is computed: there may be as many as cells. Small ones are taken
        // together.
        let wanted = 4 * rayon::current_num_threads();
        let macs = plane.saturating_mul(self.channels[1]).saturating_mul(geometry.taps()).max(1);
        let batch = (TASK_MACS / macs).clamp(1, planes.div_ceil(wanted));
        result.par_chunks_mut(plane * batch).enumerate().for_each(|(at, result)| {
            if planes < wanted {
                let tasks = run.cut(at, result);
                tasks.into_par_iter().for_each(|task| pool.with(|scratch| run.task(task, scratch)));
            } else {
                pool.with(|scratch| {
                    for (i, result) in result.chunks_mut(plane).enumerate() {
                        for task in run.cut(at * batch + i, result) {
                            run.task(task, scratch);
                        }
                    }
                });
            }
        });
        Ok(())
    }

    fn pack<T: Real>(&self, block: usize, weight: &[T]) -> Result<PackedFilters<T>, OutOfMemory> {
        let (geometry, channels) = (&self.geometry, self.channels);
        let (blocks, taps) = (channels[0].div_ceil(block), geometry.taps());
        PackedFilters::new([geometry.groups * blocks, channels[1], taps, block], |at, source, tap, lane| {
            let (group, channel) = (at / blocks, at % blocks * block + lane);
            let (q, c) = match geometry.direction {
                Direction::Forward => (channel, source),
                _ => (source, channel),
            };
            let filter = (group * geometry.q + q) * geometry.c + c;
            (channel < channels[0]).then(|| weight[filter * taps + geometry.filter_index(tap)])
        })
    }
}

/// Cells of a source row that so many taps read for so many cells, at most.
pub(super) fn laid(line: &Line, forward: bool, cells: usize, taps: usize) -> usize {
    let (cells, taps) = (cells as u64, taps as u64);
    let (stride, dilation) = (line.stride.unsigned_abs(), line.dilation.unsigned_abs());
    let apart = (taps - 1).saturating_mul(dilation);
    let all = if forward {
        let span = (cells - 1).saturating_mul(stride).saturating_add(apart).saturating_add(1);
        span.min(cells * taps)
    } else {
        ((cells.saturating_add(apart)) / stride + 2)
            .min((cells / stride + 2) * taps)
            .min(line.output as u64 * taps)
    };
    usize::try_from(all).unwrap_or(usize::MAX)
}

impl<T: Real> GatherRun<'_, T> {
    /// Cuts what one image and group has of the result into tasks.
    fn cut<'r>(&self, at: usize, result: &'r mut [T]) -> Vec<GatherTask<'r, T>> {
        let Gather { geometry, channels: [channels, _], extents, cells: task_cells, .. } = self.gather;
        let (image, group) = (at / geometry.groups, at % geometry.groups);
        let [depth, height, width] = extents[0];
        let rows = depth * height;
        let GatherSizes { channels: task_channels, rows: task_rows, .. } = self.sizes;
        let mut tasks = Vec::with_capacity(self.gather.tasks(self.sizes));
        for channels in ranges(*channels, task_channels) {
            for rows in ranges(rows, task_rows) {
                for cells in ranges(width, *task_cells) {
                    let (channels, rows) = (channels.clone(), rows.clone());
                    let out = Vec::with_capacity(channels.len());
                    tasks.push(GatherTask { image, group, channels, rows, cells, out });
                }
            }
        }
        let (pieces, of_row) =
            (rows.div_ceil(task_rows) * width.div_ceil(*task_cells), width.div_ceil(*task_cells));
        for (channel, values) in result.chunks_mut(rows * width).enumerate() {
            let first = channel / task_channels * pieces;
            for (block, values) in values.chunks_mut(task_rows * width).enumerate() {
                let tasks = &mut tasks[first + block * of_row..][..of_row];
                if let [task] = tasks {
                    task.out.push(values);
                    continue;
                }
                // Parts of rows lie apart.
                for values in values.chunks_mut(width) {
                    for (task, out) in tasks.iter_mut().zip(values.chunks_mut(*task_cells)) {
                        task.out.push(out);
                    }
                }
            }
        }
        tasks
    }

    fn task(&self, task: GatherTask<'_, T>, scratch: &mut GatherScratch<T>) {
        let Gather { channels: [_, sources], taps, pairs, block_channels, .. } = self.gather;
        let blocks = task.channels.len().div_ceil(self.block);
        let (mut own, mut added) = (None, 0);
        scratch.sums.clear();
        scratch.totals.clear();
        let counting = match &self.gather.layout {
            Some(_) => 0..1,
            None => self.gather.taps_of(&task.cells),
        };
        // A row of a tall kernel's result may read few of its rows. Once at least: what is the sum of nothing is stored too.
        let most = task.rows.clone().map(|row| self.rows.kernel_rows(row).count()).max().unwrap_or(0).max(1);
        for part in ranges(counting.len().max(1), *taps) {
            let layout = match &self.gather.layout {
                Some(layout) => layout,
                None => {
                    let taps = counting.start + part.start..counting.end.min(counting.start + part.end);
                    own.insert(self.gather.lay_out(task.cells.clone(), taps))
                }
            };
            // Whatever the taps, the tiles are the same.
            let tiles = blocks * self.block * task.rows.len() * layout.tiles.len();
            scratch.sums.resize(tiles, [T::default(); LANES]);
            for pairs in ranges(most, *pairs) {
                let own;
                let rows = match &self.sources {
                    Some(sources) => sources,
                    None => {
                        own = Sources::new(&self.rows, task.rows.clone(), pairs);
                        &own
                    }
                };
                let per_channel = rows.rows.len() * layout.len;
                for channels in ranges(*sources, block_channels.saturating_mul(self.sum_block)) {
                    let blocks = channels.len().div_ceil(*block_channels);
                    if added + blocks > self.sum_block {
                        scratch.add_up();
                        added = 0;
                    }
                    added += blocks;
                    // Without source rows nothing is added.
                    if per_channel == 0 {
                        continue;
                    }
                    let GatherScratch { arena, sums, .. } = scratch;
                    for part in ranges(channels.len(), self.gather.at_once(per_channel)) {
                        let channels = channels.start + part.start..channels.start + part.end;
                        arena.clear();
                        arena.resize(per_channel * channels.len(), T::default());
                        self.fill(&task, rows, layout, channels.clone(), arena);
                        self.add(&task, rows, layout, channels.start, arena, sums);
                    }
                }
            }
        }
        if !scratch.totals.is_empty() {
            scratch.add_up();
            std::mem::swap(&mut scratch.sums, &mut scratch.totals);
        }
        if let Some(layout) = own.as_ref().or(self.gather.layout.as_ref()) {
            self.store(task, layout, &scratch.sums);
        }
    }

    /// Lays out the source rows of `channels`.
    fn fill(
        &self,
        task: &GatherTask<'_, T>,
        sources: &Sources,
        layout: &RowLayout,
        channels: Range<usize>,
        arena: &mut [T],
    ) {
        let [depth, height, width] = self.gather.extents[1];
        let first = (task.image * self.gather.geometry.groups + task.group) * self.gather.channels[1];
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
        task: &GatherTask<'_, T>,
        sources: &Sources,
        layout: &RowLayout,
        first: usize,
        arena: &[T],
        sums: &mut [Lanes<T>],
    ) {
        let (slots, channels) = (sources.rows.len(), self.gather.block_channels);
        let mut sums = sums.chunks_exact_mut(self.block);
        for channel in task.channels.clone().step_by(self.block) {
            for row in 0..task.rows.len() {
                let pairs = sources.pairs(row);
                for (tile, sums) in layout.tiles.iter().zip(&mut sums) {
                    let window =
                        TileReads { arena, slots, layout, pairs, tile, block: self.sum_block, channels };
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
        task: &GatherTask<'_, T>,
        packed: &PackedFilters<T>,
        channel: usize,
        first: usize,
        window: TileReads<'_, T>,
        sums: &mut [Lanes<T>],
    ) {
        let block = task.group * self.gather.channels[0].div_ceil(self.block) + channel / self.block;
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
        let geometry = &self.gather.geometry;
        let Geometry { c, q, unshared, flip, .. } = *geometry;
        let [depth, height, width] = geometry.output();
        let taps = geometry.taps();
        let positions = if unshared { depth * height * width } else { 1 };
        let (per_input, per_output) = (taps, positions * c * taps);
        let [result, source] = match geometry.direction {
            Direction::Forward => [per_output, per_input],
            _ => [per_input, per_output],
        };
        let from = group * q * per_output + channel * result + first * source;
        (from, Strides { source, position: if unshared { c * taps } else { 0 }, row: width, taps, flip })
    }

    /// Adds the sums to their cells, in the order of the tiles, and finishes them.
    fn store(&self, task: GatherTask<'_, T>, layout: &RowLayout, sums: &[Lanes<T>]) {
        let Gather { geometry, channels: [channels, _], extents, .. } = self.gather;
        let [depth, height, width] = extents[0];
        let (rows, tiles) = (task.rows.len(), layout.tiles.len());
        let channel = task.group * channels + task.channels.start;
        let slices = task.out.len() / task.channels.len();
        for (at, out) in task.out.into_iter().enumerate() {
            steps::count(1 + out.len());
            let (i, row) = (at / slices, at % slices);
            let first = ((i / self.block * rows + row) * tiles) * self.block + i % self.block;
            let mut sums = sums.iter().skip(first).step_by(self.block);
            for out in out.chunks_mut(task.cells.len()) {
                for (tile, sums) in layout.tiles.iter().zip(&mut sums) {
                    for (&cell, sum) in layout.cells[tile.cells.clone()].iter().zip(sums) {
                        out[cell] = *sum;
                    }
                }
            }
            let plane = (task.image * geometry.groups * channels + channel + i) * depth * height * width;
            let first = plane + (task.rows.start + row) * width + task.cells.start;
            self.finish.apply(out, first, channel + i);
        }
    }
}

impl<T: Real> GatherScratch<T> {
    /// Adds the sums to the totals, and begins anew.
    fn add_up(&mut self) {
        self.totals.resize(self.sums.len(), [T::default(); LANES]);
        for (totals, sums) in self.totals.iter_mut().zip(&mut self.sums) {
            for (total, sum) in totals.iter_mut().zip(sums) {
                *total += std::mem::take(sum);
            }
        }
    }
}

/// `0..len` in ranges of `step`.
pub(super) fn ranges(len: usize, step: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len).step_by(step).map(move |start| start..len.min(start + step))
}
