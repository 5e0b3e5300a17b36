//! Theano's convolutions by their own names, parameters and layouts: each is the crate's one primitive, seen in its way.
//!
//! The [guide](crate::guide) says which operation is for what and how each maps to the primitive. The functions here compute on
//! the [shared device](crate::Device::shared); behind each stands a description (such as [`NnetConv`]) whose methods give
//! the [`Operation`], to plan once on a device of one's own, to explain, or to differentiate.
//!
//! ```
//! use wgconv::ndarray::array;
//! use wgconv::theano::{NnetConv, nnet_conv2d};
//! use wgconv::{Device, Element, Padding, PlanOptions};
//!
//! let x = array![[[[1f32, 2., 3.], [4., 5., 6.], [7., 8., 9.]]]];
//! let w = array![[[[1f32, 2.], [3., 4.]]]];
//! let valid = NnetConv::default();
//! assert_eq!(nnet_conv2d(&x, &w, &valid)?, array![[[[23., 33.], [53., 63.]]]]);
//!
//! // The same on a device of one's own, and the gradient by the filters (operand 1).
//! let operation = valid.forward(2, x.shape(), w.shape())?;
//! let gradient = operation.gradient(1)?;
//! let plan = Device::cpu().plan_operation(&gradient, Element::F32, &PlanOptions::default())?;
//! let h = array![[[[1f32, 2.], [3., 4.]]]];
//! let dw = plan.run(&[x.view().into_dyn(), w.view().into_dyn(), h.view().into_dyn()])?;
//! assert_eq!(dw, array![[[[77., 67.], [47., 37.]]]].into_dyn());
//! # Ok::<(), wgconv::Error>(())
//! ```
//!
//! Sources: Theano 1.0.5 (`tensor/nnet/abstract_conv.py`, `corr.py`, `conv3d2d.py`, `tensor/signal/conv.py`), Theano 0.9
//! (`Conv3D.py`, `ConvTransp3D.py`, `ConvGrad3D.py`, `sandbox/cuda/fftconv.py`) and pylearn2's wrapper of cuda-convnet.

/// Functions that set a field and leave the others as they are; the first list takes whatever becomes the type.
macro_rules! setters {
    (($($field:ident: $ty:ty),*) ($($plain:ident: $is:ty),*)) => {
        $(
            #[doc = concat!("Sets [`Self::", stringify!($field), "`].")]
            #[must_use]
            pub fn $field(self, $field: impl Into<$ty>) -> Self {
                Self { $field: $field.into(), ..self }
            }
        )*
        $(
            #[doc = concat!("Sets [`Self::", stringify!($plain), "`].")]
            #[must_use]
            pub fn $plain(self, $plain: $is) -> Self {
                Self { $plain, ..self }
            }
        )*
    };
}

mod bilinear;
mod causal;
mod conv3d;
mod conv3d2d;
mod corr_mm;
mod cuda_convnet;
mod fft;
mod flags;
mod nnet;
mod separable;
mod signal_conv2d;

use crate::classic::operation::{Operation, OperationError, Role, View};
use crate::problem::{ConvProblem, Padding, ProblemError};

pub use bilinear::{BilinearUpsampling, Ratio, bilinear_kernel_1d, bilinear_upsampling};
pub use causal::{CausalConv1d, causal_conv1d};
pub use conv3d::{Conv3d, conv_grad3d, conv_transp3d, conv3d};
pub use conv3d2d::{Conv3d2d, conv3d2d};
pub use corr_mm::{
    CorrMm, corr_mm, corr_mm_grad_inputs, corr_mm_grad_weights, corr3d_mm, corr3d_mm_grad_inputs,
    corr3d_mm_grad_weights,
};
pub use cuda_convnet::{CudaConvnet, filter_acts, image_acts, weight_acts};
pub use fft::{ConvFft, conv2d_fft, conv3d_fft};
pub use flags::{Flags, UnknownFlag};
pub use nnet::{
    NnetConv, conv2d_transpose, conv3d_transpose, nnet_conv2d, nnet_conv2d_grad_inputs,
    nnet_conv2d_grad_weights, nnet_conv3d, nnet_conv3d_grad_inputs, nnet_conv3d_grad_weights,
};
pub use separable::{SeparableConv, separable_conv2d, separable_conv3d};
pub use signal_conv2d::{SignalConv2d, signal_conv2d};

/// What a caller declares of an operand's shape, checked when the operand comes: nothing, or an extent per axis, each of
/// which may be left open.
pub type Hint = Option<Vec<Option<usize>>>;

fn check_axes(
    operand: &'static str,
    shape: &[usize],
    allowed: &[usize],
    wanted: &'static str,
) -> Result<(), OperationError> {
    let got = shape.len();
    if allowed.contains(&got) { Ok(()) } else { Err(OperationError::Axes { operand, wanted, got }) }
}

/// Of the activations of a convolution of rank 2 or 3.
const ACTIVATIONS: &str = "4 (b, c, rows, columns) in 2-D, 5 in 3-D";

/// Activations of a convolution of this rank, which must be 2 or 3.
fn check_activations(operand: &'static str, shape: &[usize], rank: usize) -> Result<(), OperationError> {
    if ![2, 3].contains(&rank) {
        let (what, wanted) = ("rank", "2 or 3".into());
        return Err(OperationError::Parameter { what, wanted, got: rank.to_string() });
    }
    check_axes(operand, shape, &[rank + 2], ACTIVATIONS)
}

/// Filters of a convolution of this rank.
fn check_filters(
    operand: &'static str,
    shape: &[usize],
    rank: usize,
    unshared: bool,
) -> Result<(), OperationError> {
    if unshared {
        return check_axes(
            operand,
            shape,
            &[2 * rank + 2],
            "6 (o, positions, c/groups, rows, columns) in 2-D, 8 in 3-D",
        );
    }
    check_axes(operand, shape, &[rank + 2], "4 (o, c/groups, rows, columns) in 2-D, 5 in 3-D")
}

fn check_hint(
    hint: &'static str,
    declared: &Hint,
    operand: &'static str,
    shape: &[usize],
) -> Result<(), OperationError> {
    let Some(declared) = declared else { return Ok(()) };
    let agrees = declared.len() == shape.len()
        && declared.iter().zip(shape).all(|(declared, got)| declared.is_none_or(|d| d == *got));
    let declared = declared.clone();
    if agrees { Ok(()) } else { Err(OperationError::Hint { hint, operand, declared, got: shape.to_vec() }) }
}

/// The channels of an input of which each group has this many.
fn channels_of_groups(per_group: usize, groups: u64) -> Result<usize, ProblemError> {
    let channels = usize::try_from(groups).ok().and_then(|groups| per_group.checked_mul(groups));
    channels.ok_or(ProblemError::Overflow { what: "the number of input channels" })
}

/// The other way round; `None` without any group.
fn channels_per_group(channels: usize, groups: u64) -> Option<usize> {
    usize::try_from(groups).ok().and_then(|groups| channels.checked_div(groups))
}

/// Which axis of an operation's arrays each logical one is; that of a bias is its only one.
struct AxisOrder(&'static [usize]);

impl AxisOrder {
    /// Extents in logical order.
    fn logical(&self, shape: &[usize]) -> Vec<usize> {
        self.0.iter().map(|&axis| shape[axis]).collect()
    }

    /// One convolution of operands in this order, with a result in this order.
    fn single(
        &self,
        name: &str,
        problem: ConvProblem,
        operands: &[(&'static str, Role, &[usize])],
    ) -> Result<Operation, OperationError> {
        let view = View::default().permuted(self.0);
        let mut operation = Operation::builder(name);
        let mut arguments = Vec::new();
        for &(name, role, shape) in operands {
            let operand = operation.operand(name, shape);
            let is_vector = role == Role::Bias;
            arguments.push((role, if is_vector { operand } else { operand.seen(view.clone()) }));
        }
        let result = operation.step(problem, None, arguments);
        operation.finish(result.seen(view.adjoint()))
    }
}

/// Of Theano's borders the named ones.
fn check_named(border: &Padding, wanted: &'static str) -> Result<(), OperationError> {
    let known = wanted.split(", ").any(|word| Padding::from_name(word).as_ref() == Some(border));
    if known { Ok(()) } else { Err(OperationError::BorderMode { wanted, got: border.clone() }) }
}

/// Any of Theano's borders: a name, or cells from 0 up.
fn check_border(border: &Padding) -> Result<(), OperationError> {
    let known = match border {
        Padding::Valid | Padding::Full | Padding::Half | Padding::Symmetric(_) => true,
        Padding::Explicit(pairs) => pairs.iter().all(|&(_, end)| end >= 0),
        _ => false,
    };
    let wanted = "valid, full, half or numbers of cells from 0 up";
    if known { Ok(()) } else { Err(OperationError::BorderMode { wanted, got: border.clone() }) }
}
