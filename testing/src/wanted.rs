//! What a case's result must be, computed once for everything that is compared with it.

use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD};
use wgconv::internals::algorithm::FftConfig;
use wgconv::internals::planner::Choice;
use wgconv::{Algorithm, ConvProblem, Element};

use crate::bound::{Bound, keeps_integers};
use crate::cases::Case;
use crate::compare::{exact, within};
use crate::known;
use crate::spectral::Spectral;
use crate::values::Data;

/// The reference's result; with magnitudes, results may be off by the bound.
pub struct Wanted {
    name: String,
    result: Arc<ArrayD<f64>>,
    magnitude: Option<Arc<ArrayD<f64>>>,
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
        let small = |magnitude: &Arc<ArrayD<f64>>| magnitude.iter().all(|&m| m <= 2048.0);
        let fits = case.exact && keeps_integers(problem) && wanted.magnitude.as_ref().is_some_and(small);
        if fits { Self { magnitude: None, ..wanted } } else { wanted }
    }

    /// For any numbers: within the bound.
    pub fn of_reals(case: &Case, problem: &ConvProblem, data: &Data) -> Self {
        let magnitude = Some(known::magnitude(problem, data));
        Self { magnitude, ..Self::result(case, problem, data) }
    }

    fn result(case: &Case, problem: &ConvProblem, data: &Data) -> Self {
        Self { name: case.name.clone(), result: known::result(problem, data), magnitude: None }
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

/// Whether what `choice` gave of integers is equal to the reference, or, by spectra, within their bound.
///
/// # Errors
///
/// As [`exact`] and [`Spectral::judge`].
pub fn agrees(choice: &Choice, data: &Data, got: ArrayViewD<f64>) -> Result<(), String> {
    let problem = &choice.problem;
    let Some(config) = choice.config.get::<FftConfig>() else {
        let result = known::result(problem, data);
        return exact(&choice.config.to_string(), got, result.view());
    };
    Spectral::new(problem, data).judge(problem, config.points(), got).map(|_| ())
}

/// The algorithms of the GPU that add nothing but products, so that sums of integers are exact.
pub fn exact_algorithms() -> Vec<Algorithm> {
    Algorithm::on_gpu().iter().copied().filter(|algorithm| algorithm.is_exact()).collect()
}
