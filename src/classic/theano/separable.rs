//! `theano.tensor.nnet.separable_conv2d` and `separable_conv3d`: a filter per channel, then a mixture of channels.

use ndarray::{Array, ArrayBase, Data, Dimension};

use super::{check_activations, check_axes, check_border};
use crate::classic::operation::{Operation, OperationError, Role};
use crate::device::{Scalar, run_once};
use crate::error::Error;
use crate::problem::{Conv, ConvProblem, Element, Padding, PerAxis};

/// Parameters of [`separable_conv2d`] and [`separable_conv3d`], under their original names.
#[derive(Clone, Debug, PartialEq)]
pub struct SeparableConv {
    /// Channels of the input; `None`: as many as it has.
    pub num_channels: Option<u64>,
    /// Of the first convolution: `Valid`, `Full`, `Half`, cells on both sides, or `(begin, end)` per axis.
    pub border_mode: Padding,
    /// Steps of the first convolution's window.
    pub subsample: PerAxis,
    /// `true`, the default: true convolution.
    pub filter_flip: bool,
    /// Distance between the first convolution's taps.
    pub filter_dilation: PerAxis,
}

impl Default for SeparableConv {
    fn default() -> Self {
        Self {
            num_channels: None,
            border_mode: Padding::Valid,
            subsample: PerAxis::Uniform(1),
            filter_flip: true,
            filter_dilation: PerAxis::Uniform(1),
        }
    }
}

impl SeparableConv {
    setters! { (num_channels: Option<u64>, border_mode: Padding, subsample: PerAxis, filter_dilation: PerAxis) (filter_flip: bool) }

    /// The operation on operands `input`, `depthwise_filters` and `pointwise_filters` of these shapes, of rank 2 for
    /// [`separable_conv2d`].
    ///
    /// # Errors
    ///
    /// As [`separable_conv2d`].
    pub fn operation(
        &self,
        rank: usize,
        input: &[usize],
        depthwise: &[usize],
        pointwise: &[usize],
    ) -> Result<Operation, Error> {
        check_activations("input", input, rank)?;
        check_axes(
            "depthwise_filters",
            depthwise,
            &[rank + 2],
            "4 (c*m, 1, rows, columns) in 2-D, 5 in 3-D",
        )?;
        check_axes("pointwise_filters", pointwise, &[rank + 2], "4 (o, c*m, 1, 1) in 2-D, 5 in 3-D")?;
        check_border(&self.border_mode)?;
        let channels = input[1];
        if self.num_channels.is_some_and(|declared| declared != channels as u64) {
            let got =
                self.num_channels.and_then(|declared| usize::try_from(declared).ok()).unwrap_or(usize::MAX);
            return Err(OperationError::Channels { what: "num_channels", wanted: channels, got }.into());
        }
        if pointwise[2..].iter().any(|&extent| extent != 1) {
            let (operand, wanted) = ("pointwise_filters", "a single tap: extents of 1 in space".into());
            return Err(OperationError::Shapes { operand, wanted, got: pointwise.to_vec() }.into());
        }
        let first = Conv {
            stride: self.subsample.clone(),
            dilation: self.filter_dilation.clone(),
            padding: self.border_mode.clone(),
            groups: channels as u64,
            flip: self.filter_flip,
            element: Element::F64,
            ..Conv::default()
        };
        let first = ConvProblem::new(input, depthwise, &first)?;
        let between = first.output().shape();
        let second = ConvProblem::new(&between, pointwise, &Conv::default().element(Element::F64))?;
        let mut operation = Operation::builder(format!("theano.separable_conv{rank}d"));
        let x = operation.operand("input", input);
        let depthwise = operation.operand("depthwise_filters", depthwise);
        let pointwise = operation.operand("pointwise_filters", pointwise);
        let between = operation.step(first, None, [(Role::Input, x), (Role::Weight, depthwise)]);
        let result = operation.step(second, None, [(Role::Input, between), (Role::Weight, pointwise)]);
        Ok(operation.finish(result)?)
    }
}

macro_rules! ranks {
    ($rank:literal, $space:literal, $ones:literal, $example:literal, $name:ident) => {
        #[doc = concat!("Each channel of `input: [b, c, ", $space, "]` convolved with `m` filters of its own,")]
        #[doc = concat!("`depthwise_filters: [c*m, 1, ", $space, "]`, and the results mixed by `pointwise_filters: [o, c*m, ", $ones, "]`;")]
        #[doc = concat!("as Theano's `", stringify!($name), "`.")]
        ///
        #[doc = $example]
        ///
        /// # Errors
        ///
        /// Operands of another number of axes, channels that do not fit, pointwise filters of more than one tap, a kernel
        /// larger than the padded input; a device that is lost or full.
        pub fn $name<T: Scalar, D: Dimension>(
            input: &ArrayBase<impl Data<Elem = T>, D>,
            depthwise_filters: &ArrayBase<impl Data<Elem = T>, D>,
            pointwise_filters: &ArrayBase<impl Data<Elem = T>, D>,
            how: &SeparableConv,
        ) -> Result<Array<T, D>, Error> {
            let (x, depthwise, pointwise) = (input.view(), depthwise_filters.view(), pointwise_filters.view());
            let operation = how.operation($rank, x.shape(), depthwise.shape(), pointwise.shape())?;
            let operands = [x.into_dyn(), depthwise.into_dyn(), pointwise.into_dyn()];
            run_once(&operation, &operands)
        }
    };
}

ranks!(
    2,
    "rows, columns",
    "1, 1",
    r"```
use wgconv::ndarray::array;
use wgconv::theano::{SeparableConv, separable_conv2d};

let x = array![[[[1f32, 2.]], [[3., 4.]]]]; // two channels
let depthwise = array![[[[1f32, 1.]]], [[[1f32, -1.]]]]; // the sum of the one, the difference of the other
let pointwise = array![[[[1f32]], [[10.]]]];
assert_eq!(separable_conv2d(&x, &depthwise, &pointwise, &SeparableConv::default())?, array![[[[13.]]]]);
# Ok::<(), wgconv::Error>(())
```",
    separable_conv2d
);
ranks!(
    3,
    "rows, columns, depth",
    "1, 1, 1",
    r"```
use wgconv::ndarray::Array5;
use wgconv::theano::{SeparableConv, separable_conv3d};

let x = Array5::<f32>::ones((1, 2, 3, 3, 3));
let (depthwise, pointwise) = (Array5::<f32>::ones((2, 1, 2, 2, 2)), Array5::<f32>::ones((1, 2, 1, 1, 1)));
let y = separable_conv3d(&x, &depthwise, &pointwise, &SeparableConv::default())?;
assert_eq!(y, Array5::from_elem((1, 1, 2, 2, 2), 16.));
# Ok::<(), wgconv::Error>(())
```",
    separable_conv3d
);
