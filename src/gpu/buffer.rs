//! Buffers: a pool that keeps them for the next call, and tensors that live on the device.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytemuck::Pod;
use ndarray::{ArrayD, ArrayViewD};

use super::scope::oneshot;
use super::{Gpu, GpuError, Waiting, locked, pack, scoped};
use crate::problem::{Element, TensorLayout, to_usize};

/// What a pooled buffer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Use {
    /// Operands and results.
    Device,
    /// Host to device; lies in the pool mapped for writing.
    Upload,
    /// Device to host.
    Readback,
}

impl Use {
    fn usages(self) -> wgpu::BufferUsages {
        use wgpu::BufferUsages as U;
        match self {
            Self::Device => U::STORAGE | U::COPY_SRC | U::COPY_DST,
            Self::Upload => U::MAP_WRITE | U::COPY_SRC,
            Self::Readback => U::MAP_READ | U::COPY_DST,
        }
    }
}

/// Idle bytes kept per use; a buffer that would exceed them is freed instead.
const KEPT_BYTES: u64 = 512 << 20;

type PoolKey = (Use, u64);

#[derive(Default)]
struct Shelves {
    made: u64,
    idle: HashMap<PoolKey, Vec<wgpu::Buffer>>,
    idle_bytes: HashMap<Use, u64>,
}

/// Idle buffers by use and size. A buffer comes back when its last owner drops it: later work on the
/// queue runs after the work that still reads it.
#[derive(Clone, Default)]
pub(super) struct Pool(Arc<Mutex<Shelves>>);

impl Pool {
    fn take(&self, key: PoolKey) -> Option<wgpu::Buffer> {
        let mut shelves = locked(&self.0);
        let buffer = shelves.idle.get_mut(&key)?.pop()?;
        *shelves.idle_bytes.entry(key.0).or_default() -= key.1;
        Some(buffer)
    }

    fn put(&self, key: PoolKey, buffer: wgpu::Buffer) {
        let mut shelves = locked(&self.0);
        let bytes = shelves.idle_bytes.entry(key.0).or_default();
        if *bytes + key.1 <= KEPT_BYTES {
            *bytes += key.1;
            shelves.idle.entry(key).or_default().push(buffer);
        }
    }
}

/// A buffer of the pool, returned to it on drop.
pub(super) struct Pooled {
    buffer: wgpu::Buffer,
    key: PoolKey,
    pool: Pool,
}

impl Drop for Pooled {
    fn drop(&mut self) {
        self.pool.put(self.key, self.buffer.clone());
    }
}

/// The size that a request for `bytes` gets: steps of an eighth of its power of two, so that near
/// sizes share buffers at a waste of an eighth at most.
fn size_class(bytes: u64, limit: u64) -> u64 {
    let bytes = bytes.max(256);
    let step = (bytes.next_power_of_two() / 16).max(256);
    bytes.next_multiple_of(step).min(limit).max(bytes)
}

impl Gpu {
    /// How many buffers the pool has made so far; it stands still while idle ones are reused.
    pub fn buffers_made(&self) -> u64 {
        locked(&self.0.pool.0).made
    }

    async fn raw_buffer(&self, purpose: Use, size: u64) -> Result<wgpu::Buffer, GpuError> {
        let descriptor = wgpu::BufferDescriptor {
            label: Some("wgconv"),
            size,
            usage: purpose.usages(),
            mapped_at_creation: purpose == Use::Upload,
        };
        let what = || format!("a {purpose:?} buffer of {size} bytes");
        scoped(self, what, || self.0.device.create_buffer(&descriptor)).await
    }

    async fn pooled(&self, purpose: Use, bytes: u64) -> Result<(wgpu::Buffer, PoolKey), GpuError> {
        let limit = self.0.target.limits.max_buffer_bytes;
        if bytes > limit {
            return Err(GpuError::TooLarge { what: format!("a {purpose:?} buffer"), bytes, limit });
        }
        let key = (purpose, size_class(bytes, limit));
        let buffer = match self.0.pool.take(key) {
            Some(buffer) => buffer,
            None => {
                let made = self.raw_buffer(purpose, key.1).await?;
                locked(&self.0.pool.0).made += 1;
                made
            }
        };
        Ok((buffer, key))
    }

    /// A buffer that never changes: a table or a uniform block.
    pub(super) async fn constant(
        &self,
        what: &'static str,
        usage: wgpu::BufferUsages,
        contents: &[u8],
    ) -> Result<wgpu::Buffer, GpuError> {
        let size = (contents.len() as u64).next_multiple_of(16);
        let descriptor = wgpu::BufferDescriptor { label: Some(what), size, usage, mapped_at_creation: true };
        let buffer = scoped(self, || what.to_owned(), || self.0.device.create_buffer(&descriptor)).await?;
        self.write_mapped(&buffer, contents)?;
        Ok(buffer)
    }

    /// A tensor with unspecified contents.
    pub(crate) async fn tensor(
        &self,
        layout: &TensorLayout,
        element: Element,
    ) -> Result<GpuTensor, GpuError> {
        let bytes = tensor_bytes(layout, element);
        let (buffer, key) = self.pooled(Use::Device, bytes).await?;
        let buffer = Arc::new(Pooled { buffer, key, pool: self.0.pool.clone() });
        Ok(GpuTensor { gpu: self.clone(), layout: layout.clone(), element, buffer })
    }

    /// `view` on the device in `layout`, whatever strides it has on the host.
    ///
    /// # Errors
    ///
    /// [`GpuError::LossyLayout`], [`GpuError::TooLarge`], [`GpuError::OutOfMemory`].
    pub(crate) async fn upload<T: Pod + PartialEq>(
        &self,
        role: &'static str,
        view: ArrayViewD<'_, T>,
        layout: &TensorLayout,
        element: Element,
    ) -> Result<GpuTensor, GpuError> {
        let (bytes, limit) = (tensor_bytes(layout, element), self.0.target.limits.max_buffer_bytes);
        if bytes > limit {
            return Err(GpuError::TooLarge { what: format!("the {role}"), bytes, limit });
        }
        let elements = pack::pack(role, view, layout)?;
        let tensor = self.tensor(layout, element).await?;
        let bytes: &[u8] = bytemuck::cast_slice(&elements);
        if bytes.is_empty() {
            return Ok(tensor);
        }
        let whole = (bytes.len() as u64).next_multiple_of(4);
        let (staging, key) = self.pooled(Use::Upload, whole).await?;
        self.write_mapped(&staging, bytes)?;
        let submit = || {
            let mut encoder = self.0.device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(&staging, 0, tensor.buffer(), 0, whole);
            self.0.queue.submit([encoder.finish()]);
        };
        scoped(self, || format!("uploading the {role}"), submit).await?;
        // Once the copy is done the buffer can be mapped again: only then does it go back to the pool.
        let (pool, returning) = (self.0.pool.clone(), staging.clone());
        staging.map_async(wgpu::MapMode::Write, .., move |mapped| {
            if mapped.is_ok() {
                pool.put(key, returning);
            }
        });
        Ok(tensor)
    }
}

/// Bytes of a tensor's buffer: whole words, and never nothing.
fn tensor_bytes(layout: &TensorLayout, element: Element) -> u64 {
    layout.span.saturating_mul(element.bytes()).max(16).div_ceil(4).saturating_mul(4)
}

impl Gpu {
    fn write_mapped(&self, buffer: &wgpu::Buffer, contents: &[u8]) -> Result<(), GpuError> {
        if !contents.is_empty() {
            // Mapped ranges are whole words; an odd number of f16 elements ends half-way through one.
            let (words, rest) = contents.split_at(contents.len() / 4 * 4);
            let range = buffer.slice(..(contents.len() as u64).next_multiple_of(4));
            match range.get_mapped_range_mut() {
                Ok(mut mapped) => {
                    let mut last = [0; 4];
                    last[..rest.len()].copy_from_slice(rest);
                    mapped.slice(..words.len()).copy_from_slice(words);
                    if !rest.is_empty() {
                        mapped.slice(words.len()..).copy_from_slice(&last);
                    }
                }
                Err(e) => {
                    let (what, reason) = ("writing a mapped buffer".to_owned(), e.to_string());
                    self.poll_own();
                    return self.check_alive().and(Err(GpuError::Refused { what, reason }));
                }
            }
        }
        buffer.unmap();
        Ok(())
    }
}

/// A tensor in a buffer of the device. Cloning shares it; the buffer goes back to the device's pool
/// with the last clone.
#[derive(Clone)]
pub struct GpuTensor {
    gpu: Gpu,
    layout: TensorLayout,
    element: Element,
    buffer: Arc<Pooled>,
}

impl std::fmt::Debug for GpuTensor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { layout, element, .. } = self;
        f.debug_struct("GpuTensor").field("layout", layout).field("element", element).finish()
    }
}

impl GpuTensor {
    /// Its extents and strides.
    pub fn layout(&self) -> &TensorLayout {
        &self.layout
    }

    /// Storage of its elements.
    pub fn element(&self) -> Element {
        self.element
    }

    /// The wgpu buffer it fills from offset 0 on.
    pub fn buffer(&self) -> &wgpu::Buffer {
        &self.buffer.buffer
    }

    /// The device it is on.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Its elements on the host. `T` must be the type that [`Self::element`] names.
    pub(crate) async fn download<T: Pod>(
        &self,
        timeout: Duration,
        waiting: Waiting,
    ) -> Result<ArrayD<T>, GpuError> {
        let count = to_usize(self.layout.span);
        let bytes = (count * size_of::<T>()) as u64;
        if bytes == 0 {
            return pack::unpack(Vec::new(), &self.layout);
        }
        let whole = bytes.next_multiple_of(4);
        let (buffer, key) = self.gpu.pooled(Use::Readback, whole).await?;
        let copied = self.gpu.read_back(&buffer, self.buffer(), whole, timeout, waiting, |mapped| {
            let mut elements = pack::with_room("result", count)?;
            elements.resize(count, T::zeroed());
            bytemuck::cast_slice_mut(&mut elements).copy_from_slice(&mapped[..count * size_of::<T>()]);
            Ok(elements)
        });
        let elements: Result<Vec<T>, GpuError> = copied.await?;
        self.gpu.0.pool.put(key, buffer);
        pack::unpack(elements?, &self.layout)
    }
}

impl Gpu {
    /// Copies `bytes` of `from` into the mappable `to`, waits, and hands the mapped bytes to `read`.
    pub(super) async fn read_back<R>(
        &self,
        to: &wgpu::Buffer,
        from: &wgpu::Buffer,
        bytes: u64,
        timeout: Duration,
        waiting: Waiting,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, GpuError> {
        let submit = || {
            let mut encoder = self.0.device.create_command_encoder(&Default::default());
            encoder.copy_buffer_to_buffer(from, 0, to, 0, bytes);
            self.0.queue.submit([encoder.finish()])
        };
        let submission = scoped(self, || "reading back".to_owned(), submit).await?;
        let (sender, receiver) = oneshot();
        to.map_async(wgpu::MapMode::Read, ..bytes, move |mapped| sender.send(mapped));
        self.wait(submission, timeout, waiting)?;
        let refused = |reason: String| GpuError::Refused { what: "mapping a buffer".into(), reason };
        match receiver.await {
            Some(Ok(())) => {}
            Some(Err(e)) => return self.check_alive().and(Err(refused(e.to_string()))),
            None => return self.check_alive().and(Err(refused("its callback was dropped".into()))),
        }
        let out = read(&to.slice(..bytes).get_mapped_range().map_err(|e| refused(e.to_string()))?);
        to.unmap();
        Ok(out)
    }
}
