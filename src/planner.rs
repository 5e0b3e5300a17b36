//! The choice: which algorithm, which configuration, and why.

use std::fmt;
use std::time::Duration;

use crate::algorithm::GPU;
use crate::algorithm_name::Algorithm;
use crate::implementation::{Candidate, Cannot, Config, Estimate, Implementation, PlanContext, by_name};
use crate::problem::ConvProblem;
use crate::program::Program;
use crate::target::{Peaks, Target};

/// What happens when no GPU algorithm can run a problem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fallback {
    /// The CPU path runs it; a warning is logged the first time, and the plan says so.
    #[default]
    Cpu,
    /// Planning fails.
    Error,
}

/// Whether algorithms that transform their operands may be chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// Only where each result is a sum over [`Self::MANY_CHANNELS`] channels of a group or more (for the gradient of the weight:
    /// over as many images), or where [`PlanOptions::prefer`] or the name of an operation (`fftconvolve`, `oaconvolve`,
    /// `conv2d_fft`) asks for one. Every other result is within `(2·√K + 8)·u·mag`, element by element.
    #[default]
    Auto,
    /// They may not, even where they are preferred, unless [`PlanOptions::algorithm`] names one. Every element is within
    /// `(2·√K + 8)·u·mag`.
    Accurate,
    /// They may, wherever they are estimated to be [`Self::FASTER`]. Their error ([`Algorithm::inexact`]) is small relative to the
    /// largest results nearby, not relative to each: a result that is 10⁷ times smaller than its neighbours has no correct
    /// digit in f32. Integers are rounded.
    Fast,
}

impl Precision {
    /// Results that are sums over so many channels are usually about as large as their neighbours: an error relative to the
    /// largest of them is then as small relative to each.
    pub const MANY_CHANNELS: u64 = 16;

    /// So many times as fast as everything else must an algorithm be estimated that transforms its operands, unless it is
    /// forced or preferred: what is exact is worth as much, and estimates are off.
    pub const FASTER: f64 = 5.0 / 3.0;

    /// The precision called `name`: `auto`, `accurate`, `fast`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "accurate" => Some(Self::Accurate),
            "fast" => Some(Self::Fast),
            _ => None,
        }
    }
}

/// How a problem is to be planned: which algorithm, how exact, how much memory.
///
/// ```
/// use wgconv::{Algorithm, Conv, ConvProblem, Device, PlanOptions, Precision};
///
/// let problem = ConvProblem::new(&[1, 1, 1 << 16], &[1, 1, 4096], &Conv::default())?;
/// let by = |options: &PlanOptions| Ok::<_, wgconv::Error>(Device::cpu().plan(&problem, options)?.algorithm());
/// assert_eq!(by(&PlanOptions::default())?, Algorithm::Direct);
/// assert_eq!(by(&PlanOptions { precision: Precision::Fast, ..Default::default() })?, Algorithm::Fft);
/// # Ok::<(), wgconv::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct PlanOptions {
    /// The algorithm to use. `None`: the planner chooses. An algorithm that cannot run the problem is an error
    /// ([`Declined`]), or runs on the CPU path under [`Fallback::Cpu`] if that has it.
    pub algorithm: Option<Algorithm>,
    /// Algorithms to take first, in this order, where they can run the problem and [`Self::precision`] is not
    /// [`Precision::Accurate`], which takes no transform. What is estimated of them does not count.
    pub prefer: Vec<Algorithm>,
    /// Algorithms not to use, unless [`Self::algorithm`] names one of them.
    pub exclude: Vec<Algorithm>,
    /// Whether an algorithm that transforms its operands may be chosen.
    pub precision: Precision,
    /// A run by [`Algorithm::Fft`] fails with `OperandError::NonFinite` if the input, the weight or the gradient of the output
    /// has an infinity or a NaN, which on a GPU would spread over a whole tile of the result, and on the CPU reaches the results
    /// that it meets. Prepared weights are checked when they are prepared. A bias and a residual are not checked, nor are
    /// operands of other algorithms, nor buffers that an app encodes itself. Tensors on a GPU are copied to the host for the
    /// check. Default: `false`.
    pub check_finite: bool,
    /// Choose by measuring: every algorithm that can run the problem, and that the options above leave, runs it a few times on generated operands, and the fastest
    /// one whose result is right is taken. Right means in agreement with the reference, or for a large problem with the first
    /// algorithm. Planning then takes as long as these runs and blocks meanwhile, also as a future. Default: `false`.
    pub measure: bool,
    /// What happens when no algorithm of the GPU can run the problem. Default: the CPU path takes over, with a warning in the log.
    pub fallback: Fallback,
    /// Upper bound, in bytes, for the scratch memory of GPU algorithms that can trade memory for launches. `None`: 256 MiB.
    ///
    /// - [`Algorithm::Im2colGemm`] stores the im2col matrix here. A smaller budget splits the matrix into more launches; any
    ///   budget works. If it would need more than 4,096 launches, the budget is raised until it does not.
    /// - [`Algorithm::Fft`] transforms as many tiles per launch as fit, at least two, and more where 4,096 launches would not do.
    ///
    /// Split-K slices, a packed `grad_output` and a padded input come on top. [`Plan::workspace_bytes`](crate::Plan::workspace_bytes)
    /// is the total.
    pub workspace_budget: Option<u64>,
    /// What [`Device::probe`](crate::Device::probe) measured of the device: estimates are made of it. `None`: they are made of
    /// what devices of its class usually do.
    pub peaks: Option<Peaks>,
    /// Build the kernels with all run-time checks of wgpu: bounds, loops, division. Slower; the results have the same bits.
    /// Default: `false`.
    pub checked: bool,
    /// Longest wait for a GPU; a longer one fails with `GpuError::Timeout`. Default: 300 s.
    pub timeout: Duration,
}

impl Default for PlanOptions {
    fn default() -> Self {
        let timeout = Duration::from_secs(300);
        Self {
            algorithm: None,
            prefer: Vec::new(),
            exclude: Vec::new(),
            precision: Precision::Auto,
            check_finite: false,
            measure: false,
            fallback: Fallback::Cpu,
            workspace_budget: None,
            peaks: None,
            checked: false,
            timeout,
        }
    }
}

impl PlanOptions {
    /// Why `algorithm` is not considered for `problem`, if so.
    fn refusal(&self, algorithm: Algorithm, problem: &ConvProblem) -> Option<Reason> {
        if self.algorithm.is_some() {
            return None;
        }
        if self.exclude.contains(&algorithm) {
            return Some(Reason::Excluded);
        }
        let (got, wanted) = (problem.summed_channels(), Precision::MANY_CHANNELS);
        match self.precision {
            _ if algorithm.is_exact() => None,
            Precision::Auto if got >= wanted || self.prefer.contains(&algorithm) => None,
            Precision::Auto => Some(Reason::FewChannels { got, wanted }),
            Precision::Accurate => Some(Reason::Inexact),
            Precision::Fast => None,
        }
    }

    /// Of `all` algorithms those that are considered for `problem`: the preferred ones first, the others in their order.
    #[doc(hidden)]
    pub fn considered(&self, all: &[Algorithm], problem: &ConvProblem) -> Vec<Algorithm> {
        if let Some(forced) = self.algorithm {
            return vec![forced];
        }
        let mut considered: Vec<Algorithm> =
            all.iter().copied().filter(|&algorithm| self.refusal(algorithm, problem).is_none()).collect();
        considered.sort_by_key(|&algorithm| self.turn(algorithm));
        considered
    }

    /// The preferred ones first, in their order.
    fn turn(&self, algorithm: Algorithm) -> usize {
        self.prefer.iter().position(|&preferred| preferred == algorithm).unwrap_or(self.prefer.len())
    }

    /// What is planned for on the device that `target` describes.
    pub(crate) fn context(&self, target: Target) -> PlanContext {
        let mut context = PlanContext::new(target);
        if let Some(peaks) = &self.peaks {
            context.model = context.model.with_peaks(peaks);
        }
        if let Some(budget) = self.workspace_budget {
            context.workspace_budget = budget;
        }
        context
    }
}

/// Why an algorithm does not compute a problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// It cannot.
    #[error(transparent)]
    Cannot(#[from] Cannot),
    /// The caller excluded it.
    #[error("is excluded")]
    Excluded,
    /// It computes with transformed operands, and [`Precision::Accurate`] was asked for.
    #[error("rounds transformed operands, which Precision::Accurate excludes")]
    Inexact,
    /// It computes with transformed operands, which [`Precision::Auto`] takes for sums over many channels alone.
    #[error(
        "rounds transformed operands: sums are over {got} channels, Precision::Auto wants {wanted} unless it is preferred"
    )]
    FewChannels {
        /// So many are summed: images, for the gradient of the weight.
        got: u64,
        /// [`Precision::MANY_CHANNELS`]
        wanted: u64,
    },
}

/// No algorithm computes the problem: each with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declined {
    /// Every algorithm of the device, or the one that the caller named.
    pub reasons: Vec<(Algorithm, Reason)>,
    /// Whether the caller named the algorithm.
    pub forced: bool,
}

impl Declined {
    /// Whether larger device limits would have let some algorithm run. A forced algorithm simply declined.
    pub fn is_limit(&self) -> bool {
        let is_limit = |reason: &Reason| matches!(reason, Reason::Cannot(why) if why.is_limit());
        !self.forced && self.reasons.iter().any(|(_, reason)| is_limit(reason))
    }
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no algorithm runs this problem on the device")?;
        // Those that have a reason in common are named together.
        let mut told: Vec<(Vec<&str>, &Reason)> = Vec::new();
        for (algorithm, why) in &self.reasons {
            match told.iter_mut().find(|(_, other)| *other == why) {
                Some((names, _)) => names.push(algorithm.name()),
                None => told.push((vec![algorithm.name()], why)),
            }
        }
        for (i, (names, why)) in told.iter().enumerate() {
            write!(f, "{} {}: {why}", if i == 0 { ":" } else { ";" }, names.join(", "))?;
        }
        Ok(())
    }
}

impl std::error::Error for Declined {}

/// What an algorithm makes of a problem: its configurations with their estimates, the fastest first, or why there are none.
pub type Considered = (Algorithm, Result<Vec<(Config, Estimate)>, Reason>);

/// A problem with the way it will be computed: plain data, made without a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice<P = Program> {
    /// What is computed.
    pub problem: ConvProblem,
    /// By which algorithm.
    pub algorithm: Algorithm,
    /// In which configuration.
    pub config: Config,
    /// With these launches.
    pub program: P,
    /// Every algorithm of the device, in the order of preference.
    pub considered: Vec<Considered>,
}

impl<P> Choice<P> {
    /// How long a run is estimated to take, where the choice was made by estimates.
    pub fn estimate(&self) -> Option<Estimate> {
        let own = self.considered.iter().find(|(algorithm, _)| *algorithm == self.algorithm)?;
        let of_config = own.1.as_ref().ok()?.iter().find(|(config, _)| *config == self.config)?;
        Some(of_config.1)
    }

    /// Who does not compute the problem, and why.
    pub fn declined(&self) -> Vec<(Algorithm, Reason)> {
        self.considered
            .iter()
            .filter_map(|(algorithm, made)| Some((*algorithm, made.clone().err()?)))
            .collect()
    }
}

/// What was considered `on` a device in words, a line for each algorithm.
pub(crate) fn explain_considered(considered: &[Considered], on: &str) -> String {
    let mut text = String::new();
    for (algorithm, made) in considered {
        match made {
            Ok(configs) => {
                let configs: Vec<_> =
                    configs.iter().map(|(config, estimate)| format!("{estimate} ({config})")).collect();
                text += &format!("  estimated{on}: {algorithm}: {}\n", configs.join(", "));
            }
            Err(Reason::Cannot(why)) => text += &format!("  cannot{on}: {algorithm}: {why}\n"),
            Err(reason) => text += &format!("  left out{on}: {algorithm}: {reason}\n"),
        }
    }
    text
}

impl Choice {
    /// The choice in words: algorithm, configuration, launches, workspace; then of every algorithm the estimates of its
    /// configurations, or why it is not one.
    pub fn explain(&self) -> String {
        let Self { algorithm, config, program, .. } = self;
        let mut text = format!("{algorithm} ({config}), workspace {} bytes\n", program.workspace_bytes());
        for (stage, launches) in [("prepare", &program.prepare), ("run", &program.launches)] {
            for launch in launches {
                let [x, y, _] = launch.grid.0;
                text += &format!(
                    "  {stage}: {} on {x} x {y} workgroups, {}\n",
                    launch.kernel.name(),
                    launch.spec
                );
            }
        }
        text + &explain_considered(&self.considered, "")
    }
}

/// Plans `problem` by every implementation that `options` leave, and lowers the candidate that is estimated to be the fastest: one
/// comparison of all of them. What transforms its operands must be [`Precision::FASTER`]; what is preferred comes first.
///
/// # Errors
///
/// [`Declined`] with every reason.
pub fn choose<P>(
    implementations: &[&dyn Implementation<P>],
    problem: &ConvProblem,
    options: &PlanOptions,
    context: &PlanContext,
) -> Result<Choice<P>, Declined> {
    let mut considered: Vec<Considered> = Vec::new();
    let mut ranked: Vec<(usize, f64, Algorithm, Candidate<P>)> = Vec::new();
    for implementation in implementations {
        let algorithm = implementation.algorithm();
        if options.algorithm.is_some_and(|forced| forced != algorithm) {
            continue;
        }
        let made = match options.refusal(algorithm, problem) {
            Some(reason) => Err(reason),
            None => implementation.plan(problem, context).map_err(Reason::from),
        };
        let made = made.map(|mut candidates| {
            // Stable: of two that take as long the first.
            candidates.sort_by(|a, b| a.estimate.secs().total_cmp(&b.estimate.secs()));
            let estimates = candidates.iter().map(|one| (one.config.clone(), one.estimate)).collect();
            let handicap = if algorithm.is_exact() { 1.0 } else { Precision::FASTER };
            let turn = options.turn(algorithm);
            let weighed = |one: Candidate<P>| (turn, one.estimate.times(handicap).secs(), algorithm, one);
            ranked.extend(candidates.into_iter().map(weighed));
            estimates
        });
        considered.push((algorithm, made));
    }
    ranked.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut failed: Vec<(Algorithm, Cannot)> = Vec::new();
    for (_, _, algorithm, candidate) in ranked {
        match candidate.lower(problem, context) {
            Ok(program) => {
                let (problem, config) = (problem.clone(), candidate.config);
                return Ok(Choice { problem, algorithm, config, program, considered });
            }
            Err(why) => {
                // Of several configurations the reason of the fastest.
                if failed.iter().all(|(other, _)| *other != algorithm) {
                    failed.push((algorithm, why));
                }
                give_up(&mut considered, algorithm, &candidate.config, &failed);
            }
        }
    }
    let mut reasons: Vec<_> =
        considered.into_iter().filter_map(|(algorithm, made)| Some((algorithm, made.err()?))).collect();
    if let Some(algorithm) = options.algorithm
        && let Err(missing) = by_name(implementations, algorithm)
    {
        reasons.push((algorithm, missing.into()));
    }
    Err(Declined { reasons, forced: options.algorithm.is_some() })
}

/// Takes a configuration that was not lowered out of those of its algorithm; the last one leaves the reason of the algorithm.
fn give_up(
    considered: &mut [Considered],
    algorithm: Algorithm,
    config: &Config,
    failed: &[(Algorithm, Cannot)],
) {
    let why = failed.iter().find(|(other, _)| *other == algorithm).map(|(_, why)| why);
    for (_, made) in considered.iter_mut().filter(|(other, _)| *other == algorithm) {
        if let (Ok(configs), Some(why)) = (&mut *made, why) {
            configs.retain(|(other, _)| other != config);
            if configs.is_empty() {
                *made = Err(why.clone().into());
            }
        }
    }
}

/// Chooses an algorithm for a problem on one kind of GPU.
#[derive(Clone, Debug)]
pub struct Planner {
    target: Target,
}

impl Planner {
    /// A planner for devices described by `target`.
    pub fn new(target: Target) -> Self {
        Self { target }
    }

    /// What it plans for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The algorithm that is estimated to be the fastest for `problem`, or `forced`, in its best configuration.
    ///
    /// # Errors
    ///
    /// [`Declined`] with every reason.
    pub fn choose(&self, problem: &ConvProblem, forced: Option<Algorithm>) -> Result<Choice, Declined> {
        self.choose_with(problem, &PlanOptions { algorithm: forced, ..PlanOptions::default() })
    }

    /// The same of those that `options` leave.
    ///
    /// # Errors
    ///
    /// [`Declined`] with every reason.
    pub fn choose_with(&self, problem: &ConvProblem, options: &PlanOptions) -> Result<Choice, Declined> {
        choose(GPU, problem, options, &options.context(self.target.clone()))
    }
}
