//! How far a result may be off that was computed by transforms.

use ndarray::ArrayD;
use wgconv::cpu::{CpuPlan, reference};
use wgconv::{Boundary, ConvProblem, Direction, Element, Epilogue};

use super::values::Data;

/// The largest relative error of a whole result: `u·(log2 T + 0.3·√c)`, with `T` the product of the lengths of the transforms
/// and `c` the channels that are summed over.
pub fn bound(plan: &CpuPlan) -> f64 {
    let problem = plan.problem();
    let unit = if problem.element() == Element::F64 { 2f64.powi(-53) } else { 2f64.powi(-24) };
    let points = plan.transform_lengths().expect("a plan by transforms").iter().product::<usize>();
    let channels = match problem.direction() {
        Direction::GradInput => problem.c_out(),
        _ => problem.c_in(),
    } / problem.groups();
    // The product and the scale round too, and of a few results the error is no mean.
    let own = (points as f64).log2().max(4.0) + 0.3 * (channels as f64).sqrt();
    // The reference is one long sum in f64, and no more exact than that: sums of 576 to 11 520 products were off by up to
    // 2.5·√K of their root mean square.
    let reference = 1.0 + (problem.terms() as f64).sqrt();
    unit * if problem.element() == Element::F64 { own + reference } else { own }
}

/// What a result must be.
pub struct Spectral {
    result: ArrayD<f64>,
    /// Its norm, being at least that of its terms: of a few sums that cancel, nothing is left to compare with.
    norm: f64,
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

impl Spectral {
    pub fn new(problem: &ConvProblem, data: &Data) -> Self {
        let result = reference::run(problem, &data.operands());
        let norm = norm(result.iter().copied()).max(energy(problem, data));
        Self { result, norm }
    }

    /// # Errors
    ///
    /// An error past the bound; with `integers` a number that is not rounded to the exact one.
    pub fn judge(&self, plan: &CpuPlan, got: &ArrayD<f64>, integers: bool) -> Result<(), String> {
        if got.shape() != self.result.shape() {
            return Err(format!("got shape {:?}, want {:?}", got.shape(), self.result.shape()));
        }
        let error = norm(got.iter().zip(&self.result).map(|(got, want)| got - want));
        let allowed = bound(plan);
        if error > allowed * self.norm || error.is_nan() {
            return Err(format!("relative error {:.2e}, allowed {allowed:.2e}", error / self.norm));
        }
        let step = step(plan.problem());
        let differs = |(got, want): &(&f64, &f64)| (**got / step).round() * step != **want;
        match got.iter().zip(&self.result).find(|pair| integers && differs(pair)) {
            Some((got, want)) => Err(format!("got {got}, want {want}")),
            None => Ok(()),
        }
    }
}

/// The norm that a result of so many independent terms has on average.
fn energy(problem: &ConvProblem, data: &Data) -> f64 {
    let squares = |values: &ArrayD<f64>| values.mapv(|v| v * v);
    let [x, w, h] = [&data.x, &data.w, &data.grad_output].map(squares);
    let mut plain = problem.with_epilogue(Epilogue::default()).expect("the same without an epilogue");
    if let Boundary::Constant(fill) = problem.boundary() {
        plain = plain.with_boundary(Boundary::Constant(fill * fill)).expect("a small constant");
    }
    let operands = reference::Operands64 {
        input: Some(x.view()),
        weight: Some(w.view()),
        grad_output: Some(h.view()),
        ..Default::default()
    };
    reference::run(&plain, &operands).sum().sqrt() * problem.epilogue().alpha.abs()
}

/// What every result on integers is a multiple of: its factors have a few binary digits.
fn step(problem: &ConvProblem) -> f64 {
    let epilogue = problem.epilogue();
    let [slope, _] = epilogue.activation.code().1;
    let factors = [epilogue.alpha, epilogue.beta.unwrap_or(1.0), problem.boundary().fill(), slope];
    let whole = |scale: f64| factors.iter().all(|f| !f.is_finite() || (f * scale).fract() == 0.0);
    let scale = (0..8).map(|bits| f64::from(1u32 << bits)).find(|scale| whole(*scale)).unwrap_or(256.0);
    // A boundary's constant, a factor and a slope may all be fractions.
    if scale == 1.0 { 1.0 } else { scale.powi(-2) }
}
