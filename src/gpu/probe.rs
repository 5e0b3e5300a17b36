//! What a device does at most: two kernels that do one thing each.

use std::time::{Duration, Instant};

use super::encode::{Bound, record_pass};
use super::plan::stages;
use super::timing::Stopwatch;
use super::{Gpu, GpuError, GpuTensor, Waiting, scoped};
use crate::kernel::{Kernel, PROBE_WORKGROUP, Params, ProbeParams, probe_spec};
use crate::planner::PlanOptions;
use crate::problem::{Element, TensorLayout};
use crate::program::{Binding, Buffer, Grid, Launch};
use crate::target::{Limits, Peaks};

/// Work grows until a run takes this long: beside it, what a launch costs counts little.
const LONG: Duration = Duration::from_millis(10);
/// A device that has rested needs some runs to come up to its clock. The fastest counts.
const RUNS: u32 = 20;
/// After this long so many runs are enough.
const SLOW: (Duration, u32) = (Duration::from_millis(200), 3);

/// Invocations of the multiply-adds: at first, and at most. Some dozen waves of any GPU, so that a last one that is not
/// full counts little.
const INVOCATIONS: (u64, u64) = (1 << 10, 1 << 24);
/// Turns of an invocation, of 512 operations each. Far below the 65,535 iterations that llvmpipe allows.
const TURNS: u32 = 256;
const STEPS_PER_TURN: u32 = 8;
const OPERATIONS_PER_TURN: f64 = 512.0;
/// First `a` and `b`, and the factor of a step: eight radians in all.
const START: [f32; 3] = [1.0, 0.0, 1.0 / 256.0];
/// 32 numbers of about 1, after 4096 roundings each of them.
const TOLERANCE: f64 = 0.02;

/// Words of the copy: at first, and at most (256 MiB, past the caches of all but a few devices).
const WORDS: (u64, u64) = (1 << 20, 1 << 26);
/// Vectors of four words that an invocation copies.
const VECTORS: u32 = 4;
/// Copies in one pass, at most.
const COPIES: usize = 64;

/// A launch of `words` results by `invocations`, of which each does `count` turns or copies.
fn launch(kernel: Kernel, invocations: u64, count: u32, words: u64, limits: &Limits) -> Option<Launch> {
    let whole = |buffer| Binding { buffer, offset: 0, size: words * 4 };
    let bindings = match kernel {
        Kernel::ProbeCopy => vec![whole(Buffer::Input), whole(Buffer::Result)],
        _ => vec![whole(Buffer::Result)],
    };
    let [a, b, m] = START;
    let counts = [u32::try_from(invocations).ok()?, count, 0, 0];
    Some(Launch {
        kernel,
        spec: probe_spec(),
        params: Params::Probe(ProbeParams { counts, start: [a, b, m, 0.0] }),
        bindings,
        grid: Grid::linear(invocations, PROBE_WORKGROUP, limits)?,
    })
}

/// What every invocation of the multiply-adds must come to.
fn expected() -> f64 {
    let [mut a, mut b, m] = START.map(f64::from);
    for _ in 0..TURNS * STEPS_PER_TURN {
        a += m * b;
        b -= m * a;
    }
    16.0 * (a + b)
}

impl Gpu {
    /// Measures both peaks.
    pub(crate) async fn peaks(&self, waiting: Waiting) -> Result<Peaks, GpuError> {
        let (flops, least) = self.fma_flops(waiting).await?;
        Ok(Peaks {
            fma_flops: Some(flops),
            copy_bytes_per_second: Some(self.copied_per_second(waiting).await?),
            least: Some(least),
            device_clock: self.target().features.timestamps,
        })
    }

    /// Operations a second, and the time of a launch without any.
    async fn fma_flops(&self, waiting: Waiting) -> Result<(f64, Duration), GpuError> {
        let most = INVOCATIONS.1.min(self.binding_words());
        let run =
            |invocations, turns| ProbeRun::new(self, Kernel::ProbeFma, invocations, turns, invocations, None);
        let least = run(1, 0).await?.best(waiting).await?;
        let mut invocations = INVOCATIONS.0;
        let mut one = run(invocations, TURNS).await?;
        while one.once(waiting).await? < LONG && invocations < most {
            invocations = (invocations * 4).min(most);
            one = run(invocations, TURNS).await?;
        }
        let best = one.best(waiting).await?;
        let wanted = expected();
        for (index, got) in one.result::<f32>(waiting).await?.into_iter().enumerate() {
            let off = (f64::from(got) - wanted).abs();
            if off.is_nan() || off > TOLERANCE {
                return Err(self.wrong(index, got, wanted));
            }
        }
        let operations = invocations as f64 * f64::from(TURNS) * OPERATIONS_PER_TURN;
        Ok((operations / best.as_secs_f64().max(1e-9), least))
    }

    /// Bytes a second, read and written.
    async fn copied_per_second(&self, waiting: Waiting) -> Result<f64, GpuError> {
        let per_invocation = u64::from(VECTORS) * 4;
        let most = WORDS.1.min(self.binding_words() / per_invocation * per_invocation);
        let mut words = WORDS.0.min(most);
        let (mut from, mut copies) = (self.pattern(words).await?, 1);
        let run = |words: u64, from: &GpuTensor| {
            ProbeRun::new(self, Kernel::ProbeCopy, words / per_invocation, VECTORS, words, Some(from.clone()))
        };
        let mut one = run(words, &from).await?;
        while one.once(waiting).await? < LONG && copies < COPIES {
            if words < most {
                words = (words * 4).min(most);
                from = self.pattern(words).await?;
                one = run(words, &from).await?;
            } else {
                copies *= 2;
                one.repeat(copies);
            }
        }
        let best = one.best(waiting).await?;
        let wanted = from.download::<u32>(PlanOptions::default().timeout, waiting).await?;
        let got = one.result::<u32>(waiting).await?;
        if let Some(index) = wanted.iter().zip(&got).position(|(wanted, got)| wanted != got) {
            let number = |word: u32| f64::from(word);
            // Both are of one axis.
            let (got, wanted) = (got[index], wanted[index]);
            #[allow(clippy::cast_possible_truncation, reason = "told to a person")]
            return Err(self.wrong(index, number(got) as f32, number(wanted)));
        }
        Ok(8.0 * words as f64 * copies as f64 / best.as_secs_f64().max(1e-9))
    }

    /// Words of the largest binding.
    fn binding_words(&self) -> u64 {
        let limits = &self.target().limits;
        limits.max_binding_bytes.min(limits.max_buffer_bytes) / 4
    }

    /// Words that no hardware packs into fewer.
    async fn pattern(&self, words: u64) -> Result<GpuTensor, GpuError> {
        let layout = line(words);
        let mut state = 1u32;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state
        };
        let array = ndarray::ArrayD::from_shape_simple_fn(layout.shape(), next);
        self.upload("probe", array.view(), &layout, Element::F32).await
    }

    #[allow(clippy::cast_possible_truncation, reason = "told to a person")]
    fn wrong(&self, index: usize, got: f32, wanted: f64) -> GpuError {
        let (adapter, driver) = (self.report().name.clone(), self.report().driver.clone());
        GpuError::SelfTestFailed { adapter, driver, index, got, wanted: wanted as f32 }
    }
}

/// A tensor of one axis.
fn line(words: u64) -> TensorLayout {
    TensorLayout { extents: vec![words], strides: vec![1], span: words, first: 0 }
}

/// A launch with its buffers, ready to be timed.
struct ProbeRun<'a> {
    gpu: &'a Gpu,
    launches: Vec<Launch>,
    stages: Vec<super::plan::Stage>,
    from: Option<GpuTensor>,
    result: GpuTensor,
}

impl<'a> ProbeRun<'a> {
    async fn new(
        gpu: &'a Gpu,
        kernel: Kernel,
        invocations: u64,
        count: u32,
        words: u64,
        from: Option<GpuTensor>,
    ) -> Result<Self, GpuError> {
        let launch = launch(kernel, invocations, count, words, &gpu.target().limits);
        let Some(launch) = launch else {
            let reason = format!("{invocations} invocations do not fit the device's grid");
            return Err(GpuError::Refused { what: "a probe".into(), reason });
        };
        let launches = vec![launch];
        let stages = stages(gpu, &launches, &PlanOptions::default()).await?;
        let result = gpu.tensor(&line(words), Element::F32).await?;
        Ok(Self { gpu, launches, stages, from, result })
    }

    /// The same launch so many times in one pass.
    fn repeat(&mut self, count: usize) {
        self.launches = vec![self.launches[0].clone(); count];
        self.stages = vec![self.stages[0].clone(); count];
    }

    /// The time of one pass: on the device's clock, or else on the host's until the device is done.
    async fn once(&self, waiting: Waiting) -> Result<Duration, GpuError> {
        let gpu = self.gpu;
        let timeout = PlanOptions::default().timeout;
        let bound: Vec<Bound<'_>> = self.launches.iter().map(|launch| self.bound(launch)).collect();
        let stopwatch = Stopwatch::new(gpu).await?;
        let create = || gpu.device().create_command_encoder(&Default::default());
        let mut encoder = scoped(gpu, || "a command encoder".to_owned(), create).await?;
        let writes = stopwatch.as_ref().map(Stopwatch::writes);
        record_pass(gpu, "probe", &mut encoder, &self.launches, &self.stages, &bound, writes).await?;
        if let Some(stopwatch) = &stopwatch {
            stopwatch.resolve(&mut encoder);
        }
        let start = Instant::now();
        let submit = || gpu.queue().submit([encoder.finish()]);
        let submission = scoped(gpu, || "a probe".to_owned(), submit).await?;
        match stopwatch {
            Some(stopwatch) => stopwatch.read(gpu, timeout, waiting).await,
            None => gpu.wait(submission, timeout, waiting).map(|()| start.elapsed()),
        }
    }

    fn bound(&self, launch: &Launch) -> Bound<'_> {
        let of = |binding: &Binding| {
            let from = self.from.as_ref().filter(|_| binding.buffer == Buffer::Input);
            (from.unwrap_or(&self.result).buffer(), binding.offset, binding.size)
        };
        launch.bindings.iter().map(of).collect()
    }

    /// The fastest of several.
    async fn best(&self, waiting: Waiting) -> Result<Duration, GpuError> {
        let (start, mut best) = (Instant::now(), Duration::MAX);
        for run in 0..RUNS {
            if run >= SLOW.1 && start.elapsed() > SLOW.0 {
                break;
            }
            best = best.min(self.once(waiting).await?);
        }
        Ok(best)
    }

    async fn result<T: bytemuck::Pod>(&self, waiting: Waiting) -> Result<Vec<T>, GpuError> {
        let array = self.result.download::<T>(PlanOptions::default().timeout, waiting).await?;
        Ok(array.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_fit_every_device() {
        let limits = Limits::default();
        for (kernel, words) in [(Kernel::ProbeFma, INVOCATIONS.1), (Kernel::ProbeCopy, WORDS.1 / 2)] {
            let invocations = if kernel == Kernel::ProbeFma { words } else { words / u64::from(VECTORS) / 4 };
            let launch = launch(kernel, invocations, 1, words, &limits).expect("a grid");
            assert!(launch.bindings.iter().all(|b| b.size <= limits.max_binding_bytes), "{launch:?}");
            let [x, y, z] = launch.grid.0;
            assert!(u64::from(x) * u64::from(y) * u64::from(z) * u64::from(PROBE_WORKGROUP) >= invocations);
            assert_eq!(kernel.specs(), [launch.spec]);
        }
    }

    #[test]
    fn a_loop_that_is_left_out_or_cut_is_seen() {
        let [a, b, _] = START.map(f64::from);
        assert!((expected() - 16.0 * (a + b)).abs() > 100.0 * TOLERANCE);
        // One turn less.
        let [mut a, mut b, m] = START.map(f64::from);
        for _ in 0..(TURNS - 1) * STEPS_PER_TURN {
            a += m * b;
            b -= m * a;
        }
        assert!((expected() - 16.0 * (a + b)).abs() > 3.0 * TOLERANCE);
    }
}
