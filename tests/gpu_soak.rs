//! A device used for long and from many threads: no buffer is left behind, and the bits stay the same.
#![cfg(feature = "gpu")]

use crate::common::device::any_gpu;
use crate::common::usual::{is_short, is_usual};
use ndarray::ArrayD;
use wgconv::internals::cpu::reference;
use wgconv::internals::kernel::Params;
use wgconv::internals::program::Launch;
use wgconv::{
    Algorithm, Boundary, Conv, ConvProblem, Device, DeviceChoice, Direction, Fallback, Operands, Plan,
    PlanOptions,
};
use wgconv_testing::values::{Data, Singles};
use wgconv_testing::{Tier, report};

/// Plans of every direction and rank, sums in parts and folded boundaries among them, with data that is exact.
fn plans(device: &Device) -> Vec<(Plan, Data)> {
    let shapes: [(&[usize], &[usize], Conv); 5] = [
        (&[2, 4, 9], &[4, 4, 3], Conv::default().padding(1)),
        (&[2, 4, 8, 8], &[4, 4, 3, 3], Conv::default().stride(2).boundary(Boundary::Wrap).padding(1)),
        (&[2, 4, 9, 8], &[4, 2, 3, 3], Conv::default().groups(2).flip(true)),
        (&[4, 4, 40, 40], &[4, 4, 3, 3], Conv::default().boundary(Boundary::Mirror).padding(1)),
        (&[1, 2, 4, 5, 6], &[3, 2, 2, 3, 1], Conv::default().dilation(2)),
    ];
    let mut plans = Vec::new();
    for (x, w, conv) in shapes {
        for direction in [Direction::Forward, Direction::GradInput, Direction::GradWeight] {
            let problem = ConvProblem::new(x, w, &conv.clone().direction(direction)).expect("a problem");
            let options = PlanOptions { fallback: Fallback::Error, ..Default::default() };
            let data = Data::ints(&problem, x.len() as u64);
            plans.push((device.plan(&problem, &options).expect("a plan"), data));
        }
    }
    let launches = |plan: &Plan| plan.gpu().expect("on the GPU").choice().program.launches.clone();
    let parts = |launch: &Launch| match launch.params {
        Params::Fold(p) => p.counts[1],
        _ => 0,
    };
    let most = plans.iter().flat_map(|(plan, _)| launches(plan)).map(|l| parts(&l)).max();
    assert!(most.is_some_and(|most| most > 1), "a plan adds up parts");
    plans
}

fn run(plan: &Plan, data: &Data) -> ArrayD<f32> {
    let singles = Singles::new(data);
    plan.run(singles.operands(plan.problem().direction())).expect("a result")
}

/// Allocations alive on the device once all its work is done; 0 where the backend does not tell.
fn live(device: &Device) -> usize {
    let gpu = device.gpu().expect("a GPU");
    // What was written into new buffers is held until the next submission.
    gpu.queue().submit([]);
    let gpu = gpu.device();
    gpu.poll(wgconv::wgpu::PollType::wait_indefinitely()).expect("polled");
    gpu.generate_allocator_report().map_or(0, |report| report.allocations.len())
}

fn runs_leave_nothing_behind(runs: usize) {
    let Some(shared) = any_gpu() else { return };
    // A device of its own, whose buffers no other test makes.
    let device = Device::open(&DeviceChoice::Named(shared.name().to_owned())).expect("a device");
    let plans = plans(&device);
    for (plan, data) in &plans {
        let wanted = reference::run(plan.problem(), &data.operands());
        assert_eq!(run(plan, data).mapv(f64::from), wanted);
    }
    let gpu = device.gpu().expect("a GPU");
    let (made, alive) = (gpu.buffers_made(), live(&device));
    assert!(alive > 0 || gpu.report().backend != "vulkan", "the Vulkan backend tells what it has allocated");
    for _ in 0..runs.div_ceil(plans.len()) {
        for (plan, data) in &plans {
            run(plan, data);
        }
    }
    assert_eq!(gpu.buffers_made(), made, "identical runs make no new buffer");
    assert_eq!(live(&device), alive, "buffers alive on the device");
    // New plans come and go too.
    for _ in 0..runs / 100 {
        drop(self::plans(&device));
    }
    assert_eq!(live(&device), alive, "buffers alive after plans are gone");
}

#[test]
fn two_hundred_runs_leave_nothing_behind() {
    runs_leave_nothing_behind(200);
}

#[test]
#[ignore = "full"]
fn two_thousand_runs_leave_nothing_behind() {
    runs_leave_nothing_behind(2000);
}

/// A plan may be dropped while its run is under way.
#[test]
fn plans_dropped_in_flight_finish() {
    let Some(device) = any_gpu() else { return };
    let conv = Conv::default().padding(1);
    let problem = ConvProblem::new(&[2, 8, 40, 40], &[8, 8, 3, 3], &conv).expect("a problem");
    let data = Data::ints(&problem, 5);
    let wanted = reference::run(&problem, &data.operands());
    for _ in 0..10 {
        let plan = device.plan(&problem, &PlanOptions::default()).expect("a plan");
        let (x, w) = (data.x.mapv(|v| v as f32), data.w.mapv(|v| v as f32));
        let (x, w) = (device.upload(&x).expect("uploaded"), device.upload(&w).expect("uploaded"));
        let y = plan
            .run_on(&Operands { input: &x, weight: (&w).into(), ..Default::default() })
            .expect("submitted");
        drop((plan, x, w));
        assert_eq!(y.download::<f32>().expect("a result").mapv(f64::from), wanted);
    }
}

fn same_bits(tier: Tier) {
    let Some(device) = any_gpu() else { return };
    let short = is_short(tier, device.gpu().expect("a GPU").target());
    let (times, few) = if short { (4, 2) } else { (20, 5) };
    let (mut ran, mut unusual) = (vec![0; Algorithm::on_gpu().len()], 0);
    for (plan, _) in plans(&device) {
        let data = Data::reals(plan.problem(), 3);
        for (ran, &algorithm) in ran.iter_mut().zip(Algorithm::on_gpu()) {
            let options =
                PlanOptions { algorithm: Some(algorithm), fallback: Fallback::Error, ..Default::default() };
            let Ok(plan) = device.plan(plan.problem(), &options) else { continue };
            if short && !is_usual(&plan.gpu().expect("on the GPU").choice().program) {
                unusual += 1;
                continue;
            }
            let bits = || run(&plan, &data).iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            let first = bits();
            for _ in 0..times {
                assert_eq!(bits(), first, "{algorithm}, {:?}", plan.problem());
            }
            *ran += 1;
        }
    }
    report(&format!("the same bits: {ran:?} plans ran, {unusual} run in the full tier"));
    assert!(ran.iter().all(|&ran| ran > few), "{:?} ran {ran:?} of them", Algorithm::on_gpu());
}

#[test]
fn the_same_plan_gives_the_same_bits() {
    same_bits(Tier::Quick);
}

#[test]
#[ignore = "full"]
fn every_plan_gives_the_same_bits() {
    same_bits(Tier::full());
}

/// Eight threads run the same plans at once: their workspaces are shared.
#[test]
fn threads_share_plans() {
    let Some(device) = any_gpu() else { return };
    let plans: Vec<_> = plans(&device)
        .into_iter()
        .map(|(plan, data)| {
            let wanted = reference::run(plan.problem(), &data.operands());
            (plan, data, wanted)
        })
        .collect();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for (plan, data, wanted) in plans.iter().cycle().take(3 * plans.len()) {
                    assert_eq!(run(plan, data).mapv(f64::from), *wanted, "{:?}", plan.problem());
                }
            });
        }
    });
}
