//! Some cells of a result, each computed by its own sum in f64: the whole of a large result would take a processor longer
//! than all that is timed.

use rayon::prelude::*;
use wgconv::ndarray::ArrayD;
use wgconv::operation::Role;
use wgconv::{Algorithm, Axis, ConvProblem, Direction};
use wgconv_testing::{Bound, stored_unit, values::Random};

use crate::operands::Number;

/// Most cells that are computed; a result of no more of them is compared whole.
const CELLS: u64 = 4096;
/// Most products of all cells together.
const PRODUCTS: u64 = 1 << 28;
/// So many cells at least, however long their sums are.
const FEWEST: u64 = 8;

/// What some cells of the result must be.
#[derive(Debug)]
pub(super) struct Sample {
    /// Place in the result in logical order, value, and the sum of the magnitudes of its products.
    cells: Vec<(usize, f64, f64)>,
}

/// How a result compares.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Compared {
    /// Cells that were compared.
    pub(super) cells: usize,
    /// Largest error / (u*mag), with the largest magnitude where an algorithm transforms operands.
    pub(super) error: f64,
    /// The first cell that is too far off, in words.
    pub(super) excess: Option<String>,
}

/// Pairs of places along one axis whose products a cell sums: in the first and in the second factor.
type Pairs = Vec<(usize, usize)>;

/// The factors of a result's cells, whatever the direction.
struct Factors<'a, T> {
    problem: &'a ConvProblem,
    a: &'a [T],
    b: &'a [T],
    a_shape: Vec<usize>,
    b_shape: Vec<usize>,
    result: Vec<usize>,
}

impl Sample {
    /// Of the result of `problem` on these operands.
    pub(super) fn new<T: Number>(problem: &ConvProblem, operands: &[(Role, ArrayD<T>)]) -> Self {
        let of = |role: Role| operands.iter().find(|(other, _)| *other == role).map(|(_, array)| array);
        let [a, b] = match problem.direction() {
            Direction::Forward => [Role::Input, Role::Weight],
            Direction::GradInput => [Role::GradOutput, Role::Weight],
            Direction::GradWeight => [Role::Input, Role::GradOutput],
        };
        let (Some(a), Some(b)) = (of(a), of(b)) else { return Self { cells: Vec::new() } };
        let factors = Factors {
            problem,
            // No panic: made-up operands lie in order.
            a: a.as_slice().expect("an operand in order"),
            // No panic: as above.
            b: b.as_slice().expect("an operand in order"),
            a_shape: a.shape().to_vec(),
            b_shape: b.shape().to_vec(),
            result: problem.result().shape(),
        };
        let cell = |at: usize| {
            let (value, magnitude) = factors.sum(at);
            (at, value, magnitude)
        };
        Self { cells: places(&factors.result, problem.terms()).into_par_iter().map(cell).collect() }
    }

    /// Compares a result in logical order. `algorithm` computed it: one that transforms operands spreads every rounding over
    /// all cells, so the largest magnitude of them bounds the error of each.
    pub(super) fn compare<T: Number>(
        &self,
        problem: &ConvProblem,
        algorithm: Algorithm,
        result: &ArrayD<T>,
    ) -> Compared {
        let unit = stored_unit(problem);
        let least = match algorithm.is_exact() {
            true => 0.0,
            false => self.cells.iter().fold(0.0, |most, &(_, _, magnitude)| magnitude.max(most)),
        };
        let mut compared = Compared { cells: self.cells.len(), error: 0.0, excess: None };
        let Some(values) = result.as_slice().filter(|_| result.shape() == problem.result().shape()) else {
            let excess = format!("got shape {:?}, wanted {:?}", result.shape(), problem.result().shape());
            return Compared { excess: Some(excess), ..compared };
        };
        for &(at, wanted, magnitude) in &self.cells {
            let got: f64 = values[at].into();
            if got == wanted {
                continue;
            }
            let (error, magnitude) = ((got - wanted).abs(), magnitude.max(least));
            // What nothing is added up to is 0 and nothing else; so is a NaN never near anything.
            let ratio = if magnitude > 0.0 { error / (unit * magnitude) } else { f64::INFINITY };
            compared.error = compared.error.max(if ratio.is_nan() { f64::INFINITY } else { ratio });
            let allowed = Bound::of(problem).allowed(wanted, magnitude);
            if (error.is_nan() || error > allowed) && compared.excess.is_none() {
                let excess =
                    format!("cell {at} is {got}, wanted {wanted}: error {error:.3e}, allowed {allowed:.3e}");
                compared.excess = Some(excess);
            }
        }
        compared
    }
}

/// Where to look: everywhere if that is quick, else at every corner and at places spread over the rest.
fn places(shape: &[usize], terms: u64) -> Vec<usize> {
    let cells: usize = shape.iter().product();
    let most = (PRODUCTS / terms.max(1)).clamp(FEWEST, CELLS);
    if cells as u64 <= most {
        return (0..cells).collect();
    }
    // Every combination of first and last along the axes, the very first and the very last in front.
    let corners = 1usize << shape.len();
    let end = |corner: usize, axis: usize| if corner >> axis & 1 == 1 { shape[axis] - 1 } else { 0 };
    let mut places = Vec::new();
    for corner in [0, corners - 1].into_iter().chain(1..corners - 1) {
        let place = (0..shape.len()).fold(0, |place, axis| place * shape[axis] + end(corner, axis));
        if !places.contains(&place) && (places.len() as u64) < most {
            places.push(place);
        }
    }
    let mut random = Random::new(0x9E37_79B9_7F4A_7C15);
    while (places.len() as u64) < most {
        places.push(random.below(cells as u64) as usize);
    }
    places.sort_unstable();
    places.dedup();
    places
}

/// The places along one axis that the cell at `at` of the result sums over.
fn pairs(axis: &Axis, direction: Direction, at: usize) -> Pairs {
    let (at, input, output) = (at as i64, axis.input as i64, axis.output as i64);
    let (stride, dilation, pad) = (axis.stride as i64, axis.dilation as i64, axis.pad_begin as i64);
    let inside = |place: i64, extent: i64| (0..extent).contains(&place).then_some(place as usize);
    match direction {
        // Tap k of output `at` reads x at o*stride + k*dilation - pad.
        Direction::Forward => (0..axis.kernel as i64)
            .filter_map(|k| Some((inside(at * stride + k * dilation - pad, input)?, k as usize)))
            .collect(),
        // x at `at` is read by tap k of the output whose stride leads there.
        Direction::GradInput => (0..axis.kernel as i64)
            .filter_map(|k| {
                let from = at + pad - k * dilation;
                let output = inside(from.div_euclid(stride), output)?;
                (from.rem_euclid(stride) == 0).then_some((output, k as usize))
            })
            .collect(),
        // Tap `at` reads this x for that output.
        Direction::GradWeight => (0..output)
            .filter_map(|o| Some((inside(o * stride + at * dilation - pad, input)?, o as usize)))
            .collect(),
    }
}

impl<T: Number> Factors<'_, T> {
    /// The value of a cell of the result, and the sum of the magnitudes of its products.
    fn sum(&self, at: usize) -> (f64, f64) {
        let mut index = vec![0; self.result.len()];
        let mut rest = at;
        for axis in (0..index.len()).rev() {
            index[axis] = rest % self.result[axis];
            rest /= self.result[axis];
        }
        let direction = self.problem.direction();
        let axes = self.problem.axes().iter().zip(&index[2..]);
        let mut pairs: Vec<Pairs> = axes.map(|(axis, &at)| pairs(axis, direction, at)).collect();
        // Up to two axes of one place each in front.
        while pairs.len() < 3 {
            pairs.insert(0, vec![(0, 0)]);
        }
        let (mut sum, mut magnitude) = (0.0, 0.0);
        for (a, b) in self.lines(&index) {
            for &(az, bz) in &pairs[0] {
                for &(ay, by) in &pairs[1] {
                    let (a, b) = (self.row(a, &self.a_shape, az, ay), self.row(b, &self.b_shape, bz, by));
                    for &(ax, bx) in &pairs[2] {
                        let (a, b): (f64, f64) = (self.a[a + ax].into(), self.b[b + bx].into());
                        sum += a * b;
                        magnitude += (a * b).abs();
                    }
                }
            }
        }
        (sum, magnitude)
    }

    /// The images and channels that a cell sums over, as pairs of their numbers in both factors.
    fn lines(&self, index: &[usize]) -> Vec<(usize, usize)> {
        let [c_in, c_out, groups, n] =
            [self.problem.c_in(), self.problem.c_out(), self.problem.groups(), self.problem.n()]
                .map(|count| usize::try_from(count).unwrap_or(usize::MAX));
        let (ins, outs) = (c_in / groups, c_out / groups);
        match (self.problem.direction(), index[0], index[1]) {
            (Direction::Forward, image, q) => {
                let first = q / outs * ins;
                (0..ins).map(|c| (image * c_in + first + c, q * ins + c)).collect()
            }
            (Direction::GradInput, image, c) => {
                let first = c / ins * outs;
                (first..first + outs).map(|q| (image * c_out + q, q * ins + c % ins)).collect()
            }
            (Direction::GradWeight, q, c) => {
                let channel = q / outs * ins + c;
                (0..n).map(|image| (image * c_in + channel, image * c_out + q)).collect()
            }
        }
    }

    /// The first place of row (`z`, `y`) in line number `line` of an array of this shape.
    fn row(&self, line: usize, shape: &[usize], z: usize, y: usize) -> usize {
        let extent = |back: usize| if shape.len() >= 2 + back { shape[shape.len() - back] } else { 1 };
        ((line * extent(3) + z) * extent(2) + y) * extent(1)
    }
}

#[cfg(test)]
mod tests {
    use wgconv::Conv;
    use wgconv::internals::cpu::reference::{self, Operands64};

    use super::super::values;
    use super::*;

    fn problems() -> Vec<ConvProblem> {
        let rows: [(&[usize], &[usize], Conv); 5] = [
            (&[2, 3, 17], &[4, 3, 5], Conv::default().stride(2).padding(3)),
            (
                &[3, 6, 9, 8],
                &[4, 3, 3, 2],
                Conv::default().groups(2).stride([2, 1]).dilation([1, 3]).padding([2, 1]),
            ),
            (&[2, 5, 7, 7], &[5, 1, 3, 3], Conv::default().groups(5).padding(1)),
            (&[1, 2, 5, 6, 7], &[3, 2, 2, 3, 3], Conv::default().stride([1, 2, 3]).padding([0, 1, 2])),
            // Padding that no tap leaves: cells that are 0.
            (&[1, 1, 3], &[1, 1, 2], Conv::default().padding(6)),
        ];
        let of = |(x, w, conv): &(&[usize], &[usize], Conv)| {
            [Direction::Forward, Direction::GradInput, Direction::GradWeight].map(|direction| {
                let conv = conv.clone().direction(direction).element(wgconv::Element::F64);
                ConvProblem::new(x, w, &conv).expect("a convolution")
            })
        };
        rows.iter().flat_map(of).collect()
    }

    #[test]
    fn cells_are_what_the_reference_says() {
        for problem in problems() {
            let operands = values::operands::<f64>(&problem, "a name").expect("memory");
            let of =
                |wanted| operands.iter().find(|(role, _)| *role == wanted).map(|(_, array)| array.view());
            let wide = Operands64 {
                input: of(Role::Input),
                weight: of(Role::Weight),
                grad_output: of(Role::GradOutput),
                ..Default::default()
            };
            let (want, mag) = (reference::run(&problem, &wide), reference::magnitude(&problem, &wide));
            let sample = Sample::new(&problem, &operands);
            assert_eq!(sample.cells.len(), want.len());
            for (&(_, value, magnitude), (want, mag)) in sample.cells.iter().zip(want.iter().zip(&mag)) {
                assert!(
                    (value - want).abs() <= 1e-12 * mag && (magnitude - mag).abs() <= 1e-12 * mag,
                    "{problem:?}"
                );
            }
            let fine = sample.compare(&problem, Algorithm::Direct, &want);
            assert!(fine.excess.is_none() && fine.cells == want.len() && fine.error < 10.0, "{fine:?}");
            for error in [1e-9, f64::NAN, f64::INFINITY] {
                let mut wrong = want.clone();
                *wrong.iter_mut().last().expect("a cell") += error;
                let seen = sample.compare(&problem, Algorithm::Direct, &wrong);
                assert!(seen.excess.is_some() && seen.error > 1e3, "{error}: {seen:?}");
            }
            let flat = want.clone().into_shape_with_order(want.len()).expect("a line").into_dyn();
            assert!(sample.compare(&problem, Algorithm::Direct, &flat).excess.is_some(), "another shape");
        }
    }

    #[test]
    fn a_transform_is_as_exact_as_its_largest_sum() {
        // The first cell sums one product, those in the middle eight.
        let problem =
            ConvProblem::new(&[1, 1, 64], &[1, 1, 8], &Conv::default().padding(7)).expect("a problem");
        let operands = values::operands::<f32>(&problem, "a name").expect("memory");
        let sample = Sample::new(&problem, &operands);
        let exact: Vec<f32> = sample.cells.iter().map(|&(_, value, _)| value as f32).collect();
        let mut result = ArrayD::from_shape_vec(problem.result().shape(), exact).expect("every cell");
        let largest = sample.cells.iter().map(|cell| cell.2).fold(0.0, f64::max);
        result[[0, 0, 0]] += (10.0 * 2f64.powi(-24) * largest) as f32;
        let [by_sums, by_spectra] =
            [Algorithm::Direct, Algorithm::Fft].map(|algorithm| sample.compare(&problem, algorithm, &result));
        assert!(by_sums.excess.is_some() && by_sums.error > 2.0 * by_spectra.error, "{by_sums:?}");
        assert!(by_spectra.excess.is_none() && by_spectra.error > 9.0, "{by_spectra:?}");
    }

    #[test]
    fn a_sample_has_the_corners() {
        let shape = [3, 50, 40, 30];
        let cells = 3 * 50 * 40 * 30;
        let some = places(&shape, 27);
        assert!((4000..=4096).contains(&some.len()), "{}", some.len());
        for corner in [0, 29, 39 * 30, 1199, 49 * 1200, cells - 1200, cells - 30, cells - 1] {
            assert!(some.contains(&corner), "{corner}");
        }
        let few = places(&shape, 1 << 40);
        assert!(few.len() == 8 && few.contains(&0) && few.contains(&(cells - 1)), "{few:?}");
        assert_eq!(places(&[2, 3, 4], 27), (0..24).collect::<Vec<_>>());
    }
}
