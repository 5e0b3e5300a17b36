//! The one primitive: a convolution with its shapes, checked.

mod axis;
mod boundary;
mod conv;
mod epilogue;
mod error;
mod halves;
mod layout;
mod padding;
mod role;
mod transpose;

pub use axis::Axis;
pub(crate) use axis::gcd;
pub use boundary::{Boundary, Source};
pub use conv::{Conv, Direction, Element, Rounding};
pub use epilogue::{Activation, Epilogue};
pub use error::ProblemError;
pub(crate) use error::inputs_in_words;
pub(crate) use layout::compact_strides;
pub use layout::{Layout, Layouts};
pub use padding::{Padding, PerAxis};
pub use role::{PerRole, Role};
pub use transpose::{ConvTranspose, TransposedOutput};

/// A tensor of the problem as it lies in a device buffer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorLayout {
    /// Logical extents.
    pub extents: Vec<u64>,
    /// Strides in elements, one per logical axis.
    pub strides: Vec<u64>,
    /// Elements from the first to past the last.
    pub span: u64,
    /// Where in its buffer the first one lies, in elements: not 0 only of a part of a larger tensor.
    pub first: u64,
}

impl TensorLayout {
    /// A tensor `[n, c, X..]` of this shape in `layout`; `what` names it in errors.
    ///
    /// # Errors
    ///
    /// [`ProblemError::Overflow`] past what 63 bits of bytes can address, [`ProblemError::StrideCount`].
    pub fn new(what: &'static str, shape: &[usize], layout: &Layout) -> Result<Self, ProblemError> {
        Self::with_channel(what, shape.iter().map(|&e| e as u64).collect(), layout, 1)
    }

    /// Checks that the tensor, at 8 bytes an element, can be addressed, then lays it out.
    fn with_channel(
        what: &'static str,
        extents: Vec<u64>,
        layout: &Layout,
        channel: usize,
    ) -> Result<Self, ProblemError> {
        let bytes = |elements: u64| elements.checked_mul(8).filter(|&b| b <= i64::MAX as u64);
        let overflow = ProblemError::Overflow { what };
        // Zero extents do not excuse the others: an empty tensor of absurd extents cannot be laid out either.
        let product = extents.iter().try_fold(1u64, |p, &e| p.checked_mul(e.max(1)));
        product.and_then(bytes).ok_or(overflow.clone())?;
        let strides = layout.strides(what, &extents, channel)?;
        let span = layout::span(&extents, &strides).filter(|&s| bytes(s).is_some()).ok_or(overflow)?;
        Ok(Self { extents, strides, span, first: 0 })
    }

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
    /// Of a part of a larger problem: its first channel's element of the bias.
    bias_first: u64,
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
        check_epilogue(&conv.epilogue, conv.element)?;
        let boundary = conv.boundary.stored(conv.element)?;
        let axes = axis::checked(&x[2..], kernel, conv)?;
        if conv.unshared {
            check_unshared(&w[1..=rank], &axes)?;
        }
        let y: Vec<u64> = [n, c_out].into_iter().chain(axes.iter().map(|a| a.output)).collect();
        let macs = macs(n, c_out, per_group, &axes)?;
        let input = TensorLayout::with_channel("input", x, &conv.layouts.input, 1)?;
        let weight_channel = w.len() - rank - 1;
        let weight = TensorLayout::with_channel("weight", w, &conv.layouts.weight, weight_channel)?;
        let output = TensorLayout::with_channel("output", y, &conv.layouts.output, 1)?;
        let problem = Self {
            n,
            c_in,
            c_out,
            groups: conv.groups,
            axes,
            boundary,
            flip: conv.flip,
            unshared: conv.unshared,
            element: conv.element,
            epilogue: conv.epilogue,
            direction: conv.direction,
            input,
            weight,
            output,
            bias_first: 0,
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

    /// Where in the bias its channels begin: not 0 only of a part of a larger problem.
    pub(crate) fn bias_first(&self) -> u64 {
        self.bias_first
    }

    /// [`Self::bias_len`] as an array length.
    pub fn bias_shape(&self) -> usize {
        to_usize(self.bias_len())
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

    /// Planes that one element of the result sums over: channels of a group, for the gradient of the weight images.
    pub fn summed_channels(&self) -> u64 {
        match self.direction {
            Direction::Forward => self.c_in / self.groups,
            Direction::GradInput => self.c_out / self.groups,
            Direction::GradWeight => self.n,
        }
    }

    /// Most products that one element of the result sums: the `K` of the error bounds.
    pub fn terms(&self) -> u64 {
        let taps = self.axes.iter().map(|a| a.kernel).product::<u64>();
        let positions = self.axes.iter().map(|a| a.output).product::<u64>();
        match self.direction {
            Direction::Forward => self.c_in / self.groups * taps,
            Direction::GradInput => {
                let gathered = self.axes.iter().map(|a| self.taps_of_a_cell(a)).fold(1, u64::saturating_mul);
                (self.c_out / self.groups).saturating_mul(gathered)
            }
            Direction::GradWeight if self.unshared => self.n,
            Direction::GradWeight => self.n * positions,
        }
    }

    /// Most pairs of output and tap that read one input cell. A boundary that reads the input again
    /// lets a cell be read by every tap of every output.
    fn taps_of_a_cell(&self, axis: &Axis) -> u64 {
        let inside = axis.pad_begin == 0 && axis.reach() <= axis.input;
        if self.boundary.repeats() && !inside { axis.kernel.saturating_mul(axis.output) } else { axis.kernel }
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

    /// The same convolution of elements of another type.
    ///
    /// # Errors
    ///
    /// [`ProblemError::NonFinite`] for a constant that `element` does not hold.
    pub fn with_element(&self, element: Element) -> Result<Self, ProblemError> {
        check_epilogue(&self.epilogue, element)?;
        Ok(Self { element, boundary: self.boundary.stored(element)?, ..self.clone() })
    }

    /// The same convolution under another boundary.
    ///
    /// # Errors
    ///
    /// [`ProblemError::NonFinite`] for a constant that the element does not hold.
    pub fn with_boundary(&self, boundary: Boundary) -> Result<Self, ProblemError> {
        Ok(Self { boundary: boundary.stored(self.element)?, ..self.clone() })
    }

    /// The same convolution with another epilogue.
    ///
    /// # Errors
    ///
    /// [`ProblemError::NonFinite`], [`ProblemError::EmptyClamp`], [`ProblemError::BiasOnGradWeight`].
    pub fn with_epilogue(&self, epilogue: Epilogue) -> Result<Self, ProblemError> {
        check_epilogue(&epilogue, self.element)?;
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

fn check_epilogue(epilogue: &Epilogue, element: Element) -> Result<(), ProblemError> {
    if let Some((what, value)) = epilogue.non_finite(element) {
        return Err(ProblemError::NonFinite { what, value, element: element.arithmetic() });
    }
    match epilogue.activation {
        Activation::Clamp { low, high } if low > high => Err(ProblemError::EmptyClamp { low, high }),
        _ => Ok(()),
    }
}

fn check_unshared(positions: &[u64], axes: &[Axis]) -> Result<(), ProblemError> {
    let differs = |(axis, (&got, a)): (usize, (&u64, &Axis))| {
        (got != a.output).then_some(ProblemError::UnsharedOutput { axis, wanted: a.output, got })
    };
    positions.iter().zip(axes).enumerate().find_map(differs).map_or(Ok(()), Err)
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
