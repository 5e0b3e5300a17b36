//! The one primitive: a convolution with its shapes, checked.

mod boundary;
mod conv;
mod epilogue;
mod layout;
mod padding;

pub use boundary::{Boundary, Source};
pub use conv::{Conv, Direction, Element, Rounding};
pub use epilogue::{Activation, Epilogue};
pub use layout::{Layout, Layouts};
pub use padding::{Padding, PerAxis};

/// Why shapes and a [`Conv`] do not make a convolution.
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
    /// A size does not fit signed 64-bit arithmetic.
    #[error("{what} does not fit 63 bits")]
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
    /// A number of the description is NaN or infinite.
    #[error("{what} is {value}, wanted a finite number")]
    NonFinite {
        /// Which number.
        what: &'static str,
        /// Its value.
        value: f64,
    },
    /// A weight gradient has no channel axis that a bias could follow.
    #[error("the gradient of the weight takes no bias")]
    BiasOnGradWeight,
}

/// One spatial axis of a checked convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Axis {
    /// Input extent `X`.
    pub input: u64,
    /// Kernel extent `K`.
    pub kernel: u64,
    /// Output extent `Y`.
    pub output: u64,
    /// Step of the window.
    pub stride: u64,
    /// Distance between taps.
    pub dilation: u64,
    /// Padding before the input.
    pub pad_begin: u64,
    /// Padding after it as asked for; windows that hang over (ceil) or tails unused (floor) follow from `output`.
    pub pad_end: i64,
}

impl Axis {
    /// The kernel's reach `K' = (K − 1)·dilation + 1`.
    pub fn span(&self) -> u64 {
        (self.kernel - 1) * self.dilation + 1
    }

    /// Cells that the windows visit, from the first padded one: `(Y − 1)·stride + K'`.
    pub fn reach(&self) -> u64 {
        (self.output - 1) * self.stride + self.span()
    }

    /// The input coordinate under tap `k` of output `o`; below 0 or from `input` on it is padding.
    pub fn coordinate(&self, o: u64, k: u64) -> i64 {
        // `ConvProblem::new` keeps reach and padding below 2^62, so neither side wraps.
        (o * self.stride + k * self.dilation) as i64 - self.pad_begin as i64
    }
}

/// A tensor of the problem as it lies in a device buffer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorLayout {
    /// Logical extents.
    pub extents: Vec<u64>,
    /// Strides in elements, one per logical axis.
    pub strides: Vec<u64>,
    /// Elements from the first to past the last.
    pub span: u64,
}

impl TensorLayout {
    /// Number of elements.
    pub fn len(&self) -> u64 {
        self.extents.iter().product()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.extents.contains(&0)
    }

    /// The extents as array lengths.
    pub fn shape(&self) -> Vec<usize> {
        self.extents.iter().map(|&e| to_usize(e)).collect()
    }
}

/// A convolution with its shapes, checked once and for all.
///
/// The forward map, with `p` the padding's begin, `s` the stride, `d` the dilation, `g` the group of `q`:
///
/// ```text
/// x: [n, c_in, X..]   w: [c_out, c_in/groups, K..]   y: [n, c_out, Y..]
/// y[b, q, o..] = Σ c, t..  x[b, g·c_in/groups + c, o·s + t·d − p ..] · w[q, c, t..]       flip: w[q, c, K − 1 − t..]
/// ```
///
/// [`Direction::GradInput`] and [`Direction::GradWeight`] are its two adjoints, described by the same
/// shapes: `x`, `w` and `y` always mean the tensors of the forward convolution.
/// The output extent is `⌊(X + begin + end − K')/s⌋ + 1` (or `⌈ ⌉`) with `K' = (K − 1)·d + 1`, as in ONNX `Conv`.
///
/// Zero sizes: `n = 0` or `c_out = 0` gives an empty output, `c_in = 0` the bias or zeros.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConvProblem {
    n: u64,
    c_in: u64,
    c_out: u64,
    groups: u64,
    axes: Vec<Axis>,
    boundary: Boundary,
    flip: bool,
    unshared: bool,
    element: Element,
    epilogue: Epilogue,
    direction: Direction,
    input: TensorLayout,
    weight: TensorLayout,
    output: TensorLayout,
    macs: u64,
}

impl ConvProblem {
    /// Joins the logical shapes of `x` and `w` with `conv`. For [`Direction::GradInput`] and
    /// [`Direction::GradWeight`] too these are the forward convolution's shapes.
    ///
    /// # Errors
    ///
    /// Every way in which the parts do not fit; see [`ProblemError`].
    pub fn new(x: &[usize], w: &[usize], conv: &Conv) -> Result<Self, ProblemError> {
        let rank_error = ProblemError::Rank { input: x.len(), weight: w.len() };
        let rank = x.len().checked_sub(2).filter(|r| (1..=3).contains(r)).ok_or(rank_error.clone())?;
        if w.len() != if conv.unshared { 2 * rank + 2 } else { rank + 2 } {
            return Err(rank_error);
        }
        let wide = |shape: &[usize]| shape.iter().map(|&e| e as u64).collect::<Vec<_>>();
        let (x, w) = (wide(x), wide(w));
        let kernel = &w[w.len() - rank..];
        let (n, c_in, c_out, per_group) = (x[0], x[1], w[0], w[w.len() - rank - 1]);
        check_channels(c_in, c_out, per_group, conv.groups)?;
        check_numbers(conv)?;
        let axes = axes(&x[2..], kernel, conv)?;
        if conv.unshared {
            check_unshared(&w[1..=rank], &axes)?;
        }
        let y: Vec<u64> = [n, c_out].into_iter().chain(axes.iter().map(|a| a.output)).collect();
        let macs = macs(n, c_out, per_group, &axes)?;
        let input = tensor("input", x, &conv.layouts.input, 1)?;
        let weight_channel = w.len() - rank - 1;
        let weight = tensor("weight", w, &conv.layouts.weight, weight_channel)?;
        let output = tensor("output", y, &conv.layouts.output, 1)?;
        let problem = Self {
            n,
            c_in,
            c_out,
            groups: conv.groups,
            axes,
            boundary: conv.boundary,
            flip: conv.flip,
            unshared: conv.unshared,
            element: conv.element,
            epilogue: conv.epilogue,
            direction: conv.direction,
            input,
            weight,
            output,
            macs,
        };
        problem.check_result()?;
        Ok(problem)
    }

    fn check_result(&self) -> Result<(), ProblemError> {
        if self.direction == Direction::GradWeight && self.epilogue.bias {
            return Err(ProblemError::BiasOnGradWeight);
        }
        let (tensor, TensorLayout { extents, strides, .. }) = match self.direction {
            Direction::Forward => ("output", &self.output),
            Direction::GradInput => ("input", &self.input),
            Direction::GradWeight => ("weight", &self.weight),
        };
        if layout::overlaps(extents, strides) {
            let (extents, strides) = (extents.clone(), strides.clone());
            return Err(ProblemError::OverlappingStrides { tensor, extents, strides });
        }
        Ok(())
    }

    /// Number of spatial axes, 1 to 3.
    pub fn rank(&self) -> usize {
        self.axes.len()
    }

    /// Batch size.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Channels of `x`.
    pub fn c_in(&self) -> u64 {
        self.c_in
    }

    /// Channels of `y`.
    pub fn c_out(&self) -> u64 {
        self.c_out
    }

    /// Channel groups.
    pub fn groups(&self) -> u64 {
        self.groups
    }

    /// The spatial axes, outermost first.
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// What lies outside the input.
    pub fn boundary(&self) -> Boundary {
        self.boundary
    }

    /// Whether the kernel is flipped (true convolution).
    pub fn flip(&self) -> bool {
        self.flip
    }

    /// Whether every output position has weights of its own.
    pub fn unshared(&self) -> bool {
        self.unshared
    }

    /// Storage of the elements.
    pub fn element(&self) -> Element {
        self.element
    }

    /// What happens to each sum before it is stored.
    pub fn epilogue(&self) -> &Epilogue {
        &self.epilogue
    }

    /// What is computed from what.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// `x: [n, c_in, X..]`
    pub fn input(&self) -> &TensorLayout {
        &self.input
    }

    /// `w: [c_out, c_in/groups, K..]`, unshared `[c_out, Y.., c_in/groups, K..]`
    pub fn weight(&self) -> &TensorLayout {
        &self.weight
    }

    /// `y: [n, c_out, Y..]`
    pub fn output(&self) -> &TensorLayout {
        &self.output
    }

    /// The tensor that the direction computes: `y`, `x` or `w`.
    pub fn result(&self) -> &TensorLayout {
        match self.direction {
            Direction::Forward => &self.output,
            Direction::GradInput => &self.input,
            Direction::GradWeight => &self.weight,
        }
    }

    /// Length of a bias: the channels of the result.
    pub fn bias_len(&self) -> u64 {
        if self.direction == Direction::GradInput { self.c_in } else { self.c_out }
    }

    /// Multiply-accumulates of the mathematical operation, taps on padding included; the same in all directions.
    pub fn macs(&self) -> u64 {
        self.macs
    }

    /// Bytes of `x`, `w` and `y` together: the least that must move.
    pub fn bytes(&self) -> u64 {
        let elements = self.input.len() + self.weight.len() + self.output.len();
        elements.saturating_mul(self.element.bytes())
    }

    /// Most products that one element of the result sums: the `K` of the error bounds.
    pub fn terms(&self) -> u64 {
        let taps: u64 = self.axes.iter().map(|a| a.kernel).product();
        let positions: u64 = self.axes.iter().map(|a| a.output).product();
        match self.direction {
            Direction::Forward => self.c_in / self.groups * taps,
            Direction::GradInput => self.c_out / self.groups * taps,
            Direction::GradWeight if self.unshared => self.n,
            Direction::GradWeight => self.n * positions,
        }
    }

    /// The same convolution in another direction, without an epilogue.
    ///
    /// # Errors
    ///
    /// [`ProblemError::OverlappingStrides`] if the new result's explicit strides overlap.
    pub fn with_direction(&self, direction: Direction) -> Result<Self, ProblemError> {
        let problem = Self { direction, epilogue: Epilogue::default(), ..self.clone() };
        problem.check_result()?;
        Ok(problem)
    }

    /// The same convolution with another epilogue.
    ///
    /// # Errors
    ///
    /// [`ProblemError::NonFinite`] and [`ProblemError::BiasOnGradWeight`].
    pub fn with_epilogue(&self, epilogue: Epilogue) -> Result<Self, ProblemError> {
        finite(epilogue.non_finite())?;
        let problem = Self { epilogue, ..self.clone() };
        problem.check_result()?;
        Ok(problem)
    }
}

/// An extent as an array length. `ConvProblem::new` takes shapes as `usize`, and every product that
/// becomes a length was checked against `isize::MAX` bytes, so nothing is cut.
#[allow(clippy::cast_possible_truncation, reason = "bounded by ConvProblem::new, as said above")]
pub(crate) fn to_usize(value: u64) -> usize {
    value as usize
}

fn check_channels(c_in: u64, c_out: u64, per_group: u64, groups: u64) -> Result<(), ProblemError> {
    if groups == 0 || !c_in.is_multiple_of(groups) || !c_out.is_multiple_of(groups) {
        return Err(ProblemError::Groups { groups, c_in, c_out });
    }
    let wanted = c_in / groups;
    if per_group != wanted {
        return Err(ProblemError::Channels { input: c_in, groups, wanted, got: per_group });
    }
    Ok(())
}

fn finite(found: Option<(&'static str, f64)>) -> Result<(), ProblemError> {
    found.map_or(Ok(()), |(what, value)| Err(ProblemError::NonFinite { what, value }))
}

fn check_numbers(conv: &Conv) -> Result<(), ProblemError> {
    let fill = conv.boundary.fill();
    finite((!fill.is_finite()).then_some(("boundary constant", fill)))?;
    finite(conv.epilogue.non_finite())
}

fn check_unshared(positions: &[u64], axes: &[Axis]) -> Result<(), ProblemError> {
    let differs = |(axis, (&got, a)): (usize, (&u64, &Axis))| {
        (got != a.output).then_some(ProblemError::UnsharedOutput { axis, wanted: a.output, got })
    };
    positions.iter().zip(axes).enumerate().find_map(differs).map_or(Ok(()), Err)
}

fn axes(input: &[u64], kernel: &[u64], conv: &Conv) -> Result<Vec<Axis>, ProblemError> {
    let rank = input.len();
    let stride =
        conv.stride.resolve(rank).map_err(|got| ProblemError::StridesPerAxis { wanted: rank, got })?;
    let dilation =
        conv.dilation.resolve(rank).map_err(|got| ProblemError::DilationsPerAxis { wanted: rank, got })?;
    (0..rank)
        .map(|axis| {
            let pad = |span| conv.padding.resolve(axis, rank, input[axis], span, stride[axis]);
            checked_axis(axis, [input[axis], kernel[axis], stride[axis], dilation[axis]], conv.rounding, pad)
        })
        .collect()
}

/// Coordinates, reaches and paddings stay below this, so that sums of two fit `i64`.
const MAX_COORDINATE: i128 = 1 << 62;

fn checked_axis(
    axis: usize,
    [input, kernel, stride, dilation]: [u64; 4],
    rounding: Rounding,
    pad: impl Fn(u64) -> Result<(u64, i128), ProblemError>,
) -> Result<Axis, ProblemError> {
    if stride == 0 {
        return Err(ProblemError::Stride { axis });
    }
    if dilation == 0 {
        return Err(ProblemError::Dilation { axis });
    }
    if kernel == 0 {
        return Err(ProblemError::EmptyExtent { tensor: "kernel", axis });
    }
    let small = |what, value: i128| {
        let fits = value.abs() < MAX_COORDINATE;
        if fits { Ok(value) } else { Err(ProblemError::Overflow { what }) }
    };
    let step = small("stride", i128::from(stride))?;
    small("input extent", i128::from(input))?;
    // At most 2^64 · 2^64: no overflow in 128 bits once 2^127 is excluded by the first factor's limit.
    let span = small("kernel extent", i128::from(kernel))?
        .checked_sub(1)
        .and_then(|k| k.checked_mul(i128::from(dilation)))
        .map_or(Err(ProblemError::Overflow { what: "kernel reach" }), |k| small("kernel reach", k + 1))?;
    let span_cells = span as u64;
    let (pad_begin, pad_end) = pad(span_cells)?;
    small("padding", i128::from(pad_begin))?;
    let end = small("padding", pad_end)?;
    let padded = i128::from(input) + i128::from(pad_begin) + end;
    let spare = padded - span;
    let steps = match rounding {
        Rounding::Floor => spare.div_euclid(step),
        Rounding::Ceil => -(-spare).div_euclid(step),
    };
    if steps < 0 {
        return Err(ProblemError::KernelTooLarge { axis, span: span_cells, padded });
    }
    if input == 0 {
        return Err(ProblemError::EmptyExtent { tensor: "input", axis });
    }
    let reach = small("window reach", steps * step + span)?;
    debug_assert!(reach > 0);
    let (output, pad_end) = ((steps + 1) as u64, end as i64);
    Ok(Axis { input, kernel, output, stride, dilation, pad_begin, pad_end })
}

fn macs(n: u64, c_out: u64, per_group: u64, axes: &[Axis]) -> Result<u64, ProblemError> {
    let factors = [n, c_out, per_group].into_iter().chain(axes.iter().flat_map(|a| [a.kernel, a.output]));
    let overflow = ProblemError::Overflow { what: "the number of multiply-accumulates" };
    if factors.clone().any(|f| f == 0) {
        return Ok(0);
    }
    let product = factors.into_iter().try_fold(1u64, u64::checked_mul);
    product.filter(|&m| m <= i64::MAX as u64).ok_or(overflow)
}

/// Checks that the tensor, at 8 bytes an element, can be addressed, then lays it out.
fn tensor(
    what: &'static str,
    extents: Vec<u64>,
    layout: &Layout,
    channel: usize,
) -> Result<TensorLayout, ProblemError> {
    let addressable =
        |elements: u64| elements.checked_mul(8).filter(|&b| b <= i64::MAX as u64).map(|_| elements);
    let overflow = ProblemError::Overflow { what };
    // Zero extents do not excuse the others: an empty tensor of absurd extents cannot be laid out either.
    let product = extents.iter().try_fold(1u64, |p, &e| p.checked_mul(e.max(1)));
    product.and_then(addressable).ok_or(overflow.clone())?;
    let strides = layout.strides(what, &extents, channel)?;
    let span = layout::span(&extents, &strides).and_then(addressable).ok_or(overflow)?;
    Ok(TensorLayout { extents, strides, span })
}
