//! The oracle: the formula of [`ConvProblem`] in f64 on one thread, sharing no code with anything that it judges.
//!
//! All three directions run over the same products, so gradients are adjoints of the forward map by construction.

use ndarray::{ArrayD, ArrayViewD, CowArray, IxDyn};

use crate::problem::{
    Activation, Axis, Boundary, ConvProblem, Direction, Epilogue, PerRole, Source, to_usize,
};

/// What [`run`] and [`magnitude`] read, in logical order. Which are read follows from the direction
/// and the epilogue; one that is read and absent counts as zeros.
pub type Operands64<'a> = PerRole<Option<ArrayViewD<'a, f64>>>;

/// The result of `problem`, in logical order.
///
/// The shapes of `operands` are those of the problem: that is the caller's to see to.
pub fn run(problem: &ConvProblem, operands: &Operands64<'_>) -> ArrayD<f64> {
    let tensors = Tensors::new(problem, operands, |v| v);
    let sums = tensors.sums(problem, problem.boundary().fill());
    let epilogue = problem.epilogue();
    tensors.finish(problem, sums, |sum, residual, bias| stored(epilogue, sum, residual, bias))
}

/// `act(alpha·sum + beta·residual + bias)`, written out once more: what is judged here uses [`Epilogue::eval`].
fn stored(epilogue: &Epilogue, sum: f64, residual: f64, bias: f64) -> f64 {
    let mut v = epilogue.alpha * sum;
    if let Some(beta) = epilogue.beta {
        v += beta * residual;
    }
    if epilogue.bias {
        v += bias;
    }
    // Comparisons below may lose it.
    if v.is_nan() {
        return v;
    }
    let sigmoid = |v: f64| if v < 0.0 { v.exp() / (1.0 + v.exp()) } else { 1.0 / (1.0 + (-v).exp()) };
    match epilogue.activation {
        Activation::Identity => v,
        Activation::Relu => v.max(0.0),
        Activation::Clamp { low, high } => v.max(low).min(high),
        Activation::LeakyRelu { slope } => {
            if v >= 0.0 {
                v
            } else {
                v * slope
            }
        }
        Activation::Sigmoid => sigmoid(v),
        Activation::Tanh => {
            let e = (-2.0 * v.abs()).exp_m1();
            (-e / (e + 2.0)).copysign(v)
        }
        Activation::Silu => v * sigmoid(v),
        // The tail of the normal distribution on the other side of 0.
        Activation::Gelu => {
            let tail = 0.5 * libm::erfc(v.abs() / std::f64::consts::SQRT_2);
            v * if v < 0.0 { tail } else { 1.0 - tail }
        }
        Activation::HardSwish if v <= -3.0 => 0.0,
        Activation::HardSwish => v * ((v + 3.0).min(6.0) / 6.0),
    }
}

/// `|alpha|·Σ |x|·|w| + |beta|·|residual| + |bias|` for every element of the result: the `mag` of the error bounds.
///
/// The same sum as [`run`] over absolute values, without the activation.
pub fn magnitude(problem: &ConvProblem, operands: &Operands64<'_>) -> ArrayD<f64> {
    let tensors = Tensors::new(problem, operands, f64::abs);
    let sums = tensors.sums(problem, problem.boundary().fill().abs());
    let &Epilogue { alpha, beta, .. } = problem.epilogue();
    let beta = beta.unwrap_or(0.0).abs();
    tensors.finish(problem, sums, |sum, residual, bias| alpha.abs() * sum + beta * residual + bias)
}

/// The operands that the problem reads, each as one slice in logical order.
struct Tensors(PerRole<Vec<f64>>);

impl Tensors {
    fn new(problem: &ConvProblem, operands: &Operands64<'_>, map: impl Fn(f64) -> f64 + Copy) -> Self {
        Self(PerRole::new(|role| match &operands[role] {
            _ if !role.is_used(problem) => Vec::new(),
            Some(view) => flatten(view, map),
            None => vec![0.0; role.shape(problem).iter().product()],
        }))
    }

    /// Every element's sum of products; `outside` is what a `Constant` boundary holds.
    fn sums(&self, problem: &ConvProblem, outside: f64) -> Vec<f64> {
        let mut sums = vec![0.0; to_usize(problem.result().len())];
        let PerRole { input: x, weight: w, grad_output: h, .. } = &self.0;
        match problem.direction() {
            Direction::Forward => for_each_product(problem, |cell, weight, output| {
                sums[output] += cell.map_or(outside, |i| x[i]) * w[weight];
            }),
            // What lies outside does not depend on x: a constant has no gradient.
            Direction::GradInput => for_each_product(problem, |cell, weight, output| {
                if let Some(cell) = cell {
                    sums[cell] += h[output] * w[weight];
                }
            }),
            Direction::GradWeight => for_each_product(problem, |cell, weight, output| {
                sums[weight] += cell.map_or(outside, |i| x[i]) * h[output];
            }),
        }
        sums
    }

    fn finish(
        &self,
        problem: &ConvProblem,
        mut sums: Vec<f64>,
        epilogue: impl Fn(f64, f64, f64) -> f64,
    ) -> ArrayD<f64> {
        let shape = problem.result().shape();
        let (channels, plane) = (shape[1].max(1), shape[2..].iter().product::<usize>().max(1));
        for (i, sum) in sums.iter_mut().enumerate() {
            let residual = if problem.epilogue().beta.is_some() { self.0.residual[i] } else { 0.0 };
            let bias = if problem.epilogue().bias { self.0.bias[i / plane % channels] } else { 0.0 };
            *sum = epilogue(*sum, residual, bias);
        }
        // No panic: the problem checked that the shape can be addressed, and there is a sum for each element.
        ArrayD::from_shape_vec(shape, sums).expect("as many sums as elements")
    }
}

fn flatten(view: &ArrayViewD<'_, f64>, map: impl Fn(f64) -> f64) -> Vec<f64> {
    let standard: CowArray<'_, f64, IxDyn> = view.as_standard_layout();
    standard.iter().map(|&v| map(v)).collect()
}

/// What one tap reads on one axis.
#[derive(Clone, Copy)]
enum Read {
    Cell(usize),
    Constant,
    Nothing,
}

fn read(problem: &ConvProblem, axis: &Axis, o: usize, k: usize) -> Read {
    let at = axis.coordinate(o as u64, k as u64);
    if (0..axis.input as i64).contains(&at) {
        return Read::Cell(to_usize(at as u64));
    }
    match problem.boundary().source(at, axis.input) {
        Source::Cell(cell) => Read::Cell(to_usize(cell)),
        Source::Outside if matches!(problem.boundary(), Boundary::Constant(_)) => Read::Constant,
        Source::Outside => Read::Nothing,
    }
}

/// Calls `visit` with the indices into `x`, `w` and `y` of every product that the convolution sums; `None` for `x`
/// is the boundary's constant.
fn for_each_product(problem: &ConvProblem, mut visit: impl FnMut(Option<usize>, usize, usize)) {
    let [n, c_in, c_out] = [problem.n(), problem.c_in(), problem.c_out()].map(to_usize);
    let groups = to_usize(problem.groups());
    let (per_group, out_per_group) = (c_in / groups, (c_out / groups).max(1));
    let axes = three_axes(problem);
    let extent = |of: fn(&Axis) -> u64| axes.map(|a| to_usize(of(&a)));
    let (input, kernel, output) = (extent(|a| a.input), extent(|a| a.kernel), extent(|a| a.output));
    let [cells, taps, positions] = [input, kernel, output].map(|e| e.iter().product::<usize>());
    for plane in 0..n * c_out {
        let (b, q) = (plane / c_out, plane % c_out);
        for o in 0..positions {
            // A shared weight is the same for every position.
            let filter = if problem.unshared() { q * positions + o } else { q };
            let at = split(o, output);
            for c in 0..per_group {
                let x = (b * c_in + q / out_per_group * per_group + c) * cells;
                let w = (filter * per_group + c) * taps;
                let weight_of = |tap: usize| w + if problem.flip() { taps - 1 - tap } else { tap };
                for_each_tap(problem, &axes, at, input, kernel, |tap, cell| {
                    visit(cell.map(|i| x + i), weight_of(tap), plane * positions + o);
                });
            }
        }
    }
}

/// Calls `visit` with every tap of the window at output position `at` and the cell that it reads, `None` for the constant.
fn for_each_tap(
    problem: &ConvProblem,
    axes: &[Axis; 3],
    at: [usize; 3],
    input: [usize; 3],
    kernel: [usize; 3],
    mut visit: impl FnMut(usize, Option<usize>),
) {
    for k0 in 0..kernel[0] {
        let r0 = read(problem, &axes[0], at[0], k0);
        for k1 in 0..kernel[1] {
            let r1 = read(problem, &axes[1], at[1], k1);
            for k2 in 0..kernel[2] {
                let tap = (k0 * kernel[1] + k1) * kernel[2] + k2;
                match (r0, r1, read(problem, &axes[2], at[2], k2)) {
                    (Read::Cell(i0), Read::Cell(i1), Read::Cell(i2)) => {
                        visit(tap, Some((i0 * input[1] + i1) * input[2] + i2));
                    }
                    (Read::Nothing, ..) | (_, Read::Nothing, _) | (.., Read::Nothing) => {}
                    _ => visit(tap, None),
                }
            }
        }
    }
}

fn split(index: usize, extents: [usize; 3]) -> [usize; 3] {
    [index / extents[2] / extents[1], index / extents[2] % extents[1], index % extents[2]]
}

/// The spatial axes, led by axes of one cell up to three.
fn three_axes(problem: &ConvProblem) -> [Axis; 3] {
    let one = Axis { input: 1, kernel: 1, output: 1, stride: 1, dilation: 1, pad_begin: 0, pad_end: 0 };
    let mut axes = [one; 3];
    let missing = axes.len() - problem.rank();
    axes[missing..].copy_from_slice(problem.axes());
    axes
}
