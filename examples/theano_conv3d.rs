//! A video filtered in time: what moves stays, what rests goes. Theano's `Conv3D` has the channels last.
//!
//!     cargo run --example theano_conv3d

mod common;

use std::error::Error;

use wgconv::ndarray::{Array5, array, s};
use wgconv::theano::{Conv3d, conv3d};

/// Rows, columns, frames.
const SIZE: [usize; 3] = [64, 96, 12];

/// A resting frame of boxes with noise, and a disc that crosses it.
fn video() -> Array5<f32> {
    let mut noise = common::noise(3);
    let [rows, columns, frames] = SIZE;
    Array5::from_shape_fn((1, rows, columns, frames, 1), |(_, i, j, t, _)| {
        let boxes = f32::from(u8::from(i / 16 % 2 != j / 16 % 2)) * 0.5;
        let centre = (32.0, 8.0 + 7.0 * t as f32);
        let disc = (i as f32 - centre.0).hypot(j as f32 - centre.1) < 9.0;
        if disc { 1.0 } else { boxes + 0.05 * noise() }
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let video = video(); // [batch, row, column, time, channel]
    // Correlation: the tap at time 2 minus the one at time 0, averaged over 3 x 3 cells.
    let filter = Array5::from_shape_fn((1, 3, 3, 3, 1), |(_, _, _, t, _)| (t as f32 - 1.0) / 9.0);
    // Every cell, every second frame.
    let how = Conv3d::new([1, 1, 2]);
    let motion = conv3d(&video, &filter, array![0.0].view(), &how)?;
    println!("video {:?}, filter {:?} -> {:?}", video.shape(), filter.shape(), motion.shape());

    let frame = |t: usize| motion.slice(s![0, .., .., t, 0]);
    for t in 0..motion.shape()[3] {
        let (mut weight, mut sum) = (0.0, 0.0);
        for ((_, j), v) in frame(t).indexed_iter().filter(|(_, v)| **v > 0.3) {
            (weight, sum) = (weight + v, sum + v * j as f32);
        }
        println!(
            "frames {} to {}: the front of the disc is near column {:.0}",
            2 * t,
            2 * t + 2,
            sum / weight
        );
    }
    let [rows, columns, _] = SIZE;
    let before = (0..4).map(|t| video.slice(s![0, 1..rows - 1, 1..columns - 1, 2 * t + 1, 0]));
    let after = (0..4).map(frame);
    common::save("theano_conv3d", common::mosaic(before.chain(after), 4).view())
}
