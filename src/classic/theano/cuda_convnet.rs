//! cuda-convnet's `FilterActs`, `ImageActs` and `WeightActs`, as pylearn2 brings them to Theano: the batch last.

use ndarray::{Array4, ArrayBase, Data, Ix4};

use super::{AxisOrder, channels_of_groups, channels_per_group, check_axes};
use crate::classic::operation::{Operation, OperationError, Role};
use crate::device::{Scalar, run_once};
use crate::error::Error;
use crate::problem::{
    Conv, ConvProblem, Direction, Element, Layout, Padding, PerAxis, ProblemError, Rounding,
};

/// Parameters of [`filter_acts`], [`image_acts`] and [`weight_acts`], under their original names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CudaConvnet {
    /// Cells of zeros on both sides of rows and columns.
    pub pad: PerAxis,
    /// Steps of the window; larger than the filter if they like.
    pub stride: PerAxis,
    /// How many output positions the original sums in one go; `None` and 0: all. It must divide their number, and
    /// changes no result.
    pub partial_sum: Option<usize>,
    /// Channel groups, which the original kernels have and pylearn2 fixes to 1.
    pub num_groups: u64,
}

impl Default for CudaConvnet {
    fn default() -> Self {
        Self { pad: PerAxis::Uniform(0), stride: PerAxis::Uniform(1), partial_sum: None, num_groups: 1 }
    }
}

const IMAGES: &str = "4 (channel, row, column, batch)";
const FILTERS: &str = "4 (in channel/groups, row, column, out channel)";
/// cuda-convnet's: the batch last.
const C01B: AxisOrder = AxisOrder(&[3, 0, 1, 2]);

impl CudaConvnet {
    setters! { (pad: PerAxis, stride: PerAxis, partial_sum: Option<usize>) (num_groups: u64) }

    fn pads(&self) -> Result<Vec<u64>, ProblemError> {
        self.pad.resolve(2).map_err(|got| ProblemError::PaddingCount { wanted: 2, got })
    }

    /// Output positions are counted up, and what the last windows miss at the end are zeros.
    fn conv(&self, direction: Direction) -> Result<Conv, ProblemError> {
        let pair = |pad: u64| (pad, i64::try_from(pad).unwrap_or(i64::MAX));
        Ok(Conv {
            stride: self.stride.clone(),
            padding: Padding::Explicit(self.pads()?.into_iter().map(pair).collect()),
            rounding: Rounding::Ceil,
            groups: self.num_groups,
            layouts: Layout::Cxn.into(),
            element: Element::F64,
            direction,
            ..Conv::default()
        })
    }

    fn check_partial_sum(&self, positions: &[usize]) -> Result<(), OperationError> {
        let positions = positions.iter().fold(1usize, |all, &n| all.saturating_mul(n));
        match self.partial_sum {
            Some(sum) if sum > 0 && !positions.is_multiple_of(sum) => Err(OperationError::Parameter {
                what: "partial_sum",
                wanted: format!("a divisor of the {positions} output positions"),
                got: sum.to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// The operation [`filter_acts`] on operands `images` and `filters` of these shapes.
    ///
    /// # Errors
    ///
    /// As [`filter_acts`].
    pub fn filter_acts(&self, images: &[usize], filters: &[usize]) -> Result<Operation, Error> {
        check_axes("images", images, &[4], IMAGES)?;
        check_axes("filters", filters, &[4], FILTERS)?;
        let conv = self.conv(Direction::Forward)?;
        let problem = ConvProblem::new(&C01B.logical(images), &C01B.logical(filters), &conv)?;
        self.check_partial_sum(&problem.output().shape()[2..])?;
        let operands = [("images", Role::Input, images), ("filters", Role::Weight, filters)];
        Ok(C01B.single("theano.filter_acts", problem, &operands)?)
    }

    /// The operation [`image_acts`] on operands `hid_acts` and `filters` of these shapes.
    ///
    /// # Errors
    ///
    /// As [`image_acts`].
    pub fn image_acts(
        &self,
        hid_acts: &[usize],
        filters: &[usize],
        output_shape: Option<&[usize]>,
    ) -> Result<Operation, Error> {
        check_axes("hid_acts", hid_acts, &[4], "4 (out channel, row, column, batch)")?;
        check_axes("filters", filters, &[4], FILTERS)?;
        let target = |wanted: String| {
            let got = output_shape.map(<[usize]>::to_vec);
            Error::from(OperationError::Target { what: "output_shape", wanted, got })
        };
        if hid_acts[0] != filters[3] {
            let (what, wanted, got) = ("hid_acts", filters[3], hid_acts[0]);
            return Err(OperationError::Channels { what, wanted, got }.into());
        }
        let (pads, strides) = (self.pads()?, self.stride.resolve(2));
        let strides = strides.map_err(|got| ProblemError::StridesPerAxis { wanted: 2, got })?;
        if output_shape.is_none() && strides != [1, 1] {
            return Err(target("rows and columns, as the steps are not all 1".into()));
        }
        if output_shape.is_some_and(|shape| shape.len() != 2) {
            return Err(target("2 extents: rows and columns".into()));
        }
        let channels = channels_of_groups(filters[0], self.num_groups)?;
        let (mut x, mut ends) = (vec![hid_acts[3], channels], Vec::new());
        for axis in 0..2 {
            let (m, k) = (hid_acts[axis + 1] as i128, filters[axis + 1] as i128);
            let (pad, stride) = (i128::from(pads[axis]), i128::from(strides[axis]));
            // Where the last window ends, counted from the image's first cell.
            let reach = (m - 1) * stride + k - pad;
            let extent = match output_shape {
                Some(shape) => shape[axis] as i128,
                None => reach - pad,
            };
            if stride == 0 {
                return Err(ProblemError::Stride { axis }.into());
            }
            if reach < 1 {
                let (wanted, got) =
                    (format!("less: no window reaches the image on axis {axis}"), pad.to_string());
                return Err(OperationError::Parameter { what: "pad", wanted, got }.into());
            }
            if extent < 1 || extent > reach {
                return Err(target(format!("1 to {reach} on axis {axis}, where it is {extent}")));
            }
            x.push(
                usize::try_from(extent).map_err(|_| ProblemError::Overflow { what: "the image's extent" })?,
            );
            let end = i64::try_from(reach - extent);
            let end = end.map_err(|_| ProblemError::Overflow { what: "the padding of the image" })?;
            ends.push((pads[axis], end));
        }
        // The windows are those that the hidden activations have, wherever the image is cropped.
        let conv =
            self.conv(Direction::GradInput)?.padding(Padding::Explicit(ends)).rounding(Rounding::Floor);
        let problem = ConvProblem::new(&x, &C01B.logical(filters), &conv)?;
        self.check_partial_sum(&hid_acts[1..3])?;
        let operands = [("hid_acts", Role::GradOutput, hid_acts), ("filters", Role::Weight, filters)];
        Ok(C01B.single("theano.image_acts", problem, &operands)?)
    }

    /// The operation [`weight_acts`] on operands `images` and `hid_grads` of these shapes.
    ///
    /// # Errors
    ///
    /// As [`weight_acts`].
    pub fn weight_acts(
        &self,
        images: &[usize],
        hid_grads: &[usize],
        output_shape: &[usize],
    ) -> Result<Operation, Error> {
        check_axes("images", images, &[4], IMAGES)?;
        check_axes("hid_grads", hid_grads, &[4], "4 (out channel, row, column, batch)")?;
        if output_shape.len() != 2 {
            let (wanted, got) = ("2 extents: rows and columns of the filters".into(), output_shape.to_vec());
            return Err(OperationError::Target { what: "output_shape", wanted, got: Some(got) }.into());
        }
        let conv = self.conv(Direction::GradWeight)?;
        let per_group = channels_per_group(images[0], self.num_groups).unwrap_or(images[0]);
        let w = [hid_grads[0], per_group, output_shape[0], output_shape[1]];
        let problem = ConvProblem::new(&C01B.logical(images), &w, &conv)?;
        self.check_partial_sum(&hid_grads[1..3])?;
        let operands = [("images", Role::Input, images), ("hid_grads", Role::GradOutput, hid_grads)];
        Ok(C01B.single("theano.weight_acts", problem, &operands)?)
    }
}

/// `images: [channel, row, column, batch]` correlated with `filters: [in channel/groups, row, column, out channel]`, **not**
/// flipped, as cuda-convnet's `FilterActs`. Output `[out channel, row, column, batch]`, of `⌈(i + 2·pad − k)/stride⌉ + 1` rows: windows
/// that reach past the padded image read zeros there.
///
/// ```
/// use wgconv::ndarray::Array4;
/// use wgconv::theano::{CudaConvnet, filter_acts};
///
/// let x = Array4::from_shape_vec((1, 3, 3, 1), (1..10).map(|i| i as f32).collect()).unwrap();
/// let w = Array4::from_shape_vec((1, 2, 2, 1), vec![1f32, 2., 3., 4.]).unwrap();
/// let y = filter_acts(&x, &w, &CudaConvnet::default().stride(2))?;
/// assert_eq!(y.into_raw_vec_and_offset().0, [37., 21., 23., 9.]); // rounding down would leave one
/// # Ok::<(), wgconv::Error>(())
/// ```
///
/// # Errors
///
/// Operands of other than 4 axes, channels and groups that do not fit, a `partial_sum` that does not divide the output
/// positions, a filter larger than the padded image; a device that is lost or full.
pub fn filter_acts<T: Scalar>(
    images: &ArrayBase<impl Data<Elem = T>, Ix4>,
    filters: &ArrayBase<impl Data<Elem = T>, Ix4>,
    how: &CudaConvnet,
) -> Result<Array4<T>, Error> {
    let operation = how.filter_acts(images.shape(), filters.shape())?;
    run_once(&operation, &[images.view().into_dyn(), filters.view().into_dyn()])
}

/// The adjoint of [`filter_acts`], as cuda-convnet's `ImageActs`: images of `output_shape` rows and columns, which may be
/// left out with steps of 1 and otherwise are 1 to `(m − 1)·stride + k − pad`.
///
/// ```
/// use wgconv::ndarray::Array4;
/// use wgconv::theano::{CudaConvnet, image_acts};
///
/// let hid = Array4::from_shape_vec((1, 2, 2, 1), vec![1f32, 2., 3., 4.]).unwrap();
/// let w = Array4::from_shape_vec((1, 2, 2, 1), vec![1f32, 2., 3., 4.]).unwrap();
/// let images = image_acts(&hid, &w, Some([3, 3]), &CudaConvnet::default().stride(2))?;
/// assert_eq!(images.into_raw_vec_and_offset().0, [1., 2., 2., 3., 4., 6., 3., 6., 4.]);
/// # Ok::<(), wgconv::Error>(())
/// ```
///
/// # Errors
///
/// As [`filter_acts`], and an `output_shape` that is missing or too large.
pub fn image_acts<T: Scalar>(
    hid_acts: &ArrayBase<impl Data<Elem = T>, Ix4>,
    filters: &ArrayBase<impl Data<Elem = T>, Ix4>,
    output_shape: Option<[usize; 2]>,
    how: &CudaConvnet,
) -> Result<Array4<T>, Error> {
    let output_shape = output_shape.as_ref().map(|shape| &shape[..]);
    let operation = how.image_acts(hid_acts.shape(), filters.shape(), output_shape)?;
    run_once(&operation, &[hid_acts.view().into_dyn(), filters.view().into_dyn()])
}

/// The gradient of [`filter_acts`] by its filters, which have `output_shape` rows and columns, as cuda-convnet's
/// `WeightActs`.
///
/// ```
/// use wgconv::ndarray::Array4;
/// use wgconv::theano::{CudaConvnet, weight_acts};
///
/// let x = Array4::from_shape_vec((1, 3, 3, 1), (1..10).map(|i| i as f32).collect()).unwrap();
/// let hid = Array4::from_shape_vec((1, 2, 2, 1), vec![1f32, 2., 3., 4.]).unwrap();
/// let dw = weight_acts(&x, &hid, [2, 2], &CudaConvnet::default().stride(2))?;
/// assert_eq!(dw.into_raw_vec_and_offset().0, [64., 26., 16., 5.]);
/// # Ok::<(), wgconv::Error>(())
/// ```
///
/// # Errors
///
/// As [`filter_acts`], and `hid_grads` of another shape than the output.
pub fn weight_acts<T: Scalar>(
    images: &ArrayBase<impl Data<Elem = T>, Ix4>,
    hid_grads: &ArrayBase<impl Data<Elem = T>, Ix4>,
    output_shape: [usize; 2],
    how: &CudaConvnet,
) -> Result<Array4<T>, Error> {
    let operation = how.weight_acts(images.shape(), hid_grads.shape(), &output_shape)?;
    run_once(&operation, &[images.view().into_dyn(), hid_grads.view().into_dyn()])
}
