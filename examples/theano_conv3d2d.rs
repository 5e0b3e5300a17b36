//! A video with time before the channels: blurred in space, and in time compared with the frame before.
//!
//!     cargo run --example theano_conv3d2d

use wgconv::ndarray::Array5;
use wgconv::theano::{Conv3d2d, conv3d2d};
use wgconv::{Error, Padding};

fn main() -> Result<(), Error> {
    // [batch, time, channel, row, column]: a bright column that moves right by one cell per frame.
    let video = Array5::from_shape_fn((1, 4, 1, 3, 6), |(_, t, _, _, j)| f32::from(u8::from(t + 1 == j)));
    // [out channel, time, in channel, row, column], flipped: minus the frame before, plus the current one.
    let filter = Array5::from_shape_fn((1, 2, 1, 3, 1), |(_, t, ..)| if t == 0 { 1f32 } else { -1.0 } / 3.0);
    // Each axis has a border of its own: `full` in time, so the first frame has the empty one before it.
    let border_mode = [Padding::Full, Padding::Half, Padding::Valid];
    let change = conv3d2d(&video, &filter, &Conv3d2d { border_mode, ..Conv3d2d::default() })?;
    println!("{:?} -> {:?}", video.shape(), change.shape());
    for t in 0..change.shape()[1] {
        let row: Vec<String> = (0..6).map(|j| format!("{:2.0}", change[[0, t, 0, 1, j]])).collect();
        println!("time {t}: {}", row.join(" "));
    }
    // In frame 2 the column left cell 2 and came to cell 3.
    assert_eq!((change[[0, 2, 0, 1, 2]], change[[0, 2, 0, 1, 3]]), (-1.0, 1.0));
    Ok(())
}
