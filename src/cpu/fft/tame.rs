//! Numbers that a transform would spread: what is not finite reaches no transform, and what is very large is scaled before it.
//!
//! A convolution is linear in each operand. So zeros take the place of infinities and NaNs, and what these contribute is added to
//! the results that they meet, product by product, as a direct sum would do it. And an operand with large numbers is divided by a
//! power of two, which the result is multiplied by: no bit changes, and no sum within a transform overflows.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;

use crate::cpu::Real;
use crate::cpu::geometry::Geometry;
use crate::cpu::memory::{OutOfMemory, room};
use crate::problem::{Boundary, Direction};

/// Numbers of this many binary digits before the point and fewer are transformed as they are: a product of two spectra of
/// 2²⁰ such numbers, summed over 2¹² channels, stays within f32.
const DIGITS: i32 = 32;

/// An element that is not finite.
#[derive(Clone, Copy, Debug)]
struct Special<T> {
    /// The plane of its tensor that it is in, and where in that.
    plane: usize,
    at: [usize; 3],
    value: T,
}

/// An operand as transforms take it.
#[derive(Debug)]
pub(super) struct Tame<T> {
    pub(super) values: Vec<T>,
    specials: Vec<Special<T>>,
    /// The exponents of the powers of two that blocks of planes were divided by: images and groups of a source, groups of weights.
    exponents: Vec<i32>,
}

/// What becomes of an operand.
#[derive(Debug)]
pub(super) enum Taming<T> {
    /// It can be transformed as it is.
    Needless,
    Tame(Tame<T>),
    /// So many numbers are not finite that a direct sum takes less.
    Hopeless,
}

/// Of so many elements one may be not finite.
const SPECIALS: usize = 1024;

impl<T: Real> Taming<T> {
    /// Of `values`, in blocks of `block` planes of `extents`, beside numbers as large as `fill`. With a period, blocks whose
    /// numbers differ by a multiple of it have one exponent.
    pub(super) fn new(
        values: &[T],
        extents: [usize; 3],
        block: usize,
        period: Option<usize>,
        fill: f64,
    ) -> Result<Self, OutOfMemory> {
        const WHAT: &str = "tamed operands";
        let size = extents.iter().product::<usize>();
        let block = (block * size).max(1);
        // One pass finds the largest finite number of each block, and how many are not finite.
        let special = AtomicUsize::new(0);
        let largest = |values: &[T]| {
            let of = |values: &[T]| {
                let [mut most, mut count] = [fill.abs(), 0.0];
                for value in values {
                    let finite = value.is_finite();
                    most = most.max(if finite { value.to_f64().abs() } else { 0.0 });
                    count += if finite { 0.0 } else { 1.0 };
                }
                if count > 0.0 {
                    special.fetch_add(values.iter().filter(|value| !value.is_finite()).count(), Relaxed);
                }
                most
            };
            values.par_chunks(1 << 16).map(of).reduce(|| fill.abs(), f64::max)
        };
        let mut exponents: Vec<i32> = room(WHAT, values.len().div_ceil(block))?;
        values.par_chunks(block).map(|values| exponent(largest(values))).collect_into_vec(&mut exponents);
        let special = special.into_inner();
        if special == 0 && exponents.iter().all(|&exponent| exponent == 0) {
            return Ok(Self::Needless);
        }
        if special > values.len() / SPECIALS + SPECIALS {
            return Ok(Self::Hopeless);
        }
        if let Some(period) = period {
            for at in 0..period.min(exponents.len()) {
                let most = exponents.iter().skip(at).step_by(period).fold(0, |most, &e| most.max(e));
                exponents.iter_mut().skip(at).step_by(period).for_each(|e| *e = most);
            }
        }
        let mut tame = room(WHAT, values.len())?;
        tame.extend_from_slice(values);
        for (values, &exponent) in tame.chunks_mut(block).zip(&exponents) {
            if exponent > 0 {
                let factor = f64::from(-exponent).exp2();
                values.par_iter_mut().for_each(|value| *value = T::from_f64(value.to_f64() * factor));
            }
        }
        let [_, height, width] = extents;
        let mut specials = room(WHAT, special)?;
        if special > 0 {
            for (i, value) in tame.iter_mut().enumerate().filter(|(_, value)| !value.is_finite()) {
                let at = [i % size / (height * width), i % (height * width) / width, i % width];
                specials.push(Special { plane: i / size, at, value: std::mem::take(value) });
            }
        }
        Ok(Self::Tame(Tame { values: tame, specials, exponents }))
    }

    /// What is tamed, if anything is.
    pub(super) fn tame(&self) -> Option<&Tame<T>> {
        match self {
            Self::Tame(tame) => Some(tame),
            _ => None,
        }
    }
}

impl<T> Tame<T> {
    pub(super) fn has_specials(&self) -> bool {
        !self.specials.is_empty()
    }

    /// Those in a plane.
    fn in_plane(&self, plane: usize) -> &[Special<T>] {
        let from = self.specials.partition_point(|special| special.plane < plane);
        let to = self.specials.partition_point(|special| special.plane <= plane);
        &self.specials[from..to]
    }

    /// `boundary` beside the numbers of a block.
    pub(super) fn boundary(&self, boundary: Boundary, block: usize) -> Boundary {
        match boundary {
            Boundary::Constant(value) => Boundary::Constant(value * f64::from(-self.exponents[block]).exp2()),
            other => other,
        }
    }
}

/// What a largest number of this size is divided by, as a power of two.
fn exponent(largest: f64) -> i32 {
    // The exponent as it stands in the bits of a normal number, of which the largest is below 2^1024.
    let digits = (largest.to_bits() >> 52) as i32 - 1022;
    (digits - DIGITS).max(0)
}

/// One product of a convolution along an axis; the cell is `None` where it is the boundary's constant.
#[derive(Clone, Copy)]
struct AxisProduct {
    cell: Option<usize>,
    tap: usize,
    output: usize,
}

/// The operand that an element belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Input,
    Weight,
    Output,
}

/// The operands of a run, as the caller gave them and as they are transformed.
pub(super) struct TamedOperands<'a, T> {
    pub(super) geometry: &'a Geometry,
    /// What is gathered from: the input, or for its gradient that of the output.
    pub(super) source: &'a [T],
    /// What it is multiplied with: the weights, or for their gradient that of the output.
    pub(super) filter: &'a [T],
    pub(super) tame_source: Option<&'a Tame<T>>,
    pub(super) tame_filter: Option<&'a Tame<T>>,
}

impl<T: Real> TamedOperands<'_, T> {
    /// Completes what transforms made of the tamed operands.
    pub(super) fn complete(&self, result: &mut [T]) {
        if self.tame_source.is_none() && self.tame_filter.is_none() {
            return;
        }
        let has_specials = [self.tame_source, self.tame_filter].into_iter().flatten().any(Tame::has_specials);
        let plane: usize = self.extents(self.sides()[2]).iter().product();
        result.par_chunks_mut(plane.max(1)).enumerate().for_each(|(at, out)| {
            self.scale(at, out);
            if has_specials {
                self.add(at, out);
            }
        });
    }

    /// The sides of source, filter and result.
    fn sides(&self) -> [Side; 3] {
        match self.geometry.direction {
            Direction::Forward => [Side::Input, Side::Weight, Side::Output],
            Direction::GradInput => [Side::Output, Side::Weight, Side::Input],
            Direction::GradWeight => [Side::Input, Side::Output, Side::Weight],
        }
    }

    fn extents(&self, side: Side) -> [usize; 3] {
        match side {
            Side::Input => self.geometry.input(),
            Side::Weight => self.geometry.lines.each_ref().map(|line| line.kernel),
            Side::Output => self.geometry.output(),
        }
    }

    fn scale(&self, plane: usize, out: &mut [T]) {
        let Geometry { groups, c, q, direction, .. } = *self.geometry;
        // The image and group of this plane, and its group.
        let [block, group] = match direction {
            Direction::Forward => [plane / q, plane / q % groups],
            Direction::GradInput => [plane / c, plane / c % groups],
            Direction::GradWeight => [plane / c / q; 2],
        };
        let of = |tame: Option<&Tame<T>>, block: usize| tame.map_or(0, |tame| tame.exponents[block]);
        let filter = if direction == Direction::GradWeight { block } else { group };
        let exponents = [of(self.tame_source, block), of(self.tame_filter, filter)];
        if exponents != [0; 2] {
            let [one, other] = exponents.map(|exponent| f64::from(exponent).exp2());
            out.iter_mut().for_each(|value| *value = T::from_f64(value.to_f64() * one * other));
        }
    }

    /// Adds what the elements that are not finite bring to one plane of the result.
    fn add(&self, plane: usize, out: &mut [T]) {
        let [source, filter, _] = self.sides();
        // With every number of the filter, also with those that are not finite.
        let with = |i: Option<usize>| i.map(|i| self.filter[i]);
        self.add_specials(self.tame_source, source, plane, out, with);
        // What is not finite in the source has met it there.
        let constant = T::from_f64(self.geometry.boundary.fill());
        let with = |i: Option<usize>| match i {
            Some(i) => Some(self.source[i]).filter(|value| value.is_finite()),
            None => Some(constant),
        };
        self.add_specials(self.tame_filter, filter, plane, out, with);
    }

    fn add_specials(
        &self,
        tame: Option<&Tame<T>>,
        side: Side,
        plane: usize,
        out: &mut [T],
        with: impl Fn(Option<usize>) -> Option<T>,
    ) {
        let Some(tame) = tame.filter(|tame| tame.has_specials()) else { return };
        for [special, partner] in self.partners(side, plane) {
            for special in tame.in_plane(special) {
                self.add_products(special, side, partner, out, &with);
            }
        }
    }

    /// Adds the products of one element of `side` with what `with` gives of the other operand's plane `partner`.
    fn add_products(
        &self,
        special: &Special<T>,
        side: Side,
        partner: usize,
        out: &mut [T],
        with: impl Fn(Option<usize>) -> Option<T>,
    ) {
        let [source, filter, result] = self.sides();
        let other = if side == source { filter } else { source };
        let first = partner * self.extents(other).iter().product::<usize>();
        let along = |axis: usize| self.along(side, axis, special.at[axis]);
        let [outer, middle, inner] = [0, 1, 2].map(along);
        let all = outer.iter().flat_map(|a| {
            let inner = &inner;
            middle.iter().flat_map(move |b| inner.iter().map(move |c| [*a, *b, *c]))
        });
        for products in all {
            let value = with(self.index(other, products).map(|i| first + i));
            if let (Some(at), Some(value)) = (self.index(result, products), value) {
                out[at] += special.value * value;
            }
        }
    }

    /// The planes of `side` that plane `result` of the result has products of, each with the plane of the other operand.
    fn partners(&self, side: Side, result: usize) -> impl Iterator<Item = [usize; 2]> {
        let Geometry { n, groups, c, q, direction, .. } = *self.geometry;
        let count = match direction {
            Direction::Forward => c,
            Direction::GradInput => q,
            Direction::GradWeight => n,
        };
        (0..count).map(move |i| {
            // Planes of the input, of the weights and of the output.
            let [x, w, y] = match direction {
                Direction::Forward => {
                    let (image, to) = (result / (groups * q), result % (groups * q));
                    [(image * groups + to / q) * c + i, to * c + i, result]
                }
                Direction::GradInput => {
                    let (image, to) = (result / (groups * c), result % (groups * c));
                    let from = to / c * q + i;
                    [result, from * c + to % c, image * groups * q + from]
                }
                Direction::GradWeight => {
                    let to = result / c;
                    [(i * groups + to / q) * c + result % c, result, i * groups * q + to]
                }
            };
            let of = |side: Side| match side {
                Side::Input => x,
                Side::Weight => w,
                Side::Output => y,
            };
            let [source, filter, _] = self.sides();
            [of(side), of(if side == source { filter } else { source })]
        })
    }

    /// The products along an axis that the element at `at` of `side` is a factor of.
    fn along(&self, side: Side, axis: usize, at: usize) -> Vec<AxisProduct> {
        let (line, boundary) = (&self.geometry.lines[axis], self.geometry.boundary);
        match side {
            Side::Input => {
                let product = |(tap, output)| AxisProduct { cell: Some(at), tap, output };
                line.products_of_input(&line.meeting(), boundary, at).into_iter().map(product).collect()
            }
            Side::Output => {
                let product = |tap| AxisProduct { cell: line.cell_of(boundary, at, tap), tap, output: at };
                line.taps_of_output(boundary, at).all().map(product).collect()
            }
            Side::Weight => {
                let tap = if self.geometry.flip { line.kernel - 1 - at } else { at };
                let product = |output| AxisProduct { cell: line.cell_of(boundary, output, tap), tap, output };
                let products = (0..line.output).map(product);
                products.filter(|product| product.cell.is_some() || boundary != Boundary::Zero).collect()
            }
        }
    }

    /// Where in a plane of `side` these products along three axes have their factor or their sum; `None` for the constant.
    fn index(&self, side: Side, products: [AxisProduct; 3]) -> Option<usize> {
        let [_, height, width] = self.extents(side);
        let join = |[z, y, x]: [usize; 3]| (z * height + y) * width + x;
        match side {
            Side::Input => {
                let [z, y, x] = products.map(|product| product.cell);
                Some(join([z?, y?, x?]))
            }
            Side::Weight => Some(self.geometry.filter_index(join(products.map(|product| product.tap)))),
            Side::Output => Some(join(products.map(|product| product.output))),
        }
    }
}
