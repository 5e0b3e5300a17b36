//! What a test tells even if it passes.

use std::io::Write;

/// Prints a line past the test harness, which keeps the output of tests that pass to itself: what ran on
/// which adapter, and what was skipped, is to be seen in every run.
pub fn report(line: &str) {
    // Nobody is there to be told where standard error is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Fails the test binary at the first message of a Vulkan validation layer, which `WGPU_VALIDATION=1` loads and
/// `WGPU_DEBUG=1` lets speak.
struct Strict;

/// Debian 12's layer is older than the number by which SPIR-V names WGSL as the source of a shader.
const KNOWN: &str = "Invalid source language operand: 10";

impl log::Log for Strict {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        let text = record.args().to_string();
        if text.contains("VALIDATION") && !text.contains(KNOWN) {
            report(&format!("the validation layer says: {text}"));
            // Messages come on any thread, where a panic might be caught or lost.
            std::process::exit(101);
        }
    }

    fn flush(&self) {}
}

/// From here on no validation message passes in silence.
pub fn be_strict() {
    if log::set_logger(&Strict).is_ok() {
        log::set_max_level(log::LevelFilter::Warn);
    }
}
