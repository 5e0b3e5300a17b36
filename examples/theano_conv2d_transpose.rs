//! Transposed convolution: each cell of the input paints the kernel, and where kernels overlap they add up.
//!
//!     cargo run --example theano_conv2d_transpose

use wgconv::Error;
use wgconv::ndarray::{Array4, Array5, Axis, array};
use wgconv::theano::{NnetConv, conv2d_transpose, conv3d_transpose};

fn main() -> Result<(), Error> {
    let x = array![[[[1f32, 10.], [100., 1000.]]]]; // [b, c_in, rows, columns]
    let w = Array4::<f32>::ones((1, 1, 3, 3)); // [c_in, c_out / groups, rows, columns]
    // Steps of 2 (Theano's `input_dilation`): several sizes of output have this input, so one must be named.
    let how = NnetConv::default().subsample(2);
    for size in [5, 6] {
        let y = conv2d_transpose(&x, &w, &[size, size], &how)?;
        println!("to {size} x {size}:\n{}\n", y.index_axis(Axis(0), 0));
        assert_eq!((y[[0, 0, 2, 2]], y[[0, 0, 0, 0]]), (1111., 1.));
    }
    // A size that this input does not come from is an error, which says which do.
    let wrong = conv2d_transpose(&x, &w, &[7, 7], &how);
    println!("to 7 x 7: {}", wrong.expect_err("7 leads to 3 x 3"));
    // Theano flips the kernel of the forward convolution unless told otherwise; PyTorch's transposed convolution does not.
    let (one, arrow) = (array![[[[1f32]]]], array![[[[1f32, 2.], [3., 4.]]]]);
    for flip in [true, false] {
        let y = conv2d_transpose(&one, &arrow, &[2, 2], &NnetConv::default().filter_flip(flip))?;
        println!("filter_flip {flip}: {:?}", y.iter().collect::<Vec<_>>());
    }
    let cube = conv3d_transpose(
        &Array5::<f32>::ones((1, 1, 2, 2, 2)),
        &Array5::ones((1, 1, 2, 2, 2)),
        &[3, 3, 3],
        &NnetConv::default(),
    )?;
    println!("in three dimensions, kernels over the centre: {}", cube[[0, 0, 1, 1, 1]]);
    assert_eq!(cube[[0, 0, 1, 1, 1]], 8.0);
    Ok(())
}
