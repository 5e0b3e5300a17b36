//! What a test tells even if it passes.

use std::io::Write;

/// Prints a line past the test harness, which keeps the output of tests that pass to itself: what ran on
/// which adapter, and what was skipped, is to be seen in every run.
pub fn report(line: &str) {
    // Nobody is there to be told where standard error is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}
