#![doc = include_str!("../README.md")]
// What only makes sense for a library; the lints of every target are in Cargo.toml.
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]
#![warn(clippy::missing_errors_doc, clippy::missing_panics_doc, clippy::doc_markdown)]
#![warn(clippy::cast_possible_truncation, clippy::print_stdout, clippy::print_stderr)]

pub mod algorithm;
mod algorithm_name;
pub mod cpu;
mod device;
mod error;
pub mod filters;
#[cfg(feature = "gpu")]
pub mod gpu;
#[doc = include_str!("guide.md")]
pub mod guide {}
pub mod kernel;
pub mod ndimage;
pub mod npy;
pub mod operation;
mod ops;
mod planner;
pub mod problem;
pub mod program;
pub mod signal;
pub mod theano;

pub use algorithm_name::Algorithm;
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
pub use planner::{Choice, Declined, Fallback, PlanOptions, Planner, Precision};
pub use problem::{
    Activation, Axis, Boundary, Conv, ConvProblem, ConvTranspose, Direction, Element, Epilogue, Layout,
    Layouts, Padding, PerAxis, ProblemError, Rounding, Source, TensorLayout, TransposedOutput,
};
pub use program::Peaks;

pub use half;
pub use ndarray;
#[cfg(feature = "gpu")]
pub use wgpu;
