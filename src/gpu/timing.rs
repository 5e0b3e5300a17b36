//! Time on the device's own clock, where it has one.

use std::time::Duration;

use super::{Gpu, GpuError, Waiting, scoped};

/// Two timestamps around a compute pass.
pub(super) struct Stopwatch {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    readable: wgpu::Buffer,
}

/// Two 64-bit ticks.
const BYTES: u64 = 16;

impl Stopwatch {
    /// `None` on a device without timestamps.
    pub(super) async fn new(gpu: &Gpu) -> Result<Option<Self>, GpuError> {
        if !gpu.target().features.timestamps {
            return Ok(None);
        }
        let device = gpu.device();
        let buffer = |usage| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("timestamps"),
                size: BYTES,
                usage,
                mapped_at_creation: false,
            })
        };
        let make = || Self {
            queries: device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("timestamps"),
                ty: wgpu::QueryType::Timestamp,
                count: 2,
            }),
            resolved: buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC),
            readable: buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST),
        };
        scoped(gpu, || "timestamps".to_owned(), make).await.map(Some)
    }

    /// To be given to the pass that is timed.
    pub(super) fn writes(&self) -> wgpu::ComputePassTimestampWrites<'_> {
        wgpu::ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(0),
            end_of_pass_write_index: Some(1),
        }
    }

    /// To be recorded after that pass.
    pub(super) fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.resolve_query_set(&self.queries, 0..2, &self.resolved, 0);
    }

    /// The time between the two, once their submission is made.
    pub(super) async fn read(
        &self,
        gpu: &Gpu,
        timeout: Duration,
        waiting: Waiting,
    ) -> Result<Duration, GpuError> {
        let ticks = |bytes: &[u8]| bytemuck::pod_read_unaligned::<[u64; 2]>(bytes);
        let [begin, end] =
            gpu.read_back(&self.readable, &self.resolved, BYTES, timeout, waiting, ticks).await?;
        let nanoseconds = end.saturating_sub(begin) as f64 * f64::from(gpu.queue().get_timestamp_period());
        Ok(Duration::from_secs_f64(nanoseconds.max(0.0) * 1e-9))
    }
}
