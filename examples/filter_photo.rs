//! Four filters on a photo under each of the six boundaries, as one contact sheet.
//!
//!     cargo run --example filter_photo [OUTPUT.png]
//!
//! Columns are boundaries, rows are filters. Every tile reaches past the photo, so it shows what the
//! filter sees out there; the thin frame is where the photo ends.

use std::error::Error;
use std::path::PathBuf;

use image::{Rgb, RgbImage};
use wgconv::ndarray::{Array2, Array4, ArrayD, Axis, stack};
use wgconv::{Boundary, Conv, ConvProblem, Device, Operands, PlanOptions, filters};

const COLUMNS: [Boundary; 6] = [
    Boundary::Zero,
    Boundary::Constant(160.0),
    Boundary::Wrap,
    Boundary::Reflect,
    Boundary::Mirror,
    Boundary::Nearest,
];
/// A row of two kernels shows the magnitude of both results.
const ROWS: [&[&str]; 5] =
    [&["box_blur:1"], &["gaussian:31"], &["sharpen"], &["sobel_x", "sobel_y"], &["emboss"]];
/// Cells shown outside the photo on every side.
const BORDER: usize = 56;
/// Cells between tiles.
const GAP: usize = 12;

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let output = std::env::args_os().nth(1).map_or(root.join("target/filter_photo.png"), PathBuf::from);
    let photo = image::open(root.join("examples/data/astronaut.png"))?.to_rgb8();
    let (width, height) = (photo.width() as usize, photo.height() as usize);
    // Each colour is an image of the batch: [3, 1, height, width].
    let x = Array4::from_shape_fn((3, 1, height, width), |(c, _, i, j)| {
        f32::from(photo.get_pixel(j as u32, i as u32)[c])
    });

    let device = Device::new()?;
    let tile = [height + 2 * BORDER, width + 2 * BORDER];
    let pitch = tile.map(|extent| extent + GAP);
    let sheet = [GAP + ROWS.len() * pitch[0], GAP + COLUMNS.len() * pitch[1]];
    let mut picture = RgbImage::from_pixel(sheet[1] as u32, sheet[0] as u32, Rgb([24, 24, 28]));
    for (row, names) in ROWS.into_iter().enumerate() {
        for (column, boundary) in COLUMNS.into_iter().enumerate() {
            let y = filtered(&device, &x, names, boundary)?;
            assert_eq!(y.shape(), [3, names.len(), tile[0], tile[1]]);
            let origin = [GAP + row * pitch[0], GAP + column * pitch[1]];
            paint(&mut picture, &y, origin);
        }
    }

    if let Some(folder) = output.parent() {
        std::fs::create_dir_all(folder)?;
    }
    picture.save(&output)?;
    let boundaries = COLUMNS.map(|b| b.name()).join(", ");
    let rows = ROWS.map(|names| names.join(" and ")).join(", ").replace("box_blur:1", "the photo itself");
    println!("device: {}", device.name());
    println!("columns: {boundaries}\nrows: {rows}\nwrote {} ({} x {})", output.display(), sheet[1], sheet[0]);
    Ok(())
}

/// The kernels' results side by side, reaching `BORDER` cells past the photo: `[3, kernels, ..]`.
fn filtered(
    device: &Device,
    x: &Array4<f32>,
    names: &[&str],
    boundary: Boundary,
) -> Result<ArrayD<f32>, Box<dyn Error>> {
    let kernels: Vec<Array2<f32>> = names.iter().map(|name| named(name)).collect::<Result<_, _>>()?;
    let views: Vec<_> = kernels.iter().map(|kernel| kernel.view()).collect();
    let weight = stack(Axis(0), &views)?.insert_axis(Axis(1));
    // Padding by the kernel's radius keeps the photo's size; more shows what lies beyond.
    let conv = Conv::default().padding(BORDER + kernels[0].nrows() / 2).boundary(boundary);
    let problem = ConvProblem::new(x.shape(), weight.shape(), &conv)?;
    let plan = device.plan(&problem, &PlanOptions::default())?;
    let operands = Operands { input: x.view(), weight: weight.view().into(), ..Default::default() };
    Ok(plan.run(operands)?)
}

/// The kernel in a row of the sheet.
fn named(name: &str) -> Result<Array2<f32>, Box<dyn Error>> {
    Ok(match name {
        "gaussian:9" => filters::gaussian(9, None)?,
        "box_blur:1" => filters::box_blur(1)?,
        "box_blur:9" => filters::box_blur(9)?,
        "sharpen" => filters::sharpen(),
        "emboss" => filters::emboss(),
        "sobel_x" => filters::sobel_x(),
        "sobel_y" => filters::sobel_y(),
        _ => return Err(format!("no kernel is called {name}").into()),
    })
}

/// Puts a result at `origin` (row, column), with a thin frame where the photo ends.
fn paint(picture: &mut RgbImage, y: &ArrayD<f32>, origin: [usize; 2]) {
    let [height, width] = [y.shape()[2], y.shape()[3]];
    for (i, j) in (0..height).flat_map(|i| (0..width).map(move |j| (i, j))) {
        let pixel = std::array::from_fn(|c| match y.shape()[1] {
            1 => y[[c, 0, i, j]].round() as u8,
            _ => y[[c, 0, i, j]].hypot(y[[c, 1, i, j]]).round() as u8,
        });
        picture.put_pixel((origin[1] + j) as u32, (origin[0] + i) as u32, Rgb(pixel));
    }
    let frame = Rgb([255, 214, 64]);
    let (before, below, right) = (BORDER - 1, height - BORDER, width - BORDER);
    for j in before..=right {
        for i in [before, below] {
            picture.put_pixel((origin[1] + j) as u32, (origin[0] + i) as u32, frame);
        }
    }
    for i in before..=below {
        for j in [before, right] {
            picture.put_pixel((origin[1] + j) as u32, (origin[0] + i) as u32, frame);
        }
    }
}
