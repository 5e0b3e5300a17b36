//! Runs a program launch by launch, as the library does, with kernels that tell which of their indices are past the end.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;

use ndarray::ArrayD;
use wgconv::internals::gpu::Gpu;
use wgconv::internals::kernel::{Kernel, Spec, compose};
use wgconv::internals::program::{Binding, Buffer, Launch, Program};
use wgconv::{ConvProblem, wgpu};

use super::device::{Tensors, poison};
use super::indices::{Site, WORDS, watched};
use wgconv_testing::values::Data;

/// An index past the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beyond {
    /// Of the launches that prepare weights and those of a run, in order.
    pub launch: usize,
    pub kernel: Kernel,
    pub spec: Spec,
    pub site: Site,
    /// How many invocations took one there, the largest, and how long the array is.
    pub invocations: u32,
    pub index: u32,
    pub length: u32,
}

impl fmt::Display for Beyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { launch, kernel, spec, site: Site { array, index: expression }, .. } = self;
        let Self { invocations, index, length, .. } = self;
        write!(f, "launch {launch}, {} ({spec}): {invocations} invocations take ", kernel.name())?;
        write!(f, "{array}[{expression}], at most {array}[{index}], of {length} elements")
    }
}

/// A kernel with its indices watched, ready to be launched.
struct Stage {
    pipeline: wgpu::ComputePipeline,
    sites: Vec<Site>,
}

/// In a kernel's source, what is replaced and by what.
pub type Change = (Kernel, &'static str, &'static str);

/// Runs programs on one device; a kernel is compiled once.
pub struct Watcher<'a> {
    gpu: &'a Gpu,
    stages: BTreeMap<(Kernel, Spec), Stage>,
    change: Option<Change>,
}

/// A buffer, and what of it is bound: first byte, bytes.
type Bound<'a> = (&'a wgpu::Buffer, u64, u64);

impl<'a> Watcher<'a> {
    /// Storage buffers that a device must have in a launch: two more than the kernels have.
    pub const STORAGE_BUFFERS: u32 = 10;

    pub fn new(gpu: &'a Gpu) -> Self {
        Self { gpu, stages: BTreeMap::new(), change: None }
    }

    /// With a kernel made wrong.
    pub fn with_change(gpu: &'a Gpu, change: Change) -> Self {
        Self { change: Some(change), ..Self::new(gpu) }
    }

    /// The kernels that were launched so far.
    pub fn kernels(&self) -> Vec<&(Kernel, Spec)> {
        self.stages.keys().collect()
    }

    /// The result of `program`, and the indices past the end. Every binding is of the size that the program says, tensors lie
    /// between guard bands, and the result and the workspace are full of NaNs before.
    ///
    /// # Errors
    ///
    /// What the device refuses, and a guard, a gap or an operand that was written.
    pub fn run(
        &mut self,
        program: &Program,
        problem: &ConvProblem,
        data: &Data,
    ) -> Result<(ArrayD<f64>, Vec<Beyond>), String> {
        let launches: Vec<&Launch> = program.prepare.iter().chain(&program.launches).collect();
        for launch in &launches {
            self.build(launch)?;
        }
        let gpu = self.gpu;
        let stage = |launch: &&Launch| &self.stages[&(launch.kernel, launch.spec.clone())];
        let stages: Vec<&Stage> = launches.iter().map(stage).collect();
        // What each launch notes has a range of its own.
        let alignment = u64::from(gpu.target().limits.offset_alignment);
        let size = |stage: &Stage| (stage.sites.len() * WORDS * 4) as u64;
        let step = stages.iter().map(|stage| size(stage)).max().unwrap_or(4).next_multiple_of(alignment);
        let beyond = buffer(gpu, "beyond", step * launches.len().max(1) as u64);
        let tensors = Tensors::new(gpu, problem, data, program.prepared);
        let params: Vec<_> = launches.iter().map(|l| filled(gpu, "params", l.params.bytes())).collect();
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
        let tables: Vec<_> = program.tables.iter().map(|t| filled(gpu, t.name, &words(&t.words))).collect();
        let workspace: Vec<_> =
            program.workspace.iter().map(|&size| buffer(gpu, "workspace", size)).collect();
        workspace.iter().for_each(|buffer| poison(gpu, buffer));
        let of = |binding: &Binding| {
            let (buffer, base) = match binding.buffer {
                Buffer::Table(i) => (&tables[i], 0),
                Buffer::Workspace(i) => (&workspace[i], 0),
                role => tensors.of(role).map(|s| (s.buffer, s.offset)).expect("an operand of the problem"),
            };
            (buffer, base + binding.offset, binding.size)
        };
        let scope = gpu.device().push_error_scope(wgpu::ErrorFilter::Validation);
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for (i, (launch, stage)) in launches.iter().zip(&stages).enumerate() {
            let mut bound: Vec<Bound<'_>> = vec![(&params[i], 0, params[i].size())];
            bound.extend(launch.bindings.iter().map(of));
            bound.push((&beyond, i as u64 * step, size(stage)));
            let [x, y, z] = launch.grid.0;
            pass.set_pipeline(&stage.pipeline);
            pass.set_bind_group(0, &group(gpu, &stage.pipeline, &bound), &[]);
            pass.dispatch_workgroups(x, y, z);
        }
        drop(pass);
        let got = tensors.result(gpu, encoder, Some(&beyond));
        if let Some(error) = pollster::block_on(scope.pop()) {
            return Err(error.to_string());
        }
        let (y, words) = got?;
        let mut found = Vec::new();
        let notes = words.chunks_exact((step / 4) as usize);
        for (launch, (stage, notes)) in stages.iter().zip(notes).enumerate() {
            let Launch { kernel, spec, .. } = launches[launch];
            for (site, note) in stage.sites.iter().zip(notes.chunks_exact(WORDS)) {
                let (kernel, spec, site) = (*kernel, spec.clone(), site.clone());
                let &[invocations, index, length] = note else { unreachable!("chunks of three") };
                if invocations > 0 {
                    found.push(Beyond { launch, kernel, spec, site, invocations, index, length });
                }
            }
        }
        Ok((y, found))
    }

    /// Compiles the kernel of a launch, with every check: what is past the end of anything else does no harm.
    fn build(&mut self, launch: &Launch) -> Result<(), String> {
        let key = (launch.kernel, launch.spec.clone());
        if self.stages.contains_key(&key) {
            return Ok(());
        }
        let mut source = compose(launch.kernel, &launch.spec).map_err(|e| e.to_string())?;
        if let Some((_, from, to)) = self.change.filter(|change| change.0 == launch.kernel) {
            assert!(source.contains(from), "{} has no {from:?}", launch.kernel.name());
            source = source.replace(from, to);
        }
        let count = launch.bindings.len();
        let source = watched(&source, count + 1);
        let device = self.gpu.device();
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let text = wgpu::ShaderSource::Wgsl(source.text.into());
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label: None, source: text });
        let entry = |(binding, written): (u32, bool)| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer {
                ty: wgpu::BufferBindingType::Storage { read_only: !written },
                has_dynamic_offset: false,
                min_binding_size: None,
            },
            count: None,
        };
        // The parameters, what is read, the result, what is noted.
        let written = (0..count + 2).map(|i| i >= count);
        let entries: Vec<_> = (0..).zip(written).map(entry).collect();
        let group = device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: None, entries: &entries });
        let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            bind_group_layouts: &[Some(&group)],
            ..Default::default()
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: None,
            layout: Some(&layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        if let Some(error) = pollster::block_on(scope.pop()) {
            return Err(format!("{} ({}): {error}", launch.kernel.name(), launch.spec));
        }
        self.stages.insert(key, Stage { pipeline, sites: source.sites });
        Ok(())
    }
}

fn group(gpu: &Gpu, pipeline: &wgpu::ComputePipeline, bound: &[Bound<'_>]) -> wgpu::BindGroup {
    let resource = |&(buffer, offset, size)| {
        let size = NonZeroU64::new(size);
        wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size })
    };
    let resources = bound.iter().map(resource);
    let entries = (0..).zip(resources).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource });
    gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &entries.collect::<Vec<_>>(),
    })
}

fn buffer(gpu: &Gpu, label: &str, size: u64) -> wgpu::Buffer {
    gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

fn filled(gpu: &Gpu, label: &str, bytes: &[u8]) -> wgpu::Buffer {
    let buffer = buffer(gpu, label, bytes.len() as u64);
    gpu.queue().write_buffer(&buffer, 0, bytes);
    buffer
}
