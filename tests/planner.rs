//! Choices and lowered programs as data: no device anywhere.

use crate::common::plans::{candidates, lower};
use wgconv::internals::algorithm::{DirectConfig, Resource};
use wgconv::internals::kernel::{Kernel, Params};
use wgconv::internals::planner::{Choice, Planner};
use wgconv::internals::program::{Binding, Buffer, Grid, Launch, Program};
use wgconv::internals::target::{DeviceModel, Features, Limits, Target};
use wgconv::{
    Algorithm, Boundary, Cannot, Conv, ConvProblem, Direction, Element, Error, ErrorKind, Padding, Peaks,
    PlanOptions, Precision, Reason,
};
use wgconv_testing::benchdnn::benchdnn;
use wgconv_testing::cases::{Case, named};

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
    let Program { tables, workspace, prepare, launches, .. } = &choice.program;
    assert_eq!((tables.len(), workspace.len(), prepare.len(), launches.len()), (1, 0, 0, 1));
    let launch = &launches[0];
    assert!(launch.kernel.specs().contains(&launch.spec));
    let whole = |buffer, size| Binding { buffer, offset: 0, size };
    // Three rows of five words.
    let spare = whole(Buffer::Table(0), 60);
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
            for &algorithm in Algorithm::on_gpu() {
                let Ok(configs) = candidates(algorithm, &problem, &target) else { continue };
                assert!(!configs.is_empty(), "{}: neither configurations nor a reason", case.name);
                for config in configs {
                    let program = lower(algorithm, &problem, &target, &config).expect("a candidate lowers");
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

/// Launches of a program by what they read and write, and the parts that they make or add up.
fn chain(program: &Program) -> Vec<(Kernel, Vec<Buffer>, u32)> {
    let of = |launch: &Launch| {
        let parts = match launch.params {
            Params::Probe(_) => unreachable!("no convolution is a probe"),
            Params::Direct(p) => p.parts[0] / p.parts[1],
            Params::Fold(p) => p.counts[1],
            Params::Gemm(p) => p.tiles[3],
            Params::Depthwise(_) | Params::Pack(_) => 1,
            Params::FftAxis(_) | Params::FftForward(_) | Params::FftGemm(_) | Params::FftInverse(_) => 1,
            Params::DepthwiseWeight(ref p) => p.counts[0].div_ceil(p.counts[1]),
        };
        (launch.kernel, launch.bindings.iter().map(|b| b.buffer).collect(), parts)
    };
    program.launches.iter().map(of).collect()
}

#[test]
fn long_sums_are_cut_into_parts() {
    let conv = Conv::default().bias(true).activation(wgconv::Activation::Relu);
    let program = choose(&problem(&[1, 1, 20_010], &[1, 1, 20_000], &conv)).program;
    let (direct, fold, sums) = (Buffer::Table(0), Buffer::Table(1), Buffer::Workspace(0));
    // Eleven outputs do not fill a device, so there is a part for every box of 128 products. The epilogue comes last.
    let gather = vec![Buffer::Input, Buffer::Weight, direct, direct, direct, sums];
    let add = vec![sums, Buffer::Bias, fold, fold, Buffer::Result];
    assert_eq!(chain(&program), [(Kernel::Direct, gather, 157), (Kernel::Fold, add, 157)]);
    assert_eq!(program.workspace, [157 * 11 * 4]);
    assert_eq!(program.workspace_bytes(), 157 * 11 * 4);
    // Enough outputs fill it, so only sums of more than 4,096 products are cut.
    let wide = |taps: usize| {
        let problem = problem(&[1, 1, 99_999 + taps], &[1, 1, taps], &Conv::default());
        // Spectra would be faster for so many taps.
        let choice = Planner::new(roomy()).choose(&problem, Some(Algorithm::Direct)).expect("a choice");
        let fast = PlanOptions { precision: Precision::Fast, ..PlanOptions::default() };
        let by_spectra = Planner::new(roomy()).choose_with(&problem, &fast).expect("a choice");
        assert_eq!(by_spectra.algorithm, Algorithm::Fft);
        choice.program
    };
    assert_eq!(chain(&wide(4096)).len(), 1);
    assert_eq!(chain(&wide(4097))[1].2, 2);
}

#[test]
fn gradients_exchange_the_roles() {
    let program = |conv: &Conv| {
        let problem = problem(&[4, 8, 40, 40], &[8, 8, 3, 3], conv);
        Planner::new(roomy()).choose(&problem, Some(Algorithm::Direct)).expect("a choice").program
    };
    let conv = Conv::default().padding(1);
    let table = Buffer::Table(0);
    let back = program(&conv.clone().direction(Direction::GradInput));
    let bindings = vec![Buffer::GradOutput, Buffer::Weight, table, table, table, Buffer::Result];
    assert_eq!(chain(&back), [(Kernel::Direct, bindings, 1)]);
    let weight = program(&conv.clone().direction(Direction::GradWeight));
    let bindings = vec![Buffer::Input, Buffer::GradOutput, table, table, table, Buffer::Workspace(0)];
    assert_eq!(chain(&weight)[0].1, bindings);
    // Repeated cells are gathered for the padded input, 42 x 42, and folded.
    let wrap = program(&conv.boundary(Boundary::Wrap).direction(Direction::GradInput));
    assert_eq!(wrap.workspace, [4 * 8 * 42 * 42 * 4]);
    assert_eq!(wrap.launches[1].kernel, Kernel::Fold);
}

#[test]
fn cells_reached_by_the_same_taps_are_a_phase() {
    let rows = |conv: &Conv| {
        let back = conv.clone().direction(Direction::GradInput);
        let words = choose(&problem(&[1, 1, 7], &[1, 1, 3], &back)).program.tables.swap_remove(0).words;
        // After the rows of z and y: taps, padding, first of b, first of r, cells.
        words[10..].chunks(5).map(<[u32]>::to_vec).collect::<Vec<_>>()
    };
    // Even cells are read by taps 0 and 2, odd ones by tap 1.
    assert_eq!(rows(&Conv::default().stride(2)), [[2, 0, 0, 0, 4], [1, 0, 1, 1, 3]]);
    // With dilation 2 every tap falls on an even cell.
    assert_eq!(rows(&Conv::default().stride(2).dilation(2)), [[3, 0, 0, 0, 4], [0, 0, 0, 1, 3]]);
    // A flipped kernel counts from its last tap.
    assert_eq!(rows(&Conv::default().flip(true)), [[3, 0, 2, 0, 7]]);
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
    // Three rows, one cell each for the missing z and y axes, then coordinates -3..=5 of an axis of three.
    assert_eq!(program.tables[0].words[15..], [0, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1]);
    let conv = Conv::default().padding([(1, 2)]).boundary(Boundary::Constant(7.0));
    let program = choose(&problem(&[1, 1, 2], &[1, 1, 1], &conv)).program;
    assert_eq!(program.tables[0].words[15..], [0, 0, outside, 0, 1, outside, outside]);
    // The gradient folds back: cells 0, 1 and 2 were read under these padded coordinates.
    let conv = Conv::default().padding([3]).boundary(Boundary::Mirror).direction(Direction::GradInput);
    let program = choose(&problem(&[1, 1, 3], &[1, 1, 2], &conv)).program;
    // Of z and of y one list of one place; then the ends of three lists, and the lists.
    assert_eq!(program.tables[1].words[..6], [2, 3, 0, 5, 6, 0]);
    assert_eq!(program.tables[1].words[6..], [10, 12, 17, 19, 3, 7, 0, 2, 4, 6, 8, 1, 5][..]);
}

/// What declines `x` by `w` under `conv` on `target`.
fn why(x: &[usize], w: &[usize], conv: &Conv, target: &Target) -> Cannot {
    candidates(Algorithm::Direct, &problem(x, w, conv), target).expect_err("declined")
}

#[test]
fn direct_declines_with_its_reason() {
    let (x, w, conv) = ([1, 2, 9], [4, 2, 3], Conv::default);
    for (element, target) in [(Element::F64, roomy()), (Element::F16, Target::default())] {
        assert_eq!(why(&x, &w, &conv().element(element), &target), Cannot::Element { element });
    }
    let with = |limits: Limits| Target { limits, ..roomy() };
    // Windows at one end read the other one: there are no pieces but the four channels.
    let tiny = with(Limits { max_binding_bytes: 99, ..Limits::default() });
    let got = why(&x, &w, &conv().padding(9).boundary(Boundary::Wrap), &tiny);
    assert_eq!(got, Cannot::BindingTooLarge { buffer: "output", bytes: 4 * 25 * 4, limit: 99 });
    let few = with(Limits { max_storage_buffers: 4, ..Limits::default() });
    assert_eq!(
        why(&x, &w, &conv(), &few),
        Cannot::Limit { resource: Resource::StorageBuffers, needed: 6, limit: 4 }
    );
    let got = why(&x, &[4, 2, 1], &conv().padding(Padding::Explicit(vec![(1 << 31, -(1 << 31))])), &roomy());
    assert_eq!(got, Cannot::IndexTooLarge { what: "padding", value: 1 << 31 });
    let small_grid = with(Limits { max_grid: 2, ..Limits::default() });
    let problem = problem(&[1, 1, 5000], &[1, 1, 1], &conv().boundary(Boundary::Wrap));
    let declined = Planner::new(small_grid).choose(&problem, None).expect_err("declined");
    let reasons = [
        (Algorithm::Depthwise, 20_224),
        (Algorithm::ImplicitGemm, 5120),
        (Algorithm::Im2colGemm, 5000),
        (Algorithm::Direct, 5000),
    ];
    let reasons = reasons.map(|(algorithm, n)| (algorithm, Cannot::GridTooLarge { invocations: n }.into()));
    let few = (Algorithm::Fft, Reason::FewChannels { got: 1, wanted: 16 });
    assert_eq!(declined.reasons, [vec![few], reasons.to_vec()].concat());
    assert_eq!(Error::from(declined).kind(), ErrorKind::LimitExceeded);
}

#[test]
fn a_forced_algorithm_that_declines_is_unsupported() {
    let problem = problem(&[1, 2, 9], &[4, 2, 3], &Conv::default());
    let planner = Planner::new(roomy());
    for algorithm in Algorithm::NAMES {
        if Algorithm::on_gpu().contains(&algorithm) {
            assert_eq!(planner.choose(&problem, Some(algorithm)).expect("runs").algorithm, algorithm);
            continue;
        }
        let declined = planner.choose(&problem, Some(algorithm)).expect_err("no GPU version");
        assert_eq!(
            declined.reasons,
            [(algorithm, Cannot::NotOnDevice { has: Algorithm::on_gpu().to_vec() }.into())]
        );
        assert_eq!(
            declined.to_string(),
            format!(
                "no algorithm runs this problem on the device: {algorithm}: is not on this device, which has fft, \
                 depthwise, implicit_gemm, im2col_gemm, direct"
            )
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
    for part in [
        "implicit_gemm (64x128x16, 8x8 per invocation)",
        "workspace 0 bytes",
        "prepare: pack on",
        "run: implicit_gemm on",
        "BM-64",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    // Few channels make no matrix worth the name.
    let text = choose(&problem(&[64, 3, 56, 56], &[8, 3, 3, 3], &Conv::default().padding(1))).explain();
    for part in ["depthwise (8 x 8 rows per invocation)", "workspace 0 bytes", "run: depthwise on", "QN-8"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let text = choose(&problem(&[1, 3, 16, 16], &[8, 3, 3, 3], &Conv::default().padding(1))).explain();
    for part in
        ["direct (1 channels x 1 outputs, 1 per load)", "workspace 0 bytes", "run: direct on", "TILE_C-1"]
    {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert_eq!(Kernel::Direct.name(), "direct");
}

/// What each algorithm made of a problem, and the estimate of what was chosen: the least, but for what rounds.
#[test]
fn choices_say_what_was_considered() {
    let few = problem(&[1, 3, 16, 16], &[8, 3, 3, 3], &Conv::default().padding(1));
    let choice = choose(&few);
    let names: Vec<_> = choice.considered.iter().map(|(algorithm, _)| *algorithm).collect();
    assert_eq!(names, Algorithm::on_gpu());
    let least = |choice: &Choice| {
        let exact = choice.considered.iter().filter(|(algorithm, _)| algorithm.is_exact());
        let all = exact.filter_map(|(_, made)| made.as_ref().ok()).flatten();
        all.map(|(_, estimate)| estimate.secs()).fold(f64::INFINITY, f64::min)
    };
    assert_eq!(choice.algorithm, Algorithm::Direct);
    assert_eq!(choice.estimate().expect("an estimate").secs(), least(&choice));
    assert_eq!(choice.declined(), [(Algorithm::Fft, Reason::FewChannels { got: 3, wanted: 16 })]);
    let many = choose(&problem(&[8, 64, 56, 56], &[64, 64, 3, 3], &Conv::default().padding(1)));
    let cannot = Cannot::Channels { wanted: 8, got: 64 };
    assert_eq!(
        (many.algorithm, many.declined()),
        (Algorithm::ImplicitGemm, vec![(Algorithm::Depthwise, cannot.into())])
    );
    assert_eq!(many.estimate().expect("an estimate").secs(), least(&many));
    let text = many.explain();
    for line in
        ["\n  estimated: fft: ", "\n  cannot: depthwise: sums over 64 channels", "\n  estimated: direct: "]
    {
        assert!(text.contains(line), "{line:?} is not in {text}");
    }
    assert!(
        choice.explain().contains("\n  left out: fft: rounds transformed operands"),
        "{}",
        choice.explain()
    );
    // What is forced is considered alone.
    let forced = Planner::new(roomy()).choose(&few, Some(Algorithm::Im2colGemm)).expect("a choice");
    assert_eq!(forced.considered.len(), 1);
}

/// A barrier costs a software adapter what thousands of products do: what has barriers has to save as much.
#[test]
fn a_software_adapter_is_a_model_with_dear_barriers() {
    let device_class = wgconv::internals::target::DeviceClass::Software;
    let planner = Planner::new(Target { device_class, ..roomy() });
    let by = |x: &[usize], w: &[usize]| {
        planner.choose(&problem(x, w, &Conv::default().padding(1)), None).expect("a choice").algorithm
    };
    assert_eq!(by(&[1, 3, 16, 16], &[8, 3, 3, 3]), Algorithm::Direct);
    let conv = Conv::default().padding(1).groups(64);
    let depthwise = planner.choose(&problem(&[1, 64, 56, 56], &[64, 1, 3, 3], &conv), None);
    assert_eq!(depthwise.expect("a choice").algorithm, Algorithm::Direct);
    // Measured on llvmpipe: 125 ms by products of matrices, 235 ms by direct sums.
    let accurate = PlanOptions { precision: Precision::Accurate, ..PlanOptions::default() };
    let dense = problem(&[1, 64, 28, 28], &[64, 64, 3, 3], &Conv::default().padding(1));
    assert_eq!(planner.choose_with(&dense, &accurate).expect("a choice").algorithm, Algorithm::ImplicitGemm);
}

/// What was measured of a device takes the place of what is guessed.
#[test]
fn estimates_are_made_of_what_was_measured() {
    let dense = problem(&[8, 64, 56, 56], &[64, 64, 3, 3], &Conv::default().padding(1));
    let of = |fma_flops: Option<f64>| {
        let mut peaks = Peaks::default();
        peaks.fma_flops = fma_flops;
        let algorithm = Some(Algorithm::ImplicitGemm);
        let options = PlanOptions { algorithm, peaks: Some(peaks), ..PlanOptions::default() };
        Planner::new(roomy()).choose_with(&dense, &options).expect("a choice").estimate().expect("one").secs()
    };
    let guessed = choose(&dense).estimate().expect("one").secs();
    assert_eq!(of(None), guessed);
    let model = DeviceModel::guess(&roomy());
    let slow = of(Some(model.fma_per_s * 2.0 / 10.0));
    assert!((8.0..10.1).contains(&(slow / guessed)), "{slow} {guessed}");
}

#[test]
fn channels_last_loads_four_at_once_where_it_can() {
    let lanes = |c_in: usize, groups: usize| {
        let conv = Conv::default().layouts(wgconv::Layout::Nxc).groups(groups);
        let choice = choose(&problem(&[1, c_in, 9], &[8, c_in / groups, 3], &conv));
        choice.config.get::<DirectConfig>().expect("of direct").lanes
    };
    assert_eq!([lanes(8, 1), lanes(8, 2), lanes(6, 1), lanes(8, 4)], [4, 4, 1, 1]);
}

/// Indices are 32-bit even where a device binds more than they address, and planning takes no memory for it.
#[test]
fn what_32_bits_do_not_address_is_declined() {
    let limits = Limits { max_binding_bytes: 1 << 36, max_buffer_bytes: 1 << 36, ..Limits::default() };
    let target = Target { limits, ..Target::default() };
    let too_large = |x: &[usize], w: &[usize], conv: &Conv| match why(x, w, conv, &target) {
        Cannot::IndexTooLarge { what, value } => (what, value),
        other => panic!("{other:?}"),
    };
    let plain = Conv::default();
    let wrapped = plain.clone().padding(1).boundary(Boundary::Wrap);
    assert_eq!(too_large(&[1, 1, 65_536, 65_536], &[1, 1, 3, 3], &wrapped), ("input", 1 << 32));
    // Otherwise it is cut into pieces that they do address.
    let large = self::problem(&[8, 64, 4096, 4096], &[1, 64, 3, 3], &plain);
    let program =
        Planner::new(target.clone()).choose(&large, Some(Algorithm::Direct)).expect("in pieces").program;
    let bindings = program.launches.iter().flat_map(|launch| &launch.bindings);
    let inputs: Vec<&Binding> = bindings.filter(|binding| binding.buffer == Buffer::Input).collect();
    assert_eq!(inputs.len(), 8, "an image each");
    assert!(inputs.iter().all(|binding| binding.size < 4 << 31));
    assert!(inputs.iter().any(|binding| binding.offset == 7 << 32), "{inputs:?}");
    let shared = |layouts| Conv::default().layouts(layouts);
    let zero = || wgconv::Layout::Strides(vec![0; 3]);
    let channels = shared(wgconv::Layouts { input: zero(), weight: zero(), ..Default::default() });
    // Channels are summed some at a time, but these are too many for any number of parts.
    let many = self::problem(&[1, (1 << 32) + 4, 1], &[1, (1 << 32) + 4, 1], &channels);
    let declined = Planner::new(target.clone()).choose(&many, Some(Algorithm::Direct)).expect_err("too many");
    let value = (1 << 32) + 4;
    assert_eq!(
        declined.reasons,
        [(Algorithm::Direct, Cannot::IndexTooLarge { what: "input", value }.into())]
    );
    // 2^40 taps on one number, of which one meets it: not enumerated.
    let conv = Conv::default().padding(Padding::Explicit(vec![((1 << 20) - 1, 0); 2]));
    let conv =
        conv.layouts(wgconv::Layouts { weight: wgconv::Layout::Strides(vec![0; 4]), ..Default::default() });
    let problem = problem(&[1, 1, 1, 1], &[1, 1, 1 << 20, 1 << 20], &conv);
    assert_eq!(choose(&problem).algorithm, Algorithm::Direct);
    // 2^28 taps that all do: refused.
    let zero = || wgconv::Layout::Strides(vec![0; 4]);
    let conv = shared(wgconv::Layouts { input: zero(), weight: zero(), ..Default::default() });
    let problem = self::problem(&[1, 1, 1 << 14, 1 << 14], &[1, 1, 1 << 14, 1 << 14], &conv);
    let declined = Planner::new(target).choose(&problem, None).expect_err("too long a sum");
    assert_eq!(Error::from(declined).kind(), ErrorKind::LimitExceeded);
    assert_eq!(Grid::linear(1, 0, &Limits::default()), None);
    assert_eq!(Grid::linear(1, 1, &Limits { max_grid: 0, ..Limits::default() }), None);
}
