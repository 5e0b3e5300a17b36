//! Which algorithm is the fastest for which kernel: a photo blurred by ever larger discs, by every algorithm of the device.
//!
//!     cargo run --example large_kernel [SIDE]
//!
//! SIDE is that of the photo, 256 pixels where it is left out. That keeps a processor busy for some seconds; a GPU only has
//! something to do from 2048 on. Prints a table, and writes `target/large_kernel.png`: the time over the kernel's side, a curve
//! for each algorithm. Where two of them cross, another one becomes the fastest.

mod common;

use std::error::Error;
use std::time::Duration;

use common::canvas::{Align, Canvas, GREY, INK, NAME, TEXT, TITLE};
use common::plot::{self, Axes};
use image::Rgb;
use wgconv::ndarray::{Array2, ArrayD, Axis};
use wgconv::{
    Algorithm, Boundary, Conv, ConvProblem, Device, Fallback, Operands, Padding, PlanOptions, Tensor,
};

const SIDES: [usize; 9] = [3, 5, 7, 11, 15, 21, 31, 45, 63];
/// Runs of which the median counts; fewer where they take together longer than [`ENOUGH`], one at least.
const RUNS: usize = 5;
const ENOUGH: Duration = Duration::from_millis(400);
/// An algorithm that took longer is not asked for larger kernels.
const PATIENCE: f64 = 500.0;
/// Distance between two floating-point numbers at 1, halved.
const UNIT: f64 = f32::EPSILON as f64 / 2.0;

/// An algorithm's name; sides of kernels and milliseconds.
type Curve = (String, Vec<(f64, f64)>);

fn main() -> Result<(), Box<dyn Error>> {
    let side = std::env::args().nth(1).map_or(Ok(256), |side| side.parse())?;
    let photo = common::photo()?;
    let repeated = |(i, j)| photo[[i * photo.nrows() / side, j * photo.ncols() / side]];
    let photo = Array2::from_shape_fn((side, side), repeated);
    let device = Device::new()?;
    let x = device.upload(&photo.insert_axis(Axis(0)).insert_axis(Axis(0)))?;
    println!("{side} x {side} pixels on {}, milliseconds:", device.name());
    let names: Vec<_> = device.algorithms().iter().map(|a| format!("{:>14}", a.name())).collect();
    println!("{:>9} {}  fastest, largest difference", "kernel", names.join(""));

    let mut curves: Vec<Curve> =
        device.algorithms().iter().map(|a| (a.name().to_owned(), Vec::new())).collect();
    for kernel in SIDES {
        let w = disc(kernel).insert_axis(Axis(0)).insert_axis(Axis(0)).into_dyn();
        let conv = Conv::default().padding(Padding::Same).boundary(Boundary::Zero);
        let problem = ConvProblem::new(&x.shape(), w.shape(), &conv)?;
        let (mut first, mut difference) = (None::<ArrayD<f32>>, 0f64);
        let (mut cells, mut fastest) = (String::new(), (f64::INFINITY, "nothing"));
        for (&algorithm, (name, points)) in device.algorithms().iter().zip(&mut curves) {
            let tired = points.last().is_some_and(|&(_, ms)| ms > PATIENCE);
            let timed = if tired { None } else { timed(&device, &problem, algorithm, &x, &w)? };
            let Some((y, ms)) = timed else {
                cells += &format!("{:>14}", "-");
                continue;
            };
            // The weights add up to 1, and no pixel is above 1.
            let allowed = 2.0 * (2.0 * kernel as f64 + 8.0) * UNIT;
            let wanted = first.get_or_insert_with(|| y.clone());
            let apart = (&y - &*wanted).iter().fold(0f64, |most, d| most.max(f64::from(d.abs())));
            assert!(
                apart <= allowed,
                "{name} with {kernel} x {kernel}: {apart:e} apart, allowed {allowed:e}"
            );
            difference = difference.max(apart);
            cells += &format!("{ms:>14.3}");
            points.push((kernel as f64, ms));
            if ms < fastest.0 {
                fastest = (ms, algorithm.name());
            }
        }
        println!("{:>9} {cells}  {}, {difference:.1e}", format!("{kernel} x {kernel}"), fastest.1);
    }

    curves.retain(|(_, points)| !points.is_empty());
    draw(&format!("Blur of {side} × {side} pixels by a disc"), &format!("device: {}", device.name()), &curves)
}

/// Draws the time over the kernel's side, both logarithmic.
fn draw(title: &str, note: &str, curves: &[Curve]) -> Result<(), Box<dyn Error>> {
    const COLOURS: [[u8; 3]; 6] =
        [[204, 51, 63], [31, 119, 180], [44, 140, 60], [230, 130, 20], [130, 80, 180], [90, 90, 90]];
    let times = curves.iter().flat_map(|(_, points)| points.iter().map(|point| point.1));
    let (least, most) = times.fold((f64::INFINITY, 0f64), |(low, high), ms| (low.min(ms), high.max(ms)));
    // Whole powers of ten, one at least.
    let low = least.log10().floor() as i32;
    let high = (most.log10().ceil() as i32).max(low + 1);
    let decades = (low..=high).map(|power| (10f64.powi(power), 10f64.powi(power).to_string()));
    let fine = (low..high).flat_map(|power| (2..10).map(move |n| f64::from(n) * 10f64.powi(power)));
    let axes = Axes {
        left: 96,
        top: 76,
        width: 660,
        height: 420,
        x: plot::Axis {
            title: "side of the kernel (pixels)",
            range: [SIDES[0] as f64 / 1.1, SIDES[SIDES.len() - 1] as f64 * 1.1],
            logarithmic: true,
            ticks: SIDES.map(|side| (side as f64, side.to_string())).into(),
        },
        y: plot::Axis {
            title: "median time of a run (ms)",
            range: [low, high].map(|power| 10f64.powi(power)),
            logarithmic: true,
            ticks: fine.map(|ms| (ms, String::new())).chain(decades).collect(),
        },
    };
    let right = axes.left + axes.width;
    let mut canvas = Canvas::new(right + 160, axes.top + axes.height + 66);
    canvas.text((axes.left, 16), Align::Left, TITLE, INK, title);
    canvas.text((axes.left, 44), Align::Left, TEXT, GREY, note);
    axes.grid(&mut canvas);
    canvas.text((right + 20, axes.top), Align::Left, NAME, INK, "algorithm");
    for (row, ((name, points), colour)) in (1..).zip(curves.iter().zip(COLOURS.map(Rgb).into_iter().cycle()))
    {
        let points: Vec<_> = points.iter().map(|&(side, ms)| axes.at(side, ms)).collect();
        for pair in points.windows(2) {
            canvas.line(pair[0], pair[1], 2.5, colour);
        }
        for &point in &points {
            canvas.dot(point, 7.0, colour);
        }
        let y = axes.top + 24 * row;
        let (from, to) = ((right + 20) as f64, (right + 44) as f64);
        canvas.line((from, (y + 8) as f64), (to, (y + 8) as f64), 2.5, colour);
        canvas.dot(((from + to) / 2.0, (y + 8) as f64), 7.0, colour);
        canvas.text((right + 52, y), Align::Left, TEXT, INK, name);
    }
    axes.draw(&mut canvas, 78);
    canvas.save(&common::target("large_kernel.png"))
}

/// A disc as wide as its square, whose weights add up to 1: what a lens makes of a point that is out of focus.
fn disc(side: usize) -> Array2<f32> {
    let middle = (side / 2) as f32;
    let inside = |(i, j): (usize, usize)| (i as f32 - middle).hypot(j as f32 - middle) <= middle + 0.5;
    let disc = Array2::from_shape_fn((side, side), |at| f32::from(inside(at)));
    &disc / disc.sum()
}

/// The result and the median time of a run in milliseconds, on the device's own clock if it has one; `None` where the
/// algorithm declines.
fn timed(
    device: &Device,
    problem: &ConvProblem,
    algorithm: Algorithm,
    x: &Tensor,
    w: &ArrayD<f32>,
) -> Result<Option<(ArrayD<f32>, f64)>, wgconv::Error> {
    let forced =
        PlanOptions { algorithm: Some(algorithm), fallback: Fallback::Error, ..PlanOptions::default() };
    let plan = match device.plan(problem, &forced) {
        Ok(plan) => plan,
        Err(wgconv::Error::Declined(_)) => return Ok(None),
        Err(e) => return Err(e),
    };
    let weight = plan.prepare(w)?;
    let operands = Operands { input: x, weight: (&weight).into(), ..Default::default() };
    // The first run makes buffers, and is slow where it fills caches.
    let (y, warm_up) = plan.run_on_timed(&operands)?;
    let mut times = vec![warm_up];
    while times.len() <= RUNS && times.iter().map(|time| time.total).sum::<Duration>() < ENOUGH {
        times.push(plan.run_on_timed(&operands)?.1);
    }
    if times.len() > 1 {
        times.remove(0);
    }
    let mut times: Vec<_> = times.iter().map(|time| time.device.unwrap_or(time.total)).collect();
    times.sort_unstable();
    Ok(Some((y.download()?, times[times.len() / 2].as_secs_f64() * 1e3)))
}
