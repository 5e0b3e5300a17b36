//! A photo out of focus: a disc of 31 x 31 cells, for which spectra are made; and a small volume the same way.
//!
//!     cargo run --example theano_conv2d_fft

mod common;

use std::error::Error;

use wgconv::ndarray::{Array4, Array5, Axis};
use wgconv::theano::{ConvFft, conv3d_fft};
use wgconv::{Device, Element, Padding, PlanOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let photo = common::photo()?.insert_axis(Axis(0)).insert_axis(Axis(0));
    let inside = |i: usize, j: usize| (i as f32 - 15.0).hypot(j as f32 - 15.0) <= 15.0;
    let disc = Array4::from_shape_fn((1, 1, 31, 31), |(.., i, j)| if inside(i, j) { 1f32 } else { 0.0 });
    let disc = &disc / disc.sum();

    // As an operation, it can say what it is and who runs it: the FFT wherever the device has it.
    let how = ConvFft { border_mode: Padding::Full, ..ConvFft::default() };
    let operation = how.operation(2, photo.shape(), disc.shape())?;
    let plan = Device::shared()?.plan_operation(&operation, Element::F32, &PlanOptions::default())?;
    print!("{}", plan.explain());
    let blurred = plan.run(&[photo.view().into_dyn(), disc.view().into_dyn()])?;
    let sums = (photo.sum(), blurred.sum());
    assert!((sums.0 - sums.1).abs() < 1e-2 * sums.0, "a blur keeps the light: {sums:?}");
    let picture = blurred.index_axis_move(Axis(0), 0).index_axis_move(Axis(0), 0).into_dimensionality()?;
    common::save("theano_conv2d_fft", picture.view())?;

    // An odd width needs no padding any more.
    let cube = Array5::from_shape_fn((1, 1, 3, 3, 3), |(.., i, j, k)| (9 * i + 3 * j + k) as f32);
    let y = conv3d_fft(&cube, &cube, &ConvFft::default())?;
    println!("in three dimensions: {:?}", y.iter().collect::<Vec<_>>());
    Ok(())
}
