//! The adapter under test, and runs on it with every binding inside guard bands.

use std::sync::OnceLock;

use ndarray::{ArrayD, Dimension, IxDyn};
use wgconv::gpu::{BufferOperands, BufferSlice, Gpu, GpuPlan};
use wgconv::half::f16;
use wgconv::{Device, DeviceChoice, Direction, Element, TensorLayout, wgpu};

use super::report::report;
use super::values::Data;

/// The adapter that `WGPU_ADAPTER_NAME` names, else the best there is, software adapters included.
/// Opened anew for every test binary; `None`, said loudly, where there is no adapter, unless
/// `WGCONV_REQUIRE_GPU` is set.
pub fn any_gpu() -> Option<Device> {
    static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
    let open = || {
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

    fn read(&self, gpu: &Gpu) -> Vec<u8> {
        let size = self.image.len() as u64;
        let staging = gpu.device().create_buffer(&wgpu::BufferDescriptor {
            label: Some("read back"),
            size,
            usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        encoder.copy_buffer_to_buffer(&self.buffer, 0, &staging, 0, size);
        gpu.queue().submit([encoder.finish()]);
        staging.map_async(wgpu::MapMode::Read, .., |mapped| mapped.expect("mapped"));
        gpu.device().poll(wgpu::PollType::wait_indefinitely()).expect("polled");
        staging.slice(..).get_mapped_range().expect("a mapped range").to_vec()
    }

    /// The elements; an error if anything but them has changed.
    fn result(&self, gpu: &Gpu) -> Result<ArrayD<f64>, String> {
        let got = self.read(gpu);
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

    fn unchanged(&self, gpu: &Gpu) -> bool {
        self.read(gpu) == self.image
    }
}

/// One recorded run with every tensor between guard bands of NaNs and the result full of them.
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
    let operands = BufferOperands {
        input: input.as_ref().map(Guarded::slice),
        weight: weight.as_ref().map(Guarded::slice),
        grad_output: grad_output.as_ref().map(Guarded::slice),
        bias: bias.as_ref().map(Guarded::slice),
        residual: residual.as_ref().map(Guarded::slice),
        result: Some(result.slice()),
    };
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    pollster::block_on(plan.encode(&mut encoder, &operands)).map_err(|e| e.to_string())?;
    gpu.queue().submit([encoder.finish()]);
    let y = result.result(gpu)?;
    let operands = [
        ("input", input),
        ("weight", weight),
        ("grad_output", grad_output),
        ("bias", bias),
        ("residual", residual),
    ];
    for (what, operand) in operands {
        if operand.is_some_and(|operand| !operand.unchanged(gpu)) {
            return Err(format!("the {what} was written"));
        }
    }
    Ok(y)
}
