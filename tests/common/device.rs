//! The adapter under test, and runs on it with every binding inside guard bands.

use std::sync::OnceLock;

use ndarray::{ArrayD, Dimension, IxDyn};
use wgconv::gpu::{BufferOperands, BufferSlice, Gpu, GpuPlan};
use wgconv::half::f16;
use wgconv::{Device, DeviceChoice, Direction, Element, TensorLayout, wgpu};

use super::report::{be_strict, report};
use super::values::Data;

/// The adapter that `WGPU_ADAPTER_NAME` names, else the best there is, software adapters included.
/// Opened anew for every test binary; `None`, said loudly, where there is no adapter, unless
/// `WGCONV_REQUIRE_GPU` is set.
pub fn any_gpu() -> Option<Device> {
    static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
    let open = || {
        be_strict();
        let name = std::env::var("WGPU_ADAPTER_NAME").unwrap_or_default();
        match Device::open(&DeviceChoice::Named(name)) {
            Ok(device) => {
                report(&format!("adapter: {}", device.name()));
                Some(device)
            }
            Err(e) if std::env::var_os("WGCONV_REQUIRE_GPU").is_none() => {
                report(&format!("SKIPPED, no adapter: {e}"));
                None
            }
            Err(e) => panic!("WGCONV_REQUIRE_GPU is set, but: {e}"),
        }
    };
    DEVICE.get_or_init(open).clone()
}

/// Bytes before and after every tensor; a multiple of every offset alignment there is.
const GUARD: usize = 512;
/// A quiet NaN in f32 and, twice, in f16.
const POISON: u32 = 0x7fff_7fff;

fn bytes_of(element: Element, value: f64) -> Vec<u8> {
    match element {
        Element::F32 => (value as f32).to_le_bytes().to_vec(),
        Element::F16 => f16::from_f64(value).to_le_bytes().to_vec(),
        Element::F64 => value.to_le_bytes().to_vec(),
    }
}

fn value_of(element: Element, bytes: &[u8]) -> f64 {
    match element {
        Element::F32 => f32::from_le_bytes(bytes.try_into().unwrap()).into(),
        Element::F16 => f16::from_le_bytes(bytes.try_into().unwrap()).into(),
        Element::F64 => f64::from_le_bytes(bytes.try_into().unwrap()),
    }
}

/// A tensor in the middle of a buffer of NaNs.
struct Guarded {
    buffer: wgpu::Buffer,
    image: Vec<u8>,
    layout: TensorLayout,
    element: Element,
}

impl Guarded {
    fn new(gpu: &Gpu, layout: &TensorLayout, element: Element, values: Option<&ArrayD<f64>>) -> Self {
        let size = element.bytes() as usize;
        let payload = (layout.span as usize * size).next_multiple_of(4);
        let mut image: Vec<u8> = POISON.to_le_bytes().repeat((GUARD + payload + GUARD) / 4);
        if let Some(values) = values {
            for (index, &value) in values.indexed_iter() {
                let at = Self::at(layout, size, &index);
                image[at..at + size].copy_from_slice(&bytes_of(element, value));
            }
        }
        let buffer = gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some("guarded"),
            size: image.len() as u64,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        gpu.queue().write_buffer(&buffer, 0, &image);
        Self { buffer, image, layout: layout.clone(), element }
    }

    fn at(layout: &TensorLayout, size: usize, index: &IxDyn) -> usize {
        let steps = index.as_array_view();
        let offset: usize = steps.iter().zip(&layout.strides).map(|(&i, &s)| i * s as usize).sum();
        GUARD + offset * size
    }

    fn slice(&self) -> BufferSlice<'_> {
        BufferSlice { buffer: &self.buffer, offset: GUARD as u64 }
    }

    /// The elements; an error if anything but them has changed.
    fn result(&self, got: &[u8]) -> Result<ArrayD<f64>, String> {
        let size = self.element.bytes() as usize;
        let mut ours = vec![false; got.len()];
        let result = ArrayD::from_shape_fn(self.layout.shape(), |index| {
            let at = Self::at(&self.layout, size, &index);
            ours[at..at + size].fill(true);
            value_of(self.element, &got[at..at + size])
        });
        let touched = (0..got.len()).find(|&i| !ours[i] && got[i] != self.image[i]);
        match touched {
            // Whole words are bound, so the half word after an odd count of f16 may not change either.
            Some(i) => {
                Err(format!("byte {} relative to the result's binding was written", i as i64 - GUARD as i64))
            }
            None => Ok(result),
        }
    }
}

/// Submits `encoder`, waits, and gives the contents of every buffer.
fn submit_and_read(gpu: &Gpu, mut encoder: wgpu::CommandEncoder, tensors: &[&Guarded]) -> Vec<Vec<u8>> {
    let size = |tensor: &Guarded| tensor.image.len() as u64;
    let staging = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: Some("read back"),
        size: tensors.iter().map(|t| size(t)).sum(),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut at = 0;
    for tensor in tensors {
        encoder.copy_buffer_to_buffer(&tensor.buffer, 0, &staging, at, size(tensor));
        at += size(tensor);
    }
    gpu.queue().submit([encoder.finish()]);
    staging.map_async(wgpu::MapMode::Read, .., |mapped| mapped.expect("mapped"));
    gpu.device().poll(wgpu::PollType::wait_indefinitely()).expect("polled");
    let bytes = staging.slice(..).get_mapped_range().expect("a mapped range");
    let mut rest = &bytes[..];
    let mut take = |tensor: &&Guarded| rest.split_off(..tensor.image.len()).expect("all of them").to_vec();
    tensors.iter().map(&mut take).collect()
}

/// Weights prepared between guard bands, where the plan prepares any.
fn prepared_guarded(
    plan: &GpuPlan,
    encoder: &mut wgpu::CommandEncoder,
    weight: &Option<Guarded>,
) -> Result<Option<Guarded>, String> {
    let Some(weight) = weight.as_ref().filter(|_| !plan.choice().program.prepare.is_empty()) else {
        return Ok(None);
    };
    let words = usize::try_from(plan.prepared_bytes() / 4).map_err(|e| e.to_string())?;
    let layout = TensorLayout::new("prepared", &[words], &Default::default()).map_err(|e| e.to_string())?;
    let prepared = Guarded::new(plan.gpu(), &layout, Element::F32, None);
    let recorded = plan.encode_prepare(encoder, weight.slice(), prepared.slice());
    pollster::block_on(recorded).map_err(|e| e.to_string())?;
    Ok(Some(prepared))
}

/// One recorded run with every tensor between guard bands of NaNs, and the result and the workspace
/// full of them.
///
/// # Errors
///
/// A guard, a gap of the result's layout or an operand that was written.
pub fn run_guarded(plan: &GpuPlan, data: &Data) -> Result<ArrayD<f64>, String> {
    let gpu = plan.gpu();
    let problem = &plan.choice().problem;
    let element = problem.element();
    let guard =
        |layout: &TensorLayout, values: Option<&ArrayD<f64>>| Guarded::new(gpu, layout, element, values);
    let bias_layout = TensorLayout::new("bias", &[problem.bias_shape()], &Default::default()).unwrap();
    let direction = problem.direction();
    let reads = |role: Direction, layout, values| (direction != role).then(|| guard(layout, Some(values)));
    let input = reads(Direction::GradInput, problem.input(), &data.x);
    let weight = reads(Direction::GradWeight, problem.weight(), &data.w);
    let grad_output = reads(Direction::Forward, problem.output(), &data.grad_output);
    let bias = data.bias.as_ref().map(|b| guard(&bias_layout, Some(&b.clone().into_dyn())));
    let residual = data.residual.as_ref().map(|r| guard(problem.result(), Some(r)));
    let result = guard(problem.result(), None);
    let buffers = BufferOperands {
        input: input.as_ref().map(Guarded::slice),
        weight: weight.as_ref().map(Guarded::slice),
        grad_output: grad_output.as_ref().map(Guarded::slice),
        bias: bias.as_ref().map(Guarded::slice),
        residual: residual.as_ref().map(Guarded::slice),
        result: Some(result.slice()),
    };
    for buffer in plan.workspace() {
        gpu.queue().write_buffer(buffer, 0, &POISON.to_le_bytes().repeat(buffer.size() as usize / 4));
    }
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    let prepared = prepared_guarded(plan, &mut encoder, &weight)?;
    let weights = prepared.as_ref().or(weight.as_ref());
    let buffers = BufferOperands { weight: weights.map(Guarded::slice), ..buffers };
    pollster::block_on(plan.encode(&mut encoder, &buffers)).map_err(|e| e.to_string())?;
    let operands = [
        ("input", &input),
        ("weight", &weight),
        ("grad_output", &grad_output),
        ("bias", &bias),
        ("residual", &residual),
    ];
    let operands: Vec<_> =
        operands.iter().filter_map(|(what, tensor)| tensor.as_ref().map(|t| (what, t))).collect();
    let tensors: Vec<_> = operands.iter().map(|&(_, t)| t).chain([&result]).chain(&prepared).collect();
    let got = submit_and_read(gpu, encoder, &tensors);
    let y = result.result(&got[operands.len()])?;
    if let Some(prepared) = &prepared {
        prepared.result(&got[operands.len() + 1]).map_err(|e| format!("prepared: {e}"))?;
    }
    match operands.iter().zip(&got).find(|((_, operand), got)| operand.image != **got) {
        Some(((what, _), _)) => Err(format!("the {what} or its guards were written")),
        None => Ok(y),
    }
}
