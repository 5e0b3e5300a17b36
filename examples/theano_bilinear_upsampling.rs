//! A detail of a photo enlarged: cells repeated beside linear interpolation.
//!
//!     cargo run --example theano_bilinear_upsampling

mod common;

use std::error::Error;

use wgconv::ndarray::{Array2, Axis, concatenate, s};
use wgconv::theano::{BilinearUpsampling, bilinear_upsampling};

fn main() -> Result<(), Box<dyn Error>> {
    let photo = common::photo()?;
    let (rows, columns) = photo.dim();
    let detail = photo.slice(s![rows / 8..rows / 8 + 40, columns / 3..columns / 3 + 48]).to_owned();
    let image = detail.clone().insert_axis(Axis(0)).insert_axis(Axis(0)); // [b, c, rows, columns]

    let large = bilinear_upsampling(&image, &BilinearUpsampling::ratio(6))?;
    println!("{:?} by 6 -> {:?}", image.shape(), large.shape());
    // A fraction per axis: rows by 3/2, columns by 5/4, rounded up.
    let odd = bilinear_upsampling(&image, &BilinearUpsampling::frac_ratio((3, 2), (5, 4)))?;
    println!("{:?} by 3/2 and 5/4 -> {:?}", image.shape(), odd.shape());
    assert_eq!(odd.shape(), [1, 1, 60, 60]);

    let large = large.index_axis_move(Axis(0), 0).index_axis_move(Axis(0), 0);
    let repeated = Array2::from_shape_fn(large.dim(), |(i, j)| detail[[i / 6, j / 6]]);
    let both = concatenate![Axis(1), repeated, large];
    common::save("theano_bilinear_upsampling", both.view())
}
