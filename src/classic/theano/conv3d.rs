//! Theano 0.9's `Conv3D`, `ConvTransp3D` and `ConvGrad3D`: videos with the channels last.

use ndarray::{Array5, ArrayBase, ArrayView1, Data, Ix5};

use super::{AxisOrder, check_axes};
use crate::classic::operation::{Operation, OperationError, Role};
use crate::device::{Scalar, run_once};
use crate::error::Error;
use crate::problem::{Conv, ConvProblem, Direction, Element, Layout, Padding, PerAxis, ProblemError};

/// The parameter of [`conv3d`], [`conv_transp3d`] and [`conv_grad3d`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conv3d {
    /// Steps of the window by row, column and time.
    pub d: PerAxis,
}

impl Default for Conv3d {
    fn default() -> Self {
        Self { d: PerAxis::Uniform(1) }
    }
}

const VIDEO: &str = "5 (batch, row, column, time, channel)";
const FILTER: &str = "5 (out channel, row, column, time, in channel)";
const CHANNELS_LAST: AxisOrder = AxisOrder(&[0, 4, 1, 2, 3]);

impl Conv3d {
    /// Steps of `d` by row, column and time.
    pub fn new(d: impl Into<PerAxis>) -> Self {
        Self { d: d.into() }
    }

    fn conv(&self) -> Conv {
        Conv::default().stride(self.d.clone()).layouts(Layout::Nxc).element(Element::F64)
    }

    /// The operation [`conv3d`] on operands `V`, `W`, `b` of these shapes.
    ///
    /// # Errors
    ///
    /// As [`conv3d`].
    pub fn forward(&self, v: &[usize], w: &[usize], b: &[usize]) -> Result<Operation, Error> {
        check_axes("V", v, &[5], VIDEO)?;
        check_axes("W", w, &[5], FILTER)?;
        check_axes("b", b, &[1], "1 (out channel)")?;
        let problem =
            ConvProblem::new(&CHANNELS_LAST.logical(v), &CHANNELS_LAST.logical(w), &self.conv().bias(true))?;
        let operands = [("V", Role::Input, v), ("W", Role::Weight, w), ("b", Role::Bias, b)];
        Ok(CHANNELS_LAST.single("theano.conv3d", problem, &operands)?)
    }

    /// The operation [`conv_transp3d`] on operands `W`, `b`, `H` of these shapes; `r_shape` is Theano's `RShape`.
    ///
    /// # Errors
    ///
    /// As [`conv_transp3d`].
    pub fn transposed(
        &self,
        w: &[usize],
        b: &[usize],
        h: &[usize],
        r_shape: Option<&[usize]>,
    ) -> Result<Operation, Error> {
        check_axes("W", w, &[5], FILTER)?;
        check_axes("b", b, &[1], "1 (in channel)")?;
        check_axes("H", h, &[5], VIDEO)?;
        let (mut r, mut ends) = (vec![h[0], w[4]], Vec::new());
        let overflow = || ProblemError::Overflow { what: "an extent of the transposed convolution" };
        let wrong = |wanted: String| {
            let got = r_shape.map(<[usize]>::to_vec);
            Error::from(OperationError::Target { what: "RShape", wanted, got })
        };
        if r_shape.is_some_and(|shape| shape.len() != 3) {
            return Err(wrong("3 extents: rows, columns, times".into()));
        }
        let d = self.d.resolve(3).map_err(|got| ProblemError::StridesPerAxis { wanted: 3, got })?;
        if h[4] != w[0] {
            return Err(OperationError::Channels { what: "H", wanted: w[0], got: h[4] }.into());
        }
        for axis in 0..3 {
            let steps = (h[axis + 1] as u64).saturating_sub(1).checked_mul(d[axis]);
            let natural = steps.and_then(|steps| steps.checked_add(w[axis + 1] as u64));
            let natural = natural.and_then(|n| usize::try_from(n).ok()).ok_or_else(overflow)?;
            let extent = r_shape.map_or(natural, |shape| shape[axis]);
            // Cells past the last window are an unused tail of the forward convolution's input.
            let tail = extent
                .checked_sub(natural)
                .ok_or_else(|| wrong(format!("at least {natural} on axis {axis}")))?;
            r.push(extent);
            ends.push((0, i64::try_from(tail).map(|tail| -tail).map_err(|_| overflow())?));
        }
        let conv = self.conv().padding(Padding::Explicit(ends)).bias(true).direction(Direction::GradInput);
        let problem = ConvProblem::new(&r, &CHANNELS_LAST.logical(w), &conv)?;
        let operands = [("W", Role::Weight, w), ("b", Role::Bias, b), ("H", Role::GradOutput, h)];
        Ok(CHANNELS_LAST.single("theano.conv_transp3d", problem, &operands)?)
    }

    /// The operation [`conv_grad3d`] on operands `V`, `dCdH` of these shapes; `w_shape` is Theano's `WShape`.
    ///
    /// # Errors
    ///
    /// As [`conv_grad3d`].
    pub fn grad_weights(&self, v: &[usize], dcdh: &[usize], w_shape: &[usize]) -> Result<Operation, Error> {
        check_axes("V", v, &[5], VIDEO)?;
        check_axes("dCdH", dcdh, &[5], VIDEO)?;
        check_axes("WShape", w_shape, &[5], "5 extents (out channel, row, column, time, in channel)")?;
        let conv = self.conv().direction(Direction::GradWeight);
        let problem = ConvProblem::new(&CHANNELS_LAST.logical(v), &CHANNELS_LAST.logical(w_shape), &conv)?;
        let operands = [("V", Role::Input, v), ("dCdH", Role::GradOutput, dcdh)];
        Ok(CHANNELS_LAST.single("theano.conv_grad3d", problem, &operands)?)
    }
}

/// Video `v: [batch, row, column, time, in channel]` correlated with `w: [out channel, row, column, time, in channel]`,
/// plus `b: [out channel]`, as Theano's `Conv3D`: **not** flipped, not padded. Output `[batch, row, column, time, out channel]`.
///
/// ```text
/// H[i, r, c, t, j] = b[j] + Σ k, l, m, z  W[j, k, l, m, z] · V[i, dr·r + k, dc·c + l, dt·t + m, z]
/// ```
///
/// ```
/// use wgconv::ndarray::{Array5, array};
/// use wgconv::theano::{Conv3d, conv3d};
///
/// let v = Array5::from_shape_vec((1, 1, 1, 4, 1), vec![1f32, 2., 3., 4.]).unwrap();
/// let w = Array5::from_shape_vec((1, 1, 1, 2, 1), vec![1f32, 10.]).unwrap();
/// let h = conv3d(&v, &w, array![100.].view(), &Conv3d::new([1, 1, 2]))?;
/// assert_eq!(h.into_raw_vec_and_offset().0, [121., 143.]);
/// # Ok::<(), wgconv::Error>(())
/// ```
///
/// # Errors
///
/// A `d` of other than 3 steps or with a step of 0, channels that do not fit, a bias of another length, a filter larger
/// than the video; a device that is lost or full.
pub fn conv3d<T: Scalar>(
    v: &ArrayBase<impl Data<Elem = T>, Ix5>,
    w: &ArrayBase<impl Data<Elem = T>, Ix5>,
    b: ArrayView1<'_, T>,
    how: &Conv3d,
) -> Result<Array5<T>, Error> {
    let operation = how.forward(v.shape(), w.shape(), b.shape())?;
    let operands = [v.view().into_dyn(), w.view().into_dyn(), b.into_dyn()];
    run_once(&operation, &operands)
}

/// The adjoint of [`conv3d`] applied to `h`, plus `b: [in channel]`, as Theano's `ConvTransp3D`. Its space is
/// `(H − 1)·d + W`, or `r_shape`, which may be larger: cells that nothing reaches hold the bias.
///
/// ```
/// use wgconv::ndarray::{Array5, array};
/// use wgconv::theano::{Conv3d, conv_transp3d};
///
/// let h = Array5::from_shape_vec((1, 1, 1, 2, 1), vec![1f32, 2.]).unwrap();
/// let w = Array5::from_shape_vec((1, 1, 1, 2, 1), vec![1f32, 10.]).unwrap();
/// let r = conv_transp3d(&w, array![100.].view(), &h, Some([1, 1, 5]), &Conv3d::new([1, 1, 2]))?;
/// assert_eq!(r.into_raw_vec_and_offset().0, [101., 110., 102., 120., 100.]);
/// # Ok::<(), wgconv::Error>(())
/// ```
///
/// # Errors
///
/// As [`conv3d`], and an `r_shape` that is too small.
pub fn conv_transp3d<T: Scalar>(
    w: &ArrayBase<impl Data<Elem = T>, Ix5>,
    b: ArrayView1<'_, T>,
    h: &ArrayBase<impl Data<Elem = T>, Ix5>,
    r_shape: Option<[usize; 3]>,
    how: &Conv3d,
) -> Result<Array5<T>, Error> {
    let r_shape = r_shape.as_ref().map(|shape| &shape[..]);
    let operation = how.transposed(w.shape(), b.shape(), h.shape(), r_shape)?;
    let operands = [w.view().into_dyn(), b.into_dyn(), h.view().into_dyn()];
    run_once(&operation, &operands)
}

/// The gradient of [`conv3d`] by its filters, which are of shape `w_shape`, as Theano's `ConvGrad3D`.
///
/// ```
/// use wgconv::ndarray::Array5;
/// use wgconv::theano::{Conv3d, conv_grad3d};
///
/// let v = Array5::from_shape_vec((1, 1, 1, 4, 1), vec![1f32, 2., 3., 4.]).unwrap();
/// let dcdh = Array5::<f32>::ones((1, 1, 1, 2, 1));
/// let dw = conv_grad3d(&v, &dcdh, [1, 1, 1, 2, 1], &Conv3d::new([1, 1, 2]))?;
/// assert_eq!(dw.into_raw_vec_and_offset().0, [4., 6.]);
/// # Ok::<(), wgconv::Error>(())
/// ```
///
/// # Errors
///
/// As [`conv3d`], and a `dcdh` of another shape than the convolution's output.
pub fn conv_grad3d<T: Scalar>(
    v: &ArrayBase<impl Data<Elem = T>, Ix5>,
    dcdh: &ArrayBase<impl Data<Elem = T>, Ix5>,
    w_shape: [usize; 5],
    how: &Conv3d,
) -> Result<Array5<T>, Error> {
    let operation = how.grad_weights(v.shape(), dcdh.shape(), &w_shape)?;
    run_once(&operation, &[v.view().into_dyn(), dcdh.view().into_dyn()])
}
