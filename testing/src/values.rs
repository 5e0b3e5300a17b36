//! Values for a problem's operands: the same for the same seed on every machine.

use ndarray::{Array1, ArrayD, ArrayViewD, Dimension, IxDyn};
use wgconv::internals::cpu::reference::Operands64;
use wgconv::{ConvProblem, Direction, Element, Operands, TensorLayout, Weight};

/// splitmix64 (Steele, Lea and Flood 2014).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`; the bias of the remainder is far below what a test could see.
    pub fn below(&mut self, end: u64) -> u64 {
        self.bits() % end
    }

    /// A multiple of 2⁻³² in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 32) as f64 / 4_294_967_296.0
    }
}

/// A seed from a case's name (FNV-1a).
pub fn seed_of(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3))
}

/// Integers from `-max_abs` to `max_abs`; the first four are not 0, so that no operand is all 0.
pub fn ints(seed: u64, len: usize, max_abs: u32) -> Vec<f64> {
    let mut random = Random::new(seed);
    let wide = i64::from(max_abs);
    (0..len)
        .map(|i| match random.below(2 * u64::from(max_abs) + 1) as i64 - wide {
            0 if i < 4 => wide as f64,
            value => value as f64,
        })
        .collect()
}

/// About N(0, 1), never past ±6, as f32 holds it.
pub fn reals(seed: u64, len: usize) -> Vec<f64> {
    let mut random = Random::new(seed);
    (0..len).map(|_| f64::from(normal(&mut random) as f32)).collect()
}

/// About N(0, 1), never past ±6, in steps of 1/256, as f16 holds it.
pub fn coarse_reals(seed: u64, len: usize) -> Vec<f64> {
    let mut random = Random::new(seed);
    (0..len).map(|_| (normal(&mut random) * 256.0).round() / 256.0).collect()
}

fn normal(random: &mut Random) -> f64 {
    (0..12).map(|_| random.unit()).sum::<f64>() - 6.0
}

/// 0 everywhere but a 1 at the `at`-th element in logical order (modulo the number of elements).
pub fn one_hot(shape: &[usize], at: usize) -> ArrayD<f64> {
    let mut array = ArrayD::zeros(IxDyn(shape));
    let len = array.len();
    if let Some(element) = array.iter_mut().nth(at.checked_rem(len).unwrap_or(0)) {
        *element = 1.0;
    }
    array
}

/// The largest absolute integer for x, w, bias and residual so that all sums stay exact.
///
/// The sums stay below 2²⁰ for f32 and f64, which leaves bits for fractions from the epilogue's
/// factors; ±1 is allowed up to 2²⁴. For f16 the target is 2¹⁰, but ±1 is taken for any number of terms.
pub fn max_int(problem: &ConvProblem) -> u32 {
    let (terms, fill, epilogue) = (problem.terms() as f64, problem.boundary().fill(), problem.epilogue());
    let largest = |m: u32| {
        let m = f64::from(m);
        let conv = terms * m * m.max(fill.abs());
        conv.max(conv * epilogue.alpha.abs()) + m * (epilogue.beta.unwrap_or(0.0).abs() + 1.0)
    };
    let half = problem.element() == Element::F16;
    let budget = if half { 1024.0 } else { 1_048_576.0 };
    let wide = (1..=8).rev().find(|&m| largest(m) < budget);
    assert!(wide.is_some() || half || largest(1) < 16_777_216.0, "no integers keep {problem:?} exact");
    wide.unwrap_or(1)
}

/// The operands of a problem, in logical order. All that any direction needs is there.
#[derive(Clone, Debug)]
pub struct Data {
    pub x: ArrayD<f64>,
    pub w: ArrayD<f64>,
    /// Present if the problem's epilogue adds one.
    pub bias: Option<Array1<f64>>,
    /// Of the result's shape; present if the problem's epilogue adds one.
    pub residual: Option<ArrayD<f64>>,
    pub grad_output: ArrayD<f64>,
}

impl Data {
    /// Small integers, for which the result is exact in f32; see [`max_int`].
    pub fn ints(problem: &ConvProblem, seed: u64) -> Self {
        let max_abs = max_int(problem);
        Self::new(problem, seed, |seed, len| ints(seed, len, max_abs))
    }

    /// Normally distributed numbers that the problem's element holds exactly.
    pub fn reals(problem: &ConvProblem, seed: u64) -> Self {
        match problem.element() {
            Element::F16 => Self::coarse(problem, seed),
            _ => Self::new(problem, seed, reals),
        }
    }

    /// The same in steps of 1/256: sums of their products are exact in f64.
    pub fn coarse(problem: &ConvProblem, seed: u64) -> Self {
        Self::new(problem, seed, coarse_reals)
    }

    fn new(problem: &ConvProblem, seed: u64, values: impl Fn(u64, usize) -> Vec<f64>) -> Self {
        let mut seeds = Random::new(seed);
        let mut next = |layout: &TensorLayout| operand(layout, |len| values(seeds.bits(), len));
        let (x, w, grad_output) = (next(problem.input()), next(problem.weight()), next(problem.output()));
        let epilogue = problem.epilogue();
        let residual = epilogue.beta.map(|_| next(problem.result()));
        let len = problem.bias_len() as usize;
        let bias = epilogue.bias.then(|| Array1::from(values(seeds.bits(), len)));
        Self { x, w, bias, residual, grad_output }
    }

    /// Whether all numbers are integers.
    pub fn are_integers(&self) -> bool {
        let tensors = [&self.x, &self.w, &self.grad_output].into_iter().chain(&self.residual);
        let numbers = tensors.flatten().chain(self.bias.iter().flatten());
        numbers.into_iter().all(|value| value.fract() == 0.0)
    }

    /// As the reference takes them.
    pub fn operands(&self) -> Operands64<'_> {
        Operands64 {
            input: Some(self.x.view()),
            weight: Some(self.w.view()),
            grad_output: Some(self.grad_output.view()),
            residual: self.residual.as_ref().map(|r| r.view()),
            bias: self.bias.as_ref().map(|b| b.view().into_dyn()),
        }
    }
}

/// Values by logical index; where indices share an element of the buffer, they share the value.
fn operand(layout: &TensorLayout, values: impl FnOnce(usize) -> Vec<f64>) -> ArrayD<f64> {
    let shape = IxDyn(&layout.shape());
    if !shares(layout) {
        let all = values(layout.len() as usize);
        return ArrayD::from_shape_vec(shape, all).expect("one value per element");
    }
    let buffer = values(layout.span as usize);
    let offset = |index: &IxDyn| {
        let steps =
            index.as_array_view().iter().zip(&layout.strides).map(|(&i, &s)| i as u64 * s).sum::<u64>();
        steps as usize
    };
    ArrayD::from_shape_fn(shape, |index| buffer[offset(&index)])
}

/// Whether two indices may share an element: some axis steps no further than the axes below it reach.
fn shares(layout: &TensorLayout) -> bool {
    let mut axes: Vec<_> = layout.strides.iter().zip(&layout.extents).filter(|&(_, &e)| e > 1).collect();
    axes.sort_unstable();
    let mut reach = 0;
    !layout.is_empty()
        && axes.into_iter().any(|(&stride, &extent)| {
            let below = reach;
            reach += (extent - 1) * stride;
            stride <= below || stride == 0
        })
}

/// Operands in single precision.
pub struct Singles {
    x: ArrayD<f32>,
    w: ArrayD<f32>,
    grad_output: ArrayD<f32>,
    bias: Option<Array1<f32>>,
    residual: Option<ArrayD<f32>>,
}

impl Singles {
    pub fn new(data: &Data) -> Self {
        let single = |a: &ArrayD<f64>| a.mapv(|v| v as f32);
        Self {
            x: single(&data.x),
            w: single(&data.w),
            grad_output: single(&data.grad_output),
            bias: data.bias.as_ref().map(|b| b.mapv(|v| v as f32)),
            residual: data.residual.as_ref().map(single),
        }
    }

    /// The ones that `direction` reads.
    pub fn operands(&self, direction: Direction) -> Operands<'_, ArrayViewD<'_, f32>> {
        let mut operands = Operands::default();
        if direction != Direction::GradInput {
            operands.input = self.x.view();
        }
        if direction != Direction::GradWeight {
            operands.weight = Weight::from(self.w.view());
        }
        if direction != Direction::Forward {
            operands.grad_output = self.grad_output.view();
        }
        if let Some(bias) = &self.bias {
            operands.bias = bias.view();
        }
        if let Some(residual) = &self.residual {
            operands.residual = residual.view();
        }
        operands
    }
}
