//! Weight gradient: spectra of tiles of `x` times those of the gradient of `y`, summed over tiles and images; one transform back.

use rayon::prelude::*;

use super::product::{self, Packed, Size, Spectra};
use super::sum::ranges;
use super::tame::Tame;
use super::transform::{Complex, WantedRows, spectra};
use super::{Fft, Tiles, TransformPool};
use crate::cpu::Real;
use crate::cpu::memory::{OutOfMemory, zeros};
use crate::cpu::real::add_exactly;

/// What all tasks share.
pub(super) struct WeightGradient<'a, T> {
    pub(super) fft: &'a Fft,
    pub(super) pool: TransformPool<'a, T>,
    pub(super) input: &'a [T],
    pub(super) grad_output: &'a [T],
    /// If the input was tamed.
    pub(super) tame: Option<&'a Tame<T>>,
}

/// Channels of `x` and of `y` in a group, from some on.
#[derive(Clone, Copy, Debug)]
struct Channels {
    first: [usize; 2],
    count: [usize; 2],
}

/// Spectra of some tiles, laid out once.
struct Scratch<T> {
    inputs: Vec<Complex<T>>,
    outputs: Vec<Complex<T>>,
    packed: Vec<T>,
    /// What the tiles at hand bring.
    part: Vec<T>,
}

/// Sums `[block][c][q]`, and what their last addition lost: there may be as many tiles as images, and rounded sums drift.
struct SpectralSums<T> {
    sums: Vec<T>,
    lost: Vec<T>,
}

impl<T: Real> SpectralSums<T> {
    fn new(len: usize) -> Result<Self, OutOfMemory> {
        let what = "the spectra of weights";
        Ok(Self { sums: zeros(what, len)?, lost: zeros(what, len)? })
    }

    /// As Kahan has it.
    fn add(&mut self, part: &[T]) {
        const CHUNK: usize = 1 << 14;
        let sums = self.sums.par_chunks_mut(CHUNK).zip(self.lost.par_chunks_mut(CHUNK));
        sums.zip(part.par_chunks(CHUNK)).for_each(|((sums, lost), part)| {
            for ((sum, lost), part) in sums.iter_mut().zip(lost).zip(part) {
                add_exactly(sum, lost, *part);
            }
        });
    }
}

impl<T: Real> WeightGradient<'_, T> {
    pub(super) fn run(&self, result: &mut [T]) -> Result<(), OutOfMemory> {
        let what = "the spectra of tiles";
        let Fft { geometry, blocks, .. } = self.fft;
        let bins = self.fft.bins();
        let mut scratch = Scratch {
            inputs: spectra(what, blocks.tiles * blocks.sources * bins)?,
            outputs: spectra(what, blocks.tiles * blocks.results * bins)?,
            packed: zeros(what, self.fft.packed(blocks.tiles * blocks.results))?,
            part: zeros(what, self.fft.packed(blocks.sources * blocks.results))?,
        };
        let filter_rows = geometry.q * geometry.c * geometry.taps();
        for (group, result) in result.chunks_exact_mut(filter_rows).enumerate() {
            for c in ranges(geometry.c, blocks.sources) {
                for q in ranges(geometry.q, blocks.results) {
                    let first = [group * geometry.c + c.start, group * geometry.q + q.start];
                    let channels = Channels { first, count: [c.len(), q.len()] };
                    let mut sums = SpectralSums::new(self.fft.packed(c.len() * q.len()))?;
                    for set in &self.fft.sets() {
                        for tiles in self.fft.tiles(set) {
                            self.add(&tiles, channels, &mut scratch, &mut sums);
                        }
                    }
                    self.put([c.start, q.start], channels, &sums.sums, result);
                }
            }
        }
        Ok(())
    }

    /// Adds the products of all tiles of a phase, some at a time: long sums are sums of short ones.
    fn add(
        &self,
        tiles: &Tiles<'_>,
        channels: Channels,
        scratch: &mut Scratch<T>,
        sums: &mut SpectralSums<T>,
    ) {
        let bins = self.fft.bins();
        let [c, q] = channels.count;
        for tiles_now in ranges(self.fft.geometry.n * tiles.count(), self.fft.blocks.tiles) {
            let terms = tiles_now.len();
            let inputs = &mut scratch.inputs[..terms * c * bins];
            inputs.par_chunks_mut(bins).enumerate().for_each(|(at, to)| {
                self.take(tiles, tiles_now.start + at / c, channels.first[0] + at % c, true, to);
            });
            let outputs = &mut scratch.outputs[..q * terms * bins];
            outputs.par_chunks_mut(bins).enumerate().for_each(|(at, to)| {
                self.take(tiles, tiles_now.start + at % terms, channels.first[1] + at / terms, false, to);
            });
            let packed = &mut scratch.packed[..self.fft.packed(q * terms)];
            product::pack(Spectra { values: outputs, bins }, [0..q, 0..terms], [q, terms], packed);
            let right = Packed { values: packed, rows: q, columns: terms, from: [0; 2] };
            let size = Size { left: c, right: q, terms };
            let part = &mut scratch.part[..self.fft.packed(c * q)];
            part.fill(T::default());
            product::add(Spectra { values: inputs, bins }, |c_at, tile| tile * c + c_at, right, size, part);
            sums.add(part);
        }
    }

    /// The spectrum of a tile of `x`, or of what its results are of the gradient of `y`.
    fn take(&self, tiles: &Tiles<'_>, at: usize, channel: usize, input: bool, to: &mut [Complex<T>]) {
        let geometry = &self.fft.geometry;
        let (image, tile) = tiles.image_and_tile(at);
        self.pool.with(|work, transform| {
            if input {
                let (plane, channels) = (self.fft.source_plane(), geometry.groups * geometry.c);
                let plane = &self.input[(image * channels + channel) * plane..][..plane];
                tile.take(plane, self.fft.boundary(self.tame, image, channel), &mut work.cells);
            } else {
                let (plane, channels) = (self.fft.result_plane(), geometry.groups * geometry.q);
                let plane = &self.grad_output[(image * channels + channel) * plane..][..plane];
                tile.take_results(plane, &mut work.cells);
            }
            transform.forward(work);
            to.copy_from_slice(&work.spectrum);
        });
    }

    /// Transforms sums `[block][c][q]` back and crops them to the filters of a group.
    fn put(&self, from: [usize; 2], channels: Channels, sums: &[T], result: &mut [T]) {
        let geometry = &self.fft.geometry;
        let (taps, [c, q]) = (geometry.taps(), channels.count);
        let extents = geometry.lines.map(|line| line.kernel);
        let scale = T::from_f64(self.fft.scale());
        let rows = &mut result[from[1] * geometry.c * taps..][..q * geometry.c * taps];
        rows.par_chunks_mut(taps).enumerate().for_each(|(at, filter)| {
            let (q_at, c_at) = (at / geometry.c, at % geometry.c);
            if !(from[0]..from[0] + c).contains(&c_at) {
                return;
            }
            self.pool.with(|work, transform| {
                let place = (c_at - from[0]) * q + q_at;
                product::unpack(sums, place, c * q, &mut work.spectrum);
                transform.inverse(work, WantedRows([(extents[0], 1), (extents[1], 1)]));
                let [_, height, width] = transform.lengths();
                for (tap, x) in places(extents).enumerate() {
                    let cell = (x[0] * height + x[1]) * width + x[2];
                    filter[geometry.filter_index(tap)] = work.cells[cell] * scale;
                }
            });
        });
    }
}

/// Every tap along the three axes, in order.
fn places([depth, height, width]: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..depth).flat_map(move |z| (0..height).flat_map(move |y| (0..width).map(move |x| [z, y, x])))
}
