//! Models of devices that need not be there.

use wgconv::internals::target::{DeviceClass, Features, Limits, Target};

/// Their names, in the order of [`all`].
pub const NAMES: [&str; 3] = ["H200", "RDNA 3 card", "integrated"];

/// A data centre's GPU, a desktop card and a GPU that shares the processor's memory.
pub fn all() -> [Target; 3] {
    let target = |device_class, units, workgroup: u32| Target {
        limits: Limits {
            max_binding_bytes: 1 << 31,
            max_buffer_bytes: 1 << 33,
            max_storage_buffers: 16,
            max_workgroup_bytes: workgroup << 10,
            max_invocations: 1024,
            ..Limits::default()
        },
        features: Features { f16: true, subgroup: true, timestamps: true },
        device_class,
        compute_units: Some(units),
        subgroup: (32, 32),
        ..Target::default()
    };
    [
        target(DeviceClass::Discrete, 132, 48),
        target(DeviceClass::Discrete, 96, 64),
        target(DeviceClass::Integrated, 12, 32),
    ]
}
