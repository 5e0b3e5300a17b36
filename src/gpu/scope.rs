//! Error scopes and a one-shot future: what makes wgpu's creations and callbacks into results.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::{Gpu, GpuError, locked};

/// Runs `make` inside error scopes for every kind of error; what they catch becomes an error that
/// names `what`. The scopes open and close on this thread before anything is awaited.
pub(super) async fn scoped<T>(
    gpu: &Gpu,
    what: impl Fn() -> String,
    make: impl FnOnce() -> T,
) -> Result<T, GpuError> {
    gpu.check_alive()?;
    let device = &gpu.0.device;
    let caught = {
        let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
        let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let made = make();
        (made, validation.pop(), internal.pop(), memory.pop())
    };
    let (made, validation, internal, memory) = caught;
    let first = match (validation.await, internal.await, memory.await) {
        (Some(e), _, _) | (None, Some(e), _) | (None, None, Some(e)) => e,
        (None, None, None) => return Ok(made),
    };
    gpu.poll_own();
    gpu.check_alive()?;
    Err(match first {
        wgpu::Error::OutOfMemory { .. } => GpuError::OutOfMemory { what: what() },
        other => GpuError::Refused { what: what(), reason: other.to_string() },
    })
}

struct Slot<T> {
    value: Option<T>,
    waker: Option<Waker>,
    sender_gone: bool,
}

/// The sending half of [`oneshot`].
pub(super) struct Sender<T>(Arc<Mutex<Slot<T>>>);

/// The receiving half of [`oneshot`]: `None` if the sender was dropped unused.
pub(super) struct Receiver<T>(Arc<Mutex<Slot<T>>>);

/// A value to come from a callback.
pub(super) fn oneshot<T>() -> (Sender<T>, Receiver<T>) {
    let slot = Arc::new(Mutex::new(Slot { value: None, waker: None, sender_gone: false }));
    (Sender(Arc::clone(&slot)), Receiver(slot))
}

impl<T> Sender<T> {
    pub(super) fn send(self, value: T) {
        locked(&self.0).value = Some(value);
        // Dropping `self` wakes the receiver.
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let waker = {
            let mut slot = locked(&self.0);
            slot.sender_gone = true;
            slot.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for Receiver<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut slot = locked(&self.0);
        if slot.value.is_some() || slot.sender_gone {
            return Poll::Ready(slot.value.take());
        }
        slot.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
