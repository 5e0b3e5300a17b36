//! A bank of Gabor filters on a photo, the batch last (c01b), as cuda-convnet's `FilterActs`: a mosaic of filters and of
//! what they answer.
//!
//!     cargo run --example theano_filter_acts

mod common;

use std::error::Error;
use std::f32::consts::PI;

use wgconv::ndarray::{Array4, Axis, s};
use wgconv::theano::{CudaConvnet, filter_acts};

/// Waves in 4 directions and of 2 lengths, under a bell.
const FILTERS: usize = 8;
const SIZE: usize = 13;

fn gabor(filter: usize, i: usize, j: usize) -> f32 {
    let (angle, length) = (filter as f32 % 4.0 * PI / 4.0, if filter < 4 { 4.0 } else { 8.0 });
    let (y, x) = (i as f32 - 6.0, j as f32 - 6.0);
    let along = x * angle.cos() + y * angle.sin();
    (2.0 * PI * along / length).cos() * (-(x * x + y * y) / 18.0).exp()
}

fn main() -> Result<(), Box<dyn Error>> {
    // [channel, row, column, batch]: one image.
    let images = common::photo()?.insert_axis(Axis(0)).insert_axis(Axis(3));
    // [in channel, row, column, out channel], each filter without a constant part.
    let mut filters = Array4::from_shape_fn((1, SIZE, SIZE, FILTERS), |(_, i, j, f)| gabor(f, i, j));
    for mut filter in filters.axis_iter_mut(Axis(3)) {
        let mean = filter.mean().unwrap_or(0.0);
        filter -= mean;
    }
    let how = CudaConvnet::default().stride(2).pad(SIZE / 2);
    let answers = filter_acts(&images, &filters, &how)?;
    println!("images {:?}, filters {:?} -> {:?}", images.shape(), filters.shape(), answers.shape());
    for (f, answer) in answers.axis_iter(Axis(0)).enumerate() {
        println!("filter {f}: mean strength {:.3}", answer.mapv(f32::abs).mean().unwrap_or(0.0));
    }
    let bank = common::mosaic(filters.axis_iter(Axis(3)).map(|filter| filter.slice_move(s![0, .., ..])), 4);
    common::save("theano_filter_acts_bank", bank.view())?;
    let strength = answers.mapv(f32::abs);
    let mosaic =
        common::mosaic(strength.axis_iter(Axis(0)).map(|answer| answer.slice_move(s![.., .., 0])), 4);
    common::save("theano_filter_acts", mosaic.view())
}
