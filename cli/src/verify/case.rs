//! A problem with operands that its element type holds exactly.

use wgconv::internals::cpu::reference::{self, Operands64};
use wgconv::ndarray::{ArrayD, ArrayViewD};
use wgconv::operation::{ArgumentSource, Role};
use wgconv::{ConvProblem, Operation};

use crate::failure::Failure;
use crate::operands::Number;

/// One comparison to be made.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) problem: ConvProblem,
    operands: Vec<(Role, ArrayD<f64>)>,
}

impl Case {
    pub(super) fn new(
        name: impl Into<String>,
        problem: ConvProblem,
        operands: Vec<(Role, ArrayD<f64>)>,
    ) -> Self {
        Self { name: name.into(), problem, operands }
    }

    /// Every convolution of an operation on arrays of `T`. One that is computed from another gets the reference's result,
    /// rounded.
    pub(super) fn of_operation<T: Number>(
        name: &str,
        operation: &Operation,
        arrays: &[ArrayD<T>],
    ) -> Result<Vec<Self>, Failure> {
        let arrays: Vec<_> = arrays.iter().map(|array| array.mapv(Into::into)).collect();
        let (mut cases, mut results): (_, Vec<ArrayD<f64>>) = (Vec::new(), Vec::new());
        for (at, step) in operation.steps().iter().enumerate() {
            let problem = step.problem.with_element(T::ELEMENT)?;
            let mut operands = Vec::new();
            for (role, argument) in &step.operands {
                let constant;
                let source = match &argument.source {
                    ArgumentSource::Operand(operand) => arrays[*operand].view(),
                    ArgumentSource::Step(step) => results[*step].view(),
                    ArgumentSource::Constant(described) => {
                        constant = described.array();
                        constant.view()
                    }
                };
                // No panic: both were checked when the operation was made.
                let seen = argument.view.of(source).expect("a view of the operand");
                // No panic: a constant has the role's extents, or 1.
                let whole = seen.broadcast(role.shape(&problem)).expect("an operand of the role's shape");
                operands.push((*role, rounded::<T>(&whole)));
            }
            let several = operation.steps().len() > 1;
            let name = if several { format!("{name}, step {}", at + 1) } else { name.to_owned() };
            let case = Self::new(name, problem, operands);
            if at + 1 < operation.steps().len() {
                results.push(rounded::<T>(&case.reference().0.view()));
            }
            cases.push(case);
        }
        Ok(cases)
    }

    /// The operands in the problem's element type.
    pub(super) fn typed<T: Number>(&self) -> Vec<(Role, ArrayD<T>)> {
        self.operands.iter().map(|(role, array)| (*role, array.mapv(T::from_f64))).collect()
    }

    fn operand(&self, wanted: Role) -> Option<ArrayViewD<'_, f64>> {
        self.operands.iter().find(|(role, _)| *role == wanted).map(|(_, array)| array.view())
    }

    fn wide(&self) -> Operands64<'_> {
        Operands64::new(|role| self.operand(role))
    }

    /// What is right, and the magnitudes of its bounds.
    pub(super) fn reference(&self) -> (ArrayD<f64>, ArrayD<f64>) {
        let operands = self.wide();
        (reference::run(&self.problem, &operands), reference::magnitude(&self.problem, &operands))
    }

    /// Whether every operand is made of integers.
    pub(super) fn is_of_integers(&self) -> bool {
        self.operands.iter().flat_map(|(_, array)| array).all(|value| value.fract() == 0.0)
    }
}

/// The values that `T` has nearest to these.
fn rounded<T: Number>(values: &ArrayViewD<'_, f64>) -> ArrayD<f64> {
    values.mapv(|value| T::from_f64(value).into())
}
