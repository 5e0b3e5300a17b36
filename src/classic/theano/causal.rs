//! `theano.tensor.nnet.causal_conv1d`: a convolution in time that sees no future.

use ndarray::{Array3, ArrayBase, Data, Ix3};

use super::{Hint, check_axes, check_hint};
use crate::classic::operation::{Operation, Role};
use crate::device::{Scalar, run_once};
use crate::error::Error;
use crate::problem::{Conv, ConvProblem, Element, Padding, PerAxis};

/// Parameters of [`causal_conv1d`], under their original names.
#[derive(Clone, Debug, PartialEq)]
pub struct CausalConv1d {
    /// Step of the window.
    pub subsample: u64,
    /// `true`, the default: `filters[.., 0]` multiplies the current sample; `false`: the earliest one, as in PyTorch.
    pub filter_flip: bool,
    /// Distance between taps.
    pub filter_dilation: u64,
    /// Channel groups.
    pub num_groups: u64,
    /// What the shape of `filters` must be.
    pub filter_shape: Hint,
}

impl Default for CausalConv1d {
    fn default() -> Self {
        Self { subsample: 1, filter_flip: true, filter_dilation: 1, num_groups: 1, filter_shape: None }
    }
}

impl CausalConv1d {
    setters! { (filter_shape: Hint) (subsample: u64, filter_flip: bool, filter_dilation: u64, num_groups: u64) }

    /// The operation on operands `input` and `filters` of these shapes.
    ///
    /// # Errors
    ///
    /// As [`causal_conv1d`].
    pub fn operation(&self, input: &[usize], filters: &[usize]) -> Result<Operation, Error> {
        check_axes("input", input, &[3], "3 (b, c, time)")?;
        check_axes("filters", filters, &[3], "3 (o, c/groups, time)")?;
        check_hint("filter_shape", &self.filter_shape, "filters", filters)?;
        // All of the kernel's reach but the current sample lies before the input.
        let past = (filters[2] as u64).saturating_sub(1).saturating_mul(self.filter_dilation);
        let conv = Conv {
            stride: PerAxis::Uniform(self.subsample),
            dilation: PerAxis::Uniform(self.filter_dilation),
            padding: Padding::Explicit(vec![(past, 0)]),
            groups: self.num_groups,
            flip: self.filter_flip,
            element: Element::F64,
            ..Conv::default()
        };
        let problem = ConvProblem::new(input, filters, &conv)?;
        let operands = [("input", Role::Input, input), ("filters", Role::Weight, filters)];
        Ok(Operation::single("theano.causal_conv1d", problem, None, &operands)?)
    }
}

/// `input: [b, c, time]` convolved with `filters: [o, c/groups, time]`, padded with zeros before the first sample, so
/// that no output depends on a later sample; as Theano's `causal_conv1d`. The output has `⌈time / subsample⌉` samples.
///
/// ```
/// use wgconv::ndarray::array;
/// use wgconv::theano::{CausalConv1d, causal_conv1d};
///
/// let (x, w) = (array![[[1f32, 2., 3., 4.]]], array![[[1f32, 10.]]]);
/// let dilated = CausalConv1d { filter_dilation: 2, ..CausalConv1d::default() };
/// assert_eq!(causal_conv1d(&x, &w, &dilated)?, array![[[1., 2., 13., 24.]]]);
/// # Ok::<(), wgconv::Error>(())
/// ```
///
/// # Errors
///
/// Operands of other than 3 axes, channels and groups that do not fit, a stride or dilation of 0; a device that is lost
/// or full.
pub fn causal_conv1d<T: Scalar>(
    input: &ArrayBase<impl Data<Elem = T>, Ix3>,
    filters: &ArrayBase<impl Data<Elem = T>, Ix3>,
    how: &CausalConv1d,
) -> Result<Array3<T>, Error> {
    let operation = how.operation(input.shape(), filters.shape())?;
    run_once(&operation, &[input.view().into_dyn(), filters.view().into_dyn()])
}
