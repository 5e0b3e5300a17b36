//! The gradient of an input that is read again outside: first of every cell that windows visit, then folded onto the input's.

use rayon::prelude::*;

use super::Real;
use super::geometry::Geometry;
use super::memory::{OutOfMemory, ScratchPool, room, threads, zeros};
use super::real::add_exactly;
use super::steps;
use crate::geometry::index;
use crate::problem::to_usize;

/// Padded cells for an element of the operands and the result, at most, and as many for any.
const MOST_RATIO: u64 = 32;
const MOST_CELLS: u64 = 1 << 20;

/// Elements of padded planes at a time, unless an image has more.
const AT_ONCE: u64 = 1 << 24;

/// Padded planes of some images.
#[derive(Clone, Copy, Debug)]
pub(super) struct PaddedPlanes {
    /// Cells of a padded plane, of one of the input, and the most that are taken of the former.
    cells: u64,
    limit: u64,
    planes: usize,
    images: usize,
}

impl PaddedPlanes {
    /// `None` if the input's cells are all that have a gradient.
    pub(super) fn new(geometry: &Geometry) -> Option<Self> {
        let inside = geometry.lines.iter().all(|line| line.begin == 0 && line.reach <= line.input as i64);
        if inside || !geometry.boundary.repeats() {
            return None;
        }
        let product = |extent: &dyn Fn(usize) -> u64| (0..3).map(extent).fold(1u64, u64::saturating_mul);
        let cells = product(&|axis| geometry.lines[axis].reach.unsigned_abs());
        let input = product(&|axis| geometry.lines[axis].input as u64);
        let planes = geometry.groups * geometry.c;
        let output = geometry.output().iter().product::<usize>() as u64;
        let all = |factors: &[usize]| factors.iter().fold(1u64, |all, &n| all.saturating_mul(n as u64));
        let positions = if geometry.unshared { output } else { 1 };
        let weight =
            all(&[geometry.groups, geometry.q, geometry.c, geometry.taps()]).saturating_mul(positions);
        // Of one image: whatever the batch, an image is computed in the same way.
        let image =
            input.saturating_mul(planes as u64).saturating_add(output * all(&[geometry.groups, geometry.q]));
        let most = |images: u64| {
            let elements = image.saturating_mul(images).saturating_add(weight);
            elements.saturating_mul(MOST_RATIO).max(MOST_CELLS)
        };
        let n = geometry.n.max(1) as u64;
        let at_once = most(n).min(AT_ONCE) / cells.saturating_mul(planes as u64).max(1);
        let (limit, images) = (most(1) / (planes as u64).max(1), at_once.clamp(1, n));
        Some(Self { cells, limit, planes, images: to_usize(images) })
    }

    /// Cells of a padded plane, and the most that are taken.
    pub(super) fn sizes(&self) -> [u64; 2] {
        [self.cells, self.limit]
    }

    pub(super) fn is_small(&self) -> bool {
        self.cells <= self.limit
    }

    /// Padded cells of so many images.
    pub(super) fn all(&self, images: usize) -> u64 {
        self.cells.saturating_mul(self.planes as u64).saturating_mul(images as u64)
    }

    /// Images at a time.
    pub(super) fn at_once(&self) -> usize {
        self.images
    }

    /// Elements of all padded planes, of [`Self::is_small`] ones.
    fn elements(&self) -> usize {
        self.images * self.planes * usize::try_from(self.cells).unwrap_or(usize::MAX)
    }

    /// Elements that [`Self::run`] allocates.
    pub(super) fn scratch_elements<T>(&self, geometry: &Geometry) -> usize {
        self.elements().saturating_add(fold_elements::<T>(geometry, self.images * self.planes))
    }

    /// Has `gradient(part of the gradient of y, padded planes of as many images)` add sums to zeros, and folds them onto `result`.
    pub(super) fn run<T: Real>(
        &self,
        geometry: &Geometry,
        grad_output: &[T],
        result: &mut [T],
        gradient: impl Fn(&[T], &mut [T]) -> Result<(), OutOfMemory>,
    ) -> Result<(), OutOfMemory> {
        let output = geometry.groups * geometry.q * geometry.output().iter().product::<usize>();
        let input = self.planes * geometry.input().iter().product::<usize>();
        let plane = usize::try_from(self.cells).unwrap_or(usize::MAX);
        let mut sums = zeros("the gradient of padded cells", self.elements())?;
        let images = grad_output.chunks(output * self.images).zip(result.chunks_mut(input * self.images));
        for (i, (grad_output, result)) in images.enumerate() {
            let sums = &mut sums[..result.len() / input * self.planes * plane];
            if i > 0 {
                sums.fill(T::default());
            }
            gradient(grad_output, sums)?;
            fold(geometry, sums, result)?;
        }
        Ok(())
    }
}

/// Elements that [`fold`] allocates for so many planes.
pub(super) fn fold_elements<T>(geometry: &Geometry, planes: usize) -> usize {
    let tables = geometry.lines.iter().map(|line| index(line.reach)).fold(0, usize::saturating_add);
    let lost = geometry.input().iter().product::<usize>().saturating_mul(threads(planes));
    (tables.saturating_mul(size_of::<usize>()) / size_of::<T>()).saturating_add(lost)
}

/// Adds what the cells of padded planes have to the input's cells that they stand for.
pub(super) fn fold<T: Real>(geometry: &Geometry, padded: &[T], result: &mut [T]) -> Result<(), OutOfMemory> {
    let [_, height, width] = geometry.input();
    let [depth, rows, columns] = geometry.lines.each_ref().map(|line| index(line.reach));
    let plane: usize = geometry.input().iter().product();
    // The cell that each coordinate stands for.
    let of = |axis: usize| -> Result<Vec<usize>, OutOfMemory> {
        let line = &geometry.lines[axis];
        let cell = |at: i64| {
            // No panic: only boundaries that repeat cells are folded, and they read one everywhere.
            line.cell(geometry.boundary, at - line.begin).expect("a repeating boundary reads a cell")
        };
        let mut cells = room("the cells of padded coordinates", index(line.reach))?;
        cells.extend((0..line.reach).map(cell));
        Ok(cells)
    };
    let [z, y, x] = [of(0)?, of(1)?, of(2)?];
    // A cell may collect thousands: what each addition loses is carried along (Kahan).
    let pool = ScratchPool::new(result.len() / plane, || zeros("what additions lose", plane))?;
    let planes = result.par_chunks_mut(plane).zip(padded.par_chunks(depth * rows * columns));
    planes.for_each(|(result, padded)| {
        pool.with(|lost: &mut Vec<T>| {
            lost.fill(T::default());
            for (padded, (z, y)) in
                padded.chunks(columns).zip(z.iter().flat_map(|z| y.iter().map(move |y| (z, y))))
            {
                let row = (z * height + y) * width;
                let (result, lost) = (&mut result[row..row + width], &mut lost[row..row + width]);
                steps::count(1 + padded.len());
                for (value, &x) in padded.iter().zip(&x) {
                    add_exactly(&mut result[x], &mut lost[x], *value);
                }
            }
        });
    });
    Ok(())
}
