//! The GPU against the reference over the whole space of problems and layouts.
#![cfg(feature = "gpu")]

use crate::common::plans::{self, candidates, lower};
use std::cell::RefCell;

use crate::common::cpu::Spec;
use crate::common::device::{any_gpu, run_guarded};
use crate::common::space;
use crate::common::usual::{is_short, usual_choice};
use ndarray::ArrayD;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use wgconv::internals::cpu::reference;
use wgconv::internals::gpu::GpuPlan;
use wgconv::internals::kernel::Kernel;
use wgconv::internals::planner::Planner;
use wgconv::internals::target::Target;
use wgconv::{Algorithm, Conv, ConvProblem, Device, Direction, Element, Layout, Layouts, PlanOptions};
use wgconv_testing::agrees;
use wgconv_testing::values::Data;
use wgconv_testing::{Bound, Tally, Tier, exact, within};

/// Any problem, each of its tensors in any named layout.
fn any_layout() -> impl Strategy<Value = Spec> {
    let layout = || prop::sample::select(vec![Layout::Ncx, Layout::Nxc, Layout::Cxn]);
    (space::any_spec(), layout(), layout(), layout()).prop_map(|(spec, input, weight, output)| {
        let conv = spec.conv.layouts(Layouts { input, weight, output });
        Spec { conv, ..spec }
    })
}

/// The problem on the device between guard bands, by a drawn algorithm, or where that declines, by the planner's; `None`
/// where every algorithm declines it. What came of spectra is already compared, and nothing.
fn run(
    device: &Device,
    problem: &ConvProblem,
    data: &Data,
    seed: u64,
    tier: Tier,
) -> Option<Result<Option<ArrayD<f64>>, String>> {
    let gpu = device.gpu().expect("a GPU device");
    let planner = Planner::new(gpu.target().clone());
    let drawn = Algorithm::on_gpu()[(seed % Algorithm::on_gpu().len() as u64) as usize];
    let usual = if is_short(tier, gpu.target()) { usual_choice(drawn, problem, gpu.target()) } else { None };
    let choice = match usual {
        Some(choice) => choice,
        None => planner.choose(problem, Some(drawn)).or_else(|_| planner.choose(problem, None)).ok()?,
    };
    let plan = pollster::block_on(GpuPlan::new(gpu, choice, &PlanOptions::default()));
    let run = |plan: GpuPlan| {
        let got = run_guarded(&plan, data)?;
        // Of spectra, only their own bound holds.
        if plan.choice().algorithm == Algorithm::Fft {
            agrees(plan.choice(), data, got.view())?;
            return Ok(None);
        }
        Ok(Some(got))
    };
    Some(plan.map_err(|e| e.to_string()).and_then(run))
}

/// Every drawn problem that an algorithm takes passes `judge`, and there are some.
fn check(
    what: &str,
    tier: Tier,
    data: impl Fn(&ConvProblem, u64) -> Data,
    judge: impl Fn(&ConvProblem, &ArrayD<f64>, &Data) -> Result<(), String>,
) {
    let Some(device) = any_gpu() else { return };
    let tally = RefCell::new(Tally::default());
    let mut runner = TestRunner::new(space::config(if tier == Tier::Quick { 64 } else { 400 }));
    let outcome = runner.run(&(any_layout(), any::<u64>()), |(spec, seed)| {
        let problem = spec.problem(Element::F32);
        let data = data(&problem, seed);
        match run(&device, &problem, &data, seed, tier) {
            None => tally.borrow_mut().skip(format!("{spec:?}"), "declined"),
            Some(got) => {
                let judged = got.and_then(|got| got.map_or(Ok(()), |got| judge(&problem, &got, &data)));
                judged.map_err(TestCaseError::fail)?;
                tally.borrow_mut().check(Ok(()));
            }
        }
        Ok(())
    });
    outcome.unwrap_or_else(|e| panic!("{what}: {e}"));
    tally.into_inner().finish(what);
}

fn integers(tier: Tier) {
    let judge = |problem: &ConvProblem, got: &ArrayD<f64>, data: &Data| {
        exact("drawn", got.view(), reference::run(problem, &data.operands()).view())
    };
    check("GPU, drawn problems, integers", tier, Data::ints, judge);
}

fn reals(tier: Tier) {
    let judge = |problem: &ConvProblem, got: &ArrayD<f64>, data: &Data| {
        let want = reference::run(problem, &data.operands());
        let mag = reference::magnitude(problem, &data.operands());
        within("drawn", got.view(), want.view(), mag.view(), &Bound::of(problem)).map(|_| ())
    };
    check("GPU, drawn problems, reals", tier, Data::reals, judge);
}

#[test]
fn integers_are_exact() {
    integers(Tier::Quick);
}

#[test]
#[ignore = "full"]
fn many_integers_are_exact() {
    integers(Tier::full());
}

#[test]
fn reals_stay_within_the_bound() {
    reals(Tier::Quick);
}

#[test]
#[ignore = "full"]
fn many_reals_stay_within_the_bound() {
    reals(Tier::full());
}

/// The longest sum that one invocation makes, with every run-time check and without: no loop ends early.
#[test]
#[ignore = "full"]
fn long_products_are_summed_to_their_end() {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU device");
    // Four tiles are enough for one compute unit, so sums are cut no sooner than they must be.
    let target = Target { compute_units: Some(1), ..gpu.target().clone() };
    let problem = ConvProblem::new(&[1, 8192, 450], &[4, 8192, 2], &Conv::default()).expect("a problem");
    let data = Data::ints(&problem, 7);
    let want = reference::run(&problem, &data.operands());
    for algorithm in [Algorithm::ImplicitGemm, Algorithm::Im2colGemm] {
        let choice = Planner::new(target.clone()).choose(&problem, Some(algorithm)).expect("it takes this");
        assert!(choice.program.launches.iter().all(|launch| launch.kernel != Kernel::Fold), "{algorithm}");
        for checked in [false, true] {
            let options = PlanOptions { checked, ..Default::default() };
            let plan = pollster::block_on(GpuPlan::new(gpu, choice.clone(), &options)).expect("a plan");
            let got = run_guarded(&plan, &data).expect("it runs");
            exact(&format!("{algorithm}, checked: {checked}"), got.view(), want.view()).expect("exact");
        }
    }
}

/// A tap on zero padding is not multiplied: what is infinite there leaves the sum finite.
#[test]
fn direct_skips_taps_on_zero_padding() {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU device");
    let mut tally = Tally::default();
    for direction in [Direction::Forward, Direction::GradInput, Direction::GradWeight] {
        for extents in [[5, 6], [4, 13]] {
            let conv = Conv::default().padding(1).direction(direction);
            let (x, w) = ([1, 2, extents[0], extents[1]], [4, 2, 3, 3]);
            let problem = ConvProblem::new(&x, &w, &conv).expect("a problem");
            let mut data = Data::ints(&problem, 3);
            // The first tap lies outside for some results; of the first output five taps do.
            let tensor = if direction == Direction::GradWeight { &mut data.grad_output } else { &mut data.w };
            tensor.iter_mut().take(1).for_each(|v| *v = f64::INFINITY);
            let want = reference::run(&problem, &data.operands());
            assert!(want.iter().any(|v| v.is_finite()) && want.iter().any(|v| !v.is_finite()));
            for config in candidates(Algorithm::Direct, &problem, gpu.target()).expect("it takes everything")
            {
                let program = lower(Algorithm::Direct, &problem, gpu.target(), &config).expect("it lowers");
                let algorithm = Algorithm::Direct;
                let choice = plans::choice(algorithm, &problem, config.clone(), program);
                let options = PlanOptions::default();
                let plan = pollster::block_on(GpuPlan::new(gpu, choice, &options)).expect("a plan");
                let got = run_guarded(&plan, &data).expect("it runs");
                let wrong = got.iter().zip(&want).find(|(got, want)| want.is_finite() && got != want);
                let name = format!("{direction:?} of {extents:?} ({config})");
                tally.check(wrong.map_or(Ok(()), |(got, want)| Err(format!("{name}: {got}, want {want}"))));
            }
        }
    }
    tally.finish("GPU direct, taps on zero padding");
}
