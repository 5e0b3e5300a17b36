//! Weights in the form that a plan reads.

use std::sync::Arc;

use super::Scalar;
use crate::cpu::{CpuPlan, CpuWeights, Real};

#[cfg(feature = "gpu")]
use crate::gpu::GpuWeights;

/// Weights brought once into the form that a plan wants: uploaded, packed or transformed.
#[derive(Clone, Debug)]
pub struct PreparedWeights(pub(super) PreparedOn);

#[derive(Clone, Debug)]
pub(super) enum PreparedOn {
    #[cfg(feature = "gpu")]
    Gpu(GpuWeights),
    CpuF32(CpuWeights<f32>, Arc<CpuPlan>),
    CpuF64(CpuWeights<f64>, Arc<CpuPlan>),
}

impl PreparedWeights {
    #[cfg(feature = "gpu")]
    pub(super) fn gpu(&self) -> Option<&GpuWeights> {
        if let PreparedOn::Gpu(weights) = &self.0 { Some(weights) } else { None }
    }

    pub(super) fn cpu<T: Scalar + Real>(&self) -> Option<CpuWeights<T>> {
        let any: &dyn std::any::Any = match &self.0 {
            PreparedOn::CpuF32(weights, _) => weights,
            PreparedOn::CpuF64(weights, _) => weights,
            #[cfg(feature = "gpu")]
            PreparedOn::Gpu(_) => return None,
        };
        any.downcast_ref::<CpuWeights<T>>().cloned()
    }
}
