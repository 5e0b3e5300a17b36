//! A problem planned on a device.

use std::sync::Arc;
#[cfg(feature = "gpu")]
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

#[cfg(not(target_arch = "wasm32"))]
use super::measure;
use super::{Backend, Device, PerBackend};
use crate::algorithm_name::Algorithm;
use crate::cpu::{self, CPU, CpuPlan};
use crate::error::Error;
use crate::planner::{Choice, Considered, Declined, PlanOptions, choose, explain_considered};
#[cfg(feature = "gpu")]
use crate::planner::{Fallback, Planner};
use crate::problem::ConvProblem;
use crate::target::Target;

#[cfg(feature = "gpu")]
use crate::gpu::GpuPlan;

/// A problem planned on a device: which algorithm runs it, with everything built that it needs.
/// `Send + Sync`; cloning shares it.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) runner: Backend<PlanKind>,
    /// Why the GPU that was asked declined, where the CPU path took over.
    fallback: Option<Arc<Declined>>,
    considered: OnCpu,
    device: String,
    pub(super) measured: Vec<(Algorithm, Duration)>,
    /// Longest wait for the device.
    pub(super) timeout: Duration,
    /// [`PlanOptions::check_finite`]
    pub(super) check_finite: bool,
}

/// What runs a plan.
pub(super) struct PlanKind;

impl PerBackend for PlanKind {
    #[cfg(feature = "gpu")]
    type Gpu = GpuPlan;
    type Cpu = Arc<CpuPlan>;
}

/// What was considered on the CPU; `None`: the plan is of a GPU, whose choice holds it.
type OnCpu = Option<Arc<[Considered]>>;

impl Plan {
    pub(super) async fn new(
        device: &Device,
        problem: &ConvProblem,
        options: &PlanOptions,
    ) -> Result<Self, Error> {
        #[cfg(not(target_arch = "wasm32"))]
        let plan = if options.measure && options.algorithm.is_none() {
            measure::fastest(device, problem, options).await?
        } else {
            Self::choose(device, problem, options).await?
        };
        #[cfg(target_arch = "wasm32")]
        let plan = Self::choose(device, problem, options).await?;
        log::debug!("planned {}", plan.explain().trim_end());
        Ok(plan)
    }

    /// Without measuring anything.
    pub(super) async fn choose(
        device: &Device,
        problem: &ConvProblem,
        options: &PlanOptions,
    ) -> Result<Self, Error> {
        let plan = |runner, considered: OnCpu, fallback: Option<Declined>, device: &str| Self {
            runner,
            fallback: fallback.map(Arc::new),
            considered,
            device: device.to_owned(),
            measured: Vec::new(),
            timeout: options.timeout,
            check_finite: options.check_finite,
        };
        #[cfg(feature = "gpu")]
        if let Some(gpu) = device.0.gpu() {
            match Planner::new(gpu.target().clone()).choose_with(problem, options) {
                Ok(choice) => {
                    let runner = Backend::Gpu(GpuPlan::new(gpu, choice, options).await?);
                    return Ok(plan(runner, None, None, device.name()));
                }
                Err(declined) if options.fallback == Fallback::Error => return Err(declined.into()),
                Err(declined) => {
                    // The CPU path takes over, with the same algorithm if one was forced; else the
                    // GPU's reasons are the error.
                    // What was measured is of the GPU.
                    let of_cpu = PlanOptions { peaks: None, ..options.clone() };
                    let Ok((runner, considered)) = on_cpu(problem, &of_cpu) else {
                        return Err(declined.into());
                    };
                    warn_once(format!("{} -> CPU path: {declined}", device.name()));
                    return Ok(plan(runner, considered, Some(declined), "cpu"));
                }
            }
        }
        let (runner, considered) = on_cpu(problem, options)?;
        Ok(plan(runner, considered, None, device.name()))
    }

    /// What is computed.
    pub fn problem(&self) -> &ConvProblem {
        match &self.runner {
            #[cfg(feature = "gpu")]
            Backend::Gpu(plan) => &plan.choice().problem,
            Backend::Cpu(plan) => plan.problem(),
        }
    }

    /// By which algorithm.
    pub fn algorithm(&self) -> Algorithm {
        match &self.runner {
            #[cfg(feature = "gpu")]
            Backend::Gpu(plan) => plan.choice().algorithm,
            Backend::Cpu(plan) => plan.algorithm(),
        }
    }

    /// Where: the adapter's name, or `cpu`.
    pub fn device_name(&self) -> &str {
        &self.device
    }

    /// Why the GPU declined, where the CPU path took over.
    pub fn fallback(&self) -> Option<&Declined> {
        self.fallback.as_deref()
    }

    /// What was measured to choose it ([`PlanOptions::measure`]): every algorithm with the time of a run.
    pub fn measured(&self) -> &[(Algorithm, Duration)] {
        &self.measured
    }

    /// Scratch memory of a run beside its operands and its result, in bytes.
    pub fn workspace_bytes(&self) -> u64 {
        match &self.runner {
            #[cfg(feature = "gpu")]
            Backend::Gpu(plan) => plan.choice().program.workspace_bytes(),
            Backend::Cpu(plan) => plan.workspace_bytes(),
        }
    }

    /// Bytes of the buffer that [`Self::encode_prepare`] fills; `None` on the CPU path, which records nothing.
    #[cfg(feature = "gpu")]
    pub fn prepared_bytes(&self) -> Option<u64> {
        self.gpu().map(GpuPlan::prepared_bytes)
    }

    /// The plan inside; `None` on the CPU path.
    #[cfg(feature = "gpu")]
    #[doc(hidden)]
    pub fn gpu(&self) -> Option<&GpuPlan> {
        self.runner.gpu()
    }

    /// In words: device, algorithm, configuration, launches, workspace; then of every algorithm the estimated time of each of its
    /// configurations, or why it is not one. Of a plan on a GPU those of the CPU follow.
    pub fn explain(&self) -> String {
        let how = match &self.runner {
            #[cfg(feature = "gpu")]
            Backend::Gpu(plan) => {
                let choice = plan.choice();
                // The others need no device.
                let on_cpu = choose_on_cpu(&choice.problem, &PlanOptions::default());
                let on_cpu = on_cpu.map(|on_cpu| explain_considered(&on_cpu.considered, " on the CPU"));
                choice.explain() + &on_cpu.unwrap_or_default()
            }
            Backend::Cpu(plan) => {
                let considered = self.considered.as_deref().unwrap_or_default();
                plan.explain() + &explain_considered(considered, "")
            }
        };
        let declined =
            self.fallback.as_ref().map_or(String::new(), |d| format!("  fell back to the CPU path: {d}\n"));
        let times =
            self.measured.iter().map(|(algorithm, time)| format!("  measured: {algorithm} {time:.1?}\n"));
        format!("{}: {how}{}{declined}", self.device, times.collect::<String>())
    }
}

/// The CPU path by the algorithm that is estimated to be the fastest of those that `options` leave.
fn choose_on_cpu(problem: &ConvProblem, options: &PlanOptions) -> Result<Choice<CpuPlan>, Declined> {
    let context = options.context(Target::cpu(cpu::threads()));
    choose(CPU, problem, options, &context)
}

fn on_cpu(problem: &ConvProblem, options: &PlanOptions) -> Result<(Backend<PlanKind>, OnCpu), Declined> {
    let choice = choose_on_cpu(problem, options)?;
    Ok((Backend::Cpu(Arc::new(choice.program)), Some(choice.considered.into())))
}

/// Warns of the same thing once, and whispers it afterwards: a one-liner plans anew in every call.
#[cfg(feature = "gpu")]
fn warn_once(message: String) {
    /// So many different messages are remembered; whoever has more of them has seen enough.
    const MOST: usize = 100;
    static SEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.contains(&message) || seen.len() >= MOST {
        return log::debug!("{message}");
    }
    log::warn!("{message}");
    seen.push(message);
}
