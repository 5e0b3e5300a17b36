//! Classic operations by their own names: what the README shows.
//!
//!     cargo run --example classic

use wgconv::ndarray::array;
use wgconv::ndimage::correlate;
use wgconv::{Boundary, Device, Padding, signal, theano};

fn main() -> Result<(), wgconv::Error> {
    let (x, w) = (array![[1f32, 2., 3.], [4., 5., 6.], [7., 8., 9.]], array![[1f32, 2.], [3., 4.]]);
    let y = signal::convolve2d(&x, &w, signal::Mode::Same, Boundary::Wrap)?; // as scipy.signal.convolve2d
    assert_eq!(y, array![[64., 56., 66.], [31., 23., 33.], [61., 53., 63.]]);
    println!("scipy.signal.convolve2d(x, w, 'same', 'wrap') on {}:\n{y}", Device::shared()?.name());

    let y = correlate(&x, &w, Boundary::Mirror)?; // as scipy.ndimage.correlate
    assert_eq!(y, array![[23., 25., 35.], [35., 37., 47.], [65., 67., 77.]]);
    println!("scipy.ndimage.correlate(x, w, mode='mirror'):\n{y}");

    let (x, w) = (array![[[[1f32, 2.], [3., 4.]]]], array![[[[1f32, 2.], [3., 4.]]]]);
    let half = theano::NnetConv::default().border_mode(Padding::Half); // as theano.tensor.nnet.conv2d
    let y = theano::nnet_conv2d(&x, &w, &half)?;
    assert_eq!(y, array![[[[1., 4., 4.], [6., 20., 16.], [9., 24., 16.]]]]); // even kernels grow it
    println!("theano.tensor.nnet.conv2d(w, w, border_mode='half'):\n{y}");
    Ok(())
}
