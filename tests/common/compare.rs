//! Comparing results with the reference, and keeping count of what was compared.

use std::collections::BTreeMap;
use std::fmt::Write;

use ndarray::{ArrayViewD, Dimension};
use wgconv::{Activation, ConvProblem, Element};

/// Every element equal (0 and −0 are; a NaN equals nothing).
///
/// # Errors
///
/// The first mismatch with its index and both values, and the number of mismatches.
pub fn exact<T: Copy + Into<f64>>(
    name: &str,
    got: ArrayViewD<T>,
    want: ArrayViewD<f64>,
) -> Result<(), String> {
    same_shape(name, got.shape(), want.shape())?;
    let (mut first, mut count) = (None, 0usize);
    for ((index, &want), &got) in want.indexed_iter().zip(got.iter()) {
        let got: f64 = got.into();
        if got != want || got.is_nan() {
            count += 1;
            first.get_or_insert_with(|| {
                format!("at {:?} got {got}, want {want}", index.as_array_view().to_vec())
            });
        }
    }
    match first {
        Some(first) => Err(format!("{name}: {first} ({count} of {} elements differ)", want.len())),
        None => Ok(()),
    }
}

/// How far a floating-point result may be from the f64 reference.
///
/// With `u` the accumulator's unit roundoff and `mag` the same sum over absolute values, theory bounds
/// the error of a sum of `K` products, in any order, by `γ_K·mag`, `γ_K = K·u/(1 − K·u)` (Higham,
/// Accuracy and Stability of Numerical Algorithms, section 3.1). Errors of independent roundings
/// largely cancel: sequential f32 sums of 9 to 11 520 products stayed below `1.2·√K·u·mag` when
/// measured, so `(2·√K + 8)·u·mag` never fails by chance and yet sees one wrong tap.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// `K`
    pub terms: u64,
    /// `u`: 2⁻²⁴ for f32 sums, 2⁻⁵³ for f64 sums.
    pub unit: f64,
    /// How much the activation can enlarge an error of its argument.
    pub gain: f64,
    /// Further error allowed per unit of `|want|`: rounding to the storage type, inexact activations.
    pub relative: f64,
    /// Further error allowed everywhere.
    pub absolute: f64,
}

impl Bound {
    /// For sums stored as they are accumulated.
    pub fn new(terms: u64, unit: f64) -> Self {
        Self { terms, unit, gain: 1.0, relative: 0.0, absolute: 0.0 }
    }

    /// For the result of a problem; `mag` is then that of the activation's argument:
    /// `|alpha|·Σ|x||w| + |beta·residual| + |bias|`.
    pub fn of(problem: &ConvProblem) -> Self {
        let unit = if problem.element() == Element::F64 { 2f64.powi(-53) } else { 2f64.powi(-24) };
        let (gain, slack) = slack(problem.epilogue().activation);
        // f16 results are rounded to 11 bits when stored, in steps of 2⁻²⁴ near 0.
        let (relative, absolute) =
            if problem.element() == Element::F16 { (2f64.powi(-11), 2f64.powi(-24)) } else { (0.0, 0.0) };
        // Slack is stated for f32 and shrinks with the unit.
        let slack = slack * unit / 2f64.powi(-24);
        let terms = problem.terms();
        Self { terms, unit, gain, relative: relative + slack, absolute: absolute + slack }
    }

    /// The largest error allowed.
    pub fn allowed(&self, want: f64, mag: f64) -> f64 {
        let terms = self.terms as f64;
        // A GPU may flush subnormal products to 0: up to 2⁻¹²⁶ each.
        let sum = (2.0 * terms.sqrt() + 8.0) * self.unit * mag + 2f64.powi(-126) * terms;
        self.gain * sum + self.relative * want.abs() + self.absolute
    }
}

/// The largest slope of an activation, and the error in f32 that its own evaluation may add, absolute
/// and per unit of the result.
///
/// WGSL allows `exp` 3 + 2·|x| units in the last place (2⁻²³) and a division 2.5. Where a sigmoid or
/// tanh still depends on the exponential, that comes to less than 2⁻²⁰. A gelu rests on an
/// approximation of erf, whose classic polynomials are good to 1.5e-7 times the argument: 2⁻¹⁸.
fn slack(activation: Activation) -> (f64, f64) {
    match activation {
        Activation::Identity | Activation::Relu | Activation::Clamp { .. } => (1.0, 0.0),
        // One rounding of the slope, one of the product.
        Activation::LeakyRelu { slope } => (slope.abs().max(1.0), 2f64.powi(-22)),
        Activation::Sigmoid => (0.25, 2f64.powi(-20)),
        Activation::Tanh => (1.0, 2f64.powi(-20)),
        Activation::Silu => (1.1, 2f64.powi(-20)),
        Activation::Gelu => (1.13, 2f64.powi(-18)),
        Activation::HardSwish => (1.5, 2f64.powi(-20)),
    }
}

/// Every element within [`Bound::new`]; gives the largest `error / (unit·mag)`.
///
/// # Errors
///
/// As for [`within`].
pub fn within_bound<T: Copy + Into<f64>>(
    name: &str,
    got: ArrayViewD<T>,
    want: ArrayViewD<f64>,
    mag: ArrayViewD<f64>,
    terms: u64,
    unit: f64,
) -> Result<f64, String> {
    within(name, got, want, mag, &Bound::new(terms, unit))
}

/// Every element within `bound`; gives the largest `error / (unit·mag)`. Where the reference is NaN or
/// infinite, the result must be the same.
///
/// # Errors
///
/// The worst element with its index, its error and what was allowed, and the number of excesses.
pub fn within<T: Copy + Into<f64>>(
    name: &str,
    got: ArrayViewD<T>,
    want: ArrayViewD<f64>,
    mag: ArrayViewD<f64>,
    bound: &Bound,
) -> Result<f64, String> {
    same_shape(name, got.shape(), want.shape())?;
    same_shape(name, mag.shape(), want.shape())?;
    let (mut worst, mut message, mut count, mut ratio) = (0.0, String::new(), 0usize, 0f64);
    for (((index, &want), &got), &mag) in want.indexed_iter().zip(got.iter()).zip(mag.iter()) {
        let got: f64 = got.into();
        if got == want || (got.is_nan() && want.is_nan()) {
            continue;
        }
        let (error, allowed) = ((got - want).abs(), bound.allowed(want, mag));
        let excess = if want.is_finite() && error <= allowed {
            if mag > 0.0 {
                ratio = ratio.max(error / (bound.unit * mag));
            }
            continue;
        } else if error.is_finite() && allowed > 0.0 {
            error / allowed
        } else {
            f64::INFINITY
        };
        count += 1;
        if excess > worst {
            worst = excess;
            let at = index.as_array_view().to_vec();
            message = format!("at {at:?} got {got}, want {want}: error {error:.3e}, allowed {allowed:.3e}");
        }
    }
    if count == 0 {
        Ok(ratio)
    } else {
        Err(format!("{name}: {message} ({count} of {} elements)", want.len()))
    }
}

fn same_shape(name: &str, got: &[usize], want: &[usize]) -> Result<(), String> {
    if got == want { Ok(()) } else { Err(format!("{name}: got shape {got:?}, want {want:?}")) }
}

/// What a table-driven test did with its rows: nothing is passed over in silence.
#[derive(Debug, Default)]
pub struct Tally {
    pub ran: usize,
    /// Row and reason.
    pub skipped: Vec<(String, String)>,
    pub failed: Vec<String>,
}

impl Tally {
    /// Counts a row that was compared.
    pub fn check<T>(&mut self, result: Result<T, String>) {
        self.ran += 1;
        if let Err(message) = result {
            self.failed.push(message);
        }
    }

    /// Counts a row that was declined.
    pub fn skip(&mut self, name: impl Into<String>, reason: impl Into<String>) {
        self.skipped.push((name.into(), reason.into()));
    }

    /// Prints what ran and, by reason, what did not.
    ///
    /// # Panics
    ///
    /// If nothing ran or anything failed.
    pub fn finish(self, what: &str) {
        let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, reason) in &self.skipped {
            reasons.entry(reason).or_default().push(name);
        }
        let mut report = format!("{what}: {} pairs ran, {} declined", self.ran, self.skipped.len());
        for (reason, names) in reasons {
            // Past so many, the names say no more than their number.
            const SHOWN: usize = 60;
            let more = if names.len() > SHOWN { ", .." } else { "" };
            let shown = names[..names.len().min(SHOWN)].join(", ");
            let _ = write!(report, "\n  {} x {reason}: {shown}{more}", names.len());
        }
        super::report::report(&report);
        assert!(self.ran > 0, "{what}: nothing ran\n{report}");
        let failed = self.failed.len();
        assert!(failed == 0, "{what}: {failed} of {} failed:\n  {}", self.ran, self.failed.join("\n  "));
    }
}
