//! What a tap reads outside the input.

use std::hash::{Hash, Hasher};

use half::f16;

use super::{Element, ProblemError};

/// What lies outside the input, in scipy.ndimage's words. Shown for the input `a b c d`:
///
/// | boundary | left of it | right of it | elsewhere called |
/// |---|---|---|---|
/// | `Zero` | `0 0 0` | `0 0 0` | zero padding |
/// | `Constant(v)` | `v v v` | `v v v` | numpy `constant`, scipy `fill` |
/// | `Wrap` | `b c d` | `a b c` | circular, periodic |
/// | `Reflect` | `c b a` | `d c b` | numpy `symmetric`, scipy.signal `symm` |
/// | `Mirror` | `d c b` | `c b a` | numpy `reflect`, OpenCV `REFLECT_101` |
/// | `Nearest` | `a a a` | `d d d` | numpy `edge`, replicate |
///
/// Taps that fall on `Zero` are skipped, not multiplied, by `direct` and by the CPU's `reference`: an infinite weight there leaves
/// the sum finite. All other algorithms multiply there by 0, so what meets the padding must be finite: forward and in the
/// gradient of the input the weights, in the gradient of the weight the gradient of the output.
#[derive(Clone, Copy, Debug, Default)]
pub enum Boundary {
    /// Nothing: the tap does not count.
    #[default]
    Zero,
    /// The same finite value everywhere: an element of the input, so one of f16 is rounded to it.
    Constant(f64),
    /// The input repeated.
    Wrap,
    /// The input mirrored about its border, the edge cell repeated.
    Reflect,
    /// The input mirrored about its edge cell, which is not repeated; an input of extent 1 gives that cell.
    Mirror,
    /// The edge cell.
    Nearest,
}

/// What one coordinate of a padded axis stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The input's cell of this index.
    Cell(u64),
    /// No cell of the input: nothing for `Zero`, the constant for `Constant`.
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

    /// What coordinate `at` (0 is the input's first cell) of an axis of `extent` cells reads; without any cell
    /// that is outside.
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
        // Every arm lies in 0..extent, so the conversion cannot fail.
        u64::try_from(index).map_or(Source::Outside, Source::Cell)
    }

    /// Whether cells outside are cells of the input once more, so that each may be read from several places.
    pub fn repeats(self) -> bool {
        !matches!(self, Self::Zero | Self::Constant(_))
    }

    /// The value of a cell outside: the constant, else 0.
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
