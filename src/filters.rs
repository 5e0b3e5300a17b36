//! Named 2-D image kernels, ready for cross-correlation (`flip = false`, the crate's default).
//!
//! ```
//! use wgconv::filters;
//!
//! let blur = filters::gaussian(5, None)?;
//! assert_eq!(blur.dim(), (5, 5));
//! assert!((blur.sum() - 1.0).abs() < 1e-6);
//! # Ok::<(), filters::FilterError>(())
//! ```

use ndarray::{Array2, arr2};

/// Largest size of a kernel made here: 4 MiB of numbers.
pub const MAX_SIZE: usize = 1023;

/// Why a size or a width makes no kernel.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// A kernel without a centre cell, without any cell, or too large.
    #[error("{filter} of size {size}: wanted an odd number from 1 to {MAX_SIZE}")]
    Size {
        /// Which kernel.
        filter: &'static str,
        /// What came.
        size: usize,
    },
    /// A Gaussian of no width, or of no finite one.
    #[error("gaussian of sigma {sigma}: wanted a finite number above 0")]
    Sigma {
        /// What came.
        sigma: f64,
    },
}

/// Gaussian blur: `w[i, j] ∝ exp(−((i − c)² + (j − c)²) / 2σ²)` with the centre `c = (size − 1)/2`, of sum 1.
///
/// Without `sigma` it is `0.3·((size − 1)/2 − 1) + 0.8`, the rule of OpenCV's `getGaussianKernel`:
/// 0.8 for size 3, 1.1 for size 5, 5 for size 31.
///
/// # Errors
///
/// [`FilterError::Size`] unless `size` is odd and at most [`MAX_SIZE`], [`FilterError::Sigma`] unless
/// `sigma` is finite and positive.
pub fn gaussian(size: usize, sigma: Option<f64>) -> Result<Array2<f32>, FilterError> {
    check_size("gaussian", size)?;
    let centre = (size - 1) as f64 / 2.0;
    let sigma = sigma.unwrap_or(0.3 * (centre - 1.0) + 0.8);
    if !(sigma.is_finite() && sigma > 0.0) {
        return Err(FilterError::Sigma { sigma });
    }
    // Divided before it is squared: a tiny sigma gives exp(−∞) = 0 beside the centre, never 0/0 in it.
    let bell = |i: usize| (-0.5 * ((i as f64 - centre) / sigma).powi(2)).exp();
    let sum: f64 = (0..size).map(bell).sum();
    Ok(Array2::from_shape_fn((size, size), |(i, j)| single(bell(i) / sum * (bell(j) / sum))))
}

/// Mean of the `size × size` neighbourhood: `w[i, j] = 1/size²`.
///
/// # Errors
///
/// [`FilterError::Size`] unless `size` is odd and at most [`MAX_SIZE`].
pub fn box_blur(size: usize) -> Result<Array2<f32>, FilterError> {
    check_size("box_blur", size)?;
    Ok(Array2::from_elem((size, size), single(1.0 / (size * size) as f64)))
}

/// The picture minus its [`laplacian`]; of sum 1.
///
/// ```text
///  0 −1  0
/// −1  5 −1
///  0 −1  0
/// ```
pub fn sharpen() -> Array2<f32> {
    arr2(&[[0.0, -1.0, 0.0], [-1.0, 5.0, -1.0], [0.0, -1.0, 0.0]])
}

/// Derivative from left to right, smoothed from top to bottom; OpenCV's `Sobel(dx = 1)`.
///
/// Sobel and Feldman, "A 3×3 isotropic gradient operator for image processing", 1968.
///
/// ```text
/// −1  0  1
/// −2  0  2
/// −1  0  1
/// ```
pub fn sobel_x() -> Array2<f32> {
    arr2(&[[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
}

/// Derivative from top to bottom: the transpose of [`sobel_x`].
pub fn sobel_y() -> Array2<f32> {
    sobel_x().reversed_axes()
}

/// Relief lit from the lower right: a diagonal derivative added to the picture; of sum 1.
///
/// ```text
/// −2 −1  0
/// −1  1  1
///  0  1  2
/// ```
pub fn emboss() -> Array2<f32> {
    arr2(&[[-2.0, -1.0, 0.0], [-1.0, 1.0, 1.0], [0.0, 1.0, 2.0]])
}

/// Sum of the second differences along both axes: the five-point stencil, of sum 0.
///
/// ```text
/// 0  1  0
/// 1 −4  1
/// 0  1  0
/// ```
pub fn laplacian() -> Array2<f32> {
    arr2(&[[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
}

fn check_size(filter: &'static str, size: usize) -> Result<(), FilterError> {
    let odd = size % 2 == 1 && size <= MAX_SIZE;
    if odd { Ok(()) } else { Err(FilterError::Size { filter, size }) }
}

#[allow(clippy::cast_possible_truncation, reason = "rounding to the kernels' element is meant")]
fn single(value: f64) -> f32 {
    value as f32
}
