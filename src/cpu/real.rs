//! The element types that the CPU computes with.

use std::fmt::Debug;
use std::ops::{Add, AddAssign, Mul, Sub};
use std::sync::Arc;

use super::fft::transform::{Transform, Transforms};
use crate::problem::Element;

mod sealed {
    use super::{Arc, Transform, Transforms};

    pub trait Sealed: Sized {
        /// Of tiles of these lengths.
        fn transform(transforms: &Transforms, lengths: [usize; 3]) -> Arc<dyn Transform<Self>>;
    }

    impl Sealed for f32 {
        fn transform(transforms: &Transforms, lengths: [usize; 3]) -> Arc<dyn Transform<Self>> {
            transforms.single(lengths)
        }
    }

    impl Sealed for f64 {
        fn transform(transforms: &Transforms, lengths: [usize; 3]) -> Arc<dyn Transform<Self>> {
            transforms.double(lengths)
        }
    }
}

/// A floating-point type that the CPU computes with: [`f32`] or [`f64`]. Sealed.
pub trait Real:
    sealed::Sealed
    + Copy
    + Debug
    + Default
    + PartialEq
    + PartialOrd
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
