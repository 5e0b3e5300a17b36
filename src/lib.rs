//! Convolutions and their gradients in one, two and three dimensions, on any Vulkan, Metal or DX12 GPU and on the CPU. Strides, dilations, groups, six boundaries, any layout, f16 to f64; a bias, a residual and an activation in the same pass. The planner chooses among direct sums, matrix products and FFTs, and says why.
//!
//! ```
//! use wgconv::ndarray::{Array4, array};
//! use wgconv::{Conv, Padding, conv2d};
//!
//! let x = Array4::<f32>::ones((1, 1, 4, 4)); // [n, c_in, height, width]
//! let w = array![[[[1., 1., 1.], [1., 2., 1.], [1., 1., 1.]]]]; // [c_out, c_in / groups, 3, 3]
//! let y = conv2d(&x, &w, &Conv::default().padding(Padding::Same))?;
//! assert_eq!(y[[0, 0, 1, 1]], 10.0); // all nine taps,
//! assert_eq!(y[[0, 0, 0, 0]], 5.0); // and in a corner four of them
//! # Ok::<(), wgconv::Error>(())
//! ```
//!
//! The kernel is not flipped, as in deep learning; [`Conv::flip`] gives true convolution. The element type follows the arrays: `f32`, `f64` or [`half::f16`].
//!
//! # Three directions
//!
//! A convolution computes `y` from `x` and `w`. Its gradient with respect to `x` is the transposed convolution, and its gradient with respect to `w` is the weight gradient. All three are one [`ConvProblem`] with a [`Direction`], and every algorithm supports all of them.
//!
//! ```
//! use wgconv::ndarray::array;
//! use wgconv::{Conv, conv1d, conv1d_grad_input, conv1d_grad_weight};
//!
//! let (x, w) = (array![[[1f32, 2., 3., 4.]]], array![[[1f32, 10.]]]);
//! let conv = Conv::default();
//! let y = conv1d(&x, &w, &conv)?;
//! assert_eq!(y, array![[[21., 32., 43.]]]);
//!
//! let dy = array![[[1f32, 0., 2.]]];
//! assert_eq!(conv1d_grad_input(&dy, &w, [1, 1, 4], &conv)?, array![[[1., 10., 2., 20.]]]);
//! assert_eq!(conv1d_grad_weight(&x, &dy, [1, 1, 2], &conv)?, array![[[7., 10.]]]);
//! # Ok::<(), wgconv::Error>(())
//! ```
//!
//! # Plan once, run often
//!
//! A one-liner plans anew in every call. Planning checks the problem, chooses an algorithm and compiles shaders; preparing uploads the weights and packs or transforms them. Keep both:
//!
//! ```
//! use wgconv::ndarray::Array4;
//! use wgconv::{Conv, ConvProblem, Device, Operands, PlanOptions};
//!
//! let device = Device::new()?;
//! let problem = ConvProblem::new(&[8, 3, 32, 32], &[16, 3, 3, 3], &Conv::default().stride(2))?;
//! let plan = device.plan(&problem, &PlanOptions::default())?;
//! println!("{}", plan.explain()); // device, algorithm, launches, workspace, and why not another
//!
//! let weights = plan.prepare(&Array4::<f32>::ones((16, 3, 3, 3)))?;
//! let x = Array4::<f32>::ones((8, 3, 32, 32));
//! let y = plan.run(Operands { input: x.view(), weight: (&weights).into(), ..Default::default() })?;
//! assert_eq!(y.shape(), [8, 16, 15, 15]);
//!
//! // Tensors stay on the device from one convolution to the next.
//! let x = device.upload(&x)?;
//! let y = plan.run_on(&Operands { input: &x, weight: (&weights).into(), ..Default::default() })?;
//! assert_eq!(y.download::<f32>()?[[0, 0, 0, 0]], 27.0);
//! # Ok::<(), wgconv::Error>(())
//! ```
//!
//! # Where to find what
//!
//! **One-liners on ndarray views**, for rank 1, 2 and 3: [`conv2d`], [`conv2d_bias`], [`conv_transpose2d`], [`conv2d_grad_input`], [`conv2d_grad_weight`], [`conv2d_grad_bias`].
//!
//! **Describing a convolution:**
//! - [`Conv`]: all parameters but the shapes. [`ConvProblem`]: the shapes joined with them, checked, in one [`Direction`]; it answers by [`Axis`] which cell a tap reads, a [`Source`].
//! - [`ConvTranspose`], [`TransposedOutput`]: transposed convolution with output padding or an output shape.
//! - [`Padding`], [`Boundary`], [`Rounding`]: how the kernel passes the border. [`PerAxis`]: a number for all axes or one for each.
//! - [`Layout`], [`Layouts`], [`TensorLayout`]: the order of axes in device buffers. [`Element`]: f32, f16, f64.
//! - [`Epilogue`], [`Activation`]: `act(alpha·y + beta·residual + bias)`.
//!
//! **Running:**
//! - [`Device`], [`DeviceChoice`]: a GPU or the CPU path.
//! - [`Plan`], [`PlanOptions`], [`Algorithm`], [`Precision`], [`Fallback`]: what runs, and by which algorithm.
//! - [`Operands`], [`Weight`], [`PreparedWeights`]: what it runs on. [`Tensor`]: what stays on the device. [`HostArray`], [`HostView`]: arrays whose element a problem names. [`Operand`], [`Scalar`]: the traits of operands and of their elements.
//! - [`Timing`], [`Peaks`]: how long it takes, and what the device can do at most.
//!
//! **Inside an app's own wgpu device**, with the feature `gpu`: `Device::from_wgpu` borrows the device; `Plan::encode_prepare` and `Plan::encode` record into its encoder, on buffers described by `BufferOperands` and `BufferSlice`; a `SliceProblem` says how one does not fit. Nothing is submitted but what the app submits.
//!
//! **Classic operations** under their original names; [`guide`] says which one to take. Each makes an [`Operation`], plain data with gradients of any order, for which a device makes an [`OperationPlan`].
//! - [`theano`]: [`SignalConv2d`](theano::SignalConv2d), [`NnetConv`](theano::NnetConv), [`ConvFft`](theano::ConvFft), [`Conv3d`](theano::Conv3d), [`Conv3d2d`](theano::Conv3d2d), [`CorrMm`](theano::CorrMm), [`CausalConv1d`](theano::CausalConv1d), [`SeparableConv`](theano::SeparableConv) and [`CudaConvnet`](theano::CudaConvnet); what a caller declares of a shape is a [`Hint`](theano::Hint); [`BilinearUpsampling`](theano::BilinearUpsampling) by a [`Ratio`](theano::Ratio); [`Flags`](theano::Flags) as Theano writes them, or an [`UnknownFlag`](theano::UnknownFlag).
//! - [`signal`] (scipy): [`Convolve`](signal::Convolve) and [`Convolve2d`](signal::Convolve2d) with a [`Mode`](signal::Mode) and a [`Method`](signal::Method), of integers and floats: any [`Sample`](signal::Sample).
//! - [`ndimage`] (scipy): [`Filter`](ndimage::Filter) with an [`Origin`](ndimage::Origin).
//! - [`operation`], what these are made of: an [`OperationBuilder`](operation::OperationBuilder) adds a [`Step`](operation::Step) for each convolution; an [`Argument`](operation::Argument) has a [`Role`](operation::Role) and a [`View`](operation::View), which is a row of [`Change`](operation::Change)s of a [`ArgumentSource`](operation::ArgumentSource): an array of the caller, the result of an earlier step or a [`Constant`](operation::Constant).
//!
//! **Image kernels:** [`filters`], or a [`FilterError`](filters::FilterError).
//!
//! **Errors:** [`Error`], with one variant per cause, and [`ErrorKind`], one word for each. A caller's input never makes a plan or a run panic. What the variants hold: [`ProblemError`], [`OperandError`], [`OperationError`], with the feature `gpu` `GpuError`, and [`Declined`], the algorithms with the [`Reason`] why each does not run: left out by the options, or a fact that it [`Cannot`] help, such as a [`Resource`] of which the problem needs too much.
//!
//! # Devices
//!
//! [`Device::new`] takes a hardware GPU if there is one, and the CPU path otherwise. [`Device::cpu`] is the CPU path, [`Device::open`] takes a [`DeviceChoice`], and the one-liners share [`Device::shared`]. What no GPU algorithm supports falls back to the CPU path when it is planned, with a warning in the log; [`Fallback::Error`] forbids it. Software adapters are taken only when they are named, because the CPU path is faster.
//!
//! Every blocking function has an asynchronous twin: `open_async`, `plan_async`, `run_async`.
//!
//! # Accuracy
//!
//! With `K` products per element, the unit roundoff `u` and `mag` the sum of absolute values, each element of a result in f32 or f64 is within `(2·√K + 8)·u·mag` of the exact sum, by every algorithm but `fft`, as the tests compare it. f16 is storage: sums are in f32, and the result is rounded once more. The same plan on the same device gives the same bits.
//!
//! [`Algorithm::Fft`] holds its bound relative to the whole result, so small values beside large ones may lose their digits, and integers are rounded. [`Precision::Auto`] takes it only where 16 or more channels of a group are summed, or where it was asked for.
//!
//! # Features
//!
//! | feature | default | brings |
//! |---|---|---|
//! | `gpu` | yes | the GPU path: wgpu |
//!
//! Without `gpu` the crate is the CPU path alone and depends on no graphics stack. The program `wgconv` is the package `wgconv-cli`.
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
mod geometry;
#[cfg(feature = "gpu")]
mod gpu;
mod implementation;
mod kernel;
mod ops;
mod planner;
mod problem;
mod program;
mod target;

pub use algorithm_name::Algorithm;
pub use classic::{guide, ndimage, operation, signal, theano};
pub use device::{
    Device, DeviceChoice, HostArray, HostView, Operand, OperandError, Operands, OperationPlan, Plan,
    PreparedWeights, Scalar, Tensor, Timing, Weight, reserve,
};
pub use error::{Error, ErrorKind};
#[cfg(feature = "gpu")]
pub use gpu::{BufferOperands, BufferSlice, GpuError, SliceProblem};
pub use implementation::{Cannot, Resource};
pub use operation::{Operation, OperationError};
pub use ops::{
    conv_transpose1d, conv_transpose2d, conv_transpose3d, conv1d, conv1d_bias, conv1d_grad_bias,
    conv1d_grad_input, conv1d_grad_weight, conv2d, conv2d_bias, conv2d_grad_bias, conv2d_grad_input,
    conv2d_grad_weight, conv3d, conv3d_bias, conv3d_grad_bias, conv3d_grad_input, conv3d_grad_weight,
};
pub use planner::{Declined, Fallback, PlanOptions, Precision, Reason};
pub use problem::{
    Activation, Axis, Boundary, Conv, ConvProblem, ConvTranspose, Direction, Element, Epilogue, Layout,
    Layouts, Padding, PerAxis, ProblemError, Rounding, Source, TensorLayout, TransposedOutput,
};
pub use target::Peaks;

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
    /// What algorithms of both backends have in common.
    pub mod implementation {
        pub use crate::implementation::*;
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
    /// Launches as data.
    pub mod program {
        pub use crate::program::*;
    }
    /// The devices that launches are made for, as data.
    pub mod target {
        pub use crate::target::*;
    }
}

/// The README's code is compiled and run with the tests of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
