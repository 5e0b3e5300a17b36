//! `theano.tensor.nnet.conv3d2d.conv3d`: videos with time before the channels.

use ndarray::{Array5, ArrayBase, Data, Ix5};

use super::{AxisOrder, Hint, check_axes, check_hint, check_named};
use crate::classic::operation::{Operation, Role};
use crate::device::{Scalar, run_once};
use crate::error::Error;
use crate::problem::{Conv, ConvProblem, Element, Padding};

/// Parameters of [`conv3d2d`], under their original names.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv3d2d {
    /// `Valid`, `Full` or `Half` for time, rows and columns, each as it likes.
    pub border_mode: [Padding; 3],
    /// What the shape of `signals` must be.
    pub signals_shape: Hint,
    /// What the shape of `filters` must be.
    pub filters_shape: Hint,
}

impl Default for Conv3d2d {
    fn default() -> Self {
        Padding::Valid.into()
    }
}

impl From<Padding> for Conv3d2d {
    /// The same border on all three axes.
    fn from(border: Padding) -> Self {
        let border_mode = [border.clone(), border.clone(), border];
        Self { border_mode, signals_shape: None, filters_shape: None }
    }
}

const TIME_FIRST: AxisOrder = AxisOrder(&[0, 2, 1, 3, 4]);

impl Conv3d2d {
    setters! { (border_mode: [Padding; 3], signals_shape: Hint, filters_shape: Hint) () }

    /// The operation on operands `signals` and `filters` of these shapes.
    ///
    /// # Errors
    ///
    /// As [`conv3d2d`].
    pub fn operation(&self, signals: &[usize], filters: &[usize]) -> Result<Operation, Error> {
        check_axes("signals", signals, &[5], "5 (batch, time, channel, row, column)")?;
        check_axes("filters", filters, &[5], "5 (out channel, time, in channel, row, column)")?;
        check_hint("signals_shape", &self.signals_shape, "signals", signals)?;
        check_hint("filters_shape", &self.filters_shape, "filters", filters)?;
        let (x, w) = (TIME_FIRST.logical(signals), TIME_FIRST.logical(filters));
        let mut cells = Vec::new();
        for (border, &kernel) in self.border_mode.iter().zip(&w[2..]) {
            check_named(border, "valid, full, half")?;
            cells.push(match border {
                Padding::Full => kernel.saturating_sub(1),
                Padding::Half => kernel / 2,
                _ => 0,
            });
        }
        let conv = Conv::default().padding(cells).flip(true).element(Element::F64);
        let problem = ConvProblem::new(&x, &w, &conv)?;
        let operands = [("signals", Role::Input, signals), ("filters", Role::Weight, filters)];
        Ok(TIME_FIRST.single("theano.conv3d2d", problem, &operands)?)
    }
}

/// `signals: [batch, time, channel, row, column]` convolved with `filters: [out channel, time, in channel, row, column]` on
/// all three axes, as Theano's `conv3d2d.conv3d`: flipped. Output `[batch, time, out channel, row, column]`.
///
/// ```
/// use wgconv::ndarray::Array5;
/// use wgconv::Padding;
/// use wgconv::theano::{Conv3d2d, conv3d2d};
///
/// let signal = Array5::from_shape_vec((1, 3, 1, 1, 1), vec![1f32, 2., 3.]).unwrap();
/// let filter = Array5::from_shape_vec((1, 2, 1, 1, 1), vec![1f32, 10.]).unwrap();
/// let in_time = Conv3d2d { border_mode: [Padding::Full, Padding::Valid, Padding::Valid], ..Conv3d2d::default() };
/// let y = conv3d2d(&signal, &filter, &in_time)?;
/// assert_eq!(y.into_raw_vec_and_offset().0, [1., 12., 23., 30.]);
/// # Ok::<(), wgconv::Error>(())
/// ```
///
/// # Errors
///
/// A border other than `valid`, `full` and `half` on any axis, a declared shape that is not the operand's, channels that
/// do not fit, a kernel larger than the padded signal; a device that is lost or full.
pub fn conv3d2d<T: Scalar>(
    signals: &ArrayBase<impl Data<Elem = T>, Ix5>,
    filters: &ArrayBase<impl Data<Elem = T>, Ix5>,
    how: &Conv3d2d,
) -> Result<Array5<T>, Error> {
    let operation = how.operation(signals.shape(), filters.shape())?;
    run_once(&operation, &[signals.view().into_dyn(), filters.view().into_dyn()])
}
