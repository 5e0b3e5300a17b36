//! scipy's boundaries in two dimensions: what a box of 41 x 41 makes of the edge of a photo.
//!
//!     cargo run --example signal_convolve2d

mod common;

use std::error::Error;

use wgconv::Boundary;
use wgconv::ndarray::{Array2, array, s};
use wgconv::signal::{Mode, convolve2d, correlate2d};

fn main() -> Result<(), Box<dyn Error>> {
    let photo = common::photo()?;
    let kernel = Array2::from_elem((41, 41), 1f32 / (41.0 * 41.0));
    // Correlation does not flip, and of an even kernel keeps the other of the two middle cells.
    let (dot, arrow) = (array![[0f32, 0., 0.], [0., 1., 0.], [0., 0., 0.]], array![[1f32, 2.]]);
    println!("convolve2d {}", convolve2d(&dot, &arrow, Mode::Same, Boundary::Zero)?.row(1));
    println!("correlate2d {}", correlate2d(&dot, &arrow, Mode::Same, Boundary::Zero)?.row(1));

    let mut pictures = Vec::new();
    for (name, boundary) in [
        ("fill 0", Boundary::Zero),
        ("fill 1", Boundary::Constant(1.0)),
        ("wrap", Boundary::Wrap),
        ("symm", Boundary::Reflect),
    ] {
        let blurred = convolve2d(&photo, &kernel, Mode::Same, boundary)?;
        println!(
            "{name}: corner {:.3}, centre {:.3}",
            blurred[[0, 0]],
            blurred[[photo.nrows() / 2, photo.ncols() / 2]]
        );
        assert_eq!(blurred.dim(), photo.dim());
        pictures.push(blurred.slice_move(s![..128, ..128]));
    }
    common::save("signal_convolve2d", common::mosaic(pictures.iter().map(|picture| picture.view()), 4).view())
}
