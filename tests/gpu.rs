//! Every algorithm and configuration of the GPU over the whole case table: exact on integers between
//! guard bands, within the bound on reals, the same bits with every run-time check on.
#![cfg(feature = "gpu")]

mod common;

use common::benchdnn::benchdnn;
use common::cases::{self, Case};
use common::compare::{Bound, Tally, exact, within};
use common::device::{any_gpu, run_guarded};
use common::report::report;
use common::values::{Data, seed_of};
use ndarray::ArrayD;
use wgconv::cpu::reference;
use wgconv::gpu::{Gpu, GpuPlan};
use wgconv::{Algorithm, Choice, ConvProblem, Direction, Element, Operands, PlanOptions};

/// Every algorithm in every configuration that takes `problem`; the others are counted as declined.
fn choices(gpu: &Gpu, name: &str, problem: &ConvProblem, tally: &mut Tally) -> Vec<Choice> {
    let mut choices = Vec::new();
    for &algorithm in Algorithm::ALL {
        let configs = match algorithm.candidates(problem, gpu.target()) {
            Ok(configs) => configs,
            Err(why) => {
                tally.skip(format!("{algorithm} {name}"), why.to_string());
                continue;
            }
        };
        for config in configs {
            let program = algorithm.lower(problem, gpu.target(), config).expect("a candidate lowers");
            let problem = problem.clone();
            choices.push(Choice { problem, algorithm, config, program, declined: Vec::new() });
        }
    }
    choices
}

fn plan(gpu: &Gpu, choice: Choice, checked: bool) -> GpuPlan {
    let options = PlanOptions { checked, ..Default::default() };
    pollster::block_on(GpuPlan::new(gpu, choice, &options)).expect("the plan is built")
}

fn judged(case: &Case, problem: &ConvProblem, got: &ArrayD<f64>, data: &Data) -> Result<(), String> {
    let want = reference::run(problem, &data.operands());
    if case.exact {
        return exact(&case.name, got.view(), want.view());
    }
    let mag = reference::magnitude(problem, &data.operands());
    within(&case.name, got.view(), want.view(), mag.view(), &Bound::of(problem)).map(|_| ())
}

/// Integers through `encode`, every binding between guard bands, the result full of NaNs before.
fn integers(gpu: &Gpu, case: &Case, element: Element, tally: &mut Tally) {
    let conv = case.conv.clone().element(element);
    let problem = Case { conv, ..case.clone() }.problem();
    let choices = choices(gpu, &case.name, &problem, tally);
    if choices.is_empty() {
        return;
    }
    let data = Data::ints(&problem, seed_of(&case.name));
    for choice in choices {
        let what = format!("{} ({})", choice.algorithm, choice.config);
        let trusted = run_guarded(&plan(gpu, choice.clone(), false), &data);
        let checked = run_guarded(&plan(gpu, choice, true), &data);
        let verdict = trusted.and_then(|got| {
            let bits = |a: &ArrayD<f64>| a.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            if bits(&got) != bits(&checked?) {
                return Err("the checked build gives other bits".into());
            }
            judged(case, &problem, &got, &data)
        });
        tally.check(verdict.map_err(|e| format!("{what}, {}: {e}", case.name)));
    }
}

fn table(element: Element, cases: &[Case], what: &str) {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU device");
    if element == Element::F16 && !gpu.target().features.f16 {
        report(&format!("SKIPPED, no f16 on {}", device.name()));
        return;
    }
    for direction in [Direction::Forward, Direction::GradInput, Direction::GradWeight] {
        let mut tally = Tally::default();
        for case in cases {
            match case.in_direction(direction) {
                Some(case) => integers(gpu, &case, element, &mut tally),
                None => tally.skip(&case.name, "its strides overlap in the result"),
            }
        }
        tally.finish(&format!("{what}, {direction:?}"));
    }
}

#[test]
fn named_cases_are_exact_on_integers() {
    table(Element::F32, &cases::named(), "GPU f32, named cases");
}

#[test]
fn benchdnn_rows_are_exact_on_integers() {
    table(Element::F32, &benchdnn(), "GPU f32, benchdnn rows");
}

/// f16 stores 11 bits: integers small enough stay exact, and the rest is judged within a bound.
#[test]
fn named_cases_in_f16() {
    let few = |case: &Case| !case.name.starts_with("dispatch_");
    let cases: Vec<Case> =
        cases::named().into_iter().filter(few).map(|c| Case { exact: false, ..c }).collect();
    table(Element::F16, &cases, "GPU f16, named cases");
}

/// Reals through `run`: upload, prepare, launch, read back, whatever the layout.
#[test]
fn reals_stay_within_the_bound() {
    let Some(device) = any_gpu() else { return };
    let options = PlanOptions { fallback: wgconv::Fallback::Error, ..Default::default() };
    let mut tally = Tally::default();
    let cases = cases::named().into_iter().filter(|c| !c.name.starts_with("dispatch_")).chain(benchdnn());
    for case in cases {
        let problem = case.problem();
        let plan = match device.plan(&problem, &options) {
            Ok(plan) => plan,
            Err(why) => {
                tally.skip(&case.name, why.to_string());
                continue;
            }
        };
        let data = Data::reals(&problem, seed_of(&case.name));
        let single = |a: &ArrayD<f64>| a.mapv(|v| v as f32);
        let (x, w) = (single(&data.x), single(&data.w));
        let bias = data.bias.as_ref().map(|b| b.mapv(|v| v as f32));
        let residual = data.residual.as_ref().map(single);
        let mut operands = Operands { input: x.view(), weight: w.view().into(), ..Default::default() };
        if let Some(bias) = &bias {
            operands.bias = bias.view();
        }
        if let Some(residual) = &residual {
            operands.residual = residual.view();
        }
        let got = plan.run(operands).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let want = reference::run(&problem, &data.operands());
        let mag = reference::magnitude(&problem, &data.operands());
        tally.check(within(&case.name, got.view(), want.view(), mag.view(), &Bound::of(&problem)));
    }
    tally.finish("GPU f32, reals");
}
