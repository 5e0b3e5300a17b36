//! A device described: what lowering must know of it, as plain data. Tests make their own.

use std::time::Duration;

/// What lowering must know of a device.
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
