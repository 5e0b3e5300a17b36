//! `conv2d_fft` and `conv3d_fft` of Theano's `sandbox.cuda.fftconv`: convolution by spectra.

use ndarray::{Array, ArrayBase, Data, Ix4, Ix5};

use super::{Hint, check_activations, check_axes, check_hint, check_named};
use crate::algorithm_name::Algorithm;
use crate::classic::operation::{Operation, Role};
use crate::device::{Scalar, run_once};
use crate::error::Error;
use crate::problem::{Conv, ConvProblem, Element, Padding};

/// Parameters of [`conv2d_fft`] and [`conv3d_fft`], under their original names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConvFft {
    /// `Valid` or `Full`.
    pub border_mode: Padding,
    /// Once needed for odd widths; accepted, and without effect: every width runs.
    pub pad_last_dim: bool,
    /// What the shape of `input` must be.
    pub image_shape: Hint,
    /// What the shape of `filters` must be.
    pub filter_shape: Hint,
}

impl ConvFft {
    setters! { (border_mode: Padding, image_shape: Hint, filter_shape: Hint) (pad_last_dim: bool) }

    /// The operation on operands `input` and `filters` of these shapes, of rank 2 for [`conv2d_fft`].
    ///
    /// # Errors
    ///
    /// As [`conv2d_fft`].
    pub fn operation(&self, rank: usize, input: &[usize], filters: &[usize]) -> Result<Operation, Error> {
        check_activations("input", input, rank)?;
        check_axes("filters", filters, &[rank + 2], "4 (o, c, rows, columns) in 2-D, 5 in 3-D")?;
        check_named(&self.border_mode, "valid, full")?;
        check_hint("image_shape", &self.image_shape, "input", input)?;
        check_hint("filter_shape", &self.filter_shape, "filters", filters)?;
        let conv = Conv::default().padding(self.border_mode.clone()).flip(true).element(Element::F64);
        let problem = ConvProblem::new(input, filters, &conv)?;
        let operands = [("input", Role::Input, input), ("filters", Role::Weight, filters)];
        let name = format!("theano.conv{rank}d_fft");
        Ok(Operation::single(name, problem, Some(Algorithm::Fft), &operands)?)
    }
}

macro_rules! ranks {
    ($rank:literal, $dim:ty, $space:literal, $ones:expr, $name:ident) => {
        #[doc = concat!("`input: [b, c, ", $space, "]` convolved with `filters: [o, c, ", $space, "]` by [`Algorithm::Fft`] where the")]
        /// device has it, else by what runs; flipped, as Theano's
        #[doc = concat!("`", stringify!($name), "`.")]
        ///
        /// ```
        /// use wgconv::ndarray::Array;
        #[doc = concat!("use wgconv::theano::{ConvFft, ", stringify!($name), "};")]
        ///
        #[doc = concat!("let (x, w) = (Array::<f32, _>::ones([1, 1, ", $ones, "]), Array::<f32, _>::ones([1, 1, ", $ones, "]));")]
        #[doc = concat!("let y = ", stringify!($name), "(&x, &w, &ConvFft::default())?;")]
        /// assert_eq!((y.len(), y.sum().round()), (1, x.sum())); // an odd width needs no padding
        /// # Ok::<(), wgconv::Error>(())
        /// ```
        ///
        /// # Errors
        ///
        /// A border other than `valid` and `full`, a declared shape that is not the operand's, channels that do not fit, a
        /// filter larger than the image without padding; a device that is lost or full.
        pub fn $name<T: Scalar>(
            input: &ArrayBase<impl Data<Elem = T>, $dim>,
            filters: &ArrayBase<impl Data<Elem = T>, $dim>,
            how: &ConvFft,
        ) -> Result<Array<T, $dim>, Error> {
            let operation = how.operation($rank, input.shape(), filters.shape())?;
            run_once(&operation, &[input.view().into_dyn(), filters.view().into_dyn()])
        }
    };
}

ranks!(2, Ix4, "rows, columns", "3, 3", conv2d_fft);
ranks!(3, Ix5, "rows, columns, depth", "3, 3, 3", conv3d_fft);
