//! `theano.tensor.nnet.conv2d` and `conv3d`, their gradients and `conv2d_transpose`: the complete abstract interface.

use ndarray::{Array, ArrayBase, ArrayD, Data, Dimension, Ix4, Ix5};

use super::{
    Hint, channels_of_groups, channels_per_group, check_activations, check_border, check_filters, check_hint,
};
use crate::classic::operation::{Operation, OperationError, Role};
use crate::device::{Scalar, run_once};
use crate::error::Error;
use crate::problem::{Conv, ConvProblem, Direction, Element, Padding, PerAxis};

/// Parameters of [`nnet_conv2d`], [`nnet_conv3d`], their gradients and [`conv2d_transpose`], under their original names.
///
/// ```
/// use wgconv::Padding;
/// use wgconv::theano::NnetConv;
///
/// let how = NnetConv::default().border_mode(Padding::Half).filter_dilation(2);
/// assert_eq!(how.forward(2, &[1, 1, 9, 9], &[1, 1, 3, 3])?.shape(), [1, 1, 9, 9]);
/// // `half` grows the output of an even kernel by one.
/// assert_eq!(NnetConv::default().border_mode(Padding::Half).forward(2, &[1, 1, 9, 9], &[1, 1, 4, 4])?.shape(), [1, 1, 10, 10]);
/// # Ok::<(), wgconv::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NnetConv {
    /// `Valid`, `Full`, `Half`, cells on both sides, or `(begin, end)` per axis, the end not negative.
    pub border_mode: Padding,
    /// Steps of the window.
    pub subsample: PerAxis,
    /// `true`, the default: true convolution. `false`: cross-correlation.
    pub filter_flip: bool,
    /// Distance between taps.
    pub filter_dilation: PerAxis,
    /// Channel groups.
    pub num_groups: u64,
    /// Filters of their own for every output position: `[o, Y.., c/g, K..]`.
    pub unshared: bool,
    /// The shape of the input: a check, and what the gradient by the input is of. There its first two extents may be
    /// left open.
    pub input_shape: Hint,
    /// The shape of the filters: a check, and what the gradient by the filters is of. There all extents but those of
    /// the kernel may be left open.
    pub filter_shape: Hint,
}

impl Default for NnetConv {
    fn default() -> Self {
        Self {
            border_mode: Padding::Valid,
            subsample: PerAxis::Uniform(1),
            filter_flip: true,
            filter_dilation: PerAxis::Uniform(1),
            num_groups: 1,
            unshared: false,
            input_shape: None,
            filter_shape: None,
        }
    }
}

/// The extents of `hint`, those that are left open from `known`.
fn filled(
    what: &'static str,
    hint: &Hint,
    known: &[Option<usize>],
    wanted: &str,
) -> Result<Vec<usize>, OperationError> {
    let missing = || OperationError::Target { what, wanted: wanted.into(), got: None };
    let hint = hint.as_ref().ok_or_else(missing)?;
    if hint.len() != known.len() {
        let got = Some(hint.iter().map(|extent| extent.unwrap_or(0)).collect());
        return Err(OperationError::Target { what, wanted: format!("{} extents", known.len()), got });
    }
    hint.iter().zip(known).map(|(extent, known)| extent.or(*known).ok_or_else(missing)).collect()
}

impl NnetConv {
    setters! { (border_mode: Padding, subsample: PerAxis, filter_dilation: PerAxis) (filter_flip: bool, num_groups: u64, unshared: bool) }

    /// Declares the whole of [`Self::input_shape`].
    #[must_use]
    pub fn input_shape(self, shape: &[usize]) -> Self {
        Self { input_shape: Some(shape.iter().copied().map(Some).collect()), ..self }
    }

    /// Declares the whole of [`Self::filter_shape`].
    #[must_use]
    pub fn filter_shape(self, shape: &[usize]) -> Self {
        Self { filter_shape: Some(shape.iter().copied().map(Some).collect()), ..self }
    }

    /// The convolution of the primitive.
    pub(super) fn conv(&self, direction: Direction) -> Result<Conv, OperationError> {
        check_border(&self.border_mode)?;
        Ok(Conv {
            stride: self.subsample.clone(),
            dilation: self.filter_dilation.clone(),
            padding: self.border_mode.clone(),
            groups: self.num_groups,
            flip: self.filter_flip,
            unshared: self.unshared,
            element: Element::F64,
            direction,
            ..Conv::default()
        })
    }

    /// The operation on operands `input` and `filters` of these shapes, of rank 2 for [`nnet_conv2d`].
    ///
    /// # Errors
    ///
    /// As [`nnet_conv2d`].
    pub fn forward(&self, rank: usize, input: &[usize], filters: &[usize]) -> Result<Operation, Error> {
        check_activations("input", input, rank)?;
        check_filters("filters", filters, rank, self.unshared)?;
        check_hint("input_shape", &self.input_shape, "input", input)?;
        check_hint("filter_shape", &self.filter_shape, "filters", filters)?;
        let problem = ConvProblem::new(input, filters, &self.conv(Direction::Forward)?)?;
        let operands = [("input", Role::Input, input), ("filters", Role::Weight, filters)];
        Ok(Operation::single(format!("theano.nnet_conv{rank}d"), problem, None, &operands)?)
    }

    /// The operation on operands `output_grad` and `filters` of these shapes.
    ///
    /// # Errors
    ///
    /// As [`nnet_conv2d_grad_inputs`].
    pub fn grad_inputs(
        &self,
        rank: usize,
        output_grad: &[usize],
        filters: &[usize],
    ) -> Result<Operation, Error> {
        self.gradient_or_transpose(false, rank, output_grad, filters)
    }

    /// The transposed convolution is the gradient under names of its own.
    fn gradient_or_transpose(
        &self,
        transpose: bool,
        rank: usize,
        output_grad: &[usize],
        filters: &[usize],
    ) -> Result<Operation, Error> {
        let (name, operand, what) = if transpose {
            (format!("theano.conv{rank}d_transpose"), "input", "output_shape")
        } else {
            (format!("theano.nnet_conv{rank}d_grad_inputs"), "output_grad", "input_shape")
        };
        check_activations(operand, output_grad, rank)?;
        check_filters("filters", filters, rank, self.unshared)?;
        check_hint("filter_shape", &self.filter_shape, "filters", filters)?;
        let channels = channels_of_groups(filters[filters.len() - rank - 1], self.num_groups).ok();
        let known = [vec![Some(output_grad[0]), channels], vec![None; rank]].concat();
        let x = filled(what, &self.input_shape, &known, "all extents, those of space at least")?;
        let conv = self.conv(Direction::GradInput)?;
        let problem = ConvProblem::new(&x, filters, &conv)?;
        check_grad(operand, &problem, &conv, output_grad)?;
        let operands = [(operand, Role::GradOutput, output_grad), ("filters", Role::Weight, filters)];
        Ok(Operation::single(name, problem, None, &operands)?)
    }

    /// The operation on operands `input` and `output_grad` of these shapes.
    ///
    /// # Errors
    ///
    /// As [`nnet_conv2d_grad_weights`].
    pub fn grad_weights(
        &self,
        rank: usize,
        input: &[usize],
        output_grad: &[usize],
    ) -> Result<Operation, Error> {
        check_activations("input", input, rank)?;
        check_activations("output_grad", output_grad, rank)?;
        check_hint("input_shape", &self.input_shape, "input", input)?;
        let positions =
            if self.unshared { output_grad[2..].iter().copied().map(Some).collect() } else { Vec::new() };
        let per_group = channels_per_group(input[1], self.num_groups);
        let known = [vec![Some(output_grad[1])], positions, vec![per_group], vec![None; rank]].concat();
        let w =
            filled("filter_shape", &self.filter_shape, &known, "all extents, those of the kernel at least")?;
        let conv = self.conv(Direction::GradWeight)?;
        let problem = ConvProblem::new(input, &w, &conv)?;
        check_grad("output_grad", &problem, &conv, output_grad)?;
        let operands = [("input", Role::Input, input), ("output_grad", Role::GradOutput, output_grad)];
        Ok(Operation::single(format!("theano.nnet_conv{rank}d_grad_weights"), problem, None, &operands)?)
    }

    /// The operation on operands `input` and `filters` of these shapes that gives `output_shape`, all of it or its
    /// space alone; [`Self::subsample`] is Theano's `input_dilation`, and [`Self::input_shape`] does not count.
    ///
    /// # Errors
    ///
    /// As [`conv2d_transpose`].
    pub fn transpose(
        &self,
        rank: usize,
        input: &[usize],
        filters: &[usize],
        output_shape: &[Option<usize>],
    ) -> Result<Operation, Error> {
        let open = if output_shape.len() == rank { vec![None; 2] } else { Vec::new() };
        let gradient = Self { input_shape: Some([&open, output_shape].concat()), ..self.clone() };
        gradient.gradient_or_transpose(true, rank, input, filters).map_err(|error| {
            let wanted = match &error {
                // What came is the output's shape, not the gradient's.
                Error::Operation(OperationError::Gradient { inputs: Some(inputs), .. }) => {
                    let range = |&(least, most): &(u64, u64)| format!("{least} to {most}");
                    format!("{} in space", inputs.iter().map(range).collect::<Vec<_>>().join(", "))
                }
                Error::Operation(OperationError::Gradient { inputs: None, .. }) => {
                    "another border mode: no output has this input".into()
                }
                Error::Operation(OperationError::Operand { role: "grad_output", got, .. }) => {
                    format!("that of an input of {} images of {} channels", got[0], got[1])
                }
                _ => return error,
            };
            let got = Some(output_shape.iter().map(|extent| extent.unwrap_or(0)).collect());
            OperationError::Target { what: "output_shape", wanted, got }.into()
        })
    }
}

/// The gradient of this name must be of the shape that the forward convolution gives.
pub(super) fn check_grad(
    operand: &'static str,
    problem: &ConvProblem,
    conv: &Conv,
    got: &[usize],
) -> Result<(), OperationError> {
    let wanted = problem.output().shape();
    if got == wanted {
        return Ok(());
    }
    if problem.direction() != Direction::GradInput || got[..2] != wanted[..2] {
        let (role, got) = (Role::GradOutput.name(), got.to_vec());
        return Err(OperationError::Operand { operand, role, wanted, got });
    }
    let weight = problem.weight().shape();
    let inputs = conv.input_extents(&weight[weight.len() - problem.rank()..], &got[2..]);
    Err(OperationError::Gradient { operand, wanted, got: got.to_vec(), inputs })
}

macro_rules! ranks {
    (
        $rank:literal, $dim:ty, $space:literal, $example:literal,
        $conv:ident, $grad_inputs:ident, $grad_weights:ident, $transpose:ident
    ) => {
        #[doc = concat!("`input: [b, c, ", $space, "]` convolved with `filters: [o, c/groups, ", $space, "]`, as Theano's")]
        #[doc = concat!("`nnet.conv", $rank, "d`: flipped unless [`NnetConv::filter_flip`] says otherwise.")]
        ///
        #[doc = $example]
        ///
        /// # Errors
        ///
        /// Operands of another number of axes, channels and groups that do not fit, a negative border, `same`, a
        /// declared shape that is not the operand's, a kernel larger than the padded input; a device that is lost or full.
        pub fn $conv<T: Scalar>(
            input: &ArrayBase<impl Data<Elem = T>, $dim>,
            filters: &ArrayBase<impl Data<Elem = T>, impl Dimension>,
            how: &NnetConv,
        ) -> Result<Array<T, $dim>, Error> {
            let operation = how.forward($rank, input.shape(), filters.shape())?;
            run_once(&operation, &[input.view().into_dyn(), filters.view().into_dyn()])
        }

        #[doc = concat!("Gradient of [`", stringify!($conv), "`] by its input, which is of the shape [`NnetConv::input_shape`]: with a")]
        /// stride, several inputs lead to one output.
        ///
        /// # Errors
        ///
        /// An input shape that is missing, or that leads to another output than `output_grad` is the gradient of; else
        #[doc = concat!("as [`", stringify!($conv), "`].")]
        pub fn $grad_inputs<T: Scalar>(
            output_grad: &ArrayBase<impl Data<Elem = T>, $dim>,
            filters: &ArrayBase<impl Data<Elem = T>, impl Dimension>,
            how: &NnetConv,
        ) -> Result<Array<T, $dim>, Error> {
            let operation = how.grad_inputs($rank, output_grad.shape(), filters.shape())?;
            run_once(&operation, &[output_grad.view().into_dyn(), filters.view().into_dyn()])
        }

        #[doc = concat!("Gradient of [`", stringify!($conv), "`] by its filters, which are of the shape [`NnetConv::filter_shape`].")]
        ///
        /// # Errors
        ///
        /// A filter shape that is missing, or that leads to another output than `output_grad` is the gradient of; else
        #[doc = concat!("as [`", stringify!($conv), "`].")]
        pub fn $grad_weights<T: Scalar>(
            input: &ArrayBase<impl Data<Elem = T>, $dim>,
            output_grad: &ArrayBase<impl Data<Elem = T>, $dim>,
            how: &NnetConv,
        ) -> Result<ArrayD<T>, Error> {
            let operation = how.grad_weights($rank, input.shape(), output_grad.shape())?;
            run_once(&operation, &[input.view().into_dyn(), output_grad.view().into_dyn()])
        }

        #[doc = concat!("Transposed convolution of `input: [b, c_in, ", $space, "]` with `filters: [c_in, c_out/groups, ", $space, "]`, as Theano's")]
        /// `conv2d_transpose`: the gradient of the convolution from `output_shape` (all of it, or its space alone) to
        /// `input`. [`NnetConv::subsample`] is its `input_dilation`, [`NnetConv::border_mode`] crops, and
        /// [`NnetConv::filter_flip`], `true` unless set, is that of the forward convolution: the transposed convolution of PyTorch and ONNX has
        /// it `false`.
        ///
        /// # Errors
        ///
        #[doc = concat!("An output shape whose convolution is not of the input's; else as [`", stringify!($conv), "`].")]
        pub fn $transpose<T: Scalar>(
            input: &ArrayBase<impl Data<Elem = T>, $dim>,
            filters: &ArrayBase<impl Data<Elem = T>, impl Dimension>,
            output_shape: &[usize],
            how: &NnetConv,
        ) -> Result<Array<T, $dim>, Error> {
            let output_shape: Vec<_> = output_shape.iter().copied().map(Some).collect();
            let operation = how.transpose($rank, input.shape(), filters.shape(), &output_shape)?;
            run_once(&operation, &[input.view().into_dyn(), filters.view().into_dyn()])
        }
    };
}

ranks!(
    2,
    Ix4,
    "rows, columns",
    r"```
use wgconv::ndarray::array;
use wgconv::theano::{NnetConv, conv2d_transpose, nnet_conv2d, nnet_conv2d_grad_inputs};

let x = array![[[[1f32, 2., 3.], [4., 5., 6.], [7., 8., 9.]]]];
let w = array![[[[1f32, 2.], [3., 4.]]]];
let y = nnet_conv2d(&x, &w, &NnetConv::default().border_mode([1, 2]).subsample(2))?;
assert_eq!(y, array![[[[0., 4., 6.], [0., 53., 42.]]]]);
assert_eq!(nnet_conv2d(&x, &w, &NnetConv::default().filter_flip(false))?, array![[[[37., 47.], [67., 77.]]]]);

let h = array![[[[1f32, 2.], [3., 4.]]]];
let dx = nnet_conv2d_grad_inputs(&h, &w, &NnetConv::default().input_shape(&[1, 1, 3, 3]))?;
assert_eq!(dx, array![[[[4., 11., 6.], [14., 30., 14.], [6., 11., 4.]]]]);
assert_eq!(conv2d_transpose(&h, &w, &[3, 3], &NnetConv::default())?, dx);
# Ok::<(), wgconv::Error>(())
```",
    nnet_conv2d,
    nnet_conv2d_grad_inputs,
    nnet_conv2d_grad_weights,
    conv2d_transpose
);
ranks!(
    3,
    Ix5,
    "rows, columns, depth",
    r"```
use wgconv::ndarray::Array5;
use wgconv::theano::{NnetConv, nnet_conv3d};

let cube = Array5::from_shape_fn((1, 1, 2, 2, 2), |(_, _, i, j, k)| (4 * i + 2 * j + k + 1) as f32);
assert_eq!(nnet_conv3d(&cube, &cube, &NnetConv::default())?[[0, 0, 0, 0, 0]], 120.);
let correlation = NnetConv::default().filter_flip(false);
assert_eq!(nnet_conv3d(&cube, &cube, &correlation)?[[0, 0, 0, 0, 0]], 204.);
# Ok::<(), wgconv::Error>(())
```",
    nnet_conv3d,
    nnet_conv3d_grad_inputs,
    nnet_conv3d_grad_weights,
    conv3d_transpose
);
