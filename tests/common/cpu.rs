//! One convolution, computed by every CPU path.

// Every test file that includes this uses a part of it.
#![allow(clippy::cast_possible_truncation, reason = "sizes are small; rounding to f32 is meant")]

use ndarray::{Array1, ArrayD};
use wgconv::internals::cpu::reference::{self, Operands64};
use wgconv::internals::cpu::{CpuPlan, Real};
use wgconv::{Algorithm, Conv, ConvProblem, Direction, Element};

/// Operands, all of them: what a direction does not read is ignored.
#[derive(Clone, Debug)]
pub(crate) struct Tensors {
    pub(crate) x: ArrayD<f64>,
    pub(crate) w: ArrayD<f64>,
    pub(crate) h: ArrayD<f64>,
    pub(crate) residual: ArrayD<f64>,
    pub(crate) bias: Array1<f64>,
}

impl Tensors {
    /// For `problem`: element `i` of the `t`-th tensor is `value(t, i)`.
    pub(crate) fn new(problem: &ConvProblem, mut value: impl FnMut(u64, u64) -> f64) -> Self {
        let mut tensor = |t, shape: Vec<usize>| {
            let mut i = 0;
            ArrayD::from_shape_simple_fn(shape, || {
                i += 1;
                value(t, i)
            })
        };
        Self {
            x: tensor(0, problem.input().shape()),
            w: tensor(1, problem.weight().shape()),
            h: tensor(2, problem.output().shape()),
            residual: tensor(3, problem.result().shape()),
            bias: tensor(4, vec![problem.bias_len() as usize]).into_dimensionality().unwrap(),
        }
    }

    pub(crate) fn operands(&self) -> Operands64<'_> {
        Operands64 {
            input: Some(self.x.view()),
            weight: Some(self.w.view()),
            grad_output: Some(self.h.view()),
            residual: Some(self.residual.view()),
            bias: Some(self.bias.view().into_dyn()),
        }
    }
}

/// `problem` by `algorithm` in `T`.
pub(crate) fn run_by<T: Real>(
    problem: &ConvProblem,
    operands: &Operands64<'_>,
    algorithm: Algorithm,
) -> ArrayD<f64> {
    let plan = CpuPlan::new(problem, algorithm).unwrap();
    let narrow = operands.map(|view| view.as_ref().map(|view| view.mapv(T::from_f64)));
    let operands = narrow.map(|array| array.as_ref().map(|array| array.view()));
    plan.run(&operands, None).unwrap().mapv(T::to_f64)
}

/// The shapes of a convolution, and its description.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) x: Vec<usize>,
    pub(crate) w: Vec<usize>,
    pub(crate) conv: Conv,
}

impl Spec {
    pub(crate) fn new(x: &[usize], w: &[usize], conv: Conv) -> Self {
        Self { x: x.to_vec(), w: w.to_vec(), conv }
    }

    pub(crate) fn problem(&self, element: Element) -> ConvProblem {
        ConvProblem::new(&self.x, &self.w, &self.conv.clone().element(element)).unwrap()
    }

    pub(crate) fn direction(&self, direction: Direction) -> Self {
        Self { conv: self.conv.clone().direction(direction), ..self.clone() }
    }

    /// With a weight of its own for every output position.
    pub(crate) fn unshared(mut self) -> Self {
        let output = self.problem(Element::F32).output().shape();
        self.w.splice(1..1, output[2..].iter().copied());
        self.conv.unshared = true;
        self
    }

    /// By `Direct` in f32, widened.
    pub(crate) fn direct(&self, operands: &Operands64<'_>) -> ArrayD<f64> {
        run_by::<f32>(&self.problem(Element::F32), operands, Algorithm::Direct)
    }

    /// Every path on operands whose sums are exact, by name.
    pub(crate) fn every_path(&self, operands: &Operands64<'_>) -> Vec<(&'static str, ArrayD<f64>)> {
        let (f32, f64) = (self.problem(Element::F32), self.problem(Element::F64));
        vec![
            ("the reference", reference::run(&f64, operands)),
            ("direct in f32", run_by::<f32>(&f32, operands, Algorithm::Direct)),
            ("direct in f64", run_by::<f64>(&f64, operands, Algorithm::Direct)),
            ("the reference in f32", run_by::<f32>(&f32, operands, Algorithm::Reference)),
        ]
    }

    /// Every path gives exactly `want`.
    pub(crate) fn check(&self, operands: &Operands64<'_>, want: &ArrayD<f64>) {
        for (path, got) in self.every_path(operands) {
            assert_eq!(&got, want, "{path}: {self:?}");
        }
    }
}

/// A number from 0 to 2^53 − 1 that looks random (splitmix64).
pub(crate) fn noise(seed: u64, t: u64, i: u64) -> u64 {
    let mut z = seed ^ t.wrapping_mul(0xA076_1D64_78BD_642F) ^ i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)) >> 11
}

/// Integers from −`most` to `most`.
pub(crate) fn integers(seed: u64, most: i64) -> impl FnMut(u64, u64) -> f64 {
    move |t, i| (noise(seed, t, i) % (2 * most as u64 + 1)) as f64 - most as f64
}

/// f32 numbers from −1 to 1.
pub(crate) fn reals(seed: u64) -> impl FnMut(u64, u64) -> f64 {
    move |t, i| f64::from((noise(seed, t, i) as f64 / (1u64 << 52) as f64 - 1.0) as f32)
}
