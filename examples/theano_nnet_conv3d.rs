//! A volume as a scanner would give it, with noise, smoothed in three dimensions; a picture of its slices before and after.
//!
//!     cargo run --example theano_nnet_conv3d

mod common;

use std::error::Error;

use wgconv::Padding;
use wgconv::ndarray::{Array5, s};
use wgconv::theano::{NnetConv, nnet_conv3d, nnet_conv3d_grad_inputs, nnet_conv3d_grad_weights};

/// Rows, columns and slices.
const SIZE: [usize; 3] = [96, 80, 24];

/// Two shells and a core, each an ellipsoid of its own brightness.
fn head(row: usize, column: usize, slice: usize) -> f32 {
    let at = [row, column, slice].map(|i| i as f32);
    let centre = SIZE.map(|n| (n as f32 - 1.0) / 2.0);
    let inside = |scale: f32, shift: f32| {
        let far = |axis: usize| {
            (at[axis] - centre[axis] - if axis == 1 { shift } else { 0.0 }) / (centre[axis] * scale)
        };
        (0..3).map(|axis| far(axis) * far(axis)).sum::<f32>() <= 1.0
    };
    match () {
        () if inside(0.25, -12.0) || inside(0.25, 12.0) => 0.2,
        () if inside(0.8, 0.0) => 0.6,
        () if inside(0.95, 0.0) => 1.0,
        () => 0.0,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut noise = common::noise(7);
    let [rows, columns, slices] = SIZE;
    let scan =
        Array5::from_shape_fn((1, 1, rows, columns, slices), |(_, _, i, j, k)| head(i, j, k) + 0.4 * noise());
    // A bell of 3 cells per axis: the product of three of them.
    let line = [1f32, 2., 1.].map(|v| v / 4.0);
    let kernel = Array5::from_shape_fn((1, 1, 3, 3, 3), |(_, _, i, j, k)| line[i] * line[j] * line[k]);
    let smooth = nnet_conv3d(&scan, &kernel, &NnetConv::default().border_mode(Padding::Half))?;
    println!(
        "volume {:?}, kernel {:?} -> {:?}",
        &scan.shape()[2..],
        &kernel.shape()[2..],
        &smooth.shape()[2..]
    );

    let error = |volume: &Array5<f32>| {
        let inner = volume.slice(s![0, 0, 4..rows - 4, 4..columns - 4, 4..slices - 4]);
        let squares =
            inner.indexed_iter().map(|((i, j, k), v)| (v - head(i + 4usize, j + 4usize, k + 4usize)).powi(2));
        (squares.sum::<f32>() / inner.len() as f32).sqrt()
    };
    println!(
        "error against the volume without noise: {:.3} before, {:.3} after",
        error(&scan),
        error(&smooth)
    );
    assert!(error(&smooth) < 0.6 * error(&scan));

    // What each cell of the scan adds to the sum of the result, and what each tap of the kernel would.
    let (ones, how) = (Array5::ones(smooth.raw_dim()), NnetConv::default().border_mode(Padding::Half));
    let by_scan = nnet_conv3d_grad_inputs(&ones, &kernel, &how.clone().input_shape(scan.shape()))?;
    let by_kernel = nnet_conv3d_grad_weights(&scan, &ones, &how.filter_shape(kernel.shape()))?;
    println!(
        "a cell inside counts {}, one in the corner {:.2}",
        by_scan[[0, 0, 9, 9, 9]],
        by_scan[[0, 0, 0, 0, 0]]
    );
    println!("the middle tap sees {:.0} in all", by_kernel[[0, 0, 1, 1, 1]]);
    assert_eq!(by_scan[[0, 0, 9, 9, 9]], 1.0);
    let shown = [6, 12, 17];
    let slices =
        [&scan, &smooth].into_iter().flat_map(|volume| shown.map(|k| volume.slice(s![0, 0, .., .., k])));
    common::save("theano_nnet_conv3d", common::mosaic(slices, 3).view())
}
