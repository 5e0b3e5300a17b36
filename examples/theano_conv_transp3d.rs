//! A video with frames put between its own: the adjoint of a convolution that keeps every second frame.
//!
//!     cargo run --example theano_conv_transp3d

use wgconv::Error;
use wgconv::ndarray::{Array5, array};
use wgconv::theano::{Conv3d, conv_transp3d};

/// One pixel of 4 frames: [batch, row, column, time, channel].
fn frames(values: &[f32]) -> Array5<f32> {
    Array5::from_shape_fn((1, 1, 1, values.len(), 1), |(.., t, _)| values[t])
}

fn main() -> Result<(), Error> {
    let video = frames(&[2., 6., 4., 8.]);
    // A triangle in time: each frame keeps its value at its own time and gives half to its neighbours.
    let triangle = frames(&[0.5, 1., 0.5]);
    let bias = array![0f32];
    let twice = conv_transp3d(&triangle, bias.view(), &video, None, &Conv3d::new([1, 1, 2]))?;
    println!("{:?}\n{:?}", video.iter().collect::<Vec<_>>(), twice.iter().collect::<Vec<_>>());
    assert_eq!(twice, frames(&[1., 2., 4., 6., 5., 4., 6., 8., 4.]));

    // A larger shape may be asked for. Cells that nothing reaches hold the bias.
    let longer =
        conv_transp3d(&triangle, array![0.25].view(), &video, Some([1, 2, 11]), &Conv3d::new([1, 1, 2]))?;
    println!("as {:?}, with a bias: {:?}", longer.shape(), longer.iter().collect::<Vec<_>>());
    assert_eq!((longer[[0, 0, 0, 10, 0]], longer[[0, 0, 1, 0, 0]]), (0.25, 0.25));
    Ok(())
}
