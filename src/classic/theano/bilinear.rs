//! `theano.tensor.nnet.abstract_conv.bilinear_upsampling`: images enlarged by linear interpolation.

use ndarray::{Array1, Array4, ArrayBase, Data, Ix4};

use super::check_axes;
use crate::classic::operation::{
    Argument, Constant, Operation, OperationBuilder, OperationError, Role, View, place,
};
use crate::device::{Scalar, run_once};
use crate::error::Error;
use crate::problem::{Boundary, Conv, ConvProblem, Element, Padding, PerAxis, ProblemError};

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
    /// In Theano, whether rows and columns are interpolated one after the other (`true`, the default) or at once, which a
    /// fraction wants. Here rows come first either way; the numbers are the same.
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

    /// The operation on an operand `input` of this shape: rows, then columns. Of a ratio `p/q`, output `p·m + j` lies at the
    /// same place between its neighbours for every `m`: `p` filters with steps of `q`, whose results are interleaved.
    ///
    /// # Errors
    ///
    /// As [`bilinear_upsampling`].
    pub fn operation(&self, input: &[usize]) -> Result<Operation, Error> {
        check_axes("input", input, &[4], "4 (b, c, rows, columns)")?;
        let [rows, columns] = self.reduced()?;
        let overflow = || ProblemError::Overflow { what: "the number of images" };
        let images = input[0].checked_mul(input[1]).ok_or_else(overflow)?;
        let mut shape = [images, 1, input[2], input[3]];
        let mut operation = Operation::builder("theano.bilinear_upsampling");
        let mut image = operation.operand("input", input).seen(View::default().reshaped(input, shape));
        image = enlarged(&mut operation, &mut shape, image, 2, rows)?;
        image = enlarged(&mut operation, &mut shape, image, 3, columns)?;
        let y = [input[0], input[1], shape[2], shape[3]];
        Ok(operation.finish(image.seen(View::default().reshaped(shape, y)))?)
    }

    /// Numerator and denominator by axis, without common divisors.
    fn reduced(&self) -> Result<[(usize, usize); 2], OperationError> {
        let wrong = |what, got: String| {
            Err(OperationError::Parameter { what, wanted: "whole numbers of at least 1".into(), got })
        };
        match self.ratio {
            Ratio::Whole(0) => wrong("ratio", "0".into()),
            Ratio::Whole(ratio) => Ok([(ratio, 1); 2]),
            Ratio::Fraction(pairs) if pairs.iter().any(|&(p, q)| p == 0 || q == 0) => {
                wrong("frac_ratio", format!("{pairs:?}"))
            }
            Ratio::Fraction(_) if self.use_1d_kernel => {
                let (wanted, got) = ("false for a frac_ratio".into(), "true".into());
                Err(OperationError::Parameter { what: "use_1D_kernel", wanted, got })
            }
            Ratio::Fraction(pairs) => Ok(pairs.map(|(p, q)| {
                let divisor = common_divisor(p, q);
                (p / divisor, q / divisor)
            })),
        }
    }
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// Interpolates along spatial axis `axis` of an image of this shape.
fn enlarged(
    operation: &mut OperationBuilder,
    shape: &mut [usize; 4],
    image: Argument,
    axis: usize,
    (p, q): (usize, usize),
) -> Result<Argument, Error> {
    let overflow = || ProblemError::Overflow { what: "an extent of the enlarged image" };
    let cells = shape[axis];
    if cells == 0 {
        return Err(ProblemError::EmptyExtent { tensor: "input", axis: axis - 2 }.into());
    }
    let out = cells.checked_mul(p).ok_or_else(overflow)?.div_ceil(q);
    // Fewer filters than `p` if there are no more outputs.
    let filters = p.min(out);
    let windows = out.div_ceil(filters);
    let (first, last) = (place(0, p, q).0, place(filters - 1, p, q).0 + 1);
    let taps = usize::try_from(last - first + 1).map_err(|_| overflow())?;
    // The edge is repeated wherever windows begin or end outside the image.
    let begin = u64::try_from(-first).map_err(|_| overflow())?;
    // Of a single window the step does not matter, however long it is.
    let step = if windows > 1 { q } else { 1 };
    let reach = (windows as i128 - 1) * step as i128 + taps as i128;
    let end = i64::try_from(reach - cells as i128 - i128::from(begin)).map_err(|_| overflow())?;
    let by_axis = |own: u64, other: u64| if axis == 2 { vec![own, other] } else { vec![other, own] };
    let pads = if axis == 2 { vec![(begin, end), (0, 0)] } else { vec![(0, 0), (begin, end)] };
    let conv = Conv {
        stride: PerAxis::Each(by_axis(step as u64, 1)),
        padding: Padding::Explicit(pads),
        boundary: Boundary::Nearest,
        element: Element::F64,
        ..Conv::default()
    };
    let kernel = if axis == 2 { [filters, 1, taps, 1] } else { [filters, 1, 1, taps] };
    let problem = ConvProblem::new(&shape[..], &kernel, &conv)?;
    let first = i64::try_from(first).map_err(|_| overflow())?;
    let weights = Argument::constant(Constant::Interpolation { filters, taps, first, p, q });
    // Described along rows.
    let weights = if axis == 2 { weights } else { weights.seen(View::default().permuted([0, 1, 3, 2])) };
    let y = problem.output().shape();
    let result = operation.step(problem, None, [(Role::Input, image), (Role::Weight, weights)]);
    // Filters become cells beside each other.
    let order = if axis == 2 { [0, 2, 1, 3] } else { [0, 2, 3, 1] };
    let interleaved = order.map(|axis| y[axis]);
    let all = windows.checked_mul(filters).ok_or_else(overflow)?;
    shape[axis] = all;
    let view = View::default().permuted(order).reshaped(interleaved, *shape).cropped(axis, all, 0, out);
    shape[axis] = out;
    Ok(result.seen(view))
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
    run_once(&operation, &[input.view().into_dyn()])
}
