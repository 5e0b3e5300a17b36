//! Narrowing conversions that refuse to change what a number means.

use half::f16;
use ndarray::{ArrayD, Dimension};

use super::NpyError;

/// An empty vector with room for `count` elements; a size that there is no memory for is an error and no abort.
pub(super) fn with_room<T>(count: usize) -> Result<Vec<T>, NpyError> {
    reserve::<T>(count)?;
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| NpyError::OutOfMemory { bytes: bytes_of::<T>(count) })?;
    Ok(values)
}

/// Asks for the memory of `count` elements and gives it back.
pub(super) fn reserve<T>(count: usize) -> Result<(), NpyError> {
    let bytes = bytes_of::<T>(count);
    wgconv::reserve("an array", bytes).map_err(|_| NpyError::OutOfMemory { bytes })
}

fn bytes_of<T>(count: usize) -> u64 {
    (count as u64).saturating_mul(size_of::<T>() as u64)
}

/// Applies `round` to every element; `found` and `wanted` name the types before and after.
pub(super) fn narrow<S, T>(
    array: &ArrayD<S>,
    found: &'static str,
    wanted: &'static str,
    round: fn(f64) -> T,
) -> Result<ArrayD<T>, NpyError>
where
    S: Copy + Into<f64>,
    T: Copy + Into<f64>,
{
    reserve::<T>(array.len())?;
    let integer = !found.starts_with('f');
    let refused = |value: f64, rounded: f64| {
        if integer { value != rounded } else { value.is_finite() && !rounded.is_finite() }
    };
    let mut any_refused = false;
    let narrowed = array.mapv(|element| {
        let value = element.into();
        let rounded = round(value);
        any_refused |= refused(value, rounded.into());
        rounded
    });
    if !any_refused {
        return Ok(narrowed);
    }
    // Only now, as keeping track of the index is slow.
    for (index, &element) in array.indexed_iter() {
        let value = element.into();
        if refused(value, round(value).into()) {
            let index = index.as_array_view().to_vec();
            return Err(if integer {
                NpyError::Inexact { value, index, found, wanted }
            } else {
                NpyError::NonFinite { value, index, found, wanted }
            });
        }
    }
    Ok(narrowed)
}

/// Rounds to nearest.
#[expect(clippy::cast_possible_truncation, reason = "this is the rounding")]
pub(super) fn to_f32(value: f64) -> f32 {
    value as f32
}

/// Rounds once to nearest. `f16::from_f64` drops low bits or rounds twice, going through `f32`; a
/// first step that rounds to odd keeps what the second one needs to break ties rightly.
pub(super) fn to_f16(value: f64) -> f16 {
    let near = to_f32(value);
    let wide = f64::from(near);
    let odd = match near.to_bits() {
        bits if value.is_nan() || wide == value || bits % 2 == 1 => bits,
        bits if wide.abs() > value.abs() => bits - 1,
        bits => bits + 1,
    };
    f16::from_f32(f32::from_bits(odd))
}
