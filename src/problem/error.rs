//! What can be wrong with the description of a convolution.

use super::Element;

/// Why shapes and a [`Conv`](super::Conv) do not make a convolution.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ProblemError {
    /// The operands' axis counts do not belong together or are not those of rank 1, 2 or 3.
    #[error(
        "an input of {input} axes and a weight of {weight} do not make a convolution: \
         wanted rank + 2 each with rank 1, 2 or 3 (an unshared weight has 2·rank + 2)"
    )]
    Rank {
        /// Axes of the input's shape.
        input: usize,
        /// Axes of the weight's shape.
        weight: usize,
    },
    /// The weight's input channels are not the input's, divided by the groups.
    #[error(
        "the weight has {got} input channels per group, wanted {wanted} (input channels {input} / groups {groups})"
    )]
    Channels {
        /// Channels of the input.
        input: u64,
        /// Channel groups.
        groups: u64,
        /// `input / groups`.
        wanted: u64,
        /// The weight's.
        got: u64,
    },
    /// The groups do not divide the channels.
    #[error(
        "groups {groups} must be at least 1 and divide both the {c_in} input and the {c_out} output channels"
    )]
    Groups {
        /// Channel groups.
        groups: u64,
        /// Channels of the input.
        c_in: u64,
        /// Channels of the output.
        c_out: u64,
    },
    /// A stride of 0.
    #[error("stride of axis {axis} is 0, wanted at least 1")]
    Stride {
        /// Spatial axis.
        axis: usize,
    },
    /// A stride list of the wrong length.
    #[error("{got} strides came for {wanted} spatial axes")]
    StridesPerAxis {
        /// Spatial axes.
        wanted: usize,
        /// Entries in the list.
        got: usize,
    },
    /// A dilation of 0.
    #[error("dilation of axis {axis} is 0, wanted at least 1 (1 is dense)")]
    Dilation {
        /// Spatial axis.
        axis: usize,
    },
    /// A dilation list of the wrong length.
    #[error("{got} dilations came for {wanted} spatial axes")]
    DilationsPerAxis {
        /// Spatial axes.
        wanted: usize,
        /// Entries in the list.
        got: usize,
    },
    /// A padding list of the wrong length.
    #[error("padding for {got} axes came, wanted {wanted}")]
    PaddingCount {
        /// Spatial axes.
        wanted: usize,
        /// Entries in the list.
        got: usize,
    },
    /// The kernel's reach exceeds the padded input.
    #[error("kernel reaches {span} cells on axis {axis}, the padded input has {padded}")]
    KernelTooLarge {
        /// Spatial axis.
        axis: usize,
        /// `(K − 1)·dilation + 1`
        span: u64,
        /// `X + begin + end`
        padded: i128,
    },
    /// A kernel or input extent of 0.
    #[error("{tensor} extent of spatial axis {axis} is 0")]
    EmptyExtent {
        /// `input` or `kernel`.
        tensor: &'static str,
        /// Spatial axis.
        axis: usize,
    },
    /// An unshared weight's output extents are not the convolution's.
    #[error("the unshared weight is for {got} output positions on axis {axis}, the convolution has {wanted}")]
    UnsharedOutput {
        /// Spatial axis.
        axis: usize,
        /// The convolution's output extent.
        wanted: u64,
        /// The weight's.
        got: u64,
    },
    /// A size does not fit 63 bits, or a coordinate not 62.
    #[error("{what} is too large: sizes are counted in 63 bits, coordinates along an axis in 62")]
    Overflow {
        /// What was computed.
        what: &'static str,
    },
    /// Explicit strides of the wrong number.
    #[error("{got} strides came for the {wanted} axes of the {tensor}")]
    StrideCount {
        /// Whose.
        tensor: &'static str,
        /// Its axes.
        wanted: usize,
        /// Entries in the list.
        got: usize,
    },
    /// Explicit strides let two elements of the result share a place.
    #[error("strides {strides:?} of the {tensor} let elements of extents {extents:?} overlap")]
    OverlappingStrides {
        /// Whose.
        tensor: &'static str,
        /// Its extents.
        extents: Vec<u64>,
        /// Strides in elements.
        strides: Vec<u64>,
    },
    /// A number of the description is NaN, infinite, or too large for the element's arithmetic.
    #[error("{what} is {value}, wanted a number that is finite in {} arithmetic", element.name())]
    NonFinite {
        /// Which number.
        what: &'static str,
        /// Its value.
        value: f64,
        /// What must hold it: of a boundary the storage of its elements, of an epilogue the arithmetic.
        element: Element,
    },
    /// A clamp whose limits leave nothing between them.
    #[error("clamp from {low} to {high}: the lower limit is above the upper one")]
    EmptyClamp {
        /// Smallest value let through.
        low: f64,
        /// Largest value let through.
        high: f64,
    },
    /// A transposed convolution under a constant boundary, which has no adjoint.
    #[error(
        "a transposed convolution has no constant boundary (it is {value}): wanted zero or one that repeats cells"
    )]
    TransposedConstant {
        /// The constant.
        value: f64,
    },
    /// The weight of a transposed convolution is for another number of input channels.
    #[error("the input has {input} channels, the transposed weight is for {weight}")]
    TransposedChannels {
        /// Channels of the input.
        input: u64,
        /// First extent of the weight.
        weight: u64,
    },
    /// An output padding that leads to another number of windows.
    #[error(
        "output padding of axis {axis} is {got}, wanted less than {limit}, the larger of stride and dilation"
    )]
    OutputPadding {
        /// Spatial axis.
        axis: usize,
        /// What came.
        got: i128,
        /// `max(stride, dilation)`
        limit: i128,
    },
    /// An output padding list of the wrong length.
    #[error("output padding for {got} axes came, wanted {wanted}")]
    OutputPaddingCount {
        /// Spatial axes.
        wanted: usize,
        /// Entries in the list.
        got: usize,
    },
    /// An output shape of the wrong length.
    #[error("an output shape of {got} extents came, wanted those of {wanted} spatial axes")]
    OutputShapeCount {
        /// Spatial axes.
        wanted: usize,
        /// Entries in the list.
        got: usize,
    },
    /// An output extent that the input does not lead to.
    #[error("the output extent of axis {axis} is {got}, wanted {}", range(*least, *most))]
    OutputExtent {
        /// Spatial axis.
        axis: usize,
        /// What came, or what the padding leaves.
        got: i128,
        /// The smallest that there can be.
        least: i128,
        /// The largest.
        most: i128,
    },
    /// A weight gradient has no channel axis that a bias could follow.
    #[error("the gradient of the weight takes no bias")]
    BiasOnGradWeight,
}

fn range(least: i128, most: i128) -> String {
    match most {
        i128::MAX => format!("at least {least}"),
        most if most == least => format!("{least}"),
        most => format!("{least} to {most}"),
    }
}

/// The spatial extents of inputs that lead to an output, for an error's message.
pub(crate) fn inputs_in_words(inputs: Option<&[(u64, u64)]>) -> String {
    let Some(inputs) = inputs else { return "no input leads to it".into() };
    let range = |&(least, most): &(u64, u64)| {
        if least == most { least.to_string() } else { format!("{least} to {most}") }
    };
    let ranges: Vec<_> = inputs.iter().map(range).collect();
    format!("inputs of spatial extents [{}] lead to it", ranges.join(", "))
}
