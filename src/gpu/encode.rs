//! A program in an encoder: every slice checked against the layout it stands for.

use super::plan::{GpuPlan, Stage};
use super::{Gpu, GpuError, SliceProblem, scoped};
use crate::planner::Choice;
use crate::problem::{Direction, PerRole, Role};
use crate::program::{Buffer, Launch};

/// A range of a wgpu buffer.
#[derive(Clone, Copy, Debug)]
pub struct BufferSlice<'a> {
    /// Made with `BufferUsages::STORAGE`.
    pub buffer: &'a wgpu::Buffer,
    /// First byte; a multiple of the device's `min_storage_buffer_offset_alignment`.
    pub offset: u64,
}

impl<'a> From<&'a wgpu::Buffer> for BufferSlice<'a> {
    /// All of the buffer.
    fn from(buffer: &'a wgpu::Buffer) -> Self {
        Self { buffer, offset: 0 }
    }
}

/// Operands and result of one recorded run, each in the plan's layout of that tensor.
#[derive(Clone, Copy, Debug, Default)]
pub struct BufferOperands<'a> {
    /// `x`
    pub input: Option<BufferSlice<'a>>,
    /// `w`, for a plan that reads weights as they are: `encode` refuses it where the plan packs or transforms them first.
    pub weight: Option<BufferSlice<'a>>,
    /// What `encode_prepare` made of `w`: in place of [`Self::weight`], for every plan.
    pub prepared: Option<BufferSlice<'a>>,
    /// The gradient of `y`.
    pub grad_output: Option<BufferSlice<'a>>,
    /// One number per channel of the result.
    pub bias: Option<BufferSlice<'a>>,
    /// Added to the result.
    pub residual: Option<BufferSlice<'a>>,
    /// Where the result goes.
    pub result: Option<BufferSlice<'a>>,
}

impl<'a> BufferOperands<'a> {
    fn by_role(&self) -> PerRole<Option<BufferSlice<'a>>> {
        let &Self { input, weight, prepared, grad_output, bias, residual, .. } = self;
        PerRole { input, weight: prepared.or(weight), grad_output, bias, residual }
    }

    fn of(&self, buffer: Buffer) -> Option<BufferSlice<'a>> {
        let role = match buffer {
            Buffer::Input => Role::Input,
            Buffer::Weight | Buffer::Prepared => Role::Weight,
            Buffer::GradOutput => Role::GradOutput,
            Buffer::Bias => Role::Bias,
            Buffer::Residual => Role::Residual,
            Buffer::Result => return self.result,
            Buffer::Table(_) | Buffer::Workspace(_) => return None,
        };
        self.by_role()[role]
    }
}

/// The bindings of a launch as buffers: `(buffer, first byte, bytes)`.
pub(super) type Bound<'a> = Vec<(&'a wgpu::Buffer, u64, u64)>;

impl GpuPlan {
    /// Records one run into `encoder`. Nothing is submitted, no callback is set; the buffers may
    /// belong to the app.
    ///
    /// # Errors
    ///
    /// [`GpuError::Slice`] for a slice that is missing, superfluous, misaligned, too small, without
    /// `BufferUsages::STORAGE`, or the result's and an operand's at once.
    pub async fn encode(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        operands: &BufferOperands<'_>,
    ) -> Result<(), GpuError> {
        self.check(operands)?;
        self.record(encoder, operands, None).await
    }

    /// Records what brings weights, in the plan's layout, into the form that [`Self::encode`] reads: once for all
    /// runs with them. `prepared` holds [`Self::prepared_bytes`]. A plan that uses weights as they are copies them;
    /// its `weight` needs `BufferUsages::COPY_SRC` and `prepared` needs `COPY_DST`, else both need `STORAGE`.
    ///
    /// # Errors
    ///
    /// [`GpuError::Slice`] as for [`Self::encode`], and for the gradient of the weight, which has none.
    pub async fn encode_prepare(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        weight: BufferSlice<'_>,
        prepared: BufferSlice<'_>,
    ) -> Result<(), GpuError> {
        let Choice { problem, program, .. } = self.choice();
        let bytes = self.bytes_of(problem.weight());
        let fault = |role| move |problem| GpuError::Slice { role, problem };
        if problem.direction() == Direction::GradWeight {
            return Err(fault("weight")(SliceProblem::Presence { wanted: false }));
        }
        if weight.buffer == prepared.buffer {
            return Err(fault("prepared")(SliceProblem::Aliased));
        }
        let (from, to) = match program.prepare.is_empty() {
            true => (wgpu::BufferUsages::COPY_SRC, wgpu::BufferUsages::COPY_DST),
            false => (wgpu::BufferUsages::STORAGE, wgpu::BufferUsages::STORAGE),
        };
        self.check_slice(weight, bytes, from).map_err(fault("weight"))?;
        self.check_slice(prepared, self.prepared_bytes(), to).map_err(fault("prepared"))?;
        if bytes == 0 {
            return Ok(());
        }
        if !program.prepare.is_empty() {
            return self.record_prepare(encoder, weight, prepared).await;
        }
        let copy = || {
            encoder.copy_buffer_to_buffer(
                weight.buffer,
                weight.offset,
                prepared.buffer,
                prepared.offset,
                bytes,
            );
        };
        scoped(self.gpu(), || "recording a plan".to_owned(), copy).await
    }

    /// Records the launches that prepare weights, without checking.
    pub(super) async fn record_prepare(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        weight: BufferSlice<'_>,
        prepared: BufferSlice<'_>,
    ) -> Result<(), GpuError> {
        let of = |role: Buffer| match role {
            Buffer::Weight => Some(weight),
            Buffer::Prepared => Some(prepared),
            _ => None,
        };
        self.record_launches(encoder, &self.choice().program.prepare, &self.ready().prepare, of, None).await
    }

    /// Records one run without checking, with timestamps around the pass if given.
    pub(super) async fn record(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        operands: &BufferOperands<'_>,
        timestamps: Option<wgpu::ComputePassTimestampWrites<'_>>,
    ) -> Result<(), GpuError> {
        let of = |role: Buffer| operands.of(role);
        self.record_launches(encoder, &self.choice().program.launches, &self.ready().stages, of, timestamps)
            .await
    }

    async fn record_launches<'a>(
        &'a self,
        encoder: &mut wgpu::CommandEncoder,
        launches: &[Launch],
        stages: &[Stage],
        operand: impl Fn(Buffer) -> Option<BufferSlice<'a>>,
        timestamps: Option<wgpu::ComputePassTimestampWrites<'_>>,
    ) -> Result<(), GpuError> {
        let bound: Option<Vec<Bound<'_>>> = launches.iter().map(|l| self.resolve(l, &operand)).collect();
        let Some(bound) = bound else {
            let reason = "a launch binds an operand that its problem does not have".to_owned();
            return Err(GpuError::Refused { what: "recording a plan".into(), reason });
        };
        let label = self.choice().algorithm.name();
        record_pass(self.gpu(), label, encoder, launches, stages, &bound, timestamps).await
    }

    fn resolve<'a>(
        &'a self,
        launch: &Launch,
        operand: impl Fn(Buffer) -> Option<BufferSlice<'a>>,
    ) -> Option<Bound<'a>> {
        let one = |binding: &crate::program::Binding| {
            let (buffer, base) = match binding.buffer {
                Buffer::Table(i) => (&self.ready().tables[i], 0),
                Buffer::Workspace(i) => (&self.ready().workspace[i], 0),
                role => operand(role).map(|s| (s.buffer, s.offset))?,
            };
            Some((buffer, base + binding.offset, binding.size))
        };
        launch.bindings.iter().map(one).collect()
    }

    fn check(&self, operands: &BufferOperands<'_>) -> Result<(), GpuError> {
        let problem = &self.choice().problem;
        let fault = |role, problem| Err(GpuError::Slice { role, problem });
        match (operands.weight, operands.prepared) {
            (Some(_), Some(_)) => return fault("weight", SliceProblem::Presence { wanted: false }),
            (Some(_), None) if !self.choice().program.prepare.is_empty() => {
                return fault("weight", SliceProblem::Unprepared);
            }
            _ => {}
        }
        let bytes = |role: Role| match role {
            Role::Weight => self.prepared_bytes(),
            _ => self.bytes_of(&role.layout(problem)),
        };
        let given = operands.by_role();
        let table = given.iter().map(|(role, &slice)| {
            let prepared = role == Role::Weight && operands.prepared.is_some();
            let name = if prepared { "prepared" } else { role.name() };
            (name, slice, role.is_used(problem).then(|| bytes(role)))
        });
        let result = ("result", operands.result, Some(self.bytes_of(problem.result())));
        for (role, slice, needed) in table.chain([result]) {
            match (slice, needed) {
                (None, None) => {}
                (Some(_), None) | (None, Some(_)) => {
                    return fault(role, SliceProblem::Presence { wanted: needed.is_some() });
                }
                (Some(slice), Some(needed)) => {
                    if let Err(problem) = self.check_slice(slice, needed, wgpu::BufferUsages::STORAGE) {
                        return fault(role, problem);
                    }
                    if role != "result" && operands.result.is_some_and(|r| r.buffer == slice.buffer) {
                        return fault("result", SliceProblem::Aliased);
                    }
                }
            }
        }
        Ok(())
    }

    fn check_slice(
        &self,
        slice: BufferSlice<'_>,
        needed: u64,
        usage: wgpu::BufferUsages,
    ) -> Result<(), SliceProblem> {
        let alignment = u64::from(self.gpu().target().limits.offset_alignment);
        if !slice.offset.is_multiple_of(alignment) {
            return Err(SliceProblem::Misaligned { offset: slice.offset, alignment });
        }
        let got = slice.buffer.size().saturating_sub(slice.offset);
        if got < needed {
            return Err(SliceProblem::TooSmall { needed, got });
        }
        if !slice.buffer.usage().contains(usage) {
            return Err(SliceProblem::Usage { wanted: usage });
        }
        Ok(())
    }
}

/// Records launches in one pass, each with its stage and its buffers, and timestamps around them if given.
pub(super) async fn record_pass(
    gpu: &Gpu,
    label: &str,
    encoder: &mut wgpu::CommandEncoder,
    launches: &[Launch],
    stages: &[Stage],
    bound: &[Bound<'_>],
    timestamps: Option<wgpu::ComputePassTimestampWrites<'_>>,
) -> Result<(), GpuError> {
    let record = || {
        let groups: Vec<_> =
            bound.iter().zip(stages).map(|(b, stage)| bind_group(gpu, label, stage, b)).collect();
        let descriptor = wgpu::ComputePassDescriptor { label: Some(label), timestamp_writes: timestamps };
        let mut pass = encoder.begin_compute_pass(&descriptor);
        for ((launch, stage), group) in launches.iter().zip(stages).zip(&groups) {
            let [x, y, z] = launch.grid.0;
            pass.set_pipeline(&stage.pipeline);
            pass.set_bind_group(0, group, &[]);
            pass.dispatch_workgroups(x, y, z);
        }
    };
    scoped(gpu, || "recording a plan".to_owned(), record).await
}

fn bind_group(gpu: &Gpu, label: &str, stage: &Stage, bound: &Bound<'_>) -> wgpu::BindGroup {
    let storage = bound.iter().map(|&(buffer, offset, size)| {
        wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer,
            offset,
            size: std::num::NonZeroU64::new(size),
        })
    });
    let entries: Vec<_> = std::iter::once(stage.params.as_entire_binding())
        .chain(storage)
        .zip(0..)
        .map(|(resource, binding)| wgpu::BindGroupEntry { binding, resource })
        .collect();
    gpu.device().create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some(label),
        layout: &stage.pipeline.get_bind_group_layout(0),
        entries: &entries,
    })
}
