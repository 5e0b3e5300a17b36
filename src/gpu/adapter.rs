//! Adapters: which there are, which one is taken, and what lowering must know of it.

use super::GpuError;
use crate::target::{CooperativeShape, DeviceClass, Features, Limits, Target};

/// Which adapter to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A hardware GPU; where `WGPU_ADAPTER_NAME` is set, one whose name contains it.
    Hardware,
    /// The adapter that `WGPU_ADAPTER_NAME` names, software adapters included; without it, [`Self::Hardware`].
    HardwareOrEnv,
    /// The first adapter whose name contains this, whatever the case; software adapters included.
    Named(String),
}

/// What an adapter says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterReport {
    /// Its name.
    pub name: String,
    /// The graphics API: `vulkan`, `metal`, `dx12`, `webgpu`.
    pub backend: String,
    /// Driver and its version.
    pub driver: String,
    /// What kind of device it is.
    pub class: DeviceClass,
    /// PCI ids of vendor and device.
    pub ids: (u32, u32),
    /// Smallest and largest subgroup.
    pub subgroup: (u32, u32),
    /// Shapes of its matrix units.
    pub cooperative: Vec<CooperativeShape>,
    /// The limits a device of it is made with.
    pub limits: wgpu::Limits,
    /// Everything it offers; this crate asks for what it uses.
    pub features: wgpu::Features,
}

/// The optional features that this crate has a use for.
pub(super) fn used_features() -> wgpu::Features {
    wgpu::Features::SHADER_F16 | wgpu::Features::TIMESTAMP_QUERY
}

impl AdapterReport {
    pub(super) fn of_adapter(adapter: &wgpu::Adapter) -> Self {
        let shape = |p: wgpu::CooperativeMatrixProperties| CooperativeShape {
            size: [p.m_size, p.n_size, p.k_size],
            operand: format!("{:?}", p.ab_type).to_lowercase(),
            accumulator: format!("{:?}", p.cr_type).to_lowercase(),
        };
        let cooperative = adapter.cooperative_matrix_properties().into_iter().map(shape).collect();
        Self {
            cooperative,
            limits: adapter.limits(),
            features: adapter.features(),
            ..Self::of_info(adapter.get_info())
        }
    }

    /// Of a device whose adapter is not at hand.
    pub(super) fn of_device(device: &wgpu::Device) -> Self {
        let info = device.adapter_info();
        Self { limits: device.limits(), features: device.features(), ..Self::of_info(info) }
    }

    fn of_info(info: wgpu::AdapterInfo) -> Self {
        Self {
            class: match info.device_type {
                wgpu::DeviceType::DiscreteGpu => DeviceClass::Discrete,
                wgpu::DeviceType::IntegratedGpu => DeviceClass::Integrated,
                wgpu::DeviceType::VirtualGpu => DeviceClass::Virtual,
                wgpu::DeviceType::Cpu => DeviceClass::Software,
                wgpu::DeviceType::Other => DeviceClass::Unknown,
            },
            backend: info.backend.to_str().to_owned(),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            ids: (info.vendor, info.device),
            subgroup: (info.subgroup_min_size, info.subgroup_max_size),
            name: info.name,
            cooperative: Vec::new(),
            limits: wgpu::Limits::default(),
            features: wgpu::Features::empty(),
        }
    }

    /// Whether the adapter is a real device rather than the processor in disguise.
    pub fn is_hardware(&self) -> bool {
        self.class != DeviceClass::Software
    }
}

/// What lowering must know of `device`.
pub(super) fn target(device: &wgpu::Device, report: &AdapterReport) -> Target {
    let (limits, features) = (device.limits(), device.features());
    Target {
        limits: Limits {
            max_binding_bytes: limits.max_storage_buffer_binding_size,
            max_buffer_bytes: limits.max_buffer_size,
            max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
            max_workgroup_bytes: limits.max_compute_workgroup_storage_size,
            max_invocations: limits
                .max_compute_invocations_per_workgroup
                .min(limits.max_compute_workgroup_size_x),
            max_grid: limits.max_compute_workgroups_per_dimension,
            offset_alignment: limits.min_storage_buffer_offset_alignment,
        },
        features: Features {
            f16: features.contains(wgpu::Features::SHADER_F16),
            subgroup: features.contains(wgpu::Features::SUBGROUP),
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
        },
        vendor: report.ids.0,
        device_class: report.class,
        compute_units: super::units::of(&report.name),
        subgroup: report.subgroup,
        cooperative: report.cooperative.clone(),
    }
}

/// Every adapter of the backends that `WGPU_BACKEND` allows.
pub async fn adapters() -> Vec<wgpu::Adapter> {
    let backends = wgpu::Backends::from_env().unwrap_or(wgpu::Backends::all());
    // Validation layers are the user's choice (WGPU_VALIDATION), not the build profile's.
    let descriptor = wgpu::InstanceDescriptor {
        backends,
        flags: wgpu::InstanceFlags::empty().with_env(),
        memory_budget_thresholds: wgpu::MemoryBudgetThresholds {
            for_resource_creation: Some(95),
            for_device_loss: Some(99),
        },
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    };
    wgpu::Instance::new(descriptor).enumerate_adapters(backends).await
}

pub(super) async fn choose(wanted: &Wanted) -> Result<wgpu::Adapter, GpuError> {
    let all: Vec<_> = adapters().await.into_iter().map(|a| (AdapterReport::of_adapter(&a), a)).collect();
    let found = all.iter().map(|(r, _)| r.name.clone()).collect();
    let env = std::env::var("WGPU_ADAPTER_NAME").ok().filter(|n| !n.trim().is_empty());
    let (name, software, words) = match (wanted, env) {
        (Wanted::Named(name), _) => (Some(name.clone()), true, format!("called {name:?}")),
        (Wanted::HardwareOrEnv, Some(name)) => {
            let words = format!("called {name:?} (WGPU_ADAPTER_NAME)");
            (Some(name), true, words)
        }
        (Wanted::Hardware, Some(name)) => {
            let words = format!("a hardware GPU called {name:?} (WGPU_ADAPTER_NAME)");
            (Some(name), false, words)
        }
        (_, None) => (None, false, "a hardware GPU".to_owned()),
    };
    let called = |r: &AdapterReport| {
        name.as_ref().is_none_or(|n| r.name.to_lowercase().contains(&n.trim().to_lowercase()))
    };
    let low_power = wgpu::PowerPreference::from_env() == Some(wgpu::PowerPreference::LowPower);
    all.into_iter()
        .filter(|(r, _)| (software || r.is_hardware()) && called(r))
        .min_by_key(|(r, _)| preference(r.class, low_power))
        .map(|(_, adapter)| adapter)
        .ok_or(GpuError::NoAdapter { wanted: words, found })
}

/// Smaller is better: discrete before integrated, the other way round for low power; software last.
fn preference(class: DeviceClass, low_power: bool) -> u8 {
    match class {
        DeviceClass::Discrete => u8::from(low_power),
        DeviceClass::Integrated => u8::from(!low_power),
        DeviceClass::Virtual => 2,
        DeviceClass::Unknown => 3,
        DeviceClass::Software | DeviceClass::Cpu => 4,
    }
}
