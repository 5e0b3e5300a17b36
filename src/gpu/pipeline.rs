//! Compute pipelines, built once per kernel, spec and check level.

use std::collections::HashMap;
use std::sync::Mutex;

use super::{Gpu, GpuError, locked, scoped, trusted};
use crate::kernel::{Kernel, Spec, compose};

/// What a pipeline is built from.
pub(super) type PipelineKey = (Kernel, Spec, bool);

/// The pipelines of a device, by what they were built from.
pub(super) struct Pipelines(pub(super) Mutex<HashMap<PipelineKey, wgpu::ComputePipeline>>);

impl Gpu {
    /// The pipeline of `kernel` with `spec`; `bindings` storage buffers follow the uniform block, the
    /// last one written.
    pub(super) async fn pipeline(
        &self,
        kernel: Kernel,
        spec: &Spec,
        bindings: usize,
        checked: bool,
    ) -> Result<wgpu::ComputePipeline, GpuError> {
        let key = (kernel, spec.clone(), checked);
        if let Some(found) = locked(&self.0.pipelines.0).get(&key) {
            return Ok(found.clone());
        }
        // Built outside the lock: two threads may build the same one, and one of the two is kept.
        let mut wgsl = compose(kernel, spec).map_err(|e| GpuError::Refused {
            what: format!("the kernel {}", kernel.name()),
            reason: e.to_string(),
        })?;
        if self.stores_params() {
            wgsl = wgsl.replace("var<uniform>", "var<storage, read>");
        }
        let label = format!("wgconv {} {spec}", kernel.name());
        let made = scoped(self, || label.clone(), || self.build(&label, wgsl, bindings, checked)).await?;
        Ok(locked(&self.0.pipelines.0).entry(key).or_insert(made).clone())
    }

    /// Whether the parameters of a launch lie in a storage buffer rather than a uniform one. Mesa's software adapter compiles a
    /// kernel anew, for one to five seconds, whenever a uniform that a loop or a branch depends on has another value. A block
    /// that is laid out for uniforms is laid out for storage too.
    fn stores_params(&self) -> bool {
        // One more than the eight that kernels have at most.
        self.0.report.driver.starts_with("llvmpipe") && self.0.target.limits.max_storage_buffers > 8
    }

    /// What the buffer of a launch's parameters is made for.
    pub(super) fn params_usage(&self) -> wgpu::BufferUsages {
        if self.stores_params() { wgpu::BufferUsages::STORAGE } else { wgpu::BufferUsages::UNIFORM }
    }

    fn build(&self, label: &str, wgsl: String, bindings: usize, checked: bool) -> wgpu::ComputePipeline {
        let device = &self.0.device;
        let module = trusted::module(device, label, wgsl, checked);
        let entry = |binding: usize, ty| wgpu::BindGroupLayoutEntry {
            #[allow(clippy::cast_possible_truncation, reason = "at most eight storage buffers")]
            binding: binding as u32,
            visibility: wgpu::ShaderStages::COMPUTE,
            ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
            count: None,
        };
        let storage = |i| entry(i, wgpu::BufferBindingType::Storage { read_only: i != bindings });
        let params =
            if self.stores_params() { storage(0) } else { entry(0, wgpu::BufferBindingType::Uniform) };
        let entries: Vec<_> = std::iter::once(params).chain((1..=bindings).map(storage)).collect();
        let group = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(label),
            entries: &entries,
        });
        let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(label),
            bind_group_layouts: &[Some(&group)],
            ..Default::default()
        });
        device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(label),
            layout: Some(&layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &[],
                // Kernels write every workgroup slot before they read it; the checked build does not rely on it.
                zero_initialize_workgroup_memory: checked,
            },
            cache: None,
        })
    }
}
