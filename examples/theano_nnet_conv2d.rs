//! Borders, flips, groups: the complete interface of Theano's `nnet.conv2d` on one small image.
//!
//!     cargo run --example theano_nnet_conv2d

use wgconv::ndarray::{Array4, array};
use wgconv::theano::{NnetConv, nnet_conv2d};
use wgconv::{Error, Padding};

fn main() -> Result<(), Error> {
    let x = array![[[[1f32, 2., 3.], [4., 5., 6.], [7., 8., 9.]]]]; // [b, c, rows, columns]
    let w = array![[[[1f32, 2.], [3., 4.]]]]; // [o, c / groups, rows, columns]
    let plain = NnetConv::default;
    for (what, how) in [
        ("valid", plain()),
        ("valid, not flipped: what PyTorch calls conv2d", plain().filter_flip(false)),
        ("full", plain().border_mode(Padding::Full)),
        ("half: an even kernel grows the image", plain().border_mode(Padding::Half)),
        ("1 row and 2 columns around, every second", plain().border_mode([1, 2]).subsample(2)),
        ("1 row above, 2 columns behind", plain().border_mode([(1, 0), (0, 2)])),
        ("half, dilated by 2", plain().border_mode(Padding::Half).filter_dilation(2)),
    ] {
        println!("{what}:\n{}\n", nnet_conv2d(&x, &w, &how)?.index_axis_move(wgconv::ndarray::Axis(0), 0));
    }
    // In two groups, each filter sees one of two channels.
    let (x, w) =
        (Array4::<f32>::ones((1, 2, 2, 2)), array![[[[1f32, 2.], [3., 4.]]], [[[1., 0.], [0., -1.]]]]);
    let y = nnet_conv2d(&x, &w, &plain().num_groups(2))?;
    println!("two groups: {:?}", y.iter().collect::<Vec<_>>());
    assert_eq!(y, array![[[[10.]], [[0.]]]]);
    Ok(())
}
