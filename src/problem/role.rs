//! The operands of a convolution by what they are to it.

use std::borrow::Cow;
use std::ops::{Index, IndexMut};

use super::{ConvProblem, Direction, TensorLayout};

/// What an operand is to its convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// `x: [n, c_in, X..]`
    Input,
    /// `w: [c_out, c_in/groups, K..]`
    Weight,
    /// The gradient of `y: [n, c_out, Y..]`
    GradOutput,
    /// One number per channel of the result.
    Bias,
    /// Added to the result, of its shape.
    Residual,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Input, Self::Weight, Self::GradOutput, Self::Bias, Self::Residual];

    /// Whether `problem` reads an operand in this role.
    pub fn is_used(self, problem: &ConvProblem) -> bool {
        match self {
            Self::Bias => problem.epilogue().bias,
            Self::Residual => problem.epilogue().beta.is_some(),
            Self::Input | Self::Weight | Self::GradOutput => self != Self::of_result(problem),
        }
    }

    /// The role that the result of `problem` has in the forward convolution.
    pub(crate) fn of_result(problem: &ConvProblem) -> Self {
        match problem.direction() {
            Direction::Forward => Self::GradOutput,
            Direction::GradInput => Self::Input,
            Direction::GradWeight => Self::Weight,
        }
    }

    /// Its name among the operands of a plan.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Weight => "weight",
            Self::GradOutput => "grad_output",
            Self::Bias => "bias",
            Self::Residual => "residual",
        }
    }

    /// The layout that `problem` wants in this role.
    pub(crate) fn layout(self, problem: &ConvProblem) -> Cow<'_, TensorLayout> {
        Cow::Borrowed(match self {
            Self::Input => problem.input(),
            Self::Weight => problem.weight(),
            Self::GradOutput => problem.output(),
            Self::Residual => problem.result(),
            Self::Bias => {
                let len = problem.bias_len();
                return Cow::Owned(TensorLayout {
                    extents: vec![len],
                    strides: vec![1],
                    span: len,
                    first: 0,
                });
            }
        })
    }

    /// The shape that `problem` wants in this role.
    pub fn shape(self, problem: &ConvProblem) -> Vec<usize> {
        self.layout(problem).shape()
    }
}

/// One value for each role of an operand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerRole<T> {
    /// Of `x: [n, c_in, X..]`
    pub input: T,
    /// Of `w: [c_out, c_in/groups, K..]`, unshared `[c_out, Y.., c_in/groups, K..]`
    pub weight: T,
    /// Of the gradient of `y: [n, c_out, Y..]`
    pub grad_output: T,
    /// Of one number per channel of the result.
    pub bias: T,
    /// Of what is added to the result, of its shape.
    pub residual: T,
}

impl<T> PerRole<T> {
    /// What `of` says of each role.
    pub fn new(mut of: impl FnMut(Role) -> T) -> Self {
        Self {
            input: of(Role::Input),
            weight: of(Role::Weight),
            grad_output: of(Role::GradOutput),
            bias: of(Role::Bias),
            residual: of(Role::Residual),
        }
    }

    /// What `of` says of each role.
    ///
    /// # Errors
    ///
    /// The first error of `of`.
    pub fn try_new<E>(mut of: impl FnMut(Role) -> Result<T, E>) -> Result<Self, E> {
        Ok(Self {
            input: of(Role::Input)?,
            weight: of(Role::Weight)?,
            grad_output: of(Role::GradOutput)?,
            bias: of(Role::Bias)?,
            residual: of(Role::Residual)?,
        })
    }

    /// What `of` makes of each value.
    pub fn map<'a, U>(&'a self, mut of: impl FnMut(&'a T) -> U) -> PerRole<U> {
        PerRole::new(|role| of(&self[role]))
    }

    /// Every role with its value.
    pub fn iter(&self) -> impl Iterator<Item = (Role, &T)> {
        Role::ALL.into_iter().map(|role| (role, &self[role]))
    }
}

impl<T> Index<Role> for PerRole<T> {
    type Output = T;

    fn index(&self, role: Role) -> &T {
        match role {
            Role::Input => &self.input,
            Role::Weight => &self.weight,
            Role::GradOutput => &self.grad_output,
            Role::Bias => &self.bias,
            Role::Residual => &self.residual,
        }
    }
}

impl<T> IndexMut<Role> for PerRole<T> {
    fn index_mut(&mut self, role: Role) -> &mut T {
        match role {
            Role::Input => &mut self.input,
            Role::Weight => &mut self.weight,
            Role::GradOutput => &mut self.grad_output,
            Role::Bias => &mut self.bias,
            Role::Residual => &mut self.residual,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Conv, Epilogue, Layout};
    use super::*;

    #[test]
    fn every_role_has_a_place_of_its_own() {
        let mut numbers = PerRole::new(|role| role as usize);
        for role in Role::ALL {
            numbers[role] += 10;
        }
        let all: Vec<_> = numbers.iter().map(|(role, &number)| (role, number)).collect();
        assert_eq!(all, [10, 11, 12, 13, 14].map(|number| (Role::ALL[number - 10], number)));
        let PerRole { input, weight, grad_output, bias, residual } = numbers.map(|number| number * 2);
        assert_eq!([input, weight, grad_output, bias, residual], [20, 22, 24, 26, 28]);
        let stops = PerRole::try_new(|role| if role == Role::Bias { Err(role) } else { Ok(role) });
        assert_eq!(stops, Err(Role::Bias));
    }

    #[test]
    fn a_problem_says_what_it_reads_and_in_which_layout() {
        let epilogue = Epilogue { bias: true, beta: Some(0.5), ..Epilogue::default() };
        let conv = Conv::default().groups(2).epilogue(epilogue);
        for direction in [Direction::Forward, Direction::GradInput] {
            let problem = ConvProblem::new(&[3, 4, 9], &[6, 2, 2], &conv.clone().direction(direction));
            let problem = problem.expect("a convolution");
            let used: Vec<_> = Role::ALL.into_iter().filter(|role| role.is_used(&problem)).collect();
            assert_eq!(used.len(), 4);
            assert!(!used.contains(&Role::of_result(&problem)));
            let channels = if direction == Direction::Forward { 6 } else { 4 };
            let bias = TensorLayout::new("bias", &[channels], &Layout::Ncx).expect("a line");
            assert_eq!(*Role::Bias.layout(&problem), bias);
            assert_eq!(Role::Residual.shape(&problem), problem.result().shape());
        }
    }
}
