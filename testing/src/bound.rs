//! How far a result may be from the reference.

use wgconv::{Activation, ConvProblem, Element};

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

/// The unit roundoff of the numbers that are stored: 2⁻¹¹ for f16, else that of the sums.
pub fn stored_unit(problem: &ConvProblem) -> f64 {
    if problem.element() == Element::F16 { 2f64.powi(-11) } else { Bound::of(problem).unit }
}

/// `value`, or the infinity that it rounds to in `element`.
pub fn stored(element: Element, value: f64) -> f64 {
    let largest = match element {
        // Half a step past the largest number, where rounding goes up.
        Element::F16 => 65_520.0,
        Element::F32 => f64::from(f32::MAX) + 2f64.powi(103),
        Element::F64 => f64::INFINITY,
    };
    if value.abs() >= largest { f64::INFINITY.copysign(value) } else { value }
}

/// Whether integers give integers: whole factors, and an activation that only selects.
pub fn keeps_integers(problem: &ConvProblem) -> bool {
    let epilogue = problem.epilogue();
    let whole = |value: f64| value.fract() == 0.0;
    let selects = match epilogue.activation {
        Activation::Identity | Activation::Relu => true,
        Activation::Clamp { low, high } => [low, high].into_iter().all(|v| v.is_infinite() || whole(v)),
        _ => false,
    };
    selects
        && whole(epilogue.alpha)
        && whole(epilogue.beta.unwrap_or(0.0))
        && whole(problem.boundary().fill())
}
