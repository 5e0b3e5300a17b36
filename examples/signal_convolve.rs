//! Finding an echo: the delay of a signal by correlation, and scipy's modes.
//!
//!     cargo run --example signal_convolve

mod common;

use wgconv::Error;
use wgconv::ndarray::{Array1, array, s};
use wgconv::signal::{Convolve, Mode, convolve, correlate, fftconvolve, oaconvolve};

fn main() -> Result<(), Error> {
    let (x, w) = (array![1f32, 2., 3.], array![1f32, 10.]);
    for mode in [Mode::Full, Mode::Same, Mode::Valid] {
        println!("convolve {mode:?}: {}, correlate: {}", convolve(&x, &w, mode)?, correlate(&x, &w, mode)?);
    }

    let rows = array![[1f32, 2., 3.], [4., 5., 6.]];
    let each = fftconvolve(&rows, &array![[1f32, 1.], [1., -1.]], Convolve::from(Mode::Valid).axes([1]))?;
    println!("fftconvolve of each row with a kernel of its own:\n{each}");

    // A call of 200 samples, and a recording in which it comes 1234 samples late, faint, under noise.
    let mut noise = common::noise(5);
    let call = Array1::from_shape_simple_fn(200, &mut noise);
    let mut heard = Array1::from_shape_simple_fn(8000, || 0.5 * noise());
    heard.slice_mut(s![1234..1434]).scaled_add(0.4, &call);
    let match_at = correlate(&heard, &call, Mode::Valid)?;
    let (delay, peak) =
        match_at.iter().enumerate().fold((0, 0f32), |best, (at, &v)| if v > best.1 { (at, v) } else { best });
    println!("the echo comes after {delay} samples (correlation {peak:.1})");
    assert_eq!(delay, 1234);

    // The same under the name for long signals; integers stay integers, or there is an error.
    let smooth = oaconvolve(&heard, &Array1::from_elem(64, 1f32 / 64.0), Mode::Same)?;
    println!(
        "smoothed: {} samples, spread {:.3} before and {:.3} after",
        smooth.len(),
        heard.std(0.0),
        smooth.std(0.0)
    );
    println!("integers: {}", convolve(&array![100i8, 27], &array![1i8, 1], Mode::Full)?);
    println!(
        "and past their type: {}",
        convolve(&array![100i8, 28], &array![1i8, 1], Mode::Full).expect_err("128")
    );
    Ok(())
}
