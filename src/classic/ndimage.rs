//! scipy.ndimage's filters: `convolve` and `correlate`, whose result is as large as the image.
//!
//! ```
//! use wgconv::Boundary;
//! use wgconv::ndarray::array;
//! use wgconv::ndimage::{Filter, convolve, correlate};
//!
//! let (x, w) = (array![1, 2, 3, 4], array![1, 10, 100]);
//! assert_eq!(convolve(&x, &w, Boundary::Reflect)?, array![112, 123, 234, 344]);
//! assert_eq!(convolve(&x, &w, Boundary::Mirror)?, array![212, 123, 234, 343]);
//! assert_eq!(correlate(&x, &w, Filter::from(Boundary::Wrap).origin(1))?, array![143, 214, 321, 432]);
//! # Ok::<(), wgconv::Error>(())
//! ```
//!
//! scipy's modes are [`Boundary`]'s: `reflect`, `mirror`, `nearest`, `wrap`, and for `constant` with `cval` [`Boundary::Constant`]. Kernels
//! may be larger than the image. Source: scipy 1.17, `scipy.ndimage`.

use ndarray::{Array, ArrayBase, Data, Dimension};

use crate::classic::operation::{Batched, Operation, OperationError};
use crate::classic::signal::{Sample, batched, check_operands, run};
use crate::error::Error;
use crate::problem::{Boundary, Conv, Padding, ProblemError};

/// Parameters of [`convolve`] and [`correlate`]; a [`Boundary`] alone is one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Filter {
    /// What lies outside the image; scipy's `mode` and `cval`. The default is `Reflect`.
    pub mode: Boundary,
    /// By how many cells the kernel's centre `K div 2` is moved.
    pub origin: Origin,
}

/// One number for every axis, or one per axis.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The same on every axis.
    Uniform(isize),
    /// One per axis.
    Each(Vec<isize>),
}

impl Default for Filter {
    fn default() -> Self {
        Boundary::Reflect.into()
    }
}

impl From<Boundary> for Filter {
    fn from(mode: Boundary) -> Self {
        Self { mode, origin: Origin::Uniform(0) }
    }
}

impl Filter {
    /// Moves the kernel's centre by as many cells on every axis.
    #[must_use]
    pub fn origin(self, origin: isize) -> Self {
        Self { origin: Origin::Uniform(origin), ..self }
    }

    /// Moves the kernel's centre by as many cells as these, one per axis.
    #[must_use]
    pub fn origins(self, origin: impl Into<Vec<isize>>) -> Self {
        Self { origin: Origin::Each(origin.into()), ..self }
    }

    /// The operation [`convolve`] on operands `input` and `weights` of these shapes.
    ///
    /// # Errors
    ///
    /// As [`convolve`].
    pub fn convolve(&self, input: &[usize], weights: &[usize]) -> Result<Operation, OperationError> {
        self.operation("ndimage.convolve", input, weights, true)
    }

    /// The operation [`correlate`] on operands `input` and `weights` of these shapes.
    ///
    /// # Errors
    ///
    /// As [`convolve`].
    pub fn correlate(&self, input: &[usize], weights: &[usize]) -> Result<Operation, OperationError> {
        self.operation("ndimage.correlate", input, weights, false)
    }

    fn operation(
        &self,
        name: &'static str,
        input: &[usize],
        weights: &[usize],
        flip: bool,
    ) -> Result<Operation, OperationError> {
        check_operands(("input", input), ("weights", weights), "as many as the input")?;
        let axes = input.len();
        let origins = match &self.origin {
            Origin::Uniform(origin) => vec![*origin; axes],
            Origin::Each(origins) if origins.len() == axes => origins.clone(),
            Origin::Each(origins) => {
                let (wanted, got) = (format!("one number, or {axes}"), format!("{origins:?}"));
                return Err(OperationError::Parameter { what: "origin", wanted, got });
            }
        };
        let mut pads = Vec::new();
        for (axis, (&kernel, &got)) in weights.iter().zip(&origins).enumerate() {
            let cells = isize::try_from(kernel);
            let cells = cells.map_err(|_| ProblemError::Overflow { what: "the kernel's extent" })?;
            let (before, after) = (cells / 2, (cells - 1) / 2);
            if got < -before || got > after {
                return Err(OperationError::Origin { axis, kernel, least: -before, most: after, got });
            }
            // Cells of the kernel before the centre: 0 to kernel - 1.
            let begin = if flip { after - got } else { before + got };
            if kernel > 1 {
                pads.push((begin.unsigned_abs(), before + after - begin));
            }
        }
        // On an axis where the kernel is a single cell, every cell is an image of its own.
        let convolved: Vec<bool> = weights.iter().map(|&kernel| kernel > 1).collect();
        let padding = if pads.is_empty() { Padding::Valid } else { pads.into() };
        let conv = Conv::default().padding(padding).boundary(self.mode).flip(flip);
        let mut operation = Operation::builder(name);
        let operands = (operation.operand("input", input), operation.operand("weights", weights));
        batched(operation, &Batched::new(input, weights, &convolved), conv, None, operands)
    }
}

/// `input` convolved with `weights`, which are flipped, as `scipy.ndimage.convolve`.
///
/// # Errors
///
/// Operands of different numbers of axes or without any element, more than three axes on which the kernel has more than
/// one cell, an origin outside the kernel; integers whose sums are not exact, or do not fit their type; a device that is
/// lost or full.
pub fn convolve<T: Sample, D: Dimension>(
    input: &ArrayBase<impl Data<Elem = T>, D>,
    weights: &ArrayBase<impl Data<Elem = T>, D>,
    how: impl Into<Filter>,
) -> Result<Array<T, D>, Error> {
    run(&how.into().convolve(input.shape(), weights.shape())?, input, weights)
}

/// `input` correlated with `weights`, as `scipy.ndimage.correlate`: not flipped.
///
/// # Errors
///
/// As [`convolve`].
pub fn correlate<T: Sample, D: Dimension>(
    input: &ArrayBase<impl Data<Elem = T>, D>,
    weights: &ArrayBase<impl Data<Elem = T>, D>,
    how: impl Into<Filter>,
) -> Result<Array<T, D>, Error> {
    run(&how.into().correlate(input.shape(), weights.shape())?, input, weights)
}
