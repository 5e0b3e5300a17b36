//! A GPU: its adapter, device and queue, and what is kept with them.

mod adapter;
mod buffer;
mod encode;
mod pack;
mod pipeline;
mod plan;
#[cfg(not(target_arch = "wasm32"))]
mod probe;
mod scope;
mod selftest;
mod timing;
mod trusted;
mod units;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::target::Target;

pub use adapter::{AdapterReport, Wanted, adapters};
pub use buffer::GpuTensor;
pub use encode::{BufferOperands, BufferSlice};
pub use plan::{GpuPlan, GpuWeights};

use buffer::Pool;
use pipeline::Pipelines;
use scope::scoped;

/// What went wrong with a GPU.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// No adapter is what was asked for.
    #[error("no adapter is {wanted}; found: {}", list(found))]
    NoAdapter {
        /// What was asked for, in words.
        wanted: String,
        /// Names of the adapters there are.
        found: Vec<String>,
    },
    /// The driver gave no device.
    #[error("adapter {adapter:?} gives no device: {reason}")]
    RequestDevice {
        /// The adapter's name.
        adapter: String,
        /// The driver's words.
        reason: String,
    },
    /// The device computed a small integer convolution wrongly: its driver miscompiles.
    #[error("{adapter:?} (driver {driver}) fails the self-test: element {index} is {got}, wanted {wanted}")]
    SelfTestFailed {
        /// The adapter's name.
        adapter: String,
        /// Its driver.
        driver: String,
        /// First wrong element.
        index: usize,
        /// What the device computed.
        got: f32,
        /// What is right.
        wanted: f32,
    },
    /// The device is gone: removed, reset by its driver, or destroyed. Make a new one.
    #[error("the device is lost: {reason}")]
    DeviceLost {
        /// The driver's words.
        reason: String,
    },
    /// A buffer or pipeline does not fit the device's memory.
    #[error("out of device memory for {what}")]
    OutOfMemory {
        /// What was being made.
        what: String,
    },
    /// More bytes than one buffer of the device holds.
    #[error("{what} needs {bytes} bytes, a buffer of the device holds at most {limit}")]
    TooLarge {
        /// What was being made.
        what: String,
        /// Bytes needed.
        bytes: u64,
        /// [`Limits::max_buffer_bytes`](crate::target::Limits).
        limit: u64,
    },
    /// The device did not finish in time; it may still be at work.
    #[error("the device did not finish within {} s", after.as_secs_f64())]
    Timeout {
        /// How long was waited.
        after: Duration,
    },
    /// A buffer of an app does not fit its role.
    #[error("the buffer for {role}: {problem}")]
    Slice {
        /// Which operand.
        role: &'static str,
        /// What is wrong: wanted and got.
        problem: SliceProblem,
    },
    /// Elements of a host array that share a place in the plan's layout differ.
    #[error(
        "the {role} has different values where its layout keeps a single one (stride 0 or overlapping strides)"
    )]
    LossyLayout {
        /// Which operand.
        role: &'static str,
    },
    /// The graphics stack refused something that this crate made: a defect of this crate.
    #[error("{what}: {}", one_line(reason))]
    Refused {
        /// What was being made.
        what: String,
        /// The stack's words.
        reason: String,
    },
}

fn usage_names(usage: wgpu::BufferUsages) -> String {
    usage.iter_names().map(|(name, _)| name).collect::<Vec<_>>().join(" | ")
}

/// The graphics stack explains itself over several lines.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

/// How a slice of an app's buffer does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SliceProblem {
    /// The operand was not given, or given although the plan has no use for it.
    #[error("{}", if *wanted { "missing" } else { "given, but the plan has no such operand" })]
    Presence {
        /// Whether the plan has such an operand.
        wanted: bool,
    },
    /// Weights as they are, for a plan that packs or transforms them first.
    #[error(
        "the plan reads prepared weights: `encode_prepare` makes them, and the field `prepared` takes them"
    )]
    Unprepared,
    /// The offset is not aligned.
    #[error("offset {offset} is not a multiple of {alignment}")]
    Misaligned {
        /// Bytes.
        offset: u64,
        /// The device's alignment of storage offsets.
        alignment: u64,
    },
    /// The slice holds less than the operand.
    #[error("holds {got} bytes, the operand needs {needed}")]
    TooSmall {
        /// Bytes of the operand in the plan's layout.
        needed: u64,
        /// Bytes of the slice within its buffer.
        got: u64,
    },
    /// The buffer was made without a usage that it needs here.
    #[error("was made without BufferUsages::{}", usage_names(*wanted))]
    Usage {
        /// What it needs.
        wanted: wgpu::BufferUsages,
    },
    /// The result's buffer is also an operand's.
    #[error("is also an operand's buffer")]
    Aliased,
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// A GPU device with its pipelines and buffers. Cloning shares it.
#[derive(Clone)]
pub struct Gpu(Arc<Inner>);

pub(crate) struct Inner {
    device: wgpu::Device,
    queue: wgpu::Queue,
    report: AdapterReport,
    target: Target,
    /// Whether this crate made the device: only then does it poll it and set callbacks on it.
    owned: bool,
    lost: Arc<Mutex<Option<String>>>,
    pipelines: Pipelines,
    pool: Pool,
}

impl std::fmt::Debug for Gpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gpu").field("adapter", &self.0.report.name).field("owned", &self.0.owned).finish()
    }
}

/// A mutex is only poisoned by a panic in a few lines that cannot leave its data half-changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gpu {
    /// A device of our own on the adapter that `wanted` describes, after its self-test.
    ///
    /// # Errors
    ///
    /// [`GpuError::NoAdapter`], [`GpuError::RequestDevice`], [`GpuError::SelfTestFailed`].
    pub async fn new(wanted: &Wanted) -> Result<Self, GpuError> {
        let gpu = Self::without_self_test(&adapter::choose(wanted).await?).await?;
        gpu.self_test().await?;
        Ok(gpu)
    }

    /// A device of our own on `adapter`, not yet tested.
    ///
    /// # Errors
    ///
    /// [`GpuError::RequestDevice`].
    pub async fn without_self_test(adapter: &wgpu::Adapter) -> Result<Self, GpuError> {
        let features = adapter.features() & adapter::used_features();
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("wgconv"),
            required_features: features,
            required_limits: adapter.limits(),
            ..Default::default()
        };
        let refused = |e: wgpu::RequestDeviceError| GpuError::RequestDevice {
            adapter: adapter.get_info().name,
            reason: e.to_string(),
        };
        let (device, queue) = adapter.request_device(&descriptor).await.map_err(refused)?;
        let gpu = Self::from_parts(device, queue, Some(adapter), true);
        gpu.watch();
        Ok(gpu)
    }

    /// An app's device: no callback is set on it, nothing is submitted but what a call asks for, and
    /// polling it is the app's business except inside the blocking calls.
    pub fn borrowed(device: wgpu::Device, queue: wgpu::Queue) -> Self {
        Self::from_parts(device, queue, None, false)
    }

    /// A borrowed device together with what its adapter tells of it.
    #[must_use]
    pub fn with_adapter(&self, adapter: &wgpu::Adapter) -> Self {
        let inner = &self.0;
        let report = AdapterReport::of_adapter(adapter);
        Self(Arc::new(Inner {
            target: adapter::target(&inner.device, &report),
            report,
            device: inner.device.clone(),
            queue: inner.queue.clone(),
            owned: inner.owned,
            lost: Arc::clone(&inner.lost),
            pipelines: Pipelines(Mutex::new(HashMap::new())),
            pool: inner.pool.clone(),
        }))
    }

    fn from_parts(
        device: wgpu::Device,
        queue: wgpu::Queue,
        adapter: Option<&wgpu::Adapter>,
        owned: bool,
    ) -> Self {
        let report = adapter.map_or_else(|| AdapterReport::of_device(&device), AdapterReport::of_adapter);
        let target = adapter::target(&device, &report);
        Self(Arc::new(Inner {
            pool: Pool::default(),
            pipelines: Pipelines(Mutex::new(HashMap::new())),
            lost: Arc::default(),
            device,
            queue,
            report,
            target,
            owned,
        }))
    }

    /// On our own device: remembers its loss, and logs what no error scope caught instead of panicking.
    fn watch(&self) {
        let lost = Arc::clone(&self.0.lost);
        self.0.device.set_device_lost_callback(move |reason, message| {
            *locked(&lost) = Some(format!("{reason:?} {message}").trim().to_owned());
        });
        self.0.device.on_uncaptured_error(Arc::new(|error| log::error!("wgpu: {error}")));
    }

    /// What the adapter says of itself.
    pub fn report(&self) -> &AdapterReport {
        &self.0.report
    }

    /// What plans are made for.
    pub fn target(&self) -> &Target {
        &self.0.target
    }

    /// The wgpu device.
    pub fn device(&self) -> &wgpu::Device {
        &self.0.device
    }

    /// The wgpu queue.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.0.queue
    }

    /// Computes a small integer convolution and compares it exactly.
    ///
    /// # Errors
    ///
    /// [`GpuError::SelfTestFailed`], or what the run itself met.
    pub async fn self_test(&self) -> Result<(), GpuError> {
        selftest::run(self).await
    }

    /// Lets our own device run its callbacks (a loss among them) and free what finished work held.
    fn poll_own(&self) {
        if self.0.owned {
            // Whether the poll itself works is not the question.
            let _ = self.0.device.poll(wgpu::PollType::Poll);
        }
    }

    fn check_alive(&self) -> Result<(), GpuError> {
        match locked(&self.0.lost).clone() {
            Some(reason) => Err(GpuError::DeviceLost { reason }),
            None => Ok(()),
        }
    }

    /// Whether both handles are one device.
    pub(crate) fn same_device(&self, other: &Self) -> bool {
        self.0.device == other.0.device
    }

    /// Waits until `submission` is done, where waiting is this crate's business; else returns at once.
    fn wait(
        &self,
        submission: wgpu::SubmissionIndex,
        timeout: Duration,
        waiting: Waiting,
    ) -> Result<(), GpuError> {
        if !self.0.owned && waiting == Waiting::Async {
            return Ok(());
        }
        let poll = wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(timeout) };
        match self.0.device.poll(poll) {
            Ok(_) => self.check_alive(),
            Err(wgpu::PollError::Timeout) => Err(GpuError::Timeout { after: timeout }),
            Err(other) => {
                self.check_alive()?;
                Err(GpuError::Refused { what: "waiting for the device".into(), reason: other.to_string() })
            }
        }
    }
}

/// Who drives a wait for the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The calling thread blocks: it may poll any device.
    Blocking,
    /// A future: our own device is polled, a borrowed one by its app.
    Async,
}
