//! Whether a result is near enough to the reference.

use wgconv::Algorithm;
use wgconv::ndarray::{ArrayD, Dimension};
use wgconv_testing::{Bound, keeps_integers, stored, stored_unit};

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
    let (unit, bound) = (stored_unit(problem), Bound::of(problem));
    let (mut ratio, mut first, mut count) = (0f64, None, 0u64);
    for ((index, &want), (&got, &mag)) in want.indexed_iter().zip(result.iter().zip(&mag)) {
        // Past its largest number the element type has infinities.
        let want = stored(problem.element(), want);
        if got == want || got.is_nan() && want.is_nan() {
            continue;
        }
        let error = (got - want).abs();
        ratio = ratio.max(if error.is_finite() && mag > 0.0 { error / (unit * mag) } else { f64::INFINITY });
        let allowed = if exact { 0.0 } else { bound.allowed(want, mag) };
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

/// Whether every order of summation gives the same: integers whose sums of magnitudes fit the significand, by algorithms that
/// do nothing but add products, under an epilogue that keeps integers.
fn is_exact(case: &Case, algorithm: Algorithm, mag: &ArrayD<f64>) -> bool {
    let bits = match case.problem.element() {
        wgconv::Element::F16 => 11,
        wgconv::Element::F32 => 24,
        wgconv::Element::F64 => 53,
    };
    algorithm.is_exact()
        && keeps_integers(&case.problem)
        && case.is_of_integers()
        && mag.iter().all(|&mag| mag <= 2f64.powi(bits))
}
