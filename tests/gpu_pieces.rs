//! Problems past a device's limits, cut into pieces: the limits are lowered case by case until every tensor but the
//! smallest is too large, and the result is still exact.
#![cfg(feature = "gpu")]

use crate::common::plans::{self, candidates};
use std::collections::BTreeMap;

use crate::common::device::{any_gpu, run_guarded, with_small_bindings};
use crate::common::usual::{is_short, usual_choice};
use wgconv::Cannot;
use wgconv::internals::gpu::{Gpu, GpuPlan};
use wgconv::internals::kernel::Kernel;
use wgconv::internals::planner::Choice;
use wgconv::internals::program::{Binding, Buffer, Program};
use wgconv::internals::target::DeviceClass;
use wgconv::{Algorithm, ConvProblem, Direction, PlanOptions};
use wgconv_testing::agrees;
use wgconv_testing::cases::{Case, named};
use wgconv_testing::report;
use wgconv_testing::values::{Data, seed_of};
use wgconv_testing::{Tally, Tier};

const DIRECTIONS: [Direction; 3] = [Direction::Forward, Direction::GradInput, Direction::GradWeight];

/// Whether a software adapter, to which barriers are expensive, takes long for all such problems.
fn is_slow(algorithm: Algorithm, name: &str, problem: &ConvProblem) -> bool {
    let often = matches!(algorithm, Algorithm::Direct | Algorithm::Depthwise);
    algorithm != Algorithm::Direct && (problem.macs() > 1 << 14 || !often && !seed_of(name).is_multiple_of(3))
}

/// Every binding of an operand, a result or prepared weights is within the limit.
fn keeps_to(program: &Program, limit: u64) -> bool {
    let small = |b: &Binding| matches!(b.buffer, Buffer::Table(_)) || b.size <= limit;
    program.launches.iter().chain(&program.prepare).flat_map(|launch| &launch.bindings).all(small)
}

fn check(gpu: &Gpu, choice: Choice, name: &str) -> Result<(), String> {
    let data = Data::ints(&choice.problem, seed_of(name));
    let plan = pollster::block_on(GpuPlan::new(gpu, choice, &PlanOptions::default()));
    let plan = plan.map_err(|e| format!("{name}: {e}"))?;
    let got = run_guarded(&plan, &data).map_err(|e| format!("{name}: {e}"))?;
    agrees(plan.choice(), &data, got.view()).map_err(|e| format!("{name}: {e}"))
}

fn pieces(tier: Tier) {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU device");
    let software = gpu.target().device_class == DeviceClass::Software;
    let (mut tally, mut sums) = (Tally::default(), [0; 3]);
    let mut cut: BTreeMap<(String, usize), u32> = BTreeMap::new();
    // Of the quick tier every sixth case.
    let (sparse, few) = if tier == Tier::Quick { (6, 0) } else { (1, 10) };
    let is_taken = |case: &Case| {
        case.exact && !case.name.contains("dispatch_") && seed_of(&case.name).is_multiple_of(sparse)
    };
    let cases: Vec<_> = named().into_iter().filter(is_taken).collect();
    for case in &cases {
        for (which, &direction) in DIRECTIONS.iter().enumerate() {
            let Some(case) = case.in_direction(direction) else { continue };
            let problem = case.problem();
            for &algorithm in Algorithm::on_gpu() {
                let target = with_small_bindings(gpu.target(), &problem, algorithm);
                let name = format!("{algorithm} {}", case.name);
                let Ok(whole) = candidates(algorithm, &problem, gpu.target()) else { continue };
                if software && is_slow(algorithm, &name, &problem) {
                    tally.skip(name, "slow on a software adapter");
                    continue;
                }
                let lower = || {
                    let config = candidates(algorithm, &problem, &target)?[0].clone();
                    let program = plans::lower(algorithm, &problem, &target, &config)?;
                    Ok::<_, Cannot>((config, program))
                };
                let (config, program) = match lower() {
                    Ok(_) if is_short(tier, gpu.target()) => match usual_choice(algorithm, &problem, &target)
                    {
                        Some(choice) => (choice.config, choice.program),
                        None => {
                            tally.skip(name, "runs in the full tier");
                            continue;
                        }
                    },
                    Ok(lowered) => lowered,
                    Err(why) => {
                        assert!(why.is_limit(), "{name}: {why}");
                        tally.skip(
                            name,
                            why.to_string().split_whitespace().take(2).collect::<Vec<_>>().join(" "),
                        );
                        continue;
                    }
                };
                assert!(keeps_to(&program, target.limits.max_binding_bytes), "{name}");
                let uncut =
                    plans::lower(algorithm, &problem, gpu.target(), &whole[0]).expect("a candidate lowers");
                if program.launches.len() <= uncut.launches.len() {
                    continue;
                }
                // Only sums of pieces have a fold of one written to by several others.
                let folds = program.launches.iter().filter(|launch| launch.kernel == Kernel::Fold).count();
                let whole_folds =
                    uncut.launches.iter().filter(|launch| launch.kernel == Kernel::Fold).count();
                sums[which] += u32::from(folds == 1 && whole_folds == 0);
                *cut.entry((algorithm.to_string(), which)).or_default() += 1;
                let choice = plans::choice(algorithm, &problem, config, program);
                tally.check(check(gpu, choice, &name));
            }
        }
    }
    tally.finish("GPU f32, pieces");
    report(&format!("cut by algorithm and direction: {cut:?}"));
    report(&format!("of them sums of pieces: {sums:?}"));
    assert!(sums.iter().all(|&count| count > few), "{sums:?}");
    let expected = Algorithm::on_gpu().len() * DIRECTIONS.len();
    assert!(cut.len() == expected && cut.values().all(|&count| count > few), "so many were cut: {cut:?}");
}

#[test]
fn pieces_are_exact() {
    pieces(Tier::Quick);
}

#[test]
#[ignore = "full"]
fn pieces_of_every_case_are_exact() {
    pieces(Tier::full());
}
