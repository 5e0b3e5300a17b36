//! `.npy` files in memory.

use std::path::Path;

use crate::npy::{self, Limits, NpyArray, NpyElement, NpyError};
use ndarray::{ArrayView, Dimension};

/// A file of version `major`.0 around a header text and data.
pub fn file(major: u8, text: &str, data: &[u8]) -> Vec<u8> {
    let len = u32::try_from(text.len()).unwrap().to_le_bytes();
    let len = if major == 1 { &len[..2] } else { &len[..] };
    [b"\x93NUMPY", &[major, 0][..], len, text.as_bytes(), data].concat()
}

pub fn header(descr: &str, fortran: bool, shape: &str) -> String {
    let order = if fortran { "True" } else { "False" };
    format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}   \n")
}

pub fn read(bytes: &[u8]) -> Result<NpyArray, NpyError> {
    npy::read_from(bytes, bytes.len() as u64, &Limits::default())
}

pub fn written<T: NpyElement, D: Dimension>(array: ArrayView<'_, T, D>) -> Vec<u8> {
    let mut bytes = Vec::new();
    npy::write_to(&mut bytes, array).unwrap();
    bytes
}

/// Names of everything in a directory.
pub fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
