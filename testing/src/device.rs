//! The adapter under test.

use std::ops::Deref;
use std::sync::OnceLock;

use parking_lot::{ReentrantMutex, ReentrantMutexGuard};
use wgconv::{Device, DeviceChoice};

use crate::report::{be_strict, report};
use crate::values::seed_of;

/// A device of the adapter under test, in turn: while a test holds one, no other test's thread gets one. A software adapter
/// works off what all threads submit one after the other, so a short run would wait for the long ones of other tests.
pub struct Turn {
    device: Device,
    _turn: ReentrantMutexGuard<'static, ()>,
}

impl Deref for Turn {
    type Target = Device;

    fn deref(&self) -> &Device {
        &self.device
    }
}

/// The adapter that `WGPU_ADAPTER_NAME` names, else the best there is, software adapters included.
/// Opened once for a test binary; `None`, said loudly, where there is no adapter, unless `WGCONV_REQUIRE_GPU` is set.
pub fn any_gpu() -> Option<Turn> {
    first().map(in_turn)
}

/// The same, as a device of one test.
pub fn own_gpu() -> Option<Turn> {
    opened().map(in_turn)
}

fn in_turn(device: Device) -> Turn {
    static TURN: ReentrantMutex<()> = ReentrantMutex::new(());
    Turn { device, _turn: TURN.lock() }
}

fn first() -> Option<Device> {
    static FIRST: OnceLock<Option<Device>> = OnceLock::new();
    FIRST.get_or_init(opened).clone()
}

/// One of two devices of the adapter under test, always the same one for a key, for threads of a test that has its turn: they
/// run side by side, where one device would run one after the other, and each kernel is compiled on one of both alone if its name
/// is the key.
///
/// # Panics
///
/// If there is no adapter.
pub fn gpu_for(key: &str) -> Device {
    static SECOND: OnceLock<Option<Device>> = OnceLock::new();
    let device = if seed_of(key).is_multiple_of(2) { first() } else { SECOND.get_or_init(opened).clone() };
    device.expect("an adapter: there was one")
}

fn opened() -> Option<Device> {
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
