//! How many padded positions the windows visit, and the per-axis lists of [`Conv`](crate::Conv).

use super::ProblemError;

/// One number for every spatial axis, or one per axis in the order of the axes.
///
/// Made from `2usize`, `[2, 1]`, a slice or a `Vec`; [`ConvProblem::new`](crate::ConvProblem::new) checks the count.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PerAxis {
    /// The same value on every axis.
    Uniform(u64),
    /// One value per axis.
    Each(Vec<u64>),
}

impl PerAxis {
    /// The values for `rank` axes, or the number of values that came instead.
    pub(crate) fn resolve(&self, rank: usize) -> Result<Vec<u64>, usize> {
        match self {
            Self::Uniform(value) => Ok(vec![*value; rank]),
            Self::Each(values) if values.len() == rank => Ok(values.clone()),
            Self::Each(values) => Err(values.len()),
        }
    }
}

impl From<usize> for PerAxis {
    fn from(value: usize) -> Self {
        Self::Uniform(value as u64)
    }
}

impl<const N: usize> From<[usize; N]> for PerAxis {
    fn from(values: [usize; N]) -> Self {
        values.as_slice().into()
    }
}

impl From<&[usize]> for PerAxis {
    fn from(values: &[usize]) -> Self {
        Self::Each(values.iter().map(|&v| v as u64).collect())
    }
}

impl From<Vec<usize>> for PerAxis {
    fn from(values: Vec<usize>) -> Self {
        values.as_slice().into()
    }
}

/// Positions before and after the input that the windows visit, `(begin, end)` per spatial axis. The
/// [`Boundary`](crate::Boundary) says which values they have.
///
/// `X` is the input extent, `s` the stride, and `K' = (K − 1)·dilation + 1` the effective kernel extent:
///
/// | name | begin | end | output extent |
/// |---|---|---|---|
/// | `Valid` | 0 | 0 | `⌊(X − K')/s⌋ + 1` |
/// | `Full` | `K' − 1` | `K' − 1` | `⌊(X + K' − 2)/s⌋ + 1` |
/// | `Half` (Theano) | `K' div 2` | `K' div 2` | at stride 1: `X`, and `X + 1` for an even `K'` |
/// | `SameUpper` (ONNX, TensorFlow) | `t div 2` | the rest | `⌈X/s⌉`, with `t = max(0, (out − 1)·s + K' − X)` |
/// | `SameLower` (ONNX) | the rest | `t div 2` | `⌈X/s⌉` |
/// | `SameCentered` (scipy) | `K' div 2` | `(K' − 1) div 2` | at stride 1: `X`, the centre of `Full` from `(K' − 1) div 2` on |
/// | `Symmetric(p)` | `p` | `p` | `⌊(X + 2p − K')/s⌋ + 1` |
/// | `Explicit` | as given | as given | `⌊(X + begin + end − K')/s⌋ + 1` |
///
/// Three of them are called "same size" somewhere, and differ for an even `K'`: `Half` gives `X + 1`, `SameCentered` gives `X`
/// with the odd position at the beginning, `SameUpper` gives `X` with the odd position at the end.
///
/// ```
/// use wgconv::{Conv, ConvProblem, Padding};
///
/// let extent = |padding: Padding| -> Result<usize, wgconv::ProblemError> {
///     let problem = ConvProblem::new(&[1, 1, 10], &[1, 1, 4], &Conv::default().padding(padding))?;
///     Ok(problem.output().shape()[2])
/// };
/// assert_eq!(extent(Padding::Valid)?, 7);
/// assert_eq!(extent(Padding::Same)?, 10);
/// assert_eq!(extent(Padding::Half)?, 11);
/// assert_eq!(extent(Padding::Full)?, 13);
/// assert_eq!(extent([(2, 0)].into())?, 9);
/// # Ok::<(), wgconv::ProblemError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Padding {
    /// No padding: windows lie within the input. Elsewhere called `valid`; the default of PyTorch and ONNX.
    #[default]
    Valid,
    /// Every position at which kernel and input overlap: `full` of numpy and scipy.
    Full,
    /// Theano's `half`: `K' div 2` on both sides, so an even `K'` gives one more output than input.
    Half,
    /// Output extent `⌈X/stride⌉`, an odd remainder at the end: `SAME_UPPER` of ONNX, `SAME` of TensorFlow.
    SameUpper,
    /// Output extent `⌈X/stride⌉`, an odd remainder at the beginning: `SAME_LOWER` of ONNX.
    SameLower,
    /// The centre of `Full`: `same` of scipy.signal.
    SameCentered,
    /// The same number of positions before and after, on every axis: PyTorch's `padding=p`. Made from a `usize`.
    Symmetric(u64),
    /// `(begin, end)` per axis, as in ONNX `pads`. Made from `[1, 2]` or `[(1, 0), (2, -1)]`. A negative end reduces the number of
    /// windows, so that the last elements of the input may stay unused.
    Explicit(Vec<(u64, i64)>),
}

impl Padding {
    /// [`Padding::SameUpper`] under the name most frameworks give it.
    #[allow(non_upper_case_globals, reason = "stands beside the variants and reads as one")]
    pub const Same: Self = Self::SameUpper;

    /// The padding called `name` in job files: `valid`, `full`, `half`, `same`, `same_upper`,
    /// `same_lower`, `same_centered`.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "valid" => Self::Valid,
            "full" => Self::Full,
            "half" => Self::Half,
            "same" | "same_upper" => Self::SameUpper,
            "same_lower" => Self::SameLower,
            "same_centered" => Self::SameCentered,
            _ => return None,
        })
    }

    /// `(begin, end)` on axis `axis` of `rank`; `span` is `K'`.
    pub(super) fn resolve(
        &self,
        axis: usize,
        rank: usize,
        input: u64,
        span: u64,
        stride: u64,
    ) -> Result<(u64, i128), ProblemError> {
        let (input, wide) = (i128::from(input), i128::from(span));
        let begin_of_same = |lower: bool| {
            let out = (input + i128::from(stride) - 1) / i128::from(stride);
            let needed = (out - 1) * i128::from(stride) + wide - input;
            let total = needed.max(0);
            let begin = if lower { total - total / 2 } else { total / 2 };
            (begin, needed - begin)
        };
        let (begin, end) = match self {
            Self::Valid => (0, 0),
            Self::Full => (wide - 1, wide - 1),
            Self::Half => (wide / 2, wide / 2),
            Self::SameUpper => begin_of_same(false),
            Self::SameLower => begin_of_same(true),
            Self::SameCentered => (wide / 2, (wide - 1) / 2),
            Self::Symmetric(cells) => (i128::from(*cells), i128::from(*cells)),
            Self::Explicit(pairs) if pairs.len() == rank => {
                (i128::from(pairs[axis].0), i128::from(pairs[axis].1))
            }
            Self::Explicit(pairs) => {
                return Err(ProblemError::PaddingCount { wanted: rank, got: pairs.len() });
            }
        };
        let begin = u64::try_from(begin).map_err(|_| ProblemError::Overflow { what: "padding" })?;
        Ok((begin, end))
    }
}

impl From<usize> for Padding {
    fn from(cells: usize) -> Self {
        Self::Symmetric(cells as u64)
    }
}

impl<const N: usize> From<[usize; N]> for Padding {
    /// `cells[a]` before and after axis `a`.
    fn from(cells: [usize; N]) -> Self {
        cells.to_vec().into()
    }
}

impl From<Vec<usize>> for Padding {
    fn from(cells: Vec<usize>) -> Self {
        // A count past i64::MAX cannot be a real end: saturating keeps it refused as an overflow.
        let pair = |&v: &usize| (v as u64, i64::try_from(v).unwrap_or(i64::MAX));
        Self::Explicit(cells.iter().map(pair).collect())
    }
}

impl<const N: usize> From<[(usize, isize); N]> for Padding {
    fn from(pairs: [(usize, isize); N]) -> Self {
        pairs.to_vec().into()
    }
}

impl From<Vec<(usize, isize)>> for Padding {
    fn from(pairs: Vec<(usize, isize)>) -> Self {
        Self::Explicit(pairs.into_iter().map(|(b, e)| (b as u64, e as i64)).collect())
    }
}
