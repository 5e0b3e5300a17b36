//! The CPU path: `f32` and `f64`, every problem that can be described, the same bits whatever the number of threads.

mod direct;
mod fft;
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

use ndarray::{ArrayD, ArrayView1, ArrayViewD};

use crate::algorithm_name::Algorithm;
use crate::implementation::{Cannot, PlanContext};
use crate::problem::{ConvProblem, Direction, TensorLayout, to_usize};
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

/// The weight operand of a [`CpuPlan`].
#[derive(Clone, Debug)]
pub enum CpuWeight<'a, T> {
    /// With any strides.
    View(ArrayViewD<'a, T>),
    /// Prepared once by [`CpuPlan::prepare`].
    Prepared(&'a CpuWeights<T>),
}

impl<'a, T> From<ArrayViewD<'a, T>> for CpuWeight<'a, T> {
    fn from(view: ArrayViewD<'a, T>) -> Self {
        Self::View(view)
    }
}

impl<'a, T> From<&'a CpuWeights<T>> for CpuWeight<'a, T> {
    fn from(weights: &'a CpuWeights<T>) -> Self {
        Self::Prepared(weights)
    }
}

/// What [`CpuPlan::run`] reads, in logical order and with any strides. Which are read follows from the direction and the
/// epilogue: `input` and `weight` forward, `grad_output` and `weight` for the gradient of the input, `input` and
/// `grad_output` for that of the weight.
#[derive(Clone, Debug)]
pub struct CpuOperands<'a, T> {
    /// `x: [n, c_in, X..]`
    pub input: Option<ArrayViewD<'a, T>>,
    /// `w: [c_out, c_in/groups, K..]`, unshared `[c_out, Y.., c_in/groups, K..]`
    pub weight: Option<CpuWeight<'a, T>>,
    /// The gradient of `y: [n, c_out, Y..]`
    pub grad_output: Option<ArrayViewD<'a, T>>,
    /// Of the result's shape.
    pub residual: Option<ArrayViewD<'a, T>>,
    /// One number per channel of the result.
    pub bias: Option<ArrayView1<'a, T>>,
}

impl<T> Default for CpuOperands<'_, T> {
    fn default() -> Self {
        Self { input: None, weight: None, grad_output: None, residual: None, bias: None }
    }
}

impl CpuPlan {
    /// Plans `problem` with `algorithm`.
    ///
    /// # Errors
    ///
    /// The fact that rules it out.
    pub fn new(problem: &ConvProblem, algorithm: Algorithm) -> Result<Self, Cannot> {
        let own = CPU.iter().find(|implementation| implementation.algorithm() == algorithm);
        let context = PlanContext::new(Target::cpu(threads()));
        let candidates =
            own.ok_or(Cannot::NotOnDevice { has: Algorithm::on_cpu() })?.plan(problem, &context)?;
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
        let weight = match &operands.weight {
            Some(CpuWeight::View(view)) => Some(view),
            _ => None,
        };
        let views =
            [operands.input.as_ref(), operands.grad_output.as_ref(), operands.residual.as_ref(), weight];
        let copied = |view: &&ArrayViewD<'_, T>| !view.is_standard_layout();
        let copies: u64 = views.into_iter().flatten().filter(copied).map(|view| view.len() as u64).sum();
        self.workspace_bytes().saturating_add(copies.saturating_mul(8))
    }

    /// Algorithm, threads and workspace in words.
    pub(crate) fn explain(&self) -> String {
        format!("{} ({}), workspace {} bytes\n", self.algorithm, self.config(), self.workspace_bytes())
    }

    fn config(&self) -> CpuConfig {
        CpuConfig::new(self.algorithm, self.transform_lengths())
    }

    /// The result of the problem, in logical order, computed in `T` (by the reference in f64, then rounded).
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
    pub fn run<T: Real>(&self, operands: &CpuOperands<'_, T>) -> Result<ArrayD<T>, OutOfMemory> {
        T::run(self, operands)
    }

    fn run_in<T: Real>(&self, operands: &CpuOperands<'_, T>) -> Result<ArrayD<T>, OutOfMemory> {
        match &self.loops {
            Loops::Reference => run_reference(&self.problem, operands),
            loops => run_slices(&self.problem, loops, operands),
        }
    }
}

fn run_slices<T: Real>(
    problem: &ConvProblem,
    loops: &Loops,
    operands: &CpuOperands<'_, T>,
) -> Result<ArrayD<T>, OutOfMemory> {
    let direction = problem.direction();
    let input = match direction {
        Direction::GradInput => Cow::default(),
        _ => given(operands.input.as_ref(), problem.input())?,
    };
    let weight = match (direction, &operands.weight) {
        (Direction::GradWeight, _) => Cow::default(),
        (_, Some(CpuWeight::View(view))) => standard(view)?,
        (_, Some(CpuWeight::Prepared(weights))) => Cow::Borrowed(&weights.values[..]),
        (_, None) => given(None, problem.weight())?,
    };
    let grad_output = match direction {
        Direction::Forward => Cow::default(),
        _ => given(operands.grad_output.as_ref(), problem.output())?,
    };
    let residual = match &operands.residual {
        Some(residual) if problem.epilogue().beta.is_some() => Some(standard(residual)?),
        _ => None,
    };
    let bias = operands.bias.as_ref().filter(|_| problem.epilogue().bias).map(|view| view.to_vec());
    let slices = direct::Slices {
        input: &input,
        weight: &weight,
        grad_output: &grad_output,
        residual: residual.as_deref(),
        bias: bias.as_deref(),
    };
    let prepared = match &operands.weight {
        Some(CpuWeight::Prepared(weights)) => weights.spectra.as_deref(),
        _ => None,
    };
    let result = match loops {
        Loops::Fft(fft, direct) => fft.run(problem, direct, slices, prepared)?,
        Loops::Direct(direct) => direct.run(problem, slices)?,
        // No panic: the reference takes no slices, it ran before.
        Loops::Reference => unreachable!("the reference takes no slices"),
    };
    // No panic: the problem checked that the shape can be addressed, and the result is made for it.
    Ok(ArrayD::from_shape_vec(problem.result().shape(), result).expect("as many results as elements"))
}

fn run_reference<T: Real>(
    problem: &ConvProblem,
    operands: &CpuOperands<'_, T>,
) -> Result<ArrayD<T>, OutOfMemory> {
    // Asked for at once: the reference itself knows of no error.
    let elements = [problem.input(), problem.weight(), problem.output(), problem.result()];
    let elements = elements.iter().fold(0, |sum: u64, tensor| sum.saturating_add(tensor.len()));
    drop(memory::room::<f64>(
        "operands in double precision",
        usize::try_from(elements).unwrap_or(usize::MAX),
    )?);
    let wide = |view: &ArrayViewD<'_, T>| view.mapv(T::to_f64);
    let input = operands.input.as_ref().map(wide);
    let weight = operands.weight.as_ref().map(|weight| match weight {
        CpuWeight::View(view) => wide(view),
        CpuWeight::Prepared(weights) => {
            let values = weights.values.iter().map(|v| v.to_f64()).collect();
            // No panic: they were prepared for this problem, so they are of its shape.
            ArrayD::from_shape_vec(problem.weight().shape(), values).expect("as many weights as elements")
        }
    });
    let grad_output = operands.grad_output.as_ref().map(wide);
    let residual = operands.residual.as_ref().map(wide);
    let bias = operands.bias.as_ref().map(|view| view.mapv(T::to_f64));
    let operands = reference::Operands64 {
        input: input.as_ref().map(|a| a.view()),
        weight: weight.as_ref().map(|a| a.view()),
        grad_output: grad_output.as_ref().map(|a| a.view()),
        residual: residual.as_ref().map(|a| a.view()),
        bias: bias.as_ref().map(|a| a.view()),
    };
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
