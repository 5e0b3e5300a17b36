//! The peaks of a device: there, finite, and of the clock that the device has. How high they are is a benchmark's matter.

use wgconv::{Device, Peaks};
#[cfg(feature = "gpu")]
use wgconv_testing::{any_gpu, report};

#[test]
fn the_cpu_copies() {
    let peaks = Device::cpu().probe().expect("peaks");
    assert!(peaks.copy_bytes_per_second.is_some_and(|rate| rate.is_finite() && rate > 1e6), "{peaks:?}");
    assert_eq!((peaks.fma_flops, peaks.least, peaks.device_clock), (None, None, false));
    assert_ne!(peaks, Peaks::default());
}

#[cfg(feature = "gpu")]
#[test]
fn a_gpu_multiplies_and_copies() {
    let Some(device) = any_gpu() else { return };
    let peaks = device.probe().expect("peaks");
    report(&format!("{}: {peaks:?}", device.name()));
    for rate in [peaks.fma_flops, peaks.copy_bytes_per_second] {
        assert!(rate.is_some_and(|rate| rate.is_finite() && rate > 1e6), "{peaks:?}");
    }
    assert!(peaks.least.is_some(), "{peaks:?}");
    let timestamps = device.gpu().expect("a GPU").target().features.timestamps;
    assert_eq!(peaks.device_clock, timestamps);
}
