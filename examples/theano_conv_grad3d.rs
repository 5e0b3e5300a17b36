//! The gradient of `Conv3D` by its filter, compared with what a small change of each number does.
//!
//!     cargo run --example theano_conv_grad3d

mod common;

use wgconv::Error;
use wgconv::ndarray::{Array5, array};
use wgconv::theano::{Conv3d, conv_grad3d, conv3d};

fn main() -> Result<(), Error> {
    let mut noise = common::noise(11);
    let mut random = |shape| Array5::from_shape_simple_fn(shape, || f64::from(noise()));
    let video = random((2, 5, 5, 6, 2)); // [batch, row, column, time, channel]
    let filter = random((3, 2, 2, 3, 2)); // [out channel, row, column, time, in channel]
    let (bias, how) = (array![0.1, 0.2, 0.3], Conv3d::new([1, 2, 1]));

    // Half the sum of squares of the output has the output itself as its gradient.
    let loss = |filter: &Array5<f64>| -> Result<f64, Error> {
        Ok(conv3d(&video, filter, bias.view(), &how)?.mapv(|h| h * h / 2.0).sum())
    };
    let output = conv3d(&video, &filter, bias.view(), &how)?;
    let gradient = conv_grad3d(&video, &output, [3, 2, 2, 3, 2], &how)?;

    let mut worst = 0f64;
    for (at, &got) in gradient.indexed_iter().step_by(7) {
        const STEP: f64 = 1e-4;
        let (mut up, mut down) = (filter.clone(), filter.clone());
        up[at] += STEP;
        down[at] -= STEP;
        let slope = (loss(&up)? - loss(&down)?) / (2.0 * STEP);
        worst = worst.max((slope - got).abs());
    }
    println!(
        "{} numbers of the gradient, largest difference from the slope {worst:.1e}",
        gradient.len().div_ceil(7)
    );
    assert!(worst < 1e-6);
    Ok(())
}
