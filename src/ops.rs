//! One-liners on ndarray views, on the default device.

use ndarray::{Array, Array1, ArrayBase, ArrayD, ArrayView, ArrayView1, Data, Dimension, Ix1, Ix3, Ix4, Ix5};

use crate::classic::operation::bias_gradient;
use crate::device::{Device, OperandError, Operands, Scalar, typed};
use crate::error::Error;
use crate::planner::PlanOptions;
use crate::problem::{Conv, ConvProblem, ConvTranspose, Direction};

/// Plans `problem` on the shared device and runs it once.
fn run<'a, T: Scalar, D: Dimension>(
    problem: &ConvProblem,
    operands: Operands<'a, ArrayView<'a, T, D>>,
) -> Result<Array<T, D>, Error> {
    let plan = Device::shared()?.plan(problem, &PlanOptions::default())?;
    Ok(typed(plan.run(operands)?)?)
}

/// The element type follows the arrays, whatever `conv` says.
fn described<T: Scalar>(conv: &Conv, direction: Direction) -> Conv {
    conv.clone().element(T::ELEMENT).direction(direction)
}

macro_rules! one_liners {
    (
        $rank:literal, $dim:ty, $x:literal, $w:literal, $y:literal, $transposed:literal,
        $conv:ident, $with_bias:ident, $transpose:ident, $grad_input:ident, $grad_weight:ident, $grad_bias:ident
    ) => {
        #[doc = concat!("Convolution of `x: ", $x, "` with `w: ", $w, "`: `y: ", $y, "`.")]
        ///
        /// Deep learning's convolution does **not** flip the kernel; `conv.flip(true)` does. Runs on the
        /// shared device ([`Device::shared`]) and falls back to the CPU path, with a warning in the log.
        /// It plans anew in every call; to run one shape often, keep a [`Plan`](crate::Plan).
        #[doc = concat!("[`", stringify!($with_bias), "`] adds a bias.")]
        ///
        /// # Errors
        ///
        /// [`Error::Problem`] if shapes and `conv` do not fit; a device that is lost or full.
        pub fn $conv<T: Scalar>(
            x: &ArrayBase<impl Data<Elem = T>, $dim>,
            w: &ArrayBase<impl Data<Elem = T>, $dim>,
            conv: &Conv,
        ) -> Result<Array<T, $dim>, Error> {
            let problem = ConvProblem::new(x.shape(), w.shape(), &described::<T>(conv, Direction::Forward))?;
            run(&problem, Operands { input: x.view(), weight: w.view().into(), ..Default::default() })
        }

        #[doc = concat!("[`", stringify!($conv), "`] and a `bias`, one number per channel of the result.")]
        ///
        /// # Errors
        ///
        /// As without, and [`Error::Operand`] for a bias of another length.
        pub fn $with_bias<T: Scalar>(
            x: &ArrayBase<impl Data<Elem = T>, $dim>,
            w: &ArrayBase<impl Data<Elem = T>, $dim>,
            bias: &ArrayBase<impl Data<Elem = T>, Ix1>,
            conv: &Conv,
        ) -> Result<Array<T, $dim>, Error> {
            let conv = described::<T>(conv, Direction::Forward).bias(true);
            let problem = ConvProblem::new(x.shape(), w.shape(), &conv)?;
            let operands = Operands { input: x.view(), weight: w.view().into(), ..Default::default() };
            run(&problem, Operands { bias: bias.view(), ..operands })
        }

        #[doc = concat!("Transposed convolution of `x: ", $x, "` with `w: ", $transposed, "`, as PyTorch and ONNX lay it out: `", $y, "`.")]
        ///
        /// Adds `bias`, one number per channel of the result, if there is one, then applies the epilogue.
        /// See [`ConvTranspose`] for the extents of the result; `&Conv::default().stride(2).into()` is one.
        ///
        /// # Errors
        ///
        /// [`Error::Problem`] if shapes and `how` do not fit, an output extent that the input does not lead to among
        /// them; a device that is lost or full.
        pub fn $transpose<T: Scalar>(
            x: &ArrayBase<impl Data<Elem = T>, $dim>,
            w: &ArrayBase<impl Data<Elem = T>, $dim>,
            bias: Option<ArrayView1<'_, T>>,
            how: &ConvTranspose,
        ) -> Result<Array<T, $dim>, Error> {
            let conv = how.conv.clone().element(T::ELEMENT).bias(bias.is_some());
            let problem = ConvProblem::transposed(x.shape(), w.shape(), &ConvTranspose { conv, ..how.clone() })?;
            let mut operands = Operands { grad_output: x.view(), weight: w.view().into(), ..Default::default() };
            if let Some(bias) = &bias {
                operands.bias = bias.view();
            }
            run(&problem, operands)
        }

        #[doc = concat!("Gradient of [`", stringify!($conv), "`] by its input, of shape `x_shape: ", $x, "`:")]
        #[doc = concat!("the adjoint of the convolution, applied to `grad_output: ", $y, "`.")]
        ///
        /// The shape is wanted because several inputs lead to one output wherever a stride leaves cells over.
        ///
        /// # Errors
        ///
        /// [`Error::Operand`] if `grad_output` is not of the shape that `x_shape` leads to, else as the convolution.
        pub fn $grad_input<T: Scalar>(
            grad_output: &ArrayBase<impl Data<Elem = T>, $dim>,
            w: &ArrayBase<impl Data<Elem = T>, $dim>,
            x_shape: [usize; $rank + 2],
            conv: &Conv,
        ) -> Result<Array<T, $dim>, Error> {
            let problem = ConvProblem::new(&x_shape, w.shape(), &described::<T>(conv, Direction::GradInput))?;
            check_grad(&problem, conv, grad_output.shape())?;
            run(&problem, Operands { grad_output: grad_output.view(), weight: w.view().into(), ..Default::default() })
        }

        #[doc = concat!("Gradient of [`", stringify!($conv), "`] by its weight, of shape `w_shape: ", $w, "`.")]
        ///
        /// # Errors
        ///
        /// As the gradient of the input.
        pub fn $grad_weight<T: Scalar>(
            x: &ArrayBase<impl Data<Elem = T>, $dim>,
            grad_output: &ArrayBase<impl Data<Elem = T>, $dim>,
            w_shape: [usize; $rank + 2],
            conv: &Conv,
        ) -> Result<Array<T, $dim>, Error> {
            let problem = ConvProblem::new(x.shape(), &w_shape, &described::<T>(conv, Direction::GradWeight))?;
            check_grad(&problem, conv, grad_output.shape())?;
            run(&problem, Operands { input: x.view(), grad_output: grad_output.view(), ..Default::default() })
        }

        #[doc = concat!("Gradient of [`", stringify!($conv), "`] by its bias: the sum of `grad_output: ", $y, "` over all but the channels.")]
        ///
        /// # Errors
        ///
        /// A `grad_output` without spatial cells; a device that is lost or full.
        pub fn $grad_bias<T: Scalar>(
            grad_output: &ArrayBase<impl Data<Elem = T>, $dim>,
        ) -> Result<Array1<T>, Error> {
            grad_bias(grad_output)
        }
    };
}

one_liners!(
    1,
    Ix3,
    "[n, c_in, X]",
    "[c_out, c_in/groups, K]",
    "[n, c_out, Y]",
    "[c_in, c_out/groups, K]",
    conv1d,
    conv1d_bias,
    conv_transpose1d,
    conv1d_grad_input,
    conv1d_grad_weight,
    conv1d_grad_bias
);
one_liners!(
    2,
    Ix4,
    "[n, c_in, X, X']",
    "[c_out, c_in/groups, K, K']",
    "[n, c_out, Y, Y']",
    "[c_in, c_out/groups, K, K']",
    conv2d,
    conv2d_bias,
    conv_transpose2d,
    conv2d_grad_input,
    conv2d_grad_weight,
    conv2d_grad_bias
);
one_liners!(
    3,
    Ix5,
    "[n, c_in, X, X', X'']",
    "[c_out, c_in/groups, K, K', K'']",
    "[n, c_out, Y, Y', Y'']",
    "[c_in, c_out/groups, K, K', K'']",
    conv3d,
    conv3d_bias,
    conv_transpose3d,
    conv3d_grad_input,
    conv3d_grad_weight,
    conv3d_grad_bias
);

/// The gradient must be of the shape that the forward convolution gives.
fn check_grad(problem: &ConvProblem, conv: &Conv, got: &[usize]) -> Result<(), OperandError> {
    if got == problem.output().shape() { Ok(()) } else { Err(OperandError::grad_shape(problem, conv, got)) }
}

fn grad_bias<T: Scalar, D: Dimension>(
    grad_output: &ArrayBase<impl Data<Elem = T>, D>,
) -> Result<Array1<T>, Error> {
    let problem = bias_gradient(grad_output.shape(), T::ELEMENT)?;
    let one = ArrayD::from_elem(vec![1; grad_output.ndim()], T::from_f64(1.0));
    // A broadcast of one number to any shape, which the problem has checked, is no error.
    let Some(input) = one.broadcast(problem.input().shape()) else {
        return Err(OperandError::Missing { role: "input" }.into());
    };
    let plan = Device::shared()?.plan(&problem, &PlanOptions::default())?;
    let grad =
        plan.run(Operands { input, grad_output: grad_output.view().into_dyn(), ..Default::default() })?;
    Ok(Array1::from_iter(grad))
}
