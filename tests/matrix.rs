//! Programs of matrix products as data: no device anywhere.

use crate::common::plans::{candidates, lower};
use wgconv::Cannot;
use wgconv::internals::implementation::PlanContext;
use wgconv::internals::kernel::{Kernel, SpecValue};
use wgconv::internals::planner::Planner;
use wgconv::internals::program::{Buffer, Launch};
use wgconv::internals::target::{Features, Limits, Target};
use wgconv::{Algorithm, Boundary, Conv, ConvProblem, Direction, Element, PlanOptions};

/// A device with every optional ability and roomy limits.
fn roomy() -> Target {
    let limits = Limits { max_binding_bytes: 1 << 31, max_buffer_bytes: 1 << 31, ..Limits::default() };
    Target { limits, features: Features { f16: true, ..Features::default() }, ..Target::default() }
}

fn problem(x: &[usize], w: &[usize], conv: &Conv) -> ConvProblem {
    ConvProblem::new(x, w, conv).expect("a problem")
}

/// What a matrix product checks, by the numbers of its kernel: nothing, bits, coordinates.
#[test]
fn matrix_products_check_what_can_lie_outside() {
    let checks = |x: &[usize], w: &[usize], conv: &Conv| {
        let problem = problem(x, w, conv);
        let choice = Planner::new(roomy()).choose(&problem, Some(Algorithm::ImplicitGemm)).expect("runs");
        let of = |launch: &Launch| match launch.spec.values().iter().find(|(name, _)| *name == "CHECK") {
            Some((_, SpecValue::U32(check))) => format!("{} {check}", launch.kernel.name()),
            _ => launch.kernel.name().to_string(),
        };
        let launches = choice.program.launches.iter().filter(|launch| launch.kernel != Kernel::Fold);
        launches.map(of).collect::<Vec<_>>()
    };
    let (x, w, conv) = ([2, 64, 40, 40], [64, 64, 3, 3], Conv::default);
    assert_eq!(checks(&x, &w, &conv()), ["implicit_gemm 0"]);
    assert_eq!(checks(&x, &w, &conv().padding(1)), ["implicit_gemm 1"]);
    // Steps that are not full have zeros past their end.
    assert_eq!(checks(&[2, 3, 40, 40], &[64, 3, 3, 3], &conv()), ["implicit_gemm 1"]);
    // 17 taps each way are more bits than a word has; of 7 cells each way they are not.
    assert_eq!(checks(&x, &[64, 64, 17, 17], &conv().padding(8)), ["implicit_gemm 2"]);
    assert_eq!(checks(&[2, 64, 7, 7], &[64, 64, 17, 17], &conv().padding(8)), ["implicit_gemm 1"]);
    // Another boundary is written out before; without padding there is none.
    let reflect = conv().boundary(Boundary::Reflect);
    assert_eq!(checks(&x, &w, &reflect.clone().padding(1)), ["im2col", "implicit_gemm 0"]);
    assert_eq!(checks(&x, &w, &reflect), ["implicit_gemm 0"]);
    assert_eq!(checks(&x, &[64, 64, 1, 1], &conv()), ["gemm_tiled"]);
}

#[test]
fn a_padded_input_past_the_binding_is_cut_or_declined() {
    let bytes = |element: Element| 16 * (64 + 2 * 60) * element.bytes();
    for (element, launches) in [(Element::F32, Some(5)), (Element::F16, None)] {
        let limit = bytes(element) - 4;
        let limits = Limits { max_binding_bytes: limit, ..Limits::default() };
        let target = Target { limits, features: Features { f16: true, ..Features::default() }, ..roomy() };
        let conv = Conv::default().padding(60).boundary(Boundary::Nearest).element(element);
        let problem = problem(&[1, 16, 64], &[4, 16, 3], &conv);
        let got = candidates(Algorithm::ImplicitGemm, &problem, &target).map(|configs| {
            let program = lower(Algorithm::ImplicitGemm, &problem, &target, &configs[0]);
            let program = program.expect("a candidate lowers");
            program.launches.len()
        });
        let why = Cannot::BindingTooLarge { buffer: "padded input", bytes: bytes(element), limit };
        // In f32 as sums over half of the channels at a time.
        assert_eq!(got, launches.ok_or(why), "{element:?}");
    }
}

/// The matrix of windows of as many groups as the budget holds with all images, else of as many images of one group; of one
/// image too many, its columns.
#[test]
fn im2col_takes_the_workspace_it_is_given() {
    let problem = problem(&[4, 6, 10, 9], &[8, 3, 3, 3], &Conv::default().groups(2));
    // c_in / groups * K by Y, in bytes.
    let image = (3 * 9) * (8 * 7) * 4;
    let lowered = |workspace_budget| {
        let options =
            PlanOptions { algorithm: Some(Algorithm::Im2colGemm), workspace_budget, ..Default::default() };
        let program = Planner::new(roomy()).choose_with(&problem, &options).expect("runs").program;
        assert!(program.launches.iter().step_by(2).all(|launch| launch.kernel == Kernel::Im2col));
        assert!(program.launches.iter().skip(1).step_by(2).all(|l| l.kernel == Kernel::GemmTiled));
        (program.workspace_bytes(), program.launches.len())
    };
    // Two launches per chunk.
    assert_eq!(lowered(None), (2 * 4 * image, 2));
    assert_eq!(lowered(Some(2 * 4 * image)), (2 * 4 * image, 2));
    assert_eq!(lowered(Some(2 * 4 * image - 1)), (4 * image, 4));
    assert_eq!(lowered(Some(4 * image)), (4 * image, 4));
    assert_eq!(lowered(Some(4 * image - 1)), (3 * image, 8));
    assert_eq!(lowered(Some(image)), (image, 16));
    // A tile of 128 columns at a time: 2 of 4 * 56. Smaller ones would be more launches.
    assert_eq!(lowered(Some(0)), (27 * 128 * 4, 8));
}

/// A run has at most 4,096 launches, of which a smaller budget would take more: then it is doubled until it does not.
#[test]
fn im2col_runs_with_any_workspace() {
    let (x, w) = ([16, 16, 512, 512], [16, 16, 3, 3]);
    let bound = |limits: Limits| Target { limits, ..roomy() };
    // Pieces have launches of their own.
    let small = bound(Limits { max_binding_bytes: 64 << 20, max_buffer_bytes: 1 << 31, ..Limits::default() });
    for (target, direction, budget, used) in [
        (roomy(), Direction::Forward, 256 << 20, 256 << 20),
        (roomy(), Direction::Forward, 2 << 20, 2 << 20),
        (roomy(), Direction::Forward, 1 << 20, 2 << 20),
        (roomy(), Direction::Forward, 0, 2 << 20),
        (roomy(), Direction::GradInput, 0, 2 << 20),
        (roomy(), Direction::GradWeight, 0, 2 << 20),
        (small.clone(), Direction::Forward, 0, 2 << 20),
        (small, Direction::GradInput, 0, 2 << 20),
    ] {
        let problem = problem(&x, &w, &Conv::default().padding(1).direction(direction));
        let options = PlanOptions {
            algorithm: Some(Algorithm::Im2colGemm),
            workspace_budget: Some(budget),
            ..Default::default()
        };
        let program = Planner::new(target.clone()).choose_with(&problem, &options).expect("runs").program;
        assert!(program.launches.len() <= 4096, "{direction:?}, {budget}: {}", program.launches.len());
        // The largest matrix that any launch reads is what there is of it.
        let matrices = program.launches.iter().filter(|launch| launch.kernel == Kernel::Im2col);
        let matrices = matrices.filter_map(|launch| launch.bindings.last());
        let largest = matrices.clone().map(|matrix| matrix.size).max().expect("a matrix");
        assert!(largest <= used && 2 * largest > used.min(256 << 20), "{direction:?}, {budget}: {largest}");
        for matrix in matrices {
            let Buffer::Workspace(i) = matrix.buffer else { panic!("{matrix:?}") };
            assert_eq!(program.workspace[i], largest);
        }
        assert_eq!(program.workspace_bytes(), program.workspace.iter().sum::<u64>());
        let context = PlanContext::new(target).with_budget(budget);
        for candidate in Algorithm::Im2colGemm.plan(&problem, &context).expect("runs") {
            candidate.lower(&problem, &context).expect("a candidate lowers");
        }
    }
}

/// As many groups as the budget holds share both launches.
#[test]
fn many_groups_share_a_launch() {
    let problem = problem(&[1, 4096, 2048], &[4096, 1, 4], &Conv::default().groups(4096).padding([(3, 0)]));
    let group = 4 * 2048 * 4;
    let lowered = |workspace_budget| {
        let options =
            PlanOptions { algorithm: Some(Algorithm::Im2colGemm), workspace_budget, ..Default::default() };
        let program = Planner::new(roomy()).choose_with(&problem, &options).expect("runs").program;
        (program.workspace_bytes(), program.launches.len())
    };
    assert_eq!(lowered(None), (4096 * group, 2));
    assert_eq!(lowered(Some(4096 * group - 1)), (4095 * group, 4));
    assert_eq!(lowered(Some(100 * group)), (100 * group, 82));
    // One at a time are too many launches: twice 64 KiB hold four.
    assert_eq!(lowered(Some(group)), (2 * group, 4096));
    assert_eq!(lowered(Some(0)), (2 * group, 4096));
}

#[test]
fn one_tap_that_reaches_nothing_outside_is_a_product_of_plain_matrices() {
    let kernel = |w: &[usize], conv: &Conv| {
        let choice =
            Planner::new(roomy()).choose(&problem(&[2, 32, 9, 9], w, conv), Some(Algorithm::ImplicitGemm));
        choice.expect("runs").program.launches[0].kernel
    };
    assert_eq!(kernel(&[32, 32, 1, 1], &Conv::default()), Kernel::GemmTiled);
    assert_eq!(kernel(&[32, 16, 1, 1], &Conv::default().groups(2).stride(2)), Kernel::GemmTiled);
    assert_eq!(kernel(&[32, 32, 1, 1], &Conv::default().padding(1)), Kernel::ImplicitGemm);
    assert_eq!(kernel(&[32, 32, 2, 1], &Conv::default()), Kernel::ImplicitGemm);
}
