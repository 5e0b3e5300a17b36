//! Every algorithm of the GPU that adds products, in every configuration, over the whole case table: exact on integers between
//! guard bands, within the bound on reals, the same bits with every run-time check on.
#![cfg(feature = "gpu")]

use crate::common::plans::{candidates, choice, lower};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use wgconv::internals::implementation::PlanContext;

use crate::common::device::{any_gpu, run_guarded};
use crate::common::usual::{is_usual, usual_choice, without_sizes};
use ndarray::ArrayD;
use wgconv::half::f16;
use wgconv::internals::cpu::reference;
use wgconv::internals::gpu::{Gpu, GpuPlan};
use wgconv::internals::kernel::{Kernel, Spec, SpecValue};
use wgconv::internals::planner::{Choice, Planner};
use wgconv::internals::target::{DeviceClass, Features, Target};
use wgconv::{
    Activation, Algorithm, Boundary, Conv, ConvProblem, Direction, Element, Epilogue, Fallback, PlanOptions,
};
use wgconv_testing::tier::{every_case, workgroups};
use wgconv_testing::{
    Case, Data, Singles, Tally, Tier, Wanted, exact, exact_algorithms, gpu_for, report, seed_of,
};

const DIRECTIONS: [Direction; 3] = [Direction::Forward, Direction::GradInput, Direction::GradWeight];

fn is_dispatch(case: &Case) -> bool {
    case.name.starts_with("dispatch_")
}

/// Whether it has a very large grid or very long sums.
fn is_large(case: &Case) -> bool {
    is_dispatch(case) || case.name.contains("long_")
}

/// The cases that are run on integers in `element`: in f16 the named ones alone, without the largest.
fn cases_of(element: Element, tier: Tier) -> Vec<Case> {
    small_enough(element, tier.cases(8))
}

/// In a short run every other case, of tables whose integers in f32 have them all.
fn half_of(mut cases: Vec<Case>, tier: Tier) -> Vec<Case> {
    cases.retain(|case| tier != Tier::Quick || (seed_of(&case.name) >> 48).is_multiple_of(2));
    cases
}

fn small_enough(element: Element, mut cases: Vec<Case>) -> Vec<Case> {
    if element == Element::F16 {
        cases.retain(|case| !is_dispatch(case) && !case.name.starts_with("benchdnn_"));
    }
    cases
}

/// Scratch memory that holds no image: what is made of it is made in pieces.
const SMALL_BUDGET: u64 = 1 << 10;

/// Every algorithm in every configuration that takes `problem`, with much scratch memory and with little where that
/// makes a difference; the others are counted as declined.
fn choices(target: &Target, name: &str, problem: &ConvProblem, tally: &mut Tally) -> Vec<Choice> {
    let mut choices = Vec::new();
    for algorithm in exact_algorithms() {
        let configs = match candidates(algorithm, problem, target) {
            Ok(configs) => configs,
            Err(why) => {
                tally.skip(format!("{algorithm} {name}"), why.to_string());
                continue;
            }
        };
        let little = PlanContext::from(target).with_budget(SMALL_BUDGET);
        for config in configs {
            let program = match lower(algorithm, problem, target, &config) {
                // Of its first piece; all of them may come to too much.
                Err(why) if why.is_limit() => {
                    tally.skip(format!("{algorithm} {name}"), why.to_string());
                    continue;
                }
                lowered => lowered.expect("a candidate lowers"),
            };
            let in_pieces =
                lower(algorithm, problem, &little, &config).ok().filter(|other| *other != program);
            for program in [Some(program), in_pieces].into_iter().flatten() {
                choices.push(choice(algorithm, problem, config.clone(), program));
            }
        }
    }
    choices
}

fn plan(gpu: &Gpu, choice: Choice, checked: bool) -> GpuPlan {
    let options = PlanOptions { checked, ..Default::default() };
    pollster::block_on(GpuPlan::new(gpu, choice, &options)).expect("the plan is built")
}

fn typed(case: &Case, element: Element) -> ConvProblem {
    Case { conv: case.conv.clone().element(element), ..case.clone() }.problem()
}

/// The same bits with every run-time check on.
fn checked_alike(gpu: &Gpu, choice: Choice, data: &Data, got: &ArrayD<f64>) -> Result<(), String> {
    let bits = |a: &ArrayD<f64>| a.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let checked = run_guarded(&plan(gpu, choice, true), data)?;
    if bits(got) == bits(&checked) { Ok(()) } else { Err("the checked build gives other bits".into()) }
}

/// Which configurations run: in the quick tier one of each algorithm, else all of them. But a barrier
/// costs a software adapter a hundred times what it costs a GPU: there, of algorithms with barriers one configuration, another
/// one in every case and direction, and none of the slow cases. The exhaustive tier runs all of them, of the slow cases one; what
/// would take a software adapter hours is left to a GPU.
fn taken(choices: Vec<Choice>, case: &Case, gpu: &Gpu, tier: Tier, tally: &mut Tally) -> Vec<Choice> {
    let software = is_software(gpu);
    let mut taken = Vec::new();
    for choices in choices.chunk_by(|a, b| a.algorithm == b.algorithm) {
        let turn = seed_of(&case.name) % choices.len() as u64;
        let usual = choices.iter().position(|choice| is_usual(&choice.program));
        if tier == Tier::Quick && software && usual.is_none() {
            tally.skip(
                format!("{} by {}", case.name, choices[0].algorithm),
                "has no usual kernel: runs in the full tier",
            );
        }
        for (i, choice) in (0..).zip(choices) {
            if software && has_barriers(choice.algorithm) && takes_hours(&choice.problem) {
                tally.skip(format!("{} ({})", case.name, choice.config), "takes a software adapter hours");
                continue;
            }
            let in_turn = i == turn;
            let wanted = tier != Tier::Quick || if software { Some(i as usize) == usual } else { in_turn };
            let one = if is_large(case) { i == 0 } else { in_turn };
            let all = tier == Tier::Exhaustive;
            let runs = match (software && has_barriers(choice.algorithm), is_slow(case, choice)) {
                (false, _) => true,
                (true, false) => in_turn || all || tier == Tier::Quick,
                (true, true) => one && all,
            };
            if wanted && runs {
                taken.push(choice.clone());
            } else if wanted {
                tally.skip(format!("{} ({})", case.name, choice.config), "runs in the exhaustive tier");
            }
        }
    }
    taken
}

/// Whether the adapter is no GPU.
fn is_software(gpu: &Gpu) -> bool {
    gpu.target().device_class == DeviceClass::Software
}

/// Whether its kernels wait for each other's invocations.
fn has_barriers(algorithm: Algorithm) -> bool {
    algorithm != Algorithm::Direct
}

/// Whether a software adapter takes long for it where there are barriers.
fn is_slow(case: &Case, choice: &Choice) -> bool {
    is_large(case) || choice.problem.macs() > 1 << 16 || workgroups(choice) > 1 << 12
}

/// Whether a software adapter takes hours where there are barriers: the gradient of an input that the kernel covers nearly
/// whole, whose products are nearly all with cells outside, which a matrix product does not leave out.
fn takes_hours(problem: &ConvProblem) -> bool {
    let taps: u64 = problem.weight().extents[2..].iter().product();
    let products = problem.input().len() * problem.c_out() / problem.groups() * taps;
    problem.direction() == Direction::GradInput && products > 1 << 28
}

/// Integers through `encode`, every binding between guard bands, result and workspace full of NaNs
/// before. The reference runs once for all configurations. The checked build is compared in the first configuration of
/// each algorithm, of the direct one forward in every configuration. Gives whether equality was
/// demanded.
fn integers(gpu: &Gpu, case: &Case, element: Element, tier: Tier, tally: &mut Tally) -> bool {
    let problem = typed(case, element);
    let choices = choices(gpu.target(), &case.name, &problem, tally);
    if choices.is_empty() {
        return false;
    }
    let data = Data::ints(&problem, seed_of(&case.name));
    let wanted = Wanted::of_integers(case, &problem, &data);
    let mut seen = BTreeSet::new();
    for choice in taken(choices, case, gpu, tier, tally) {
        // Checked, a kernel with barriers takes a software adapter's compiler very long.
        let turn = choice.algorithm == Algorithm::Direct || seed_of(&case.name).is_multiple_of(64);
        let is_first = seen.insert(choice.algorithm) && turn;
        let every = choice.algorithm == Algorithm::Direct && problem.direction() == Direction::Forward;
        let what = format!("{} ({})", choice.algorithm, choice.config);
        let device = gpu_for(&what);
        let gpu = device.gpu().expect("a GPU device");
        let verdict = run_guarded(&plan(gpu, choice.clone(), false), &data).and_then(|got| {
            if tier != Tier::Quick && (is_first || every) {
                checked_alike(gpu, choice, &data, &got)?;
            }
            wanted.judge(&problem, got.view())
        });
        tally.check(verdict.map_err(|e| format!("{what}, {}: {e}", case.name)));
    }
    wanted.is_exact()
}

fn table(element: Element, direction: Direction, tier: Tier) {
    let Some(device) = any_gpu() else { return };
    if element == Element::F16 && !device.gpu().expect("a GPU device").target().features.f16 {
        report(&format!("SKIPPED, no f16 on {}", device.name()));
        return;
    }
    let mut cases = cases_of(element, tier);
    if element == Element::F16 {
        cases = half_of(cases, tier);
    }
    let exact = AtomicU32::new(0);
    let tally = Tally::of(
        &cases,
        |case| &case.name,
        |case, tally| match case.in_direction(direction) {
            _ if !tier.takes(&case.name, direction) => tally.skip(&case.name, Tier::ELSEWHERE),
            Some(case) => {
                let gpu = device.gpu().expect("a GPU device");
                let is_exact = integers(gpu, &case, element, tier, tally);
                exact.fetch_add(u32::from(is_exact), Ordering::Relaxed);
            }
            None => tally.skip(&case.name, "its strides overlap in the result"),
        },
    );
    let (name, cases, exact) = (element.name(), cases.len(), exact.into_inner());
    tally.finish(&format!("GPU {name}, integers, {direction:?}, {exact} of {cases} cases exact"));
}

#[test]
fn integers_forward() {
    table(Element::F32, Direction::Forward, Tier::Quick);
}

#[test]
fn integers_grad_input() {
    table(Element::F32, Direction::GradInput, Tier::Quick);
}

#[test]
fn integers_grad_weight() {
    table(Element::F32, Direction::GradWeight, Tier::Quick);
}

#[test]
#[ignore = "full"]
fn integers_forward_in_the_full_tier() {
    table(Element::F32, Direction::Forward, Tier::full());
}

#[test]
#[ignore = "full"]
fn integers_grad_input_in_the_full_tier() {
    table(Element::F32, Direction::GradInput, Tier::full());
}

#[test]
#[ignore = "full"]
fn integers_grad_weight_in_the_full_tier() {
    table(Element::F32, Direction::GradWeight, Tier::full());
}

/// The full tier compares every configuration of the direct algorithm, and one of each other.
#[test]
fn run_time_checks_change_no_bit() {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU device");
    let mut tally = Tally::default();
    for direction in DIRECTIONS {
        let conv = Conv::default().padding(1).stride(2).boundary(Boundary::Wrap).direction(direction);
        let problem = ConvProblem::new(&[2, 4, 5, 4], &[3, 4, 3, 3], &conv).expect("a problem");
        let data = Data::reals(&problem, 3);
        let choice = usual_choice(Algorithm::Direct, &problem, gpu.target()).expect("a usual kernel");
        let verdict = run_guarded(&plan(gpu, choice.clone(), false), &data);
        tally.check(verdict.and_then(|got| checked_alike(gpu, choice, &data, &got)));
    }
    tally.finish("GPU, checked builds");
}

/// f16 stores 11 bits: sums that fit them are exact, the rest is judged within a bound.
#[test]
fn integers_in_f16() {
    for direction in DIRECTIONS {
        table(Element::F16, direction, Tier::Quick);
    }
}

#[test]
#[ignore = "full"]
fn integers_in_f16_forward_in_the_full_tier() {
    table(Element::F16, Direction::Forward, Tier::full());
}

#[test]
#[ignore = "full"]
fn integers_in_f16_grad_input_in_the_full_tier() {
    table(Element::F16, Direction::GradInput, Tier::full());
}

#[test]
#[ignore = "full"]
fn integers_in_f16_grad_weight_in_the_full_tier() {
    table(Element::F16, Direction::GradWeight, Tier::full());
}

/// Where a sum passes 65 504, f16 holds infinity, whatever the sign.
fn sums_past_the_range_of_f16(tier: Tier) {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU device");
    if !gpu.target().features.f16 {
        report(&format!("SKIPPED, no f16 on {}", device.name()));
        return;
    }
    let mut tally = Tally::default();
    // The sums are of 4, 3 and 6 products: of 2^12 they fit, of 2^16 they do not.
    for (direction, value, alpha) in DIRECTIONS
        .into_iter()
        .flat_map(|d| [(64.0, 1.0), (256.0, 1.0), (256.0, -1.0)].map(|(value, alpha)| (d, value, alpha)))
    {
        let epilogue = Epilogue { alpha, ..Default::default() };
        let conv = Conv::default().direction(direction).element(Element::F16).epilogue(epilogue);
        let problem = ConvProblem::new(&[2, 4, 3], &[3, 4, 1], &conv).expect("a problem");
        let mut data = Data::ints(&problem, 0);
        for tensor in [&mut data.x, &mut data.w, &mut data.grad_output] {
            tensor.fill(value);
        }
        let want = reference::run(&problem, &data.operands()).mapv(|v| f16::from_f64(v).to_f64());
        assert_eq!(want.iter().all(|v| v.is_infinite()), value > 64.0);
        for choice in choices(gpu.target(), "overflow", &problem, &mut tally) {
            let name = format!("{direction:?} of {value}, {} ({})", choice.algorithm, choice.config);
            if tier == Tier::Quick && !is_usual(&choice.program) {
                tally.skip(name, "runs in the full tier");
                continue;
            }
            // Checked, a kernel with barriers takes a software adapter's compiler very long.
            for checked in [false, true].into_iter().take(if tier == Tier::Quick { 1 } else { 2 }) {
                let got = run_guarded(&plan(gpu, choice.clone(), checked), &data);
                tally.check(got.and_then(|got| exact(&name, got.view(), want.view())));
            }
        }
    }
    tally.finish("GPU f16, sums past the range");
}

#[test]
fn sums_past_the_range_of_f16_are_infinite() {
    sums_past_the_range_of_f16(Tier::Quick);
}

#[test]
#[ignore = "full"]
fn sums_past_the_range_of_f16_are_infinite_in_every_configuration() {
    sums_past_the_range_of_f16(Tier::full());
}

/// The harness fills the workspace with NaNs: without the launch that writes it, they are the result.
#[test]
fn a_workspace_that_is_read_before_it_is_written_is_seen() {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU device");
    let conv = Conv::default().padding(2).boundary(Boundary::Wrap).direction(Direction::GradInput);
    let problem = ConvProblem::new(&[1, 2, 5, 4], &[3, 2, 3, 3], &conv).expect("a problem");
    let mut choice = Planner::new(gpu.target().clone()).choose(&problem, None).expect("a choice");
    assert_eq!((choice.program.launches.len(), choice.program.workspace.len()), (2, 1));
    choice.program.launches.remove(0);
    let got = run_guarded(&plan(gpu, choice, false), &Data::ints(&problem, 0)).expect("it runs");
    assert!(got.iter().all(|v| v.is_nan()), "{got}");
}

/// Pairs of kernel and spec.
type Specs = BTreeSet<(Kernel, Spec)>;

/// All that problems become on a device with f16, or without.
fn every_spec(target: &Target) -> Specs {
    let half = |spec: &Spec| {
        spec.values().iter().any(|(_, value)| matches!(value, SpecValue::Type("f16" | "vec4h")))
    };
    // No problem becomes a probe: gpu_probe runs them, and gpu_fft those of transforms.
    let others = |kernel: &Kernel| kernel.name().starts_with("probe_") || kernel.name().starts_with("fft_");
    Kernel::ALL
        .iter()
        .filter(|kernel| !others(kernel))
        .flat_map(|&kernel| kernel.specs().into_iter().map(move |spec| (kernel, spec)))
        .filter(|(_, spec)| target.features.f16 || !half(spec))
        .collect()
}

fn specs_of(choice: &Choice) -> Specs {
    choice.program.launches.iter().map(|launch| (launch.kernel, launch.spec.clone())).collect()
}

fn names<'a>(pairs: impl IntoIterator<Item = &'a (Kernel, Spec)>) -> Vec<String> {
    pairs.into_iter().map(|(kernel, spec)| format!("{} {spec}", kernel.name())).collect()
}

/// Cases in every direction, the smallest first.
fn by_size(cases: Vec<Case>) -> Vec<Case> {
    let mut cases: Vec<(u64, Case)> = cases
        .iter()
        .flat_map(|case| DIRECTIONS.iter().filter_map(|&direction| case.in_direction(direction)))
        .map(|case| (case.problem().macs(), case))
        .collect();
    cases.sort_by(|(a, one), (b, other)| (a, &one.name).cmp(&(b, &other.name)));
    cases.into_iter().map(|(_, case)| case).collect()
}

/// Sets of switches that no small case of the table needs on a software adapter.
const LEFT: usize = 7;

/// The smallest problem of the table that becomes it runs each kernel in each spec, in the quick tier in one spec of each set of
/// switches.
fn kernels_run(tier: Tier) {
    let Some(device) = any_gpu() else { return };
    let target = device.gpu().expect("a GPU device").target();
    let mut left = every_spec(target);
    let (all, mut rows) = (left.len(), Vec::new());
    for element in [Element::F32, Element::F16] {
        if element == Element::F16 && !target.features.f16 {
            continue;
        }
        let of_element = |(_, spec): &(Kernel, Spec)| {
            spec.values().iter().any(|(_, value)| *value == SpecValue::Type(element.name()))
        };
        // Whatever part of the table a run takes.
        let cases = by_size(if tier == Tier::Quick {
            cases_of(element, tier)
        } else {
            small_enough(element, every_case())
        });
        for case in cases {
            if !left.iter().any(of_element) {
                break;
            }
            for choice in choices(target, &case.name, &typed(&case, element), &mut Tally::default()) {
                if tier == Tier::Quick && !is_usual(&choice.program) {
                    continue;
                }
                let before = left.len();
                for pair in specs_of(&choice) {
                    if tier == Tier::Quick {
                        left.retain(|(kernel, spec)| {
                            without_sizes(*kernel, spec) != without_sizes(pair.0, &pair.1)
                        });
                    } else {
                        left.remove(&pair);
                    }
                }
                if left.len() < before {
                    rows.push((format!("{} ({})", case.name, choice.config), case.clone(), choice));
                }
            }
        }
    }
    let tally = Tally::of(
        &rows,
        |(name, ..)| name,
        |(name, case, choice), tally| {
            let device = gpu_for(&format!("{} ({})", choice.algorithm, choice.config));
            let problem = &choice.problem;
            let data = Data::ints(problem, seed_of(name));
            let wanted = Wanted::of_integers(case, problem, &data);
            let plan = plan(device.gpu().expect("a GPU device"), choice.clone(), false);
            let verdict = run_guarded(&plan, &data).and_then(|got| wanted.judge(problem, got.view()));
            tally.check(verdict.map_err(|e| format!("{name}: {e}")));
        },
    );
    tally.finish(&format!("GPU, pairs of kernel and spec, all {all}"));
    if tier == Tier::Quick {
        let switches: BTreeSet<_> = left.iter().map(|(kernel, spec)| without_sizes(*kernel, spec)).collect();
        report(&format!("{} sets of switches are left to the full tier: {switches:?}", switches.len()));
        assert!(switches.len() <= LEFT && rows.len() > 8, "{switches:?} never ran");
    } else {
        assert_eq!(names(&left), [""; 0], "never ran");
    }
}

#[test]
fn every_kernel_runs_with_every_switch() {
    kernels_run(Tier::Quick);
}

#[test]
#[ignore = "full"]
fn every_kernel_runs_in_every_spec() {
    kernels_run(Tier::full());
}

/// What is lowered here is what the tables run in the exhaustive tier: nothing but what is listed and validated.
#[test]
#[ignore = "full"]
fn the_tables_reach_every_kernel_in_every_spec() {
    let half = Target { features: Features { f16: true, ..Default::default() }, ..Default::default() };
    let target = any_gpu().map_or(half, |device| device.gpu().expect("a GPU device").target().clone());
    let mut reached = Specs::new();
    for element in [Element::F32, Element::F16] {
        for case in by_size(small_enough(element, every_case())) {
            for choice in choices(&target, &case.name, &typed(&case, element), &mut Tally::default()) {
                reached.extend(specs_of(&choice));
            }
        }
    }
    let all = every_spec(&target);
    assert_eq!(names(all.difference(&reached)), [""; 0], "never run");
    assert_eq!(names(reached.difference(&all)), [""; 0], "not among the specs");
    report(&format!("all {} pairs of kernel and spec are reached", all.len()));
}

/// Reals through `run`: upload, prepare, launch, read back, whatever the layout.
fn reals(direction: Direction, tier: Tier) {
    let Some(_turn) = any_gpu() else { return };
    let cases = half_of(cases_of(Element::F32, tier), tier);
    let tally = Tally::of(
        &cases,
        |case| &case.name,
        |case, tally| {
            if is_dispatch(case) {
                return tally.skip(&case.name, "too slow");
            }
            if !tier.takes(&case.name, direction) {
                return tally.skip(&case.name, Tier::ELSEWHERE);
            }
            let Some(case) = case.in_direction(direction) else {
                return tally.skip(&case.name, "its strides overlap in the result");
            };
            let problem = case.problem();
            let data = Data::reals(&problem, seed_of(&case.name));
            let wanted = Wanted::of_reals(&case, &problem, &data);
            for algorithm in exact_algorithms() {
                let options = PlanOptions {
                    algorithm: Some(algorithm),
                    fallback: Fallback::Error,
                    ..Default::default()
                };
                let device = gpu_for(algorithm.name());
                let software = is_software(device.gpu().expect("a GPU device"));
                let plan = match device.plan(&problem, &options) {
                    Ok(plan) => plan,
                    Err(why) => {
                        tally.skip(format!("{algorithm} {}", case.name), why.to_string());
                        continue;
                    }
                };
                let unusual = |plan: &GpuPlan| !is_usual(&plan.choice().program);
                if software && tier == Tier::Quick && plan.gpu().is_some_and(unusual) {
                    tally.skip(&case.name, "runs in the full tier");
                    continue;
                }
                let slow = |plan: &GpuPlan| has_barriers(algorithm) && is_slow(&case, plan.choice());
                if software && tier != Tier::Exhaustive && plan.gpu().is_some_and(slow) {
                    tally.skip(&case.name, "runs in the exhaustive tier");
                    continue;
                }
                if software && has_barriers(algorithm) && takes_hours(&problem) {
                    tally.skip(&case.name, "takes a software adapter hours");
                    continue;
                }
                let got = plan.run(Singles::new(&data).operands(direction));
                let verdict = got.map_err(|e| e.to_string());
                let verdict = verdict.and_then(|got| wanted.judge(&problem, got.view()));
                tally.check(verdict.map_err(|e| format!("{algorithm}, {}: {e}", case.name)));
            }
        },
    );
    tally.finish(&format!("GPU f32, reals, {direction:?}"));
}

#[test]
fn reals_stay_within_the_bound() {
    for direction in DIRECTIONS {
        reals(direction, Tier::Quick);
    }
}

#[test]
#[ignore = "full"]
fn reals_stay_within_the_bound_forward_in_the_full_tier() {
    reals(Direction::Forward, Tier::full());
}

#[test]
#[ignore = "full"]
fn reals_stay_within_the_bound_grad_input_in_the_full_tier() {
    reals(Direction::GradInput, Tier::full());
}

#[test]
#[ignore = "full"]
fn reals_stay_within_the_bound_grad_weight_in_the_full_tier() {
    reals(Direction::GradWeight, Tier::full());
}

/// In their tails activations are right relative to what they are, and a NaN passes through each.
#[test]
fn activations_are_right_in_their_tails() {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU device");
    let values: [f32; 22] = [
        -3e38,
        -1e30,
        -200.0,
        -104.0,
        -95.0,
        -88.0,
        -50.0,
        -13.0,
        -10.0,
        -5.0,
        -1.0,
        -1e-3,
        0.0,
        1e-3,
        1.0,
        5.0,
        13.0,
        50.0,
        88.0,
        1e30,
        3e38,
        f32::NAN,
    ];
    let all = [
        Activation::Identity,
        Activation::Relu,
        Activation::Clamp { low: -2.0, high: 7.0 },
        Activation::LeakyRelu { slope: 0.25 },
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Silu,
        Activation::Gelu,
        Activation::HardSwish,
    ];
    let mut tally = Tally::default();
    for activation in all {
        let conv = Conv::default().activation(activation);
        let problem = ConvProblem::new(&[1, 1, values.len()], &[1, 1, 1], &conv).expect("a problem");
        let mut data = Data::ints(&problem, 0);
        data.x.iter_mut().zip(values).for_each(|(x, value)| *x = value.into());
        data.w.fill(1.0);
        let choice = usual_choice(Algorithm::Direct, &problem, gpu.target()).expect("a usual kernel");
        let got = run_guarded(&plan(gpu, choice, false), &data).expect("it runs");
        for (value, got) in values.into_iter().zip(&got) {
            let want = activation.eval(value.into());
            // What is less than a normal number may be flushed to zero.
            let near = (got - want).abs() <= 3e-5 * want.abs() + 1.2e-38;
            let alike = near || got.is_nan() && want.is_nan();
            tally.check(if alike {
                Ok(())
            } else {
                Err(format!("{activation:?} of {value:e} is {got:e}, not {want:e}"))
            });
        }
    }
    // On the CPU too.
    assert!(all.iter().all(|activation| activation.eval(f64::NAN).is_nan()));
    tally.finish("GPU, tails of activations");
}
