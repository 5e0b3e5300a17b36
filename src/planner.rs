//! The choice: which algorithm, which configuration, and why.

use std::fmt;
use std::time::Duration;

use crate::algorithm::{Algorithm, Config, Unsupported};
use crate::problem::ConvProblem;
use crate::program::Program;
use crate::target::Target;

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
    /// They may, wherever they are estimated to be faster. Their error ([`Algorithm::inexact`]) is small relative to the
    /// largest results nearby, not relative to each: a result that is 10⁷ times smaller than its neighbours has no correct
    /// digit in f32. Integers are rounded.
    Fast,
}

impl Precision {
    /// Results that are sums over so many channels are usually about as large as their neighbours: an error relative to the
    /// largest of them is then as small relative to each.
    pub const MANY_CHANNELS: u64 = 16;

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
#[derive(Clone, Debug, PartialEq, Eq)]
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
            checked: false,
            timeout,
        }
    }
}

impl PlanOptions {
    /// Of `all` algorithms those to ask for `problem`, in order.
    #[doc(hidden)]
    pub fn asked(&self, all: &[Algorithm], problem: &ConvProblem) -> Vec<Algorithm> {
        if let Some(forced) = self.algorithm {
            return vec![forced];
        }
        let mut asked: Vec<Algorithm> = Vec::new();
        let preferred = self.prefer.iter().filter(|preferred| all.contains(preferred));
        for algorithm in preferred.chain(all) {
            let may = !self.exclude.contains(algorithm) && self.imprecise(*algorithm, problem).is_none();
            if may && !asked.contains(algorithm) {
                asked.push(*algorithm);
            }
        }
        asked
    }

    /// Why [`Self::precision`] does not let `algorithm` be chosen for `problem`, if so.
    fn imprecise(&self, algorithm: Algorithm, problem: &ConvProblem) -> Option<Unsupported> {
        let (got, wanted) = (problem.summed_channels(), Precision::MANY_CHANNELS);
        match self.precision {
            _ if algorithm.is_exact() => None,
            Precision::Auto if got >= wanted || self.prefer.contains(&algorithm) => None,
            Precision::Auto => Some(Unsupported::FewChannels { got, wanted }),
            Precision::Accurate => Some(Unsupported::Inexact),
            Precision::Fast => None,
        }
    }
}

/// No algorithm takes the problem: who declined, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declined {
    /// Each algorithm that was asked, in order.
    pub reasons: Vec<(Algorithm, Unsupported)>,
    /// Whether the caller named the algorithm.
    pub forced: bool,
}

impl Declined {
    /// Whether larger device limits would have let some algorithm run. A forced algorithm simply declined.
    pub fn is_limit(&self) -> bool {
        !self.forced && self.reasons.iter().any(|(_, why)| why.is_limit())
    }
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no algorithm runs this problem on the device")?;
        for (i, (algorithm, why)) in self.reasons.iter().enumerate() {
            write!(f, "{} {algorithm}: {why}", if i == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Declined {}

/// A problem with the way it will be computed: plain data, made without a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// What is computed.
    pub problem: ConvProblem,
    /// By which algorithm.
    pub algorithm: Algorithm,
    /// In which configuration.
    pub config: Config,
    /// With these launches.
    pub program: Program,
    /// Who was passed over: excluded, asked before and declined, or, of those that come before it in the order of
    /// [`Algorithm::ALL`] or of what was preferred, not asked because others are ahead ([`Algorithm::suited`]).
    pub declined: Vec<(Algorithm, Unsupported)>,
}

impl Choice {
    /// The choice in words: algorithm, configuration, launches, workspace, and who declined or was passed over and why.
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
        for (other, why) in &self.declined {
            let how = if why.is_choice() { "passed over" } else { "declined" };
            text += &format!("  {how}: {other}: {why}\n");
        }
        text
    }
}

/// Chooses an algorithm for a problem on one kind of device.
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

    /// The first algorithm of [`Algorithm::ALL`] that takes `problem`, or `forced`, in its best configuration.
    ///
    /// # Errors
    ///
    /// [`Declined`] with every reason.
    pub fn choose(&self, problem: &ConvProblem, forced: Option<Algorithm>) -> Result<Choice, Declined> {
        self.choose_with(problem, &PlanOptions { algorithm: forced, ..PlanOptions::default() })
    }

    /// The first algorithm that takes `problem` of those that `options` ask for.
    ///
    /// # Errors
    ///
    /// [`Declined`] with every reason.
    pub fn choose_with(&self, problem: &ConvProblem, options: &PlanOptions) -> Result<Choice, Declined> {
        let why_not = |algorithm: &Algorithm| match algorithm {
            other if options.exclude.contains(other) => Some((*other, Unsupported::Excluded)),
            other => options.imprecise(*other, problem).map(|why| (*other, why)),
        };
        let mut declined: Vec<_> = match options.algorithm {
            None => Algorithm::ALL.iter().filter_map(why_not).collect(),
            Some(_) => Vec::new(),
        };
        // What was preferred was meant.
        let is_meant = |a| options.algorithm == Some(a) || options.prefer.contains(&a);
        let suited = |a: Algorithm| if is_meant(a) { Ok(()) } else { a.suited(problem, &self.target) };
        let in_order = options.asked(Algorithm::ALL, problem).into_iter().enumerate();
        let mut asked: Vec<_> = in_order.map(|(at, a)| (at, a, suited(a).err())).collect();
        // Stable: those that suit the problem, in their order, then the others.
        asked.sort_by_key(|(_, _, unsuited)| unsuited.is_some());
        let mut target = self.target.clone();
        if let Some(budget) = options.workspace_budget {
            target.limits.workspace_budget = budget;
        }
        for (i, &(at, algorithm, ref unsuited)) in asked.iter().enumerate() {
            // What rounds differently is taken only where it is far ahead, or was meant.
            if let (Some(why), false) = (unsuited, algorithm.is_exact()) {
                declined.push((algorithm, why.clone()));
                continue;
            }
            match lower_best(problem, &target, algorithm) {
                Ok((config, program)) => {
                    let problem = problem.clone();
                    let later = asked.iter().skip(i + 1).filter(|(other, ..)| *other < at);
                    declined.extend(later.filter_map(|(_, a, unsuited)| Some((*a, unsuited.clone()?))));
                    return Ok(Choice { problem, algorithm, config, program, declined });
                }
                Err(why) => declined.push((algorithm, why)),
            }
        }
        Err(Declined { reasons: declined, forced: options.algorithm.is_some() })
    }
}

fn lower_best(
    problem: &ConvProblem,
    target: &Target,
    algorithm: Algorithm,
) -> Result<(Config, Program), Unsupported> {
    let mut first_reason = Unsupported::NotOnGpu { algorithm };
    for (i, config) in algorithm.candidates(problem, target)?.into_iter().enumerate() {
        match algorithm.lower(problem, target, config) {
            Ok(program) => return Ok((config, program)),
            Err(why) if why.is_of_all_pieces() => return Err(why),
            Err(why) if i == 0 => first_reason = why,
            Err(_) => {}
        }
    }
    Err(first_reason)
}
