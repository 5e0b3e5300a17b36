//! The gradient of an operation, which is an operation again: every step is linear in each of its operands, up to what the
//! others and a constant outside add, and its adjoint is the same convolution in another direction.

use super::{Argument, ArgumentSource, Constant, Operation, OperationError, Role, Step, View};
use crate::problem::{
    Boundary, Conv, ConvProblem, Direction, Element, Epilogue, Layout, Layouts, ProblemError,
};

impl Operation {
    /// The gradient by operand `by`: an operation on the operands of this one and, behind them, the gradient
    /// of its result. It is multilinear as this one is, so gradients of any order are taken the same way.
    ///
    /// # Errors
    ///
    /// [`OperationError::NoOperand`] if there is no such operand, [`OperationError::Independent`] if the result does not
    /// depend on it, [`OperationError::NotLinear`] if it is used twice or passes an activation on its way; [`OperationError::Problem`] if explicit strides
    /// that an operand may have cannot be those of a result.
    pub fn gradient(&self, by: usize) -> Result<Self, OperationError> {
        let missing = || OperationError::NoOperand { operands: self.operands.len(), got: by };
        let &(name, _) = self.operands.get(by).ok_or_else(missing)?;
        let independent = || OperationError::Independent { operand: name };
        if self.paths(&self.result, by) > 1 {
            return Err(OperationError::NotLinear { operand: name });
        }
        let mut gradient = Self {
            name: format!("gradient of {} by {name}", self.name),
            operands: self.operands.clone(),
            steps: self.steps.clone(),
            result: Argument { source: ArgumentSource::Operand(self.operands.len()), view: View::default() },
        };
        gradient.operands.push(("output_grad", self.shape()));
        // From the result backwards, the gradient by what `at` stands for.
        let mut at = &self.result;
        loop {
            gradient.result = gradient.result.seen(at.view.adjoint());
            let &ArgumentSource::Step(step) = &at.source else { break };
            let (role, argument) = self.steps[step]
                .operands
                .iter()
                .find(|(_, a)| self.paths(a, by) > 0)
                .ok_or_else(independent)?;
            let epilogue = self.steps[step].problem.epilogue();
            if *epilogue != (Epilogue { bias: epilogue.bias, ..Epilogue::default() }) {
                return Err(OperationError::NotLinear { operand: name });
            }
            let adjoint = self.steps[step].adjoint(*role, gradient.result)?;
            gradient.result =
                Argument { source: ArgumentSource::Step(gradient.steps.len()), view: View::default() };
            if *role == Role::Bias {
                // The sums stand along the first axis of a weight of single taps.
                let shape = adjoint.problem.weight().shape();
                gradient.result.view = View::default().reshaped(shape.clone(), [shape[0]]);
            }
            gradient.steps.push(adjoint);
            at = argument;
        }
        gradient.prune();
        Self::checked(gradient)
    }

    /// In how many ways the argument is computed from operand `by`.
    fn paths(&self, argument: &Argument, by: usize) -> usize {
        match argument.source {
            ArgumentSource::Operand(operand) => usize::from(operand == by),
            ArgumentSource::Step(step) => {
                self.steps[step].operands.iter().map(|(_, a)| self.paths(a, by)).sum()
            }
            ArgumentSource::Constant(_) => 0,
        }
    }

    /// Drops the steps whose results nothing uses.
    fn prune(&mut self) {
        let mut used = vec![false; self.steps.len()];
        let mut open = vec![&self.result.source];
        while let Some(source) = open.pop() {
            if let ArgumentSource::Step(step) = *source {
                used[step] = true;
                open.extend(self.steps[step].operands.iter().map(|(_, argument)| &argument.source));
            }
        }
        let place = |step: usize| used[..step].iter().filter(|&&used| used).count();
        let moved = |argument: &mut Argument| {
            if let ArgumentSource::Step(step) = &mut argument.source {
                *step = place(*step);
            }
        };
        moved(&mut self.result);
        for step in &mut self.steps {
            step.operands.iter_mut().for_each(|(_, argument)| moved(argument));
        }
        let mut keep = used.iter();
        self.steps.retain(|_| keep.next().is_some_and(|&used| used));
    }
}

impl Step {
    /// The gradient by the operand in `role`, from the gradient of the result.
    fn adjoint(&self, role: Role, gradient: Argument) -> Result<Self, ProblemError> {
        let result = self.problem.result().shape();
        if role == Role::Bias {
            let problem = bias_gradient(&result, Element::F64)?;
            let ones = Argument::constant(Constant::One { axes: result.len() });
            let operands = vec![(Role::Input, ones), (Role::GradOutput, gradient)];
            return Ok(Self { problem, prefers: None, operands });
        }
        let direction = match role {
            Role::Input => Direction::GradInput,
            Role::Weight => Direction::GradWeight,
            Role::GradOutput | Role::Bias | Role::Residual => Direction::Forward,
        };
        // The gradient by the input is that of the padded input without what is outside: a constant there is no part of it.
        let constant = matches!(self.problem.boundary(), Boundary::Constant(_));
        let inner = if constant && self.problem.direction() == Direction::GradInput {
            self.problem.with_boundary(Boundary::Zero)?
        } else {
            self.problem.clone()
        };
        let others = self.operands.iter().filter(|(r, _)| *r != role && *r != Role::Bias).cloned();
        let operands = others.chain([(Role::of_result(&self.problem), gradient)]).collect();
        Ok(Self { problem: inner.with_direction(direction)?, prefers: self.prefers, operands })
    }
}

/// The gradient of a bias of `[n, c, X..]`: that of the weight of a single tap per channel, over an input that is 1
/// everywhere, which is one number that all strides of 0 read.
pub(crate) fn bias_gradient(shape: &[usize], element: Element) -> Result<ConvProblem, ProblemError> {
    let (mut x, mut w) = (shape.to_vec(), vec![1; shape.len()]);
    if let ([_, channels, ..], [_, one, ..], [filters, ..]) = (shape, &mut x[..], &mut w[..]) {
        (*one, *filters) = (1, *channels);
    }
    let ones = Layouts { input: Layout::Strides(vec![0; x.len()]), ..Layouts::default() };
    let conv = Conv::default().layouts(ones).element(element).direction(Direction::GradWeight);
    ConvProblem::new(&x, &w, &conv)
}
