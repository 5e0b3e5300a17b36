//! scipy's `correlate2d` and `convolve2d`: a template found in a noisy photo, edges, the three modes, four boundaries.
//!
//!     cargo run --example signal_convolve2d
//!
//! Writes `target/signal_convolve2d.png`. Its first row is a matched filter, with the place that it found, and the gradient of
//! the photo. The second is what each mode keeps of a blur, at the same scale. The third is the mode `full` under each
//! boundary: it reaches past the photo, whose edges are framed.

mod common;

use std::error::Error;
use std::f32::consts::TAU;

use common::canvas::{Canvas, MARK, grey, heat, shades};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use wgconv::ndarray::{Array2, array, s};
use wgconv::signal::{Mode, convolve2d, correlate2d};
use wgconv::{Boundary, Error as Refused};

/// Where the template is cut from the photo, and its side.
const TEMPLATE: (usize, usize) = (174, 62);
const SIDE: usize = 40;
/// Pixels of a tile, and of the part of the photo that is blurred, by a kernel that fills up what is left.
const TILE: i64 = 256;
const PART: usize = 192;
const KERNEL: usize = 65;
const EMPTY: Rgb<u8> = Rgb([236, 238, 242]);
const EDGE: Rgb<u8> = Rgb([198, 202, 210]);
const MARGIN: i64 = 16;
const GAP: i64 = 14;
/// From a row of tiles to the next.
const PITCH: i64 = TILE + 88;

fn main() -> Result<(), Box<dyn Error>> {
    // Correlation does not flip, and of an even kernel keeps the other of the two middle cells.
    let (dot, arrow) = (array![[0f32, 0., 0.], [0., 1., 0.], [0., 0., 0.]], array![[1f32, 2.]]);
    println!("convolve2d {}", convolve2d(&dot, &arrow, Mode::Same, Boundary::Zero)?.row(1));
    println!("correlate2d {}", correlate2d(&dot, &arrow, Mode::Same, Boundary::Zero)?.row(1));

    let photo = common::photo()?;
    let mut canvas = Canvas::new(2 * MARGIN + 4 * TILE + 3 * GAP, 3 * PITCH + MARGIN);

    canvas.heading(above((0, 0)), "Matched filter", "normalised correlation, by correlate2d");
    canvas.heading(above((0, 3)), "Edges", "by convolve2d");
    let template = photo.slice(s![TEMPLATE.0.., TEMPLATE.1..]).slice_move(s![..SIDE, ..SIDE]).to_owned();
    let mut noise = common::noise(3);
    let noisy = photo.mapv(|value| value + 0.4 * noise());
    let agreement = agreement(&noisy, &template)?;
    let (found, most) = agreement
        .indexed_iter()
        .fold(((0, 0), f32::MIN), |best, (at, &value)| if value > best.1 { (at, value) } else { best });
    println!("the template is found at {found:?}, where the correlation is {most:.2}");
    assert_eq!(found, TEMPLATE);
    let at =
        |corner: (i64, i64), (row, column): (usize, usize)| (corner.0 + column as i64, corner.1 + row as i64);
    let end = (found.0 + SIDE, found.1 + SIDE);
    let corner = put(
        &mut canvas,
        (0, 0),
        &shades(noisy.view(), [-0.2, 1.2], grey),
        "photo with noise",
        "framed: where it is found",
    );
    canvas.frame(at(corner, found), at(corner, end), MARK);
    let large = imageops::resize(&shades(template.view(), [0.0, 1.0], grey), 200, 200, FilterType::Nearest);
    put(&mut canvas, (0, 1), &large, "template", "40 × 40 pixels, enlarged");
    let corner = put(
        &mut canvas,
        (0, 2),
        &shades(agreement.view(), [-0.4, most], heat),
        "correlation",
        "framed: the largest",
    );
    canvas.frame(at(corner, (found.0 - 6, found.1 - 6)), at(corner, (found.0 + 6, found.1 + 6)), MARK);
    put(
        &mut canvas,
        (0, 3),
        &gradient(&photo)?,
        "gradient by Scharr's kernels",
        "colour: direction of the edge",
    );

    canvas.heading(
        above((1, 0)),
        "Modes",
        "of convolve2d, all at the same scale; framed: the edges of the photo",
    );
    let part = photo.slice(s![..PART, 24..24 + PART]).to_owned();
    let kernel = bell();
    put(
        &mut canvas,
        (1, 0),
        &shades(kernel.view(), [0.0, kernel[[KERNEL / 2, KERNEL / 2]]], grey),
        "kernel",
        "a bell of 65 × 65",
    );
    for (column, mode, name) in [(1, Mode::Full, "full"), (2, Mode::Same, "same"), (3, Mode::Valid, "valid")]
    {
        blurred(&mut canvas, (1, column), &part, &kernel, mode, Boundary::Zero, name)?;
    }
    canvas.heading(
        above((2, 0)),
        "Boundaries",
        "of convolve2d in the mode full; framed: the edges of the photo",
    );
    for (column, boundary, name) in [
        (0, Boundary::Zero, "fill 0"),
        (1, Boundary::Constant(1.0), "fill 1"),
        (2, Boundary::Wrap, "wrap"),
        (3, Boundary::Reflect, "symm"),
    ] {
        blurred(&mut canvas, (2, column), &part, &kernel, Mode::Full, boundary, name)?;
    }
    canvas.save(&common::target("signal_convolve2d.png"))
}

/// The correlation with the template at each place where it fits, without means and relative to both lengths: 1 where they are
/// alike. Sums over what is under the template are correlations, too.
fn agreement(photo: &Array2<f32>, template: &Array2<f32>) -> Result<Array2<f32>, Refused> {
    let centred = template - template.sum() / template.len() as f32;
    let mean = Array2::from_elem(template.dim(), 1.0 / template.len() as f32);
    let products = correlate2d(photo, &centred, Mode::Valid, Boundary::Zero)?;
    let means = correlate2d(photo, &mean, Mode::Valid, Boundary::Zero)?;
    let squares = correlate2d(&photo.mapv(|v| v * v), &mean, Mode::Valid, Boundary::Zero)?;
    let lengths = (squares - &means * &means).mapv(|v| v.max(1e-6).sqrt());
    let own = (centred.mapv(|v| v * v).sum() * template.len() as f32).sqrt();
    Ok(products / lengths / own)
}

/// Scharr's derivatives: the lighter the larger, a colour for each direction.
fn gradient(photo: &Array2<f32>) -> Result<RgbImage, Refused> {
    let across = array![[3f32, 0., -3.], [10., 0., -10.], [3., 0., -3.]] / 16.0;
    let x = convolve2d(photo, &across, Mode::Same, Boundary::Reflect)?;
    let y = convolve2d(photo, &across.t().to_owned(), Mode::Same, Boundary::Reflect)?;
    Ok(RgbImage::from_fn(photo.ncols() as u32, photo.nrows() as u32, |column, row| {
        let at = [row as usize, column as usize];
        let (strength, angle) = ((2.0 * x[at].hypot(y[at])).min(1.0).sqrt(), y[at].atan2(x[at]));
        // Three waves, a third of a turn apart.
        let wave = |c: usize| 0.5 + 0.5 * (angle - c as f32 * TAU / 3.0).cos();
        Rgb(std::array::from_fn(|c| (255.0 * strength * (0.25 + 0.75 * wave(c))) as u8))
    }))
}

/// A Gaussian whose weights add up to 1.
fn bell() -> Array2<f32> {
    let middle = (KERNEL / 2) as f32;
    let square = |i: usize| (i as f32 - middle).powi(2);
    let bell = Array2::from_shape_fn((KERNEL, KERNEL), |(i, j)| (-(square(i) + square(j)) / 32.0).exp());
    &bell / bell.sum()
}

/// Puts a blur of the photo on a tile, with its size.
fn blurred(
    canvas: &mut Canvas,
    place: (i64, i64),
    photo: &Array2<f32>,
    kernel: &Array2<f32>,
    mode: Mode,
    boundary: Boundary,
    name: &str,
) -> Result<(), Refused> {
    let y = convolve2d(photo, kernel, mode, boundary)?;
    let (height, width) = y.dim();
    println!("{name}: {height} x {width}, mean {:.3}", y.sum() / y.len() as f32);
    put(canvas, place, &shades(y.view(), [0.0, 1.0], grey), name, &format!("{height} × {width} pixels"));
    let corner = tile(place);
    let (first, last) = ((TILE - PART as i64) / 2 - 1, (TILE + PART as i64) / 2);
    canvas.frame((corner.0 + first, corner.1 + first), (corner.0 + last, corner.1 + last), MARK);
    Ok(())
}

/// The upper left corner of a tile, given by its row and its column.
fn tile((row, column): (i64, i64)) -> (i64, i64) {
    (MARGIN + column * (TILE + GAP), MARGIN + 34 + row * PITCH)
}

/// Where the heading of a tile stands.
fn above(place: (i64, i64)) -> (i64, i64) {
    let (x, y) = tile(place);
    (x, y - 34)
}

/// Puts a picture in the middle of a tile, and says where its upper left corner is.
fn put(canvas: &mut Canvas, place: (i64, i64), picture: &RgbImage, name: &str, note: &str) -> (i64, i64) {
    let (x, y) = tile(place);
    canvas.tile((x, y), &RgbImage::from_pixel(TILE as u32, TILE as u32, EMPTY), name, note);
    let before = |extent: u32| (TILE - i64::from(extent)) / 2;
    let corner = (x + before(picture.width()), y + before(picture.height()));
    canvas.picture(corner, picture);
    canvas.frame((x - 1, y - 1), (x + TILE, y + TILE), EDGE);
    corner
}
