//! The algorithms that the GPU has, and what each makes of a problem.

mod depthwise;
mod direct;
mod fft;
mod im2col_gemm;
mod implicit_gemm;
mod shared;
mod split;

use std::sync::LazyLock;

pub use crate::algorithm_name::Algorithm;
pub use crate::implementation::{Candidate, Cannot, Config, Implementation, PlanContext, Resource};
pub use depthwise::DepthwiseConfig;
pub use direct::DirectConfig;
pub use fft::FftConfig;

use crate::implementation::{by_name, names};
use crate::problem::ConvProblem;
use crate::program::Program;
use split::Split;

/// Every algorithm that the GPU has: a new one is a row here. Of two that are estimated to take as long the first is chosen.
pub const GPU: &[&dyn Implementation<Program>] = &[
    &Split::of(fft::GpuFft),
    &Split::of(depthwise::Depthwise),
    &Split::of(implicit_gemm::ImplicitGemm),
    &Split::of_trading(im2col_gemm::Im2colGemm),
    &Split::of(direct::GpuDirect),
];

#[doc(hidden)]
impl Algorithm {
    /// The names of [`GPU`].
    pub fn on_gpu() -> &'static [Self] {
        static NAMES: LazyLock<Vec<Algorithm>> = LazyLock::new(|| names(GPU));
        &NAMES
    }

    /// What it makes of `problem` on a GPU.
    ///
    /// # Errors
    ///
    /// The fact that rules it out.
    pub fn plan(
        self,
        problem: &ConvProblem,
        context: &PlanContext,
    ) -> Result<Vec<Candidate<Program>>, Cannot> {
        by_name(GPU, self)?.plan(problem, context)
    }
}
