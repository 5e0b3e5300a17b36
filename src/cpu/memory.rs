//! Memory of a run: asked for before it is used, so that there being none is an error and no abort.

use std::sync::{Condvar, Mutex, PoisonError};

use bytemuck::Zeroable;

/// There is no memory for `what`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no memory for {what}: {bytes} bytes")]
pub struct OutOfMemory {
    /// What it was for.
    pub what: &'static str,
    /// So many were wanted.
    pub bytes: u64,
}

impl OutOfMemory {
    pub(super) fn new<T>(what: &'static str, len: usize) -> Self {
        Self { what, bytes: (len as u64).saturating_mul(size_of::<T>() as u64) }
    }
}

/// So many zeros.
pub(super) fn zeros<T: Zeroable>(what: &'static str, len: usize) -> Result<Vec<T>, OutOfMemory> {
    bytemuck::allocation::try_zeroed_vec(len).map_err(|()| OutOfMemory::new::<T>(what, len))
}

/// Room for so many.
pub(super) fn room<T>(what: &'static str, len: usize) -> Result<Vec<T>, OutOfMemory> {
    let mut values = Vec::new();
    values.try_reserve_exact(len).map_err(|_| OutOfMemory::new::<T>(what, len))?;
    Ok(values)
}

/// So many of `value`.
pub(super) fn filled<T: Clone>(what: &'static str, len: usize, value: T) -> Result<Vec<T>, OutOfMemory> {
    let mut values = room(what, len)?;
    values.resize(len, value);
    Ok(values)
}

/// A scratch for every thread that is at it.
#[derive(Debug)]
pub(super) struct ScratchPool<S> {
    idle: Mutex<Vec<S>>,
    returned: Condvar,
}

impl<S> ScratchPool<S> {
    /// One for each thread, but no more than there are tasks.
    pub(super) fn new(
        tasks: usize,
        scratch: impl Fn() -> Result<S, OutOfMemory>,
    ) -> Result<Self, OutOfMemory> {
        let idle = (0..threads(tasks)).map(|_| scratch()).collect::<Result<_, _>>()?;
        Ok(Self { idle: Mutex::new(idle), returned: Condvar::new() })
    }

    /// Runs a task that starts no others, with a scratch: if none is idle, the next to come back.
    pub(super) fn with(&self, task: impl FnOnce(&mut S)) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let scratch = loop {
            match idle.pop() {
                Some(scratch) => break scratch,
                None => idle = self.returned.wait(idle).unwrap_or_else(PoisonError::into_inner),
            }
        };
        drop(idle);
        let mut taken = Taken { pool: self, scratch: Some(scratch) };
        if let Some(scratch) = &mut taken.scratch {
            task(scratch);
        }
    }
}

/// Comes back whatever the task does.
struct Taken<'p, S> {
    pool: &'p ScratchPool<S>,
    scratch: Option<S>,
}

impl<S> Drop for Taken<'_, S> {
    fn drop(&mut self) {
        self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(self.scratch.take());
        self.pool.returned.notify_one();
    }
}

/// How many threads are busy with so many tasks.
pub(super) fn threads(tasks: usize) -> usize {
    rayon::current_num_threads().min(tasks).max(1)
}
