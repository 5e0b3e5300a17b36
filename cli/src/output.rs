//! Lines to standard output and standard error, and the progress bar.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use wgconv::ErrorKind;

use crate::failure::Failure;

/// `text` on one line that a terminal shows and does not obey: whatever is not to be seen as it is, such as a newline, an escape
/// or a character that changes the direction of writing, as [`str::escape_debug`] writes it. Names of files may hold anything.
pub(crate) fn shown(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) { shown.extend(c.escape_debug()) } else { shown.push(c) }
    }
    shown
}

/// Prints a line, or several, and flushes. A closed pipe is a failure and no panic.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|e| Failure::new(ErrorKind::Io, format!("cannot write to standard output: {e}")))
}

/// Prints a line to standard error; where that is closed, there is nobody to tell.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// A bar on standard error if that is a terminal, of `len` steps where that is known.
pub(crate) fn progress(len: Option<u64>, what: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match len {
        Some(len) => (ProgressBar::new(len), "{bar:30} {pos}/{len} {msg} {elapsed}"),
        None => (ProgressBar::new_spinner(), "{spinner} {pos} {msg} {elapsed}"),
    };
    bar.enable_steady_tick(Duration::from_millis(200));
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style).with_message(what.to_owned())
}
