//! Learning a filter from what it did: gradient descent with the gradient by the filters; and the gradient by the input.
//!
//!     cargo run --example theano_nnet_conv2d_grads

mod common;

use wgconv::Error;
use wgconv::ndarray::{Array4, array};
use wgconv::theano::{NnetConv, nnet_conv2d, nnet_conv2d_grad_inputs, nnet_conv2d_grad_weights};

fn main() -> Result<(), Error> {
    let secret = array![[[[0f32, 1., 0.], [1., -4., 1.], [0., 1., 0.]]]];
    let mut noise = common::noise(1);
    let x = Array4::from_shape_simple_fn((8, 1, 12, 12), &mut noise);
    // The gradients want the shape of what they are the gradient by: strides lead from several shapes to one.
    let how = NnetConv::default().input_shape(&[8, 1, 12, 12]).filter_shape(&[1, 1, 3, 3]);
    let wanted = nnet_conv2d(&x, &secret, &how)?;

    let mut w = Array4::<f32>::zeros((1, 1, 3, 3));
    let rate = 0.4 / wanted.len() as f32;
    for step in 0..=40 {
        let error = nnet_conv2d(&x, &w, &how)? - &wanted;
        if step % 10 == 0 {
            println!(
                "step {step:2}: mean squared error {:.6}",
                error.mapv(|e| e * e).mean().unwrap_or(f32::NAN)
            );
        }
        w.scaled_add(-rate, &nnet_conv2d_grad_weights(&x, &error, &how)?);
    }
    println!("learned:\n{:.2}", w.index_axis(wgconv::ndarray::Axis(0), 0));
    assert!((&w - &secret).iter().all(|e| e.abs() < 0.05));

    // By the input: where a change of a cell changes the sum of all outputs by how much.
    let sum_of_all = Array4::<f32>::ones((8, 1, 10, 10));
    let by_input = nnet_conv2d_grad_inputs(&sum_of_all, &secret, &how)?;
    println!(
        "gradient of the sum by a cell of the border {} and by one inside {}",
        by_input[[0, 0, 0, 1]],
        by_input[[0, 0, 5, 5]]
    );
    assert_eq!(by_input[[0, 0, 5, 5]], secret.sum());
    Ok(())
}
