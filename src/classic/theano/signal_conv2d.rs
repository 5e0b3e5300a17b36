//! `theano.tensor.signal.conv.conv2d`: images and filters without channels.

use ndarray::{ArrayBase, ArrayD, Data, Dimension};

use super::{Hint, check_axes, check_hint, check_named};
use crate::classic::operation::{Operation, Role, View};
use crate::device::{Scalar, run_once};
use crate::error::Error;
use crate::problem::{Conv, ConvProblem, Element, Padding, PerAxis};

/// Parameters of [`signal_conv2d`], under their original names.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalConv2d {
    /// [`Padding::Valid`] or [`Padding::Full`].
    pub border_mode: Padding,
    /// Steps of the window by row and column.
    pub subsample: PerAxis,
    /// What the shape of `input` must be.
    pub image_shape: Hint,
    /// What the shape of `filters` must be.
    pub filter_shape: Hint,
}

impl Default for SignalConv2d {
    fn default() -> Self {
        let subsample = PerAxis::Uniform(1);
        Self { border_mode: Padding::Valid, subsample, image_shape: None, filter_shape: None }
    }
}

impl SignalConv2d {
    setters! { (border_mode: Padding, subsample: PerAxis, image_shape: Hint, filter_shape: Hint) () }

    /// The operation on operands `input` and `filters` of these shapes.
    ///
    /// # Errors
    ///
    /// As [`signal_conv2d`].
    pub fn operation(&self, input: &[usize], filters: &[usize]) -> Result<Operation, Error> {
        check_axes("input", input, &[2, 3], "2 (one image) or 3 (a batch of them)")?;
        check_axes("filters", filters, &[2, 3], "2 (one filter) or 3 (several)")?;
        check_named(&self.border_mode, "valid, full")?;
        check_hint("image_shape", &self.image_shape, "input", input)?;
        check_hint("filter_shape", &self.filter_shape, "filters", filters)?;
        // Images and filters as `[count, 1, rows, columns]`.
        let one_channel = |shape: &[usize]| -> Vec<usize> {
            let (counts, extents) = shape.split_at(shape.len() - 2);
            [&[counts.iter().product(), 1], extents].concat()
        };
        let (x, w) = (one_channel(input), one_channel(filters));
        let conv = Conv {
            stride: self.subsample.clone(),
            padding: self.border_mode.clone(),
            flip: true,
            element: Element::F64,
            ..Conv::default()
        };
        let problem = ConvProblem::new(&x, &w, &conv)?;
        // Single axes are left out only where an argument had none.
        let y = problem.output().shape();
        let squeezed = [&input[..input.len() - 2], &filters[..filters.len() - 2], &y[2..]].concat();
        let mut operation = Operation::builder("theano.signal_conv2d");
        let seen = |shape: &[usize], to: Vec<usize>| View::default().reshaped(shape, to);
        let operands = [
            (Role::Input, operation.operand("input", input).seen(seen(input, x))),
            (Role::Weight, operation.operand("filters", filters).seen(seen(filters, w))),
        ];
        let result = operation.step(problem, None, operands);
        Ok(operation.finish(result.seen(View::default().reshaped(y, squeezed)))?)
    }
}

/// Every image of `input: [b,] rows, columns` convolved with every one of `filters: [o,] rows, columns`, as Theano's
/// `signal.conv2d`: flipped (true convolution), without channels. Output `[b,] [o,] rows, columns`.
///
/// ```
/// use wgconv::ndarray::array;
/// use wgconv::Padding;
/// use wgconv::theano::{SignalConv2d, signal_conv2d};
///
/// let x = array![[1f32, 2., 3.], [4., 5., 6.], [7., 8., 9.]];
/// let w = array![[1f32, 2.], [3., 4.]];
/// let y = signal_conv2d(&x, &w, &SignalConv2d::default())?;
/// assert_eq!(y, array![[23., 33.], [53., 63.]].into_dyn());
/// let every_second = SignalConv2d::default().border_mode(Padding::Full).subsample(2);
/// assert_eq!(signal_conv2d(&x, &w, &every_second)?, array![[1., 7.], [19., 63.]].into_dyn());
/// # Ok::<(), wgconv::Error>(())
/// ```
///
/// # Errors
///
/// Operands of other than 2 or 3 axes, a border other than `valid` and `full`, a declared shape that is not the
/// operand's, a filter larger than the image without padding; a device that is lost or full.
pub fn signal_conv2d<T: Scalar>(
    input: &ArrayBase<impl Data<Elem = T>, impl Dimension>,
    filters: &ArrayBase<impl Data<Elem = T>, impl Dimension>,
    how: &SignalConv2d,
) -> Result<ArrayD<T>, Error> {
    let operation = how.operation(input.shape(), filters.shape())?;
    run_once(&operation, &[input.view().into_dyn(), filters.view().into_dyn()])
}
