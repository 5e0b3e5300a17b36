//! The adapter under test.

use std::sync::OnceLock;

use wgconv::{Device, DeviceChoice};

use crate::report::{be_strict, report};

/// The adapter that `WGPU_ADAPTER_NAME` names, else the best there is, software adapters included.
/// Opened anew for every test binary; `None`, said loudly, where there is no adapter, unless
/// `WGCONV_REQUIRE_GPU` is set.
pub fn any_gpu() -> Option<Device> {
    static DEVICE: OnceLock<Option<Device>> = OnceLock::new();
    DEVICE.get_or_init(own_gpu).clone()
}

/// The same, as a device of one test: a software adapter then compiles for several tests at once.
pub fn own_gpu() -> Option<Device> {
    be_strict();
    let name = std::env::var("WGPU_ADAPTER_NAME").unwrap_or_default();
    match Device::open(&DeviceChoice::Named(name)) {
        Ok(device) => {
            report(&format!("adapter: {}", device.name()));
            Some(device)
        }
        Err(e) if std::env::var_os("WGCONV_REQUIRE_GPU").is_none() => {
            report(&format!("SKIPPED, no adapter: {e}"));
            None
        }
        Err(e) => panic!("WGCONV_REQUIRE_GPU is set, but: {e}"),
    }
}
