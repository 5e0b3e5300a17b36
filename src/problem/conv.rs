//! `Conv`: everything about a convolution but the shapes of its operands.

use super::{Activation, Boundary, Epilogue, Layouts, Padding, PerAxis};

/// Which of the three tensors of a convolution is computed from the other two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// `y` from `x` and `w`.
    #[default]
    Forward,
    /// The gradient of `x` from `grad_output` and `w`: the transposed convolution.
    GradInput,
    /// The gradient of `w` from `x` and `grad_output`.
    GradWeight,
}

/// How an output extent that is not a whole number is rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rounding {
    /// Windows that do not fit are left out.
    #[default]
    Floor,
    /// The last window may hang over; what it reads there is padding like any other (cuda-convnet).
    Ceil,
}

impl Rounding {
    /// The rounding called `name` in job files: `floor`, `ceil`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "floor" => Some(Self::Floor),
            "ceil" => Some(Self::Ceil),
            _ => None,
        }
    }
}

/// How the elements of all operands are stored. Sums are accumulated in f32, for `F64` in f64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Element {
    /// 32-bit floating point.
    #[default]
    F32,
    /// 16-bit floating point, accumulated in f32.
    F16,
    /// 64-bit floating point.
    F64,
}

impl Element {
    /// The element called `name` in job files: `f32`, `f16`, `f64`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::F32, Self::F16, Self::F64].into_iter().find(|e| e.name() == name)
    }

    /// Its name: `f32`, `f16`, `f64`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::F64 => "f64",
        }
    }

    /// The element that sums are accumulated in: F32, or F64 for F64.
    pub fn arithmetic(self) -> Self {
        if self == Self::F64 { Self::F64 } else { Self::F32 }
    }

    /// The narrowest of `F32` and `F64` in which integers up to this magnitude are exact, if one is.
    ///
    /// ```
    /// use wgconv::Element;
    ///
    /// assert_eq!(Element::of_exact_integers(2f64.powi(24)), Some(Element::F32));
    /// assert_eq!(Element::of_exact_integers(2f64.powi(24) + 1.0), Some(Element::F64));
    /// assert_eq!(Element::of_exact_integers(2f64.powi(53)), None);
    /// ```
    pub fn of_exact_integers(largest: f64) -> Option<Self> {
        if largest <= (1u64 << 24) as f64 {
            return Some(Self::F32);
        }
        // 2^53 itself may be a magnitude past it, rounded.
        (largest < (1u64 << 53) as f64).then_some(Self::F64)
    }

    /// Whether `value` is finite in that arithmetic.
    #[allow(clippy::cast_possible_truncation, reason = "whether the rounded value is finite is the question")]
    pub(super) fn holds(self, value: f64) -> bool {
        if self == Self::F64 { value.is_finite() } else { (value as f32).is_finite() }
    }

    /// Bytes an element takes.
    pub fn bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::F64 => 8,
        }
    }
}

/// A convolution without the shapes of its operands; [`ConvProblem::new`](crate::ConvProblem::new) joins
/// the two and checks them. The default is a dense, unpadded, ungrouped cross-correlation in f32.
///
/// ```
/// use wgconv::{Boundary, Conv, Padding};
///
/// let conv = Conv::default().stride([2, 1]).padding(Padding::Same).boundary(Boundary::Reflect);
/// assert_eq!(conv.groups, 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Steps of the window, at least 1 per axis.
    pub stride: PerAxis,
    /// Distance between taps, at least 1 per axis; 1 is dense.
    pub dilation: PerAxis,
    /// Cells visited before and after the input.
    pub padding: Padding,
    /// What those cells hold.
    pub boundary: Boundary,
    /// Channel groups: output channel `q` reads the input channels of group `q div (c_out/groups)`.
    pub groups: u64,
    /// `false`: cross-correlation (deep learning's "convolution"); `true`: true convolution, in every
    /// direction.
    pub flip: bool,
    /// Rounding of the output extent.
    pub rounding: Rounding,
    /// A weight of its own for every output position: `w: [c_out, Y.., c_in/groups, K..]`.
    pub unshared: bool,
    /// Storage of the elements.
    pub element: Element,
    /// Orders of the axes in device buffers.
    pub layouts: Layouts,
    /// What happens to each sum before it is stored.
    pub epilogue: Epilogue,
    /// What is computed from what.
    pub direction: Direction,
}

impl Default for Conv {
    fn default() -> Self {
        Self {
            stride: PerAxis::Uniform(1),
            dilation: PerAxis::Uniform(1),
            padding: Padding::Valid,
            boundary: Boundary::Zero,
            groups: 1,
            flip: false,
            rounding: Rounding::Floor,
            unshared: false,
            element: Element::F32,
            layouts: Layouts::default(),
            epilogue: Epilogue::default(),
            direction: Direction::Forward,
        }
    }
}

impl Conv {
    /// Sets [`Self::stride`]: one number, or one per axis.
    #[must_use]
    pub fn stride(self, stride: impl Into<PerAxis>) -> Self {
        Self { stride: stride.into(), ..self }
    }

    /// Sets [`Self::dilation`]: one number, or one per axis.
    #[must_use]
    pub fn dilation(self, dilation: impl Into<PerAxis>) -> Self {
        Self { dilation: dilation.into(), ..self }
    }

    /// Sets [`Self::padding`]: a name, a number, one number per axis, or `(begin, end)` per axis.
    #[must_use]
    pub fn padding(self, padding: impl Into<Padding>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// Sets [`Self::boundary`].
    #[must_use]
    pub fn boundary(self, boundary: Boundary) -> Self {
        Self { boundary, ..self }
    }

    /// Sets [`Self::groups`].
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Self { groups: groups as u64, ..self }
    }

    /// Sets [`Self::flip`].
    #[must_use]
    pub fn flip(self, flip: bool) -> Self {
        Self { flip, ..self }
    }

    /// Sets [`Self::rounding`].
    #[must_use]
    pub fn rounding(self, rounding: Rounding) -> Self {
        Self { rounding, ..self }
    }

    /// Sets [`Self::unshared`].
    #[must_use]
    pub fn unshared(self, unshared: bool) -> Self {
        Self { unshared, ..self }
    }

    /// Sets [`Self::element`].
    #[must_use]
    pub fn element(self, element: Element) -> Self {
        Self { element, ..self }
    }

    /// Sets [`Self::layouts`]: one [`Layout`](crate::Layout) for all three tensors, or one each.
    #[must_use]
    pub fn layouts(self, layouts: impl Into<Layouts>) -> Self {
        Self { layouts: layouts.into(), ..self }
    }

    /// Sets [`Self::epilogue`].
    #[must_use]
    pub fn epilogue(self, epilogue: Epilogue) -> Self {
        Self { epilogue, ..self }
    }

    /// Sets whether a bias is added, leaving the rest of [`Self::epilogue`] as it is.
    #[must_use]
    pub fn bias(mut self, bias: bool) -> Self {
        self.epilogue.bias = bias;
        self
    }

    /// Sets the activation, leaving the rest of [`Self::epilogue`] as it is.
    #[must_use]
    pub fn activation(mut self, activation: Activation) -> Self {
        self.epilogue.activation = activation;
        self
    }

    /// Sets [`Self::direction`].
    #[must_use]
    pub fn direction(self, direction: Direction) -> Self {
        Self { direction, ..self }
    }

    /// The smallest and the largest input extent of each spatial axis whose convolution, with a kernel of these extents,
    /// has this output: with a stride of 2 there are two for each. `None` if no input has.
    ///
    /// ```
    /// use wgconv::Conv;
    ///
    /// assert_eq!(Conv::default().stride(2).input_extents(&[3], &[4]), Some(vec![(9, 10)]));
    /// ```
    pub fn input_extents(&self, kernel: &[usize], output: &[usize]) -> Option<Vec<(u64, u64)>> {
        let wide = |extents: &[usize]| extents.iter().map(|&e| e as u64).collect::<Vec<_>>();
        super::axis::inputs_of(&wide(output), &wide(kernel), self)
    }
}
