//! Products of spectra: for every bin, a matrix times the conjugate of a matrix.
//!
//! Bins stand in blocks of [`LANES`], real parts and imaginary parts apart, so that plain loops of fixed length become
//! vector code; the matrices of a block lie row by row, so that sums read memory in order.

use std::ops::Range;

use rayon::prelude::*;

use super::transform::Complex;
use crate::cpu::Real;

/// Bins of a block.
const LANES: usize = 4;
/// Numbers of a block.
pub(super) const BLOCK: usize = 2 * LANES;
/// Terms of a sum that are added up before the sum grows: long sums of rounded terms would drift.
const TERMS: usize = 64;
/// Numbers of packed factors that a task works on: a part of the second cache.
const PACKED: usize = 48 * 1024;

/// One block of one matrix element: real parts, then imaginary ones.
type BinBlock<T> = [T; BLOCK];

/// Blocks that hold so many bins.
pub(super) fn blocks(bins: usize) -> usize {
    bins.div_ceil(LANES)
}

/// Spectra, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spectra<'a, T> {
    pub(super) values: &'a [Complex<T>],
    pub(super) bins: usize,
}

impl<T: Real> Spectra<'_, T> {
    /// Block `block` of spectrum `at`; past the last bin are zeros.
    fn block(&self, at: usize, block: usize) -> BinBlock<T> {
        let mut packed = [T::default(); BLOCK];
        let bins = &self.values[at * self.bins..][..self.bins];
        let bins = &bins[block * LANES..self.bins.min((block + 1) * LANES)];
        let (re, im) = packed.split_at_mut(LANES);
        for (bin, (re, im)) in bins.iter().zip(re.iter_mut().zip(im)) {
            (*re, *im) = (bin.re, bin.im);
        }
        packed
    }
}

/// A matrix per bin: `[block][row][column]`, of which a product takes the rows and columns from some on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed<'a, T> {
    pub(super) values: &'a [T],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) from: [usize; 2],
}

impl<T: Real> Packed<'_, T> {
    /// `count` columns of a row.
    fn row(&self, block: usize, row: usize, count: usize) -> &[BinBlock<T>] {
        let first = (block * self.rows + self.from[0] + row) * self.columns + self.from[1];
        self.values[first * BLOCK..][..count * BLOCK].as_chunks().0
    }
}

/// Packs spectra `[row][column]` as these rows and columns of a matrix per bin.
pub(super) fn pack<T: Real>(
    spectra: Spectra<'_, T>,
    part: [Range<usize>; 2],
    [rows, columns]: [usize; 2],
    packed: &mut [T],
) {
    let matrix = rows * columns * BLOCK;
    let several = (PACKED / matrix).max(1);
    let place = |row: usize, column: usize| row * part[1].len() + column;
    packed.par_chunks_mut(several * matrix).enumerate().for_each(|(chunk, packed)| {
        pack_blocks(spectra, &part, columns, place, chunk * several, matrix, packed);
    });
}

/// Packs blocks from `first` on; `place` says which spectrum an element of the part is.
fn pack_blocks<T: Real>(
    spectra: Spectra<'_, T>,
    part: &[Range<usize>; 2],
    columns: usize,
    place: impl Fn(usize, usize) -> usize,
    first: usize,
    matrix: usize,
    packed: &mut [T],
) {
    for row in part[0].clone() {
        for column in part[1].clone() {
            let at = place(row - part[0].start, column - part[1].start);
            for (block, packed) in packed.chunks_exact_mut(matrix).enumerate() {
                let to = &mut packed[(row * columns + column) * BLOCK..][..BLOCK];
                to.copy_from_slice(&spectra.block(at, first + block));
            }
        }
    }
}

/// The product's size: rows of the left factor, rows of the right one, terms of each sum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) left: usize,
    pub(super) right: usize,
    pub(super) terms: usize,
}

/// Adds `left · right*` to `sums`, `[block][row of left][row of right]`. `place` says which of the spectra an element of
/// `left` is.
pub(super) fn add<T: Real>(
    left: Spectra<'_, T>,
    place: impl Fn(usize, usize) -> usize + Sync,
    right: Packed<'_, T>,
    size: Size,
    sums: &mut [T],
) {
    let (matrix, result) = (size.left * size.terms * BLOCK, size.left * size.right * BLOCK);
    let several = (PACKED / matrix).max(1);
    sums.par_chunks_mut(several * result).enumerate().for_each_init(Vec::new, |packed, (chunk, sums)| {
        let first = chunk * several;
        packed.resize(sums.len() / result * matrix, T::default());
        pack_blocks(left, &[0..size.left, 0..size.terms], size.terms, &place, first, matrix, packed);
        for (block, sums) in sums.chunks_exact_mut(result).enumerate() {
            let left = Packed { values: packed, rows: size.left, columns: size.terms, from: [0; 2] };
            add_block(left, block, right, first + block, size, sums.as_chunks_mut().0);
        }
    });
}

/// The products of one block of bins, some rows times some rows in registers at once.
fn add_block<T: Real>(
    left: Packed<'_, T>,
    left_block: usize,
    right: Packed<'_, T>,
    right_block: usize,
    size: Size,
    sums: &mut [BinBlock<T>],
) {
    // As many sums as leave room for their factors in 16 vector registers of 16 bytes.
    let tall = T::CHANNEL_BLOCK / 2;
    for j in (0..size.right).step_by(2) {
        let wide = 2.min(size.right - j);
        for i in (0..size.left).step_by(tall) {
            let rows = |at: usize| left.row(left_block, i + at, size.terms);
            let columns = |at: usize| right.row(right_block, j + at, size.terms);
            let sums = &mut sums[i * size.right + j..];
            match (tall.min(size.left - i), wide) {
                (2, 2) => put([rows(0), rows(1)], [columns(0), columns(1)], sums, size.right),
                (2, _) => put([rows(0), rows(1)], [columns(0)], sums, size.right),
                (_, 2) => put([rows(0)], [columns(0), columns(1)], sums, size.right),
                _ => put([rows(0)], [columns(0)], sums, size.right),
            }
        }
    }
}

fn put<T: Real, const I: usize, const J: usize>(
    left: [&[BinBlock<T>]; I],
    right: [&[BinBlock<T>]; J],
    sums: &mut [BinBlock<T>],
    apart: usize,
) {
    let terms = left[0].len();
    for first in (0..terms).step_by(TERMS) {
        let some = first..terms.min(first + TERMS);
        let products = dot(left.map(|row| &row[some.clone()]), right.map(|row| &row[some.clone()]));
        for (i, products) in products.iter().enumerate() {
            for (sum, product) in sums[i * apart..].iter_mut().zip(products) {
                for (sum, product) in sum.iter_mut().zip(product) {
                    *sum += *product;
                }
            }
        }
    }
}

fn dot<T: Real, const I: usize, const J: usize>(
    left: [&[BinBlock<T>]; I],
    right: [&[BinBlock<T>]; J],
) -> [[BinBlock<T>; J]; I] {
    let mut sums = [[[T::default(); BLOCK]; J]; I];
    let terms = left[0].len();
    // Of one length, and the compiler knows.
    let (left, right) = (left.map(|row| &row[..terms]), right.map(|row| &row[..terms]));
    for term in 0..terms {
        for (sums, left) in sums.iter_mut().zip(left) {
            let x = &left[term];
            for (sum, right) in sums.iter_mut().zip(right) {
                let w = &right[term];
                for lane in 0..LANES {
                    let (re, im) = (lane, LANES + lane);
                    sum[re] += x[re] * w[re] + x[im] * w[im];
                    sum[im] += x[im] * w[re] - x[re] * w[im];
                }
            }
        }
    }
    sums
}

/// Multiplies one spectrum by the conjugate of a packed one.
pub(super) fn multiply<T: Real>(spectrum: &mut [Complex<T>], packed: &[T]) {
    for (bins, w) in spectrum.chunks_mut(LANES).zip(packed.as_chunks::<BLOCK>().0) {
        let (re, im) = w.split_at(LANES);
        for (bin, (re, im)) in bins.iter_mut().zip(re.iter().zip(im)) {
            let (x, y) = (bin.re, bin.im);
            bin.re = x * *re + y * *im;
            bin.im = y * *re - x * *im;
        }
    }
}

/// Spectrum `at` of `[block][of several]` sums.
pub(super) fn unpack<T: Real>(sums: &[T], at: usize, several: usize, spectrum: &mut [Complex<T>]) {
    let blocks = sums.as_chunks::<BLOCK>().0;
    for (bins, sums) in spectrum.chunks_mut(LANES).zip(blocks.iter().skip(at).step_by(several)) {
        for (lane, bin) in bins.iter_mut().enumerate() {
            *bin = Complex { re: sums[lane], im: sums[LANES + lane] };
        }
    }
}
