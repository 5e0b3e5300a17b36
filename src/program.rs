//! What a device is to do, as plain data: comparable, printable, made without a device.

use std::time::Duration;

use crate::kernel::{Kernel, Params, Spec};

/// What lowering must know of a device. Plain data: tests make their own.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Sizes the device accepts.
    pub limits: Limits,
    /// Optional abilities.
    pub features: Features,
    /// PCI vendor id, 0 where unknown.
    pub vendor: u32,
    /// What kind of device it is.
    pub device_class: DeviceClass,
    /// Compute units (streaming multiprocessors), where known.
    pub compute_units: Option<u32>,
    /// Smallest and largest subgroup, in invocations.
    pub subgroup: (u32, u32),
    /// Matrix multiply-accumulate shapes of the device.
    pub cooperative: Vec<CooperativeShape>,
}

impl Target {
    /// Compute units; where they are not known, about as many as devices of its class have. Nothing of a result's accuracy hangs
    /// on it, only which tiles are taken and into how many parts sums are cut.
    pub fn units(&self) -> u64 {
        let usual = match self.device_class {
            DeviceClass::Discrete => 64,
            DeviceClass::Integrated => 12,
            DeviceClass::Virtual | DeviceClass::Software | DeviceClass::Unknown => 32,
        };
        self.compute_units.map_or(usual, u64::from).max(1)
    }
}

/// Sizes a device accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one storage binding.
    pub max_binding_bytes: u64,
    /// Bytes of one buffer.
    pub max_buffer_bytes: u64,
    /// Storage buffers in one launch.
    pub max_storage_buffers: u32,
    /// Bytes of workgroup memory.
    pub max_workgroup_bytes: u32,
    /// Invocations in a workgroup.
    pub max_invocations: u32,
    /// Workgroups along one dimension of a grid.
    pub max_grid: u32,
    /// Alignment of binding offsets, in bytes.
    pub offset_alignment: u32,
    /// Bytes of scratch memory for an algorithm that may take more or less of it. No limit of the device: a choice, which
    /// [`PlanOptions::workspace_budget`](crate::planner::PlanOptions::workspace_budget) makes.
    pub workspace_budget: u64,
}

impl Default for Limits {
    /// What WebGPU guarantees everywhere.
    fn default() -> Self {
        Self {
            max_binding_bytes: 128 << 20,
            max_buffer_bytes: 256 << 20,
            max_storage_buffers: 8,
            max_workgroup_bytes: 16 << 10,
            max_invocations: 256,
            max_grid: 65_535,
            offset_alignment: 256,
            workspace_budget: 256 << 20,
        }
    }
}

/// Optional abilities of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// 16-bit floats in shaders and buffers.
    pub f16: bool,
    /// Subgroup operations.
    pub subgroup: bool,
    /// Timestamps at the edges of a pass.
    pub timestamps: bool,
}

/// What kind of device an adapter is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceClass {
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU that shares the processor's memory.
    Integrated,
    /// A GPU behind a virtual machine.
    Virtual,
    /// The processor itself, running the graphics API in software.
    Software,
    /// Not told.
    #[default]
    Unknown,
}

/// One shape of the device's matrix units: `m × n × k`, operand and accumulator types by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CooperativeShape {
    /// Rows, columns and depth of one multiplication.
    pub size: [u32; 3],
    /// Type of the factors.
    pub operand: String,
    /// Type of the sum.
    pub accumulator: String,
}

impl Default for Target {
    /// A device that offers what WebGPU guarantees and nothing more.
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            features: Features::default(),
            vendor: 0,
            device_class: DeviceClass::Unknown,
            compute_units: None,
            subgroup: (4, 128),
            cooperative: Vec::new(),
        }
    }
}

/// What a device does at most, measured on it by [`Device::probe`](crate::Device::probe): what a benchmark's numbers are
/// shares of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Peaks {
    /// Single-precision operations a second, of which a fused multiply-add counts two. `None` where it was not measured:
    /// the CPU path is built for every processor of its family, whose widest multiply-adds it does not know.
    pub fma_flops: Option<f64>,
    /// Bytes a second, those read and those written, of a copy that is larger than most caches.
    pub copy_bytes_per_second: Option<f64>,
    /// The shortest time that the clock of the device gave for a launch that does next to nothing. Of a run that takes
    /// less than some of these, the time says little.
    pub least: Option<Duration>,
    /// Whether these were taken by the device's own clock rather than the host's.
    pub device_clock: bool,
}

/// One convolution as launches. `prepare` reads the weights alone and runs once per weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// Host-made constants, uploaded with the plan.
    pub tables: Vec<Table>,
    /// Scratch buffers, in bytes.
    pub workspace: Vec<u64>,
    /// Launches that turn the weights into [`Buffer::Prepared`]; empty: the weights are used as they are.
    pub prepare: Vec<Launch>,
    /// Bytes of [`Buffer::Prepared`] where there are such launches; a multiple of 4.
    pub prepared: u64,
    /// Launches of one run, in order.
    pub launches: Vec<Launch>,
}

impl Program {
    /// Bytes of scratch memory that a run needs beside its operands.
    pub fn workspace_bytes(&self) -> u64 {
        self.workspace.iter().sum()
    }

    /// This program, and after it `next`, which writes other parts of the result. Both use the same scratch buffers; equal
    /// tables and equally prepared weights are there once.
    #[must_use]
    pub fn then(mut self, next: Self) -> Self {
        let mut place = |table: Table| {
            let known = self.tables.iter().position(|other| *other == table);
            known.unwrap_or_else(|| {
                self.tables.push(table);
                self.tables.len() - 1
            })
        };
        let tables: Vec<usize> = next.tables.into_iter().map(&mut place).collect();
        let moved = |mut launch: Launch, prepared: u64| {
            for binding in &mut launch.bindings {
                match &mut binding.buffer {
                    Buffer::Table(i) => *i = tables.get(*i).copied().unwrap_or(*i),
                    Buffer::Prepared => binding.offset += prepared,
                    _ => {}
                }
            }
            launch
        };
        let prepare: Vec<_> = next.prepare.into_iter().map(|launch| moved(launch, 0)).collect();
        let same = prepare == self.prepare;
        // Where a binding may begin.
        let prepared = if same { 0 } else { self.prepared.next_multiple_of(256) };
        if !same {
            self.prepare.extend(prepare.into_iter().map(|launch| moved(launch, prepared)));
            self.prepared = prepared + next.prepared;
        }
        self.launches.extend(next.launches.into_iter().map(|launch| moved(launch, prepared)));
        self.workspace.resize(self.workspace.len().max(next.workspace.len()), 0);
        for (bytes, more) in self.workspace.iter_mut().zip(next.workspace) {
            *bytes = more.max(*bytes);
        }
        self
    }
}

/// A constant buffer made by the host.
#[derive(Clone, PartialEq, Eq)]
pub struct Table {
    /// What it holds, for labels and `explain`.
    pub name: &'static str,
    /// Its contents; at least four words.
    pub words: Vec<u32>,
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}[{} words]", self.name, self.words.len())
    }
}

/// One dispatch of one kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    /// Which kernel.
    pub kernel: Kernel,
    /// Its compile-time constants: one of [`Kernel::specs`].
    pub spec: Spec,
    /// Its uniform block, binding 0.
    pub params: Params,
    /// Storage buffers from binding 1 on; the last one is written.
    pub bindings: Vec<Binding>,
    /// Workgroups.
    pub grid: Grid,
}

/// A range of a buffer; `offset` is a multiple of 256, what remains of an address is in the params.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Which buffer.
    pub buffer: Buffer,
    /// First byte.
    pub offset: u64,
    /// Bytes, a multiple of 4.
    pub size: u64,
}

/// A buffer by its role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Buffer {
    /// `x`
    Input,
    /// `w` as the caller gave it.
    Weight,
    /// The gradient of `y`.
    GradOutput,
    /// One number per channel of the result.
    Bias,
    /// Added to the result, of its shape.
    Residual,
    /// What `prepare` made of the weights.
    Prepared,
    /// `Program::tables[i]`
    Table(usize),
    /// `Program::workspace[i]`
    Workspace(usize),
    /// What the direction computes.
    Result,
}

/// Workgroups per dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid(pub [u32; 3]);

impl Grid {
    /// Enough workgroups of `workgroup` invocations for `invocations`, folded into a second dimension
    /// past `limits.max_grid`; `shared/dispatch.wgsl` unfolds them. The one place that makes grids.
    ///
    /// `None` if two dimensions are not enough, or if an invocation's index would not fit 32 bits.
    pub fn linear(invocations: u64, workgroup: u32, limits: &Limits) -> Option<Self> {
        if workgroup == 0 || limits.max_grid == 0 {
            return None;
        }
        let groups = invocations.div_ceil(u64::from(workgroup)).max(1);
        let rows = groups.div_ceil(u64::from(limits.max_grid));
        let columns = groups.div_ceil(rows);
        // The fold's surplus invocations have indices too.
        (rows * columns).checked_mul(u64::from(workgroup)).filter(|&last| last <= u64::from(u32::MAX))?;
        let rows = u32::try_from(rows).ok().filter(|&r| r <= limits.max_grid)?;
        Some(Self([u32::try_from(columns).ok()?, rows, 1]))
    }
}
