//! What can be wrong with a named operation beyond what can be wrong with a convolution.

use crate::problem::{Padding, ProblemError, inputs_in_words};

/// Why operands and parameters do not make the named operation.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OperationError {
    /// A convolution of the operation is none.
    #[error(transparent)]
    Problem(#[from] ProblemError),
    /// An operand of the wrong number of axes.
    #[error("{operand} has {got} axes, wanted {wanted}")]
    Axes {
        /// Which operand.
        operand: &'static str,
        /// What there may be.
        wanted: &'static str,
        /// What came.
        got: usize,
    },
    /// An array is not of the shape that the convolution wants in its place.
    #[error("{operand} has shape {got:?} as {role}, wanted {wanted:?}")]
    Operand {
        /// Which operand.
        operand: &'static str,
        /// Its role in the convolution.
        role: &'static str,
        /// By the convolution.
        wanted: Vec<usize>,
        /// What came, seen in the convolution's order.
        got: Vec<usize>,
    },
    /// The gradient of the output is not of the shape that the input's leads to.
    #[error("{operand} has shape {got:?}, wanted {wanted:?} for this input; {}", inputs_in_words(inputs.as_deref()))]
    Gradient {
        /// Which operand.
        operand: &'static str,
        /// By the input's shape.
        wanted: Vec<usize>,
        /// What came.
        got: Vec<usize>,
        /// Smallest and largest spatial extents of inputs that lead to what came, if there are any.
        inputs: Option<Vec<(u64, u64)>>,
    },
    /// A number of channels that is not the other operand's.
    #[error("{what}: {got} channels, wanted {wanted}")]
    Channels {
        /// Which operand or parameter.
        what: &'static str,
        /// By the other operand.
        wanted: usize,
        /// What came.
        got: usize,
    },
    /// Two operands do not fit each other.
    #[error("{operand} has shape {got:?}, wanted {wanted}")]
    Shapes {
        /// Which operand.
        operand: &'static str,
        /// By the others.
        wanted: String,
        /// What came.
        got: Vec<usize>,
    },
    /// An operand without any element.
    #[error("{operand} has shape {got:?}, wanted extents of at least 1")]
    Empty {
        /// Which operand.
        operand: &'static str,
        /// Its shape.
        got: Vec<usize>,
    },
    /// A shape that was declared is not the operand's.
    #[error("{hint} is {}, but {operand} has shape {got:?}", declared_in_words(declared))]
    Hint {
        /// Which declaration.
        hint: &'static str,
        /// Of which operand.
        operand: &'static str,
        /// What it says; `None` where it says nothing.
        declared: Vec<Option<usize>>,
        /// The operand's shape.
        got: Vec<usize>,
    },
    /// A border that the operation does not have.
    #[error("border mode {}, wanted {wanted}", border_in_words(got))]
    BorderMode {
        /// What there may be.
        wanted: &'static str,
        /// What came.
        got: Padding,
    },
    /// A shape of the result that is missing, or of which the operation cannot be the result.
    #[error("{what} is {}, wanted {wanted}", in_words(got.as_deref()))]
    Target {
        /// Which parameter.
        what: &'static str,
        /// What there may be.
        wanted: String,
        /// What came, if anything did.
        got: Option<Vec<usize>>,
    },
    /// A parameter outside of what the operation knows.
    #[error("{what} is {got}, wanted {wanted}")]
    Parameter {
        /// Which parameter.
        what: &'static str,
        /// What there may be.
        wanted: String,
        /// What came.
        got: String,
    },
    /// Kernel and signal of which neither lies within the other, without padding.
    #[error(
        "mode valid of shapes {first:?} and {second:?}: wanted one at least as large as the other on every axis that is convolved"
    )]
    NeitherWithin {
        /// The first operand's.
        first: Vec<usize>,
        /// The second's.
        second: Vec<usize>,
    },
    /// A kernel's centre that is moved out of it.
    #[error("origin of axis {axis} is {got}, wanted {least} to {most} for a kernel of {kernel} cells")]
    Origin {
        /// Which axis.
        axis: usize,
        /// Cells of the kernel.
        kernel: usize,
        /// The smallest.
        least: isize,
        /// The largest.
        most: isize,
        /// What came.
        got: isize,
    },
    /// Integers whose sums may be beyond what the arithmetic holds exactly.
    #[error("sums of integers up to {largest} are not exact, wanted {wanted}")]
    Inexact {
        /// A bound on them.
        largest: f64,
        /// Up to where they are, where this is computed.
        wanted: &'static str,
    },
    /// A sum that the integer type of the operands does not hold.
    #[error("a sum is {value}, which {wanted} does not hold")]
    OutOfRange {
        /// The sum.
        value: f64,
        /// The type.
        wanted: &'static str,
    },
    /// A gradient by an operand that is not there.
    #[error("there are {operands} operands, no number {got}")]
    NoOperand {
        /// How many there are.
        operands: usize,
        /// Which was asked for, from 0.
        got: usize,
    },
    /// A gradient by an operand that the result does not depend on, as the gradient of what is linear in it does not.
    #[error("the result does not depend on {operand}: its gradient is zero")]
    Independent {
        /// Which operand.
        operand: &'static str,
    },
    /// A gradient by an operand that is used twice, or of a step with an activation: operations have those of linear ones.
    #[error(
        "the result is not linear in {operand}: wanted an operand that is used once, by steps without an activation"
    )]
    NotLinear {
        /// Which operand.
        operand: &'static str,
    },
    /// Another number of operands than the operation has.
    #[error("{got} operands came, wanted {wanted}")]
    Count {
        /// The operation's.
        wanted: usize,
        /// What came.
        got: usize,
    },
    /// A view that does not apply to its array, a step that uses a later one, or no step at all.
    #[error("step {step} is missing, or does not see its operands as they are")]
    View {
        /// Which step, from 0.
        step: usize,
    },
}

fn declared_in_words(declared: &[Option<usize>]) -> String {
    let extents: Vec<_> =
        declared.iter().map(|extent| extent.map_or("any".to_owned(), |e| e.to_string())).collect();
    format!("[{}]", extents.join(", "))
}

fn border_in_words(border: &Padding) -> String {
    match border {
        Padding::Valid => "valid".into(),
        Padding::Full => "full".into(),
        Padding::Half => "half".into(),
        Padding::SameUpper => "same_upper".into(),
        Padding::SameLower => "same_lower".into(),
        Padding::SameCentered => "same_centered".into(),
        Padding::Symmetric(cells) => cells.to_string(),
        Padding::Explicit(pairs) => format!("{pairs:?}"),
    }
}

fn in_words(shape: Option<&[usize]>) -> String {
    shape.map_or("missing".into(), |shape| format!("{shape:?}"))
}
