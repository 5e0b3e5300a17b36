//! Convolution on any Vulkan, Metal or DX12 GPU, and on the CPU.
// The lints of every target are in Cargo.toml; these make sense for a library alone.
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]
#![warn(clippy::missing_errors_doc, clippy::missing_panics_doc, clippy::doc_markdown)]
#![warn(clippy::cast_possible_truncation, clippy::print_stdout, clippy::print_stderr)]

mod algorithm;
mod algorithm_name;
mod classic;
mod cpu;
mod device;
mod error;
pub mod filters;
#[cfg(feature = "gpu")]
mod gpu;
mod kernel;
mod ops;
mod planner;
mod problem;
mod program;

pub use algorithm::Unsupported;
pub use algorithm_name::Algorithm;
pub use classic::{guide, ndimage, operation, signal, theano};
pub use cpu::CpuUnsupported;
pub use device::{
    Device, DeviceChoice, HostArray, HostView, Operand, OperandError, Operands, OperationPlan, Plan,
    PreparedWeights, Scalar, Tensor, Timing, Weight,
};
pub use error::{Error, ErrorKind};
#[cfg(feature = "gpu")]
pub use gpu::{BufferOperands, BufferSlice, GpuError};
pub use operation::{Operation, OperationError};
pub use ops::{
    conv_transpose1d, conv_transpose2d, conv_transpose3d, conv1d, conv1d_grad_bias, conv1d_grad_input,
    conv1d_grad_weight, conv2d, conv2d_grad_bias, conv2d_grad_input, conv2d_grad_weight, conv3d,
    conv3d_grad_bias, conv3d_grad_input, conv3d_grad_weight,
};
pub use planner::{Declined, Fallback, PlanOptions, Precision};
pub use problem::{
    Activation, Axis, Boundary, Conv, ConvProblem, ConvTranspose, Direction, Element, Epilogue, Layout,
    Layouts, Padding, PerAxis, ProblemError, Rounding, Source, TensorLayout, TransposedOutput,
};
pub use program::Peaks;

pub use half;
pub use ndarray;
#[cfg(feature = "gpu")]
pub use wgpu;

/// What plans are made of, for the tests and the command line of this crate. Anything here may change in any release.
#[doc(hidden)]
pub mod internals {
    /// How each algorithm lowers a problem to launches.
    pub mod algorithm {
        pub use crate::algorithm::*;
    }
    /// The CPU path below plans, and the reference.
    pub mod cpu {
        pub use crate::cpu::*;
    }
    /// The GPU below plans.
    #[cfg(feature = "gpu")]
    pub mod gpu {
        pub use crate::gpu::*;
    }
    /// Kernels, their constants and their params.
    pub mod kernel {
        pub use crate::kernel::*;
    }
    /// The choice among algorithms.
    pub mod planner {
        pub use crate::planner::*;
    }
    /// Problems as they are described inside.
    pub mod problem {
        pub use crate::problem::*;
    }
    /// Launches as data, and the devices that they are made for.
    pub mod program {
        pub use crate::program::*;
    }
}

/// The README's code is compiled and run with the tests of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
