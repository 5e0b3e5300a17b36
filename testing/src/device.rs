//! The adapter under test.

use std::ops::Deref;
use std::sync::{Mutex, OnceLock, PoisonError};

use wgconv::{Device, DeviceChoice};

use crate::report::{be_strict, report};

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

static IDLE: Mutex<Vec<Device>> = Mutex::new(Vec::new());

/// A device that nobody else uses for a while.
pub struct Lent(Device);

impl Deref for Lent {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        IDLE.lock().unwrap_or_else(PoisonError::into_inner).push(self.0.clone());
    }
}

/// A device of the adapter under test that nobody else uses until it is dropped: rows of a table run side by side, where one
/// device would run one after the other.
///
/// # Panics
///
/// If there is no adapter.
pub fn lent_gpu() -> Lent {
    let idle = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    Lent(idle.unwrap_or_else(|| own_gpu().expect("an adapter: there was one")))
}
