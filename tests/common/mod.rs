//! What the test binaries share: the table of problems, values for them, and how results are compared.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod benchdnn;
pub mod cases;
#[cfg(feature = "cli")]
pub mod classic;
#[cfg(feature = "cli")]
pub mod cli;
pub mod compare;
pub mod cpu;
#[cfg(feature = "gpu")]
pub mod device;
pub mod extent;
#[cfg(feature = "gpu")]
pub mod indices;
pub mod npy;
pub mod operation;
pub mod report;
pub mod space;
pub mod spectral;
pub mod values;
pub mod wanted;
#[cfg(feature = "gpu")]
pub mod watched;
