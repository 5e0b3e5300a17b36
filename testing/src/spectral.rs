//! How far a result may be off that was computed by transforms.

use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD};
use wgconv::internals::cpu::reference;
use wgconv::{Boundary, ConvProblem, Direction, Epilogue, TensorLayout};

use crate::bound::Bound;
use crate::cases::exact_on_integers;
use crate::known;
use crate::values::Data;

/// The largest relative error of a whole result: `u·(log2 T + 0.3·√c)`, with `T` the product of the lengths of the transforms,
/// `points`, and `c` the numbers that are added up one after the other: channels in every bin, of the gradient of the weight images
/// and tiles; and what a boundary that repeats cells gives back to each.
///
/// What is added up of one sign, and the same every time, adds to that `(min(c, 128) + c / 128) / 4`: in every block of 128, and once
/// more of the blocks, all roundings may go the same way.
fn bound(problem: &ConvProblem, points: u64, one_sign: bool) -> f64 {
    let unit = Bound::of(problem).unit;
    let cells = |layout: &TensorLayout| layout.extents[2..].iter().product::<u64>().max(1);
    let [x, y] = [cells(problem.input()), cells(problem.output())];
    let folds = |each: u64| if problem.boundary().repeats() { each.max(1) } else { 1 };
    let summed = match problem.direction() {
        Direction::Forward => problem.c_in() / problem.groups(),
        Direction::GradInput => problem.c_out() / problem.groups() * folds(y / x),
        // No fewer than the tiles of an image would be if they did not overlap.
        Direction::GradWeight => problem.n() * (y / points).max(1),
    };
    let summed = summed as f64;
    let alike = if one_sign { (summed.min(128.0) + summed / 128.0) / 4.0 } else { 0.0 };
    // Below 8 points the products are rounded as much as their transforms.
    unit * ((points.max(8) as f64).log2() + 0.3 * summed.sqrt() + alike)
}

/// Of so many results and more the bound holds as it stands. The errors of fewer are a sample, and depend on each other where
/// their tiles are the same ones: they may be twice as large, but see [`Ratios`].
const MANY: usize = 4096;

/// Errors in units of the bound, of many results.
#[derive(Default)]
pub struct Ratios {
    worst: f64,
    count: usize,
    over: usize,
}

impl Ratios {
    pub fn add(&mut self, ratio: f64) {
        self.worst = self.worst.max(ratio);
        self.count += 1;
        self.over += usize::from(ratio > 1.0);
    }

    /// What they were, in words.
    ///
    /// # Panics
    ///
    /// If more than one in a hundred is past the bound, and more than four.
    pub fn tell(&self) -> String {
        let Self { worst, count, over } = self;
        assert!(100 * over <= *count.max(&400), "{over} of {count} results are past the bound");
        format!("worst {worst:.2} of the bound, past it {over} of {count}")
    }
}

/// What a result must be.
pub struct Spectral {
    result: Arc<ArrayD<f64>>,
    /// Its norm, being at least that of its terms: of a few sums that cancel, nothing is left to compare with.
    norm: f64,
    /// Whether the operands are integers.
    integers: bool,
    /// Whether all numbers have one sign.
    one_sign: bool,
}

fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|value| value * value).sum::<f64>().sqrt()
}

impl Spectral {
    pub fn new(problem: &ConvProblem, data: &Data) -> Self {
        let result = known::result(problem, data);
        let norm = norm(result.iter().copied()).max(energy(problem, data));
        Self { result, norm, integers: data.are_integers(), one_sign: false }
    }

    /// For operands of one sign: their roundings may all go the same way.
    #[must_use]
    pub fn of_one_sign(self) -> Self {
        Self { one_sign: true, ..self }
    }

    /// Compares what was computed by transforms of `points` points in all. Gives the error in units of the bound.
    ///
    /// # Errors
    ///
    /// An error past the bound; of integers a number that is not rounded to the exact one.
    pub fn judge<T: Copy + Into<f64>>(
        &self,
        problem: &ConvProblem,
        points: u64,
        got: ArrayViewD<T>,
    ) -> Result<f64, String> {
        let want = &self.result;
        if got.shape() != want.shape() {
            return Err(format!("got shape {:?}, want {:?}", got.shape(), want.shape()));
        }
        let got: Vec<f64> = got.iter().map(|&value| value.into()).collect();
        let error = norm(got.iter().zip(&**want).map(|(got, want)| got - want));
        // What the activation adds is not of the transforms.
        let own = Bound::of(problem);
        let slack = own.relative * norm(want.iter().copied()) + own.absolute * (want.len() as f64).sqrt();
        let bound = own.gain * bound(problem, points, self.one_sign) * self.norm + slack;
        let allowed = if want.len() < MANY { 2.0 * bound } else { bound };
        if error > allowed || error.is_nan() {
            return Err(format!(
                "relative error {:.3e} of {} results, allowed {:.3e}",
                error / self.norm,
                want.len(),
                allowed / self.norm,
            ));
        }
        let exact = self.integers && exact_on_integers(problem.epilogue().activation);
        let step = step(problem);
        let differs = |(got, want): &(&f64, &f64)| (**got / step).round() * step != **want;
        match got.iter().zip(&**want).find(|pair| exact && differs(pair)) {
            Some((got, want)) => Err(format!("got {got}, want {want}")),
            None => Ok(if bound > 0.0 { error / bound } else { 0.0 }),
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
