//! One complex transform on one wgpu device by two: by the crate vkfft-rs, whose plans become SPIR-V here, and by our
//! `fft_forward` kernel alone, as every convolution by spectra begins.

use std::error::Error;
use std::time::{Duration, Instant};

use vkfft_rs::backend::vulkan::VulkanGlslBackend;
use vkfft_rs::{
    Backend, BufferAccess, DeviceProfile, Direction, FftConfig, GpuVendor, ProgramResourceInitialization,
    ProgramResourceKind, ScalarType, TransformIr,
};
use wgconv::internals::gpu::Gpu;
use wgconv::internals::kernel::fft::{Block, FftForwardParams};
use wgconv::internals::kernel::{Kernel, Spec, compose};
use wgconv::wgpu::{self, BufferUsages};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A complex number.
pub type Complex = [f32; 2];

/// Dispatches that transform what lies in one buffer.
pub struct Transform {
    passes: Vec<Pass>,
    input: wgpu::Buffer,
    output: wgpu::Buffer,
}

impl Transform {
    /// How many dispatches it takes.
    pub fn passes(&self) -> usize {
        self.passes.len()
    }

    /// Transforms `values`, laid out as the kernels read them.
    pub fn run(&self, gpu: &Gpu, values: &[f32]) -> Result<Vec<f32>> {
        gpu.queue().write_buffer(&self.input, 0, &bytes(values));
        let readable = buffer(gpu, self.output.size(), BufferUsages::MAP_READ | BufferUsages::COPY_DST);
        let validation = gpu.device().push_error_scope(wgpu::ErrorFilter::Validation);
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        self.record(&mut encoder, 1);
        encoder.copy_buffer_to_buffer(&self.output, 0, &readable, 0, readable.size());
        gpu.queue().submit([encoder.finish()]);
        none(validation)?;
        readable.map_async(wgpu::MapMode::Read, .., drop);
        gpu.device().poll(wgpu::PollType::wait_indefinitely())?;
        let read = readable.slice(..).get_mapped_range()?.to_vec();
        Ok(read.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }

    /// The time of one of `times` transforms in a row, on the host's clock.
    pub fn time(&self, gpu: &Gpu, times: u32) -> Result<Duration> {
        let validation = gpu.device().push_error_scope(wgpu::ErrorFilter::Validation);
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        self.record(&mut encoder, times);
        let start = Instant::now();
        gpu.queue().submit([encoder.finish()]);
        gpu.device().poll(wgpu::PollType::wait_indefinitely())?;
        let elapsed = start.elapsed();
        // What is not valid does not run, and is very fast.
        none(validation)?;
        Ok(elapsed / times)
    }

    fn record(&self, encoder: &mut wgpu::CommandEncoder, times: u32) {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for (pipeline, group, [x, y, z]) in (0..times).flat_map(|_| &self.passes) {
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, group, &[]);
            pass.dispatch_workgroups(*x, *y, *z);
        }
    }
}

/// `batch` forward transforms of `extents` (the innermost axis last), by vkfft-rs: values are complex numbers in a row.
pub fn vkfft(gpu: &Gpu, extents: &[u32], batch: u32) -> Result<Transform> {
    let extents: Vec<usize> = extents.iter().map(|&n| n as usize).collect();
    let limits = gpu.device().limits();
    let profile = DeviceProfile {
        shared_memory_bytes: limits.max_compute_workgroup_storage_size as usize,
        ..DeviceProfile::generic(Backend::Vulkan, vendor(gpu))
    };
    let config = FftConfig::new(extents).with_batch_count(batch as usize);
    let ir = TransformIr::build(config, Direction::Forward, profile)?;
    let (program, shaders) = (ir.program_ir()?, VulkanGlslBackend.lower_transform(&ir)?);
    let (mut input, mut output, mut buffers) = (None, None, Vec::new());
    for resource in &program.resources {
        if resource.scalar != ScalarType::F32 {
            return Err(format!("vkfft-rs: {} is {:?}", resource.name, resource.scalar).into());
        }
        let size = (resource.elements * resource.element_bytes()) as u64;
        let made = buffer(gpu, size, USAGE);
        match &resource.initialization {
            ProgramResourceInitialization::ExternalInput | ProgramResourceInitialization::Zeroed => {}
            ProgramResourceInitialization::Complex64(values) => {
                let values: Vec<f32> = values.iter().flat_map(|v| [v.re as f32, v.im as f32]).collect();
                gpu.queue().write_buffer(&made, 0, &bytes(&values));
            }
            other => return Err(format!("vkfft-rs: {} begins as {other:?}", resource.name).into()),
        }
        match resource.kind {
            ProgramResourceKind::Input => input = Some(made.clone()),
            ProgramResourceKind::Output => output = Some(made.clone()),
            _ => {}
        }
        buffers.push((resource.id, made));
    }
    let mut passes = Vec::new();
    for (pass, shader) in program.passes.iter().zip(shaders) {
        let mut bound = Vec::new();
        for binding in &pass.bindings {
            let found = buffers.iter().find(|(id, _)| *id == binding.resource).ok_or("an unknown buffer")?;
            let kind =
                wgpu::BufferBindingType::Storage { read_only: binding.access == BufferAccess::ReadOnly };
            bound.push((binding.binding, kind, &found.1));
        }
        let words = shader.compile_spirv()?.words;
        let source = wgpu::ShaderSource::SpirV(words.into());
        let grid = [pass.dispatch.x, pass.dispatch.y, pass.dispatch.z];
        let most = limits.max_compute_workgroups_per_dimension;
        if grid.iter().any(|&n| n > most) {
            return Err(format!("{grid:?} workgroups for {}, at most {most} on an axis", pass.name).into());
        }
        passes.push(built(gpu, source, &bound, grid)?);
    }
    Ok(Transform { passes, input: input.ok_or("no input")?, output: output.ok_or("no output")? })
}

fn vendor(gpu: &Gpu) -> GpuVendor {
    let name = gpu.report().name.to_lowercase();
    let known = [("nvidia", GpuVendor::Nvidia), ("amd", GpuVendor::Amd), ("intel", GpuVendor::Intel)];
    known.into_iter().find(|(part, _)| name.contains(part)).map_or(GpuVendor::Other(0), |(_, vendor)| vendor)
}

/// The same by our kernel: values are the real parts of the first transform, its imaginary parts, and so on; see [`ours_of`] and
/// [`spectra_of`].
pub fn ours(gpu: &Gpu, block: Block, batch: u32) -> Result<Transform> {
    let ([z, y, x], points) = (block.0, block.points());
    let bins = bins(block);
    let groups = batch.div_ceil(block.pairs());
    let params = FftForwardParams {
        extent: [z, y, x, 0],
        step: [1, 1, 1, 0],
        limit: [z, y, x, 0],
        stride: [y * x, x, 1, 0],
        outer: [1; 4],
        tiles: [1; 4],
        // One is summed over; the real parts are a column, the imaginary ones the next.
        matrix: [1, batch, 2 * batch, bins.len() as u32],
        chunk: [0, 0, 1, 1],
        counts: [groups, groups, batch, 0],
        base: [0, 0, points, 0],
        ..Default::default()
    };
    let params = [
        params.extent,
        params.step,
        params.begin,
        params.hop,
        params.limit,
        params.stride,
        params.outer,
        params.tiles,
        params.matrix,
        params.chunk,
        params.counts,
        params.base,
    ];
    let filled = |words: &[u32], usage| {
        let made = buffer(gpu, 4 * words.len() as u64, usage | BufferUsages::COPY_DST);
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        gpu.queue().write_buffer(&made, 0, &bytes);
        made
    };
    let uniform = filled(&params.concat(), BufferUsages::UNIFORM);
    let frequencies = bins.iter().flat_map(|&(own, other)| [own, other]);
    let table = filled(&frequencies.chain(block.roots()).collect::<Vec<_>>(), BufferUsages::STORAGE);
    let input = buffer(gpu, 8 * u64::from(points * batch), USAGE);
    let output = buffer(gpu, 16 * bins.len() as u64 * u64::from(batch), USAGE);
    let read = wgpu::BufferBindingType::Storage { read_only: true };
    let bound = [
        (0, wgpu::BufferBindingType::Uniform, &uniform),
        (1, read, &input),
        (2, read, &table),
        (3, wgpu::BufferBindingType::Storage { read_only: false }, &output),
    ];
    let text = compose(Kernel::FftForward, &Spec::from(block))?;
    let pass = built(gpu, wgpu::ShaderSource::Wgsl(text.into()), &bound, [groups, 1, 1])?;
    Ok(Transform { passes: vec![pass], input, output })
}

/// Values for our kernel.
pub fn ours_of(block: Block, values: &[Complex]) -> Vec<f32> {
    let of = |one: &[Complex]| [0, 1].map(|part| one.iter().map(|v| v[part]).collect::<Vec<_>>()).concat();
    values.chunks(block.points() as usize).flat_map(of).collect()
}

/// The spectra of complex numbers from what our kernel makes of them: at every bin twice the spectra of the real parts and of
/// the imaginary parts.
pub fn spectra_of(block: Block, made: &[f32]) -> Vec<Complex> {
    let bins = bins(block);
    let (points, batch) = (block.points() as usize, made.len() / 4 / bins.len());
    let mut spectra = vec![[f32::NAN; 2]; points * batch];
    for (h, &(own, other)) in bins.iter().enumerate() {
        for one in 0..batch {
            let at = 4 * (h * batch + one);
            let (re, im) = ([made[at], made[at + 1]], [made[at + 2], made[at + 3]]);
            spectra[one * points + other as usize] = [(re[0] + im[1]) / 2.0, (im[0] - re[1]) / 2.0];
            spectra[one * points + own as usize] = [(re[0] - im[1]) / 2.0, (re[1] + im[0]) / 2.0];
        }
    }
    spectra
}

/// Of every frequency and its negative the first in the row, and the other.
fn bins(block: Block) -> Vec<(u32, u32)> {
    let [z, y, x] = block.0;
    let negative = |at: u32| {
        let [k, i, j] = [at / (y * x), at / x % y, at % x];
        ((z - k) % z * y + (y - i) % y) * x + (x - j) % x
    };
    (0..block.points()).map(|own| (own, negative(own))).filter(|(own, other)| own <= other).collect()
}

const USAGE: BufferUsages = BufferUsages::STORAGE.union(BufferUsages::COPY_DST).union(BufferUsages::COPY_SRC);

fn buffer(gpu: &Gpu, size: u64, usage: BufferUsages) -> wgpu::Buffer {
    let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
    gpu.device().create_buffer(&descriptor)
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A dispatch: its pipeline, its bindings, and workgroups along each axis.
type Pass = (wgpu::ComputePipeline, wgpu::BindGroup, [u32; 3]);

fn built(
    gpu: &Gpu,
    source: wgpu::ShaderSource<'_>,
    bound: &[(u32, wgpu::BufferBindingType, &wgpu::Buffer)],
    grid: [u32; 3],
) -> Result<Pass> {
    let device = gpu.device();
    let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let entries: Vec<_> = bound
        .iter()
        .map(|&(binding, ty, _)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        })
        .collect();
    let layout =
        device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
    let entries: Vec<_> = bound
        .iter()
        .map(|&(binding, _, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
        .collect();
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &layout,
        entries: &entries,
    });
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: Some(&device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: None,
            bind_group_layouts: &[Some(&layout)],
            ..Default::default()
        })),
        module: &module,
        entry_point: None,
        compilation_options: Default::default(),
        cache: None,
    });
    none(validation)?;
    Ok((pipeline, group, grid))
}

/// The first error since the scope was opened.
fn none(scope: wgpu::ErrorScopeGuard) -> Result<()> {
    pollster::block_on(scope.pop()).map_or(Ok(()), |e| Err(e.into()))
}
