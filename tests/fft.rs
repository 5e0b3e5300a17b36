//! Where spectra are taken, and what they need: no adapter.
#![cfg(feature = "gpu")]

use crate::common::plans::candidates;
use wgconv::Reason;
use wgconv::internals::algorithm::{Cannot, FftConfig, Resource};
use wgconv::internals::kernel::Kernel;
use wgconv::internals::planner::{Choice, Planner};
use wgconv::internals::target::{DeviceClass, Target};
use wgconv::{Algorithm, Conv, ConvProblem, Direction, Padding, PlanOptions, Precision};

fn target() -> Target {
    let mut target =
        Target { device_class: DeviceClass::Discrete, compute_units: Some(64), ..Target::default() };
    target.limits.max_binding_bytes = 2 << 30;
    target.limits.max_buffer_bytes = 2 << 30;
    target.limits.max_workgroup_bytes = 32 << 10;
    target
}

fn choose(x: &[usize], w: &[usize], conv: &Conv, options: &PlanOptions) -> Choice {
    let problem = ConvProblem::new(x, w, conv).expect("a problem");
    Planner::new(target()).choose_with(&problem, options).expect("a choice")
}

fn taken(x: &[usize], w: &[usize], conv: &Conv) -> Algorithm {
    let fast = PlanOptions { precision: Precision::Fast, ..PlanOptions::default() };
    choose(x, w, conv, &fast).algorithm
}

#[test]
fn dense_large_kernels_and_long_filters_are_taken() {
    let conv = Conv::default;
    for (x, w, conv) in [
        // Two layers of the old benchmark of convolutional networks.
        (vec![128, 64, 64, 64], vec![128, 64, 9, 9], conv()),
        (vec![128, 128, 32, 32], vec![128, 128, 9, 9], conv()),
        (vec![1, 1, 4096, 4096], vec![1, 1, 63, 63], conv().padding(Padding::Same)),
        (vec![1, 1, 28_800_000], vec![1, 1, 96_000], conv().padding(Padding::Full).flip(true)),
        (vec![1, 64, 32, 32, 32], vec![64, 64, 7, 7, 7], conv()),
    ] {
        assert_eq!(taken(&x, &w, &conv), Algorithm::Fft, "{x:?} {w:?}");
        let accurate = PlanOptions { precision: Precision::Accurate, ..PlanOptions::default() };
        let choice = choose(&x, &w, &conv, &accurate);
        assert_ne!(choice.algorithm, Algorithm::Fft, "{x:?} {w:?}");
        assert!(choice.declined().contains(&(Algorithm::Fft, Reason::Inexact)), "{:?}", choice.declined());
        // Without a word of the caller, only where many channels are summed.
        let choice = choose(&x, &w, &conv, &PlanOptions::default());
        if x[1] == 1 {
            let few = Reason::FewChannels { got: 1, wanted: 16 };
            assert!(choice.declined().contains(&(Algorithm::Fft, few)), "{:?}", choice.declined());
        } else {
            assert_eq!(choice.algorithm, Algorithm::Fft, "{x:?} {w:?}");
        }
    }
}

#[test]
fn small_kernels_and_few_cells_are_not() {
    let conv = Conv::default;
    for (x, w, conv) in [
        (vec![32, 64, 56, 56], vec![64, 64, 3, 3], conv().padding(1)),
        (vec![32, 256, 56, 56], vec![64, 256, 1, 1], conv()),
        (vec![32, 3, 224, 224], vec![64, 3, 7, 7], conv().padding(3).stride(2)),
        (vec![32, 128, 28, 28], vec![128, 1, 3, 3], conv().groups(128)),
        (vec![1, 1, 512, 512], vec![1, 1, 3, 3], conv()),
        (vec![1, 1, 30], vec![1, 1, 20], conv()),
    ] {
        assert_ne!(taken(&x, &w, &conv), Algorithm::Fft, "{x:?} {w:?}");
    }
}

/// The workspace is what the budget allows, or two tiles, and no budget is too small.
#[test]
fn tiles_are_made_in_the_memory_that_there_is() {
    for direction in [Direction::Forward, Direction::GradInput, Direction::GradWeight] {
        let conv = Conv::default().padding(3).direction(direction);
        let of = |budget: Option<u64>| {
            let options = PlanOptions {
                algorithm: Some(Algorithm::Fft),
                workspace_budget: budget,
                ..PlanOptions::default()
            };
            choose(&[32, 32, 60, 60], &[32, 32, 7, 7], &conv, &options).program
        };
        let [least, some, much] = [Some(0), Some(32 << 20), Some(1 << 30)].map(of);
        assert!(some.workspace_bytes() <= 32 << 20, "{direction:?}: {}", some.workspace_bytes());
        assert!(
            least.workspace_bytes() < some.workspace_bytes()
                && some.workspace_bytes() < much.workspace_bytes()
        );
        assert!(least.launches.len() > some.launches.len() && some.launches.len() > much.launches.len());
        assert!(least.launches.len() <= 4096, "{direction:?}: {}", least.launches.len());
        // Weights are transformed once.
        assert_eq!(much.prepare.is_empty(), direction == Direction::GradWeight);
    }
    // A signal of many tiles and no budget.
    let precision = Precision::Fast;
    let options = PlanOptions { workspace_budget: Some(0), precision, ..PlanOptions::default() };
    let program = choose(&[64, 1, 1 << 20], &[1, 1, 999], &Conv::default(), &options).program;
    assert!(
        program.launches.len() <= 4096 && program.launches.iter().any(|l| l.kernel == Kernel::FftInverse)
    );
}

/// One channel is multiplied while it is loaded; several are a matrix product between two transforms.
#[test]
fn launches_of_a_convolution() {
    let forced = PlanOptions { algorithm: Some(Algorithm::Fft), ..PlanOptions::default() };
    let kernels = |x: &[usize], w: &[usize], conv: &Conv| {
        let program = choose(x, w, conv, &forced).program;
        let of = |launches: &[wgconv::internals::program::Launch]| {
            launches.iter().map(|l| l.kernel).collect::<Vec<_>>()
        };
        (of(&program.prepare), of(&program.launches))
    };
    use Kernel::{FftAxis, FftForward, FftGemm, FftInverse};
    let one = kernels(&[1, 1, 90, 90], &[1, 1, 11, 11], &Conv::default());
    assert_eq!(one, (vec![FftForward], vec![FftForward, FftInverse]));
    let several = kernels(&[2, 8, 90, 90], &[4, 8, 11, 11], &Conv::default());
    assert_eq!(several, (vec![FftForward], vec![FftForward, FftGemm, FftInverse]));
    // Longer than workgroup memory holds: once more through memory, there and back.
    let long = kernels(&[1, 1, 1 << 20], &[1, 1, 50_000], &Conv::default());
    assert_eq!(long.0, [FftForward, FftAxis]);
    assert_eq!(long.1[..4], [FftForward, FftAxis, FftAxis, FftInverse]);
}

/// Where scratch memory is short, one pair of tiles after the other.
#[test]
fn no_more_tiles_at_once_than_the_budget_holds() {
    let mut options = PlanOptions { algorithm: Some(Algorithm::Fft), ..PlanOptions::default() };
    let mut planned = |budget| {
        options.workspace_budget = Some(budget);
        let choice = choose(&[1, 1, 500_000], &[1, 1, 400], &Conv::default(), &options);
        let config = *choice.config.get::<FftConfig>().expect("of transforms");
        (config, choice.program)
    };
    // Of a pair of real tiles, half of the frequencies and that of zero: two complex numbers each.
    let (config, program) = planned(1);
    let pair = (config.points() / 2 + 1) * 16;
    assert_eq!(program.workspace, [pair]);
    let tiles = (500_000u64 - 399).div_ceil(config.points() - 399);
    assert_eq!(program.launches.len() as u64, 2 * tiles.div_ceil(2));
    let (_, program) = planned(5 * pair + 1);
    assert_eq!(program.workspace, [5 * pair]);
}

/// One axis may be of any length, the others of some, and costs that no number holds are large and not an overflow.
#[test]
fn windows_of_any_extent_are_planned_or_declined() {
    let why = |x: &[usize], w: &[usize], target: &Target| {
        let problem = ConvProblem::new(x, w, &Conv::default().padding(Padding::Full)).expect("a problem");
        candidates(Algorithm::Fft, &problem, target).map(|_| ())
    };
    let mut little = target();
    little.limits.max_workgroup_bytes = 16 << 10;
    // Less workgroup memory holds shorter transforms across.
    for (target, limit) in [(target(), 1024), (little, 512)] {
        let image = [1, 1, 2048, 2048];
        for w in [[1, 1, 600, 1], [1, 1, 1, 600], [1, 1, 2000, 1], [1, 1, 501, 501], [1, 1, 501, 2000]] {
            assert_eq!(why(&image, &w, &target), Ok(()), "{w:?}, {limit}");
        }
        let resource = Resource::TransformSamplesAcross;
        let across = Cannot::Limit { resource, needed: 1100, limit };
        assert_eq!(why(&image, &[1, 1, 1100, 1200], &target), Err(across));
        let along =
            Cannot::Limit { resource: Resource::TransformSamples, needed: (1 << 20) + 1, limit: 1 << 20 };
        assert_eq!(why(&[1, 1, 1 << 21], &[1, 1, (1 << 20) + 1], &target), Err(along));
    }
    let full = Conv::default().padding(Padding::Full);
    let large = ConvProblem::new(&[1, 1, 129, 129, 129], &[1, 1, 512, 512, 512], &full).expect("a problem");
    let fast = PlanOptions { precision: Precision::Fast, ..PlanOptions::default() };
    let chosen =
        |problem: &ConvProblem| Planner::new(target()).choose_with(problem, &fast).map(|c| c.algorithm);
    let declined = candidates(Algorithm::Fft, &large, &target()).expect_err("spectra of 5 GiB");
    let is_large = matches!(declined, Cannot::BindingTooLarge { buffer: "spectra of the windows", .. });
    assert!(is_large, "{declined:?}");
    // Sums over many images of a broadcast input.
    let strides = wgconv::Layouts { input: wgconv::Layout::Strides(vec![0, 0, 1]), ..Default::default() };
    let conv = Conv::default().layouts(strides);
    let many = ConvProblem::new(&[1 << 20, 1 << 20, 64], &[1, 1 << 20, 9], &conv).expect("a problem");
    assert!(chosen(&many).is_ok_and(|algorithm| algorithm.is_exact()));
}

#[test]
fn a_transform_that_does_not_hold_the_kernel_is_refused() {
    let problem = ConvProblem::new(&[1, 1, 90], &[1, 1, 40], &Conv::default()).expect("a problem");
    let configs = candidates(Algorithm::Fft, &problem, &target()).expect("it takes this");
    let mut config = *configs[0].get::<FftConfig>().expect("of transforms");
    config.block.0 = [1, 1, 32];
    let too_short = Cannot::Limit { resource: Resource::TransformSamples, needed: 40, limit: 32 };
    assert_eq!(config.lower(&problem, &(&target()).into()), Err(too_short));
}
