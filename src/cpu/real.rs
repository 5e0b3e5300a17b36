//! The element types that the CPU computes with.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Mul, Sub};
use std::sync::Arc;

use super::fft::transform::{Transform, Transforms};
use crate::problem::Element;

mod sealed {
    use ndarray::{ArrayD, ArrayViewD};

    use super::{Arc, Transform, Transforms};
    use crate::cpu::memory::OutOfMemory;
    use crate::cpu::{CpuOperands, CpuPlan, CpuWeights};

    pub trait SealedReal: Sized {
        /// Of tiles of these lengths.
        fn transform(transforms: &Transforms, lengths: [usize; 3]) -> Arc<dyn Transform<Self>>;

        /// [`CpuPlan::run`]. A method of each type, so that the loops are compiled once, in this crate: what is generic is
        /// compiled anew in every crate that calls it.
        fn run(
            plan: &CpuPlan,
            operands: &CpuOperands<'_, Self>,
            prepared: Option<&CpuWeights<Self>>,
        ) -> Result<ArrayD<Self>, OutOfMemory>;

        /// [`CpuPlan::prepare`], for the same reason.
        fn prepare(plan: &CpuPlan, weight: ArrayViewD<'_, Self>) -> Result<CpuWeights<Self>, OutOfMemory>;
    }

    macro_rules! sealed {
        ($real:ty, $transform:ident) => {
            impl SealedReal for $real {
                fn transform(transforms: &Transforms, lengths: [usize; 3]) -> Arc<dyn Transform<Self>> {
                    transforms.$transform(lengths)
                }

                fn run(
                    plan: &CpuPlan,
                    operands: &CpuOperands<'_, Self>,
                    prepared: Option<&CpuWeights<Self>>,
                ) -> Result<ArrayD<Self>, OutOfMemory> {
                    plan.run_in(operands, prepared)
                }

                fn prepare(
                    plan: &CpuPlan,
                    weight: ArrayViewD<'_, Self>,
                ) -> Result<CpuWeights<Self>, OutOfMemory> {
                    plan.prepare_in(weight)
                }
            }
        };
    }

    sealed!(f32, single);
    sealed!(f64, double);
}

/// A floating-point type that the CPU computes with: [`f32`] or [`f64`]. Sealed.
pub trait Real:
    sealed::SealedReal
    + Copy
    + Debug
    + Default
    + PartialEq
    + PartialOrd
    + bytemuck::Zeroable
    + Add<Output = Self>
    + Sub<Output = Self>
    + AddAssign
    + Mul<Output = Self>
    + Send
    + Sync
    + 'static
{
    /// Its name in a problem.
    const ELEMENT: Element;

    /// Largest relative error of one rounding, the `u` of the error bounds.
    const UNIT_ROUNDOFF: f64;

    /// Result channels that `Direct` sums side by side: as many as leave its sums in 16 vector registers of 16 bytes.
    #[doc(hidden)]
    const CHANNEL_BLOCK: usize;

    /// `value` rounded to nearest.
    fn from_f64(value: f64) -> Self;

    /// The same number in double precision.
    fn to_f64(self) -> f64;

    /// Neither infinite nor NaN.
    fn is_finite(self) -> bool;
}

impl Real for f32 {
    const ELEMENT: Element = Element::F32;
    const UNIT_ROUNDOFF: f64 = 1.0 / (1u64 << 24) as f64;
    const CHANNEL_BLOCK: usize = 4;

    #[allow(clippy::cast_possible_truncation, reason = "rounding is what the function is for")]
    fn from_f64(value: f64) -> Self {
        value as Self
    }

    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    fn is_finite(self) -> bool {
        self.is_finite()
    }
}

impl Real for f64 {
    const ELEMENT: Element = Element::F64;
    const UNIT_ROUNDOFF: Self = 1.0 / (1u64 << 53) as Self;
    const CHANNEL_BLOCK: usize = 2;

    fn from_f64(value: Self) -> Self {
        value
    }

    fn to_f64(self) -> Self {
        self
    }

    fn is_finite(self) -> bool {
        self.is_finite()
    }
}

/// Adds `value` to `sum` and carries along what the addition loses (Kahan), unless the sum is not finite.
pub(super) fn add_exactly<T: Real>(sum: &mut T, lost: &mut T, value: T) {
    let value = value - *lost;
    let next = *sum + value;
    let less = next - *sum - value;
    (*lost, *sum) = (if less.is_finite() { less } else { T::default() }, next);
}
