//! What tests, `wgconv verify` and `wgconv bench` share: the convolutions that every algorithm must get right ([`cases`]), operands
//! for them ([`values`]), and the error that a result may have ([`Bound`], [`spectral`]).
//!
//! It follows the internals of [`wgconv`] and promises nothing to anybody else.

pub mod arrays;
pub mod benchdnn;
mod bound;
pub mod cases;
mod compare;
mod device;
mod known;
mod report;
pub mod spectral;
mod tally;
pub mod tier;
pub mod values;
mod wanted;

pub use bound::{Bound, keeps_integers, stored, stored_unit};
pub use cases::Case;
pub use compare::{exact, within, within_bound};
pub use device::{Turn, any_gpu, gpu_for, own_gpu};
pub use report::{be_strict, report};
pub use tally::Tally;
pub use tier::Tier;
pub use values::{Data, Singles, seed_of};
pub use wanted::{Wanted, agrees, exact_algorithms};

/// The shapes that `wgconv bench` times: 550 convolutions of published networks and benchmarks.
pub const BENCH_SHAPES: &str = include_str!("../data/bench_shapes.json");
