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
    /// The processor, with so many threads.
    pub fn cpu(threads: usize) -> Self {
        let compute_units = Some(u32::try_from(threads).unwrap_or(u32::MAX));
        Self { device_class: DeviceClass::Cpu, compute_units, ..Self::default() }
    }

    /// Compute units; where they are not known, about as many as devices of its class have. Nothing of a result's accuracy hangs
    /// on it, only which tiles are taken and into how many parts sums are cut.
    pub fn units(&self) -> u64 {
        let usual = match self.device_class {
            DeviceClass::Discrete => 64,
            DeviceClass::Integrated => 12,
            DeviceClass::Virtual | DeviceClass::Unknown => 32,
            DeviceClass::Software | DeviceClass::Cpu => 4,
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
    /// The processor itself, without any graphics API.
    Cpu,
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

/// How fast a device is: what every estimate of time is made of. The numbers are in seconds, but what they are for is to be
/// compared with each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DeviceModel {
    /// Parts of the device that work by themselves: streaming multiprocessors, compute units, threads of a processor.
    pub compute_units: f64,
    /// Multiply-adds in f32 of the whole device.
    pub fma_per_s: f64,
    /// Bytes of memory that it reads and writes.
    pub bytes_per_s: f64,
    /// The same of what was written or read a moment ago, and is in a cache.
    pub cached_bytes_per_s: f64,
    /// What a launch takes before and after its work.
    pub launch_s: f64,
    /// What a barrier takes a workgroup of 256 invocations.
    pub barrier_s: f64,
    /// Multiply-adds of 32 neighbours that take as long as each further line of a cache that one load of theirs reads.
    pub line_slots: f64,
}

impl DeviceModel {
    /// As devices of its class usually are.
    pub fn guess(target: &Target) -> Self {
        let compute_units = target.units() as f64;
        match target.device_class {
            // A 2.6 GHz Zen 4 core with the loops of the CPU path (`benches/results/cpu_fft.json`); its threads share memory.
            DeviceClass::Cpu => Self {
                compute_units,
                fma_per_s: CPU_FMA_PER_S * compute_units,
                bytes_per_s: 2e10,
                cached_bytes_per_s: 1e11,
                launch_s: 1e-5,
                barrier_s: 0.0,
                line_slots: 0.0,
            },
            // llvmpipe, on such a core, whose loads take what arithmetic takes a GPU. At a barrier it leaves every invocation
            // and comes back to it.
            DeviceClass::Software => Self {
                compute_units,
                fma_per_s: 4e8 * compute_units,
                bytes_per_s: 5e9,
                cached_bytes_per_s: 5e9,
                launch_s: 1e-4,
                barrier_s: 2e-4,
                line_slots: 0.0,
            },
            // 128 multiply-adds a clock; ten in the time in which memory moves a byte, from phones to cards. While a
            // workgroup waits at a barrier another one works.
            _ => {
                let of_unit = 128.0 * 1.7e9;
                let fma_per_s = of_unit * compute_units;
                Self {
                    compute_units,
                    fma_per_s,
                    bytes_per_s: fma_per_s / 10.0,
                    cached_bytes_per_s: fma_per_s / 4.0,
                    launch_s: 1.2e-6,
                    barrier_s: 0.0,
                    line_slots: 4.0,
                }
            }
        }
    }

    /// The same with what was measured.
    #[must_use]
    pub fn with_peaks(self, peaks: &Peaks) -> Self {
        let fma_per_s = peaks.fma_flops.map_or(self.fma_per_s, |flops| flops / 2.0);
        let bytes_per_s = peaks.copy_bytes_per_second.unwrap_or(self.bytes_per_s);
        let launch_s = peaks.least.map_or(self.launch_s, |least| least.as_secs_f64());
        let cached_bytes_per_s = self.cached_bytes_per_s / self.bytes_per_s * bytes_per_s;
        Self { fma_per_s, bytes_per_s, cached_bytes_per_s, launch_s, ..self }
    }
}

/// Multiply-adds of `Direct` on one thread of the processor that the estimates of the CPU path were measured on.
pub(crate) const CPU_FMA_PER_S: f64 = 1e9 / 0.12;

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
