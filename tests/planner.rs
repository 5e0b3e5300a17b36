//! Choices and lowered programs as data: no device anywhere.

mod common;

use common::benchdnn::benchdnn;
use common::cases::{Case, named};
use wgconv::algorithm::{Config, DirectConfig, Unsupported};
use wgconv::kernel::{Kernel, Params};
use wgconv::program::{Binding, Buffer, Features, Grid, Limits, Program, Target};
use wgconv::{
    Algorithm, Boundary, Choice, Conv, ConvProblem, Direction, Element, Error, ErrorKind, Padding, Planner,
};

/// A device with every optional ability and roomy limits.
fn roomy() -> Target {
    let limits = Limits { max_binding_bytes: 1 << 31, max_buffer_bytes: 1 << 31, ..Limits::default() };
    Target { limits, features: Features { f16: true, ..Features::default() }, ..Target::default() }
}

fn problem(x: &[usize], w: &[usize], conv: &Conv) -> ConvProblem {
    ConvProblem::new(x, w, conv).expect("a problem")
}

fn choose(problem: &ConvProblem) -> Choice {
    Planner::new(roomy()).choose(problem, None).expect("a choice")
}

#[test]
fn grids_fold_past_the_limit() {
    let limits = Limits::default();
    for (invocations, grid) in [
        (0, [1, 1, 1]),
        (1, [1, 1, 1]),
        (64, [1, 1, 1]),
        (65, [2, 1, 1]),
        (65_535 * 64, [65_535, 1, 1]),
        (65_535 * 64 + 1, [32_768, 2, 1]),
        (10_000_000, [52_084, 3, 1]),
    ] {
        assert_eq!(Grid::linear(invocations, 64, &limits), Some(Grid(grid)), "{invocations}");
    }
    let small = Limits { max_grid: 10, ..Limits::default() };
    assert_eq!(Grid::linear(64 * 100, 64, &small), Some(Grid([10, 10, 1])));
    assert_eq!(Grid::linear(64 * 100 + 1, 64, &small), None);
    assert_eq!(Grid::linear(u64::from(u32::MAX) + 1, 64, &limits), None);
    assert_eq!(Grid::linear(u64::MAX, 64, &limits), None);
}

#[test]
fn a_small_convolution_lowers_to_one_launch() {
    let problem = problem(&[1, 3, 8, 8], &[4, 3, 3, 3], &Conv::default().padding(1));
    let choice = choose(&problem);
    assert_eq!(choice.algorithm, Algorithm::Direct);
    let Program { tables, workspace, prepare, launches } = &choice.program;
    assert_eq!((tables.len(), workspace.len(), prepare.len(), launches.len()), (1, 0, 0, 1));
    let launch = &launches[0];
    assert!(launch.kernel.specs().contains(&launch.spec));
    let whole = |buffer, size| Binding { buffer, offset: 0, size };
    let spare = whole(Buffer::Table(0), 16);
    let wanted = [
        whole(Buffer::Input, 768),
        whole(Buffer::Weight, 432),
        spare,
        spare,
        spare,
        whole(Buffer::Result, 1024),
    ];
    assert_eq!(launch.bindings, wanted);
    assert_eq!(choice, choose(&problem), "the same problem gives the same choice");
}

#[test]
fn every_program_keeps_to_the_limits_and_the_listed_specs() {
    let target = roomy();
    let mut programs = 0;
    for case in named().into_iter().chain(benchdnn()) {
        for element in [Element::F32, Element::F16] {
            let conv = case.conv.clone().element(element);
            let problem = Case { conv, ..case.clone() }.problem();
            for &algorithm in Algorithm::ALL {
                let Ok(configs) = algorithm.candidates(&problem, &target) else { continue };
                assert!(!configs.is_empty(), "{}: neither configurations nor a reason", case.name);
                for config in configs {
                    let program = algorithm.lower(&problem, &target, config).expect("a candidate lowers");
                    check(&case.name, &program, &target);
                    programs += 1;
                }
            }
        }
    }
    println!("{programs} programs");
    assert!(programs > 6000);
}

fn check(name: &str, program: &Program, target: &Target) {
    for launch in &program.launches {
        assert!(launch.kernel.specs().contains(&launch.spec), "{name}: {} is not listed", launch.spec);
        assert!(launch.grid.0.iter().all(|&g| (1..=target.limits.max_grid).contains(&g)), "{name}: grid");
        assert!(launch.bindings.len() <= target.limits.max_storage_buffers as usize, "{name}");
        let (result, operands) = launch.bindings.split_last().expect("bindings");
        assert!(matches!(result.buffer, Buffer::Result | Buffer::Workspace(_)), "{name}: {result:?}");
        for binding in operands {
            assert_ne!(binding.buffer, result.buffer, "{name}: read and written at once");
        }
        for binding in &launch.bindings {
            assert!(binding.offset % 256 == 0 && binding.size % 4 == 0 && binding.size > 0, "{name}");
            if let Buffer::Table(i) = binding.buffer {
                assert!(binding.size <= program.tables[i].words.len() as u64 * 4, "{name}");
            }
            if let Buffer::Workspace(i) = binding.buffer {
                assert!(binding.offset + binding.size <= program.workspace[i], "{name}");
            }
        }
    }
}

#[test]
fn long_sums_chain_through_the_workspace() {
    let conv = Conv::default().bias(true).activation(wgconv::Activation::Relu);
    let choice = choose(&problem(&[1, 1, 20_010], &[1, 1, 20_000], &conv));
    let ends: Vec<_> = choice
        .program
        .launches
        .iter()
        .map(|l| (l.bindings[3].buffer, l.bindings.last().expect("a result").buffer))
        .collect();
    let (spare, between) = (Buffer::Table(0), Buffer::Workspace(0));
    assert_eq!(ends, [(spare, Buffer::Result), (Buffer::Result, between), (between, Buffer::Result)]);
    let taps = |i: usize| match choice.program.launches[i].params {
        Params::Direct(p) => (p.kernel[2], p.dilation[3], p.channel_tiles[2]),
    };
    assert_eq!([taps(0), taps(1), taps(2)], [(8192, 1, 0), (8192, 0, 0), (3616, 0, 1)]);
    assert_eq!(choice.program.workspace, [44]);
    assert_eq!(choice.program.workspace_bytes(), 44);
}

#[test]
fn empty_results_launch_nothing() {
    for (x, w) in [([0, 3, 8, 8], [4, 3, 3, 3]), ([2, 3, 8, 8], [0, 3, 3, 3])] {
        assert!(choose(&problem(&x, &w, &Conv::default())).program.launches.is_empty());
    }
}

#[test]
fn boundary_tables_hold_the_source_cells() {
    let conv = Conv::default().padding([3]).boundary(Boundary::Mirror);
    let program = choose(&problem(&[1, 1, 3], &[1, 1, 2], &conv)).program;
    let outside = u32::MAX;
    // One cell each for the missing z and y axes, then coordinates -3..=5 of an axis of three.
    assert_eq!(program.tables[0].words, [0, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1]);
    let conv = Conv::default().padding([(1, 2)]).boundary(Boundary::Constant(7.0));
    let program = choose(&problem(&[1, 1, 2], &[1, 1, 1], &conv)).program;
    assert_eq!(program.tables[0].words, [0, 0, outside, 0, 1, outside, outside]);
}

/// What declines `x` by `w` under `conv` on `target`.
fn why(x: &[usize], w: &[usize], conv: &Conv, target: &Target) -> Unsupported {
    Algorithm::Direct.candidates(&problem(x, w, conv), target).expect_err("declined")
}

#[test]
fn direct_declines_with_its_reason() {
    let (x, w, conv) = ([1, 2, 9], [4, 2, 3], Conv::default);
    for direction in [Direction::GradInput, Direction::GradWeight] {
        let got = why(&x, &w, &conv().direction(direction), &roomy());
        assert_eq!(got, Unsupported::Direction { direction });
    }
    for (element, target) in [(Element::F64, roomy()), (Element::F16, Target::default())] {
        assert_eq!(why(&x, &w, &conv().element(element), &target), Unsupported::Element { element });
    }
    let with = |limits: Limits| Target { limits, ..roomy() };
    let tiny = with(Limits { max_binding_bytes: 100, ..Limits::default() });
    let got = why(&x, &w, &conv().padding(9), &tiny);
    assert_eq!(got, Unsupported::BindingTooLarge { buffer: "output", bytes: 4 * 25 * 4, limit: 100 });
    let few = with(Limits { max_storage_buffers: 4, ..Limits::default() });
    assert_eq!(
        why(&x, &w, &conv(), &few),
        Unsupported::Limit { what: "storage buffers", needed: 6, limit: 4 }
    );
    let got = why(&x, &[4, 2, 1], &conv().padding(Padding::Explicit(vec![(1 << 31, -(1 << 31))])), &roomy());
    assert_eq!(got, Unsupported::IndexTooLarge { what: "padding", value: 1 << 31 });
    let small_grid = with(Limits { max_grid: 2, ..Limits::default() });
    let problem = problem(&[1, 1, 5000], &[1, 1, 1], &conv());
    let declined = Planner::new(small_grid).choose(&problem, None).expect_err("declined");
    assert_eq!(declined.reasons, [(Algorithm::Direct, Unsupported::GridTooLarge { invocations: 5000 })]);
    assert_eq!(Error::from(declined).kind(), ErrorKind::LimitExceeded);
}

#[test]
fn a_configuration_that_does_not_fit_is_refused() {
    let problem = problem(&[1, 2, 9], &[4, 2, 3], &Conv::default());
    for (tile_c, tile_x, lanes) in [(3, 4, 1), (4, 2, 1), (4, 4, 4), (4, 4, 2)] {
        let config = Config::Direct(DirectConfig { tile_c, tile_x, lanes });
        let got = Algorithm::Direct.lower(&problem, &roomy(), config);
        assert_eq!(got, Err(Unsupported::Config { config }));
    }
}

#[test]
fn a_forced_algorithm_that_declines_is_unsupported() {
    let problem = problem(&[1, 2, 9], &[4, 2, 3], &Conv::default());
    let planner = Planner::new(roomy());
    for algorithm in Algorithm::NAMES {
        if Algorithm::ALL.contains(&algorithm) {
            assert_eq!(planner.choose(&problem, Some(algorithm)).expect("runs").algorithm, algorithm);
            continue;
        }
        let declined = planner.choose(&problem, Some(algorithm)).expect_err("no GPU version");
        assert_eq!(declined.reasons, [(algorithm, Unsupported::NotOnGpu { algorithm })]);
        assert_eq!(
            declined.to_string(),
            format!("no algorithm runs this problem on the device: {algorithm}: has no GPU version")
        );
        assert_eq!(Error::from(declined).kind(), ErrorKind::Unsupported);
    }
}

/// An extent past 32 bits is planned and declined at once, without touching memory.
#[test]
fn huge_problems_are_limits_and_not_crashes() {
    let start = std::time::Instant::now();
    for (x, w) in [
        (vec![1, 1, 1, 4_294_967_311], vec![1, 1, 1, 3]),
        (vec![1, 32, 512, 512, 256], vec![32, 32, 3, 3, 3]),
        (vec![1 << 40, 1, 1], vec![1, 1, 1]),
    ] {
        let problem = problem(&x, &w, &Conv::default());
        let declined = Planner::new(Target::default()).choose(&problem, None).expect_err("too large");
        assert!(declined.is_limit(), "{declined}");
        assert_eq!(Error::from(declined).kind(), ErrorKind::LimitExceeded);
    }
    // Not a matter of speed: an allocation of these sizes would not come back at all.
    assert!(start.elapsed().as_secs() < 5);
}

#[test]
fn choices_explain_themselves() {
    let text = choose(&problem(&[8, 64, 56, 56], &[64, 64, 3, 3], &Conv::default().padding(1))).explain();
    for part in
        ["direct (4 channels x 4 outputs, 1 per load)", "workspace 0 bytes", "run: direct on", "TILE_C-4"]
    {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert_eq!(Kernel::Direct.name(), "direct");
}

#[test]
fn channels_last_loads_four_at_once_where_it_can() {
    let lanes = |c_in: usize, groups: usize| {
        let conv = Conv::default().layouts(wgconv::Layout::Nxc).groups(groups);
        match choose(&problem(&[1, c_in, 9], &[8, c_in / groups, 3], &conv)).config {
            Config::Direct(config) => config.lanes,
        }
    };
    assert_eq!([lanes(8, 1), lanes(8, 2), lanes(6, 1), lanes(8, 4)], [4, 4, 1, 1]);
}
