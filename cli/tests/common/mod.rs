//! What the tests of the command line share.

pub mod classic;
pub mod cli;
pub mod npy;
