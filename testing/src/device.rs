//! The adapter under test.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{ReentrantMutex, ReentrantMutexGuard};
use wgconv::{Device, DeviceChoice, ErrorKind};

use crate::report::{be_strict, report};
use crate::values::seed_of;

/// A device of the adapter under test, in turn: as many tests have one at a time as there are lanes. A software adapter works off
/// what is submitted to a device one after the other, so a short run would wait for the long ones of other tests; and it compiles
/// kernels on one core for each device.
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
/// Opened once for a lane; `None`, said loudly, where there is no adapter, unless one was named or `WGCONV_REQUIRE_GPU` is set.
///
/// # Panics
///
/// If there is an adapter that gives no device or computes wrongly.
pub fn any_gpu() -> Option<Turn> {
    let (lane, turn) = turn();
    Some(Turn { device: shared(lane)?, _turn: turn })
}

/// The same, as a device of one test.
pub fn own_gpu() -> Option<Turn> {
    let (_, turn) = turn();
    Some(Turn { device: opened()?, _turn: turn })
}

const LANES: usize = 3;

/// The lane of this thread, of which it has the turn: one that is free when it first asks, if there is one.
fn turn() -> (usize, ReentrantMutexGuard<'static, ()>) {
    static TURNS: [ReentrantMutex<()>; LANES] = [const { ReentrantMutex::new(()) }; LANES];
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static LANE: Cell<Option<usize>> = const { Cell::new(None) });
    if let Some(lane) = LANE.get() {
        return (lane, TURNS[lane].lock());
    }
    let free = TURNS.iter().enumerate().find_map(|(lane, turn)| Some((lane, turn.try_lock()?)));
    let (lane, turn) = free.unwrap_or_else(|| {
        let lane = NEXT.fetch_add(1, Ordering::Relaxed) % LANES;
        (lane, TURNS[lane].lock())
    });
    LANE.set(Some(lane));
    (lane, turn)
}

/// The device that the tests of a lane share.
fn shared(lane: usize) -> Option<Device> {
    static SHARED: [OnceLock<Option<Device>>; LANES] = [const { OnceLock::new() }; LANES];
    SHARED[lane].get_or_init(opened).clone()
}

/// One of the lanes' devices, always the same one for a key, for threads of a test that has its turn: they
/// run side by side, where one device would run one after the other, and each kernel is compiled on one of them alone if its name
/// is the key.
///
/// # Panics
///
/// If there is no adapter.
pub fn gpu_for(key: &str) -> Device {
    #[allow(clippy::cast_possible_truncation, reason = "there are few lanes")]
    let lane = (seed_of(key) % LANES as u64) as usize;
    shared(lane).expect("an adapter: there was one")
}

fn opened() -> Option<Device> {
    be_strict();
    let name = std::env::var("WGPU_ADAPTER_NAME").unwrap_or_default();
    let (named, is_required) = (!name.is_empty(), std::env::var_os("WGCONV_REQUIRE_GPU").is_some());
    match Device::open(&DeviceChoice::Named(name)) {
        Ok(device) => {
            static SAID: OnceLock<()> = OnceLock::new();
            SAID.get_or_init(|| report(&format!("adapter: {}", device.name())));
            Some(device)
        }
        // One that was named is required.
        Err(e) if e.kind() == ErrorKind::NoAdapter && !named && !is_required => {
            report(&format!("SKIPPED, no adapter: {e}"));
            None
        }
        // One that fails its self-test, for instance, computes wrongly.
        Err(e) => panic!("the adapter under test: {e}"),
    }
}
