//! Arrays that are a part of an operation, described rather than stored.

use ndarray::{Array2, ArrayD};

/// An array that an operation brings itself. It is only made when the operation runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// These numbers.
    Array(ArrayD<f64>),
    /// A single 1, with this many axes.
    One {
        /// How many axes.
        axes: usize,
    },
    /// Weights `[filters, 1, taps, 1]` of linear interpolation: filter `j` gives the value at `(q·j − ⌊(p − 1)/2⌋) / p` cells
    /// from tap `−first`, between the two taps beside it.
    Interpolation {
        /// Places to interpolate at.
        filters: usize,
        /// Cells that they lie between.
        taps: usize,
        /// Where tap 0 lies: 0 or −1.
        first: i64,
        /// Denominator of the places.
        p: usize,
        /// Step of their numerators.
        q: usize,
    },
}

/// Cell and share of the next one, in `p`-ths, at place `j` of an interpolation.
pub(crate) fn place(j: usize, p: usize, q: usize) -> (i128, i128) {
    let (p, q) = (p as i128, q as i128);
    // An extent is at most 2^63, so products of two stay below 2^127.
    let at = q * j as i128 - (p - 1) / 2;
    (at.div_euclid(p), at.rem_euclid(p))
}

impl Constant {
    /// Its shape.
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Self::Array(array) => array.shape().to_vec(),
            Self::One { axes } => vec![1; *axes],
            Self::Interpolation { filters, taps, .. } => vec![*filters, 1, *taps, 1],
        }
    }

    /// Its elements.
    pub fn array(&self) -> ArrayD<f64> {
        match *self {
            Self::Array(ref array) => array.clone(),
            Self::One { axes } => ArrayD::from_elem(vec![1; axes], 1.0),
            Self::Interpolation { filters, taps, first, p, q } => {
                let mut weights = Array2::zeros((filters, taps));
                for (j, mut row) in weights.outer_iter_mut().enumerate() {
                    let (cell, share) = place(j, p, q);
                    let tap = usize::try_from(cell - i128::from(first)).unwrap_or(usize::MAX);
                    let share = share as f64 / p as f64;
                    for (tap, weight) in [(tap, 1.0 - share), (tap.saturating_add(1), share)] {
                        if let Some(at) = row.get_mut(tap) {
                            *at = weight;
                        }
                    }
                }
                weights.insert_axis(ndarray::Axis(1)).insert_axis(ndarray::Axis(3)).into_dyn()
            }
        }
    }

    /// The largest magnitude in it.
    pub(super) fn largest(&self) -> f64 {
        match self {
            Self::Array(array) => array.iter().fold(0.0, |most, value| most.max(value.abs())),
            Self::One { .. } | Self::Interpolation { .. } => 1.0,
        }
    }
}
