//! How blocking calls and futures wait, with a GPU in the build or without.

use std::future::Future;
use std::pin::Pin;

#[cfg(feature = "gpu")]
use crate::gpu::Waiting;

/// Who drives a wait; nothing to choose without a GPU.
#[cfg(feature = "gpu")]
pub(super) type Wait = Waiting;
#[cfg(not(feature = "gpu"))]
pub(super) type Wait = ();

/// Runs a future to its end on this thread.
#[cfg(all(feature = "gpu", not(target_arch = "wasm32")))]
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}

/// Runs a future to its end on this thread: without a GPU none of ours ever waits.
#[cfg(all(not(feature = "gpu"), not(target_arch = "wasm32")))]
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut future = std::pin::pin!(future);
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

/// A future in a box. What it does is compiled once, in this crate; an `async fn` is compiled anew in every crate that awaits it.
#[cfg(not(target_arch = "wasm32"))]
pub(super) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
/// A future in a box.
#[cfg(target_arch = "wasm32")]
pub(super) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// How the blocking calls wait.
#[cfg(feature = "gpu")]
pub(super) const BLOCKING: Wait = Waiting::Blocking;
#[cfg(not(feature = "gpu"))]
pub(super) const BLOCKING: Wait = ();
/// How the futures wait.
#[cfg(feature = "gpu")]
pub(super) const ASYNC: Wait = Waiting::Async;
#[cfg(not(feature = "gpu"))]
pub(super) const ASYNC: Wait = ();
