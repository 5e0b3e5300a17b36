//! Small arrays for worked examples.

use ndarray::ArrayD;

use crate::values::ints;

/// An array of this shape with these values in row-major order.
pub fn tensor(shape: &[usize], values: &[f64]) -> ArrayD<f64> {
    ArrayD::from_shape_vec(shape, values.to_vec()).unwrap()
}

/// Rows of a matrix with leading axes of extent 1, `axes` in all.
pub fn rows<const W: usize>(axes: usize, rows: &[[f64; W]]) -> ArrayD<f64> {
    let shape = [vec![1; axes - 2], vec![rows.len(), W]].concat();
    tensor(&shape, &rows.concat())
}

/// 1, 2, 3, ..
pub fn counting(shape: &[usize]) -> ArrayD<f64> {
    let mut next = 0.0;
    ArrayD::from_shape_simple_fn(shape, || {
        next += 1.0;
        next
    })
}

/// Integers from -3 to 3 without a pattern that a wrong index would leave unchanged.
pub fn integers(shape: &[usize], seed: u64) -> ArrayD<f64> {
    tensor(shape, &ints(seed, shape.iter().product(), 3))
}

/// The convolution of 1 to 9, in rows of 3, and 1 to 4, in rows of 2, wherever they touch.
pub const FULL: [[f64; 4]; 4] =
    [[1., 4., 7., 6.], [7., 23., 33., 24.], [19., 53., 63., 42.], [21., 52., 59., 36.]];
