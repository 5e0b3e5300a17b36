//! A named operation as what it is: convolutions in a row, whose operands are views of the caller's arrays.
//!
//! Every function of [`theano`](crate::theano), [`signal`](crate::signal) and [`ndimage`](crate::ndimage), and every job of the command line, is
//! one of these before anything runs: plain data that can be compared, planned, and differentiated
//! ([`Operation::gradient`]).

mod batch;
mod constant;
mod error;
mod gradient;
mod view;

use crate::algorithm_name::Algorithm;
use crate::problem::ConvProblem;
pub use crate::problem::Role;

pub(crate) use batch::Batched;
pub use constant::Constant;
pub(crate) use constant::place;
pub use error::OperationError;
pub(crate) use gradient::bias_gradient;
pub use view::{Change, View};

/// Where an array comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum ArgumentSource {
    /// The caller's operand of this number.
    Operand(usize),
    /// The result of an earlier step.
    Step(usize),
    /// A part of the operation itself, repeated along axes where it has an extent of 1.
    Constant(Constant),
}

/// An array from somewhere, seen in some way.
#[derive(Clone, Debug, PartialEq)]
pub struct Argument {
    /// Where it comes from.
    pub source: ArgumentSource,
    /// How it is seen.
    pub view: View,
}

impl Argument {
    /// The same, also seen in this way.
    #[must_use]
    pub fn seen(self, view: View) -> Self {
        Self { view: self.view.then_all(&view), ..self }
    }

    /// A constant.
    pub fn constant(constant: Constant) -> Self {
        Self { source: ArgumentSource::Constant(constant), view: View::default() }
    }
}

/// One convolution of an operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What is computed; its element is replaced when the operation is planned.
    pub problem: ConvProblem,
    /// The algorithm that is asked before the others.
    pub prefers: Option<Algorithm>,
    /// From what.
    pub operands: Vec<(Role, Argument)>,
}

/// An operation on operands of known shapes: convolutions, each on operands, constants and results of those before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    name: String,
    operands: Vec<(&'static str, Vec<usize>)>,
    steps: Vec<Step>,
    result: Argument,
}

/// Puts an [`Operation`] together.
#[derive(Clone, Debug)]
pub struct OperationBuilder(Operation);

impl OperationBuilder {
    /// The next operand, of this name and shape.
    pub fn operand(&mut self, name: &'static str, shape: &[usize]) -> Argument {
        self.0.operands.push((name, shape.to_vec()));
        Argument { source: ArgumentSource::Operand(self.0.operands.len() - 1), view: View::default() }
    }

    /// The name of the last operand.
    pub(crate) fn last_operand(&self) -> &'static str {
        self.0.operands.last().map_or("", |(name, _)| name)
    }

    /// The next step; gives its result, in the logical order of `problem`.
    pub fn step(
        &mut self,
        problem: ConvProblem,
        prefers: Option<Algorithm>,
        operands: impl Into<Vec<(Role, Argument)>>,
    ) -> Argument {
        self.0.steps.push(Step { problem, prefers, operands: operands.into() });
        Argument { source: ArgumentSource::Step(self.0.steps.len() - 1), view: View::default() }
    }

    /// The operation that gives `result`.
    ///
    /// # Errors
    ///
    /// [`OperationError::Operand`] if an array is not of the shape in which it is used, [`OperationError::View`] if it cannot
    /// be seen as it is to be, or if there is no step.
    pub fn finish(self, result: Argument) -> Result<Operation, OperationError> {
        Operation::checked(Operation { result, ..self.0 })
    }
}

impl Operation {
    /// An operation of this name, without anything yet.
    pub fn builder(name: impl Into<String>) -> OperationBuilder {
        let result = Argument { source: ArgumentSource::Operand(0), view: View::default() };
        OperationBuilder(Self { name: name.into(), operands: Vec::new(), steps: Vec::new(), result })
    }

    /// One convolution of operands in the logical order of `problem`.
    ///
    /// # Errors
    ///
    /// [`OperationError::Operand`] if a shape is not the problem's.
    pub fn single(
        name: impl Into<String>,
        problem: ConvProblem,
        prefers: Option<Algorithm>,
        operands: &[(&'static str, Role, &[usize])],
    ) -> Result<Self, OperationError> {
        let mut builder = Self::builder(name);
        let arguments: Vec<_> =
            operands.iter().map(|&(name, role, shape)| (role, builder.operand(name, shape))).collect();
        let result = builder.step(problem, prefers, arguments);
        builder.finish(result)
    }

    /// Checks every shape. Steps only use what came before them.
    fn checked(self) -> Result<Self, OperationError> {
        if self.steps.is_empty() {
            return Err(OperationError::View { step: 0 });
        }
        for (at, step) in self.steps.iter().enumerate() {
            let count = |role| step.operands.iter().filter(|(r, _)| *r == role).count();
            // A residual is no operand of a step.
            if step.problem.epilogue().beta.is_some()
                || Role::ALL.iter().any(|&role| count(role) != usize::from(role.is_used(&step.problem)))
            {
                return Err(OperationError::View { step: at });
            }
            for (role, argument) in &step.operands {
                let wanted = role.shape(&step.problem);
                let got = self.shape_before(argument, at).ok_or(OperationError::View { step: at })?;
                let fits = match argument.source {
                    ArgumentSource::Constant(_) => {
                        got.len() == wanted.len() && got.iter().zip(&wanted).all(|(g, w)| g == w || *g == 1)
                    }
                    _ => got == wanted,
                };
                if !fits {
                    return Err(self.unfit(argument, *role, wanted, got));
                }
            }
        }
        let steps = self.steps.len();
        self.shape_before(&self.result, steps).ok_or(OperationError::View { step: steps })?;
        Ok(self)
    }

    /// The error of an argument that is seen in the shape `got`; an operand's shapes are told in its own order.
    fn unfit(&self, argument: &Argument, role: Role, wanted: Vec<usize>, got: Vec<usize>) -> OperationError {
        let role = role.name();
        match argument.source {
            ArgumentSource::Operand(operand) => {
                let (operand, own) = &self.operands[operand];
                match argument.view.adjoint().shape(&wanted) {
                    Some(wanted) => OperationError::Operand { operand, role, wanted, got: own.clone() },
                    None => OperationError::Operand { operand, role, wanted, got },
                }
            }
            ArgumentSource::Step(_) => {
                OperationError::Operand { operand: "intermediate result", role, wanted, got }
            }
            ArgumentSource::Constant(_) => OperationError::Operand { operand: "constant", role, wanted, got },
        }
    }

    /// The shape of an argument that uses only what came before step `at`.
    fn shape_before(&self, argument: &Argument, at: usize) -> Option<Vec<usize>> {
        match &argument.source {
            ArgumentSource::Operand(operand) => argument.view.shape(&self.operands.get(*operand)?.1),
            ArgumentSource::Step(step) => {
                argument.view.shape(&self.steps[..at].get(*step)?.problem.result().shape())
            }
            ArgumentSource::Constant(constant) => argument.view.shape(&constant.shape()),
        }
    }

    /// Its name: that of a job's `op`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Names and shapes of its operands.
    pub fn operands(&self) -> &[(&'static str, Vec<usize>)] {
        &self.operands
    }

    /// Its convolutions, the first one first.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Where its result comes from.
    pub fn result(&self) -> &Argument {
        &self.result
    }

    /// A bound on the magnitude of every sum in it, for operands of which the largest magnitudes are these:
    /// [`Element::of_exact_integers`](crate::Element::of_exact_integers) says in what integers are then exact.
    pub fn largest_sum(&self, largest: &[f64]) -> f64 {
        let mut results: Vec<f64> = Vec::new();
        for step in &self.steps {
            let magnitude = |argument: &Argument| match &argument.source {
                ArgumentSource::Operand(operand) => largest.get(*operand).copied().unwrap_or(f64::INFINITY),
                ArgumentSource::Step(step) => results[*step],
                ArgumentSource::Constant(constant) => constant.largest(),
            };
            let (mut product, mut bias) = (step.problem.terms() as f64, 0.0);
            for (role, argument) in &step.operands {
                match role {
                    Role::Bias | Role::Residual => bias += magnitude(argument),
                    Role::Input => product *= magnitude(argument).max(step.problem.boundary().fill().abs()),
                    Role::Weight | Role::GradOutput => product *= magnitude(argument),
                }
            }
            results.push(product + bias);
        }
        results.into_iter().fold(0.0, f64::max)
    }

    /// The shape of its result.
    #[allow(clippy::missing_panics_doc, reason = "it does not panic, as said below")]
    pub fn shape(&self) -> Vec<usize> {
        // No panic: it was computed when the operation was made.
        self.shape_before(&self.result, self.steps.len()).expect("every step takes the shape before it")
    }
}
