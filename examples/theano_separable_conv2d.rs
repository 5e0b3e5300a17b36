//! A filter per channel, then a mixture of channels: what it saves, in two dimensions and in three.
//!
//!     cargo run --example theano_separable_conv2d

use wgconv::ndarray::{Array4, Array5};
use wgconv::theano::{NnetConv, SeparableConv, separable_conv2d, separable_conv3d};
use wgconv::{Error, Operation, Padding};

/// Multiply-accumulates of all steps.
fn work(operation: &Operation) -> u64 {
    operation.steps().iter().map(|step| step.problem.macs()).sum()
}

fn main() -> Result<(), Error> {
    let x = Array4::from_shape_fn((1, 16, 32, 32), |(_, c, i, j)| ((c + i * j) % 7) as f32);
    let depthwise = Array4::from_shape_fn((16, 1, 3, 3), |(c, _, i, j)| ((c + i + j) % 3) as f32 - 1.0);
    let pointwise = Array4::from_shape_fn((32, 16, 1, 1), |(o, c, ..)| ((o + c) % 5) as f32 - 2.0);
    let how = SeparableConv { border_mode: Padding::Half, ..SeparableConv::default() };
    let y = separable_conv2d(&x, &depthwise, &pointwise, &how)?;

    // The same as one dense convolution: its filter from c to o is that of c, times the factor from c to o.
    let dense = Array4::from_shape_fn((32, 16, 3, 3), |(o, c, i, j)| {
        pointwise[[o, c, 0, 0]] * depthwise[[c, 0, i, j]]
    });
    let all = NnetConv::default().border_mode(Padding::Half);
    assert_eq!(wgconv::theano::nnet_conv2d(&x, &dense, &all)?, y);

    let separable = how.operation(2, x.shape(), depthwise.shape(), pointwise.shape())?;
    let (few, many) = (work(&separable), work(&all.forward(2, x.shape(), dense.shape())?));
    println!("{:?} -> {:?}", x.shape(), y.shape());
    println!(
        "{few} multiply-accumulates in two steps, {many} in one: {:.1} times less",
        many as f64 / few as f64
    );

    let volume = Array5::<f32>::ones((1, 2, 4, 4, 4));
    let (depthwise, pointwise) = (Array5::<f32>::ones((4, 1, 3, 3, 3)), Array5::<f32>::ones((1, 4, 1, 1, 1)));
    let y = separable_conv3d(&volume, &depthwise, &pointwise, &SeparableConv::default())?;
    println!("in three dimensions, two filters per channel: {:?}, each {}", y.shape(), y[[0, 0, 0, 0, 0]]);
    assert!(y.iter().all(|&v| v == 4.0 * 27.0));
    Ok(())
}
