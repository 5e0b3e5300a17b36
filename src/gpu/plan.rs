//! A choice on one device: pipelines built, tables and parameters uploaded, ready to run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytemuck::Pod;
use ndarray::ArrayViewD;

use super::timing::Stopwatch;
use super::{BufferOperands, BufferSlice, Gpu, GpuError, GpuTensor, Waiting, scoped};
use crate::planner::{Choice, PlanOptions};
use crate::problem::{Element, PerRole, TensorLayout};
use crate::program::Launch;

/// A convolution ready to run on one GPU. Cloning shares it.
#[derive(Clone)]
pub struct GpuPlan(Arc<Ready>);

pub(super) struct Ready {
    gpu: Gpu,
    choice: Choice,
    id: u64,
    timeout: Duration,
    /// One per launch of the program's `prepare` and of its `launches`.
    pub(super) prepare: Vec<Stage>,
    pub(super) stages: Vec<Stage>,
    pub(super) tables: Vec<wgpu::Buffer>,
    pub(super) workspace: Vec<wgpu::Buffer>,
}

/// What one launch needs beside its operands.
#[derive(Clone)]
pub(super) struct Stage {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) params: wgpu::Buffer,
}

impl std::fmt::Debug for GpuPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GpuPlan").field("gpu", self.gpu()).field("choice", self.choice()).finish()
    }
}

/// Weights as one plan wants them on its device.
#[derive(Clone, Debug)]
pub struct GpuWeights {
    tensor: GpuTensor,
    plan: u64,
}

impl GpuWeights {
    pub(crate) fn tensor(&self) -> &GpuTensor {
        &self.tensor
    }

    /// Whether `plan` made them.
    pub(crate) fn are_of(&self, plan: &GpuPlan) -> bool {
        self.plan == plan.0.id
    }
}

impl GpuPlan {
    /// Builds what `choice` needs on `gpu`.
    ///
    /// # Errors
    ///
    /// What the device refuses; see [`GpuError`].
    pub async fn new(gpu: &Gpu, choice: Choice, options: &PlanOptions) -> Result<Self, GpuError> {
        static PLANS: AtomicU64 = AtomicU64::new(0);
        let program = &choice.program;
        let prepare = stages(gpu, &program.prepare, options).await?;
        let stages = stages(gpu, &program.launches, options).await?;
        let (mut tables, mut workspace) = (vec![], vec![]);
        for table in &program.tables {
            let words = bytemuck::cast_slice(&table.words);
            tables.push(gpu.constant(table.name, wgpu::BufferUsages::STORAGE, words).await?);
        }
        for &size in &program.workspace {
            let descriptor = wgpu::BufferDescriptor {
                label: Some("workspace"),
                size,
                // Tests copy into it and from it.
                usage: wgpu::BufferUsages::STORAGE
                    | wgpu::BufferUsages::COPY_DST
                    | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            };
            let what = || format!("a workspace of {size} bytes");
            workspace.push(scoped(gpu, what, || gpu.device().create_buffer(&descriptor)).await?);
        }
        let (gpu, id) = (gpu.clone(), PLANS.fetch_add(1, Ordering::Relaxed));
        let timeout = options.timeout;
        Ok(Self(Arc::new(Ready { gpu, choice, id, timeout, prepare, stages, tables, workspace })))
    }

    pub(super) fn ready(&self) -> &Ready {
        &self.0
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.0.gpu
    }

    /// What was chosen.
    pub fn choice(&self) -> &Choice {
        &self.0.choice
    }

    /// Scratch buffers, which a test fills with NaNs, as nothing may be read before it is written, and reads.
    #[doc(hidden)]
    pub fn workspace(&self) -> &[wgpu::Buffer] {
        &self.0.workspace
    }

    /// Longest wait for the device.
    pub(crate) fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// Uploads the weights in the plan's layout and prepares them.
    pub(crate) async fn prepare<T: Pod + PartialEq>(
        &self,
        weight: ArrayViewD<'_, T>,
    ) -> Result<GpuWeights, GpuError> {
        let problem = &self.choice().problem;
        let tensor = self.gpu().upload("weight", weight, problem.weight(), problem.element()).await?;
        self.prepare_tensor(tensor).await
    }

    /// Weights that are on the device in the plan's layout already.
    pub(crate) async fn prepare_tensor(&self, weight: GpuTensor) -> Result<GpuWeights, GpuError> {
        let plan = self.0.id;
        if self.choice().program.prepare.is_empty() {
            return Ok(GpuWeights { tensor: weight, plan });
        }
        let gpu = self.gpu();
        let words = self.prepared_bytes() / 4;
        let layout = TensorLayout { extents: vec![words], strides: vec![1], span: words, first: 0 };
        let tensor = gpu.tensor(&layout, Element::F32).await?;
        let create = || gpu.device().create_command_encoder(&Default::default());
        let mut encoder = scoped(gpu, || "a command encoder".to_owned(), create).await?;
        self.record_prepare(&mut encoder, weight.buffer().into(), tensor.buffer().into()).await?;
        let submit = || gpu.queue().submit([encoder.finish()]);
        scoped(gpu, || "preparing weights".to_owned(), submit).await?;
        Ok(GpuWeights { tensor, plan })
    }

    /// Bytes of prepared weights: what [`Self::encode_prepare`] writes and [`Self::encode`] reads as its weight.
    pub fn prepared_bytes(&self) -> u64 {
        let Choice { problem, program, .. } = self.choice();
        if program.prepare.is_empty() { self.bytes_of(problem.weight()) } else { program.prepared }
    }

    /// Bytes of an operand in the plan's layout: whole words.
    pub(super) fn bytes_of(&self, tensor: &TensorLayout) -> u64 {
        (tensor.span * self.choice().problem.element().bytes()).next_multiple_of(4)
    }

    /// Submits one run on operands in the plan's layouts, of which the weights are prepared; the result may still be under way when this returns. With `timed`, waits and
    /// adds the time on the device's clock, where it has one.
    pub(crate) async fn run(
        &self,
        operands: &PerRole<Option<GpuTensor>>,
        timed: bool,
        waiting: Waiting,
    ) -> Result<(GpuTensor, Option<Duration>), GpuError> {
        let gpu = self.gpu();
        let problem = &self.choice().problem;
        let result = gpu.tensor(problem.result(), problem.element()).await?;
        let PerRole { input, weight, grad_output, bias, residual } =
            operands.map(|tensor| tensor.as_ref().map(|tensor| BufferSlice::from(tensor.buffer())));
        let buffers = BufferOperands {
            input,
            weight: None,
            prepared: weight,
            grad_output,
            bias,
            residual,
            result: Some(result.buffer().into()),
        };
        let stopwatch = if timed { Stopwatch::new(gpu).await? } else { None };
        let create = || gpu.device().create_command_encoder(&Default::default());
        let mut encoder = scoped(gpu, || "a command encoder".to_owned(), create).await?;
        self.record(&mut encoder, &buffers, stopwatch.as_ref().map(Stopwatch::writes)).await?;
        if let Some(stopwatch) = &stopwatch {
            stopwatch.resolve(&mut encoder);
        }
        let submit = || gpu.queue().submit([encoder.finish()]);
        let submission = scoped(gpu, || "running a plan".to_owned(), submit).await?;
        let took = match &stopwatch {
            Some(stopwatch) => Some(stopwatch.read(gpu, self.timeout(), waiting).await?),
            None if timed => {
                gpu.wait(submission, self.timeout(), waiting)?;
                None
            }
            None => None,
        };
        // Lets our own device free what finished work held.
        gpu.poll_own();
        Ok((result, took))
    }
}

/// Pipelines and uniform blocks of launches.
pub(super) async fn stages(
    gpu: &Gpu,
    launches: &[Launch],
    options: &PlanOptions,
) -> Result<Vec<Stage>, GpuError> {
    let mut stages = Vec::new();
    for launch in launches {
        let (kernel, spec) = (launch.kernel, &launch.spec);
        stages.push(Stage {
            pipeline: gpu.pipeline(kernel, spec, launch.bindings.len(), options.checked).await?,
            params: gpu.constant("params", gpu.params_usage(), launch.params.bytes()).await?,
        });
    }
    Ok(stages)
}
