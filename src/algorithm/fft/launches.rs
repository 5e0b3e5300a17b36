//! The launches of a problem's transforms and products.

use super::config::{self, FftConfig, FftWork};
use super::geometry::DenseLine;
use super::memory::{FftSizes, Matrices, is_product};
use super::{
    AxisSpec, Buffer, Cannot, ConvProblem, Direction, Lines, Padded, Roles, Table, Target, count, is_split,
    table,
};
use crate::algorithm::shared::{
    bind, bind_sums, bind_tensor, epilogue_bindings, first, set_epilogue, single, tensor, word,
};
use crate::kernel::fft::{FftAxisParams, FftForwardParams, FftGemmParams, FftInverseParams};
use crate::kernel::{Kernel, Params, Spec};
use crate::problem::to_usize;
use crate::program::{Binding, Grid, Launch};

/// What the launches of a problem are made from.
pub(super) struct FftLaunches<'a> {
    problem: &'a ConvProblem,
    target: &'a Target,
    roles: &'a Roles,
    padded: Option<&'a Padded>,
    config: &'a FftConfig,
    sizes: &'a FftSizes,
    tables: &'a [Table],
    /// Frequencies of a block.
    bins: u64,
    /// Elements that are written before a fold; `None`: the result is written at once.
    folded: Option<u64>,
    places: FftBuffers,
}

/// Which buffer holds what.
#[derive(Clone, Copy)]
struct FftBuffers {
    sums: Buffer,
    padded: Buffer,
    windows: Buffer,
    results: Buffer,
    factors: Buffer,
}

/// Spectra in memory: where, and how many rows and pairs of columns at a frequency.
#[derive(Clone, Copy)]
struct MatrixSpectra {
    binding: Binding,
    rows: u64,
    pairs: u64,
}

/// Tiles of one tensor, to be transformed.
struct TileSource<'a> {
    part: [&'a DenseLine; 3],
    /// Whether they are the factors.
    is_factor: bool,
    /// The first that is summed over, and the first column.
    first: [u64; 2],
    /// Columns in all.
    columns: u64,
}

impl<'a> FftLaunches<'a> {
    /// For a result that is folded afterwards or not, and of so many elements before.
    pub(super) fn new(
        problem: &'a ConvProblem,
        target: &'a Target,
        (roles, padded): (&'a Roles, Option<&'a Padded>),
        config: &'a FftConfig,
        (sizes, folded, size): (&'a FftSizes, bool, u64),
        tables: &'a [Table],
    ) -> Self {
        let mut next = 0;
        let mut place = |is_there: bool, otherwise: Buffer| {
            next += usize::from(is_there);
            if is_there { Buffer::Workspace(next - 1) } else { otherwise }
        };
        let sums = place(folded, Buffer::Result);
        let padded_place = place(padded.is_some(), Buffer::Input);
        let windows = place(sizes.windows > 0, Buffer::Table(table::BLOCK));
        let results = place(sizes.results > 0, windows);
        let per_run = problem.direction() == Direction::GradWeight && sizes.factors > 0;
        let factors = place(per_run, Buffer::Prepared);
        let places = FftBuffers { sums, padded: padded_place, windows, results, factors };
        let bins = super::bins(config.block).len() as u64;
        let folded = folded.then_some(size);
        Self { problem, target, roles, padded, config, sizes, tables, bins, folded, places }
    }

    /// Bytes of the scratch buffers, in the order of their places.
    pub(super) fn workspace(&self) -> Vec<u64> {
        let FftSizes { windows, factors, results, copies, padded, .. } = *self.sizes;
        let factors = if self.places.factors == Buffer::Prepared { 0 } else { factors };
        [copies, padded, windows, results, factors].into_iter().filter(|&bytes| bytes > 0).collect()
    }

    /// What prepares the weights, with how many bytes they are then, and what runs.
    pub(super) fn program(
        &self,
        lines: &Lines,
        work: &FftWork,
    ) -> Result<(Vec<Launch>, u64, Vec<Launch>), Cannot> {
        let (mut prepare, mut launches) = (Vec::new(), Vec::from_iter(self.padding()?));
        let mut prepared = 0;
        for part in &lines.parts() {
            let matrices = Matrices::new(part, work, self.config);
            if work.tiles_summed {
                launches.extend(self.summed(part, &matrices, work)?);
                continue;
            }
            let binding = Binding { buffer: self.places.factors, offset: prepared, size: self.sizes.factors };
            let factors = MatrixSpectra { binding, rows: matrices.summed, pairs: work.channels.div_ceil(2) };
            if matrices.summed > 0 {
                prepare.extend(self.spectra(&factor(part, 0, work.channels), factors, &matrices)?);
                // Bindings begin at multiples of 256 bytes.
                prepared += self.sizes.factors.next_multiple_of(256);
            }
            for first in (0..matrices.columns).step_by(to_usize(self.sizes.columns.max(1))) {
                launches.extend(self.block(part, &matrices, work, factors, first)?);
            }
        }
        Ok((prepare, prepared, launches))
    }

    /// Some columns: their windows, products, and cells of the result.
    fn block(
        &self,
        part: &[DenseLine; 3],
        matrices: &Matrices,
        work: &FftWork,
        factors: MatrixSpectra,
        first: u64,
    ) -> Result<Vec<Launch>, Cannot> {
        let pairs = (matrices.columns - first).min(self.sizes.columns).div_ceil(2);
        let windows = self.at(self.places.windows, matrices.summed, pairs);
        let results = self.at(self.places.results, work.channels, pairs);
        let source = TileSource {
            part: part.each_ref(),
            is_factor: false,
            first: [0, first],
            columns: matrices.columns,
        };
        let mut launches = Vec::new();
        if matrices.summed > 0 {
            launches.extend(self.spectra(&source, windows, matrices)?);
        }
        let product = is_product(work).then_some((windows, factors));
        if product.is_none() {
            launches.push(self.multiply(windows, factors, results, false)?);
        }
        launches.extend(self.back(part, matrices, work, product, results, first)?);
        Ok(launches)
    }

    /// The gradient by the weight: products of tiles, added up, and one transform back.
    fn summed(
        &self,
        part: &[DenseLine; 3],
        matrices: &Matrices,
        work: &FftWork,
    ) -> Result<Vec<Launch>, Cannot> {
        let pairs = matrices.columns.div_ceil(2);
        let results = self.at(self.places.results, work.channels, pairs);
        let mut launches = Vec::new();
        for first in (0..matrices.summed.max(1)).step_by(to_usize(self.sizes.summed.max(1))) {
            let rows = (matrices.summed - first.min(matrices.summed)).min(self.sizes.summed);
            let windows = self.at(self.places.windows, rows, pairs);
            let factors = self.at(self.places.factors, rows, work.channels.div_ceil(2));
            if rows > 0 {
                let source = TileSource {
                    part: part.each_ref(),
                    is_factor: false,
                    first: [first, 0],
                    columns: matrices.columns,
                };
                launches.extend(self.spectra(&source, windows, matrices)?);
                launches.extend(self.spectra(&factor(part, first, work.channels), factors, matrices)?);
            }
            launches.push(self.multiply(windows, factors, results, first > 0)?);
        }
        launches.extend(self.back(part, matrices, work, None, results, 0)?);
        Ok(launches)
    }

    /// Spectra of these rows and pairs at the beginning of a buffer.
    fn at(&self, buffer: Buffer, rows: u64, pairs: u64) -> MatrixSpectra {
        let binding = Binding { buffer, offset: 0, size: self.sizes.bins * rows * pairs * 16 };
        MatrixSpectra { binding, rows, pairs }
    }

    fn table(&self, index: usize) -> Binding {
        bind(&self.tables[index], index, Buffer::Table(index), 0)
    }

    /// The tensor that windows are gathered from, with its first element.
    fn gathered(&self) -> (Binding, u64) {
        let (problem, from) = (self.problem, self.roles.a.0);
        match self.padded {
            Some(_) => (Binding { buffer: self.places.padded, offset: 0, size: self.sizes.padded }, 0),
            None => (
                bind_tensor(problem, &self.tables[table::BLOCK], table::BLOCK, from),
                first(problem, tensor(problem, from)),
            ),
        }
    }

    /// The launch that writes the input with its padding.
    fn padding(&self) -> Result<Option<Launch>, Cannot> {
        let Some(padded) = self.padded else { return Ok(None) };
        let there = bind_tensor(self.problem, &self.tables[table::BLOCK], table::BLOCK, self.roles.a.0);
        let bindings = [there, self.table(table::TAPS), self.table(table::BOUNDARY), self.gathered().0];
        padded.launch(self.problem, self.target, bindings).map(Some)
    }

    /// Transforms tiles into spectra.
    fn spectra(
        &self,
        source: &TileSource<'_>,
        to: MatrixSpectra,
        matrices: &Matrices,
    ) -> Result<Vec<Launch>, Cannot> {
        let mut launches = vec![self.forward(source, to, matrices)?];
        for axis in self.outer_axes() {
            launches.push(self.through_memory(axis, to, None, false)?);
        }
        Ok(launches)
    }

    fn forward(
        &self,
        source: &TileSource<'_>,
        to: MatrixSpectra,
        matrices: &Matrices,
    ) -> Result<Launch, Cannot> {
        let Self { problem, roles, config, .. } = self;
        let tiles_summed = problem.direction() == Direction::GradWeight;
        let lengths = config.lengths();
        let tiling: [_; 3] = std::array::from_fn(|i| source.part[i].tiling(lengths[i], tiles_summed));
        let four = |of: &dyn Fn(usize) -> u32| [of(0), of(1), of(2), 0];
        let lines = source.part;
        let tiles = matrices.all_tiles();
        let (of_rows, of_columns) = (if tiles_summed { tiles } else { 1 }, matrices.of_image);
        let mut block = FftForwardParams {
            outer: self.outer(),
            matrix: [to.rows, to.pairs, source.columns, self.bins].map(count),
            chunk: [source.first[0], source.first[1], of_rows, of_columns].map(count),
            tiles: self.tiles(matrices),
            ..FftForwardParams::default()
        };
        let tensor = if source.is_factor {
            // Of a convolution all taps are one tile, which every tile of the windows meets.
            block.extent = four(&|i| count(lines[i].taps));
            block.step = [1, 1, 1, 0];
            block.hop = four(&|i| if tiles_summed { count(tiling[i].hop) } else { 0 });
            block.limit = four(&|i| count(if tiles_summed { tiling[i].hop } else { lengths[i] }));
            block.stride = four(&|i| word(lines[i].b_stride));
            let (b, [group, channel, summed]) = roles.b;
            if !tiles_summed {
                (block.tiles, block.chunk[3]) = ([1; 4], 1);
            }
            let begin = first(problem, tensor(problem, b)) as i64;
            let begin = lines.iter().map(|line| line.b_first).fold(begin, i64::wrapping_add);
            block.base = [word(begin), count(summed), count(channel), count(group)];
            bind_tensor(problem, &self.tables[table::BLOCK], table::BLOCK, b)
        } else {
            block.extent = four(&|i| count(lines[i].visited()));
            block.step = four(&|i| count(lines[i].step));
            block.begin = four(&|i| word(lines[i].begin));
            block.hop = four(&|i| count(tiling[i].hop * lines[i].step));
            block.limit = four(&|i| count(lengths[i] * lines[i].step));
            block.stride = four(&|i| count(lines[i].a_stride));
            let [image, group, summed] = roles.a.1;
            let (tensor, first) = self.gathered();
            block.base = [first, summed, image, group].map(count);
            tensor
        };
        let pairs = to.rows * to.pairs;
        let (grid, workgroups, of_slice) = self.grid(pairs)?;
        // Weights are prepared as they are: their spectra are no larger than their sums.
        let exponent = if source.is_factor && !tiles_summed { 0 } else { self.config.headroom() };
        block.counts = [workgroups, of_slice, pairs, 0].map(count);
        block.counts[3] = single(0.5f64.powi(exponent)).to_bits();
        Ok(Launch {
            kernel: Kernel::FftForward,
            spec: config.block.into(),
            params: Params::FftForward(block),
            bindings: vec![tensor, self.table(table::BLOCK), to.binding],
            grid,
        })
    }

    /// Workgroups for so many pairs of every slice and group: as a grid, in all, of one slice.
    fn grid(&self, pairs: u64) -> Result<(Grid, u64, u64), Cannot> {
        let block = self.config.block;
        let of_slice = pairs.div_ceil(block.pairs().into());
        let workgroups =
            [self.config.slices(), self.roles.groups].into_iter().fold(of_slice, u64::saturating_mul);
        Ok((self.workgroups(workgroups, block.invocations())?, workgroups, of_slice))
    }

    fn workgroups(&self, workgroups: u64, of: u32) -> Result<Grid, Cannot> {
        let invocations = workgroups.saturating_mul(of.into());
        Grid::linear(invocations, of, &self.target.limits).ok_or(Cannot::GridTooLarge { invocations })
    }

    fn outer(&self) -> [u32; 4] {
        let [z, y, x] = self.config.outer;
        [z, y, x, count(self.config.slices())]
    }

    fn tiles(&self, matrices: &Matrices) -> [u32; 4] {
        let [z, y, x] = matrices.tiles;
        [z, y, x, matrices.all_tiles()].map(count)
    }

    fn outer_axes(&self) -> impl Iterator<Item = usize> {
        let outer = self.config.outer;
        (0..3).filter(move |&axis| outer[axis] > 1)
    }

    /// The transform along one axis through memory, in place or of a product.
    fn through_memory(
        &self,
        axis: usize,
        at: MatrixSpectra,
        product: Option<(MatrixSpectra, MatrixSpectra)>,
        inverse: bool,
    ) -> Result<Launch, Cannot> {
        let outer = self.config.outer.map(u64::from);
        let [before, after] = [&outer[..axis], &outer[axis + 1..]].map(|axes| axes.iter().product::<u64>());
        let spec = AxisSpec { length: self.config.outer[axis], product: product.is_some() };
        let inner = at.rows * at.pairs * 2;
        let lines = self.roles.groups * self.bins * before;
        let of_line = (after * inner).div_ceil(spec.columns().into());
        let workgroups = lines.saturating_mul(of_line);
        let grid = self.workgroups(workgroups, spec.invocations())?;
        // Only the innermost axis is split.
        let twiddled = if is_split(self.config, axis) { self.config.block.0[axis] } else { 0 };
        let none = self.table(table::BLOCK);
        let (a, b) = product.map_or((none, none), |(a, b)| (a.binding, b.binding));
        let pitch = product.map_or([0, 0], |(a, b)| [a.pairs * 2, b.pairs * 2]);
        let block = FftAxisParams {
            counts: [count(workgroups), count(of_line), count(after * inner), twiddled],
            shape: [count(self.bins), count(before), count(after), inverse.into()],
            pitch: [pitch[0], pitch[1], inner, 0].map(count),
        };
        let tables = [table::OUTER + axis, table::TWIDDLES, table::BLOCK].map(|index| self.table(index));
        Ok(Launch {
            kernel: Kernel::FftAxis,
            spec: spec.into(),
            params: Params::FftAxis(block),
            bindings: [&[a, b], tables.as_slice(), &[at.binding]].concat(),
            grid,
        })
    }

    fn multiply(
        &self,
        a: MatrixSpectra,
        b: MatrixSpectra,
        to: MatrixSpectra,
        adds: bool,
    ) -> Result<Launch, Cannot> {
        let tile = config::tile(self.target, to.rows, to.pairs * 2)?;
        let size = u64::from(tile.size);
        let (row_tiles, column_tiles) = (to.rows.div_ceil(size), (to.pairs * 2).div_ceil(size));
        let workgroups = [row_tiles, column_tiles].into_iter().fold(self.sizes.bins, u64::saturating_mul);
        let grid = self.workgroups(workgroups, tile.invocations())?;
        let block = FftGemmParams {
            counts: [workgroups, row_tiles, column_tiles, a.rows].map(count),
            size: [count(to.rows), count(to.pairs), count(b.pairs), adds.into()],
        };
        let none = self.table(table::BLOCK);
        let [a, b] = [a, b].map(|spectra| if a.rows == 0 { none } else { spectra.binding });
        let spec: Spec = tile.into();
        Ok(Launch {
            kernel: Kernel::FftGemm,
            spec,
            params: Params::FftGemm(block),
            bindings: vec![a, b, to.binding],
            grid,
        })
    }

    /// Transforms products back into the result; their spectra are made first where they are not there yet.
    fn back(
        &self,
        part: &[DenseLine; 3],
        matrices: &Matrices,
        work: &FftWork,
        mut product: Option<(MatrixSpectra, MatrixSpectra)>,
        results: MatrixSpectra,
        first_column: u64,
    ) -> Result<Vec<Launch>, Cannot> {
        let mut launches = Vec::new();
        for axis in self.outer_axes() {
            launches.push(self.through_memory(axis, results, product.take(), true)?);
        }
        launches.push(self.inverse(part, matrices, work, (product, results), first_column)?);
        Ok(launches)
    }

    fn inverse(
        &self,
        part: &[DenseLine; 3],
        matrices: &Matrices,
        work: &FftWork,
        (product, results): (Option<(MatrixSpectra, MatrixSpectra)>, MatrixSpectra),
        first_column: u64,
    ) -> Result<Launch, Cannot> {
        let Self { problem, roles, config, .. } = self;
        let lengths = config.lengths();
        let tiling: [_; 3] = std::array::from_fn(|i| part[i].tiling(lengths[i], work.tiles_summed));
        let four = |of: &dyn Fn(usize) -> u32, last: u32| [of(0), of(1), of(2), last];
        let pairs = results.rows * results.pairs;
        let (grid, workgroups, of_slice) = self.grid(pairs)?;
        let is_whole = self.folded.is_none();
        let begin = if is_whole { first(problem, problem.result()) as i64 } else { 0 };
        let begin = part.iter().map(|line| line.r_first).fold(begin, i64::wrapping_add);
        let mut block = FftInverseParams {
            cells: four(&|i| count(part[i].cells), 0),
            per_tile: four(&|i| count(tiling[i].per_tile), 0),
            stride: four(&|i| count(part[i].stride), part.iter().any(|line| line.stride > 1).into()),
            r_stride: four(&|i| word(part[i].r_stride), 0),
            outer: self.outer(),
            tiles: if work.tiles_summed { [1; 4] } else { self.tiles(matrices) },
            matrix: [results.rows, results.pairs, matrices.columns, self.bins].map(count),
            chunk: [count(first_column), count(matrices.of_image), 0, 0],
            counts: [workgroups, of_slice, pairs, 0].map(count),
            base: [word(begin), count(roles.r[0]), count(roles.r[1]), 0],
            scale: [1.0, 0.0, 0.0, 0.0],
            ..FftInverseParams::default()
        };
        if is_whole {
            set_epilogue(problem, &mut block.epilogue, &mut block.scale, &mut block.activation);
        }
        // Spectra are those of twice the samples, of both factors; the transform back has as many points.
        // And what samples were divided by comes back.
        let alpha = if is_whole { problem.epilogue().alpha } else { 1.0 };
        let exponent = config.headroom() * if work.tiles_summed { 2 } else { 1 };
        block.scale[0] = single(alpha * 2f64.powi(exponent) / (4 * config.points()) as f64);
        let [bias, residual] = epilogue_bindings(problem, &self.tables[table::BLOCK], table::BLOCK, is_whole);
        let none = self.table(table::BLOCK);
        let [spectra, factors] = match product {
            Some((windows, factors)) => {
                block.factor = [count(factors.pairs), 0, 0, 1];
                [windows.binding, factors.binding]
            }
            None => [results.binding, none],
        };
        let sums = match self.folded {
            Some(size) => Binding { buffer: self.places.sums, offset: 0, size: size * 4 },
            None => bind_sums(problem, &self.tables[table::TAPS], Buffer::Result, 0),
        };
        Ok(Launch {
            kernel: Kernel::FftInverse,
            spec: config.block.into(),
            params: Params::FftInverse(Box::new(block)),
            bindings: vec![spectra, factors, bias, residual, self.table(table::BLOCK), sums],
            grid,
        })
    }
}

/// The factors from `first` of what is summed over on.
fn factor(part: &[DenseLine; 3], first: u64, channels: u64) -> TileSource<'_> {
    TileSource { part: part.each_ref(), is_factor: true, first: [first, 0], columns: channels }
}
