//! The program `wgconv` as a process, and its reader and writer of `.npy` files.

mod bench;
mod classic;
mod commands;
mod common;
mod files;
mod filter;
#[path = "../src/interrupted.rs"]
#[allow(dead_code, reason = "the program alone watches signals")]
mod interrupted;
mod jobs;
mod memory;
#[path = "../src/npy/mod.rs"]
#[allow(dead_code, reason = "the program alone writes pictures by it")]
mod npy;
mod npy_read;
mod npy_write;
mod refusals;
