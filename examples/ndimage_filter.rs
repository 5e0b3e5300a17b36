//! scipy.ndimage's filters: the same size out as in, under five modes, the kernel's centre where one likes it.
//!
//!     cargo run --example ndimage_filter

mod common;

use std::error::Error;

use wgconv::Boundary;
use wgconv::ndarray::array;
use wgconv::ndimage::{Filter, convolve, correlate};

fn main() -> Result<(), Box<dyn Error>> {
    let (x, w) = (array![1, 2, 3, 4], array![1, 10, 100]);
    for mode in
        [Boundary::Reflect, Boundary::Mirror, Boundary::Nearest, Boundary::Wrap, Boundary::Constant(0.0)]
    {
        println!("{:<10} {}", mode.name(), convolve(&x, &w, mode)?);
    }
    for origin in [-1, 0, 1] {
        println!("origin {origin:2}: {}", correlate(&x, &w, Filter::from(Boundary::Nearest).origin(origin))?);
    }
    // A kernel larger than the image reads it over and over.
    println!("7 of 2: {}", convolve(&array![1, 2], &array![1, 1, 1, 1, 1, 1, 1], Boundary::Wrap)?);

    let photo = common::photo()?;
    let across = array![[-1f32, 0., 1.], [-2., 0., 2.], [-1., 0., 1.]];
    let edges = correlate(&photo, &across, Boundary::Nearest)?;
    let down = correlate(&photo, &across.t().to_owned(), Boundary::Nearest)?;
    let strength = edges.mapv(|v| v * v) + down.mapv(|v| v * v);
    common::save("ndimage_filter", strength.mapv(f32::sqrt).view())
}
