//! What the modules share and nobody else needs.

pub mod cpu;
#[cfg(feature = "gpu")]
pub mod device;
#[cfg(feature = "gpu")]
pub mod indices;
pub mod models;
pub mod operation;
pub mod plans;
pub mod shapes;
pub mod space;
#[cfg(feature = "gpu")]
pub mod usual;
#[cfg(feature = "gpu")]
pub mod watched;
