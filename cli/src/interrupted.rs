//! Signals: what a program that is ended by one leaves behind, and those that are errors and no end.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Temporary files that there are now.
static TEMPORARY: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A temporary file, removed when it is dropped or when a signal ends the program, unless it was [kept](Self::keep).
#[derive(Debug)]
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    /// Makes the file by `make` and looks after it.
    pub(crate) fn new<T>(
        path: PathBuf,
        make: impl FnOnce(&Path) -> std::io::Result<T>,
    ) -> std::io::Result<(Self, T)> {
        // With the list locked no signal comes between the two.
        let mut all = TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner);
        let made = make(&path)?;
        all.push(path.clone());
        Ok((Self(path), made))
    }

    /// Gives the file another name, under which it stays.
    pub(crate) fn keep(self, name: &Path) -> std::io::Result<()> {
        let mut all = TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner);
        std::fs::rename(&self.0, name)?;
        all.retain(|path| *path != self.0);
        drop(all);
        // There is no such file any more.
        std::mem::forget(self);
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let mut all = TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = std::fs::remove_file(&self.0) {
            log::warn!("cannot remove {}: {error}", self.0.display());
        }
        all.retain(|path| *path != self.0);
    }
}

/// From now on, signals that end the program remove its temporary files first, and a file that grows past its limit is an error
/// of writing.
#[cfg(unix)]
pub(crate) fn watch() {
    use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
    use signal_hook::iterator::Signals;
    use std::sync::Arc;

    let end = |signal| {
        // Held to the end: no file is made any more.
        let all = TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner);
        for path in all.iter() {
            let _ = std::fs::remove_file(path);
        }
        let _ = signal_hook::low_level::emulate_default_handler(signal);
        std::process::exit(128 + signal);
    };
    let watched = Signals::new([SIGINT, SIGTERM]).and_then(|mut signals| {
        let wait = move || signals.forever().for_each(end);
        std::thread::Builder::new().name("signals".into()).spawn(wait)
    });
    // Without a thread a signal ends the program as it does any other.
    if let Err(error) = watched {
        log::debug!("signals are not watched: {error}");
    }
    // Its default is to end the program; any handler makes it an error of the call that writes.
    if let Err(error) = signal_hook::flag::register(SIGXFSZ, Arc::default()) {
        log::debug!("SIGXFSZ is not caught: {error}");
    }
}

/// Where there are no such signals.
#[cfg(not(unix))]
pub(crate) fn watch() {}
