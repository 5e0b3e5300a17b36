//! Runs with their time.

use std::time::Duration;
#[cfg(not(target_arch = "wasm32"))]
use std::time::Instant;

#[cfg(not(target_arch = "wasm32"))]
use ndarray::{ArrayD, ArrayView, Dimension};

#[cfg(not(target_arch = "wasm32"))]
use super::{Operands, Plan, Scalar, Tensor, wait};
#[cfg(not(target_arch = "wasm32"))]
use crate::error::Error;

/// How long a run took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// From the call to the result: of [`Plan::run_timed`](super::Plan::run_timed) on the host, transfers included; of
    /// [`Plan::run_on_timed`](super::Plan::run_on_timed) where the operands are, what reads the device's clock included.
    pub total: Duration,
    /// The kernels alone, on the device's clock; `None` where it has none (and on the CPU path).
    pub device: Option<Duration>,
}

#[cfg(not(target_arch = "wasm32"))]
impl Plan {
    /// [`Self::run`], with the time it took.
    ///
    /// # Errors
    ///
    /// As [`Self::run`].
    pub fn run_timed<'a, T: Scalar, D: Dimension>(
        &self,
        operands: Operands<'a, ArrayView<'a, T, D>>,
    ) -> Result<(ArrayD<T>, Timing), Error> {
        let start = Instant::now();
        let (result, device) = wait::block_on(self.result_of(operands, true, wait::BLOCKING))?;
        Ok((result, Timing { total: start.elapsed(), device }))
    }

    /// [`Self::run_on`], waited for, with the time it took.
    ///
    /// # Errors
    ///
    /// As [`Self::run_on`]; a device that is too slow.
    pub fn run_on_timed<'a>(&self, operands: &Operands<'a, &'a Tensor>) -> Result<(Tensor, Timing), Error> {
        let given = operands.clone().places();
        self.check(&given)?;
        let start = Instant::now();
        let (result, device) = wait::block_on(self.execute(&given, true, wait::BLOCKING))?;
        Ok((result, Timing { total: start.elapsed(), device }))
    }
}
