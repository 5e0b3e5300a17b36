//! Curves over two logarithmic axes, with letters of three by five dots.

use std::error::Error;
use std::path::PathBuf;

use image::{Rgb, RgbImage};

/// A curve by its name: points (x, y), both above 0.
pub type Curve = (String, Vec<(f64, f64)>);

const SIZE: [u32; 2] = [900, 560];
/// Pixels left of the axes, above, right of and below them.
const MARGIN: [f64; 4] = [80.0, 24.0, 170.0, 48.0];
/// Pixels per dot of a letter.
const DOT: i64 = 2;
const PAPER: Rgb<u8> = Rgb([255, 255, 255]);
const INK: Rgb<u8> = Rgb([60, 60, 66]);
const GRID: Rgb<u8> = Rgb([226, 226, 230]);
const COLOURS: [Rgb<u8>; 6] = [
    Rgb([204, 51, 63]),
    Rgb([31, 119, 180]),
    Rgb([44, 140, 60]),
    Rgb([230, 130, 20]),
    Rgb([130, 80, 180]),
    Rgb([90, 90, 90]),
];

/// Rows of dots from the top, an octal digit each.
const LETTERS: [(&str, [u16; 10]); 4] = [
    (
        "0123456789",
        [0o75557, 0o26227, 0o71747, 0o71717, 0o55711, 0o74717, 0o74757, 0o71111, 0o75757, 0o75717],
    ),
    (
        "abcdefghij",
        [0o25755, 0o65656, 0o34443, 0o65556, 0o74647, 0o74644, 0o34553, 0o55755, 0o72227, 0o11152],
    ),
    (
        "klmnopqrst",
        [0o55655, 0o44447, 0o57755, 0o65555, 0o25552, 0o65644, 0o25573, 0o65655, 0o34216, 0o72222],
    ),
    ("uvwxyz_.- ", [0o55557, 0o55552, 0o55775, 0o55255, 0o55222, 0o71247, 0o00007, 0o00002, 0o00700, 0]),
];

/// Writes `curves` to `target/NAME.png` and says so. `ticks` are marked along x; y has a line per power of ten, which `label`
/// names. `title` stands under the x axis.
pub fn save(
    name: &str,
    title: &str,
    curves: &[Curve],
    ticks: &[f64],
    label: impl Fn(f64) -> String,
) -> Result<(), Box<dyn Error>> {
    let points = || curves.iter().flat_map(|(_, points)| points);
    let range = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, 0f64), |(low, high), v| (low.min(v), high.max(v)))
    };
    let (left, right) = range(&mut ticks.iter().copied());
    let (low, high) = range(&mut points().map(|point| point.1));
    // Whole decades.
    let (low, high) = (low.log10().floor(), high.log10().ceil().max(low.log10().floor() + 1.0));
    let [width, height] = SIZE.map(f64::from);
    let across = |x: f64| {
        let share = (x / left).ln() / (right / left).ln();
        (MARGIN[0] + share * (width - MARGIN[0] - MARGIN[2])).round() as i64
    };
    let down = |y: f64| {
        let share = (y.log10() - low) / (high - low);
        (height - MARGIN[3] - share * (height - MARGIN[1] - MARGIN[3])).round() as i64
    };

    let mut picture = RgbImage::from_pixel(SIZE[0], SIZE[1], PAPER);
    let (top, bottom) = (down(10f64.powf(high)), down(10f64.powf(low)));
    for &tick in ticks {
        let x = across(tick);
        line(&mut picture, (x, top), (x, bottom), 1, GRID);
        let text = tick.to_string();
        write(&mut picture, (x - measure(&text) / 2, bottom + 8), &text, INK);
    }
    for decade in low as i32..=high as i32 {
        let value = 10f64.powi(decade);
        line(&mut picture, (across(left), down(value)), (across(right), down(value)), 1, GRID);
        let text = label(value);
        write(&mut picture, (across(left) - 8 - measure(&text), down(value) - 5), &text, INK);
    }
    write(&mut picture, ((across(left) + across(right) - measure(title)) / 2, bottom + 28), title, INK);
    let mut names = Vec::new();
    for ((name, points), colour) in curves.iter().zip(COLOURS.into_iter().cycle()) {
        let points: Vec<_> = points.iter().map(|&(x, y)| (across(x), down(y))).collect();
        for pair in points.windows(2) {
            line(&mut picture, pair[0], pair[1], 3, colour);
        }
        for &at in &points {
            line(&mut picture, at, at, 7, colour);
        }
        names.extend(points.last().map(|&(_, y)| (y, name, colour)));
    }
    // Beside the ends of their curves, no two over each other.
    names.sort_by_key(|&(y, ..)| y);
    let mut free = 0;
    for (y, name, colour) in names {
        let y = free.max(y - 5);
        write(&mut picture, (across(right) + 14, y), name, colour);
        free = y + 14;
    }

    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target").join(name).with_extension("png");
    std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
    picture.save(&path)?;
    println!("wrote target/{name}.png: {} x {}", SIZE[0], SIZE[1]);
    Ok(())
}

/// A square of `thick` pixels around `at`.
fn spot(picture: &mut RgbImage, at: (i64, i64), thick: i64, colour: Rgb<u8>) {
    for (i, j) in (0..thick).flat_map(|i| (0..thick).map(move |j| (i - thick / 2, j - thick / 2))) {
        let (x, y) = (at.0 + j, at.1 + i);
        if (0..i64::from(picture.width())).contains(&x) && (0..i64::from(picture.height())).contains(&y) {
            picture.put_pixel(x as u32, y as u32, colour);
        }
    }
}

fn line(picture: &mut RgbImage, from: (i64, i64), to: (i64, i64), thick: i64, colour: Rgb<u8>) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let steps = dx.abs().max(dy.abs()).max(1);
    for step in 0..=steps {
        spot(picture, (from.0 + dx * step / steps, from.1 + dy * step / steps), thick, colour);
    }
}

/// Pixels that a text is wide.
fn measure(text: &str) -> i64 {
    (4 * text.chars().count() as i64 - 1) * DOT
}

/// Writes from `at`, its upper left corner, on. What has no letter is left blank.
fn write(picture: &mut RgbImage, at: (i64, i64), text: &str, colour: Rgb<u8>) {
    for (place, letter) in (0..).zip(text.chars()) {
        let found =
            LETTERS.iter().find_map(|(known, dots)| known.chars().position(|k| k == letter).map(|i| dots[i]));
        for (row, column) in (0..5).flat_map(|row| (0..3).map(move |column| (row, column))) {
            if found.unwrap_or(0) >> (14 - 3 * row - column) & 1 == 1 {
                let dot = (at.0 + (4 * place + column) * DOT, at.1 + row * DOT);
                spot(picture, (dot.0 + DOT / 2, dot.1 + DOT / 2), DOT, colour);
            }
        }
    }
}
