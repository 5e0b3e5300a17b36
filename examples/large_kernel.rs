//! Which algorithm is the fastest for which kernel: a photo blurred by ever larger discs, by every algorithm of the device.
//!
//!     cargo run --example large_kernel [SIDE]
//!
//! SIDE is that of the photo, 256 pixels where it is left out. That keeps a processor busy for some seconds; a GPU only has
//! something to do from 2048 on. Writes `target/large_kernel.png`, time over the kernel's side.

mod common;

use std::error::Error;
use std::time::Duration;

use wgconv::ndarray::{Array2, ArrayD, Axis};
use wgconv::{
    Algorithm, Boundary, Conv, ConvProblem, Device, Fallback, Operands, Padding, PlanOptions, Tensor,
};

const SIDES: [usize; 9] = [3, 5, 7, 11, 15, 21, 31, 45, 63];
/// Runs of which the median counts; fewer where they take together longer than [`ENOUGH`], one at least.
const RUNS: usize = 5;
const ENOUGH: Duration = Duration::from_millis(400);
/// An algorithm that took longer is not asked for larger kernels.
const PATIENCE: f64 = 2000.0;
/// Distance between two floating-point numbers at 1, halved.
const UNIT: f64 = f32::EPSILON as f64 / 2.0;

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

    let mut curves: Vec<_> = device.algorithms().iter().map(|a| (a.name().to_owned(), Vec::new())).collect();
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
    let ticks = SIDES.map(|side| side as f64);
    let title = format!("side of the kernel - {side} x {side} pixels");
    common::plot::save("large_kernel", &title, &curves, &ticks, |ms| format!("{ms} ms"))
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
        Err(wgconv::Error::Declined(_) | wgconv::Error::Cpu(_)) => return Ok(None),
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
