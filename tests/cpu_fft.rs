//! `Fft` on the CPU: the whole case table and its own hard sizes, in f32 and f64 and all three directions. Integers come out
//! right once rounded, and of reals the error as a whole is within the bound of the README.

#![allow(clippy::cast_possible_truncation, reason = "sizes are small; rounding to f32 is meant")]

use crate::common::cpu::{Spec, Tensors, reals, run_by};
use ndarray::ArrayD;
use std::sync::Mutex;
use wgconv::{Cannot, Resource};
use wgconv::{Device, PlanOptions, Precision};

use wgconv::internals::cpu::{CpuOperands, CpuPlan, reference};
use wgconv::{Activation, Algorithm, Boundary, Conv, ConvProblem, Direction, Element, Epilogue, Padding};
use wgconv_testing::cases;
use wgconv_testing::spectral::{Ratios, Spectral};
use wgconv_testing::{Case, Data, Tally, Tier, seed_of};

const DIRECTIONS: [Direction; 3] = [Direction::Forward, Direction::GradInput, Direction::GradWeight];

fn points(plan: &CpuPlan) -> u64 {
    plan.transform_lengths().expect("a plan by transforms").iter().map(|&length| length as u64).product()
}

/// Both elements; both are compared with one run of the reference.
fn check(case: &Case, data: &Data, ints: bool, tally: &mut Tally, ratios: &Mutex<Ratios>) {
    let mut wanted = None;
    // Integers are rounded to what they are in either type; f32 is the harder one.
    let elements: &[Element] = if ints { &[Element::F32] } else { &[Element::F32, Element::F64] };
    for &element in elements {
        let what = format!("{} in {}", case.name, element.name());
        let problem = Case { conv: case.conv.clone().element(element), ..case.clone() }.problem();
        let plan = match CpuPlan::new(&problem, Algorithm::Fft) {
            Ok(plan) => plan,
            Err(why) => {
                tally.skip(what, why.to_string());
                continue;
            }
        };
        let wanted = wanted.get_or_insert_with(|| Spectral::new(&problem, data));
        let got = match element {
            Element::F64 => run_by::<f64>(&problem, &data.operands(), Algorithm::Fft),
            _ => run_by::<f32>(&problem, &data.operands(), Algorithm::Fft),
        };
        let judged = wanted.judge(&problem, points(&plan), got.view());
        judged.iter().for_each(|&ratio| ratios.lock().expect("no row panicked").add(ratio));
        tally.check(judged.map_err(|e| format!("{what}, {e}")));
    }
}

fn table(cases: &[Case], what: &str, tier: Tier) {
    for direction in DIRECTIONS {
        let ratios = Mutex::new(Ratios::default());
        let tally = Tally::of(
            cases,
            |case| &case.name,
            |case, tally| {
                if tier != Tier::Quick && !tier.takes(&case.name, direction) {
                    return tally.skip(&case.name, Tier::ELSEWHERE);
                }
                let Some(case) = case.in_direction(direction) else {
                    return tally.skip(&case.name, "its strides overlap in the result");
                };
                // In f32, whose numbers f64 holds too.
                let (problem, seed) = (case.problem(), seed_of(&case.name));
                for ints in [true, false] {
                    let data = if ints { Data::ints(&problem, seed) } else { Data::coarse(&problem, seed) };
                    check(&case, &data, ints, tally, &ratios);
                }
            },
        );
        let ratios = ratios.into_inner().expect("no row panicked").tell();
        tally.finish(&format!("CPU fft, {what}, {direction:?}, {ratios}"));
    }
}

fn is_large(case: &Case) -> bool {
    case.name.starts_with("dispatch_")
}

#[test]
fn the_case_table() {
    table(&Tier::Quick.cases(16), "a sample of the table", Tier::Quick);
}

#[test]
#[ignore = "full"]
fn the_full_table() {
    let mut cases = Tier::full().cases(1);
    cases.retain(|case| !is_large(case));
    table(&cases, "the table", Tier::full());
}

/// Millions of results, in f32 and forward.
#[test]
#[ignore = "full"]
fn large_results() {
    let mut tally = Tally::default();
    for case in cases::named().into_iter().filter(is_large) {
        let data = Data::ints(&case.problem(), seed_of(&case.name));
        let problem = case.problem();
        let plan = CpuPlan::new(&problem, Algorithm::Fft).unwrap();
        let got = run_by::<f32>(&problem, &data.operands(), Algorithm::Fft);
        let judged = Spectral::new(&problem, &data).judge(&problem, points(&plan), got.view());
        tally.check(judged.map_err(|e| format!("{}, {e}", case.name)));
    }
    tally.finish("CPU fft, large results");
}

/// Lengths with every small factor, primes, powers of two and their neighbours; a kernel that is all there is, or more; a
/// last tile that is short; blocks of one result less than the kernel; images of one row.
fn sizes() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: &str, x: &[usize], w: &[usize], conv: Conv| {
        cases.push(Case::new(format!("fft_{name}_{x:?}_{w:?}"), x, w, conv));
    };
    for cells in [30, 97, 127, 128, 129, 243, 255, 256, 257, 625, 1021, 2310] {
        for taps in [2, 17, 30] {
            add("line", &[1, 1, cells], &[1, 1, taps], Conv::default());
        }
        add("row", &[1, 1, 1, cells], &[1, 1, 1, 9], Conv::default().padding(Padding::Same).flip(true));
        add("column", &[1, 2, cells, 1], &[3, 2, 9, 1], Conv::default().padding(Padding::Same));
    }
    for extent in [5, 16, 17, 31, 32, 33] {
        add("whole", &[2, 1, extent, extent], &[1, 1, extent, extent], Conv::default());
        add("full", &[1, 2, 7, extent], &[2, 2, extent, 7], Conv::default().padding(Padding::Full));
    }
    for taps in [33, 64, 65] {
        add(
            "half_blocks",
            &[1, 1, 8 * taps],
            &[1, 1, taps],
            Conv::default().padding(Padding::Full).flip(true),
        );
    }
    for boundary in
        [Boundary::Constant(2.0), Boundary::Wrap, Boundary::Reflect, Boundary::Mirror, Boundary::Nearest]
    {
        let same = || Conv::default().padding(Padding::Same).boundary(boundary);
        add(&format!("{boundary:?}"), &[1, 2, 40, 37], &[2, 2, 11, 9], same());
        // As many cells are visited as there are, but other ones.
        add(&format!("{boundary:?}_shifted"), &[1, 1, 30], &[1, 1, 4], same().padding([(2, -2)]));
        add(&format!("{boundary:?}_d3"), &[1, 1, 40, 37], &[1, 1, 5, 5], same().dilation(3));
        add(&format!("{boundary:?}_s2"), &[1, 1, 50, 37], &[2, 1, 5, 6], same().stride([2, 3]));
    }
    for (stride, dilation) in [(2, 1), (3, 2), (2, 4), (6, 4), (1, 5), (5, 7), (4, 2)] {
        let conv = || Conv::default().padding(7).stride(stride).dilation(dilation);
        add("steps", &[2, 3, 150], &[2, 3, 12], conv());
        add("steps", &[1, 1, 61, 47], &[1, 1, 5, 4], conv());
        add("steps", &[1, 4, 61, 47], &[6, 2, 3, 6], conv().groups(2));
        add("steps", &[1, 2, 17, 18, 31], &[2, 2, 2, 1, 3], conv());
    }
    add("depthwise", &[3, 5, 40, 40], &[5, 1, 13, 13], Conv::default().padding(Padding::Same).groups(5));
    add("many_channels", &[2, 65, 12, 12], &[33, 65, 5, 5], Conv::default().padding(Padding::Same));
    add("volume", &[1, 2, 20, 19, 18], &[3, 2, 5, 4, 6], Conv::default().padding(Padding::Same));
    cases
}

#[test]
fn hard_sizes() {
    table(&sizes().into_iter().step_by(3).collect::<Vec<_>>(), "every third hard size", Tier::Quick);
}

#[test]
#[ignore = "full"]
fn every_hard_size() {
    table(&sizes(), "hard sizes", Tier::Exhaustive);
}

#[test]
fn epilogues() {
    let epilogue = Epilogue { alpha: 0.5, beta: Some(-2.0), bias: true, activation: Activation::Relu };
    let conv = || Conv::default().epilogue(epilogue).padding(Padding::Same);
    let cases = [
        Case::new("fft_epilogue", &[2, 4, 30, 31], &[6, 2, 5, 5], conv().groups(2)),
        Case::new("fft_epilogue_wrap", &[2, 3, 50], &[3, 1, 9], conv().groups(3).boundary(Boundary::Wrap)),
        Case::new("fft_epilogue_nothing", &[2, 0, 50], &[3, 0, 9], conv()),
    ];
    table(&cases, "epilogues", Tier::Quick);
}

fn run(plan: &CpuPlan, tensors: &Tensors, prepared: bool) -> ArrayD<f32> {
    let [x, w, h] = [&tensors.x, &tensors.w, &tensors.h].map(|tensor| tensor.mapv(|v| v as f32));
    let weights = plan.prepare(w.view()).unwrap();
    let operands = CpuOperands {
        input: Some(x.view()),
        weight: (!prepared).then(|| w.view()),
        grad_output: Some(h.view()),
        ..Default::default()
    };
    plan.run(&operands, prepared.then_some(&weights)).unwrap()
}

/// Of one channel, of several, of many tiles, and with phases.
fn shapes() -> Vec<Spec> {
    let same = || Conv::default().padding(Padding::Same);
    vec![
        Spec::new(&[1, 1, 20_000], &[1, 1, 700], same()),
        Spec::new(&[2, 1, 150, 90], &[1, 1, 21, 17], same().flip(true)),
        Spec::new(&[3, 6, 60, 70], &[5, 6, 9, 7], same()),
        Spec::new(&[2, 4, 90, 61], &[4, 1, 11, 7], same().groups(4).stride(2)),
        Spec::new(&[1, 2, 30, 31, 29], &[3, 2, 5, 4, 3], same().dilation([1, 2, 3])),
    ]
}

#[test]
fn bits_depend_neither_on_threads_nor_on_preparation() {
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let pools = [pool(1), pool(2), pool(7)];
    for spec in shapes() {
        for direction in DIRECTIONS {
            let problem = spec.direction(direction).problem(Element::F32);
            let plan = CpuPlan::new(&problem, Algorithm::Fft).unwrap();
            let tensors = Tensors::new(&problem, reals(5));
            let [one, two, seven] = [0, 1, 2].map(|i| pools[i].install(|| run(&plan, &tensors, i == 1)));
            assert!(one == two && two == seven, "{problem:?}");
            // Threads have scratch memory of their own; nothing else grows.
            let bytes = [0, 2].map(|i| pools[i].install(|| plan.workspace_bytes()));
            assert!(bytes[0] > 0 && bytes[0] < bytes[1] && bytes[1] < 1 << 28, "{bytes:?}");
        }
    }
}

/// Weights that another plan prepared are no spectra of this one, but are weights.
#[test]
fn weights_of_another_plan() {
    let of = |cells| ConvProblem::new(&[1, 2, cells], &[2, 2, 5], &Conv::default()).unwrap();
    let plans = [of(40), of(4000)].map(|problem| CpuPlan::new(&problem, Algorithm::Fft).unwrap());
    assert_ne!(plans[0].transform_lengths(), plans[1].transform_lengths());
    let tensors = Tensors::new(plans[0].problem(), reals(3));
    let (x, w) = (tensors.x.mapv(|v| v as f32), tensors.w.mapv(|v| v as f32));
    let run = |weights: &wgconv::internals::cpu::CpuWeights<f32>| {
        let operands = CpuOperands { input: Some(x.view()), ..Default::default() };
        plans[0].run(&operands, Some(weights)).unwrap()
    };
    assert_eq!(run(&plans[0].prepare(w.view()).unwrap()), run(&plans[1].prepare(w.view()).unwrap()));
    let direct = CpuPlan::new(plans[0].problem(), Algorithm::Direct).unwrap();
    assert_eq!(run(&plans[0].prepare(w.view()).unwrap()), run(&direct.prepare(w.view()).unwrap()));
}

/// An impulse gives the kernel where it stands, and nothing elsewhere; a shifted input gives a shifted result.
#[test]
fn impulses_and_shifts() {
    let spec = Spec::new(&[1, 1, 200, 150], &[1, 1, 9, 7], Conv::default().flip(true));
    let problem = spec.problem(Element::F64);
    let plan = CpuPlan::new(&problem, Algorithm::Fft).unwrap();
    let w = Tensors::new(&problem, reals(9)).w;
    let result = |x: &ArrayD<f64>| {
        let (input, weight) = (Some(x.view()), Some(w.view()));
        plan.run(&CpuOperands { input, weight, ..Default::default() }, None).unwrap()
    };
    let impulse = |at: [usize; 2]| {
        let mut x = ArrayD::zeros(vec![1, 1, 200, 150]);
        x[[0, 0, at[0], at[1]]] = 1.0;
        result(&x)
    };
    for at in [[8, 6], [100, 70], [63, 64], [190, 140]] {
        let y = impulse(at);
        for ((_, _, i, j), got) in y.view().into_dimensionality::<ndarray::Ix4>().unwrap().indexed_iter() {
            let (k, l) = ((i + 8).wrapping_sub(at[0]), (j + 6).wrapping_sub(at[1]));
            let want = if k < 9 && l < 7 { w[[0, 0, k, l]] } else { 0.0 };
            assert!((got - want).abs() < 1e-14, "{at:?} at {i}, {j}: {got}, wanted {want}");
        }
    }
    let x = Tensors::new(&problem, reals(10)).x;
    let shifted = ArrayD::from_shape_fn(x.raw_dim(), |i| x[[0, 0, (i[2] + 3) % 200, (i[3] + 5) % 150]]);
    let (y, shifted) = (result(&x), result(&shifted));
    for i in 0..192 - 3 {
        for j in 0..144 - 5 {
            let (a, b) = (shifted[[0, 0, i, j]], y[[0, 0, i + 3, j + 5]]);
            assert!((a - b).abs() < 1e-13, "at {i}, {j}: {a}, wanted {b}");
        }
    }
}

#[test]
fn it_says_why_it_declines() {
    let unshared = Spec::new(&[1, 1, 9], &[1, 1, 3], Conv::default()).unshared();
    let refusal = CpuPlan::new(&unshared.problem(Element::F32), Algorithm::Fft).unwrap_err();
    assert_eq!(refusal, Cannot::Unshared);
    let far = Conv::default().boundary(Boundary::Wrap).stride(1 << 40).padding([(1 << 41, 0)]);
    let far = Spec::new(&[1, 1, 9], &[1, 1, 3], far).direction(Direction::GradInput);
    let refusal = CpuPlan::new(&far.problem(Element::F32), Algorithm::Fft).unwrap_err();
    assert!(matches!(refusal, Cannot::Limit { resource: Resource::PaddedCells, .. }), "{refusal}");
}

/// What estimates say, whatever rounds.
fn by_estimate(problem: &ConvProblem) -> Algorithm {
    let options = PlanOptions { precision: Precision::Fast, ..PlanOptions::default() };
    Device::cpu().plan(problem, &options).unwrap().algorithm()
}

/// By what was measured: `benches/results/cpu_fft.json`.
#[test]
fn it_is_taken_where_it_is_faster() {
    let chosen = |x: &[usize], w: &[usize], padding: usize, groups: usize, direction| {
        let conv = Conv::default().padding(padding).groups(groups).direction(direction);
        by_estimate(&ConvProblem::new(x, w, &conv).unwrap())
    };
    let rows = [
        // Twice to 125 times as fast.
        (&[1, 16, 64, 64][..], &[16, 16, 7, 7][..], 3, 1, [Algorithm::Fft; 3]),
        (&[1, 64, 56, 56], &[64, 64, 5, 5], 2, 1, [Algorithm::Fft; 3]),
        (&[1, 1, 1_000_000], &[1, 1, 1024], 0, 1, [Algorithm::Fft; 3]),
        (&[1, 8, 32, 32, 32], &[8, 8, 5, 5, 5], 2, 1, [Algorithm::Fft; 3]),
        (&[1, 1, 1024, 1024], &[1, 1, 9, 9], 4, 1, [Algorithm::Fft, Algorithm::Fft, Algorithm::Direct]),
        (&[1, 1, 1_000_000], &[1, 1, 64], 0, 1, [Algorithm::Fft, Algorithm::Fft, Algorithm::Direct]),
        // As fast, or slower.
        (&[1, 16, 64, 64], &[16, 16, 3, 3], 1, 1, [Algorithm::Direct; 3]),
    ];
    for (x, w, padding, groups, wanted) in rows {
        let got = DIRECTIONS.map(|direction| chosen(x, w, padding, groups, direction));
        assert_eq!(got, wanted, "{x:?} {w:?}");
    }
}

/// Integers small enough to be rounded to what they are, with infinities and NaNs among them: each result is what the sum of its
/// own products is, in every direction, with boundaries, flips, strides, groups and weights that are not finite.
#[test]
fn what_is_not_finite_stays_where_it_belongs() {
    let specials = [f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
    let mut row = 0;
    for boundary in [Boundary::Zero, Boundary::Constant(2.0), Boundary::Wrap, Boundary::Mirror] {
        for (flip, stride, dilation, groups) in
            [(false, 1, 1, 1), (true, 2, 1, 2), (false, 1, 2, 3), (true, 3, 2, 1)]
        {
            for direction in DIRECTIONS {
                for side in 0..3 {
                    row += 1;
                    let conv = Conv::default().boundary(boundary).flip(flip).groups(groups).padding(2);
                    let conv = conv.stride(stride).dilation(dilation).direction(direction);
                    let shapes = ([2, 6, 17, 12], [6, 6 / groups, 3, 4]);
                    let problem = ConvProblem::new(&shapes.0, &shapes.1, &conv).unwrap();
                    let mut data = Data::ints(&problem, row);
                    // One operand, the other, or both.
                    let (first, second) = match direction {
                        Direction::Forward => (&mut data.x, &mut data.w),
                        Direction::GradInput => (&mut data.grad_output, &mut data.w),
                        Direction::GradWeight => (&mut data.x, &mut data.grad_output),
                    };
                    for (i, tensor) in [first, second].into_iter().enumerate() {
                        let len = tensor.len();
                        for (k, &special) in specials.iter().enumerate().filter(|_| side != 1 - i) {
                            *tensor.iter_mut().nth((row as usize * 131 + k * 977) % len).unwrap() = special;
                        }
                    }
                    let wanted = run_by::<f64>(&problem, &data.operands(), Algorithm::Direct);
                    let got = run_by::<f64>(&problem, &data.operands(), Algorithm::Fft);
                    let alike = |(got, wanted): (&f64, &f64)| {
                        got.is_nan() && wanted.is_nan() || *got == *wanted || (got - wanted).abs() < 1e-6
                    };
                    assert!(wanted.iter().any(|v| v.is_finite()) && !wanted.iter().all(|v| v.is_finite()));
                    let wrong = got.iter().zip(&wanted).position(|pair| !alike(pair));
                    assert_eq!(wrong, None, "{direction:?} {boundary:?}, flip {flip}, side {side}");
                }
            }
        }
    }
}

/// A mean of numbers up to 1e36, and of small ones beside them in another image, which are not touched by it.
#[test]
fn sums_within_transforms_do_not_overflow() {
    for boundary in [Boundary::Zero, Boundary::Constant(1e35)] {
        let conv = Conv::default().padding(Padding::Same).boundary(boundary);
        for direction in DIRECTIONS {
            let problem =
                ConvProblem::new(&[2, 1, 40, 40], &[1, 1, 5, 5], &conv.clone().direction(direction)).unwrap();
            let mut data = Data::reals(&problem, 5);
            let factors = [1e36f64, 1e-3];
            for (image, factor) in factors.iter().enumerate() {
                data.x
                    .index_axis_mut(ndarray::Axis(0), image)
                    .mapv_inplace(|v| f64::from((v * factor) as f32));
                data.grad_output
                    .index_axis_mut(ndarray::Axis(0), image)
                    .mapv_inplace(|v| f64::from((v * factor) as f32));
            }
            data.w.fill(0.04);
            if direction == Direction::GradWeight {
                data.grad_output.fill(1.0);
            }
            let wanted = reference::run(&problem, &data.operands());
            let got = run_by::<f32>(&problem, &data.operands(), Algorithm::Fft);
            for (got, wanted) in got.outer_iter().zip(wanted.outer_iter()) {
                let largest = wanted.iter().fold(0.0f64, |most, v| most.max(v.abs()));
                let off = got.iter().zip(&wanted).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max);
                assert!(off < 1e-5 * largest, "{direction:?} {boundary:?}: off by {off:e} of {largest:e}");
            }
        }
    }
}

/// Also of weights that were not transformed as they are.
#[test]
fn prepared_weights_that_are_large_or_not_finite_give_the_same_bits() {
    for spec in shapes() {
        for direction in [Direction::Forward, Direction::GradInput] {
            let problem = spec.direction(direction).problem(Element::F32);
            let plan = CpuPlan::new(&problem, Algorithm::Fft).unwrap();
            for value in [f64::INFINITY, f64::NAN, 1e30] {
                let mut tensors = Tensors::new(&problem, reals(5));
                *tensors.w.iter_mut().nth(7).unwrap() = value;
                let [one, other] = [true, false].map(|prepared| run(&plan, &tensors, prepared));
                assert!(one.iter().any(|v| !v.is_finite() || v.abs() > 1e25), "{value}: {problem:?}");
                let bits = |values: &ArrayD<f32>| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                assert!(bits(&one) == bits(&other), "{value}: {problem:?}");
            }
        }
    }
}
