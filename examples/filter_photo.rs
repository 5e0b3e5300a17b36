//! Filters of a photo, and what they read beyond its edges under each of the six boundaries, as one contact sheet.
//!
//!     cargo run --example filter_photo [OUTPUT.png]
//!
//! Writes `target/filter_photo.png`, or OUTPUT.png. Above are eight filters under the boundary `mirror`. Below is one filter
//! under every boundary: it reaches far past the photo, so it shows what it reads out there. The yellow frame is where the
//! photo ends.

mod common;

use std::error::Error;
use std::path::PathBuf;

use common::canvas::{Canvas, MARK};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use wgconv::ndarray::{Array2, Array4, ArrayD, Axis, stack};
use wgconv::{Boundary, Conv, ConvProblem, Device, Operands, PlanOptions, filters};

/// What is shown of the results of one kernel or two: colours; the brightness, grey where it is 0; or the length of the vector
/// that both results make.
#[derive(Clone, Copy)]
enum Shown {
    Colours,
    Signed,
    Magnitude,
}

/// Kernels by name, what is shown, a name and a note.
const FILTERS: [(&[&str], Shown, &str, &str); 8] = [
    (&["box_blur:1"], Shown::Colours, "the photo", "as it is"),
    (&["gaussian:15"], Shown::Colours, "gaussian:15", "a bell of 15 × 15"),
    (&["box_blur:15"], Shown::Colours, "box_blur:15", "the mean of 15 × 15"),
    (&["sharpen"], Shown::Colours, "sharpen", "edges enhanced"),
    (&["emboss"], Shown::Colours, "emboss", "a relief"),
    (&["sobel_x"], Shown::Signed, "sobel_x", "derivative along x"),
    (&["sobel_x", "sobel_y"], Shown::Magnitude, "sobel", "magnitude of the gradient"),
    (&["laplacian"], Shown::Signed, "laplacian", "second derivatives"),
];
/// Boundaries, and what they continue the cells `abcd` with.
const BOUNDARIES: [(Boundary, &str); 6] = [
    (Boundary::Zero, "000|abcd|000"),
    (Boundary::Constant(160.0), "vvv|abcd|vvv"),
    (Boundary::Wrap, "bcd|abcd|abc"),
    (Boundary::Reflect, "cba|abcd|dcb"),
    (Boundary::Mirror, "dcb|abcd|cba"),
    (Boundary::Nearest, "aaa|abcd|ddd"),
];
const BLUR: &str = "gaussian:9";
/// Cells shown outside the photo on every side.
const BORDER: usize = 80;
/// In pixels: how wide the sheet is, its margin, the gap between tiles, and the height of what stands below a tile.
const WIDTH: i64 = 836;
const MARGIN: i64 = 16;
const GAP: i64 = 12;
const CAPTION: i64 = 46;

fn main() -> Result<(), Box<dyn Error>> {
    let output = std::env::args_os().nth(1).map_or(common::target("filter_photo.png"), PathBuf::from);
    let photo = common::photo_rgb()?;
    let (width, height) = (photo.width() as usize, photo.height() as usize);
    // Each colour is an image of the batch: [3, 1, height, width].
    let x = Array4::from_shape_fn((3, 1, height, width), |(c, _, i, j)| {
        f32::from(photo.get_pixel(j as u32, i as u32)[c])
    });
    let device = Device::new()?;
    println!("device: {}", device.name());

    let (large, small) = (tile(4), tile(6));
    let second = MARGIN + 36 + 2 * (large + CAPTION) + 10;
    let mut canvas = Canvas::new(WIDTH, second + 36 + small + CAPTION + 6);
    canvas.heading((MARGIN, MARGIN), "Filters", "of a photo, under the boundary mirror");
    for (at, (names, shown, name, note)) in FILTERS.into_iter().enumerate() {
        let y = filtered(&device, &x, names, Boundary::Mirror, 0)?;
        assert_eq!(y.shape(), [3, names.len(), height, width]);
        // The middle of the photo, from its upper edge on.
        let side = large as u32;
        let part =
            imageops::crop_imm(&picture(&y, shown), (width as u32 - side) / 2, 0, side, side).to_image();
        let (row, column) = (at as i64 / 4, at as i64 % 4);
        let corner = (MARGIN + column * (large + GAP), MARGIN + 36 + row * (large + CAPTION));
        canvas.tile(corner, &part, name, note);
        println!("{name}: {note}");
    }

    let note = format!("what {BLUR} reads beyond the edges of the photo, which are framed");
    canvas.heading((MARGIN, second), "Boundaries", &note);
    for (column, (boundary, cells)) in (0..).zip(BOUNDARIES) {
        let y = filtered(&device, &x, &[BLUR], boundary, BORDER)?;
        assert_eq!(y.shape(), [3, 1, height + 2 * BORDER, width + 2 * BORDER]);
        let whole = picture(&y, Shown::Colours);
        let part = imageops::resize(&whole, small as u32, small as u32, FilterType::Triangle);
        let corner = (MARGIN + column * (small + GAP), second + 36);
        let name = boundary.name();
        canvas.tile(corner, &part, &name, cells);
        let pixels = |cell: usize| cell as i64 * small / (width + 2 * BORDER) as i64;
        let (first, last) = (pixels(BORDER) - 1, pixels(BORDER + width));
        canvas.frame((corner.0 + first, corner.1 + first), (corner.0 + last, corner.1 + last), MARK);
        println!("boundary {name}: {cells}");
    }
    canvas.save(&output)
}

/// Side of a tile where `count` of them share the width.
const fn tile(count: i64) -> i64 {
    (WIDTH - 2 * MARGIN - (count - 1) * GAP) / count
}

/// The kernels' results beside each other, reaching `border` cells past the photo: `[3, kernels, ..]`.
fn filtered(
    device: &Device,
    x: &Array4<f32>,
    names: &[&str],
    boundary: Boundary,
    border: usize,
) -> Result<ArrayD<f32>, Box<dyn Error>> {
    let kernels: Vec<Array2<f32>> = names.iter().map(|name| named(name)).collect::<Result<_, _>>()?;
    let views: Vec<_> = kernels.iter().map(|kernel| kernel.view()).collect();
    let weight = stack(Axis(0), &views)?.insert_axis(Axis(1));
    // Padding by the kernel's radius keeps the photo's size; more shows what lies beyond.
    let conv = Conv::default().padding(border + kernels[0].nrows() / 2).boundary(boundary);
    let problem = ConvProblem::new(x.shape(), weight.shape(), &conv)?;
    let plan = device.plan(&problem, &PlanOptions::default())?;
    let operands = Operands { input: x.view(), weight: weight.view().into(), ..Default::default() };
    Ok(plan.run(operands)?)
}

/// A kernel of [`filters`] by its name in the picture.
fn named(name: &str) -> Result<Array2<f32>, Box<dyn Error>> {
    Ok(match name {
        "box_blur:1" => filters::box_blur(1)?,
        "box_blur:15" => filters::box_blur(15)?,
        "gaussian:9" => filters::gaussian(9, None)?,
        "gaussian:15" => filters::gaussian(15, None)?,
        "sharpen" => filters::sharpen(),
        "emboss" => filters::emboss(),
        "sobel_x" => filters::sobel_x(),
        "sobel_y" => filters::sobel_y(),
        "laplacian" => filters::laplacian(),
        _ => return Err(format!("no kernel is called {name}").into()),
    })
}

/// Levels are multiples of 5: the eye hardly sees it, and the file is half as large.
fn picture(y: &ArrayD<f32>, shown: Shown) -> RgbImage {
    let level = |value: f32| ((value / 5.0).round() * 5.0) as u8;
    RgbImage::from_fn(y.shape()[3] as u32, y.shape()[2] as u32, |column, row| {
        let value = |c: usize, kernel: usize| y[[c, kernel, row as usize, column as usize]];
        let brightness = |k: usize| 0.299 * value(0, k) + 0.587 * value(1, k) + 0.114 * value(2, k);
        Rgb(match shown {
            Shown::Colours => std::array::from_fn(|c| level(value(c, 0))),
            Shown::Signed => [level(127.5 + brightness(0) / 2.0); 3],
            Shown::Magnitude => [level(brightness(0).hypot(brightness(1))); 3],
        })
    })
}
