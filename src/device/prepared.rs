//! Weights in the form that a plan reads.

use std::sync::Arc;

use super::{Backend, PerBackend, Scalar};
use crate::cpu::{CpuPlan, CpuWeights, Real};

#[cfg(feature = "gpu")]
use crate::gpu::GpuWeights;

/// Weights brought once into the form that a plan wants: uploaded, packed or transformed.
#[derive(Clone, Debug)]
pub struct PreparedWeights(pub(super) Backend<PreparedKind>);

/// What prepared weights are.
pub(super) struct PreparedKind;

impl PerBackend for PreparedKind {
    #[cfg(feature = "gpu")]
    type Gpu = GpuWeights;
    type Cpu = PreparedOnCpu;
}

/// Weights of either element, with the plan that prepared them.
#[derive(Clone, Debug)]
pub(super) enum PreparedOnCpu {
    F32(CpuWeights<f32>, Arc<CpuPlan>),
    F64(CpuWeights<f64>, Arc<CpuPlan>),
}

impl PreparedOnCpu {
    pub(super) fn are_of(&self, plan: &Arc<CpuPlan>) -> bool {
        let (Self::F32(_, of) | Self::F64(_, of)) = self;
        Arc::ptr_eq(plan, of)
    }
}

impl PreparedWeights {
    #[cfg(feature = "gpu")]
    pub(super) fn gpu(&self) -> Option<&GpuWeights> {
        self.0.gpu()
    }

    pub(super) fn cpu<T: Scalar + Real>(&self) -> Option<&CpuWeights<T>> {
        let any: &dyn std::any::Any = match self.0.cpu()? {
            PreparedOnCpu::F32(weights, _) => weights,
            PreparedOnCpu::F64(weights, _) => weights,
        };
        any.downcast_ref()
    }
}
