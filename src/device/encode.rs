//! Runs recorded into an app's own encoder.

use super::plan::Plan;
use super::{OperandError, wait};
use crate::error::Error;
use crate::gpu::{BufferOperands, BufferSlice, GpuPlan};

impl Plan {
    /// Records one run into an app's encoder: nothing is submitted, no callback is set.
    ///
    /// # Errors
    ///
    /// [`GpuError::Slice`](crate::GpuError) for a slice that does not fit its role;
    /// [`OperandError::OtherDevice`] for a plan on the CPU path.
    pub fn encode(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        operands: &BufferOperands<'_>,
    ) -> Result<(), Error> {
        Ok(wait::block_on(self.for_encoder()?.encode(encoder, operands))?)
    }

    /// Records what brings weights, in the plan's layout, into the form that [`Self::encode`] reads: once for all runs
    /// with them. `prepared` holds [`Self::prepared_bytes`]. A plan that uses weights as they are copies them; its `weight` needs
    /// `BufferUsages::COPY_SRC` and `prepared` needs `COPY_DST`, else both need `STORAGE`.
    ///
    /// # Errors
    ///
    /// As for [`Self::encode`].
    pub fn encode_prepare(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        weight: BufferSlice<'_>,
        prepared: BufferSlice<'_>,
    ) -> Result<(), Error> {
        Ok(wait::block_on(self.for_encoder()?.encode_prepare(encoder, weight, prepared))?)
    }

    fn for_encoder(&self) -> Result<&GpuPlan, OperandError> {
        self.gpu().ok_or(OperandError::OtherDevice { role: "encoder" })
    }
}
