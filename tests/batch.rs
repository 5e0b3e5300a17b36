//! An image computed alone and in a batch has the same bits, by every algorithm, forward and for the gradient of the input.

use crate::common::cpu::{Spec, reals, run_by};
use ndarray::{ArrayD, Axis, Slice};
use wgconv::internals::cpu::CpuPlan;
use wgconv::internals::cpu::reference::Operands64;
use wgconv::{Activation, Algorithm, Boundary, Conv, ConvProblem, Direction, Element, Layout};

const DIRECTIONS: [Direction; 2] = [Direction::Forward, Direction::GradInput];

/// Odd sizes, groups, strides, dilations, boundaries, ranks and layouts. The first extent of `x` is the batch.
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
        spec(&[4, 5, 3, 7], &[3, 5, 3, 3], conv().layouts(Layout::Cxn).padding(1)),
        spec(
            &[5, 2, 9, 8],
            &[2, 1, 3, 5],
            conv().layouts(Layout::Cxn).groups(2).padding(2).boundary(Boundary::Reflect),
        ),
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
    // Images of one channel that no tap crosses; windows that visit many times the input.
    all.push(Spec::new(&[2, 1, 101], &[1, 1, 1], Conv::default()));
    all.push(Spec::new(&[3, 1, 37, 41], &[1, 1, 1, 1], Conv::default()));
    let wrap = |by: usize| Conv::default().padding(by).boundary(Boundary::Wrap);
    all.push(Spec::new(&[65, 4, 5], &[3, 4, 400], wrap(399)));
    all.push(Spec::new(&[300, 1, 7], &[1, 1, 300], wrap(300)));
    all.push(Spec::new(&[33, 2, 2, 3], &[3, 2, 25, 31], wrap(30).boundary(Boundary::Reflect)));
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
                let lengths = |problem| CpuPlan::new(problem, algorithm).expect("a plan").transform_lengths();
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
    use crate::common::plans::lower;
    use crate::common::shapes::roomy;
    use crate::common::usual::{ALGORITHMS, is_short, usual_choice};
    use std::sync::Mutex;
    use wgconv::PlanOptions;
    use wgconv::internals::algorithm::{Config, FftConfig};
    use wgconv::internals::gpu::GpuPlan;
    use wgconv::internals::kernel::{Kernel, Params, Tile};
    use wgconv::internals::planner::{Choice, Planner};
    use wgconv::internals::target::{DeviceClass, Target};
    use wgconv_testing::{Data, Tally, Tier, gpu_for};

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
        if is_short(tier, target) && algorithm != Algorithm::Direct {
            return usual_choice(algorithm, problem, target);
        }
        forced(target, algorithm, problem)
    }

    /// What a single image gets by itself, if that has other kernels: they may be fused in another way, but not by the software
    /// adapters.
    fn own(algorithm: Algorithm, alone: &ConvProblem, target: &Target, tier: Tier) -> Option<Choice> {
        let is_quick = tier != Tier::Quick || algorithm == Algorithm::Direct;
        let compared = is_quick && target.device_class == DeviceClass::Software;
        if compared { forced(target, algorithm, alone) } else { None }
    }

    /// Whether the sums of one image are cut into other parts than those of the batch.
    fn check(choice: Choice, alone: &ConvProblem, target: &Target, tier: Tier) -> Result<bool, String> {
        // Each kernel is compiled on one device.
        let device = gpu_for(&choice.config.to_string());
        let gpu = device.gpu().expect("a GPU device");
        let (batch, config, algorithm) = (choice.problem.clone(), choice.config.clone(), choice.algorithm);
        let run = |choice: Choice, data: &Data| {
            let plan = pollster::block_on(GpuPlan::new(gpu, choice, &PlanOptions::default()));
            run_guarded(&plan.map_err(|e| e.to_string())?, data)
        };
        let program = lower(algorithm, alone, target, &config).map_err(|e| e.to_string())?;
        let mut singles = vec![Choice { problem: alone.clone(), program, ..choice.clone() }];
        singles.extend(own(algorithm, alone, target, tier).filter(|own| own.config != config));
        let of_all = order(&choice);
        let orders: Vec<_> = singles.iter().map(order).collect();
        for of_one in &orders {
            if of_one.0 != of_all.0 {
                return Err(format!("alone {of_one:?}, in a batch {of_all:?}"));
            }
        }
        let data = Data::reals(&batch, 23);
        let together = run(choice, &data)?;
        // The first one of a batch shares nothing with one before it.
        for (single, at) in
            singles.iter().flat_map(|single| [1, batch.n() as usize - 1].map(|at| (single, at)))
        {
            let (got, want) = (run(single.clone(), &only(&data, at))?, image(&together, at));
            if bits(&got) != bits(&want) {
                let differ = got.iter().zip(&want).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
                let how = &single.config;
                return Err(format!(
                    "{differ} of {} elements of image {at} differ, alone by {how}",
                    want.len()
                ));
            }
        }
        Ok(orders.iter().any(|of_one| of_one.1 != of_all.1))
    }

    /// Sums that are cut into parts for one image, and for a batch are not: on a device of one unit by products of matrices, or by
    /// `direct`.
    fn long_specs() -> Vec<(Spec, &'static [Algorithm])> {
        let (conv, spec) = (|| Conv::default().padding(1), Spec::new);
        let products = &[Algorithm::ImplicitGemm, Algorithm::Im2colGemm];
        let direct = &[Algorithm::Direct];
        vec![
            (spec(&[10, 60, 9, 8], &[30, 60, 3, 3], conv()), products),
            (spec(&[9, 64, 7, 7], &[32, 64, 3, 3], conv().layouts(Layout::Nxc)), products),
            (spec(&[12, 30, 5, 9], &[30, 30, 3, 3], conv().boundary(Boundary::Wrap)), products),
            (spec(&[40, 60, 16, 16], &[8, 60, 3, 3], conv()), direct),
            (spec(&[40, 8, 14, 16], &[16, 8, 9, 3], conv().padding([4, 1]).boundary(Boundary::Wrap)), direct),
            (spec(&[36, 16, 15, 15], &[24, 8, 5, 5], conv().groups(2).stride([2, 1])), direct),
            // More than one invocation adds up, and phases of which some have fewer products than others.
            (spec(&[6, 1900, 2, 3], &[8, 1900, 3, 3], conv()), products),
            (spec(&[8, 20, 9, 9], &[150, 20, 3, 3], conv().stride(2)), products),
            (spec(&[8, 20, 9, 9], &[90, 20, 3, 3], conv().stride(2).boundary(Boundary::Reflect)), products),
            // Taps that mostly meet nothing: in a batch tiles of four cells, alone of one.
            (spec(&[280, 16, 20], &[2, 16, 100], conv().padding(99)), direct),
            (spec(&[160, 2, 208], &[32, 2, 201], conv().padding(0)), direct),
        ]
    }

    fn alone_and_in_a_batch(tier: Tier) {
        let Some(device) = any_gpu() else { return };
        // Of one unit, which few images fill.
        let target =
            Target { compute_units: Some(1), ..device.gpu().expect("a GPU device").target().clone() };
        let target = &target;
        let mut rows = Vec::new();
        let all = specs().into_iter().map(|spec| (spec, &ALGORITHMS[..]));
        for (spec, algorithms) in all.chain(long_specs()) {
            for (direction, algorithm) in
                DIRECTIONS.into_iter().flat_map(|d| algorithms.iter().map(move |a| (d, *a)))
            {
                // Parts are kept in f32 whatever the operands are.
                let is_long = algorithms.len() < ALGORITHMS.len();
                let elements = if is_long { &[Element::F32, Element::F16][..] } else { &[Element::F32] };
                for &element in elements {
                    let name = format!("{algorithm} {direction:?} {element:?} {:?} {:?}", spec.x, spec.w);
                    rows.push((name, algorithm, spec.direction(direction), element));
                }
            }
        }
        let ran = Mutex::new(Vec::new());
        let tally = Tally::of(
            &rows,
            |(name, ..)| name,
            |(name, algorithm, spec, element), tally| {
                let (batch, alone) = (spec.problem(*element), of_one(spec).problem(*element));
                let Some(choice) = choice(*algorithm, &batch, target, tier) else {
                    tally.skip(name, "is not supported, or has no usual kernel");
                    return;
                };
                let checked = check(choice, &alone, target, tier);
                let is_cut = *checked.as_ref().unwrap_or(&false);
                tally.check(checked.map(|_| ()).map_err(|e| format!("{name}: {e}")));
                ran.lock().expect("no row panicked").push((*algorithm, spec.conv.direction, is_cut));
            },
        );
        tally.finish("GPU, alone and in a batch");
        let ran = ran.into_inner().expect("no row panicked");
        for pair in ALGORITHMS.into_iter().flat_map(|a| DIRECTIONS.map(|d| (a, d))) {
            let of_pair = || ran.iter().filter(|(a, d, _)| (*a, *d) == pair);
            assert!(of_pair().count() >= 3, "{pair:?} ran too seldom");
            let is_ever = !matches!(pair.0, Algorithm::Depthwise | Algorithm::Fft);
            let cut = of_pair().filter(|ran| ran.2).count();
            assert_eq!(cut > 0, is_ever, "{pair:?}: {cut} were cut otherwise");
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

    fn forced(target: &Target, algorithm: Algorithm, problem: &ConvProblem) -> Option<Choice> {
        Planner::new(target.clone()).choose(problem, Some(algorithm)).ok()
    }

    /// What the order of a sum depends on.
    #[derive(PartialEq, Debug)]
    struct Order {
        transform: Option<Config>,
        /// Of every launch that multiplies: the products or the box of taps and channels that are added up by themselves, and how
        /// many of them before they are added to a total.
        blocks: Vec<([u32; 4], u32)>,
        /// Whether channels or taps are innermost among the products of a matrix.
        channels_inner: Vec<u32>,
    }

    /// Also into how many parts the sums are cut.
    fn order(choice: &Choice) -> (Order, u32) {
        let launches = &choice.program.launches;
        let fold = launches.iter().find_map(|launch| match launch.params {
            Params::Fold(block) => Some((block.counts[1], block.run[0])),
            _ => None,
        });
        let (parts, run) = fold.unwrap_or((1, 0));
        let mut order = Order {
            transform: Some(choice.config.clone()).filter(|config| config.get::<FftConfig>().is_some()),
            blocks: Vec::new(),
            channels_inner: Vec::new(),
        };
        for launch in launches {
            match &launch.params {
                Params::Depthwise(block) => order.blocks.push(([block.taps[0], 0, 0, 0], 0)),
                Params::Direct(block) => {
                    let all: u32 = block.part_count.iter().product();
                    let of_part = block.dilation[3];
                    assert!(if of_part > 1 { parts == 1 || run == 1 } else { all == parts });
                    let run = if of_part > 1 || parts == 1 { of_part } else { run };
                    order.blocks.push((block.chunk, run.min(all)));
                }
                Params::Gemm(block) if launch.kernel != Kernel::Im2col => {
                    let [of_block, of_run, ..] = block.cut;
                    let tile = choice.config.get::<Tile>().expect("a product has a tile");
                    // A fold adds up blocks as a run, or runs as a part.
                    let wanted = match block.steps[0] {
                        of_part if of_part == of_block => of_run / of_block,
                        // Two runs and more, if they are too many for one part.
                        of_part if of_part == of_run => run.max(2),
                        _ => 1,
                    };
                    assert!(parts == 1 || run == wanted, "{run} instead of {wanted}");
                    order.blocks.push(([of_block * tile.depth, of_run * tile.depth, 0, 0], 0));
                    order.channels_inner.push(block.order[1]);
                }
                _ => {}
            }
        }
        // Launches of chunks are alike.
        order.blocks.dedup();
        order.channels_inner.dedup();
        (order, parts)
    }

    /// On devices of any size, of an algorithm that was named: the order of a sum does not depend on the batch, whether one
    /// invocation adds it up or each block has one.
    #[test]
    fn the_order_of_a_sum_does_not_depend_on_the_batch() {
        let conv = || Conv::default().padding(1);
        let mut specs = specs();
        for (c, k) in [(16, 3), (8, 5), (60, 2), (3, 7), (64, 3), (200, 1), (700, 3), (2100, 3)] {
            specs.push(Spec::new(&[1, c, 28, 28], &[64, c, k, k], conv()));
            specs.push(Spec::new(&[1, c, 9, 7], &[40, c, k, k], conv().layouts(Layout::Nxc)));
            specs.push(Spec::new(&[1, c, 14, 14], &[96, c, k, k], conv().stride(2).layouts(Layout::Cxn)));
        }
        specs.push(Spec::new(&[1, 1, 9000], &[2, 1, 5000], Conv::default().boundary(Boundary::Wrap)));
        for (groups, extent, k) in
            [(1, 64, 31), (1, 40, 17), (32, 56, 31), (2, 200, 65), (8, 100, 41), (3, 300, 12)]
        {
            let (x, w) = ([1, groups, extent, extent], [groups, 1, k, k]);
            specs.push(Spec::new(&x, &w, conv().groups(groups).padding(k / 2)));
            specs.push(Spec::new(&[1, groups, extent * 20], &[groups, 1, k * 5], conv().groups(groups)));
        }
        specs.push(Spec::new(&[1, 64, 28, 28], &[64, 64, 9, 9], conv()));
        specs.push(Spec::new(&[1, 256, 14, 14], &[256, 256, 5, 5], conv()));
        let (mut compared, mut cut) = (0, Vec::new());
        for spec in specs {
            for direction in DIRECTIONS {
                let of = |n: usize| {
                    let x = [&[n], &spec.x[1..]].concat();
                    Spec { x, ..spec.direction(direction) }.problem(Element::F32)
                };
                for (units, algorithm) in
                    [1, 12, 64, 200].into_iter().flat_map(|u| ALGORITHMS.map(|a| (u, a)))
                {
                    let target = Target { device_class: DeviceClass::Discrete, ..roomy(units) };
                    let Some(alone) = forced(&target, algorithm, &of(1)) else { continue };
                    for n in [2, 3, 8, 64] {
                        let batch = forced(&target, algorithm, &of(n)).expect("it takes one image");
                        let what = format!("{algorithm} {direction:?} on {units} units, {n} of {spec:?}");
                        let ((alone, parts), (batch, others)) = (order(&alone), order(&batch));
                        assert_eq!(alone, batch, "{what}");
                        compared += 1;
                        if parts != others {
                            cut.push(algorithm);
                        }
                    }
                }
            }
        }
        assert!(compared > 1000, "{compared}");
        for algorithm in [Algorithm::Direct, Algorithm::ImplicitGemm, Algorithm::Im2colGemm] {
            let times = cut.iter().filter(|&&of| of == algorithm).count();
            assert!(times > 20, "{algorithm} was cut otherwise {times} times");
        }
    }
}
