//! `Fft` on the GPU: the whole case table in its configurations and all directions, between guard bands and over NaNs, within the
//! bound of transforms; lengths of every kind; laws of the transform.
#![cfg(feature = "gpu")]

mod common;

use common::benchdnn::benchdnn;
use common::cases::{self, Case};
use common::compare::Tally;
use common::device::{any_gpu, run_guarded};
use common::values::{Data, seed_of};
use common::wanted::Wanted;
use wgconv::algorithm::{Config, FftConfig};
use wgconv::gpu::{Gpu, GpuPlan};
use wgconv::program::DeviceClass;
use wgconv::{Algorithm, Choice, ConvProblem, Direction, PlanOptions};

fn full() -> bool {
    std::env::var_os("WGCONV_FULL").is_some()
}

fn quick() -> bool {
    std::env::var_os("WGCONV_QUICK").is_some()
}

/// Most multiply-adds of a case that a software adapter runs in a moment.
const MOMENT: u64 = 1 << 20;

fn plan(gpu: &Gpu, choice: Choice, checked: bool) -> GpuPlan {
    let options = PlanOptions { checked, ..Default::default() };
    pollster::block_on(GpuPlan::new(gpu, choice, &options)).expect("the plan is built")
}

fn choice(problem: &ConvProblem, gpu: &Gpu, config: FftConfig, budget: Option<u64>) -> Choice {
    let mut target = gpu.target().clone();
    if let Some(budget) = budget {
        target.limits.workspace_budget = budget;
    }
    let config = Config::Fft(config);
    let program = Algorithm::Fft.lower(problem, &target, config).expect("a candidate lowers");
    Choice { problem: problem.clone(), algorithm: Algorithm::Fft, config, program, declined: Vec::new() }
}

/// The configurations that take `problem`.
fn configs(problem: &ConvProblem, gpu: &Gpu) -> Result<Vec<FftConfig>, String> {
    let configs = Algorithm::Fft.candidates(problem, gpu.target()).map_err(|why| why.to_string())?;
    let fft = |config| match config {
        Config::Fft(config) => Some(config),
        _ => None,
    };
    Ok(configs.into_iter().filter_map(fft).collect())
}

fn table(direction: Direction) {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU device");
    let software = gpu.target().device_class == DeviceClass::Software;
    let (mut tally, mut worst) = (Tally::default(), 0f64);
    for case in cases::named().into_iter().chain(benchdnn()) {
        let Some(case) = case.in_direction(direction) else {
            tally.skip(&case.name, "its strides overlap in the result");
            continue;
        };
        worst = worst.max(run(gpu, &case, software, &mut tally));
    }
    tally.finish(&format!("GPU fft, {direction:?}, worst {worst:.2} of the bound"));
}

/// On a GPU every configuration; on a software adapter, to which a barrier costs a hundred times what it costs a GPU, one,
/// another one in every case, unless `WGCONV_FULL` asks for all.
fn run(gpu: &Gpu, case: &Case, software: bool, tally: &mut Tally) -> f64 {
    let problem = case.problem();
    if software && problem.macs() > MOMENT && !full() {
        tally.skip(&case.name, "runs with WGCONV_FULL");
        return 0.0;
    }
    let configs = match configs(&problem, gpu) {
        Ok(configs) => configs,
        Err(why) => {
            tally.skip(&case.name, why);
            return 0.0;
        }
    };
    let seed = seed_of(&case.name);
    let is_integer = seed.is_multiple_of(2);
    let data = if is_integer { Data::ints(&problem, seed) } else { Data::reals(&problem, seed) };
    let wanted = Wanted::of_reals(case, &problem, &data);
    let mut worst = 0f64;
    for (i, config) in (0..).zip(&configs) {
        if software && !full() && i != seed / 2 % configs.len() as u64 {
            tally.skip(format!("{} ({config})", case.name), "runs with WGCONV_FULL");
            continue;
        }
        // A budget that holds nothing: one block of columns after the other.
        for budget in [None, Some(1)] {
            let choice = choice(&problem, gpu, *config, budget);
            let verdict = run_guarded(&plan(gpu, choice, false), &data)
                .and_then(|got| wanted.judge_spectra(&problem, got.view(), config.points()));
            if let Ok(ratio) = verdict {
                worst = worst.max(ratio);
            }
            tally.check(verdict.map_err(|e| format!("{config}, budget {budget:?}: {e}")));
            if quick() {
                break;
            }
        }
    }
    worst
}

#[test]
fn the_case_table_forward() {
    table(Direction::Forward);
}

#[test]
fn the_case_table_grad_input() {
    table(Direction::GradInput);
}

#[test]
fn the_case_table_grad_weight() {
    table(Direction::GradWeight);
}
