//! Devices, plans, operands and tensors through their public face, on the CPU path and on any adapter.

use ndarray::{Array1, Array3, Array4, ArrayD, Axis as NdAxis, array, s};
use wgconv::half::f16;
use wgconv::{
    Activation, Algorithm, Conv, ConvProblem, Device, DeviceChoice, Direction, Element, Epilogue, Error,
    ErrorKind, Layout, Layouts, OperandError, Operands, Plan, PlanOptions, Tensor,
};

/// The CPU path, and the adapter if there is one.
fn devices() -> Vec<Device> {
    #[cfg(feature = "gpu")]
    return std::iter::once(Device::cpu())
        .chain(crate::common::device::any_gpu().map(|turn| turn.clone()))
        .collect();
    #[cfg(not(feature = "gpu"))]
    return vec![Device::cpu()];
}

fn plan(device: &Device, x: &[usize], w: &[usize], conv: &Conv) -> Plan {
    let problem = ConvProblem::new(x, w, conv).expect("a problem");
    device.plan(&problem, &PlanOptions::default()).expect("a plan")
}

fn counting(shape: [usize; 4]) -> Array4<f32> {
    let mut next = 0.0;
    Array4::from_shape_simple_fn(shape, || {
        next = (next + 3.0) % 11.0;
        next - 5.0
    })
}

const X: [usize; 4] = [2, 3, 6, 5];
const W: [usize; 4] = [4, 3, 3, 2];

/// What the CPU path says about contiguous operands; the case table vouches for it.
fn expected(x: &Array4<f32>, w: &Array4<f32>, conv: &Conv) -> ArrayD<f32> {
    let plan = plan(&Device::cpu(), x.shape(), w.shape(), conv);
    plan.run(Operands { input: x.view(), weight: w.into(), ..Default::default() }).expect("a result")
}

#[test]
fn devices_are_plain_to_share() {
    fn shared<T: Send + Sync + Clone + 'static>() {}
    shared::<Device>();
    shared::<Plan>();
    shared::<Tensor>();
    shared::<wgconv::PreparedWeights>();
}

#[test]
fn views_of_any_strides_give_the_same_numbers() {
    let (x, w) = (counting(X), counting(W));
    let mut holder = Array4::from_elem([4, 3, 12, 7], f32::NAN);
    holder.slice_mut(s![1..;2, .., ..;-2, 1..6]).assign(&x);
    let sliced = holder.slice(s![1..;2, .., ..;-2, 1..6]);
    let transposed = x.clone().permuted_axes([0, 2, 3, 1]).as_standard_layout().into_owned();
    let transposed = transposed.view().permuted_axes([0, 3, 1, 2]);
    let w_fortran = w.t().as_standard_layout().into_owned();
    for device in devices() {
        for layout in [Layout::Ncx, Layout::Nxc, Layout::Cxn] {
            let conv = Conv::default().padding(1).layouts(layout);
            let plan = plan(&device, &X, &W, &conv);
            let weights = plan.prepare(&w_fortran.t()).expect("prepared");
            for view in [x.view(), sliced, transposed] {
                let y = plan.run(Operands { input: view, weight: (&weights).into(), ..Default::default() });
                assert_eq!(y.expect("a result"), expected(&x, &w, &conv), "{}", device.name());
            }
        }
    }
}

#[test]
fn results_go_into_the_callers_array() {
    let (x, w) = (counting(X), counting(W));
    for device in devices() {
        let plan = plan(&device, &X, &W, &Conv::default());
        let operands = || Operands { input: x.view(), weight: (&w).into(), ..Default::default() };
        let want = expected(&x, &w, &Conv::default());
        let mut out = Array4::from_elem([4, 4, 4, 2], f32::NAN);
        plan.run_into(operands(), out.view_mut().permuted_axes([3, 0, 1, 2])).expect("written");
        assert_eq!(out.permuted_axes([3, 0, 1, 2]).into_dyn(), want);
        let mut wrong = Array3::<f32>::zeros([1, 2, 3]);
        let error = plan.run_into(operands(), wrong.view_mut()).expect_err("another shape");
        assert_eq!(error.kind(), ErrorKind::OutputShape);
    }
}

#[test]
fn futures_and_timed_runs_give_the_same() {
    let (x, w) = (counting(X), counting(W));
    for device in devices() {
        let plan = plan(&device, &X, &W, &Conv::default());
        let operands = || Operands { input: x.view(), weight: (&w).into(), ..Default::default() };
        let want = expected(&x, &w, &Conv::default());
        assert_eq!(pollster::block_on(plan.run_async(operands())).expect("a result"), want);
        let (y, timing) = plan.run_timed(operands()).expect("a result");
        assert_eq!(y, want);
        assert!(timing.total > std::time::Duration::ZERO);
        assert!(timing.device.is_none() || !device.is_cpu());
    }
}

fn operand_error(result: Result<impl std::fmt::Debug, Error>) -> OperandError {
    match result.expect_err("an operand error") {
        Error::Operand(e) => e,
        other => panic!("{other:?}"),
    }
}

#[test]
fn operands_are_checked_one_by_one() {
    let (x, w) = (counting(X), counting(W));
    let bias = Array1::<f32>::zeros(4);
    for device in devices() {
        let plain = plan(&device, &X, &W, &Conv::default());
        let missing = |role| OperandError::Missing { role };
        let superfluous = |role| OperandError::Superfluous { role };
        let base = || Operands { input: x.view(), weight: (&w).into(), ..Default::default() };
        assert_eq!(
            operand_error(plain.run(Operands { input: x.view(), ..Default::default() })),
            missing("weight")
        );
        let no_input: Operands<'_, ndarray::ArrayView4<'_, f32>> =
            Operands { weight: (&w).into(), ..Default::default() };
        assert_eq!(operand_error(plain.run(no_input)), missing("input"));
        assert_eq!(
            operand_error(plain.run(Operands { grad_output: x.view(), ..base() })),
            superfluous("grad_output")
        );
        assert_eq!(
            operand_error(plain.run(Operands { residual: x.view(), ..base() })),
            superfluous("residual")
        );
        assert_eq!(operand_error(plain.run(Operands { bias: bias.view(), ..base() })), superfluous("bias"));
        let short = x.slice(s![.., .., 1.., ..]);
        let shape = operand_error(plain.run(Operands { input: short, ..base() }));
        assert_eq!(shape, OperandError::Shape { role: "input", wanted: X.to_vec(), got: vec![2, 3, 5, 5] });
        let w64 = w.mapv(f64::from);
        let element = operand_error(plain.run(Operands { weight: (&w64).into(), ..base() }));
        let (wanted, got) = (Element::F32, Element::F64);
        assert_eq!(element, OperandError::Element { role: "weight", wanted, got });
        let x16 = x.mapv(f16::from_f32);
        let result = plain.run(Operands { input: x16.view(), weight: (&w).into(), ..Default::default() });
        let got = Element::F16;
        assert_eq!(operand_error(result), OperandError::Element { role: "input", wanted, got });

        let biased = plan(&device, &X, &W, &Conv::default().bias(true));
        let error = biased.run(Operands { bias: bias.slice(s![1..]), ..base() }).expect_err("three numbers");
        assert_eq!(error.kind(), ErrorKind::BiasShape);
        assert_eq!(operand_error(biased.run(base())), missing("bias"));

        let other = plan(&device, &X, &W, &Conv::default());
        let weights = other.prepare(&w).expect("prepared");
        let foreign = Operands { weight: (&weights).into(), ..base() };
        assert_eq!(operand_error(plain.run(foreign)), OperandError::OtherPlan);
        assert!(matches!(operand_error(plain.prepare(&x)), OperandError::Shape { role: "weight", .. }));
    }
}

#[test]
fn gradients_take_their_own_operands() {
    let (x, w, g) = (counting(X), counting(W), counting([2, 4, 4, 4]));
    let device = Device::cpu();
    let by_input = plan(&device, &X, &W, &Conv::default().direction(Direction::GradInput));
    let dx = by_input.run(Operands { grad_output: g.view(), weight: (&w).into(), ..Default::default() });
    assert_eq!(dx.expect("a gradient").shape(), X);
    let wrong = Operands { grad_output: x.view(), weight: (&w).into(), ..Default::default() };
    assert_eq!(by_input.run(wrong).expect_err("of x's shape").kind(), ErrorKind::GradShape);
    let by_weight = plan(&device, &X, &W, &Conv::default().direction(Direction::GradWeight));
    let dw = by_weight.run(Operands { input: x.view(), grad_output: g.view(), ..Default::default() });
    assert_eq!(dw.expect("a gradient").shape(), W);
    assert_eq!(operand_error(by_weight.prepare(&w)), OperandError::NothingToPrepare);
}

#[test]
fn the_epilogue_reads_bias_and_residual() {
    let (x, w) = (counting(X), counting(W));
    let bias = array![1f32, -2., 3., 0.5];
    let residual = counting([2, 4, 4, 4]);
    let epilogue = Epilogue { alpha: 0.5, beta: Some(-2.0), bias: true, activation: Activation::Relu };
    let plain = expected(&x, &w, &Conv::default());
    let mut want = plain.mapv(|v| v * 0.5) - residual.mapv(|r| 2.0 * r).into_dyn();
    for (mut channel, b) in want.axis_iter_mut(NdAxis(1)).zip(&bias) {
        channel.mapv_inplace(|v| (v + b).max(0.0));
    }
    for device in devices() {
        let plan = plan(&device, &X, &W, &Conv::default().epilogue(epilogue));
        let operands = Operands {
            input: x.view(),
            weight: (&w).into(),
            bias: bias.view(),
            residual: residual.view(),
            ..Default::default()
        };
        assert_eq!(plan.run(operands).expect("a result"), want, "{}", device.name());
    }
}

#[test]
fn tensors_stay_on_their_device() {
    let (x, w) = (counting(X), counting(W));
    let second = counting([2, 4, 3, 3]);
    for device in devices() {
        let one = plan(&device, &X, &W, &Conv::default());
        let two = plan(&device, &[2, 4, 4, 4], &[2, 4, 3, 3], &Conv::default());
        let (xs, ws) = (device.upload(&x).expect("uploaded"), device.upload(&w).expect("uploaded"));
        assert_eq!((xs.shape(), xs.element()), (X.to_vec(), Element::F32));
        let middle = one.run_on(&Operands { input: &xs, weight: (&ws).into(), ..Default::default() });
        let middle = middle.expect("a tensor");
        let weights = two.prepare(&second).expect("prepared");
        let y = two.run_on(&Operands { input: &middle, weight: (&weights).into(), ..Default::default() });
        let first = expected(&x, &w, &Conv::default());
        let want =
            expected(&first.clone().into_dimensionality().expect("four axes"), &second, &Conv::default());
        assert_eq!(y.expect("a tensor").download::<f32>().expect("downloaded"), want);
        assert_eq!(middle.download::<f32>().expect("still there"), first);
        assert!(matches!(operand_error(middle.download::<f64>()), OperandError::Element { .. }));
        let absent = operand_error(one.run_on(&Operands { weight: (&ws).into(), ..Default::default() }));
        assert_eq!(absent, OperandError::Missing { role: "input" });
    }
}

#[test]
fn tensors_of_another_device_or_layout_are_refused() {
    let (x, w) = (counting(X), counting(W));
    let all = devices();
    for (i, device) in all.iter().enumerate() {
        let plan = plan(device, &X, &W, &Conv::default().layouts(Layout::Nxc));
        if !device.is_cpu() {
            let plain = device.upload(&x).expect("uploaded");
            let result = plan.run_on(&Operands { input: &plain, weight: (&w).into(), ..Default::default() });
            assert!(matches!(operand_error(result), OperandError::Layout { role: "input", .. }));
        }
        let fitting = device.upload_as(&x, &Layout::Nxc).expect("uploaded");
        let result = plan.run_on(&Operands { input: &fitting, weight: (&w).into(), ..Default::default() });
        assert_eq!(
            result.expect("a tensor").download::<f32>().expect("there"),
            expected(&x, &w, &Conv::default())
        );
        for other in all.iter().enumerate().filter(|&(j, _)| j != i).map(|(_, other)| other) {
            let foreign = other.upload_as(&x, &Layout::Nxc).expect("uploaded");
            let result =
                plan.run_on(&Operands { input: &foreign, weight: (&w).into(), ..Default::default() });
            assert_eq!(operand_error(result), OperandError::OtherDevice { role: "input" });
        }
    }
}

#[test]
fn explicit_strides_may_leave_gaps_and_repeat_but_lose_nothing() {
    let (x, w) = (counting([1, 2, 3, 4]), counting([2, 2, 2, 2]));
    let repeated = w.slice(s![..1, .., .., ..]).broadcast([2, 2, 2, 2]).expect("repeats").to_owned();
    let layouts = Layouts {
        input: Layout::Strides(vec![100, 40, 12, 3]),
        weight: Layout::Strides(vec![0, 4, 2, 1]),
        output: Layout::Strides(vec![99, 1, 16, 4]),
    };
    for device in devices() {
        let plan = plan(&device, x.shape(), w.shape(), &Conv::default().layouts(layouts.clone()));
        let run =
            |w: &Array4<f32>| plan.run(Operands { input: x.view(), weight: w.into(), ..Default::default() });
        assert_eq!(run(&repeated).expect("a result"), expected(&x, &repeated, &Conv::default()));
        if !device.is_cpu() {
            let error = run(&w).expect_err("two kernels in the place of one");
            assert_eq!(error.kind(), ErrorKind::Operand, "{error}");
        }
    }
}

#[test]
fn elements_follow_the_problem() {
    let (x, w) = (counting(X), counting(W));
    let (x64, w64) = (x.mapv(f64::from), w.mapv(f64::from));
    let want = expected(&x, &w, &Conv::default());
    for device in devices() {
        let double = plan(&device, &X, &W, &Conv::default().element(Element::F64));
        assert_eq!(double.device_name(), "cpu");
        assert_eq!(double.fallback().is_some(), !device.is_cpu());
        assert_eq!(double.explain().contains("fell back"), !device.is_cpu());
        let y = double.run(Operands { input: x64.view(), weight: (&w64).into(), ..Default::default() });
        assert_eq!(y.expect("a result"), want.mapv(f64::from));
        let problem = ConvProblem::new(&X, &W, &Conv::default().element(Element::F16)).expect("a problem");
        match device.plan(&problem, &PlanOptions::default()) {
            Ok(half) => {
                let (x16, w16) = (x.mapv(f16::from_f32), w.mapv(f16::from_f32));
                let y = half.run(Operands { input: x16.view(), weight: (&w16).into(), ..Default::default() });
                assert_eq!(y.expect("a result").mapv(f16::to_f32), want);
            }
            Err(e) => assert_eq!(e.kind(), ErrorKind::Unsupported, "{e}"),
        }
    }
}

#[test]
fn forced_algorithms_run_or_decline() {
    for device in devices() {
        let problem = ConvProblem::new(&X, &W, &Conv::default()).expect("a problem");
        for algorithm in Algorithm::NAMES {
            for fallback in [wgconv::Fallback::Cpu, wgconv::Fallback::Error] {
                let options = PlanOptions { algorithm: Some(algorithm), fallback, ..Default::default() };
                match device.plan(&problem, &options) {
                    Ok(plan) => assert_eq!(plan.algorithm(), algorithm),
                    Err(e) => assert_eq!(e.kind(), ErrorKind::Unsupported, "{algorithm}: {e}"),
                }
            }
        }
    }
}

#[test]
fn a_hopeless_size_is_an_error_on_the_cpu_path() {
    let conv = Conv::default().padding(1 << 44);
    let plan = plan(&Device::cpu(), &[1, 1, 4], &[1, 1, 3], &conv);
    let (x, w) = (Array3::<f32>::zeros([1, 1, 4]), Array3::<f32>::zeros([1, 1, 3]));
    let error = plan.run(Operands { input: x.view(), weight: (&w).into(), ..Default::default() });
    assert_eq!(error.expect_err("no such memory").kind(), ErrorKind::OutOfMemory);
}

#[test]
fn names_of_devices() {
    assert_eq!(DeviceChoice::from_name("auto"), DeviceChoice::Auto);
    assert_eq!(DeviceChoice::from_name("cpu"), DeviceChoice::Cpu);
    assert_eq!(DeviceChoice::from_name("gpu"), DeviceChoice::Gpu);
    assert_eq!(DeviceChoice::from_name("Radeon"), DeviceChoice::Named("Radeon".into()));
    let error = Device::open(&DeviceChoice::Named("no such adapter".into())).expect_err("none");
    assert_eq!(error.kind(), ErrorKind::NoAdapter);
    assert_eq!(Device::open(&DeviceChoice::Cpu).expect("always there").name(), "cpu");
}

#[test]
fn one_liners_run_on_the_default_device() {
    let (x, w) = (array![[[1f32, 2., 3., 4.]]], array![[[1f32, 10.]]]);
    assert_eq!(wgconv::conv1d(&x, &w, &Conv::default()).expect("a result"), array![[[21., 32., 43.]]]);
    let flipped = wgconv::conv1d(&x.view(), &w, &Conv::default().flip(true)).expect("a result");
    assert_eq!(flipped, array![[[12., 23., 34.]]]);
    let x = x.mapv(f64::from).insert_axis(NdAxis(2)).insert_axis(NdAxis(2));
    let w = w.mapv(f64::from).insert_axis(NdAxis(2)).insert_axis(NdAxis(2));
    assert_eq!(wgconv::conv3d(&x, &w, &Conv::default()).expect("a result")[[0, 0, 0, 0, 2]], 43.0);
    let error = wgconv::conv3d(&x, &w, &Conv::default().stride(0)).expect_err("no stride");
    assert_eq!(error.kind(), ErrorKind::Stride);
}

/// Arrays without axes, layouts without a channel axis and strides past all memory are refused or taken, never a panic.
#[test]
fn absurd_arrays_are_errors() {
    let device = Device::cpu();
    for layout in [Layout::Ncx, Layout::Nxc, Layout::Cxn] {
        let line = array![1f32, 2.];
        assert_eq!(
            device.upload_as(&line, &layout).expect("a line").download::<f32>().unwrap(),
            line.into_dyn()
        );
        assert!(device.upload_as(&ndarray::arr0(1f32), &layout).is_ok());
    }
    let plan = plan(&device, &X, &W, &Conv::default());
    let w = Array4::<f32>::zeros(W);
    let none =
        plan.run(Operands { input: ndarray::arr0(1f32).view(), weight: (&w).into(), ..Default::default() });
    assert!(matches!(none, Err(Error::Operand(_))), "{none:?}");
    // One number, read as a terabyte of them by strides of 0.
    let one = ndarray::arr0(1f32);
    let wide = one.broadcast((1, 1, 1 << 24, 1 << 24)).expect("a broadcast");
    assert_eq!(device.upload(&wide).expect_err("no such memory").kind(), ErrorKind::OutOfMemory);
    let conv = Conv::default().stride(1 << 24);
    let problem = ConvProblem::new(wide.shape(), &[1, 1, 1, 1], &conv).expect("a problem");
    let plan = device.plan(&problem, &PlanOptions::default()).expect("a plan");
    let w = Array4::<f32>::ones([1, 1, 1, 1]);
    let got = plan.run(Operands { input: wide, weight: (&w).into(), ..Default::default() });
    assert_eq!(got.expect_err("no such memory").kind(), ErrorKind::OutOfMemory);
}
