//! Comparing results with the reference.

use ndarray::{ArrayViewD, Dimension};

use crate::bound::Bound;

/// Every element equal (0 and −0 are; a NaN equals nothing).
///
/// # Errors
///
/// The first mismatch with its index and both values, and the number of mismatches.
pub fn exact<T: Copy + Into<f64>>(
    name: &str,
    got: ArrayViewD<T>,
    want: ArrayViewD<f64>,
) -> Result<(), String> {
    same_shape(name, got.shape(), want.shape())?;
    let (mut first, mut count) = (None, 0usize);
    for ((index, &want), &got) in want.indexed_iter().zip(got.iter()) {
        let got: f64 = got.into();
        if got != want || got.is_nan() {
            count += 1;
            first.get_or_insert_with(|| {
                format!("at {:?} got {got}, want {want}", index.as_array_view().to_vec())
            });
        }
    }
    match first {
        Some(first) => Err(format!("{name}: {first} ({count} of {} elements differ)", want.len())),
        None => Ok(()),
    }
}

/// Every element within [`Bound::new`]; gives the largest `error / (unit·mag)`.
///
/// # Errors
///
/// As for [`within`].
pub fn within_bound<T: Copy + Into<f64>>(
    name: &str,
    got: ArrayViewD<T>,
    want: ArrayViewD<f64>,
    mag: ArrayViewD<f64>,
    terms: u64,
    unit: f64,
) -> Result<f64, String> {
    within(name, got, want, mag, &Bound::new(terms, unit))
}

/// Every element within `bound`; gives the largest `error / (unit·mag)`. Where the reference is NaN or
/// infinite, the result must be the same.
///
/// # Errors
///
/// The worst element with its index, its error and what was allowed, and the number of excesses.
pub fn within<T: Copy + Into<f64>>(
    name: &str,
    got: ArrayViewD<T>,
    want: ArrayViewD<f64>,
    mag: ArrayViewD<f64>,
    bound: &Bound,
) -> Result<f64, String> {
    same_shape(name, got.shape(), want.shape())?;
    same_shape(name, mag.shape(), want.shape())?;
    let (mut worst, mut message, mut count, mut ratio) = (0.0, String::new(), 0usize, 0f64);
    for (((index, &want), &got), &mag) in want.indexed_iter().zip(got.iter()).zip(mag.iter()) {
        let got: f64 = got.into();
        if got == want || (got.is_nan() && want.is_nan()) {
            continue;
        }
        let (error, allowed) = ((got - want).abs(), bound.allowed(want, mag));
        let excess = if want.is_finite() && error <= allowed {
            if mag > 0.0 {
                ratio = ratio.max(error / (bound.unit * mag));
            }
            continue;
        } else if error.is_finite() && allowed > 0.0 {
            error / allowed
        } else {
            f64::INFINITY
        };
        count += 1;
        if excess > worst {
            worst = excess;
            let at = index.as_array_view().to_vec();
            message = format!("at {at:?} got {got}, want {want}: error {error:.3e}, allowed {allowed:.3e}");
        }
    }
    if count == 0 {
        Ok(ratio)
    } else {
        Err(format!("{name}: {message} ({count} of {} elements)", want.len()))
    }
}

fn same_shape(name: &str, got: &[usize], want: &[usize]) -> Result<(), String> {
    if got == want { Ok(()) } else { Err(format!("{name}: got shape {got:?}, want {want:?}")) }
}
