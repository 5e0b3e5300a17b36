//! `Direct` against the reference over the whole space of problems: exactly on integers, within the error bound on reals.

#![allow(clippy::cast_possible_truncation, reason = "the values are f32 numbers")]

use crate::common::cpu::{Spec, Tensors, integers, noise, reals, run_by};
use crate::common::space;
use ndarray::{ArrayD, ArrayViewD, Slice};
use proptest::prelude::*;
use wgconv::Cannot;
use wgconv::internals::cpu::{CpuOperands, CpuPlan, CpuWeights, Real, reference};
use wgconv::{Algorithm, Boundary, Conv, ConvProblem, Direction, Element, Padding};
use wgconv_testing::Tier;

/// Every element within `(2·√terms + 8)·u·mag` of the reference.
fn check_bound<T: Real>(problem: &ConvProblem, tensors: &Tensors) {
    let operands = tensors.operands();
    let got = run_by::<T>(problem, &operands, Algorithm::Direct);
    let want = reference::run(problem, &operands);
    let magnitude = reference::magnitude(problem, &operands);
    let factor = (2.0 * (problem.terms() as f64).sqrt() + 8.0) * T::UNIT_ROUNDOFF;
    assert_eq!(got.shape(), want.shape());
    for ((got, want), magnitude) in got.iter().zip(&want).zip(&magnitude) {
        let (error, bound) = ((got - want).abs(), factor * magnitude);
        assert!(error <= bound, "{got} for {want}: off by {error}, allowed {bound}: {problem:?}");
    }
}

proptest! {
    #![proptest_config(space::config(500))]

    #[test]
    fn integers_are_exact(spec in space::any_spec(), seed: u64) {
        let tensors = Tensors::new(&spec.problem(Element::F64), integers(seed, 4));
        let operands = tensors.operands();
        spec.check(&operands, &reference::run(&spec.problem(Element::F64), &operands));
    }

    #[test]
    fn reals_stay_within_the_bound(spec in space::any_spec(), seed: u64) {
        check_bound::<f32>(&spec.problem(Element::F32), &Tensors::new(&spec.problem(Element::F32), reals(seed)));
        check_bound::<f64>(&spec.problem(Element::F64), &Tensors::new(&spec.problem(Element::F64), reals(seed)));
    }

    /// Infinities and NaNs go where the formula takes them, and nowhere else.
    #[test]
    fn special_values_stay_where_they_belong(spec in space::any_spec(), seed: u64) {
        let mut plain = integers(seed, 4);
        let special = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
        let problem = spec.problem(Element::F64);
        let tensors = Tensors::new(&problem, |t, i| match noise(seed ^ 1, t, i) % 100 {
            pick @ 0..3 if t < 3 => special[pick as usize],
            _ => plain(t, i),
        });
        let operands = tensors.operands();
        let want = reference::run(&problem, &operands);
        for (path, got) in spec.every_path(&operands) {
            let same = got.iter().zip(&want).all(|(got, want)| got == want || got.is_nan() && want.is_nan());
            prop_assert!(same, "{path}: {got:?}, wanted {want:?}: {spec:?}");
        }
    }
}

/// Shapes that cross the ranges and blocks in which `Direct` cuts its work.
fn large() -> Vec<Spec> {
    let same = || Conv::default().padding(Padding::Same);
    let mut specs = Vec::new();
    for boundary in [Boundary::Zero, Boundary::Mirror, Boundary::Wrap] {
        specs.push(Spec::new(&[1, 2, 5000], &[3, 2, 9], same().boundary(boundary)));
        specs.push(Spec::new(&[1, 1, 5000], &[1, 1, 700], same().boundary(boundary).stride(3).flip(true)));
        specs.push(Spec::new(&[1, 1, 3, 2500], &[5, 1, 2, 3], same().boundary(boundary).dilation([1, 600])));
        specs.push(Spec::new(&[1, 3, 120, 90], &[2, 3, 3, 3], same().boundary(boundary)));
    }
    specs.push(Spec::new(&[2, 130, 9, 9], &[70, 130, 3, 3], same()));
    specs.push(Spec::new(&[1, 600, 7, 7], &[9, 600, 1, 1], Conv::default()));
    specs.push(Spec::new(&[3, 40, 14, 14], &[40, 1, 3, 3], same().groups(40).stride(2)));
    specs.push(Spec::new(&[1, 1, 40, 40], &[1, 1, 31, 31], same()));
    specs.push(Spec::new(&[1, 2, 2, 1200], &[2, 2, 1, 3], same()).unshared());
    specs.push(Spec::new(&[1, 8, 4, 4, 4], &[8, 8, 1, 1, 1], Conv::default()));
    specs.push(Spec::new(&[2, 3, 30, 1, 1], &[4, 3, 5, 1, 1], same()));
    specs
}

/// In a short run each in one direction.
fn large_shapes(tier: Tier) {
    for (i, spec) in large().into_iter().enumerate() {
        for direction in [Direction::Forward, Direction::GradInput, Direction::GradWeight] {
            if tier == Tier::Quick && i % 3 != direction as usize {
                continue;
            }
            let spec = spec.direction(direction);
            let problem = spec.problem(Element::F64);
            let tensors = Tensors::new(&problem, integers(7, 2));
            spec.check(&tensors.operands(), &reference::run(&problem, &tensors.operands()));
            check_bound::<f32>(&spec.problem(Element::F32), &Tensors::new(&problem, reals(8)));
        }
    }
}

#[test]
fn large_shapes_are_exact_and_within_the_bound() {
    large_shapes(Tier::Quick);
}

#[test]
#[ignore = "full"]
fn large_shapes_are_exact_and_within_the_bound_in_every_direction() {
    large_shapes(Tier::full());
}

/// Steps and gaps far beyond the input cost neither time nor memory.
#[test]
fn wide_gaps_cost_nothing() {
    let far = 1usize << 40;
    for boundary in
        [Boundary::Zero, Boundary::Constant(3.0), Boundary::Wrap, Boundary::Reflect, Boundary::Nearest]
    {
        let pads = [(far, far as isize), (2 * far, 3)];
        let conv =
            Conv::default().boundary(boundary).padding(pads).dilation([far, far - 1]).stride([far - 3, far]);
        for direction in [Direction::Forward, Direction::GradInput, Direction::GradWeight] {
            let spec = Spec::new(&[2, 2, 5, 6], &[3, 2, 2, 3], conv.clone()).direction(direction);
            let problem = spec.problem(Element::F64);
            let tensors = Tensors::new(&problem, integers(3, 4));
            spec.check(&tensors.operands(), &reference::run(&problem, &tensors.operands()));
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let pools = [pool(1), pool(2), pool(7)];
    for spec in large() {
        for direction in [Direction::Forward, Direction::GradInput, Direction::GradWeight] {
            let problem = spec.direction(direction).problem(Element::F32);
            let tensors = Tensors::new(&problem, reals(5));
            let run = || run_by::<f32>(&problem, &tensors.operands(), Algorithm::Direct);
            let [one, two, seven] = [0, 1, 2].map(|i| pools[i].install(run));
            assert!(one == two && two == seven, "{problem:?}");
        }
    }
}

/// Every second cell, backwards, of something larger, with its first two axes exchanged in memory.
fn scattered(values: &ArrayD<f32>) -> ArrayD<f32> {
    let mut shape: Vec<usize> = values.shape().iter().map(|e| 2 * e).collect();
    shape.swap(0, 1);
    let mut larger = ArrayD::from_elem(shape, f32::NAN);
    view_of_scattered(&mut larger.view_mut()).assign(values);
    larger
}

fn view_of_scattered<'a>(larger: &'a mut ndarray::ArrayViewMutD<'_, f32>) -> ndarray::ArrayViewMutD<'a, f32> {
    let mut view = larger.view_mut();
    view.swap_axes(0, 1);
    view.slice_each_axis_inplace(|axis| Slice::new(axis.len as isize % 2, None, -2));
    view
}

fn run_forward<'a>(
    problem: &ConvProblem,
    x: ArrayViewD<'a, f32>,
    w: ArrayViewD<'a, f32>,
    prepared: Option<&CpuWeights<f32>>,
    algorithm: Algorithm,
) -> ArrayD<f32> {
    let plan = CpuPlan::new(problem, algorithm).unwrap();
    let weight = prepared.is_none().then_some(w);
    plan.run(&CpuOperands { input: Some(x), weight, ..CpuOperands::default() }, prepared).unwrap()
}

#[test]
fn operands_may_have_any_strides() {
    let conv = Conv::default().padding(1).groups(2);
    let problem = ConvProblem::new(&[2, 4, 5, 6], &[6, 2, 3, 2], &conv).unwrap();
    let tensors = Tensors::new(&problem, integers(11, 4));
    let (x, w) = (tensors.x.mapv(|v| v as f32), tensors.w.mapv(|v| v as f32));
    let (mut far_x, mut far_w) = (scattered(&x), scattered(&w));
    let want = run_forward(&problem, x.view(), w.view(), None, Algorithm::Direct);
    let prepared = CpuPlan::new(&problem, Algorithm::Direct)
        .unwrap()
        .prepare(view_of_scattered(&mut far_w.view_mut()).view())
        .unwrap();
    for algorithm in [Algorithm::Direct, Algorithm::Reference] {
        let (mut x_base, mut w_base) = (far_x.view_mut(), far_w.view_mut());
        let (x, w) = (view_of_scattered(&mut x_base), view_of_scattered(&mut w_base));
        assert_eq!(run_forward(&problem, x.view(), w.view(), None, algorithm), want);
        assert_eq!(run_forward(&problem, x.view(), w.view(), Some(&prepared), algorithm), want);
    }
    // One filter for all channels, by strides of 0.
    let one = w.select(ndarray::Axis(0), &[0]);
    let repeated = one.broadcast(w.shape()).unwrap();
    let want = run_forward(&problem, x.view(), repeated.to_owned().view(), None, Algorithm::Direct);
    assert_eq!(run_forward(&problem, x.view(), repeated, None, Algorithm::Direct), want);
}

#[test]
fn plans_say_what_they_do_and_why_they_decline() {
    let of = |element| ConvProblem::new(&[1, 1, 4], &[1, 1, 2], &Conv::default().element(element)).unwrap();
    let plan = CpuPlan::new(&of(Element::F32), Algorithm::Direct).unwrap();
    assert_eq!(plan.algorithm(), Algorithm::Direct);
    assert_eq!(plan.problem(), &of(Element::F32));
    let refusal = CpuPlan::new(&of(Element::F16), Algorithm::Direct).unwrap_err();
    assert_eq!(refusal, Cannot::Element { element: Element::F16 });
    assert_eq!(refusal.to_string(), "elements of f16 are not available on the device");
    let refusal = CpuPlan::new(&of(Element::F64), Algorithm::Winograd).unwrap_err();
    assert_eq!(refusal, Cannot::NotOnDevice { has: Algorithm::on_cpu().to_vec() });
    assert_eq!(refusal.to_string(), "is not on this device, which has direct, fft, reference");
    fn shared<T: Clone + std::fmt::Debug + Send + Sync>() {}
    shared::<CpuPlan>();
}
