//! The CPU path: `f32` and `f64`, every problem that can be described, the same bits whatever the number of threads.

mod direct;
mod fft;
mod geometry;
mod implementations;
mod memory;
mod padded;
#[cfg(not(target_arch = "wasm32"))]
mod probe;
mod real;
pub mod reference;
mod steps;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use ndarray::{ArrayD, ArrayViewD};

use crate::algorithm_name::Algorithm;
use crate::implementation::{Cannot, PlanContext, by_name};
use crate::problem::{ConvProblem, PerRole, Role, TensorLayout, to_usize};
use crate::target::Target;
pub use implementations::{CPU, CpuConfig};
pub use memory::OutOfMemory;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use probe::copy_bytes_per_second;
pub use real::Real;

/// Threads that a run has here.
pub fn threads() -> usize {
    rayon::current_num_threads()
}

/// A problem with the algorithm that runs it on the CPU.
#[derive(Clone, Debug)]
pub struct CpuPlan {
    problem: ConvProblem,
    algorithm: Algorithm,
    loops: Loops,
}

/// What runs it.
#[derive(Clone, Debug)]
enum Loops {
    Direct(Arc<direct::Direct>),
    /// And what takes over where too many numbers are not finite.
    Fft(Arc<fft::Fft>, Arc<direct::Direct>),
    Reference,
}

/// Weights as a [`CpuPlan`] reads them, shared by clones: in logical order, for [`Algorithm::Fft`] also their spectra.
#[derive(Clone, Debug)]
pub struct CpuWeights<T> {
    values: Arc<Vec<T>>,
    spectra: Option<Arc<fft::Prepared<T>>>,
}

/// What [`CpuPlan::run`] reads, in logical order and with any strides. Which are read follows from the direction and the
/// epilogue: [`Role::is_used`](crate::operation::Role::is_used).
pub type CpuOperands<'a, T> = PerRole<Option<ArrayViewD<'a, T>>>;

impl CpuPlan {
    /// Plans `problem` with `algorithm`.
    ///
    /// # Errors
    ///
    /// The fact that rules it out.
    pub fn new(problem: &ConvProblem, algorithm: Algorithm) -> Result<Self, Cannot> {
        let context = PlanContext::new(Target::cpu(threads()));
        let candidates = by_name(CPU, algorithm)?.plan(problem, &context)?;
        // One candidate at least.
        candidates[0].lower(problem, &context)
    }

    /// What is computed.
    pub fn problem(&self) -> &ConvProblem {
        &self.problem
    }

    fn fft(&self) -> Option<&fft::Fft> {
        match &self.loops {
            Loops::Fft(fft, _) => Some(fft),
            _ => None,
        }
    }

    /// By which algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Lengths of the transforms of [`Algorithm::Fft`] along the last three axes, 1 where there is none.
    pub fn transform_lengths(&self) -> Option<[usize; 3]> {
        self.fft().map(|fft| fft.lengths())
    }

    /// Copies `weight` to the order in which this plan reads it, and transforms it once for all runs.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] if there is none for them.
    pub fn prepare<T: Real>(&self, weight: ArrayViewD<'_, T>) -> Result<CpuWeights<T>, OutOfMemory> {
        T::prepare(self, weight)
    }

    fn prepare_in<T: Real>(&self, weight: ArrayViewD<'_, T>) -> Result<CpuWeights<T>, OutOfMemory> {
        let values = copy(&weight)?;
        let spectra = match self.fft() {
            Some(fft) => fft.prepare(&values)?.map(Arc::new),
            None => None,
        };
        Ok(CpuWeights { values: values.into(), spectra })
    }

    /// Bytes that [`Self::prepare`] keeps.
    pub(crate) fn prepared_bytes(&self) -> u64 {
        let values = self.problem.weight().len().saturating_mul(self.problem.element().bytes());
        values.saturating_add(self.fft().map_or(0, |fft| fft.prepared_bytes()))
    }

    /// Bytes that [`Self::run`] allocates beside the result, at most: operands laid out anew, sums of every thread; for the
    /// reference operands in double precision. Tables of a few hundred kilobytes are not counted.
    pub fn workspace_bytes(&self) -> u64 {
        let problem = &self.problem;
        match &self.loops {
            // What is not finite may be more than transforms are worth.
            Loops::Fft(fft, direct) => fft.workspace_bytes().max(direct.workspace_bytes(problem.element())),
            Loops::Direct(direct) => direct.workspace_bytes(problem.element()),
            Loops::Reference => {
                let tensors = [problem.input(), problem.weight(), problem.output(), problem.result()];
                tensors.iter().fold(0u64, |sum, tensor| sum.saturating_add(tensor.len().saturating_mul(8)))
            }
        }
    }

    /// [`Self::workspace_bytes`], and copies of the operands that do not lie in logical order.
    pub(crate) fn scratch_bytes<T: Real>(&self, operands: &CpuOperands<'_, T>) -> u64 {
        let copied = |view: &&ArrayViewD<'_, T>| !view.is_standard_layout();
        let views = operands.iter().filter_map(|(_, view)| view.as_ref());
        let copies: u64 = views.filter(copied).map(|view| view.len() as u64).sum();
        self.workspace_bytes().saturating_add(copies.saturating_mul(8))
    }

    /// Algorithm, threads and workspace in words.
    pub(crate) fn explain(&self) -> String {
        format!("{} ({}), workspace {} bytes\n", self.algorithm, self.config(), self.workspace_bytes())
    }

    fn config(&self) -> CpuConfig {
        CpuConfig::new(self.algorithm, self.transform_lengths())
    }

    /// The result of the problem, in logical order, computed in `T` (by the reference in f64, then rounded), with `prepared`
    /// in place of the weight where there are such.
    ///
    /// The caller has checked the operands: every one that the problem reads is there, with the problem's shape and
    /// with `T` its element. An absent one counts as zeros.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] if there is none for the result or for [`Self::workspace_bytes`].
    ///
    /// # Panics
    ///
    /// If an operand is smaller than the problem says.
    pub fn run<T: Real>(
        &self,
        operands: &CpuOperands<'_, T>,
        prepared: Option<&CpuWeights<T>>,
    ) -> Result<ArrayD<T>, OutOfMemory> {
        T::run(self, operands, prepared)
    }

    fn run_in<T: Real>(
        &self,
        operands: &CpuOperands<'_, T>,
        prepared: Option<&CpuWeights<T>>,
    ) -> Result<ArrayD<T>, OutOfMemory> {
        let problem = &self.problem;
        let (fft, direct) = match &self.loops {
            Loops::Reference => return run_reference(problem, operands, prepared),
            Loops::Fft(fft, direct) => (Some(fft), direct),
            Loops::Direct(direct) => (None, direct),
        };
        let values = PerRole::try_new(|role| match (role, prepared) {
            _ if !role.is_used(problem) => Ok(Cow::default()),
            (Role::Weight, Some(weights)) => Ok(Cow::Borrowed(&weights.values[..])),
            _ => given(operands[role].as_ref(), &role.layout(problem)),
        })?;
        let slices = values.map(|values| &values[..]);
        let result = match fft {
            Some(fft) => fft.run(problem, direct, slices, prepared.and_then(|p| p.spectra.as_deref()))?,
            None => direct.run(problem, slices)?,
        };
        // No panic: the problem checked that the shape can be addressed, and the result is made for it.
        Ok(ArrayD::from_shape_vec(problem.result().shape(), result).expect("as many results as elements"))
    }
}

fn run_reference<T: Real>(
    problem: &ConvProblem,
    operands: &CpuOperands<'_, T>,
    prepared: Option<&CpuWeights<T>>,
) -> Result<ArrayD<T>, OutOfMemory> {
    // Asked for at once: the reference itself knows of no error.
    let elements = [problem.input(), problem.weight(), problem.output(), problem.result()];
    let elements = elements.iter().fold(0, |sum: u64, tensor| sum.saturating_add(tensor.len()));
    drop(memory::room::<f64>(
        "operands in double precision",
        usize::try_from(elements).unwrap_or(usize::MAX),
    )?);
    let mut wide = operands.map(|view| view.as_ref().map(|view| view.mapv(T::to_f64)));
    if let Some(weights) = prepared {
        let values = weights.values.iter().map(|v| v.to_f64()).collect();
        // No panic: they were prepared for this problem, so they are of its shape.
        let values = ArrayD::from_shape_vec(problem.weight().shape(), values).expect("as many as elements");
        wide.weight = Some(values);
    }
    let operands = wide.map(|array| array.as_ref().map(|array| array.view()));
    Ok(reference::run(problem, &operands).mapv(T::from_f64))
}

/// The elements in logical order, borrowed where they lie so.
fn standard<'a, T: Clone>(view: &'a ArrayViewD<'_, T>) -> Result<Cow<'a, [T]>, OutOfMemory> {
    match view.as_slice() {
        Some(values) => Ok(Cow::Borrowed(values)),
        None => Ok(Cow::Owned(copy(view)?)),
    }
}

/// The elements of an operand, zeros if it is absent.
fn given<'a, T: Real>(
    view: Option<&'a ArrayViewD<'_, T>>,
    tensor: &TensorLayout,
) -> Result<Cow<'a, [T]>, OutOfMemory> {
    match view {
        Some(view) => standard(view),
        None => Ok(Cow::Owned(memory::zeros("an absent operand", to_usize(tensor.len()))?)),
    }
}

/// A copy in logical order.
fn copy<T: Clone>(view: &ArrayViewD<'_, T>) -> Result<Vec<T>, OutOfMemory> {
    let mut values = memory::room("an operand laid out anew", view.len())?;
    match view.as_slice() {
        Some(slice) => values.extend_from_slice(slice),
        None => values.extend(view.iter().cloned()),
    }
    Ok(values)
}
