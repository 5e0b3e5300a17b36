//! The Fourier transforms of the CPU path of `wgconv`: those of [`realfft`] and [`rustfft`] for f32 and f64.
//!
//! Both are generic over the element, so they are compiled where they are used: half of what `wgconv` would take to compile. Here
//! that happens once, however often `wgconv` itself changes.

use std::sync::Arc;

use realfft::RealFftPlanner;
pub use realfft::{ComplexToReal, RealToComplex};
use rustfft::FftPlanner;
pub use rustfft::num_complex::Complex;
pub use rustfft::{Fft, FftNum};

/// Forward and inverse transforms of complex numbers.
pub type ComplexPair<T> = (Arc<dyn Fft<T>>, Arc<dyn Fft<T>>);

/// Forward transforms of real numbers, and their inverse.
pub type RealPair<T> = (Arc<dyn RealToComplex<T>>, Arc<dyn ComplexToReal<T>>);

/// An element that has transforms: f32 or f64.
pub trait FftReal: FftNum {
    /// The transforms of `length` complex numbers, neither of which is normalised.
    fn complex(length: usize) -> ComplexPair<Self>;

    /// The transforms of `length` real numbers, neither of which is normalised.
    fn real(length: usize) -> RealPair<Self>;
}

macro_rules! element {
    ($real:ty) => {
        impl FftReal for $real {
            fn complex(length: usize) -> ComplexPair<Self> {
                let mut planner = FftPlanner::new();
                (planner.plan_fft_forward(length), planner.plan_fft_inverse(length))
            }

            fn real(length: usize) -> RealPair<Self> {
                let mut planner = RealFftPlanner::new();
                (planner.plan_fft_forward(length), planner.plan_fft_inverse(length))
            }
        }
    };
}

element!(f32);
element!(f64);
