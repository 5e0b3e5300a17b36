//! A GPU's own troubles: an app's device and buffers, a lost device, time-outs, determinism, reuse.
#![cfg(feature = "gpu")]

use std::time::Duration;

use crate::common::device::any_gpu;
use ndarray::{Array3, Array4, ArrayD};
use wgconv::half::f16;
use wgconv::internals::gpu::{Gpu, Wanted, adapters};
use wgconv::wgpu::{self, BufferUsages};
use wgconv::{
    Algorithm, BufferOperands, BufferSlice, Conv, ConvProblem, Device, DeviceChoice, Element, Error,
    ErrorKind, GpuError, Layout, OperandError, Operands, Plan, PlanOptions,
};
use wgconv_testing::report;

const X: [usize; 4] = [1, 4, 9, 8];
const W: [usize; 4] = [6, 4, 3, 3];

fn problem() -> ConvProblem {
    ConvProblem::new(&X, &W, &Conv::default().padding(1)).expect("a problem")
}

fn operands() -> (Array4<f32>, Array4<f32>) {
    let mut next = 0.0;
    let mut count = |shape| {
        Array4::from_shape_simple_fn(shape, || {
            next = (next + 5.0) % 13.0;
            next - 6.0
        })
    };
    (count(X), count(W))
}

fn run(plan: &Plan) -> Result<ArrayD<f32>, Error> {
    let (x, w) = operands();
    plan.run(Operands { input: x.view(), weight: (&w).into(), ..Default::default() })
}

fn on_cpu() -> ArrayD<f32> {
    run(&Device::cpu().plan(&problem(), &PlanOptions::default()).expect("a plan")).expect("a result")
}

/// A device of the adapter under test that an app would have made.
fn app_device() -> Option<(wgpu::Adapter, wgpu::Device, wgpu::Queue)> {
    let ours = any_gpu()?;
    let adapter = pollster::block_on(adapters()).into_iter().find(|a| a.get_info().name == ours.name())?;
    let (device, queue) = pollster::block_on(adapter.request_device(&Default::default())).expect("a device");
    Some((adapter, device, queue))
}

#[test]
fn an_apps_own_device_runs_and_records() {
    let Some((adapter, device, queue)) = app_device() else { return };
    let ours = Device::from_wgpu(device.clone(), queue.clone()).expect("a device").with_adapter(&adapter);
    assert_eq!(ours.name(), adapter.get_info().name);
    pollster::block_on(ours.gpu().expect("a GPU").self_test()).expect("passes the self-test");
    let plan = ours.plan(&problem(), &PlanOptions::default()).expect("a plan");
    assert_eq!(run(&plan).expect("a result"), on_cpu());

    let (x, w) = operands();
    let buffer = |contents: &[f32], extra: u64, usage| {
        let size = contents.len() as u64 * 4 + extra;
        let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
        let buffer = device.create_buffer(&descriptor);
        let bytes: Vec<u8> = contents.iter().flat_map(|v| v.to_le_bytes()).collect();
        queue.write_buffer(&buffer, extra, &bytes);
        buffer
    };
    let storage = BufferUsages::STORAGE | BufferUsages::COPY_DST | BufferUsages::COPY_SRC;
    let input = buffer(x.as_slice().expect("standard"), 512, storage);
    let weight = buffer(w.as_slice().expect("standard"), 0, storage);
    let len = problem().output().len() as usize;
    let result = buffer(&vec![f32::NAN; len], 0, storage);
    let good = BufferOperands {
        input: Some(BufferSlice { buffer: &input, offset: 512 }),
        weight: Some((&weight).into()),
        result: Some((&result).into()),
        ..Default::default()
    };
    let mut encoder = device.create_command_encoder(&Default::default());
    plan.encode(&mut encoder, &good).expect("recorded");
    let readable = buffer(&[], len as u64 * 4, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
    encoder.copy_buffer_to_buffer(&result, 0, &readable, 0, readable.size());
    queue.submit([encoder.finish()]);
    readable.map_async(wgpu::MapMode::Read, .., |mapped| mapped.expect("mapped"));
    device.poll(wgpu::PollType::wait_indefinitely()).expect("polled");
    let bytes = readable.slice(..).get_mapped_range().expect("mapped").to_vec();
    let got: Vec<f32> =
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("four"))).collect();
    assert_eq!(got, on_cpu().iter().copied().collect::<Vec<_>>());

    let unusable = buffer(&[0.0; 1000], 0, BufferUsages::COPY_DST);
    let small = buffer(&[0.0; 10], 0, storage);
    let refused = |operands: BufferOperands<'_>| {
        let mut encoder = device.create_command_encoder(&Default::default());
        let error = plan.encode(&mut encoder, &operands).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Operand);
        error.to_string()
    };
    let slice = |buffer, offset| Some(BufferSlice { buffer, offset });
    let messages = [
        refused(BufferOperands { input: None, ..good }),
        refused(BufferOperands { bias: slice(&small, 0), ..good }),
        refused(BufferOperands { input: slice(&input, 12), ..good }),
        refused(BufferOperands { weight: slice(&small, 0), ..good }),
        refused(BufferOperands { weight: slice(&unusable, 0), ..good }),
        refused(BufferOperands { result: slice(&small, 0), ..good }),
        refused(BufferOperands { input: slice(&input, 1 << 40), ..good }),
    ];
    let alignment = ours.gpu().expect("a GPU").target().limits.offset_alignment;
    assert_eq!(
        messages,
        [
            "the buffer for input: missing".to_owned(),
            "the buffer for bias: given, but the plan has no such operand".to_owned(),
            format!("the buffer for input: offset 12 is not a multiple of {alignment}"),
            "the buffer for weight: holds 40 bytes, the operand needs 864".to_owned(),
            "the buffer for weight: was made without BufferUsages::STORAGE".to_owned(),
            "the buffer for result: holds 40 bytes, the operand needs 1728".to_owned(),
            "the buffer for input: holds 0 bytes, the operand needs 1152".to_owned(),
        ]
    );
    let wide = buffer(&[0.0; 1000], 0, storage);
    let aliased = refused(BufferOperands { input: slice(&wide, 0), result: slice(&wide, 0), ..good });
    assert_eq!(aliased, "the buffer for result: is also an operand's buffer");
}

#[test]
fn a_lost_device_says_so_and_a_new_one_works() {
    let Some(shared) = any_gpu() else { return };
    let open = || Device::open(&DeviceChoice::Named(shared.name().to_owned())).expect("a device");
    let device = open();
    let plan = device.plan(&problem(), &PlanOptions::default()).expect("a plan");
    assert_eq!(run(&plan).expect("a result"), on_cpu());
    device.gpu().expect("a GPU").device().destroy();
    device.gpu().expect("a GPU").device().poll(wgpu::PollType::Poll).ok();
    for error in [
        run(&plan).expect_err("lost"),
        device.plan(&problem(), &PlanOptions::default()).expect_err("lost"),
        device.upload(&operands().0).expect_err("lost"),
    ] {
        assert_eq!(error.kind(), ErrorKind::DeviceLost, "{error:?}");
        assert!(error.to_string().starts_with("the device is lost: "), "{error}");
    }
    let again = open().plan(&problem(), &PlanOptions::default()).expect("a plan");
    assert_eq!(run(&again).expect("a result"), on_cpu());
}

#[test]
fn a_slow_device_times_out() {
    let Some(shared) = any_gpu() else { return };
    // A device of its own: on a shared one another test's wait could outlast this run.
    let device = Device::open(&DeviceChoice::Named(shared.name().to_owned())).expect("a device");
    let problem = ConvProblem::new(&[1, 16, 400, 400], &[16, 16, 5, 5], &Conv::default()).expect("a problem");
    let options = PlanOptions { timeout: Duration::ZERO, ..Default::default() };
    let plan = device.plan(&problem, &options).expect("a plan");
    let (x, w) = (Array4::<f32>::zeros([1, 16, 400, 400]), Array4::<f32>::zeros([16, 16, 5, 5]));
    let error = plan.run(Operands { input: x.view(), weight: (&w).into(), ..Default::default() });
    let error = error.expect_err("no time at all");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.to_string(), "the device did not finish within 0 s");
}

/// Mapped ranges are whole words, of which an odd number of f16 elements fills the last by half.
#[test]
fn odd_numbers_of_f16_elements_go_up_and_down() {
    let Some(device) = any_gpu() else { return };
    if !device.gpu().expect("a GPU").target().features.f16 {
        return report(&format!("SKIPPED, no f16 on {}", device.name()));
    }
    let conv = Conv::default().element(Element::F16).bias(true);
    let problem = ConvProblem::new(&[1, 1, 3], &[1, 1, 1], &conv).expect("a problem");
    let plan = device.plan(&problem, &PlanOptions::default()).expect("a plan");
    let half =
        |values: &[f32]| Array3::from_shape_fn((1, 1, values.len()), |(_, _, i)| f16::from_f32(values[i]));
    let (x, w, bias) =
        (half(&[1.0, 2.0, 3.0]), half(&[4.0]), half(&[5.0]).into_shape_with_order(1).expect("one"));
    let operands = Operands { input: x.view(), weight: (&w).into(), bias: bias.view(), ..Default::default() };
    assert_eq!(plan.run(operands).expect("a result"), half(&[9.0, 13.0, 17.0]).into_dyn());
    let tensor = device.upload(&x).expect("uploaded");
    assert_eq!(tensor.download::<f16>().expect("downloaded"), x.into_dyn());
}

#[test]
fn adapters_are_found_by_name_only() {
    let nobody = Wanted::Named("no adapter has this name".into());
    let error = pollster::block_on(Gpu::new(&nobody)).expect_err("nobody");
    let GpuError::NoAdapter { wanted, found } = &error else { panic!("{error:?}") };
    assert_eq!(wanted, "called \"no adapter has this name\"");
    let listed = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    assert_eq!(error.to_string(), format!("no adapter is {wanted}; found: {listed}"));
    let Some(device) = any_gpu() else { return };
    let upper = DeviceChoice::Named(device.name()[..6].to_uppercase());
    assert_eq!(Device::open(&upper).expect("whatever the case").name(), device.name());
    let hardware = device.gpu().expect("a GPU").report().is_hardware();
    if !hardware
        && pollster::block_on(adapters()).len() == 1
        && std::env::var_os("WGPU_ADAPTER_NAME").is_none()
    {
        // A software adapter alone is no GPU.
        assert!(Device::open(&DeviceChoice::Auto).expect("the CPU path").is_cpu());
        assert_eq!(Device::open(&DeviceChoice::Gpu).expect_err("none").kind(), ErrorKind::NoAdapter);
    }
}

/// Uploads, results and read-backs come from the pool from the second call on.
#[test]
fn staging_buffers_are_reused() {
    let Some(shared) = any_gpu() else { return };
    let device = Device::open(&DeviceChoice::Named(shared.name().to_owned())).expect("a device");
    let plan = device.plan(&problem(), &PlanOptions::default()).expect("a plan");
    for _ in 0..3 {
        run(&plan).expect("a result");
    }
    let made = device.gpu().expect("a GPU").buffers_made();
    for _ in 0..20 {
        run(&plan).expect("a result");
    }
    assert_eq!(device.gpu().expect("a GPU").buffers_made(), made);
}

#[test]
fn what_does_not_fit_a_buffer_is_refused_before_it_is_copied() {
    let Some(device) = any_gpu() else { return };
    let far = Layout::Strides(vec![0, 1 << 50]);
    let error = device.upload_as(&ndarray::array![[1f32, 2.]], &far).expect_err("4 PiB");
    let limit = device.gpu().expect("a GPU").target().limits.max_buffer_bytes;
    let bytes = 4 * ((1u64 << 50) + 1);
    assert_eq!(
        error.to_string(),
        format!("the tensor needs {bytes} bytes, a buffer of the device holds at most {limit}")
    );
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    // Two numbers for one place.
    let error =
        device.upload_as(&ndarray::array![[1f32, 2.]], &Layout::Strides(vec![0, 0])).expect_err("lossy");
    assert!(matches!(error, Error::Gpu(GpuError::LossyLayout { role: "tensor" })), "{error:?}");
    assert_eq!(error.kind(), ErrorKind::Operand);
}

/// Asked for, a plan by spectra looks at what lies on the GPU too, and names the place.
#[test]
fn tensors_that_are_not_finite_are_refused_when_asked() {
    let Some(device) = any_gpu() else { return };
    let by = |algorithm, check_finite| {
        let options = PlanOptions { algorithm: Some(algorithm), check_finite, ..PlanOptions::default() };
        device.plan(&problem(), &options).expect("a plan")
    };
    let (mut x, w) = operands();
    x[[0, 3, 8, 1]] = f32::INFINITY;
    let run = |plan: &Plan| {
        let place = |tensor| device.upload(tensor).expect("an upload");
        let (x, w) = (place(&x), place(&w));
        plan.run_on(&Operands { input: &x, weight: (&w).into(), ..Default::default() })
    };
    let refused = run(&by(Algorithm::Fft, true)).expect_err("an infinity");
    let wanted = OperandError::NonFinite { role: "input", at: vec![0, 3, 8, 1] };
    assert_eq!((refused.kind(), refused.to_string()), (ErrorKind::NonFinite, wanted.to_string()));
    for (algorithm, checks) in [(Algorithm::Fft, false), (Algorithm::Direct, true)] {
        let plan = by(algorithm, checks);
        assert_eq!((plan.algorithm(), plan.fallback().is_some()), (algorithm, false));
        run(&plan).expect("nobody asked, or nothing spreads");
    }
}
