//! An image computed alone and in a batch has the same bits, by every algorithm, forward and for the gradient of the input.

use crate::common::cpu::{Spec, reals, run_by};
use ndarray::{ArrayD, Axis, Slice};
use wgconv::internals::cpu::CpuPlan;
use wgconv::internals::cpu::reference::Operands64;
use wgconv::{Activation, Algorithm, Boundary, Conv, ConvProblem, Direction, Element, Layout};

const DIRECTIONS: [Direction; 2] = [Direction::Forward, Direction::GradInput];

/// Odd sizes, groups, strides, dilations, boundaries, ranks and layouts with images outermost. The first extent of `x` is the
/// batch.
fn specs() -> Vec<Spec> {
    let conv = Conv::default;
    let spec = Spec::new;
    vec![
        spec(&[3, 3, 11, 9], &[5, 3, 3, 3], conv().padding(1).bias(true).activation(Activation::Tanh)),
        spec(&[5, 6, 13, 7], &[4, 3, 3, 2], conv().groups(2).stride([2, 1]).padding(1)),
        spec(&[3, 4, 10, 10], &[8, 1, 3, 3], conv().groups(4).padding(1).boundary(Boundary::Reflect)),
        spec(&[4, 2, 17, 9], &[3, 2, 2, 3], conv().dilation(2).padding(2).boundary(Boundary::Wrap)),
        spec(&[3, 2, 41], &[7, 2, 5], conv().stride(3).padding(3).boundary(Boundary::Constant(0.75))),
        spec(&[4, 4, 27], &[6, 2, 7], conv().groups(2).stride(2).padding(2).boundary(Boundary::Mirror)),
        spec(&[3, 1, 30], &[3, 1, 9], conv().padding(4)),
        spec(&[2, 2, 5, 6, 7], &[3, 2, 2, 3, 3], conv().stride([1, 2, 1]).padding(1)),
        spec(&[6, 8, 9, 5], &[6, 8, 3, 3], conv().layouts(Layout::Nxc).padding(1)),
        spec(&[4, 1, 21, 18], &[1, 1, 15, 9], conv().padding(4).boundary(Boundary::Nearest)),
    ]
}

/// The `at`-th image of a tensor `[n, ..]`.
fn image(tensor: &ArrayD<f64>, at: usize) -> ArrayD<f64> {
    tensor.slice_axis(Axis(0), Slice::from(at..at + 1)).to_owned()
}

fn bits(values: &ArrayD<f64>) -> Vec<u64> {
    values.iter().map(|v| v.to_bits()).collect()
}

fn of_one(spec: &Spec) -> Spec {
    let x = [&[1], &spec.x[1..]].concat();
    Spec { x, ..spec.clone() }
}

/// With a residual, and with batches of which the cost of the transforms differs much from that of one image.
fn cpu_specs() -> Vec<Spec> {
    let mut all = specs();
    all[0].conv.epilogue.beta = Some(0.5);
    all.push(Spec::new(&[16, 24, 30, 30], &[24, 24, 5, 5], Conv::default().padding(2)));
    all.push(Spec::new(&[7, 2, 1500], &[2, 2, 300], Conv::default()));
    all.push(Spec::new(&[12, 16, 20, 20], &[16, 1, 7, 7], Conv::default().groups(16).stride(2)));
    all
}

#[test]
fn on_the_cpu() {
    let mut compared = 0;
    for spec in cpu_specs() {
        for (direction, element) in
            DIRECTIONS.into_iter().flat_map(|d| [(d, Element::F32), (d, Element::F64)])
        {
            let spec = spec.direction(direction);
            let (batch, alone) = (spec.problem(element), of_one(&spec).problem(element));
            let tensors = crate::common::cpu::Tensors::new(&batch, reals(17));
            for algorithm in [Algorithm::Direct, Algorithm::Fft, Algorithm::Reference] {
                // The reference is slow and has no tiles.
                if algorithm == Algorithm::Reference && batch.macs() > 1 << 20 {
                    continue;
                }
                let run = |problem: &ConvProblem, operands: &Operands64<'_>| match element {
                    Element::F64 => run_by::<f64>(problem, operands, algorithm),
                    _ => run_by::<f32>(problem, operands, algorithm),
                };
                let lengths =
                    |problem| CpuPlan::new(problem, Some(algorithm)).expect("a plan").transform_lengths();
                assert_eq!(lengths(&alone), lengths(&batch), "{algorithm} {direction:?} {spec:?}");
                let together = run(&batch, &tensors.operands());
                for at in [0, spec.x[0] - 1] {
                    let [x, h, residual] = [&tensors.x, &tensors.h, &tensors.residual].map(|t| image(t, at));
                    let operands = Operands64 {
                        input: Some(x.view()),
                        grad_output: Some(h.view()),
                        residual: Some(residual.view()),
                        ..tensors.operands()
                    };
                    let (got, want) = (bits(&run(&alone, &operands)), bits(&image(&together, at)));
                    assert_eq!(got, want, "{algorithm} {direction:?} {element:?}, image {at}: {spec:?}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 200, "{compared}");
}

#[cfg(feature = "gpu")]
mod gpu {
    use super::*;
    use crate::common::device::{any_gpu, run_guarded};
    use crate::common::usual::{is_short, usual_choice};
    use std::sync::Mutex;
    use wgconv::PlanOptions;
    use wgconv::internals::algorithm::Config;
    use wgconv::internals::gpu::GpuPlan;
    use wgconv::internals::kernel::{Kernel, Params};
    use wgconv::internals::planner::{Choice, Planner};
    use wgconv::internals::program::{DeviceClass, Limits, Target};
    use wgconv_testing::{Data, Tally, Tier, gpu_for};

    const ALGORITHMS: [Algorithm; 5] = [
        Algorithm::Direct,
        Algorithm::Depthwise,
        Algorithm::ImplicitGemm,
        Algorithm::Im2colGemm,
        Algorithm::Fft,
    ];

    /// Sums of so many products, channels of a group times taps, are never cut into parts to fill a device.
    const NEVER_CUT: u64 = 240;

    fn only(data: &Data, at: usize) -> Data {
        Data {
            x: image(&data.x, at),
            grad_output: image(&data.grad_output, at),
            residual: data.residual.as_ref().map(|residual| image(residual, at)),
            ..data.clone()
        }
    }

    /// In a short run of kernels that a software adapter compiles in a moment.
    fn choice(algorithm: Algorithm, problem: &ConvProblem, target: &Target, tier: Tier) -> Option<Choice> {
        if is_short(tier, target) {
            return usual_choice(algorithm, problem, target);
        }
        forced(target, algorithm, problem)
    }

    fn check(choice: Choice, alone: &ConvProblem) -> Result<(), String> {
        // Each kernel is compiled on one device.
        let device = gpu_for(&choice.config.to_string());
        let gpu = device.gpu().expect("a GPU device");
        let (batch, config, algorithm) = (choice.problem.clone(), choice.config, choice.algorithm);
        let run = |choice: Choice, data: &Data| {
            let plan = pollster::block_on(GpuPlan::new(gpu, choice, &PlanOptions::default()));
            run_guarded(&plan.map_err(|e| e.to_string())?, data)
        };
        let program = algorithm.lower(alone, gpu.target(), config).map_err(|e| e.to_string())?;
        let single = Choice { problem: alone.clone(), program, ..choice.clone() };
        let data = Data::reals(&batch, 23);
        let together = run(choice, &data)?;
        // The first one of a batch shares nothing with one before it.
        for at in [1, batch.n() as usize - 1] {
            let (got, want) = (run(single.clone(), &only(&data, at))?, image(&together, at));
            if bits(&got) != bits(&want) {
                let differ = got.iter().zip(&want).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
                return Err(format!("{differ} of {} elements of image {at} differ", want.len()));
            }
        }
        Ok(())
    }

    fn alone_and_in_a_batch(tier: Tier) {
        let Some(device) = any_gpu() else { return };
        let target = device.gpu().expect("a GPU device").target();
        let mut rows = Vec::new();
        for (spec, direction) in
            specs().into_iter().flat_map(|spec| DIRECTIONS.map(|d| (spec.direction(d), d)))
        {
            for algorithm in ALGORITHMS {
                rows.push((
                    format!("{algorithm} {direction:?} {:?} {:?}", spec.x, spec.w),
                    algorithm,
                    spec.clone(),
                ));
            }
        }
        let ran = Mutex::new(Vec::new());
        let tally = Tally::of(
            &rows,
            |(name, ..)| name,
            |(name, algorithm, spec), tally| {
                let (batch, alone) = (spec.problem(Element::F32), of_one(spec).problem(Element::F32));
                let Some(choice) = choice(*algorithm, &batch, target, tier) else {
                    tally.skip(name, "is not supported, or has no usual kernel");
                    return;
                };
                tally.check(check(choice, &alone).map_err(|e| format!("{name}: {e}")));
                ran.lock().expect("no row panicked").push((*algorithm, spec.conv.direction));
            },
        );
        tally.finish("GPU, alone and in a batch");
        let ran = ran.into_inner().expect("no row panicked");
        for pair in ALGORITHMS.into_iter().flat_map(|a| DIRECTIONS.map(|d| (a, d))) {
            assert!(ran.iter().filter(|ran| **ran == pair).count() >= 3, "{pair:?} ran too seldom");
        }
    }

    #[test]
    fn on_a_gpu() {
        alone_and_in_a_batch(Tier::Quick);
    }

    #[test]
    #[ignore = "full"]
    fn on_a_gpu_in_the_best_configuration() {
        alone_and_in_a_batch(Tier::full());
    }

    fn device(units: u32) -> Target {
        let limits = Limits {
            max_binding_bytes: 1 << 31,
            max_buffer_bytes: 1 << 33,
            max_workgroup_bytes: 32 << 10,
            ..Limits::default()
        };
        Target {
            limits,
            compute_units: Some(units),
            device_class: DeviceClass::Discrete,
            ..Target::default()
        }
    }

    fn forced(target: &Target, algorithm: Algorithm, problem: &ConvProblem) -> Option<Choice> {
        Planner::new(target.clone()).choose(problem, Some(algorithm)).ok()
    }

    /// What the order of a sum depends on: the transform, the taps along the rows of a box, whether parts are added up.
    fn order(choice: &Choice) -> (Option<Config>, Vec<u32>, usize) {
        let transform = Some(choice.config).filter(|config| matches!(config, Config::Fft(_)));
        let launches = &choice.program.launches;
        let rows = |params: &Params| match params {
            Params::Depthwise(block) => Some(block.taps[0]),
            _ => None,
        };
        let folds = launches.iter().filter(|launch| launch.kernel == Kernel::Fold).count();
        (transform, launches.iter().filter_map(|launch| rows(&launch.params)).collect(), folds)
    }

    /// On devices of any size, of an algorithm that was named: the order of a sum does not depend on the batch, if
    /// sums are short enough that none is ever cut. `depthwise` and `fft` never cut one.
    #[test]
    fn the_order_of_a_sum_does_not_depend_on_the_batch() {
        let conv = || Conv::default().padding(1);
        let mut specs = specs();
        for (c, k) in [(16, 3), (8, 5), (60, 2), (3, 7)] {
            specs.push(Spec::new(&[1, c, 28, 28], &[64, c, k, k], conv()));
        }
        for (groups, extent, k) in
            [(1, 64, 31), (1, 40, 17), (32, 56, 31), (2, 200, 65), (8, 100, 41), (3, 300, 12)]
        {
            let (x, w) = ([1, groups, extent, extent], [groups, 1, k, k]);
            specs.push(Spec::new(&x, &w, conv().groups(groups).padding(k / 2)));
            specs.push(Spec::new(&[1, groups, extent * 20], &[groups, 1, k * 5], conv().groups(groups)));
        }
        specs.push(Spec::new(&[1, 64, 28, 28], &[64, 64, 9, 9], conv()));
        specs.push(Spec::new(&[1, 256, 14, 14], &[256, 256, 5, 5], conv()));
        let mut compared = 0;
        for spec in specs {
            for direction in DIRECTIONS {
                let of = |n: usize| {
                    let x = [&[n], &spec.x[1..]].concat();
                    Spec { x, ..spec.direction(direction) }.problem(Element::F32)
                };
                let problem = of(1);
                let summed = match direction {
                    Direction::Forward => problem.c_in(),
                    _ => problem.c_out(),
                };
                let taps: u64 = problem.axes().iter().map(|axis| axis.kernel).product();
                let products = summed / problem.groups() * taps;
                for (units, algorithm) in
                    [1, 12, 64, 200].into_iter().flat_map(|u| ALGORITHMS.map(|a| (u, a)))
                {
                    let cuts = !matches!(algorithm, Algorithm::Depthwise | Algorithm::Fft);
                    if cuts && products > NEVER_CUT {
                        continue;
                    }
                    let target = device(units);
                    let Some(alone) = forced(&target, algorithm, &of(1)) else { continue };
                    for n in [2, 3, 8, 64] {
                        let batch = forced(&target, algorithm, &of(n)).expect("it takes one image");
                        let what = format!("{algorithm} {direction:?} on {units} units, {n} of {spec:?}");
                        assert_eq!(order(&alone), order(&batch), "{what}");
                        compared += 1;
                    }
                }
            }
        }
        assert!(compared > 1000, "{compared}");
    }
}
