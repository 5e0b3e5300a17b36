//! Pictures with text and lines, on white paper.

use std::error::Error;
use std::path::Path;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{Pixel, Rgb, RgbImage, Rgba};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};
use wgconv::ndarray::ArrayView2;

pub const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
pub const INK: Rgb<u8> = Rgb([32, 34, 40]);
pub const GREY: Rgb<u8> = Rgb([98, 102, 112]);
pub const MARK: Rgb<u8> = Rgb([255, 204, 0]);

/// Weight and height of letters.
pub type Font = (FontWeight, RasterHeight);
pub const TITLE: Font = (FontWeight::Bold, RasterHeight::Size20);
pub const NAME: Font = (FontWeight::Bold, RasterHeight::Size16);
pub const TEXT: Font = (FontWeight::Regular, RasterHeight::Size16);

/// Which part of a text stands where it is put.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Centre,
    Right,
}

/// Pixels that a text is wide.
fn width(font: Font, text: &str) -> i64 {
    (get_raster_width(font.0, font.1) * text.chars().count()) as i64
}

/// A picture under way. Coordinates are (x, y) from the upper left corner.
pub struct Canvas(RgbImage);

impl Canvas {
    pub fn new(width: i64, height: i64) -> Self {
        Self(RgbImage::from_pixel(width as u32, height as u32, PAPER))
    }

    /// Puts a picture with its upper left corner at `at`.
    pub fn picture(&mut self, at: (i64, i64), picture: &RgbImage) {
        image::imageops::replace(&mut self.0, picture, at.0, at.1);
    }

    /// Puts a picture, a name and a note below it.
    pub fn tile(&mut self, at: (i64, i64), picture: &RgbImage, name: &str, note: &str) {
        self.picture(at, picture);
        let below = at.1 + i64::from(picture.height()) + 4;
        self.text((at.0, below), Align::Left, NAME, INK, name);
        self.text((at.0, below + 17), Align::Left, TEXT, GREY, note);
    }

    /// Writes a title below `at`, and a note beside it.
    pub fn heading(&mut self, at: (i64, i64), title: &str, note: &str) {
        self.text(at, Align::Left, TITLE, INK, title);
        self.text((at.0 + width(TITLE, title) + 14, at.1 + 3), Align::Left, TEXT, GREY, note);
    }

    /// Writes a line of text below `at`.
    pub fn text(&mut self, at: (i64, i64), align: Align, font: Font, colour: Rgb<u8>, text: &str) {
        let left = at.0 - before(align, font, text);
        self.letters(font, text, |canvas, (x, y), cover| canvas.blend((left + x, at.1 + y), colour, cover));
    }

    /// Writes a line of text upwards, its middle right of `at`.
    pub fn text_up(&mut self, at: (i64, i64), font: Font, colour: Rgb<u8>, text: &str) {
        let bottom = at.1 + before(Align::Centre, font, text);
        self.letters(font, text, |canvas, (x, y), cover| canvas.blend((at.0 + y, bottom - x), colour, cover));
    }

    /// A straight line, its edges smooth.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), thick: f64, colour: Rgb<u8>) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let reach = thick / 2.0 + 1.0;
        let range = |a: f64, b: f64| (a.min(b) - reach).floor() as i64..=(a.max(b) + reach).ceil() as i64;
        for y in range(from.1, to.1) {
            for x in range(from.0, to.0) {
                let (px, py) = (x as f64 - from.0, y as f64 - from.1);
                // The nearest point of the line.
                let share = ((px * dx + py * dy) / (dx * dx + dy * dy).max(1e-9)).clamp(0.0, 1.0);
                let distance = (px - share * dx).hypot(py - share * dy);
                let cover = (thick / 2.0 + 0.5 - distance).clamp(0.0, 1.0);
                self.blend((x, y), colour, (255.0 * cover).round() as u8);
            }
        }
    }

    pub fn dot(&mut self, at: (f64, f64), thick: f64, colour: Rgb<u8>) {
        self.line(at, at, thick, colour);
    }

    /// The outline of a rectangle, one pixel thick: its first and its last pixel.
    pub fn frame(&mut self, first: (i64, i64), last: (i64, i64), colour: Rgb<u8>) {
        for x in first.0..=last.0 {
            self.blend((x, first.1), colour, 255);
            self.blend((x, last.1), colour, 255);
        }
        for y in first.1 + 1..last.1 {
            self.blend((first.0, y), colour, 255);
            self.blend((last.0, y), colour, 255);
        }
    }

    /// Writes the picture to a PNG file, as small as can be, and says so.
    pub fn save(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        let mut file = Vec::new();
        let encoder = PngEncoder::new_with_quality(&mut file, CompressionType::Best, FilterType::Adaptive);
        self.0.write_with_encoder(encoder)?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, &file)?;
        let path = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(path);
        let ((width, height), size) = (self.0.dimensions(), file.len().div_ceil(1024));
        println!("wrote {}: {width} x {height} pixels, {size} KiB", path.display());
        Ok(())
    }

    /// Calls `put` for each pixel of a text, with how much of it is covered. What has no letter is left blank.
    fn letters(&mut self, font: Font, text: &str, put: impl Fn(&mut Self, (i64, i64), u8)) {
        for (place, letter) in text.chars().enumerate() {
            let Some(raster) = get_raster(letter, font.0, font.1) else { continue };
            for (y, row) in (0..).zip(raster.rows()) {
                for (x, &cover) in (0..).zip(row) {
                    put(self, ((place * raster.width()) as i64 + x, y), cover);
                }
            }
        }
    }

    fn blend(&mut self, at: (i64, i64), colour: Rgb<u8>, cover: u8) {
        let (Ok(x), Ok(y)) = (u32::try_from(at.0), u32::try_from(at.1)) else { return };
        if let Some(pixel) = self.0.get_pixel_mut_checked(x, y) {
            let [r, g, b] = colour.0;
            let mut mixed = pixel.to_rgba();
            mixed.blend(&Rgba([r, g, b, cover]));
            *pixel = mixed.to_rgb();
        }
    }
}

/// Pixels of a text before the part of it that stands where it is put.
fn before(align: Align, font: Font, text: &str) -> i64 {
    match align {
        Align::Left => 0,
        Align::Centre => width(font, text) / 2,
        Align::Right => width(font, text),
    }
}

/// A picture of values: the first of `range` is 0 to `colour`, the second is 1.
pub fn shades(values: ArrayView2<'_, f32>, range: [f32; 2], colour: impl Fn(f32) -> Rgb<u8>) -> RgbImage {
    let (rows, columns) = values.dim();
    RgbImage::from_fn(columns as u32, rows as u32, |x, y| {
        colour((values[[y as usize, x as usize]] - range[0]) / (range[1] - range[0]))
    })
}

/// Black for 0, white for 1.
pub fn grey(value: f32) -> Rgb<u8> {
    Rgb([(255.0 * value).round() as u8; 3])
}

/// A colour for a value from 0 to 1, dark to light: black, purple, orange, yellow.
pub fn heat(value: f32) -> Rgb<u8> {
    const STOPS: [[u8; 3]; 9] = [
        [0, 0, 4],
        [28, 16, 68],
        [79, 18, 123],
        [129, 37, 129],
        [181, 54, 122],
        [229, 80, 100],
        [251, 135, 97],
        [254, 194, 135],
        [252, 253, 191],
    ];
    let at = value.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let (low, share) = (at as usize, at.fract());
    let high = (low + 1).min(STOPS.len() - 1);
    let mix = |c| f32::from(STOPS[low][c]) * (1.0 - share) + f32::from(STOPS[high][c]) * share;
    Rgb(std::array::from_fn(|c| mix(c).round() as u8))
}
