//! A tile of real cells to its spectrum and back.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

pub(super) use wgconv_fft::Complex;
use wgconv_fft::{ComplexPair, FftReal, RealPair};

use super::tiling::bins_of;
use crate::cpu::memory::{OutOfMemory, filled};

/// What a thread needs for one tile.
#[derive(Debug)]
pub struct TileBuffers<T> {
    /// The tile, row by row.
    pub(super) cells: Vec<T>,
    /// Its spectrum: the bins of the last axis outermost, the first axis innermost.
    pub(super) spectrum: Vec<Complex<T>>,
    other: Vec<Complex<T>>,
    scratch: Vec<Complex<T>>,
}

impl<T: Copy + Default> TileBuffers<T> {
    pub(super) fn new(transform: &dyn Transform<T>) -> Result<Self, OutOfMemory> {
        let what = "a tile and its spectrum";
        let lengths = transform.lengths();
        Ok(Self {
            cells: filled(what, lengths.iter().product(), T::default())?,
            other: spectra(what, bins_of(lengths))?,
            spectrum: spectra(what, bins_of(lengths))?,
            scratch: spectra(what, transform.scratch())?,
        })
    }
}

/// So many zeros.
pub(super) fn spectra<T: Copy + Default>(
    what: &'static str,
    bins: usize,
) -> Result<Vec<Complex<T>>, OutOfMemory> {
    filled(what, bins, Complex { re: T::default(), im: T::default() })
}

/// Rows of a tile that are wanted back: along its first two axes every `step`-th, so many.
#[derive(Clone, Copy, Debug)]
pub struct WantedRows(pub(super) [(usize, usize); 2]);

impl WantedRows {
    fn row(&self, row: usize, per_plane: usize) -> bool {
        let at = [row / per_plane, row % per_plane];
        at.iter().zip(&self.0).all(|(at, (count, step))| at % step == 0 && at / step < *count)
    }
}

/// Transforms of one size.
pub trait Transform<T>: Send + Sync {
    fn lengths(&self) -> [usize; 3];
    /// Complex numbers of scratch memory.
    fn scratch(&self) -> usize;
    /// Cells to spectrum; the cells are lost.
    fn forward(&self, work: &mut TileBuffers<T>);
    /// Spectrum to cells times their number, in the rows that are wanted; the spectrum is lost.
    fn inverse(&self, work: &mut TileBuffers<T>, wanted: WantedRows);
}

/// The transforms of a plan, for both types: each made when it is first used.
#[derive(Default)]
pub struct Transforms {
    single: OnceLock<Arc<dyn Transform<f32>>>,
    double: OnceLock<Arc<dyn Transform<f64>>>,
}

impl Transforms {
    pub(in crate::cpu) fn single(&self, lengths: [usize; 3]) -> Arc<dyn Transform<f32>> {
        static RECENT: Mutex<Recent<f32>> = Mutex::new(Recent::NONE);
        Arc::clone(self.single.get_or_init(|| Recent::take(&RECENT, lengths)))
    }

    pub(in crate::cpu) fn double(&self, lengths: [usize; 3]) -> Arc<dyn Transform<f64>> {
        static RECENT: Mutex<Recent<f64>> = Mutex::new(Recent::NONE);
        Arc::clone(self.double.get_or_init(|| Recent::take(&RECENT, lengths)))
    }
}

impl std::fmt::Debug for Transforms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Transforms")
    }
}

/// The transforms that were made last: a network plans the same ones again and again, and most of a plan's time is that of their
/// roots.
struct Recent<T>(Vec<([usize; 3], Arc<dyn Transform<T>>)>);

/// So many are kept, of no more than so many points along their axes together: some megabytes of roots.
const MOST_RECENT: usize = 64;
const MOST_RECENT_POINTS: usize = 1 << 12;

impl<T: FftReal> Recent<T> {
    const NONE: Self = Self(Vec::new());

    fn take(recent: &Mutex<Self>, lengths: [usize; 3]) -> Arc<dyn Transform<T>> {
        let all = || recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = all().0.iter().find(|(other, _)| *other == lengths) {
            return Arc::clone(found);
        }
        // Made without the lock: others need not wait.
        let made: Arc<dyn Transform<T>> = Arc::new(Planned::<T>::new(lengths));
        if lengths.iter().sum::<usize>() <= MOST_RECENT_POINTS {
            let mut all = all();
            if all.0.len() >= MOST_RECENT {
                all.0.remove(0);
            }
            all.0.push((lengths, Arc::clone(&made)));
        }
        made
    }
}

/// `None` stands for a length of 1.
struct Planned<T: FftReal> {
    lengths: [usize; 3],
    outer: [Option<ComplexPair<T>>; 2],
    rows: Option<RealPair<T>>,
    scratch: usize,
}

impl<T: FftReal> Planned<T> {
    fn new(lengths: [usize; 3]) -> Self {
        let outer = [0, 1].map(|axis| {
            let length = lengths[axis];
            (length > 1).then(|| T::complex(length))
        });
        let row = lengths[2];
        let rows = (row > 1).then(|| T::real(row));
        let outer_scratch = outer
            .iter()
            .flatten()
            .map(|(there, back)| there.get_inplace_scratch_len().max(back.get_inplace_scratch_len()));
        let row_scratch =
            rows.iter().map(|(there, back)| there.get_scratch_len().max(back.get_scratch_len()));
        let scratch = outer_scratch.chain(row_scratch).max().unwrap_or(0);
        Self { lengths, outer, rows, scratch }
    }
}

impl<T: FftReal> Transform<T> for Planned<T> {
    fn lengths(&self) -> [usize; 3] {
        self.lengths
    }

    fn scratch(&self) -> usize {
        self.scratch
    }

    fn forward(&self, work: &mut TileBuffers<T>) {
        let [depth, height, width] = self.lengths;
        let (rows, bins) = (depth * height, width / 2 + 1);
        let TileBuffers { cells, spectrum, other, scratch } = work;
        let first = if rows > 1 { &mut *other } else { &mut *spectrum };
        for (row, bins) in cells.chunks_exact_mut(width).zip(first.chunks_exact_mut(bins)) {
            match &self.rows {
                // Much of a filter's tile, and of a short one, is nothing.
                _ if row.iter().all(T::is_zero) => bins.fill(Complex { re: T::zero(), im: T::zero() }),
                // It fails for wrong lengths alone, and these are its own.
                Some((there, _)) => drop(there.process_with_scratch(row, bins, scratch)),
                None => bins[0] = Complex { re: row[0], im: T::zero() },
            }
        }
        if rows == 1 {
            return;
        }
        transpose(other, spectrum, rows, bins);
        if let Some((there, _)) = &self.outer[1] {
            there.process_with_scratch(spectrum, scratch);
        }
        if let Some((there, _)) = &self.outer[0] {
            for (from, to) in spectrum.chunks_exact(rows).zip(other.chunks_exact_mut(rows)) {
                transpose(from, to, depth, height);
            }
            there.process_with_scratch(other, scratch);
            std::mem::swap(spectrum, other);
        }
    }

    fn inverse(&self, work: &mut TileBuffers<T>, wanted: WantedRows) {
        let [depth, height, width] = self.lengths;
        let (rows, bins) = (depth * height, width / 2 + 1);
        let TileBuffers { cells, spectrum, other, scratch } = work;
        if let Some((_, back)) = &self.outer[0] {
            back.process_with_scratch(spectrum, scratch);
            for (from, to) in spectrum.chunks_exact(rows).zip(other.chunks_exact_mut(rows)) {
                transpose(from, to, height, depth);
            }
            std::mem::swap(spectrum, other);
        }
        if let Some((_, back)) = &self.outer[1] {
            back.process_with_scratch(spectrum, scratch);
        }
        let last = if rows > 1 {
            transpose(spectrum, other, bins, rows);
            other
        } else {
            spectrum
        };
        let pairs = cells.chunks_exact_mut(width).zip(last.chunks_exact_mut(bins)).enumerate();
        for (_, (row, bins)) in pairs.filter(|(at, _)| wanted.row(*at, height)) {
            match &self.rows {
                Some((_, back)) => {
                    // Rounding left something where a real row has nothing, which it would refuse.
                    bins[0].im = T::zero();
                    if width.is_multiple_of(2) {
                        bins[width / 2].im = T::zero();
                    }
                    drop(back.process_with_scratch(bins, row, scratch));
                }
                None => row[0] = bins[0].re,
            }
        }
    }
}

/// `rows x columns` to `columns x rows`, in blocks that stay in the first cache.
fn transpose<T: Copy>(from: &[T], to: &mut [T], rows: usize, columns: usize) {
    const BLOCK: usize = 16;
    if rows == 1 || columns == 1 {
        return to.copy_from_slice(from);
    }
    for first in (0..columns).step_by(BLOCK) {
        for row in (0..rows).step_by(BLOCK) {
            let height = BLOCK.min(rows - row);
            for column in first..columns.min(first + BLOCK) {
                let to = &mut to[column * rows + row..][..height];
                for (i, to) in to.iter_mut().enumerate() {
                    *to = from[(row + i) * columns + column];
                }
            }
        }
    }
}
