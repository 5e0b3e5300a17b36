//! What the device does at most.

#[cfg(feature = "gpu")]
use super::wait;
use super::{Backend, Device};
use crate::cpu;
use crate::error::Error;
use crate::target::Peaks;

impl Device {
    /// Measures what the device does at most, in about a second: multiply-adds and nothing else, then copies and nothing
    /// else, each the best of several runs whose results are checked. Numbers of one process are comparable; a device that
    /// computes for others meanwhile gives less.
    ///
    /// # Errors
    ///
    /// `GpuError::SelfTestFailed` for a result that is wrong; a device that lacks the memory, or is lost.
    pub fn probe(&self) -> Result<Peaks, Error> {
        match &self.0 {
            #[cfg(feature = "gpu")]
            Backend::Gpu(gpu) => Ok(wait::block_on(gpu.peaks(wait::BLOCKING))?),
            Backend::Cpu(()) => {
                Ok(Peaks { copy_bytes_per_second: cpu::copy_bytes_per_second(), ..Peaks::default() })
            }
        }
    }
}
