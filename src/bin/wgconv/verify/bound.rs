//! How far a result may be from the reference.

use wgconv::ndarray::{ArrayD, Dimension};
use wgconv::{Activation, Algorithm, ConvProblem, Element};

use super::case::Case;

/// What came of one comparison.
#[derive(Debug)]
pub(super) struct Judged {
    /// Whether every element had to be equal.
    pub(super) exact: bool,
    /// Largest error / (u*mag), with the unit roundoff u of the numbers that are stored.
    pub(super) ratio: f64,
    /// The first element that is too far off, and how many are.
    pub(super) excess: Option<String>,
}

pub(super) fn judge(case: &Case, algorithm: Algorithm, result: &ArrayD<f64>) -> Judged {
    let (want, mut mag) = case.reference();
    let problem = &case.problem;
    let exact = is_exact(case, algorithm, &mag);
    if !algorithm.is_exact() {
        // Transforms spread every rounding over all results: the largest of them bounds the error of each.
        let largest = mag.iter().copied().fold(0.0, f64::max);
        mag.fill(largest);
    }
    if result.shape() != want.shape() {
        let excess = format!("got shape {:?}, wanted {:?}", result.shape(), want.shape());
        return Judged { exact, ratio: 0.0, excess: Some(excess) };
    }
    let unit = stored_unit(problem);
    let (mut ratio, mut first, mut count) = (0f64, None, 0u64);
    for ((index, &want), (&got, &mag)) in want.indexed_iter().zip(result.iter().zip(&mag)) {
        // Past its largest number the element type has infinities.
        let want = stored(problem.element(), want);
        if got == want || got.is_nan() && want.is_nan() {
            continue;
        }
        let error = (got - want).abs();
        ratio = ratio.max(if error.is_finite() && mag > 0.0 { error / (unit * mag) } else { f64::INFINITY });
        let allowed = if exact { 0.0 } else { allowed(problem, want, mag) };
        if want.is_finite() && error <= allowed {
            continue;
        }
        count += 1;
        first.get_or_insert_with(|| {
            let at = index.as_array_view().to_vec();
            format!("at {at:?} got {got}, wanted {want}: error {error:.3e}, allowed {allowed:.3e}")
        });
    }
    let excess = first.map(|first| format!("{first} ({count} of {} elements)", want.len()));
    Judged { exact, ratio, excess }
}

/// The relative rounding error of the numbers that are stored.
pub(crate) fn stored_unit(problem: &ConvProblem) -> f64 {
    if problem.element() == Element::F16 { 2f64.powi(-11) } else { unit(problem) }
}

/// `value`, or the infinity that it rounds to in `element`.
fn stored(element: Element, value: f64) -> f64 {
    let largest = match element {
        // Half a step past the largest number, where rounding goes up.
        Element::F16 => 65_520.0,
        Element::F32 => f64::from(f32::MAX) + 2f64.powi(103),
        Element::F64 => f64::INFINITY,
    };
    if value.abs() >= largest { f64::INFINITY.copysign(value) } else { value }
}

/// The relative rounding error of an accumulation.
fn unit(problem: &ConvProblem) -> f64 {
    if problem.element() == Element::F64 { 2f64.powi(-53) } else { 2f64.powi(-24) }
}

/// Whether every order of summation gives the same: integers whose sums of magnitudes fit the
/// significand, by algorithms that do nothing but add products, under an activation that only selects.
fn is_exact(case: &Case, algorithm: Algorithm, mag: &ArrayD<f64>) -> bool {
    let epilogue = case.problem.epilogue();
    let selects = match epilogue.activation {
        Activation::Identity | Activation::Relu => true,
        Activation::Clamp { low, high } => {
            [low, high].into_iter().all(|v| v.is_infinite() || v.fract() == 0.0)
        }
        _ => false,
    };
    let bits = match case.problem.element() {
        Element::F16 => 11,
        Element::F32 => 24,
        Element::F64 => 53,
    };
    selects
        && algorithm.is_exact()
        && case.problem.boundary().fill().fract() == 0.0
        && case.is_of_integers()
        && mag.iter().all(|&mag| mag <= 2f64.powi(bits))
}

/// `(2*sqrt(K) + 8)*u*mag`, through the activation, and what storing adds.
///
/// Theory bounds the error of a sum of `K` products in any order by about `K*u*mag` (Higham, Accuracy
/// and Stability of Numerical Algorithms, section 3.1); roundings largely cancel, and measured errors
/// stay below `1.2*sqrt(K)*u*mag`.
pub(crate) fn allowed(problem: &ConvProblem, want: f64, mag: f64) -> f64 {
    let (terms, unit) = (problem.terms() as f64, unit(problem));
    let (gain, slack) = slack(problem.epilogue().activation);
    let slack = slack * unit / 2f64.powi(-24);
    // f16 results are rounded to 11 bits when stored, in steps of 2^-24 near 0.
    let half = problem.element() == Element::F16;
    let (relative, absolute) = if half { (2f64.powi(-11), 2f64.powi(-24)) } else { (0.0, 0.0) };
    // A GPU may flush subnormal products to 0.
    let sum = (2.0 * terms.sqrt() + 8.0) * unit * mag + 2f64.powi(-126) * terms;
    gain * sum + (relative + slack) * want.abs() + absolute + slack
}

/// The largest slope of an activation, and the error in f32 of its own evaluation, absolute and per
/// unit of the result: WGSL allows `exp` 3 + 2|x| units in the last place and a division 2.5, and
/// classic polynomials for erf are good to 1.5e-7.
fn slack(activation: Activation) -> (f64, f64) {
    match activation {
        Activation::Identity | Activation::Relu | Activation::Clamp { .. } => (1.0, 0.0),
        Activation::LeakyRelu { slope } => (slope.abs().max(1.0), 2f64.powi(-22)),
        Activation::Sigmoid => (0.25, 2f64.powi(-20)),
        Activation::Tanh => (1.0, 2f64.powi(-20)),
        Activation::Silu => (1.1, 2f64.powi(-20)),
        Activation::Gelu => (1.13, 2f64.powi(-18)),
        Activation::HardSwish => (1.5, 2f64.powi(-20)),
    }
}
