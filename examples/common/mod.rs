//! What the examples share: a photo to read, pictures to write.
#![allow(dead_code, reason = "each example uses its own part")]

pub mod canvas;
pub mod plot;

use std::error::Error;
use std::path::PathBuf;

use image::{GrayImage, Luma, RgbImage};
use wgconv::ndarray::{Array2, ArrayView2, s};

/// The photo in `examples/data`.
pub fn photo_rgb() -> Result<RgbImage, Box<dyn Error>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/data/astronaut.png");
    Ok(image::open(path)?.to_rgb8())
}

/// Its brightness, 0 to 1.
pub fn photo() -> Result<Array2<f32>, Box<dyn Error>> {
    let photo = image::DynamicImage::from(photo_rgb()?).to_luma8();
    let (width, height) = (photo.width() as usize, photo.height() as usize);
    let brightness = |(i, j)| f32::from(photo.get_pixel(j as u32, i as u32)[0]) / 255.0;
    Ok(Array2::from_shape_fn((height, width), brightness))
}

/// The path of a file in `target`, which may not be there yet.
pub fn target(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target").join(name)
}

/// Writes a picture to `target/NAME.png`, its darkest value black and its brightest white, and says so.
pub fn save(name: &str, picture: ArrayView2<'_, f32>) -> Result<(), Box<dyn Error>> {
    let darkest = picture.iter().copied().fold(f32::INFINITY, f32::min);
    let brightest = picture.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let scale = 255.0 / (brightest - darkest).max(f32::MIN_POSITIVE);
    let (rows, columns) = picture.dim();
    let pixels = GrayImage::from_fn(columns as u32, rows as u32, |column, row| {
        let value = (picture[[row as usize, column as usize]] - darkest) * scale;
        Luma([value.round().clamp(0.0, 255.0) as u8])
    });
    let path = target(&format!("{name}.png"));
    std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
    pixels.save(&path)?;
    println!("wrote target/{name}.png: {columns} x {rows}, values {darkest:.2} to {brightest:.2}");
    Ok(())
}

/// Pictures of one size beside each other, `columns` in a row, each scaled to 0..1, with a gap between.
pub fn mosaic<'a>(pictures: impl IntoIterator<Item = ArrayView2<'a, f32>>, columns: usize) -> Array2<f32> {
    const GAP: usize = 4;
    let pictures: Vec<_> = pictures.into_iter().collect();
    let (height, width) = pictures.first().map_or((0, 0), |picture| picture.dim());
    let rows = pictures.len().div_ceil(columns);
    let mut all = Array2::from_elem((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP), 0.0);
    for (at, picture) in pictures.iter().enumerate() {
        let (top, left) = (GAP + at / columns * (height + GAP), GAP + at % columns * (width + GAP));
        let low = picture.iter().copied().fold(f32::INFINITY, f32::min);
        let high = picture.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let scaled = picture.mapv(|value| (value - low) / (high - low).max(f32::MIN_POSITIVE));
        all.slice_mut(s![top..top + height, left..left + width]).assign(&scaled);
    }
    all
}

/// Numbers from -1 to 1 that look random and are the same in every run.
pub fn noise(seed: u32) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / (u32::MAX / 2) as f32 - 1.0
    }
}
