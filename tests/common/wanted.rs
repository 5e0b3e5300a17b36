//! What a case's result must be, computed once for everything that is compared with it.

use ndarray::{ArrayD, ArrayViewD};
use wgconv::algorithm::Config;
use wgconv::cpu::reference;
use wgconv::{Activation, Algorithm, Boundary, Choice, ConvProblem, Direction, Element};

use super::cases::Case;
use super::compare::{Bound, exact, within};
use super::values::Data;

/// The reference's result; with magnitudes, results may be off by the bound.
pub struct Wanted {
    name: String,
    result: ArrayD<f64>,
    magnitude: Option<ArrayD<f64>>,
}

impl Wanted {
    /// For integers: equal where `case.exact`, and in f16 only where all sums fit its 11 bits; else within
    /// the bound.
    pub fn of_integers(case: &Case, problem: &ConvProblem, data: &Data) -> Self {
        let half = problem.element() == Element::F16;
        if case.exact && !half {
            return Self::result(case, problem, data);
        }
        let wanted = Self::of_reals(case, problem, data);
        let small = |magnitude: &ArrayD<f64>| magnitude.iter().all(|&m| m <= 2048.0);
        let fits = case.exact && keeps_integers(problem) && wanted.magnitude.as_ref().is_some_and(small);
        if fits { Self { magnitude: None, ..wanted } } else { wanted }
    }

    /// For any numbers: within the bound.
    pub fn of_reals(case: &Case, problem: &ConvProblem, data: &Data) -> Self {
        let magnitude = Some(reference::magnitude(problem, &data.operands()));
        Self { magnitude, ..Self::result(case, problem, data) }
    }

    fn result(case: &Case, problem: &ConvProblem, data: &Data) -> Self {
        let result = reference::run(problem, &data.operands());
        Self { name: case.name.clone(), result, magnitude: None }
    }

    /// Whether results must be equal.
    pub fn is_exact(&self) -> bool {
        self.magnitude.is_none()
    }

    /// Compares the result that `problem`, in whatever element, gave.
    ///
    /// # Errors
    ///
    /// As [`exact`] and [`within`].
    pub fn judge<T: Copy + Into<f64>>(
        &self,
        problem: &ConvProblem,
        got: ArrayViewD<T>,
    ) -> Result<(), String> {
        match &self.magnitude {
            None => exact(&self.name, got, self.result.view()),
            Some(magnitude) => {
                let bound = Bound::of(problem);
                within(&self.name, got, self.result.view(), magnitude.view(), &bound).map(|_| ())
            }
        }
    }
}

impl Wanted {
    /// Compares what was computed with spectra of `points` points: a result may be off, in the Euclidean norm, by
    /// `u·(log₂ points + 0.3·√channels)` of itself, or where its sums cancel, of what sums of independent products of the same
    /// magnitudes come to. Where every sum is an integer that is small against that, rounded it must be equal. Gives the
    /// error in units of what is allowed.
    ///
    /// # Errors
    ///
    /// The error and what was allowed; the number of integers that differ.
    pub fn judge_spectra<T: Copy + Into<f64>>(
        &self,
        problem: &ConvProblem,
        got: ArrayViewD<T>,
        points: u64,
    ) -> Result<f64, String> {
        let Self { name, result: want, .. } = self;
        let magnitude = self.magnitude.as_ref().expect("made with magnitudes");
        if got.shape() != want.shape() {
            return Err(format!("{name}: got shape {:?}, want {:?}", got.shape(), want.shape()));
        }
        let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let got: Vec<f64> = got.iter().map(|&v| v.into()).collect();
        let error = norm(&mut got.iter().zip(want).map(|(got, want)| got - want));
        let bound = Bound::of(problem);
        let terms = (problem.terms().max(1) as f64).sqrt();
        let scale = norm(&mut want.iter().copied()).max(norm(&mut magnitude.iter().copied()) / terms);
        let channels = match problem.direction() {
            Direction::GradInput => problem.c_out() / problem.groups(),
            Direction::Forward => problem.c_in() / problem.groups(),
            // Summed over images, and over tiles.
            Direction::GradWeight => problem.terms().max(1),
        };
        let factor = (points as f64).log2() + 0.3 * (channels as f64).sqrt();
        let slack =
            bound.relative * norm(&mut want.iter().copied()) + bound.absolute * (want.len() as f64).sqrt();
        // Where a boundary repeats cells, a fold adds up what was transformed back, as `direct` adds products, and has its bound.
        let repeats = !matches!(problem.boundary(), Boundary::Zero | Boundary::Constant(_));
        let folded = repeats && problem.direction() == Direction::GradInput;
        let of_fold = norm(&mut magnitude.iter().map(|&mag| bound.allowed(0.0, mag)));
        let slack = if folded { slack + of_fold } else { slack };
        // One rounding of the sum, one of the epilogue's.
        let allowed = bound.gain * bound.unit * (factor + 2.0) * scale + slack;
        if error.is_nan() || error > allowed {
            return Err(format!("{name}: error {error:.3e} in the norm, allowed {allowed:.3e}"));
        }
        let largest = magnitude.iter().copied().fold(0.0, f64::max);
        // Of one element, not of all of them.
        if keeps_integers(problem)
            && want.iter().all(|v| v.fract() == 0.0)
            && allowed < 0.5
            && largest < 2f64.powi(24)
        {
            let differ = got.iter().zip(want).filter(|(got, want)| got.round() != **want).count();
            if differ > 0 {
                return Err(format!("{name}: {differ} of {} integers differ", got.len()));
            }
        }
        Ok(if allowed > 0.0 { error / allowed } else { 0.0 })
    }
}

/// Whether what `choice` gave of integers is equal to the reference, or, by spectra, within their bound.
///
/// # Errors
///
/// As [`exact`] and [`Wanted::judge_spectra`].
pub fn agrees(choice: &Choice, data: &Data, got: ArrayViewD<f64>) -> Result<(), String> {
    let (problem, name) = (&choice.problem, choice.config.to_string());
    let result = reference::run(problem, &data.operands());
    let Config::Fft(config) = choice.config else { return exact(&name, got, result.view()) };
    let magnitude = Some(reference::magnitude(problem, &data.operands()));
    Wanted { name, result, magnitude }.judge_spectra(problem, got, config.points()).map(|_| ())
}

/// The algorithms of the GPU that add nothing but products, so that sums of integers are exact.
pub fn exact_algorithms() -> Vec<Algorithm> {
    Algorithm::ALL.iter().copied().filter(|algorithm| algorithm.is_exact()).collect()
}

/// Whether integers give integers: whole factors, and an activation that only selects.
fn keeps_integers(problem: &ConvProblem) -> bool {
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
