//! A device with less than its adapter has: what fits runs, the rest goes to the CPU path or is declined,
//! and nothing reaches wgpu that it refuses.
#![cfg(feature = "gpu")]

use crate::common::plans::{self, candidates, lower};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::common::device::{any_gpu, run_guarded};
use ndarray::ArrayD;
use wgconv::Cannot;
use wgconv::internals::cpu::reference;
use wgconv::internals::gpu::{GpuPlan, adapters};
use wgconv::internals::implementation::{Config, PlanContext};
use wgconv::internals::planner::Choice;
use wgconv::internals::target::{Limits, Target};
use wgconv::wgpu;
use wgconv::{
    Algorithm, Boundary, Conv, ConvProblem, Device, Direction, Epilogue, Error, ErrorKind, Fallback, Layout,
    Operands, Plan, PlanOptions,
};
use wgconv_testing::agrees;
use wgconv_testing::cases::Case;
use wgconv_testing::values::{Data, seed_of};
use wgconv_testing::{Tally, Tier, exact};

const DIRECTIONS: [Direction; 3] = [Direction::Forward, Direction::GradInput, Direction::GradWeight];
const BINDING: u64 = 1 << 20;

/// A device of the adapter under test with these limits, and the count of the errors that nobody caught.
fn limited_device(limits: wgpu::Limits) -> Option<(Device, Arc<AtomicU32>)> {
    let ours = any_gpu()?;
    let adapter = pollster::block_on(adapters()).into_iter().find(|a| a.get_info().name == ours.name())?;
    let descriptor = wgpu::DeviceDescriptor { required_limits: limits, ..Default::default() };
    let (device, queue) = pollster::block_on(adapter.request_device(&descriptor)).expect("a device");
    let errors = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&errors);
    device.on_uncaptured_error(Arc::new(move |error| {
        eprintln!("wgpu: {error}");
        count.fetch_add(1, Ordering::Relaxed);
    }));
    Some((Device::from_wgpu(device, queue).expect("a device").with_adapter(&adapter), errors))
}

/// One with bindings of at most [`BINDING`] bytes.
fn small_device(limits: wgpu::Limits) -> Option<(Device, Arc<AtomicU32>)> {
    let limits = wgpu::Limits { max_storage_buffer_binding_size: BINDING, ..limits };
    let (device, errors) = limited_device(limits)?;
    assert_eq!(device.gpu().expect("a GPU device").target().limits.max_binding_bytes, BINDING);
    Some((device, errors))
}

/// Tensors within the limit, the last ones to the byte; sums in parts and folded gradients among them.
fn fitting() -> Vec<Case> {
    let conv = || Conv::default().padding(1);
    let epilogue = Epilogue { beta: Some(2.0), bias: true, ..Default::default() };
    vec![
        Case::new("plain", &[2, 3, 9, 8], &[4, 3, 3, 3], conv().epilogue(epilogue)),
        Case::new("channels last", &[4, 8, 9, 8], &[4, 8, 3, 3], conv().layouts(Layout::Nxc)),
        Case::new("wrapped", &[2, 3, 9, 8], &[4, 3, 3, 3], conv().boundary(Boundary::Wrap)),
        Case::new("long", &[2, 300, 5], &[3, 300, 3], conv()),
        Case::new("grouped", &[1, 6, 5, 4, 3], &[4, 3, 2, 3, 3], conv().groups(2).stride(2)),
        Case::new("just at the limit", &[1, 1, 262_144], &[1, 1, 1], Conv::default()),
    ]
}

/// At least one tensor past the limit: cut into pieces.
fn large() -> Vec<Case> {
    let conv = Conv::default;
    vec![
        Case::new("input past the limit", &[1, 1, 262_148], &[1, 1, 8], conv().stride(4)),
        Case::new("weight past the limit", &[1, 100_000, 1], &[3, 100_000, 1], conv()),
        Case::new("output past the limit", &[1, 1, 80_000], &[4, 1, 2], conv()),
        Case::new("just past the limit", &[1, 1, 262_145], &[1, 1, 1], conv()),
    ]
}

/// A tensor past the limit that no piece does without: windows at one end read the other one.
fn too_large() -> Vec<Case> {
    let conv = Conv::default().padding(1).boundary(Boundary::Wrap);
    vec![Case::new("one row past the limit, wrapped", &[1, 1, 262_148], &[1, 1, 3], conv)]
}

fn run(plan: &Plan, data: &Data) -> ArrayD<f32> {
    let single = |a: &ArrayD<f64>| a.mapv(|v| v as f32);
    let (x, w, h) = (single(&data.x), single(&data.w), single(&data.grad_output));
    let bias = data.bias.as_ref().map(|b| b.mapv(|v| v as f32));
    let residual = data.residual.as_ref().map(single);
    let mut operands = match plan.problem().direction() {
        Direction::Forward => Operands { input: x.view(), weight: w.view().into(), ..Default::default() },
        Direction::GradInput => {
            Operands { grad_output: h.view(), weight: w.view().into(), ..Default::default() }
        }
        Direction::GradWeight => Operands { input: x.view(), grad_output: h.view(), ..Default::default() },
    };
    if let Some(bias) = &bias {
        operands.bias = bias.view();
    }
    if let Some(residual) = &residual {
        operands.residual = residual.view();
    }
    plan.run(operands).expect("a result")
}

/// Runs `case`, on the GPU if it `fits` and else on the CPU path; where it does not fit and no fallback
/// is allowed, a limit is the reason.
fn check(device: &Device, case: &Case, fits: bool) -> Result<(), String> {
    let problem = case.problem();
    let plan = device.plan(&problem, &PlanOptions::default()).map_err(|e| e.to_string())?;
    if plan.gpu().is_some() != fits || plan.fallback().is_some() == fits {
        return Err(format!("{}: {}", case.name, plan.explain()));
    }
    let forced = PlanOptions { fallback: Fallback::Error, ..Default::default() };
    match device.plan(&problem, &forced) {
        Ok(_) if fits => {}
        Err(e) if !fits && e.kind() == ErrorKind::LimitExceeded => {}
        other => return Err(format!("{}: {other:?}", case.name)),
    }
    let data = Data::ints(&problem, seed_of(&case.name));
    let want = reference::run(&problem, &data.operands());
    exact(&case.name, run(&plan, &data).view(), want.view())
}

fn table(cases: &[Case], device: &Device, fits: bool, tally: &mut Tally) {
    for case in cases {
        for case in DIRECTIONS.iter().filter_map(|&direction| case.in_direction(direction)) {
            tally.check(check(device, &case, fits));
        }
    }
}

#[test]
fn what_fits_the_limits_runs_and_the_rest_goes_to_the_cpu() {
    let Some((device, errors)) = small_device(wgpu::Limits::default()) else { return };
    pollster::block_on(device.gpu().expect("a GPU device").self_test()).expect("passes the self-test");
    let mut tally = Tally::default();
    table(&fitting(), &device, true, &mut tally);
    table(&large(), &device, true, &mut tally);
    table(&too_large(), &device, false, &mut tally);
    // Every tensor fits, the padded cells of the gradient do not: only that direction is declined.
    let conv = Conv::default().padding([(600, 600), (200, 200)]).stride(100).boundary(Boundary::Wrap);
    let folded = Case::new("folded past the limit", &[1, 1, 300, 100], &[1, 1, 8, 8], conv);
    for (direction, fits) in DIRECTIONS.into_iter().zip([true, false, true]) {
        tally.check(check(&device, &folded.in_direction(direction).expect("no overlap"), fits));
    }
    tally.finish("GPU f32, bindings of 1 MiB");
    assert_eq!(errors.load(Ordering::Relaxed), 0, "errors of wgpu");
}

/// Four storage buffers a launch are too few for every kernel that there is.
#[test]
fn too_few_storage_buffers_are_a_limit() {
    let Some((device, errors)) = small_device(wgpu::Limits::downlevel_defaults()) else { return };
    let mut tally = Tally::default();
    table(&fitting(), &device, false, &mut tally);
    table(&large(), &device, false, &mut tally);
    tally.finish("GPU f32, downlevel limits, bindings of 1 MiB");
    assert_eq!(errors.load(Ordering::Relaxed), 0, "errors of wgpu");
}

/// What WebGPU guarantees, less of one thing; and the algorithms that decline everything for it.
fn lowered() -> Vec<(&'static str, wgpu::Limits, Vec<Algorithm>)> {
    use Algorithm::{Depthwise, Fft};
    let limits = wgpu::Limits::default;
    let invocations = wgpu::Limits {
        max_compute_invocations_per_workgroup: 64,
        max_compute_workgroup_size_x: 64,
        max_compute_workgroup_size_y: 64,
        ..limits()
    };
    let memory = wgpu::Limits { max_compute_workgroup_storage_size: 8 << 10, ..limits() };
    let grid = wgpu::Limits { max_compute_workgroups_per_dimension: 16, ..limits() };
    let buffers = |count| wgpu::Limits { max_storage_buffers_per_shader_stage: count, ..limits() };
    vec![
        ("8 KiB of workgroup memory", memory, vec![Depthwise]),
        ("64 invocations per workgroup", invocations, vec![Depthwise, Fft]),
        ("16 workgroups per dimension", grid, vec![]),
        ("6 storage buffers", buffers(6), vec![]),
        ("5 storage buffers", buffers(5), Algorithm::on_gpu().to_vec()),
    ]
}

/// Small ones, one of more tiles than 16 workgroups compute, and one of more than 16 times 16 do.
fn spread() -> Vec<Case> {
    let mut cases = fitting();
    cases.retain(|case| case.name != "just at the limit");
    cases.push(Case::new("first layer", &[1, 3, 18, 17], &[9, 3, 3, 3], Conv::default().padding(1)));
    cases.push(Case::new("wide", &[1, 1, 9_000], &[2, 1, 2], Conv::default()));
    cases.push(Case::new("wider", &[1, 1, 70_000], &[1, 1, 1], Conv::default()));
    cases
}

/// What `algorithm` makes of a problem in its first configuration and in its last one: of those that a problem in pieces has,
/// not all may do.
fn choices(algorithm: Algorithm, problem: &ConvProblem, target: &Target) -> Result<Vec<Choice>, Cannot> {
    let choice = |config: &Config| {
        let program = lower(algorithm, problem, target, config)?;
        Ok(plans::choice(algorithm, problem, config.clone(), program))
    };
    let configs = candidates(algorithm, problem, target)?;
    let first = choice(&configs[0])?;
    let last = configs[1..].iter().rev().find_map(|config| choice(config).ok());
    Ok([first].into_iter().chain(last).collect())
}

/// Whether both are the same configuration and program.
fn is_alike(one: &Choice, other: &Choice) -> bool {
    (one.algorithm, &one.config, &one.program) == (other.algorithm, &other.config, &other.program)
}

/// Runs the first `most` of a case's `choices`, which a plan forced to their algorithm takes too; where there are none, it says
/// that a limit is the reason. Gives how many ran.
fn forced(
    device: &Device,
    algorithm: Algorithm,
    case: &Case,
    choices: &Result<Vec<Choice>, Cannot>,
    most: usize,
) -> Result<u32, String> {
    let problem = case.problem();
    let options = PlanOptions { algorithm: Some(algorithm), fallback: Fallback::Error, ..Default::default() };
    let choices = match (device.plan(&problem, &options), choices) {
        (Ok(plan), Ok(choices)) if plan.gpu().is_some_and(|p| is_alike(p.choice(), &choices[0])) => choices,
        (Err(Error::Declined(declined)), Err(why)) if why.is_limit() => {
            let told = declined.reasons == [(algorithm, why.clone().into())];
            return if told { Ok(0) } else { Err(format!("{declined}, wanted {why}")) };
        }
        (plan, _) => return Err(format!("{:?}, wanted {choices:?}", plan.map(|plan| plan.explain()))),
    };
    let data = Data::ints(&problem, seed_of(&case.name));
    let mut ran = 0;
    for choice in choices.iter().take(most) {
        let plan = GpuPlan::new(device.gpu().expect("a GPU device"), choice.clone(), &options);
        let plan = pollster::block_on(plan).map_err(|e| e.to_string())?;
        agrees(choice, &data, run_guarded(&plan, &data)?.view())?;
        ran += 1;
    }
    Ok(ran)
}

/// In a short run one case in twenty runs, if it becomes another program.
fn with_less_of_one_thing(tier: Tier) {
    for (what, limits, none) in lowered() {
        let Some((device, errors)) = limited_device(limits) else { return };
        let target = device.gpu().expect("a GPU device").target();
        let more = Target { limits: Limits::default(), ..target.clone() };
        let (mut tally, mut declined, mut others, mut ran) = (Tally::default(), BTreeMap::new(), 0, 0);
        for case in spread() {
            for case in DIRECTIONS.iter().filter_map(|&direction| case.in_direction(direction)) {
                for &algorithm in Algorithm::on_gpu() {
                    let (name, problem) = (format!("{algorithm} {}", case.name), case.problem());
                    let with_more = choices(algorithm, &problem, &more);
                    if let Err(why) = with_more {
                        tally.skip(name, why.to_string());
                        continue;
                    }
                    let with_less = choices(algorithm, &problem, target);
                    let is_other = with_less != with_more;
                    others += u32::from(with_less.is_ok() && is_other);
                    *declined.entry(algorithm).or_insert(true) &= with_less.is_err();
                    let most = match tier {
                        Tier::Quick => usize::from(is_other && seed_of(&name).is_multiple_of(20)),
                        _ => usize::MAX,
                    };
                    let verdict = forced(&device, algorithm, &case, &with_less, most);
                    ran += verdict.as_ref().unwrap_or(&0);
                    tally.check(verdict.map_err(|e| format!("{name}: {e}")));
                }
            }
        }
        tally.finish(&format!("GPU f32, {what}, planned; {others} are other programs, {ran} ran"));
        let all: Vec<_> =
            declined.into_iter().filter(|(_, all)| *all).map(|(algorithm, _)| algorithm).collect();
        assert!(all.len() == none.len() && none.iter().all(|a| all.contains(a)), "{what}: {all:?} decline");
        // Of bindings there are enough or not: no program does with fewer.
        let binds = what.contains("storage buffers");
        assert!(if binds { others == 0 } else { others > 10 }, "{what}: {others} other programs");
        assert!(binds || ran > 0, "{what}: none of them ran");
        assert_eq!(errors.load(Ordering::Relaxed), 0, "errors of wgpu");
    }
}

#[test]
fn with_less_of_one_thing_programs_are_others_or_none() {
    with_less_of_one_thing(Tier::Quick);
}

#[test]
#[ignore = "full"]
fn with_less_of_one_thing_every_program_runs() {
    with_less_of_one_thing(Tier::full());
}

/// More groups than launches: several share one, as many as the budget holds, and the last launches have fewer.
fn groups_that_share_a_launch(directions: &[Direction]) {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU device");
    let (algorithm, mut tally) = (Algorithm::Im2colGemm, Tally::default());
    let conv = Conv::default().groups(2050).padding([(1, 0)]).stride(2);
    let case = Case::new("many groups", &[2, 2050, 5], &[4100, 1, 3], conv);
    for case in directions.iter().filter_map(|&direction| case.in_direction(direction)) {
        let problem = case.problem();
        let data = Data::ints(&problem, seed_of(&case.name));
        let want = reference::run(&problem, &data.operands());
        for (budget, least) in [(256 << 20, 2), (50 << 10, 4)] {
            let context = PlanContext::from(gpu.target()).with_budget(budget);
            let configs = candidates(algorithm, &problem, &context).expect("runs");
            let config = configs.last().expect("one").clone();
            let program = lower(algorithm, &problem, &context, &config).expect("a candidate lowers");
            assert!((least..4096).contains(&program.launches.len()), "{}", program.launches.len());
            let choice = plans::choice(algorithm, &problem, config, program);
            let plan =
                pollster::block_on(GpuPlan::new(gpu, choice, &PlanOptions::default())).expect("a plan");
            let got = run_guarded(&plan, &data);
            tally.check(got.and_then(|got| exact(&case.name, got.view(), want.view())));
        }
    }
    tally.finish("GPU f32, groups that share a launch");
}

#[test]
fn groups_that_share_a_launch_are_told_apart() {
    groups_that_share_a_launch(&[Direction::Forward]);
}

#[test]
#[ignore = "full"]
fn groups_that_share_a_launch_are_told_apart_in_every_direction() {
    groups_that_share_a_launch(&DIRECTIONS);
}
