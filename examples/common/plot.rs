//! Axes with ticks and titles.

use super::canvas::{Align, Canvas, GREY, INK, TEXT};
use image::Rgb;

const GRID: Rgb<u8> = Rgb([222, 224, 230]);
const FINE_GRID: Rgb<u8> = Rgb([242, 243, 246]);
/// Pixels that a tick is long.
const TICK: i64 = 5;

/// One axis: what it shows, its first and last value, whether it is logarithmic, and its ticks. A tick without a name is a
/// fine line of the grid.
pub struct Axis<'a> {
    pub title: &'a str,
    pub range: [f64; 2],
    pub logarithmic: bool,
    pub ticks: Vec<(f64, String)>,
}

impl Axis<'_> {
    /// Where a value stands: 0 at the beginning of the axis, 1 at its end.
    fn share(&self, value: f64) -> f64 {
        let scale = |value: f64| if self.logarithmic { value.ln() } else { value };
        let [first, last] = self.range.map(scale);
        (scale(value) - first) / (last - first)
    }
}

/// Two axes round an area of pixels.
pub struct Axes<'a> {
    pub left: i64,
    pub top: i64,
    pub width: i64,
    pub height: i64,
    pub x: Axis<'a>,
    pub y: Axis<'a>,
}

impl Axes<'_> {
    /// The pixel of a point.
    pub fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let across = self.left as f64 + self.x.share(x) * self.width as f64;
        let down = self.top as f64 + (1.0 - self.y.share(y)) * self.height as f64;
        (across, down)
    }

    /// Lines behind the curves.
    pub fn grid(&self, canvas: &mut Canvas) {
        let colour = |name: &str| if name.is_empty() { FINE_GRID } else { GRID };
        let [(left, bottom), (right, top)] = self.corners();
        for (value, name) in &self.x.ticks {
            let x = self.at(*value, self.y.range[0]).0.round();
            canvas.line((x, top as f64), (x, bottom as f64), 1.0, colour(name));
        }
        for (value, name) in &self.y.ticks {
            let y = self.at(self.x.range[0], *value).1.round();
            canvas.line((left as f64, y), (right as f64, y), 1.0, colour(name));
        }
    }

    /// A frame, ticks, their names and the titles. The title of y is `beside` pixels left of the area.
    pub fn draw(&self, canvas: &mut Canvas, beside: i64) {
        let [(left, bottom), (right, top)] = self.corners();
        canvas.frame((left, top), (right, bottom), GREY);
        for (value, name) in self.x.ticks.iter().filter(|(_, name)| !name.is_empty()) {
            let x = self.at(*value, self.y.range[0]).0.round() as i64;
            canvas.frame((x, bottom), (x, bottom + TICK), GREY);
            canvas.text((x, bottom + TICK + 3), Align::Centre, TEXT, INK, name);
        }
        for (value, name) in self.y.ticks.iter().filter(|(_, name)| !name.is_empty()) {
            let y = self.at(self.x.range[0], *value).1.round() as i64;
            canvas.frame((left - TICK, y), (left, y), GREY);
            canvas.text((left - TICK - 4, y - 8), Align::Right, TEXT, INK, name);
        }
        canvas.text(((left + right) / 2, bottom + 28), Align::Centre, TEXT, INK, self.x.title);
        canvas.text_up((left - beside, (top + bottom) / 2), TEXT, INK, self.y.title);
    }

    /// The lower left and the upper right corner of the frame.
    fn corners(&self) -> [(i64, i64); 2] {
        [(self.left - 1, self.top + self.height), (self.left + self.width, self.top - 1)]
    }
}
