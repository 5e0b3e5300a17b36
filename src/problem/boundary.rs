//! The values at padded positions.

use std::hash::{Hash, Hasher};

use half::f16;

use super::{Element, ProblemError};

/// The values that windows read at padded positions, by the names of scipy.ndimage. This is the input `a b c d` with three
/// positions on each side:
///
/// | boundary | left | right | scipy.ndimage | numpy.pad | OpenCV `BORDER_` |
/// |---|---|---|---|---|---|
/// | `Zero` | `0 0 0` | `0 0 0` | `constant` | `constant` | `CONSTANT` |
/// | `Constant(v)` | `v v v` | `v v v` | `constant`, `cval` | `constant` | `CONSTANT` |
/// | `Wrap` | `b c d` | `a b c` | `wrap` | `wrap` | `WRAP` |
/// | `Reflect` | `c b a` | `d c b` | `reflect` | `symmetric` | `REFLECT` |
/// | `Mirror` | `d c b` | `c b a` | `mirror` | `reflect` | `REFLECT_101` |
/// | `Nearest` | `a a a` | `d d d` | `nearest` | `edge` | `REPLICATE` |
///
/// How many positions there are is the [`Padding`](crate::Padding)'s matter; a kernel may be larger than the input.
///
/// **Gradients.** The input gradient applies the adjoint of the boundary: each element collects what the padded positions that
/// read it received. The weight gradient includes the values of the padding.
///
/// **Infinite weights on zero padding.** [`Direct`](crate::Algorithm::Direct) and [`Reference`](crate::Algorithm::Reference)
/// skip filter taps on `Zero`. So does [`Algorithm::Fft`](crate::Algorithm::Fft) on the CPU. The others multiply by 0 there, so the values that meet the padding must be finite: the
/// weights, or for the weight gradient `grad_output`.
///
/// ```
/// use wgconv::ndarray::array;
/// use wgconv::{Boundary, Conv, conv1d};
///
/// let (x, w) = (array![[[1f32, 2., 3., 4.]]], array![[[1f32, 10., 100.]]]);
/// let y = conv1d(&x, &w, &Conv::default().padding(1).boundary(Boundary::Wrap))?;
/// assert_eq!(y, array![[[214., 321., 432., 143.]]]);
/// # Ok::<(), wgconv::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub enum Boundary {
    /// Zeros: the tap contributes nothing. The default.
    #[default]
    Zero,
    /// The same finite value everywhere. It is an element of the input, so for f16 it is rounded to f16. A transposed convolution
    /// refuses it, because what it adds does not depend on the input.
    Constant(f64),
    /// The input repeated: circular, periodic.
    Wrap,
    /// The input mirrored about its border, with the edge element repeated: numpy's `symmetric`, scipy.signal's `symm`.
    Reflect,
    /// The input mirrored about its edge element, which is not repeated: numpy's and PyTorch's `reflect`. An input of extent 1
    /// gives that element everywhere.
    Mirror,
    /// The edge element: PyTorch's `replicate`.
    Nearest,
}

/// What one coordinate of a padded axis reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The input's element at this index.
    Cell(u64),
    /// No element of the input: zero for `Zero`, the constant for `Constant`.
    Outside,
}

impl Boundary {
    /// The boundary called `name` in job files: `zero`, `constant:V`, `wrap`, `reflect`, `mirror`, `nearest`.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "zero" => Self::Zero,
            "wrap" => Self::Wrap,
            "reflect" => Self::Reflect,
            "mirror" => Self::Mirror,
            "nearest" => Self::Nearest,
            _ => Self::Constant(name.strip_prefix("constant:")?.trim().parse().ok()?),
        })
    }

    /// The name in job files, the inverse of [`Self::from_name`].
    pub fn name(self) -> String {
        match self {
            Self::Zero => "zero".into(),
            Self::Constant(value) => format!("constant:{value}"),
            Self::Wrap => "wrap".into(),
            Self::Reflect => "reflect".into(),
            Self::Mirror => "mirror".into(),
            Self::Nearest => "nearest".into(),
        }
    }

    /// What coordinate `at` reads on an axis of `extent` elements, of which 0 is the first. An axis of extent 0 has nothing but
    /// [`Source::Outside`].
    #[allow(clippy::missing_panics_doc, reason = "it does not panic, as said below")]
    pub fn source(self, at: i64, extent: u64) -> Source {
        let (at, n) = (i128::from(at), i128::from(extent));
        let inside = (0..n).contains(&at);
        let index = match self {
            _ if n == 0 => return Source::Outside,
            Self::Zero | Self::Constant(_) if !inside => return Source::Outside,
            Self::Zero | Self::Constant(_) => at,
            Self::Wrap => at.rem_euclid(n),
            Self::Nearest => at.clamp(0, n - 1),
            Self::Reflect => {
                let m = at.rem_euclid(2 * n);
                m.min(2 * n - 1 - m)
            }
            Self::Mirror if n == 1 => 0,
            Self::Mirror => {
                let m = at.rem_euclid(2 * n - 2);
                m.min(2 * n - 2 - m)
            }
        };
        // No panic: every arm lies in 0..extent.
        Source::Cell(u64::try_from(index).expect("a position of the axis"))
    }

    /// Whether padded positions read elements of the input, so that one element may be read from several positions.
    pub fn repeats(self) -> bool {
        !matches!(self, Self::Zero | Self::Constant(_))
    }

    /// The value at [`Source::Outside`]: the constant, else 0.
    pub fn fill(self) -> f64 {
        if let Self::Constant(value) = self { value } else { 0.0 }
    }

    /// As a tensor of this element holds it.
    pub(super) fn stored(self, element: Element) -> Result<Self, ProblemError> {
        let stored = match self {
            Self::Constant(value) if element == Element::F16 => Self::Constant(f16::from_f64(value).to_f64()),
            other => other,
        };
        if element.holds(stored.fill()) {
            return Ok(stored);
        }
        Err(ProblemError::NonFinite { what: "boundary constant", value: self.fill(), element })
    }

    fn key(self) -> (u8, u64) {
        match self {
            Self::Zero => (0, 0),
            Self::Constant(value) => (1, canonical_bits(value)),
            Self::Wrap => (2, 0),
            Self::Reflect => (3, 0),
            Self::Mirror => (4, 0),
            Self::Nearest => (5, 0),
        }
    }
}

/// The bits of `value` with −0 folded into 0, so that equal numbers hash alike.
pub(super) fn canonical_bits(value: f64) -> u64 {
    if value == 0.0 { 0 } else { value.to_bits() }
}

impl PartialEq for Boundary {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Boundary {}

impl Hash for Boundary {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}
