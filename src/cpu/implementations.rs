//! The algorithms that the CPU has, and what each makes of a problem.

use std::fmt;
use std::sync::{Arc, LazyLock};

use crate::algorithm_name::Algorithm;
use crate::cpu::{CpuPlan, Loops, direct, fft, threads};
use crate::implementation::{Candidate, Cannot, Config, Estimate, Implementation, PlanContext, names};
use crate::problem::{ConvProblem, Element};
use crate::target::CPU_FMA_PER_S;

/// Every algorithm that the CPU has: a new one is a row here. Of two that are estimated to take as long the first is chosen.
pub const CPU: &[&dyn Implementation<CpuPlan>] = &[&CpuDirect, &CpuFft, &CpuReference];

/// A product of the reference, in nanoseconds.
const REFERENCE_PRODUCT: f64 = 5.0;

#[doc(hidden)]
impl Algorithm {
    /// The names of [`CPU`].
    pub fn on_cpu() -> &'static [Self] {
        static NAMES: LazyLock<Vec<Algorithm>> = LazyLock::new(|| names(CPU));
        &NAMES
    }
}

/// How a problem is computed on the CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuConfig {
    /// Of the pool that plans; the reference has one.
    pub threads: usize,
    /// Of the transforms of [`Algorithm::Fft`] along the last three axes, 1 where there is none.
    pub lengths: Option<[usize; 3]>,
}

impl CpuConfig {
    pub(super) fn new(algorithm: Algorithm, lengths: Option<[usize; 3]>) -> Self {
        let threads = if algorithm == Algorithm::Reference { 1 } else { threads() };
        Self { threads, lengths }
    }
}

impl fmt::Display for CpuConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some([z, y, x]) = self.lengths {
            write!(f, "{z} x {y} x {x} tiles, ")?;
        }
        write!(f, "{} threads", self.threads)
    }
}

/// What runs on every thread and takes one of them so many nanoseconds in all.
fn shared(context: &PlanContext, nanoseconds: f64) -> Estimate {
    let model = &context.model;
    let seconds = nanoseconds * 1e-9 * CPU_FMA_PER_S / model.fma_per_s;
    Estimate::from_secs(seconds + model.launch_s)
}

/// Declines elements that the CPU does not compute with.
fn check(problem: &ConvProblem) -> Result<(), Cannot> {
    let element = problem.element();
    if matches!(element, Element::F32 | Element::F64) { Ok(()) } else { Err(Cannot::Element { element }) }
}

fn candidate(
    algorithm: Algorithm,
    lengths: Option<[usize; 3]>,
    estimate: Estimate,
    loops: impl Fn(&ConvProblem) -> Loops + Send + Sync + 'static,
) -> Vec<Candidate<CpuPlan>> {
    let config = Config::new(CpuConfig::new(algorithm, lengths));
    let lower = move |problem: &ConvProblem, _: &PlanContext| {
        Ok(CpuPlan { problem: problem.clone(), algorithm, loops: loops(problem) })
    };
    vec![Candidate::new(config, estimate, lower)]
}

/// Sums straight from the operands.
struct CpuDirect;

impl Implementation<CpuPlan> for CpuDirect {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Direct
    }

    fn plan(&self, problem: &ConvProblem, context: &PlanContext) -> Result<Vec<Candidate<CpuPlan>>, Cannot> {
        check(problem)?;
        let estimate = shared(context, fft::direct_cost(problem));
        Ok(candidate(Algorithm::Direct, None, estimate, |problem| {
            Loops::Direct(Arc::new(direct::Direct::new(problem)))
        }))
    }
}

/// Products of spectra.
struct CpuFft;

impl Implementation<CpuPlan> for CpuFft {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Fft
    }

    fn plan(&self, problem: &ConvProblem, context: &PlanContext) -> Result<Vec<Candidate<CpuPlan>>, Cannot> {
        check(problem)?;
        let fft = Arc::new(fft::Fft::new(problem)?);
        let (lengths, estimate) = (fft.lengths(), shared(context, fft.cost()));
        Ok(candidate(Algorithm::Fft, Some(lengths), estimate, move |problem| {
            fft.plan_transforms(problem.element());
            // What takes over where too many numbers are not finite.
            Loops::Fft(fft.clone(), Arc::new(direct::Direct::new(problem)))
        }))
    }
}

/// The formula.
struct CpuReference;

impl Implementation<CpuPlan> for CpuReference {
    fn algorithm(&self) -> Algorithm {
        Algorithm::Reference
    }

    fn plan(&self, problem: &ConvProblem, context: &PlanContext) -> Result<Vec<Candidate<CpuPlan>>, Cannot> {
        check(problem)?;
        // On one thread.
        let products = problem.macs() as f64 * context.model.compute_units;
        let estimate = shared(context, products * REFERENCE_PRODUCT);
        Ok(candidate(Algorithm::Reference, None, estimate, |_| Loops::Reference))
    }
}
