//! Groups of few channels: what is not finite stays where it belongs, and who takes what.
#![cfg(feature = "gpu")]

use crate::common::device::{any_gpu, run_guarded};
use crate::common::plans::{self, candidates, lower};
use crate::common::usual::{is_short, usual_choice};
use ndarray::ArrayD;
use wgconv::internals::algorithm::{Cannot, Resource};
use wgconv::internals::cpu::reference;
use wgconv::internals::gpu::{Gpu, GpuPlan};
use wgconv::internals::planner::Planner;
use wgconv::internals::target::{DeviceClass, Target};
use wgconv::{Algorithm, Boundary, Conv, ConvProblem, Direction, PlanOptions};
use wgconv_testing::values::Data;
use wgconv_testing::{Tally, Tier};

const DIRECTIONS: [Direction; 3] = [Direction::Forward, Direction::GradInput, Direction::GradWeight];

fn problem(x: &[usize], w: &[usize], conv: &Conv) -> ConvProblem {
    ConvProblem::new(x, w, conv).expect("a problem")
}

/// Where the reference is finite, the same numbers; elsewhere nothing finite.
fn alike(got: &ArrayD<f64>, want: &ArrayD<f64>) -> Result<(), String> {
    let wrong = got
        .indexed_iter()
        .zip(want)
        .find(|((_, got), want)| if want.is_finite() { got != want } else { got.is_finite() });
    wrong.map_or(Ok(()), |((index, got), want)| Err(format!("at {index:?} got {got}, want {want}")))
}

/// Every configuration; in the quick tier one, in a short run a usual one.
fn configs(gpu: &Gpu, name: &str, problem: &ConvProblem, data: &Data, tier: Tier, tally: &mut Tally) {
    let want = reference::run(problem, &data.operands());
    assert!(want.iter().any(|v| !v.is_finite()) && want.iter().any(|v| v.is_finite()), "{name}");
    let algorithm = Algorithm::Depthwise;
    let configs = candidates(algorithm, problem, gpu.target()).expect("it takes this");
    let choice = |config| {
        let program = lower(algorithm, problem, gpu.target(), &config).expect("a candidate lowers");
        plans::choice(algorithm, problem, config, program)
    };
    let usual =
        if is_short(tier, gpu.target()) { usual_choice(algorithm, problem, gpu.target()) } else { None };
    let most = if tier == Tier::Quick { 1 } else { usize::MAX };
    for choice in usual.into_iter().chain(configs.into_iter().map(choice)).take(most) {
        let config = choice.config.clone();
        let plan = pollster::block_on(GpuPlan::new(gpu, choice, &PlanOptions::default())).expect("a plan");
        let verdict = run_guarded(&plan, data).and_then(|got| alike(&got, &want));
        tally.check(verdict.map_err(|e| format!("{name} ({config}): {e}")));
    }
}

/// Blocks of eight rows and of eight taps have a tail; what it reads past the end must not count, not even times 0.
fn what_is_not_finite_stays(kernels: &[[usize; 2]], tier: Tier) {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU device");
    let mut tally = Tally::default();
    for (i, kernel) in kernels.iter().enumerate() {
        for (stride, dilation) in [(1, 1), (2, 1), (1, 2), (3, 1)] {
            for direction in DIRECTIONS {
                // Without padding: outside, a reference skips what the kernels multiply by 0.
                let conv = Conv::default().stride(stride).dilation(dilation).groups(2).direction(direction);
                let problem = problem(&[1, 2, 21, 22], &[6, 1, kernel[0], kernel[1]], &conv);
                let mut data = Data::ints(&problem, i as u64);
                data.w.mapv_inplace(|v| if v == 0.0 { 1.0 } else { v });
                // Of a gradient by the weight, an outer cell meets the outer taps alone.
                let tensor =
                    if direction == Direction::GradInput { &mut data.grad_output } else { &mut data.x };
                let last = tensor.len() - 1;
                for (at, value) in [(0, f64::INFINITY), (last, f64::NEG_INFINITY)] {
                    let cell = tensor.iter_mut().nth(at).expect("a cell");
                    *cell = value;
                }
                let name = format!("{direction:?} of {kernel:?}, stride {stride}, dilation {dilation}");
                configs(gpu, &name, &problem, &data, tier, &mut tally);
            }
        }
    }
    tally.finish("elements that are not finite");
}

#[test]
fn an_element_that_is_not_finite_reaches_its_own_windows_alone() {
    what_is_not_finite_stays(&[[4, 2]], Tier::Quick);
}

#[test]
#[ignore = "full"]
fn an_element_that_is_not_finite_reaches_its_own_windows_alone_in_every_configuration() {
    what_is_not_finite_stays(&[[3, 3], [4, 2], [5, 5], [9, 7]], Tier::full());
}

/// What the planner chooses for a GPU.
fn chosen(x: &[usize], w: &[usize], conv: &Conv) -> Algorithm {
    Planner::new(Target::default()).choose(&problem(x, w, conv), None).expect("a choice").algorithm
}

#[test]
fn few_channels_are_its_own() {
    let (x, conv) = ([32, 32, 56, 56], Conv::default().padding(1));
    for direction in DIRECTIONS {
        let conv = conv.clone().groups(32).direction(direction);
        assert_eq!(chosen(&x, &[32, 1, 3, 3], &conv), Algorithm::Depthwise);
    }
    assert_eq!(chosen(&[32, 3, 112, 112], &[16, 3, 7, 7], &Conv::default().stride(2)), Algorithm::Depthwise);
    assert_eq!(chosen(&x, &[64, 32, 3, 3], &conv), Algorithm::ImplicitGemm);
    // A barrier costs a software adapter too much.
    let software = Target { device_class: DeviceClass::Software, ..Target::default() };
    let depthwise = problem(&x, &[32, 1, 3, 3], &conv.groups(32));
    let choice = Planner::new(software).choose(&depthwise, None).expect("a choice");
    assert_eq!(choice.algorithm, Algorithm::Direct);
}

#[test]
fn what_it_declines_has_a_reason() {
    let target = Target::default();
    let why = |x: &[usize], w: &[usize], conv: &Conv| {
        candidates(Algorithm::Depthwise, &problem(x, w, conv), &target).expect_err("declined")
    };
    let conv = Conv::default;
    assert_eq!(why(&[1, 9, 8], &[2, 9, 3], &conv()), Cannot::Channels { wanted: 8, got: 9 });
    let back = conv().direction(Direction::GradInput);
    assert_eq!(why(&[1, 2, 8], &[9, 2, 3], &back), Cannot::Channels { wanted: 8, got: 9 });
    assert_eq!(why(&[1, 2, 8], &[2, 6, 2, 3], &conv().unshared(true)), Cannot::Unshared);
    let long = why(&[1, 1, 9_000], &[1, 1, 4_000], &conv().boundary(Boundary::Wrap));
    assert_eq!(long, Cannot::Limit { resource: Resource::ColumnsOfTaps, needed: 500, limit: 400 });
}
