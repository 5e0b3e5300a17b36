//! Weights that are prepared once in an app's encoder and read by many runs.
#![cfg(feature = "gpu")]

use crate::common::device::any_gpu;
use ndarray::{Array4, ArrayD};
use wgconv::internals::gpu::{Gpu, GpuPlan};
use wgconv::internals::kernel::{FoldParams, FoldSpec, Kernel, Params, WORKGROUP};
use wgconv::internals::planner::{Choice, Planner};
use wgconv::internals::program::{Binding, Buffer, Grid, Launch};
use wgconv::wgpu::{self, BufferUsages};
use wgconv::{
    Algorithm, BufferOperands, Conv, ConvProblem, Device, Direction, Element, GpuError, Operands, PlanOptions,
};

const X: [usize; 4] = [1, 4, 9, 8];
const W: [usize; 4] = [6, 4, 3, 3];
const ANY: BufferUsages = BufferUsages::STORAGE.union(BufferUsages::COPY_SRC).union(BufferUsages::COPY_DST);

fn count(shape: [usize; 4]) -> Array4<f32> {
    let mut next = 0;
    Array4::from_shape_simple_fn(shape, || {
        next = (next + 5) % 13;
        next as f32 - 6.0
    })
}

fn buffer(gpu: &Gpu, contents: &[f32], usage: BufferUsages) -> wgpu::Buffer {
    let size = contents.len() as u64 * 4;
    let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
    let buffer = gpu.device().create_buffer(&descriptor);
    gpu.queue().write_buffer(&buffer, 0, bytemuck::cast_slice(contents));
    buffer
}

fn read(gpu: &Gpu, from: &wgpu::Buffer) -> Vec<f32> {
    let contents = vec![0.0; from.size() as usize / 4];
    let to = buffer(gpu, &contents, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(from, 0, &to, 0, from.size());
    gpu.queue().submit([encoder.finish()]);
    to.map_async(wgpu::MapMode::Read, .., |mapped| mapped.expect("mapped"));
    gpu.device().poll(wgpu::PollType::wait_indefinitely()).expect("polled");
    bytemuck::cast_slice(&to.slice(..).get_mapped_range().expect("mapped")).to_vec()
}

/// Prepares and runs in one encoder; twice from the same prepared weights.
fn run(plan: &GpuPlan) -> Vec<f32> {
    let gpu = plan.gpu();
    let (x, w) = (count(X), count(W));
    let input = buffer(gpu, x.as_slice().expect("standard"), ANY);
    let weight = buffer(gpu, w.as_slice().expect("standard"), ANY);
    let prepared = buffer(gpu, &vec![f32::NAN; plan.prepared_bytes() as usize / 4], ANY);
    let len = plan.choice().problem.output().len() as usize;
    let results = [0, 1].map(|_| buffer(gpu, &vec![f32::NAN; len], ANY));
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    let recorded = plan.encode_prepare(&mut encoder, (&weight).into(), (&prepared).into());
    pollster::block_on(recorded).expect("recorded");
    for result in &results {
        let operands = BufferOperands {
            input: Some((&input).into()),
            prepared: Some((&prepared).into()),
            result: Some(result.into()),
            ..Default::default()
        };
        pollster::block_on(plan.encode(&mut encoder, &operands)).expect("recorded");
    }
    gpu.queue().submit([encoder.finish()]);
    let [first, second] = results.each_ref().map(|result| read(gpu, result));
    assert_eq!(first, second);
    first
}

fn expected(scale: f32) -> Vec<f32> {
    let problem = ConvProblem::new(&X, &W, &Conv::default().padding(1)).expect("a problem");
    let plan = Device::cpu().plan(&problem, &PlanOptions::default()).expect("a plan");
    let (x, w) = (count(X), count(W));
    let y: ArrayD<f32> = plan
        .run(Operands { input: x.view(), weight: w.view().into(), ..Default::default() })
        .expect("a result");
    y.iter().map(|v| v * scale).collect()
}

fn choice(gpu: &Gpu) -> Choice {
    let problem = ConvProblem::new(&X, &W, &Conv::default().padding(1)).expect("a problem");
    Planner::new(gpu.target().clone()).choose(&problem, None).expect("a choice")
}

fn plan(gpu: &Gpu, choice: Choice) -> GpuPlan {
    pollster::block_on(GpuPlan::new(gpu, choice, &PlanOptions::default())).expect("a plan")
}

#[test]
fn weights_used_as_they_are_are_copied() {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU");
    let mut choice = choice(gpu);
    choice.program.prepare.clear();
    let plan = plan(gpu, choice);
    assert_eq!(plan.prepared_bytes(), W.iter().product::<usize>() as u64 * 4);
    assert_eq!(run(&plan), expected(1.0));
}

/// Sizes agree where a kernel packs 64 channels of 64: nothing else would tell.
#[test]
fn raw_weights_are_refused_where_prepared_ones_are_read() {
    let Some(device) = any_gpu() else { return };
    let problem = ConvProblem::new(&[1, 64, 8, 8], &[64, 64, 3, 3], &Conv::default()).expect("a problem");
    let options = PlanOptions { algorithm: Some(Algorithm::ImplicitGemm), ..Default::default() };
    let plan = device.plan(&problem, &options).expect("a plan");
    let gpu = device.gpu().expect("a GPU");
    let [input, weight, result] = [problem.input(), problem.weight(), problem.output()]
        .map(|t| buffer(gpu, &vec![1.0; t.len() as usize], ANY));
    assert_eq!(plan.prepared_bytes(), Some(weight.size()));
    let refused = |operands: BufferOperands<'_>| {
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        plan.encode(&mut encoder, &operands).expect_err("refused").to_string()
    };
    let raw = BufferOperands {
        input: Some((&input).into()),
        weight: Some((&weight).into()),
        result: Some((&result).into()),
        ..Default::default()
    };
    let unprepared =
        "the plan reads prepared weights: `encode_prepare` makes them, and the field `prepared` takes them";
    assert_eq!(refused(raw), format!("the buffer for weight: {unprepared}"));
    let both = BufferOperands { prepared: raw.weight, ..raw };
    assert_eq!(refused(both), "the buffer for weight: given, but the plan has no such operand");
}

/// A program of our own making, whose preparation doubles every weight.
#[test]
fn preparing_launches_run_once_before_all_runs() {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU");
    let mut choice = choice(gpu);
    let elements = W.iter().product::<usize>() as u32;
    let line = |last: u32, others: u32| [[others; 4], [others, others, others, last]];
    let params = FoldParams {
        extent: line(elements, 1),
        r_stride: line(1, 0),
        s_stride: line(1, 0),
        counts: [elements, 1, elements, 1],
        scale: [2.0, 0.0, 0.0, 0.0],
        places: [0, 0, 0, 1],
        ..Default::default()
    };
    let whole = |buffer, size| Binding { buffer, offset: 0, size };
    let bytes = u64::from(elements) * 4;
    let spare = whole(Buffer::Table(0), 16);
    choice.program.prepare = vec![Launch {
        kernel: Kernel::Fold,
        spec: FoldSpec { fold: false, element: Element::F32 }.into(),
        params: Params::Fold(params),
        bindings: vec![whole(Buffer::Weight, bytes), spare, spare, spare, whole(Buffer::Prepared, bytes)],
        grid: Grid::linear(elements.into(), WORKGROUP, &gpu.target().limits).expect("a grid"),
    }];
    choice.program.prepared = bytes;
    for binding in choice.program.launches.iter_mut().flat_map(|launch| &mut launch.bindings) {
        if binding.buffer == Buffer::Weight {
            binding.buffer = Buffer::Prepared;
        }
    }
    assert_eq!(run(&plan(gpu, choice)), expected(2.0));
}

#[test]
fn slices_that_do_not_fit_are_refused() {
    let Some(device) = any_gpu() else { return };
    let gpu = device.gpu().expect("a GPU");
    let plan = plan(gpu, choice(gpu));
    let bytes = W.iter().product::<usize>();
    let (weight, prepared) = (buffer(gpu, &vec![0.0; bytes], ANY), buffer(gpu, &vec![0.0; bytes], ANY));
    let small = buffer(gpu, &[0.0], ANY);
    let fixed = buffer(gpu, &vec![0.0; bytes], BufferUsages::STORAGE | BufferUsages::COPY_DST);
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    let mut refused = |from: &wgpu::Buffer, to: &wgpu::Buffer| {
        let recorded = plan.encode_prepare(&mut encoder, from.into(), to.into());
        pollster::block_on(recorded).expect_err("refused").to_string()
    };
    assert_eq!(refused(&small, &prepared), "the buffer for weight: holds 4 bytes, the operand needs 864");
    assert_eq!(refused(&weight, &small), "the buffer for prepared: holds 4 bytes, the operand needs 864");
    assert_eq!(refused(&weight, &weight), "the buffer for prepared: is also an operand's buffer");
    assert_eq!(refused(&fixed, &prepared), "the buffer for weight: was made without BufferUsages::COPY_SRC");

    let conv = Conv::default().direction(Direction::GradWeight);
    let problem = ConvProblem::new(&X, &W, &conv).expect("a problem");
    let by_weight = device.plan(&problem, &PlanOptions::default()).expect("a plan");
    let error =
        by_weight.encode_prepare(&mut encoder, (&weight).into(), (&prepared).into()).expect_err("no weight");
    assert!(matches!(error, wgconv::Error::Gpu(GpuError::Slice { role: "weight", .. })), "{error:?}");
}
