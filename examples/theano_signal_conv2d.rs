//! Every image with every filter: four edge detectors on a photo, by Theano's `signal.conv2d`.
//!
//!     cargo run --example theano_signal_conv2d

mod common;

use std::error::Error;

use wgconv::ndarray::{Axis, Ix3, array, stack};
use wgconv::theano::{SignalConv2d, signal_conv2d};

fn main() -> Result<(), Box<dyn Error>> {
    let photo = common::photo()?;
    // One Prewitt operator turned by 45 degrees three times: filters [4, 3, 3], and there are no channels.
    let filters = stack![
        Axis(0),
        array![[1f32, 1., 1.], [0., 0., 0.], [-1., -1., -1.]],
        array![[1f32, 1., 0.], [1., 0., -1.], [0., -1., -1.]],
        array![[1f32, 0., -1.], [1., 0., -1.], [1., 0., -1.]],
        array![[0f32, -1., -1.], [1., 0., -1.], [1., 1., 0.]]
    ];
    // A single image leaves no axis of images: [4, rows, columns].
    let edges = signal_conv2d(&photo, &filters, &SignalConv2d::default())?;
    println!("image {:?}, filters {:?} -> {:?}", photo.shape(), filters.shape(), edges.shape());
    let edges = edges.into_dimensionality::<Ix3>()?.mapv(f32::abs);
    common::save("theano_signal_conv2d", common::mosaic(edges.outer_iter(), 2).view())
}
