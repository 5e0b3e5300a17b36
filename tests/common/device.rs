//! The adapter under test, and runs on it with every binding inside guard bands.

use ndarray::{Array1, ArrayD, Dimension, IxDyn};
use wgconv::half::f16;
use wgconv::internals::gpu::{BufferOperands, BufferSlice, Gpu, GpuPlan};
use wgconv::internals::planner::Choice;
use wgconv::internals::program::Buffer;
use wgconv::internals::target::Target;
use wgconv::{Algorithm, ConvProblem, Direction, Element, TensorLayout, wgpu};

use wgconv_testing::Data;
pub use wgconv_testing::{any_gpu, own_gpu};

/// As `target`, with bindings of a third of the largest tensor, but of no less than what `algorithm` makes of the smallest
/// weights: a problem past them is cut into pieces.
pub fn with_small_bindings(target: &Target, problem: &ConvProblem, algorithm: Algorithm) -> Target {
    let mut target = target.clone();
    let spans = [problem.input(), problem.weight(), problem.output()].map(|tensor| tensor.span);
    let largest = spans.into_iter().max().unwrap_or(0) * 4;
    let packs = matches!(algorithm, Algorithm::ImplicitGemm | Algorithm::Im2colGemm);
    let least = if packs { 6 << 10 } else { 1 << 10 };
    target.limits.max_binding_bytes = (largest / 3).max(least).next_multiple_of(4);
    target
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
fn submit_and_read(gpu: &Gpu, mut encoder: wgpu::CommandEncoder, buffers: &[&wgpu::Buffer]) -> Vec<Vec<u8>> {
    let staging = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: Some("read back"),
        size: buffers.iter().map(|b| b.size()).sum(),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut at = 0;
    for buffer in buffers {
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, at, buffer.size());
        at += buffer.size();
    }
    gpu.queue().submit([encoder.finish()]);
    staging.map_async(wgpu::MapMode::Read, .., |mapped| mapped.expect("mapped"));
    gpu.device().poll(wgpu::PollType::wait_indefinitely()).expect("polled");
    let bytes = staging.slice(..).get_mapped_range().expect("a mapped range");
    let mut rest = &bytes[..];
    let mut take =
        |buffer: &&wgpu::Buffer| rest.split_off(..buffer.size() as usize).expect("all of them").to_vec();
    buffers.iter().map(&mut take).collect()
}

/// A problem's tensors, each between guard bands of NaNs; the result is full of them.
pub(super) struct Tensors {
    input: Option<Guarded>,
    weight: Option<Guarded>,
    grad_output: Option<Guarded>,
    bias: Option<Guarded>,
    residual: Option<Guarded>,
    result: Guarded,
    prepared: Option<Guarded>,
}

impl Tensors {
    /// With `prepared` bytes for prepared weights, where there are any.
    pub(super) fn new(gpu: &Gpu, problem: &ConvProblem, data: &Data, prepared: u64) -> Self {
        let element = problem.element();
        let guard =
            |layout: &TensorLayout, values: Option<&ArrayD<f64>>| Guarded::new(gpu, layout, element, values);
        let line = |what, len| TensorLayout::new(what, &[len], &Default::default()).expect("a line");
        let direction = problem.direction();
        let reads =
            |role: Direction, layout, values| (direction != role).then(|| guard(layout, Some(values)));
        let bias = |b: &Array1<f64>| guard(&line("bias", problem.bias_shape()), Some(&b.clone().into_dyn()));
        let words = usize::try_from(prepared / 4).expect("a number of words");
        Self {
            input: reads(Direction::GradInput, problem.input(), &data.x),
            weight: reads(Direction::GradWeight, problem.weight(), &data.w),
            grad_output: reads(Direction::Forward, problem.output(), &data.grad_output),
            bias: data.bias.as_ref().map(bias),
            residual: data.residual.as_ref().map(|r| guard(problem.result(), Some(r))),
            result: guard(problem.result(), None),
            prepared: (words > 0).then(|| Guarded::new(gpu, &line("prepared", words), Element::F32, None)),
        }
    }

    /// The one in this role.
    pub(super) fn of(&self, role: Buffer) -> Option<BufferSlice<'_>> {
        let tensor = match role {
            Buffer::Input => self.input.as_ref(),
            Buffer::Weight => self.weight.as_ref(),
            Buffer::GradOutput => self.grad_output.as_ref(),
            Buffer::Bias => self.bias.as_ref(),
            Buffer::Residual => self.residual.as_ref(),
            Buffer::Prepared => self.prepared.as_ref(),
            Buffer::Result => Some(&self.result),
            Buffer::Table(_) | Buffer::Workspace(_) => None,
        };
        tensor.map(Guarded::slice)
    }

    /// Submits `encoder` and gives the result, and what is then in the words of `more`.
    ///
    /// # Errors
    ///
    /// A guard, a gap of the result's layout or an operand that was written.
    pub(super) fn result(
        &self,
        gpu: &Gpu,
        encoder: wgpu::CommandEncoder,
        more: Option<&wgpu::Buffer>,
    ) -> Result<(ArrayD<f64>, Vec<u32>), String> {
        let operands = [
            ("input", &self.input),
            ("weight", &self.weight),
            ("grad_output", &self.grad_output),
            ("bias", &self.bias),
            ("residual", &self.residual),
        ];
        let operands: Vec<_> =
            operands.iter().filter_map(|(what, tensor)| tensor.as_ref().map(|t| (what, t))).collect();
        let tensors: Vec<_> =
            operands.iter().map(|&(_, t)| t).chain([&self.result]).chain(&self.prepared).collect();
        let buffers: Vec<_> = tensors.iter().map(|t| &t.buffer).chain(more).collect();
        let mut got = submit_and_read(gpu, encoder, &buffers);
        let words = more.and_then(|_| got.pop()).unwrap_or_default();
        let y = self.result.result(&got[operands.len()])?;
        if let Some(prepared) = &self.prepared {
            prepared.result(&got[operands.len() + 1]).map_err(|e| format!("prepared: {e}"))?;
        }
        match operands.iter().zip(&got).find(|((_, operand), got)| operand.image != **got) {
            Some(((what, _), _)) => Err(format!("the {what} or its guards were written")),
            None => {
                let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
                Ok((y, words.chunks_exact(4).map(word).collect()))
            }
        }
    }
}

/// One recorded run with every tensor between guard bands of NaNs, and the result and the workspace
/// full of them.
///
/// # Errors
///
/// A guard, a gap of the result's layout or an operand that was written.
pub fn run_guarded(plan: &GpuPlan, data: &Data) -> Result<ArrayD<f64>, String> {
    run_and_read(plan, data, None).map(|(y, _)| y)
}

/// The same, with the numbers that the run leaves in one of the plan's scratch buffers.
///
/// # Errors
///
/// As [`run_guarded`].
pub fn run_and_read(
    plan: &GpuPlan,
    data: &Data,
    scratch: Option<usize>,
) -> Result<(ArrayD<f64>, Vec<f32>), String> {
    let gpu = plan.gpu();
    let Choice { problem, program, .. } = plan.choice();
    let prepares = !program.prepare.is_empty();
    let tensors = Tensors::new(gpu, problem, data, if prepares { plan.prepared_bytes() } else { 0 });
    for buffer in plan.workspace() {
        poison(gpu, buffer);
    }
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    let weight = tensors.of(Buffer::Weight);
    let prepared = tensors.of(Buffer::Prepared);
    if let (Some(weight), Some(prepared)) = (weight, prepared) {
        let recorded = plan.encode_prepare(&mut encoder, weight, prepared);
        pollster::block_on(recorded).map_err(|e| e.to_string())?;
    }
    let buffers = BufferOperands {
        input: tensors.of(Buffer::Input),
        weight: if prepared.is_some() { None } else { weight },
        prepared,
        grad_output: tensors.of(Buffer::GradOutput),
        bias: tensors.of(Buffer::Bias),
        residual: tensors.of(Buffer::Residual),
        result: tensors.of(Buffer::Result),
    };
    pollster::block_on(plan.encode(&mut encoder, &buffers)).map_err(|e| e.to_string())?;
    let (y, words) = tensors.result(gpu, encoder, scratch.map(|index| &plan.workspace()[index]))?;
    Ok((y, words.into_iter().map(f32::from_bits).collect()))
}

/// Fills a buffer with NaNs.
pub(super) fn poison(gpu: &Gpu, buffer: &wgpu::Buffer) {
    gpu.queue().write_buffer(buffer, 0, &POISON.to_le_bytes().repeat(buffer.size() as usize / 4));
}
