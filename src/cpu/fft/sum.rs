//! Forward and input gradient: every tile of the result is a sum over channels of products of spectra.

use std::ops::Range;

use rayon::prelude::*;

use super::cells::{OverlapTile, take_filter};
use super::product::{self, Packed, Size, Spectra};
use super::tame::Tame;
use super::transform::{Complex, WantedRows, spectra};
use super::{Fft, Set, Tiles, TransformPool};
use crate::cpu::Real;
use crate::cpu::memory::{OutOfMemory, room, zeros};
use crate::problem::{Boundary, Direction};

/// What all tasks share.
pub(super) struct ChannelSums<'a, T> {
    pub(super) fft: &'a Fft,
    pub(super) pool: TransformPool<'a, T>,
    pub(super) source: &'a [T],
    /// If the source was tamed.
    pub(super) tame: Option<&'a Tame<T>>,
    pub(super) weight: &'a [T],
    /// The spectra of all filters, if they are there.
    pub(super) spectra: Option<&'a [T]>,
}

/// Some filters: channels of the result in one group, or, of one channel each, groups.
#[derive(Clone, Debug)]
struct Filters<'s> {
    set: &'s Set,
    groups: Range<usize>,
    results: Range<usize>,
}

/// A part of one plane of the result, with the tiles that fill it.
struct Band<'r, T> {
    image: usize,
    /// Among all channels of the result.
    channel: usize,
    /// Where in the plane it begins.
    begin: usize,
    tiles: Range<usize>,
    out: &'r mut [T],
}

impl<T: Real> ChannelSums<'_, T> {
    /// All results, which nobody has written to before.
    pub(super) fn run(&self, result: &mut [T]) -> Result<(), OutOfMemory> {
        let Fft { blocks, geometry, .. } = self.fft;
        let [_, results] = self.fft.channels();
        let mut own = Vec::new();
        for set in &self.fft.sets() {
            for groups in ranges(geometry.groups, blocks.groups) {
                for results in ranges(results, blocks.results) {
                    let filters = Filters { set, groups: groups.clone(), results };
                    if self.spectra.is_none() {
                        self.transform_filters(&filters, &mut own)?;
                    }
                    let packed = self.packed(&filters, &own);
                    for tiles in self.fft.tiles(set) {
                        if self.fft.is_single() {
                            self.single(&filters, packed, &tiles, result);
                        } else {
                            self.several(&filters, packed, &tiles, result)?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The spectra of all filters: set by set, group by group.
    pub(super) fn prepare(&self) -> Result<Vec<T>, OutOfMemory> {
        let [columns, results] = self.fft.channels();
        let groups = self.fft.sets().len() * self.fft.geometry.groups;
        let mut all = room("the spectra of the weights", groups * self.fft.packed(results * columns))?;
        let mut own = Vec::new();
        for set in &self.fft.sets() {
            for group in 0..self.fft.geometry.groups {
                let filters = Filters { set, groups: group..group + 1, results: 0..results };
                self.transform_filters(&filters, &mut own)?;
                all.append(&mut own);
            }
        }
        Ok(all)
    }

    /// Where the spectra of these filters are.
    fn packed<'p>(&'p self, filters: &Filters<'_>, own: &'p [T]) -> Packed<'p, T> {
        let [columns, results] = self.fft.channels();
        let Some(all) = self.spectra else {
            return Packed { values: own, rows: filters.results.len(), columns, from: [0; 2] };
        };
        let group = self.fft.packed(results * columns);
        let values = &all[(filters.set.at * self.fft.geometry.groups + filters.groups.start) * group..];
        Packed { values, rows: results, columns, from: [filters.results.start, 0] }
    }

    /// Packs the spectra of these filters into `own`, a part at a time.
    fn transform_filters(&self, filters: &Filters<'_>, own: &mut Vec<T>) -> Result<(), OutOfMemory> {
        let [columns, _] = self.fft.channels();
        let (bins, rows) = (self.fft.bins(), filters.results.len());
        let matrix = self.fft.packed(rows * columns);
        own.clear();
        own.try_reserve_exact(filters.groups.len() * matrix)
            .map_err(|_| OutOfMemory::new::<T>("the spectra of filters", filters.groups.len() * matrix))?;
        own.resize(filters.groups.len() * matrix, T::default());
        let at_once = self.fft.blocks.spectra;
        let some_columns = at_once.min(columns);
        let some_rows = (at_once / some_columns).clamp(1, rows);
        let mut spectra = spectra("the spectra of filters", some_rows * some_columns * bins)?;
        for (group, own) in filters.groups.clone().zip(own.chunks_exact_mut(matrix)) {
            for rows_now in ranges(rows, some_rows) {
                for columns_now in ranges(columns, some_columns) {
                    let count = rows_now.len() * columns_now.len();
                    let spectra = &mut spectra[..count * bins];
                    spectra.par_chunks_mut(bins).enumerate().for_each(|(at, to)| {
                        let result = filters.results.start + rows_now.start + at / columns_now.len();
                        let source = columns_now.start + at % columns_now.len();
                        self.transform_filter(filters.set, group, [source, result], to);
                    });
                    let part = [rows_now.clone(), columns_now];
                    product::pack(Spectra { values: spectra, bins }, part, [rows, columns], own);
                }
            }
        }
        Ok(())
    }

    fn transform_filter(&self, set: &Set, group: usize, [source, result]: [usize; 2], to: &mut [Complex<T>]) {
        let geometry = &self.fft.geometry;
        let (q, c) = match geometry.direction {
            Direction::Forward => (result, source),
            _ => (source, result),
        };
        let filter = (group * geometry.q + q) * geometry.c + c;
        let filter = &self.weight[filter * geometry.taps()..][..geometry.taps()];
        self.pool.with(|work, transform| {
            let tap = |at| self.fft.filter_index(at);
            take_filter(filter, self.fft.taps(set), transform.lengths(), tap, &mut work.cells);
            transform.forward(work);
            to.copy_from_slice(&work.spectrum);
        });
    }

    /// Groups of one channel: there is nothing to sum, so a task does all that a tile needs.
    fn single(&self, filters: &Filters<'_>, packed: Packed<'_, T>, tiles: &Tiles<'_>, result: &mut [T]) {
        let one = self.fft.packed(1);
        let all = 0..self.fft.geometry.n * tiles.count();
        let bands = self.bands(&filters.groups, all, tiles, result);
        bands.into_par_iter().for_each(|mut band| {
            let spectrum = &packed.values[(band.channel - filters.groups.start) * one..][..one];
            self.pool.with(|work, transform| {
                for at in band.tiles.clone() {
                    let tile = tiles.tile(at);
                    self.take(&tile, band.image, band.channel, &mut work.cells);
                    transform.forward(work);
                    product::multiply(&mut work.spectrum, spectrum);
                    transform.inverse(work, wanted(&tile));
                    band.put(&tile, &work.cells, self.fft.scale());
                }
            });
        });
    }

    /// Some tiles at a time: their spectra, products, and back.
    fn several(
        &self,
        filters: &Filters<'_>,
        packed: Packed<'_, T>,
        tiles: &Tiles<'_>,
        result: &mut [T],
    ) -> Result<(), OutOfMemory> {
        let (bins, blocks) = (self.fft.bins(), &self.fft.blocks);
        let [sources, results] = [self.fft.channels()[0], filters.results.len()];
        let group = filters.groups.start;
        let what = "the spectra of tiles";
        let mut spectra = spectra(what, blocks.tiles * blocks.sources * bins)?;
        let mut sums: Vec<T> = zeros(what, self.fft.packed(blocks.tiles * results))?;
        for tiles_now in ranges(self.fft.geometry.n * tiles.count(), blocks.tiles) {
            let count = tiles_now.len();
            let sums = &mut sums[..self.fft.packed(count * results)];
            sums.fill(T::default());
            for sources_now in ranges(sources, blocks.sources) {
                let terms = sources_now.len();
                let spectra = &mut spectra[..count * terms * bins];
                spectra.par_chunks_mut(bins).enumerate().for_each(|(at, to)| {
                    let (image, tile) = tiles.image_and_tile(tiles_now.start + at / terms);
                    let channel = group * sources + sources_now.start + at % terms;
                    self.pool.with(|work, transform| {
                        self.take(&tile, image, channel, &mut work.cells);
                        transform.forward(work);
                        to.copy_from_slice(&work.spectrum);
                    });
                });
                let from = [packed.from[0], sources_now.start];
                let size = Size { left: count, right: results, terms };
                let left = Spectra { values: spectra, bins };
                product::add(left, |row, term| row * terms + term, Packed { from, ..packed }, size, sums);
            }
            let first = group * self.fft.channels()[1] + filters.results.start;
            self.put(first..first + results, tiles_now, tiles, sums, result);
        }
        Ok(())
    }

    /// Brings sums of some tiles, `[block][tile][channel]`, into the result.
    fn put(
        &self,
        channels: Range<usize>,
        tiles_now: Range<usize>,
        tiles: &Tiles<'_>,
        sums: &[T],
        result: &mut [T],
    ) {
        let several = tiles_now.len() * channels.len();
        let bands = self.bands(&channels, tiles_now.clone(), tiles, result);
        bands.into_par_iter().for_each(|mut band| {
            self.pool.with(|work, transform| {
                for at in band.tiles.clone() {
                    let tile = tiles.tile(at);
                    let row = band.image * tiles.count() + at - tiles_now.start;
                    let place = row * channels.len() + band.channel - channels.start;
                    product::unpack(sums, place, several, &mut work.spectrum);
                    transform.inverse(work, wanted(&tile));
                    band.put(&tile, &work.cells, self.fft.scale());
                }
            });
        });
    }

    /// The parts of the result that these tiles fill in these channels.
    fn bands<'r>(
        &self,
        channels: &Range<usize>,
        wanted: Range<usize>,
        tiles: &Tiles<'_>,
        result: &'r mut [T],
    ) -> Vec<Band<'r, T>> {
        let all = self.fft.channels()[1] * self.fft.geometry.groups;
        let plane = self.fft.result_plane();
        let (band, per_band) = tiles.band();
        let images = wanted.start / tiles.count()..wanted.end.div_ceil(tiles.count());
        let mut found = Vec::new();
        for (image, values) in images.clone().zip(result.chunks_mut(all * plane).skip(images.start)) {
            let first = image * tiles.count();
            for (channel, values) in channels.clone().zip(values.chunks_mut(plane).skip(channels.start)) {
                for (at, out) in values.chunks_mut(band).enumerate() {
                    let from = (first + at * per_band).max(wanted.start);
                    let to = (first + ((at + 1) * per_band).min(tiles.count())).min(wanted.end);
                    if from < to {
                        let tiles = from - first..to - first;
                        found.push(Band { image, channel, begin: at * band, tiles, out });
                    }
                }
            }
        }
        found
    }

    fn take(&self, tile: &OverlapTile<'_>, image: usize, channel: usize, cells: &mut [T]) {
        let geometry = &self.fft.geometry;
        let boundary = match geometry.direction {
            Direction::Forward => self.fft.boundary(self.tame, image, channel),
            // Past the outputs there is none.
            _ => Boundary::Zero,
        };
        let plane = self.fft.source_plane();
        let channels = geometry.groups * self.fft.channels()[0];
        tile.take(&self.source[(image * channels + channel) * plane..][..plane], boundary, cells);
    }
}

impl<T: Real> Band<'_, T> {
    fn put(&mut self, tile: &OverlapTile<'_>, cells: &[T], scale: f64) {
        tile.put(cells, T::from_f64(scale), self.begin, self.out);
    }
}

fn wanted(tile: &OverlapTile<'_>) -> WantedRows {
    let [depth, height, _] = tile.kept();
    WantedRows([depth, height])
}

/// `0..len` in ranges of at most `step`.
pub(super) fn ranges(len: usize, step: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len).step_by(step).map(move |start| start..len.min(start + step))
}
