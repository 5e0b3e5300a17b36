//! `theano.tensor.nnet.abstract_conv.bilinear_upsampling`: images enlarged by linear interpolation.

use ndarray::{Array1, Array4, ArrayBase, ArrayD, Data, Ix4};

use super::check_axes;
use crate::device::{Scalar, run_once, typed};
use crate::error::Error;
use crate::operation::{Argument, Operation, OperationBuilder, OperationError, Role, View};
use crate::problem::{Boundary, Conv, ConvProblem, Direction, Element, ProblemError};

/// By how much [`bilinear_upsampling`] enlarges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ratio {
    /// The same whole number for rows and columns.
    Whole(usize),
    /// `p/q` of the rows and `p/q` of the columns.
    Fraction([(usize, usize); 2]),
}

/// Parameters of [`bilinear_upsampling`], under their original names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BilinearUpsampling {
    /// `ratio` or `frac_ratio`.
    pub ratio: Ratio,
    /// Whether rows and columns are interpolated one after the other (`true`, the default: fewer operations) or at once.
    /// A fraction is only interpolated at once.
    pub use_1d_kernel: bool,
}

impl BilinearUpsampling {
    /// Enlarges rows and columns by `ratio`.
    pub fn ratio(ratio: usize) -> Self {
        Self { ratio: Ratio::Whole(ratio), use_1d_kernel: true }
    }

    /// Enlarges rows and columns by `p/q` each.
    pub fn frac_ratio(rows: (usize, usize), columns: (usize, usize)) -> Self {
        Self { ratio: Ratio::Fraction([rows, columns]), use_1d_kernel: false }
    }

    /// The operation on an operand `input` of this shape: the edge repeated once around the image, then the adjoint of
    /// a strided convolution with a triangle, then, for a fraction, every `q`-th cell.
    ///
    /// # Errors
    ///
    /// As [`bilinear_upsampling`].
    pub fn operation(&self, input: &[usize]) -> Result<Operation, Error> {
        check_axes("input", input, &[4], "4 (b, c, rows, columns)")?;
        let ([p, q], one_by_one) = self.reduced()?;
        let overflow = || ProblemError::Overflow { what: "the number of images" };
        let images = input[0].checked_mul(input[1]).ok_or_else(overflow)?;
        let mut shape = vec![images, 1, input[2], input[3]];
        let mut operation = Operation::builder("theano.bilinear_upsampling");
        let mut image =
            operation.operand("input", input).seen(View::default().reshaped(input, shape.clone()));

        // Which cells outside are the edge's is the boundary's matter; a single tap copies them.
        let around = Conv::default().padding(1usize).boundary(Boundary::Nearest);
        image = forward(&mut operation, &mut shape, image, &around)?;
        if one_by_one {
            image = enlarged(&mut operation, &mut shape, image, [Some(p[0]), None])?;
            image = enlarged(&mut operation, &mut shape, image, [None, Some(p[1])])?;
        } else {
            image = enlarged(&mut operation, &mut shape, image, p.map(Some))?;
        }
        if q != [1, 1] {
            image = forward(&mut operation, &mut shape, image, &Conv::default().stride(q))?;
        }
        let y = vec![input[0], input[1], shape[2], shape[3]];
        Ok(operation.finish(image.seen(View::default().reshaped(shape, y)))?)
    }

    /// Numerators and denominators by axis, without common divisors, and whether the axes go one by one.
    fn reduced(&self) -> Result<([[usize; 2]; 2], bool), OperationError> {
        let wrong = |what, got: String| {
            Err(OperationError::Parameter { what, wanted: "whole numbers of at least 1".into(), got })
        };
        match self.ratio {
            Ratio::Whole(0) => wrong("ratio", "0".into()),
            Ratio::Whole(ratio) => Ok(([[ratio; 2], [1; 2]], self.use_1d_kernel)),
            Ratio::Fraction(pairs) if pairs.iter().any(|&(p, q)| p == 0 || q == 0) => {
                wrong("frac_ratio", format!("{pairs:?}"))
            }
            Ratio::Fraction(_) if self.use_1d_kernel => {
                let (wanted, got) = ("false for a frac_ratio".into(), "true".into());
                Err(OperationError::Parameter { what: "use_1D_kernel", wanted, got })
            }
            Ratio::Fraction(pairs) => {
                let [rows, columns] = pairs.map(|(p, q)| {
                    let divisor = common_divisor(p, q);
                    (p / divisor, q / divisor)
                });
                Ok(([[rows.0, columns.0], [rows.1, columns.1]], false))
            }
        }
    }
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// A forward step with a single tap of 1; `shape` is that of the image before and after.
fn forward(
    operation: &mut OperationBuilder,
    shape: &mut Vec<usize>,
    image: Argument,
    conv: &Conv,
) -> Result<Argument, ProblemError> {
    let problem = ConvProblem::new(shape, &[1; 4], &conv.clone().element(Element::F64))?;
    *shape = problem.output().shape();
    let one = Argument::constant(ArrayD::from_elem(vec![1; 4], 1.0));
    Ok(operation.step(problem, None, [(Role::Input, image), (Role::Weight, one)]))
}

/// Interpolates the axes that have a ratio, on which the image has a cell around it.
fn enlarged(
    operation: &mut OperationBuilder,
    shape: &mut [usize],
    image: Argument,
    ratio: [Option<usize>; 2],
) -> Result<Argument, ProblemError> {
    let overflow = ProblemError::Overflow { what: "an extent of the enlarged image" };
    let (mut padding, mut triangles) = ([0; 2], [const { Vec::new() }; 2]);
    for (axis, ratio) in ratio.into_iter().enumerate() {
        if let Some(ratio) = ratio {
            let cells = (shape[axis + 2] - 2).checked_mul(ratio).ok_or(overflow.clone())?;
            // The triangle is refused first where this is too much.
            padding[axis] = ratio.saturating_mul(2) - (ratio - 1) / 2 - 1;
            shape[axis + 2] = cells;
        }
        triangles[axis] = bilinear_kernel_1d(ratio.unwrap_or(1)).to_vec();
    }
    let stride = ratio.map(|ratio| ratio.unwrap_or(1));
    let kernel = ArrayD::from_shape_fn(vec![1, 1, triangles[0].len(), triangles[1].len()], |at| {
        triangles[0][at[2]] * triangles[1][at[3]]
    });
    let conv = Conv::default().stride(stride).padding(padding).direction(Direction::GradInput);
    let problem = ConvProblem::new(shape, kernel.shape(), &conv.element(Element::F64))?;
    let kernel = Argument::constant(kernel);
    Ok(operation.step(problem, None, [(Role::GradOutput, image), (Role::Weight, kernel)]))
}

/// The triangle of linear interpolation by `ratio`: `[1, 2, .., ratio, .., 2, 1] / ratio`; Theano's `bilinear_kernel_1D`.
///
/// ```
/// use wgconv::theano::bilinear_kernel_1d;
///
/// assert_eq!(bilinear_kernel_1d(2).to_vec(), [0.5, 1.0, 0.5]);
/// ```
pub fn bilinear_kernel_1d(ratio: usize) -> Array1<f64> {
    (1..2 * ratio).map(|i| i.min(2 * ratio - i) as f64 / ratio as f64).collect()
}

/// Every image of `input: [b, c, rows, columns]` enlarged by linear interpolation, the edge repeated; as Theano's
/// `bilinear_upsampling`. By `p/q`, an axis of `n` cells gets `⌈n·p/q⌉`, and cell `i` lies at `(q·i − ⌊(p − 1)/2⌋) / p`.
///
/// ```
/// use wgconv::ndarray::array;
/// use wgconv::theano::{BilinearUpsampling, bilinear_upsampling};
///
/// let x = array![[[[1f32, 2.], [3., 4.]]]];
/// let twice = array![[[[1., 1.5, 2., 2.], [2., 2.5, 3., 3.], [3., 3.5, 4., 4.], [3., 3.5, 4., 4.]]]];
/// assert_eq!(bilinear_upsampling(&x, &BilinearUpsampling::ratio(2))?, twice);
/// let by_three_halves = BilinearUpsampling::frac_ratio((2, 1), (2, 2)); // rows doubled, columns as they are
/// assert_eq!(bilinear_upsampling(&x, &by_three_halves)?.shape(), [1, 1, 4, 2]);
/// # Ok::<(), wgconv::Error>(())
/// ```
///
/// # Errors
///
/// An input of other than 4 axes or without any cell, a ratio of 0, a fraction with a 1-D kernel; a device that is lost
/// or full.
pub fn bilinear_upsampling<T: Scalar>(
    input: &ArrayBase<impl Data<Elem = T>, Ix4>,
    how: &BilinearUpsampling,
) -> Result<Array4<T>, Error> {
    let operation = how.operation(input.shape())?;
    Ok(typed(run_once(&operation, &[input.view().into_dyn()])?)?)
}
