//! Theano's `CorrMM` and `Corr3dMM` (`GpuCorrMM`) with their gradients: correlation as a product of matrices.

use ndarray::{Array, ArrayBase, ArrayD, Data, Dimension, Ix4, Ix5};

use super::nnet::{NnetConv, check_grad};
use super::{channels_of_groups, channels_per_group, check_activations, check_filters};
use crate::algorithm_name::Algorithm;
use crate::classic::operation::{Operation, OperationError, Role};
use crate::device::{Scalar, run_once};
use crate::error::Error;
use crate::problem::{Conv, ConvProblem, Direction, Padding, PerAxis, ProblemError};

/// Parameters of [`corr_mm`], [`corr3d_mm`] and their gradients, under their original names.
#[derive(Clone, Debug, PartialEq)]
pub struct CorrMm {
    /// `Valid`, `Full`, `Half`, cells on both sides, or `(begin, end)` per axis, the end not negative.
    pub border_mode: Padding,
    /// Steps of the window.
    pub subsample: PerAxis,
    /// Distance between taps.
    pub filter_dilation: PerAxis,
    /// Channel groups.
    pub num_groups: u64,
    /// Filters of their own for every output position: `[o, Y.., c/g, K..]`.
    pub unshared: bool,
    /// Of the gradients: the spatial extents of what they are the gradient by. With steps of 1 they may be left out: they
    /// are then the largest that lead to the gradient of the output.
    pub shape: Option<Vec<usize>>,
}

impl Default for CorrMm {
    fn default() -> Self {
        Self {
            border_mode: Padding::Valid,
            subsample: PerAxis::Uniform(1),
            filter_dilation: PerAxis::Uniform(1),
            num_groups: 1,
            unshared: false,
            shape: None,
        }
    }
}

impl CorrMm {
    setters! { (border_mode: Padding, subsample: PerAxis, filter_dilation: PerAxis, shape: Option<Vec<usize>>) (num_groups: u64, unshared: bool) }

    /// That of [`NnetConv`], never flipped.
    fn conv(&self, direction: Direction) -> Result<Conv, OperationError> {
        let how = NnetConv {
            border_mode: self.border_mode.clone(),
            subsample: self.subsample.clone(),
            filter_flip: false,
            filter_dilation: self.filter_dilation.clone(),
            num_groups: self.num_groups,
            unshared: self.unshared,
            ..NnetConv::default()
        };
        how.conv(direction)
    }

    fn single(
        name: &str,
        rank: usize,
        problem: ConvProblem,
        operands: &[(&'static str, Role, &[usize])],
    ) -> Result<Operation, OperationError> {
        let name = if rank == 2 { format!("theano.corr{name}") } else { format!("theano.corr{rank}d{name}") };
        Operation::single(name, problem, Some(Algorithm::Im2colGemm), operands)
    }

    /// The operation on operands `img` and `kern` of these shapes, of rank 2 for [`corr_mm`].
    ///
    /// # Errors
    ///
    /// As [`corr_mm`].
    pub fn forward(&self, rank: usize, img: &[usize], kern: &[usize]) -> Result<Operation, Error> {
        check_activations("img", img, rank)?;
        check_filters("kern", kern, rank, self.unshared)?;
        let problem = ConvProblem::new(img, kern, &self.conv(Direction::Forward)?)?;
        let operands = [("img", Role::Input, img), ("kern", Role::Weight, kern)];
        Ok(Self::single("_mm", rank, problem, &operands)?)
    }

    /// The operation on operands `img` and `topgrad` of these shapes.
    ///
    /// # Errors
    ///
    /// As [`corr_mm_grad_weights`].
    pub fn grad_weights(&self, rank: usize, img: &[usize], topgrad: &[usize]) -> Result<Operation, Error> {
        check_activations("img", img, rank)?;
        check_activations("topgrad", topgrad, rank)?;
        let conv = self.conv(Direction::GradWeight)?;
        let kernel = self.target(rank, |axis, dilation, pads| {
            let (image, top) = (img[axis + 2] as i128, topgrad[axis + 2] as i128);
            // The kernel's reach less one, which the border `full` adds on both sides.
            let reach = match (&self.border_mode, pads) {
                (Padding::Full, _) => Some(top - image),
                (_, Some(pads)) => Some(image + pads - top),
                (_, None) => None,
            };
            let reach = reach.ok_or_else(|| missing("as the border is half of it"))?;
            if reach < 0 || reach % dilation != 0 {
                let wanted = format!(
                    "a kernel: an image of {image} cells and a gradient of {top} leave a reach of {} on axis {axis}, dilation {dilation}",
                    reach + 1
                );
                return Err(OperationError::Target { what: "shape", wanted, got: None });
            }
            Ok(reach / dilation + 1)
        })?;
        let per_group = channels_per_group(img[1], self.num_groups).unwrap_or(img[1]);
        let positions = if self.unshared { &topgrad[2..] } else { &[] };
        let w = [&[topgrad[1]], positions, &[per_group], &kernel].concat();
        let problem = ConvProblem::new(img, &w, &conv)?;
        check_grad("topgrad", &problem, &conv, topgrad)?;
        let operands = [("img", Role::Input, img), ("topgrad", Role::GradOutput, topgrad)];
        Ok(Self::single("_mm_grad_weights", rank, problem, &operands)?)
    }

    /// The operation on operands `kern` and `topgrad` of these shapes.
    ///
    /// # Errors
    ///
    /// As [`corr_mm_grad_inputs`].
    pub fn grad_inputs(&self, rank: usize, kern: &[usize], topgrad: &[usize]) -> Result<Operation, Error> {
        check_activations("topgrad", topgrad, rank)?;
        check_filters("kern", kern, rank, self.unshared)?;
        let conv = self.conv(Direction::GradInput)?;
        let spatial = &kern[kern.len() - rank..];
        let image = self.target(rank, |axis, dilation, pads| {
            let reach = (spatial[axis] as i128 - 1) * dilation;
            let pads = pads.unwrap_or_else(|| {
                2 * if self.border_mode == Padding::Full { reach } else { (reach + 1) / 2 }
            });
            Ok(topgrad[axis + 2] as i128 + reach - pads)
        })?;
        let channels = channels_of_groups(kern[kern.len() - rank - 1], self.num_groups)?;
        let x = [&[topgrad[0], channels], &image[..]].concat();
        let problem = ConvProblem::new(&x, kern, &conv)?;
        check_grad("topgrad", &problem, &conv, topgrad)?;
        let operands = [("kern", Role::Weight, kern), ("topgrad", Role::GradOutput, topgrad)];
        Ok(Self::single("_mm_grad_inputs", rank, problem, &operands)?)
    }

    /// [`Self::shape`], or what `infer` finds for an axis from its dilation and, if they do not depend on the kernel,
    /// its pads.
    fn target(
        &self,
        rank: usize,
        infer: impl Fn(usize, i128, Option<i128>) -> Result<i128, OperationError>,
    ) -> Result<Vec<usize>, Error> {
        if let Some(shape) = &self.shape {
            if shape.len() != rank {
                let (wanted, got) = (format!("{rank} extents"), Some(shape.clone()));
                return Err(OperationError::Target { what: "shape", wanted, got }.into());
            }
            return Ok(shape.clone());
        }
        let strides = self.subsample.resolve(rank);
        let strides = strides.map_err(|got| ProblemError::StridesPerAxis { wanted: rank, got })?;
        let dilations = self.filter_dilation.resolve(rank);
        let dilations = dilations.map_err(|got| ProblemError::DilationsPerAxis { wanted: rank, got })?;
        if strides.iter().any(|&stride| stride != 1) {
            return Err(missing("as the steps are not all 1").into());
        }
        let mut extents = Vec::new();
        for axis in 0..rank {
            if dilations[axis] == 0 {
                return Err(ProblemError::Dilation { axis }.into());
            }
            let pads = match &self.border_mode {
                Padding::Symmetric(cells) => Some(2 * i128::from(*cells)),
                Padding::Explicit(pairs) if pairs.len() != rank => {
                    return Err(ProblemError::PaddingCount { wanted: rank, got: pairs.len() }.into());
                }
                Padding::Explicit(pairs) => Some(i128::from(pairs[axis].0) + i128::from(pairs[axis].1)),
                Padding::Valid => Some(0),
                _ => None,
            };
            let extent = infer(axis, i128::from(dilations[axis]), pads)?;
            extents.push(usize::try_from(extent).map_err(|_| {
                let wanted = format!("one of at least 1, where these operands leave {extent} on axis {axis}");
                OperationError::Target { what: "shape", wanted, got: None }
            })?);
        }
        Ok(extents)
    }
}

fn missing(why: &str) -> OperationError {
    OperationError::Target { what: "shape", wanted: format!("the spatial extents, {why}"), got: None }
}

macro_rules! ranks {
    (
        $rank:literal, $dim:ty, $space:literal, $example:literal,
        $name:ident, $grad_weights:ident, $grad_inputs:ident
    ) => {
        #[doc = concat!("`img: [b, c, ", $space, "]` correlated with `kern: [o, c/groups, ", $space, "]`, **not** flipped, as Theano's")]
        /// `CorrMM`; by [`Algorithm::Im2colGemm`] where the device has it, else by what runs.
        ///
        #[doc = $example]
        ///
        /// # Errors
        ///
        /// Operands of another number of axes, channels and groups that do not fit, a negative border, `same`, a kernel
        /// larger than the padded image; a device that is lost or full.
        pub fn $name<T: Scalar>(
            img: &ArrayBase<impl Data<Elem = T>, $dim>,
            kern: &ArrayBase<impl Data<Elem = T>, impl Dimension>,
            how: &CorrMm,
        ) -> Result<Array<T, $dim>, Error> {
            let operation = how.forward($rank, img.shape(), kern.shape())?;
            run_once(&operation, &[img.view().into_dyn(), kern.view().into_dyn()])
        }

        #[doc = concat!("Gradient of [`", stringify!($name), "`] by its kernel, of the spatial extents [`CorrMm::shape`].")]
        ///
        /// # Errors
        ///
        /// Extents that are missing where steps or the border `half` leave them open, or that lead to another output than
        #[doc = concat!("`topgrad` is the gradient of; else as [`", stringify!($name), "`].")]
        pub fn $grad_weights<T: Scalar>(
            img: &ArrayBase<impl Data<Elem = T>, $dim>,
            topgrad: &ArrayBase<impl Data<Elem = T>, $dim>,
            how: &CorrMm,
        ) -> Result<ArrayD<T>, Error> {
            let operation = how.grad_weights($rank, img.shape(), topgrad.shape())?;
            run_once(&operation, &[img.view().into_dyn(), topgrad.view().into_dyn()])
        }

        #[doc = concat!("Gradient of [`", stringify!($name), "`] by its image, of the spatial extents [`CorrMm::shape`].")]
        ///
        /// # Errors
        ///
        /// Extents that are missing where steps leave them open, or that lead to another output than `topgrad` is the
        #[doc = concat!("gradient of; else as [`", stringify!($name), "`].")]
        pub fn $grad_inputs<T: Scalar>(
            kern: &ArrayBase<impl Data<Elem = T>, impl Dimension>,
            topgrad: &ArrayBase<impl Data<Elem = T>, $dim>,
            how: &CorrMm,
        ) -> Result<Array<T, $dim>, Error> {
            let operation = how.grad_inputs($rank, kern.shape(), topgrad.shape())?;
            run_once(&operation, &[kern.view().into_dyn(), topgrad.view().into_dyn()])
        }
    };
}

ranks!(
    2,
    Ix4,
    "rows, columns",
    r"```
use wgconv::ndarray::array;
use wgconv::theano::{CorrMm, corr_mm, corr_mm_grad_inputs, corr_mm_grad_weights};

let x = array![[[[1f32, 2., 3.], [4., 5., 6.], [7., 8., 9.]]]];
let w = array![[[[1f32, 2.], [3., 4.]]]];
assert_eq!(corr_mm(&x, &w, &CorrMm::default())?, array![[[[37., 47.], [67., 77.]]]]);
// With steps of 1, the shapes of the gradients follow from the operands.
let h = array![[[[1f32, 2.], [3., 4.]]]];
assert_eq!(corr_mm_grad_weights(&x, &h, &CorrMm::default())?, array![[[[37., 47.], [67., 77.]]]].into_dyn());
let dx = array![[[[1., 4., 4.], [6., 20., 16.], [9., 24., 16.]]]];
assert_eq!(corr_mm_grad_inputs(&w, &h, &CorrMm::default())?, dx);
# Ok::<(), wgconv::Error>(())
```",
    corr_mm,
    corr_mm_grad_weights,
    corr_mm_grad_inputs
);
ranks!(
    3,
    Ix5,
    "rows, columns, depth",
    r"```
use wgconv::ndarray::Array5;
use wgconv::theano::{CorrMm, corr3d_mm};

let cube = Array5::from_shape_fn((1, 1, 2, 2, 2), |(_, _, i, j, k)| (4 * i + 2 * j + k + 1) as f32);
assert_eq!(corr3d_mm(&cube, &cube, &CorrMm::default())?[[0, 0, 0, 0, 0]], 204.);
# Ok::<(), wgconv::Error>(())
```",
    corr3d_mm,
    corr3d_mm_grad_weights,
    corr3d_mm_grad_inputs
);
