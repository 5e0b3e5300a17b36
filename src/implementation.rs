//! What every way to compute a convolution has in common, on a GPU and on the CPU: one planning step, which gives
//! configurations with their estimated times, or the fact that rules it out.

mod cannot;
mod resource;

use std::any::Any;
use std::fmt;
use std::ops::Add;
use std::sync::Arc;

pub use cannot::Cannot;
pub use resource::Resource;

use crate::algorithm_name::Algorithm;
use crate::problem::ConvProblem;
use crate::target::{DeviceModel, Target};

/// One way to compute convolutions on one backend, by programs of type `P`. A new algorithm is one file that implements this,
/// and one row in the list of its backend.
pub trait Implementation<P>: Sync {
    /// By which name it is forced, preferred, excluded and reported.
    fn algorithm(&self) -> Algorithm;

    /// Every configuration in which it computes `problem`; at least one.
    ///
    /// # Errors
    ///
    /// The fact that rules it out.
    fn plan(&self, problem: &ConvProblem, context: &PlanContext) -> Result<Vec<Candidate<P>>, Cannot>;
}

/// The names of a list.
pub fn names<P>(implementations: &[&dyn Implementation<P>]) -> Vec<Algorithm> {
    implementations.iter().map(|implementation| implementation.algorithm()).collect()
}

/// The implementation of that name.
///
/// # Errors
///
/// [`Cannot::NotOnDevice`] if the list has none.
pub fn by_name<'a, P>(
    implementations: &[&'a dyn Implementation<P>],
    algorithm: Algorithm,
) -> Result<&'a dyn Implementation<P>, Cannot> {
    let own = implementations.iter().find(|implementation| implementation.algorithm() == algorithm);
    own.copied().ok_or_else(|| Cannot::NotOnDevice { has: names(implementations) })
}

/// Scratch memory that an algorithm may take where it can do with less, unless the caller says otherwise.
pub const WORKSPACE_BUDGET: u64 = 256 << 20;

/// What a problem is planned for.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanContext {
    /// The device: its limits and features.
    pub target: Target,
    /// Its speed.
    pub model: DeviceModel,
    /// Bytes of scratch memory for an algorithm that can trade memory for launches.
    pub workspace_budget: u64,
}

impl PlanContext {
    /// A device whose speed is guessed, with the usual budget.
    pub fn new(target: Target) -> Self {
        let model = DeviceModel::guess(&target);
        Self { target, model, workspace_budget: WORKSPACE_BUDGET }
    }

    /// The same with another budget.
    #[must_use]
    pub fn with_budget(&self, workspace_budget: u64) -> Self {
        Self { workspace_budget, ..self.clone() }
    }
}

impl From<&Target> for PlanContext {
    fn from(target: &Target) -> Self {
        Self::new(target.clone())
    }
}

impl From<&Self> for PlanContext {
    fn from(context: &Self) -> Self {
        context.clone()
    }
}

/// How a candidate becomes a program.
type Lower<P> = dyn Fn(&ConvProblem, &PlanContext) -> Result<P, Cannot> + Send + Sync;

/// A configuration in which an implementation computes a problem.
pub struct Candidate<P> {
    /// Its free choices.
    pub config: Config,
    /// How long a run is estimated to take.
    pub estimate: Estimate,
    lower: Box<Lower<P>>,
}

impl<P> Candidate<P> {
    /// `lower` makes the program of the problem and the context that were planned.
    pub fn new(
        config: Config,
        estimate: Estimate,
        lower: impl Fn(&ConvProblem, &PlanContext) -> Result<P, Cannot> + Send + Sync + 'static,
    ) -> Self {
        Self { config, estimate, lower: Box::new(lower) }
    }

    /// The program.
    ///
    /// # Errors
    ///
    /// A limit that shows only when it is made.
    pub fn lower(&self, problem: &ConvProblem, context: &PlanContext) -> Result<P, Cannot> {
        (self.lower)(problem, context)
    }
}

impl<P> fmt::Debug for Candidate<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.config, self.estimate)
    }
}

/// Time of a run in seconds, estimated from a [`DeviceModel`].
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Estimate(f64);

impl Estimate {
    /// So many seconds.
    pub fn from_secs(seconds: f64) -> Self {
        Self(seconds)
    }

    /// In seconds.
    pub fn secs(self) -> f64 {
        self.0
    }

    /// So many times as long.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self(self.0 * factor)
    }
}

impl Add for Estimate {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl fmt::Display for Estimate {
    /// Three digits, which is more than it is worth.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0 {
            seconds if seconds < 1e-3 => (seconds * 1e6, "µs"),
            seconds if seconds < 1.0 => (seconds * 1e3, "ms"),
            seconds => (seconds, "s"),
        };
        let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
        write!(f, "{value:.digits$} {unit}")
    }
}

/// The free choices of an algorithm: tile sizes and the like. Each algorithm has a type of its own for them.
#[derive(Clone)]
pub struct Config(Arc<dyn Choices>);

/// A type that may be in a [`Config`].
trait Choices: fmt::Debug + fmt::Display + Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn is(&self, other: &dyn Choices) -> bool;
}

impl<T: fmt::Debug + fmt::Display + PartialEq + Send + Sync + 'static> Choices for T {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn is(&self, other: &dyn Choices) -> bool {
        other.as_any().downcast_ref::<T>().is_some_and(|other| other == self)
    }
}

impl Config {
    /// Of the choices of one algorithm.
    pub fn new(choices: impl fmt::Debug + fmt::Display + PartialEq + Send + Sync + 'static) -> Self {
        Self(Arc::new(choices))
    }

    /// As the type that an algorithm has for them; `None` if they are another's.
    pub fn get<T: 'static>(&self) -> Option<&T> {
        self.0.as_any().downcast_ref()
    }
}

impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        self.0.is(&*other.0)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_have_three_digits() {
        for (seconds, text) in [
            (0.0, "0.00 µs"),
            (1.234e-6, "1.23 µs"),
            (12.34e-6, "12.3 µs"),
            (123.4e-6, "123 µs"),
            (9.996e-3, "10.0 ms"),
            (2.5, "2.50 s"),
            (12_345.6, "12346 s"),
        ] {
            assert_eq!(Estimate::from_secs(seconds).to_string(), text);
        }
    }

    #[test]
    fn configurations_are_those_of_one_type() {
        let (one, other) = (Config::new(3u32), Config::new(3u64));
        assert_eq!(one, Config::new(3u32));
        assert_ne!(one, other);
        assert_ne!(one, Config::new(4u32));
        assert_eq!((one.get::<u32>(), one.get::<u64>()), (Some(&3), None));
        assert_eq!(one.to_string(), "3");
    }
}
