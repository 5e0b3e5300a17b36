//! The adapter under test.

use std::sync::OnceLock;

use wgconv::{Device, DeviceChoice};

use crate::report::{be_strict, report};
use crate::values::seed_of;

/// The adapter that `WGPU_ADAPTER_NAME` names, else the best there is, software adapters included.
/// Opened once for a test binary; `None`, said loudly, where there is no adapter, unless `WGCONV_REQUIRE_GPU` is set.
pub fn any_gpu() -> Option<Device> {
    static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
    DEVICE.get_or_init(own_gpu).clone()
}

/// The same, as a device of one test.
pub fn own_gpu() -> Option<Device> {
    be_strict();
    let name = std::env::var("WGPU_ADAPTER_NAME").unwrap_or_default();
    match Device::open(&DeviceChoice::Named(name)) {
        Ok(device) => {
            static SAID: OnceLock<()> = OnceLock::new();
            SAID.get_or_init(|| report(&format!("adapter: {}", device.name())));
            Some(device)
        }
        Err(e) if std::env::var_os("WGCONV_REQUIRE_GPU").is_none() => {
            report(&format!("SKIPPED, no adapter: {e}"));
            None
        }
        Err(e) => panic!("WGCONV_REQUIRE_GPU is set, but: {e}"),
    }
}

/// One of two devices of the adapter under test, always the same one for a key: tests run side by side, where one device would
/// run one after the other, and each kernel is compiled on one of both alone if its name is the key.
///
/// # Panics
///
/// If there is no adapter.
pub fn gpu_for(key: &str) -> Device {
    static SECOND: OnceLock<Option<Device>> = OnceLock::new();
    let device = if seed_of(key).is_multiple_of(2) { any_gpu() } else { SECOND.get_or_init(own_gpu).clone() };
    device.expect("an adapter: there was one")
}
