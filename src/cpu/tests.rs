//! No shape takes steps or memory out of proportion: ten thousand drawn problems with large kernels, steps and padding and few
//! products, with every allocation and every step counted.

use ndarray::ArrayD;

use super::{CpuOperands, CpuPlan, reference, steps};
use crate::algorithm_name::Algorithm;
use crate::problem::{Boundary, Conv, ConvProblem, Direction, Padding, PerAxis, TensorLayout, to_usize};

/// What `task` gives, and the most bytes that this thread had beside those of before.
fn bytes_of<R>(task: impl FnOnce() -> R) -> (R, u64) {
    let mut result = None;
    let counted = allocation_counter::measure(|| result = Some(task()));
    (result.unwrap(), counted.bytes_max)
}

/// Numbers below a bound, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 20) % bound
    }

    /// As often of each number of digits.
    fn of_any_size(&mut self, most: u64) -> u64 {
        let bits = self.below(u64::from(most.ilog2()) + 1);
        (1 + self.below(1 << (bits + 1).min(60))).min(most)
    }

    fn of<T: Copy>(&mut self, values: &[T]) -> T {
        let at = self.below(values.len() as u64);
        values[usize::try_from(at).unwrap()]
    }

    /// A problem with up to about so many products along each axis, as sizes have it.
    fn problem(&mut self, most: u64) -> Option<ConvProblem> {
        let rank = 1 + self.below(3);
        let [mut x, mut k] = [0; 2].map(|_| Vec::new());
        let [mut stride, mut dilation] = [0; 2].map(|_| Vec::new());
        let mut padding = Vec::new();
        for _ in 0..rank {
            let (kernel, output) = (self.of_any_size(most), self.of_any_size(most));
            let input = self.of_any_size(most);
            let [s, d] = [0, 1].map(|_| if self.below(2) == 0 { 1 } else { self.of_any_size(1 << 32) });
            let reach = (kernel - 1) * d + (output - 1) * s + 1;
            let anywhere = self.below(reach);
            let begin = self.of(&[0, 0, reach / 2, anywhere]);
            x.push(to_usize(input));
            k.push(to_usize(kernel));
            stride.push(s);
            dilation.push(d);
            padding.push((begin, i64::try_from(reach).ok()? - i64::try_from(input + begin).ok()?));
        }
        let [groups, c, q, n] = [0; 4].map(|_| {
            let any = self.of_any_size(most);
            to_usize(self.of(&[1, 1, 3, any]))
        });
        let boundaries = [
            Boundary::Zero,
            Boundary::Zero,
            Boundary::Constant(2.0),
            Boundary::Wrap,
            Boundary::Nearest,
            Boundary::Mirror,
        ];
        let direction = self.of(&[Direction::Forward, Direction::GradInput, Direction::GradWeight]);
        let conv = Conv::default()
            .direction(direction)
            .boundary(self.of(&boundaries))
            .groups(groups)
            .flip(self.below(2) == 0)
            .padding(Padding::Explicit(padding));
        let conv = Conv { stride: PerAxis::Each(stride), dilation: PerAxis::Each(dilation), ..conv };
        ConvProblem::new(&[vec![n, c * groups], x].concat(), &[vec![q * groups, c], k].concat(), &conv).ok()
    }
}

fn elements(problem: &ConvProblem) -> u64 {
    let tensors = [problem.input(), problem.weight(), problem.output(), problem.result()];
    tensors.into_iter().map(TensorLayout::len).fold(0, u64::saturating_add)
}

/// Small integers.
fn tensor(shape: &[usize], seed: usize) -> ArrayD<f64> {
    let mut i = seed;
    ArrayD::from_shape_simple_fn(shape, || {
        i = i.wrapping_mul(25_173).wrapping_add(13_849) % 65_536;
        (i % 7) as f64 - 3.0
    })
}

/// What a plan may hold, and what tables and short lists may take beside what it states.
const PLAN: u64 = 4 << 20;
const TABLES: u64 = 6 << 20;

#[test]
fn no_shape_takes_steps_or_memory_out_of_proportion() {
    // Everything on this thread, so that all is counted.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().unwrap();
    pool.install(|| {
        let (mut dice, mut ran, mut transformed, mut worst) = (Dice(1), 0, 0, 0.0f64);
        while ran < 10_000 {
            let most = dice.of(&[3, 12, 40, 3000, 1 << 16]);
            let Some(problem) = dice.problem(most) else { continue };
            let elements = elements(&problem);
            if problem.macs() > 1 << 16 || elements > 1 << 17 {
                continue;
            }
            ran += 1;
            let (plan, held) = bytes_of(|| CpuPlan::new(&problem, Algorithm::Direct).unwrap());
            assert!(held < PLAN, "{held} bytes for the plan of {problem:?}");
            let stated = plan.workspace_bytes();
            assert!(stated <= 256 * elements + (8 << 20), "{stated} bytes are stated for {problem:?}");
            let [x, w, h] = [problem.input(), problem.weight(), problem.output()].map(TensorLayout::shape);
            let [x, w, h] = [tensor(&x, 1), tensor(&w, 2), tensor(&h, 3)];
            let operands = CpuOperands {
                input: Some(x.view()),
                weight: Some(w.view()),
                grad_output: Some(h.view()),
                ..CpuOperands::default()
            };
            steps::taken();
            let (result, used) = bytes_of(|| plan.run(&operands, None).unwrap());
            let taken = steps::taken();
            let allowed = stated + 8 * problem.result().len() + TABLES;
            assert!(used <= allowed, "{used} bytes, {allowed} stated or for tables, by {problem:?}");
            let needed = problem.macs() + elements;
            let ratio = taken as f64 / needed as f64;
            worst = worst.max(ratio);
            assert!(
                taken <= 100 * needed + 2000,
                "{taken} steps for {needed} products and elements by {problem:?}"
            );
            // Transforms, where there are any, keep to what they state too.
            if ran % 4 == 0
                && let (Ok(plan), held) = bytes_of(|| CpuPlan::new(&problem, Algorithm::Fft))
            {
                transformed += 1;
                assert!(held < PLAN + 64 * elements, "{held} bytes for the transforms of {problem:?}");
                let stated = plan.workspace_bytes();
                assert!(stated <= 512 * elements + (8 << 20), "{stated} bytes are stated for {problem:?}");
                let (_, used) = bytes_of(|| plan.run(&operands, None).unwrap());
                let allowed = stated + 8 * problem.result().len() + TABLES;
                assert!(
                    used <= allowed,
                    "{used} bytes, {allowed} stated or for tables, by transforms of {problem:?}"
                );
            }
            let operands = reference::Operands64 {
                input: Some(x.view()),
                weight: Some(w.view()),
                grad_output: Some(h.view()),
                ..reference::Operands64::default()
            };
            assert!(result == reference::run(&problem, &operands), "{problem:?}");
        }
        assert!(worst < 64.0, "{worst} steps for a product or an element");
        assert!(transformed > 1000, "only {transformed} of 10,000 problems were transformed");
    });
}

/// Kernels and outputs of which nearly none meet, in rows of many ranges.
#[test]
fn long_rows_take_steps_in_proportion() {
    let back = || Conv::default().direction(Direction::GradInput);
    let pad = |by: u64| Padding::Explicit(vec![(by, i64::try_from(by).unwrap())]);
    let rows: [(&str, &[usize], &[usize], Conv); 8] = [
        ("one output", &[1, 1, 200_000], &[1, 1, 200_000], back()),
        ("ten cells", &[1, 1, 10], &[1, 1, 200_000], Conv::default().padding(pad(199_999))),
        ("two far taps", &[1, 1, 2_000_000], &[1, 1, 2], back().stride(65).dilation(1_000_000)),
        ("a far stride", &[1, 1, 1_000_000], &[1, 1, 50], back().stride(20_000)),
        (
            "many channels of one cell",
            &[1, 900, 1],
            &[700, 900, 1],
            Conv::default().direction(Direction::GradWeight),
        ),
        ("a tall kernel back", &[1, 1, 1 << 20, 2], &[1, 1, 1 << 20, 1], back()),
        (
            "a tall kernel",
            &[1, 1, 1, 2],
            &[1, 1, 1 << 20, 1],
            Conv::default().padding([(1 << 20, 1 << 20), (0, 0)]),
        ),
        (
            "seven cells that wrap",
            &[1, 1, 7],
            &[1, 1, 1 << 20],
            back().boundary(Boundary::Wrap).padding(pad(524_790)),
        ),
    ];
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().unwrap();
    pool.install(|| {
        for (name, x, w, conv) in rows {
            let problem = ConvProblem::new(x, w, &conv).unwrap();
            let plan = CpuPlan::new(&problem, Algorithm::Direct).unwrap();
            // Absent operands are zeros.
            steps::taken();
            let (_, used) = bytes_of(|| plan.run::<f32>(&CpuOperands::default(), None).unwrap());
            let (taken, needed) = (steps::taken(), problem.macs() + elements(&problem));
            assert!(taken <= 32 * needed, "{name}: {taken} steps for {needed} products and elements");
            let allowed = plan.workspace_bytes() + 4 * (elements(&problem)) + TABLES;
            assert!(used <= allowed, "{name}: {used} bytes, {allowed} allowed");
        }
    });
}

/// Of any number of products: what is planned is small, and what it states in proportion.
#[test]
fn no_plan_takes_memory_out_of_proportion() {
    let (mut dice, mut planned, mut transformed) = (Dice(7), 0, 0);
    while planned < 10_000 {
        let most = dice.of(&[40, 3000, 1 << 16, 1 << 20]);
        let Some(problem) = dice.problem(most) else { continue };
        planned += 1;
        let (plan, held) = bytes_of(|| CpuPlan::new(&problem, Algorithm::Direct).unwrap());
        assert!(held < PLAN, "{held} bytes for the plan of {problem:?}");
        // Whatever is chosen keeps to a budget, and its plan is small beside it.
        if planned % 16 == 0 {
            let (plan, held) = bytes_of(|| {
                CpuPlan::new(&problem, Algorithm::Fft)
                    .or_else(|_| CpuPlan::new(&problem, Algorithm::Direct))
                    .unwrap()
            });
            assert!(held < 32 << 20, "{held} bytes for the plan of {problem:?}");
            if plan.algorithm() == Algorithm::Fft {
                transformed += 1;
                let bytes = plan.workspace_bytes();
                let limit = elements(&problem).saturating_mul(4 * 4 * 64).max(1 << 30);
                assert!(bytes <= limit, "{bytes} bytes are stated for {problem:?}");
            }
        }
        let (elements, stated) = (elements(&problem), plan.workspace_bytes());
        assert!(
            stated <= elements.saturating_mul(256).saturating_add(64 << 20),
            "{stated} bytes are stated for {elements} elements of {problem:?}"
        );
    }
    assert!(transformed > 10, "transforms were chosen for {transformed} problems only");
}
