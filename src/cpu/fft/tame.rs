//! Numbers that a transform would spread: what is not finite reaches no transform, and what is very large is scaled before it.
//!
//! A convolution is linear in each operand. So zeros take the place of infinities and NaNs, and what these contribute is added to
//! the results that they meet, product by product, as a direct sum would do it. And an operand with large numbers is divided by a
//! power of two, which the result is multiplied by: no bit changes, and no sum within a transform overflows.

use rayon::prelude::*;

use crate::cpu::Real;
use crate::cpu::direct::geometry::{Fold, Geometry};
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

impl<T: Real> Tame<T> {
    /// `None` if `values`, in blocks of `block` planes of `extents`, beside numbers as large as `fill`, can be transformed as they
    /// are. With a period, blocks whose numbers differ by a multiple of it have one exponent.
    pub(super) fn new(
        values: &[T],
        extents: [usize; 3],
        block: usize,
        period: Option<usize>,
        fill: f64,
    ) -> Option<Self> {
        let size = extents.iter().product::<usize>();
        let largest = |values: &[T]| {
            let of = |values: &[T]| {
                values.iter().map(|v| v.to_f64().abs()).filter(|v| v.is_finite()).fold(fill.abs(), f64::max)
            };
            values.par_chunks(1 << 16).map(of).reduce(|| fill.abs(), f64::max)
        };
        let finite = crate::cpu::direct::all_finite(values);
        let mut exponents: Vec<i32> =
            values.par_chunks((block * size).max(1)).map(|values| exponent(largest(values))).collect();
        if finite && exponents.iter().all(|&exponent| exponent == 0) {
            return None;
        }
        if let Some(period) = period {
            for at in 0..period.min(exponents.len()) {
                let most = exponents.iter().skip(at).step_by(period).fold(0, |most, &e| most.max(e));
                exponents.iter_mut().skip(at).step_by(period).for_each(|e| *e = most);
            }
        }
        let mut tame = values.to_vec();
        for (values, &exponent) in tame.chunks_mut((block * size).max(1)).zip(&exponents) {
            if exponent > 0 {
                let factor = f64::from(-exponent).exp2();
                values.par_iter_mut().for_each(|value| *value = T::from_f64(value.to_f64() * factor));
            }
        }
        let [_, height, width] = extents;
        let mut specials = Vec::new();
        if !finite {
            for (i, value) in tame.iter_mut().enumerate().filter(|(_, value)| !value.is_finite()) {
                let at = [i % size / (height * width), i % (height * width) / width, i % width];
                specials.push(Special { plane: i / size, at, value: std::mem::take(value) });
            }
        }
        Some(Self { values: tame, specials, exponents })
    }
}

impl<T> Tame<T> {
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
struct Product {
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
pub(super) struct Operands<'a, T> {
    pub(super) geometry: &'a Geometry,
    /// What is gathered from: the input, or for its gradient that of the output.
    pub(super) source: &'a [T],
    /// What it is multiplied with: the weights, or for their gradient that of the output.
    pub(super) filter: &'a [T],
    pub(super) tame_source: Option<&'a Tame<T>>,
    pub(super) tame_filter: Option<&'a Tame<T>>,
}

impl<T: Real> Operands<'_, T> {
    /// Completes what transforms made of the tamed operands.
    pub(super) fn complete(&self, result: &mut [T]) {
        if self.tame_source.is_none() && self.tame_filter.is_none() {
            return;
        }
        let geometry = self.geometry;
        let folds = geometry.lines.each_ref().map(|line| Fold::new(line, geometry.boundary));
        let plane: usize = self.extents(self.sides()[2]).iter().product();
        result.par_chunks_mut(plane.max(1)).enumerate().for_each(|(at, out)| {
            self.scale(at, out);
            self.add(at, out, &folds);
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
    fn add(&self, plane: usize, out: &mut [T], folds: &[Fold; 3]) {
        let [source, filter, _] = self.sides();
        // With every number of the filter, also with those that are not finite.
        let with = |i: Option<usize>| i.map(|i| self.filter[i]);
        for special in self.tame_source.into_iter().flat_map(|tame| &tame.specials) {
            self.add_products(special, source, plane, out, folds, with);
        }
        // What is not finite in the source has met it there.
        let constant = T::from_f64(self.geometry.boundary.fill());
        let with = |i: Option<usize>| match i {
            Some(i) => Some(self.source[i]).filter(|value| value.is_finite()),
            None => Some(constant),
        };
        for special in self.tame_filter.into_iter().flat_map(|tame| &tame.specials) {
            self.add_products(special, filter, plane, out, folds, with);
        }
    }

    /// Adds the products of one element of `side` with what `with` gives, if it reaches this plane of the result.
    fn add_products(
        &self,
        special: &Special<T>,
        side: Side,
        plane: usize,
        out: &mut [T],
        folds: &[Fold; 3],
        with: impl Fn(Option<usize>) -> Option<T>,
    ) {
        let Some(partner) = self.partner(side, special.plane, plane) else { return };
        let [source, filter, result] = self.sides();
        let other = if side == source { filter } else { source };
        let first = partner * self.extents(other).iter().product::<usize>();
        let along = |axis: usize| self.along(side, axis, special.at[axis], &folds[axis]);
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

    /// The plane of the other operand that an element in plane `special` of `side` meets for plane `result` of the result.
    fn partner(&self, side: Side, special: usize, result: usize) -> Option<usize> {
        let Geometry { groups, c, q, direction, .. } = *self.geometry;
        // A plane of the input is an image and a channel, one of the output too, one of the weights two channels.
        let split =
            |plane: usize, channels: usize| (plane / (groups * channels), plane % (groups * channels));
        match (direction, side) {
            (Direction::Forward, Side::Input) => {
                let ((n, to), (image, from)) = (split(result, q), split(special, c));
                (n == image && to / q == from / c).then(|| to * c + from % c)
            }
            (Direction::Forward, _) => {
                let (n, to) = split(result, q);
                (special / c == to).then(|| (n * groups + to / q) * c + special % c)
            }
            (Direction::GradInput, Side::Output) => {
                let ((n, to), (image, from)) = (split(result, c), split(special, q));
                (n == image && to / c == from / q).then(|| from * c + to % c)
            }
            (Direction::GradInput, _) => {
                let ((n, to), from) = (split(result, c), special / c);
                (special % c == to % c && from / q == to / c).then(|| n * groups * q + from)
            }
            (Direction::GradWeight, Side::Input) => {
                let ((n, from), to) = (split(special, c), result / c);
                (from == to / q * c + result % c).then(|| n * groups * q + to)
            }
            (Direction::GradWeight, _) => {
                let ((n, from), to) = (split(special, q), result / c);
                (from == to).then(|| (n * groups + to / q) * c + result % c)
            }
        }
    }

    /// The products along an axis that the element at `at` of `side` is a factor of.
    fn along(&self, side: Side, axis: usize, at: usize, fold: &Fold) -> Vec<Product> {
        let (line, boundary) = (&self.geometry.lines[axis], self.geometry.boundary);
        match side {
            Side::Input => {
                let product = |(tap, output)| Product { cell: Some(at), tap, output };
                line.taps_of_input(fold, at).into_iter().map(product).collect()
            }
            Side::Output => {
                let product = |(tap, cell)| Product { cell, tap, output: at };
                line.taps_of_output(boundary, at).into_iter().map(product).collect()
            }
            Side::Weight => {
                let tap = if self.geometry.flip { line.kernel - 1 - at } else { at };
                let first = tap as i64 * line.dilation - line.begin;
                let cell = |o: usize| line.cell(boundary, o as i64 * line.stride + first);
                let products = (0..line.output).map(|output| Product { cell: cell(output), tap, output });
                products.filter(|product| product.cell.is_some() || boundary != Boundary::Zero).collect()
            }
        }
    }

    /// Where in a plane of `side` these products along three axes have their factor or their sum; `None` for the constant.
    fn index(&self, side: Side, products: [Product; 3]) -> Option<usize> {
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
