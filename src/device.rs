//! A place to compute: a GPU or the CPU path, behind one face.

mod backend;
#[cfg(all(feature = "gpu", not(target_arch = "wasm32")))]
mod encode;
mod finite;
#[cfg(not(target_arch = "wasm32"))]
mod measure;
mod memory;
mod operands;
mod operation;
mod plan;
mod prepared;
#[cfg(not(target_arch = "wasm32"))]
mod probe;
mod run;
mod tensor;
mod timed;
mod wait;

use std::sync::{Mutex, PoisonError};

use ndarray::{ArrayBase, Data, Dimension};

pub(crate) use backend::{Backend, PerBackend};
pub use memory::reserve;
pub(crate) use operands::typed;
pub use operands::{HostArray, HostView, Operand, OperandError, Operands, Scalar, Weight};
pub use operation::OperationPlan;
pub(crate) use operation::run_once;
pub use plan::Plan;
pub use prepared::PreparedWeights;
pub use tensor::Tensor;
pub use timed::Timing;

use crate::algorithm_name::Algorithm;
use crate::error::Error;
use crate::planner::PlanOptions;
use crate::problem::{ConvProblem, Layout};

#[cfg(feature = "gpu")]
use crate::gpu::{Gpu, GpuError, Wanted};

/// Which device to open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A hardware GPU, else the CPU path. A software adapter is no GPU: the CPU path is faster.
    #[default]
    Auto,
    /// The CPU path.
    Cpu,
    /// A hardware GPU, or the adapter that `WGPU_ADAPTER_NAME` names, else an error.
    Gpu,
    /// The adapter whose name contains this, whatever the case, software adapters included, else an error.
    Named(String),
}

impl DeviceChoice {
    /// `auto`, `cpu`, `gpu`; any other word is part of an adapter's name.
    pub fn from_name(name: &str) -> Self {
        match name {
            "auto" => Self::Auto,
            "cpu" => Self::Cpu,
            "gpu" => Self::Gpu,
            other => Self::Named(other.to_owned()),
        }
    }
}

/// A GPU or the CPU path. Cloning shares it; it may be used from many threads at once.
///
/// ```
/// use wgconv::{Conv, ConvProblem, Device, Operands, Padding, PlanOptions};
/// use wgconv::ndarray::{Array4, array};
///
/// let device = Device::cpu();
/// let problem = ConvProblem::new(&[1, 1, 3, 3], &[1, 1, 2, 2], &Conv::default().flip(true))?;
/// let plan = device.plan(&problem, &PlanOptions::default())?;
/// let weights = plan.prepare(&array![[[[1f32, 2.], [3., 4.]]]])?;
/// let x: Array4<f32> = array![[[[1., 2., 3.], [4., 5., 6.], [7., 8., 9.]]]];
/// let y = plan.run(Operands { input: x.view(), weight: (&weights).into(), ..Default::default() })?;
/// assert_eq!(y, array![[[[23., 33.], [53., 63.]]]].into_dyn());
/// # Ok::<(), wgconv::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Device(pub(crate) Backend<DeviceKind>);

/// The GPU itself, and of the CPU path nothing.
pub(crate) struct DeviceKind;

impl PerBackend for DeviceKind {
    #[cfg(feature = "gpu")]
    type Gpu = Gpu;
    type Cpu = ();
}

impl Device {
    /// The best device: the adapter that `WGPU_ADAPTER_NAME` names if it is set, else a hardware GPU,
    /// else the CPU path. `WGPU_BACKEND` and `WGPU_POWER_PREF` narrow the adapters.
    ///
    /// # Errors
    ///
    /// An adapter named by `WGPU_ADAPTER_NAME` that is not there, or a GPU that fails its self-test.
    pub fn new() -> Result<Self, Error> {
        let named = std::env::var_os("WGPU_ADAPTER_NAME")
            .is_some_and(|name| !name.to_string_lossy().trim().is_empty());
        Self::open(&if named { DeviceChoice::Gpu } else { DeviceChoice::Auto })
    }

    /// [`Self::new`], opened by the first call that succeeds and kept: where the one-liners compute.
    ///
    /// # Errors
    ///
    /// As [`Self::new`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn shared() -> Result<Self, Error> {
        static DEVICE: Mutex<Option<Device>> = Mutex::new(None);
        let mut kept = DEVICE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(device) = &*kept {
            return Ok(device.clone());
        }
        let device = Self::new()?;
        Ok(kept.insert(device).clone())
    }

    /// The CPU path.
    pub fn cpu() -> Self {
        Self(Backend::Cpu(()))
    }

    /// The device that `choice` describes.
    ///
    /// # Errors
    ///
    /// As [`Self::open_async`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(choice: &DeviceChoice) -> Result<Self, Error> {
        wait::block_on(Self::open_async(choice))
    }

    /// The device that `choice` describes.
    ///
    /// # Errors
    ///
    /// [`GpuError::NoAdapter`](crate::GpuError), or [`GpuError::RequestDevice`](crate::GpuError) for an adapter that
    /// gives no device, unless `choice` allows the CPU; a GPU that fails its self-test is an error in any case.
    #[cfg(feature = "gpu")]
    pub async fn open_async(choice: &DeviceChoice) -> Result<Self, Error> {
        let wanted = match choice {
            DeviceChoice::Cpu => return Ok(Self::cpu()),
            DeviceChoice::Auto => Wanted::Hardware,
            DeviceChoice::Gpu => Wanted::HardwareOrEnv,
            DeviceChoice::Named(name) => Wanted::Named(name.clone()),
        };
        match Gpu::new(&wanted).await {
            Ok(gpu) => Ok(Self(Backend::Gpu(gpu))),
            Err(GpuError::NoAdapter { .. }) if *choice == DeviceChoice::Auto => Ok(Self::cpu()),
            Err(e @ GpuError::RequestDevice { .. }) if *choice == DeviceChoice::Auto => {
                log::warn!("{e}; the CPU path takes over");
                Ok(Self::cpu())
            }
            Err(e) => Err(e.into()),
        }
    }

    /// The device that `choice` describes; this build knows the CPU path alone.
    ///
    /// # Errors
    ///
    /// [`Error::BuiltWithoutGpu`] if `choice` demands a GPU.
    #[cfg(not(feature = "gpu"))]
    pub async fn open_async(choice: &DeviceChoice) -> Result<Self, Error> {
        match choice {
            DeviceChoice::Auto | DeviceChoice::Cpu => Ok(Self::cpu()),
            DeviceChoice::Gpu | DeviceChoice::Named(_) => Err(Error::BuiltWithoutGpu),
        }
    }

    /// An app's own device: no callback is set on it, and nothing is submitted but what a call asks
    /// for. The asynchronous calls leave polling it to the app; the blocking ones poll it while they wait.
    ///
    /// # Errors
    ///
    /// None at present.
    #[cfg(feature = "gpu")]
    pub fn from_wgpu(device: wgpu::Device, queue: wgpu::Queue) -> Result<Self, Error> {
        Ok(Self(Backend::Gpu(Gpu::borrowed(device, queue))))
    }

    /// Adds what the adapter tells of an app's device.
    #[cfg(feature = "gpu")]
    #[must_use]
    pub fn with_adapter(self, adapter: &wgpu::Adapter) -> Self {
        match self.0 {
            Backend::Gpu(gpu) => Self(Backend::Gpu(gpu.with_adapter(adapter))),
            Backend::Cpu(()) => self,
        }
    }

    /// The wgpu device and queue that it computes on, for buffers and encoders of one's own; `None` for the CPU path.
    #[cfg(feature = "gpu")]
    pub fn wgpu(&self) -> Option<(&wgpu::Device, &wgpu::Queue)> {
        self.gpu().map(|gpu| (gpu.device(), gpu.queue()))
    }

    /// The GPU inside; `None` for the CPU path.
    #[cfg(feature = "gpu")]
    #[doc(hidden)]
    pub fn gpu(&self) -> Option<&Gpu> {
        self.0.gpu()
    }

    /// The adapter's name, or `cpu`.
    pub fn name(&self) -> &str {
        match &self.0 {
            #[cfg(feature = "gpu")]
            Backend::Gpu(gpu) => &gpu.report().name,
            Backend::Cpu(()) => "cpu",
        }
    }

    /// Whether this is the CPU path.
    pub fn is_cpu(&self) -> bool {
        self.0.cpu().is_some()
    }

    /// The algorithms that it has.
    pub fn algorithms(&self) -> &'static [Algorithm] {
        match &self.0 {
            #[cfg(feature = "gpu")]
            Backend::Gpu(_) => Algorithm::on_gpu(),
            Backend::Cpu(()) => Algorithm::on_cpu(),
        }
    }

    /// Plans `problem`: chooses the algorithm and builds what it needs. Plan once, run often.
    ///
    /// # Errors
    ///
    /// [`Error::Declined`] if nothing runs the problem, `Error::Gpu` for what the
    /// device refuses.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn plan(&self, problem: &ConvProblem, options: &PlanOptions) -> Result<Plan, Error> {
        wait::block_on(self.plan_async(problem, options))
    }

    /// [`Self::plan`] as a future.
    ///
    /// # Errors
    ///
    /// As [`Self::plan`].
    pub async fn plan_async(&self, problem: &ConvProblem, options: &PlanOptions) -> Result<Plan, Error> {
        Plan::new(self, problem, options).await
    }

    /// The array as a tensor of this device, contiguous in logical order ([`Layout::Ncx`]).
    ///
    /// # Errors
    ///
    /// A device that lacks the memory, or is lost.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn upload<T: Scalar, S: Data<Elem = T>, D: Dimension>(
        &self,
        array: &ArrayBase<S, D>,
    ) -> Result<Tensor, Error> {
        self.upload_as(array, &Layout::Ncx)
    }

    /// The array as a tensor of this device in `layout`, read as that of an activation `[n, c, X..]`.
    ///
    /// # Errors
    ///
    /// As [`Self::upload`], and strides that do not fit the array.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn upload_as<T: Scalar, S: Data<Elem = T>, D: Dimension>(
        &self,
        array: &ArrayBase<S, D>,
        layout: &Layout,
    ) -> Result<Tensor, Error> {
        wait::block_on(self.upload_async(array, layout))
    }

    /// [`Self::upload_as`] as a future.
    ///
    /// # Errors
    ///
    /// As [`Self::upload_as`].
    pub async fn upload_async<T: Scalar, S: Data<Elem = T>, D: Dimension>(
        &self,
        array: &ArrayBase<S, D>,
        layout: &Layout,
    ) -> Result<Tensor, Error> {
        Tensor::upload(self, array.view().into_dyn(), layout).await
    }
}
