//! Long sums of numbers of one sign. The roundings of a single accumulator all go the same way then, binade after binade, and an
//! error grows like the number of products, not like its root: the bound holds because sums are made of sums of blocks.
#![cfg(feature = "gpu")]

use crate::common::device::{any_gpu, run_guarded};
use crate::common::plans::{self, candidates, lower};
use crate::common::usual::{is_short, usual_choice};
use ndarray::ArrayD;
use wgconv::internals::algorithm::FftConfig;
use wgconv::internals::gpu::GpuPlan;
use wgconv::internals::planner::Choice;
use wgconv::internals::target::Target;
use wgconv::{Algorithm, Conv, ConvProblem, Direction, Layout, Layouts, PlanOptions};
use wgconv_testing::spectral::Spectral;
use wgconv_testing::{Case, Data, Tally, Tier, Wanted, gpu_for};

use Algorithm::Direct;
use Direction::{Forward, GradInput, GradWeight};

/// Shapes of the input and of the weight, the direction that has long sums, and by which algorithms they are computed.
type Row = (&'static str, &'static [usize], &'static [usize], Conv, Direction, &'static [Algorithm]);

/// Sums that are just long enough to break the bound in a single accumulator.
fn short_rows() -> Vec<Row> {
    let (plain, padded) = (Conv::default, |by: usize| Conv::default().padding(by));
    vec![
        // Eight tiles fill a device of one unit: with fewer, sums are cut into parts.
        ("640 channels, 1x1", &[1, 640, 16, 32], &[1, 640, 1, 1], plain(), Forward, Algorithm::on_gpu()),
        ("64 channels, 3x3", &[1, 64, 16, 32], &[1, 64, 3, 3], padded(1), Forward, Algorithm::on_gpu()),
        // There is no room for a second part, see [`flat`].
        ("640 taps", &[1, 1, 2000], &[1, 1, 640], plain(), Forward, &[Direct]),
        ("8 channels, 3x49", &[1, 8, 10, 56], &[2, 8, 3, 49], plain(), Forward, Algorithm::on_gpu()),
        ("1500 channels, 1x1", &[1, 1500, 1, 5], &[3, 1500, 1, 1], plain(), Forward, Algorithm::on_gpu()),
        ("mean 45x45", &[1, 1, 47, 50], &[1, 1, 45, 45], plain(), Forward, Algorithm::on_gpu()),
        ("3 means 45x45", &[1, 1, 47, 46], &[3, 1, 45, 45], plain(), Forward, Algorithm::on_gpu()),
        ("mean 45x45 back", &[1, 1, 3, 3], &[1, 1, 45, 45], padded(44), GradInput, Algorithm::on_gpu()),
        ("from 1500 channels, 1x1", &[1, 2, 2, 2], &[1500, 2, 1, 1], plain(), GradInput, Algorithm::on_gpu()),
        ("112x112, 3x3", &[1, 1, 112, 112], &[1, 1, 3, 3], padded(1), GradWeight, Algorithm::on_gpu()),
        ("1500 images of a cell", &[1500, 2, 1], &[3, 2, 1], plain(), GradWeight, Algorithm::on_gpu()),
    ]
}

/// Longer ones.
fn long_rows() -> Vec<Row> {
    let (plain, padded) = (Conv::default, |by: usize| Conv::default().padding(by));
    vec![
        ("mean 101x101", &[1, 1, 116, 116], &[1, 1, 101, 101], plain(), Forward, Algorithm::on_gpu()),
        (
            "3 means 101x101",
            &[1, 3, 102, 102],
            &[3, 1, 101, 101],
            plain().groups(3),
            Forward,
            Algorithm::on_gpu(),
        ),
        ("4096 channels, 1x1", &[1, 4096, 1, 5], &[3, 4096, 1, 1], plain(), Forward, Algorithm::on_gpu()),
        ("4096 channels, 3x3", &[1, 4096, 3, 4], &[2, 4096, 3, 3], plain(), Forward, Algorithm::on_gpu()),
        (
            "4096 channels innermost",
            &[4, 4096, 1, 2],
            &[4, 4096, 1, 1],
            channels_last(),
            Forward,
            Algorithm::on_gpu(),
        ),
        ("long filter", &[1, 1, 10_030], &[1, 1, 10_007], plain(), Forward, Algorithm::on_gpu()),
        ("very long filter", &[1, 1, 2_100_000], &[1, 1, 2_099_999], plain(), Forward, Algorithm::on_gpu()),
        ("mean 101x101 back", &[1, 1, 3, 3], &[1, 1, 101, 101], padded(100), GradInput, Algorithm::on_gpu()),
        ("224x224, 3x3", &[1, 1, 224, 224], &[1, 1, 3, 3], padded(1), GradWeight, Algorithm::on_gpu()),
        (
            "8 images, 56x56, 2 channels",
            &[8, 2, 56, 56],
            &[3, 2, 3, 3],
            padded(1),
            GradWeight,
            Algorithm::on_gpu(),
        ),
        ("5000 images of a cell", &[5000, 2, 1], &[3, 2, 1], plain(), GradWeight, Algorithm::on_gpu()),
    ]
}

fn channels_last() -> Conv {
    Conv::default().layouts(Layouts { input: Layout::Nxc, weight: Layout::Nxc, ..Layouts::default() })
}

/// Operands that are the same everywhere, and absolute values of normally distributed ones.
fn operands(problem: &ConvProblem) -> Vec<(&'static str, Data)> {
    let flat = |a: f32, b: f32| {
        let mut data = Data::reals(problem, 0);
        let (first, second) = match problem.direction() {
            GradInput => (&mut data.grad_output, &mut data.w),
            Forward => (&mut data.x, &mut data.w),
            GradWeight => (&mut data.x, &mut data.grad_output),
        };
        first.fill(a.into());
        second.fill(b.into());
        data
    };
    let mut positive = Data::reals(problem, 1);
    for tensor in [&mut positive.x, &mut positive.w, &mut positive.grad_output] {
        tensor.mapv_inplace(f64::abs);
    }
    vec![("0.1", flat(0.1, 1.0)), ("0.7", flat(0.7, 1.0)), ("absolute values", positive)]
}

/// In the quick tier the smallest kernel of each algorithm, else every configuration.
fn choices(algorithm: Algorithm, problem: &ConvProblem, target: &Target, tier: Tier) -> Vec<Choice> {
    if is_short(tier, target) {
        return usual_choice(algorithm, problem, target).into_iter().collect();
    }
    let configs = candidates(algorithm, problem, target).unwrap_or_default();
    let choice = |config| {
        let program = lower(algorithm, problem, target, &config).expect("a candidate lowers");
        plans::choice(algorithm, problem, config, program)
    };
    configs.into_iter().map(choice).take(if tier == Tier::Quick { 1 } else { usize::MAX }).collect()
}

fn judge(choice: &Choice, data: &Data, got: &ArrayD<f64>) -> Result<(), String> {
    let problem = &choice.problem;
    if let Some(config) = choice.config.get::<FftConfig>() {
        return Spectral::new(problem, data)
            .of_one_sign()
            .judge(problem, config.points(), got.view())
            .map(|_| ());
    }
    let case = Case::new(choice.config.to_string(), &[], &[], Conv::default());
    Wanted::of_reals(&case, problem, data).judge(problem, got.view())
}

fn flat(rows: Vec<Row>, tier: Tier) {
    let Some(device) = any_gpu() else { return };
    // Of one compute unit: sums are cut for their length alone, not to fill a device.
    let target = Target { compute_units: Some(1), ..device.gpu().expect("a GPU device").target().clone() };
    let problems: Vec<_> = rows
        .into_iter()
        .flat_map(|(name, x, w, conv, direction, algorithms)| {
            let problem = ConvProblem::new(x, w, &conv.direction(direction)).expect("a problem");
            algorithms
                .iter()
                .map(move |&algorithm| (format!("{name} by {algorithm}"), algorithm, problem.clone()))
        })
        .collect();
    let tally = Tally::of(
        &problems,
        |(name, ..)| name,
        |(name, algorithm, problem), tally| {
            let mut target = target.clone();
            if *algorithm == Direct {
                // And not to fill a device by parts, for which there is no room.
                let largest =
                    [problem.input(), problem.weight(), problem.output()].map(|tensor| tensor.span * 4);
                target.limits.max_binding_bytes = largest.into_iter().fold(0, u64::max);
            }
            let choices = choices(*algorithm, problem, &target, tier);
            if choices.is_empty() {
                tally.skip(name, "declined, or none of its kernels is usual");
            }
            for choice in choices {
                let device = gpu_for(&format!("{} ({})", choice.algorithm, choice.config));
                let gpu = device.gpu().expect("a GPU device");
                let plan = pollster::block_on(GpuPlan::new(gpu, choice.clone(), &PlanOptions::default()));
                let plan = plan.expect("the plan is built");
                for (values, data) in operands(problem) {
                    let verdict = run_guarded(&plan, &data).and_then(|got| judge(&choice, &data, &got));
                    tally.check(verdict.map_err(|e| format!("{name}, {values}: {e}")));
                }
            }
        },
    );
    tally.finish("GPU, long sums of one sign");
}

#[test]
fn long_sums_of_one_sign_stay_within_the_bound() {
    flat(short_rows(), Tier::Quick);
}

#[test]
#[ignore = "full"]
fn longer_sums_of_one_sign_stay_within_the_bound() {
    flat(long_rows(), Tier::Quick);
}

/// Every tile and every shape of an invocation ends its blocks.
#[test]
#[ignore = "full"]
fn sums_of_one_sign_stay_within_the_bound_in_every_configuration() {
    let mut rows: Vec<_> = short_rows().into_iter().take(4).collect();
    let (x, w) = (&[1, 2560, 1, 9], &[4, 2560, 1, 1]);
    rows.push(("2560 channels innermost", x, w, channels_last(), Forward, &[Direct]));
    flat(rows, Tier::full());
}
