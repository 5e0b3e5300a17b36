//! Theano's flags that choose between implementations of a convolution.

use crate::algorithm_name::Algorithm;
use crate::planner::PlanOptions;
use crate::problem::{ConvProblem, Direction};

/// A name that is none of [`Flags`]'.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no flag is called {name:?}, wanted one of {}", NAMES.map(|(name, _)| name).join(", "))]
pub struct UnknownFlag {
    /// What came.
    pub name: String,
}

/// The convolutions that a flag is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    All,
    /// Steps and distances of 1, no padding.
    Valid,
    /// Steps and distances of 1, padded by the kernel's reach less one.
    Full,
    /// Of three dimensions, in this direction.
    Volume(Direction),
}

impl Scope {
    fn has(self, problem: &ConvProblem) -> bool {
        let padded = |full: bool| {
            problem.axes().iter().all(|axis| {
                let cells = if full { axis.kernel - 1 } else { 0 };
                let dense = axis.stride == 1 && (axis.dilation == 1 || axis.kernel == 1);
                dense
                    && axis.pad_begin == cells
                    && i64::try_from(cells).is_ok_and(|cells| axis.pad_end == cells)
            })
        };
        match self {
            Self::All => true,
            Self::Valid => padded(false),
            Self::Full => padded(true),
            Self::Volume(direction) => problem.rank() == 3 && problem.direction() == direction,
        }
    }
}

/// What a flag asks for: an algorithm for the convolutions of a scope, or, without one, a measurement.
type Meaning = (Option<Algorithm>, Scope);

/// Every flag in the order in which Theano tries them; the first that applies wins.
const NAMES: [(&str, Meaning); 13] = [
    ("conv_meta", (None, Scope::All)),
    ("conv_fft_valid", (Some(Algorithm::Fft), Scope::Valid)),
    ("conv_fft_full", (Some(Algorithm::Fft), Scope::Full)),
    ("conv_fft", (Some(Algorithm::Fft), Scope::All)),
    ("no_fft", (Some(Algorithm::Fft), Scope::All)),
    ("conv3d_fft", (Some(Algorithm::Fft), Scope::Volume(Direction::Forward))),
    ("convgrad3d_fft", (Some(Algorithm::Fft), Scope::Volume(Direction::GradWeight))),
    ("convtransp3d_fft", (Some(Algorithm::Fft), Scope::Volume(Direction::GradInput))),
    ("conv_dnn", (Some(Algorithm::ImplicitGemm), Scope::All)),
    ("conv_gemm", (Some(Algorithm::Im2colGemm), Scope::All)),
    ("conv3d_gemm", (Some(Algorithm::Im2colGemm), Scope::Volume(Direction::Forward))),
    ("convgrad3d_gemm", (Some(Algorithm::Im2colGemm), Scope::Volume(Direction::GradWeight))),
    ("convtransp3d_gemm", (Some(Algorithm::Im2colGemm), Scope::Volume(Direction::GradInput))),
];

/// Theano's flags `optimizer_including` and `optimizer_excluding`, as far as they choose between implementations of a
/// convolution.
///
/// | flag | asks for | in |
/// |---|---|---|
/// | `conv_meta` | the fastest, by a measurement ([`PlanOptions::measure`]) | every convolution |
/// | `conv_fft_valid`, `conv_fft_full` | [`Algorithm::Fft`] | unpadded, fully padded ones, with steps of 1 |
/// | `conv_fft` | [`Algorithm::Fft`] | every convolution |
/// | `conv_dnn` (cuDNN in Theano) | [`Algorithm::ImplicitGemm`] | every convolution |
/// | `conv_gemm` | [`Algorithm::Im2colGemm`] | every convolution |
/// | `conv3d_..`, `convgrad3d_..`, `convtransp3d_` + `fft`, `gemm` | that one | 3-D, forward, by the weight, by the input |
///
/// Included flags are preferences, of which the first that applies wins in the order of the table; an algorithm that
/// the device lacks or that declines leaves the choice to the next. Excluded flags, and `no_fft` wherever it stands, forbid an algorithm; if none is
/// left, planning fails.
///
/// ```
/// use wgconv::theano::Flags;
/// use wgconv::{Algorithm, Conv, ConvProblem};
///
/// let flags = Flags::parse("conv_fft_valid:conv_gemm")?;
/// let valid = ConvProblem::new(&[1, 1, 9, 9], &[1, 1, 3, 3], &Conv::default()).unwrap();
/// assert_eq!(flags.options(&valid).prefer, [Algorithm::Fft, Algorithm::Im2colGemm]);
/// let strided = ConvProblem::new(&[1, 1, 9, 9], &[1, 1, 3, 3], &Conv::default().stride(2)).unwrap();
/// assert_eq!(flags.options(&strided).prefer, [Algorithm::Im2colGemm]);
///
/// let flags = Flags::parse("optimizer_including=conv_meta,optimizer_excluding=conv_gemm:no_fft")?;
/// assert!(flags.options(&valid).measure);
/// assert_eq!(flags.options(&valid).exclude, [Algorithm::Fft, Algorithm::Im2colGemm]);
/// # Ok::<(), wgconv::theano::UnknownFlag>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    including: Vec<Meaning>,
    excluding: Vec<Meaning>,
}

impl Flags {
    /// Reads names joined by `:`, or settings as `THEANO_FLAGS` has them, of which those that are not about flags are passed
    /// over: `floatX=float32,optimizer_including=A:B,optimizer_excluding=C`.
    ///
    /// # Errors
    ///
    /// [`UnknownFlag`] for a name that is none of these flags'.
    pub fn parse(text: &str) -> Result<Self, UnknownFlag> {
        let (mut including, mut excluding) = (Vec::new(), Vec::new());
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (names, excludes) = match part.split_once('=') {
                None => (part, false),
                Some(("optimizer_including" | "metaopt.optimizer_including", names)) => (names, false),
                Some(("optimizer_excluding" | "metaopt.optimizer_excluding", names)) => (names, true),
                // A setting that is about something else.
                Some(_) => continue,
            };
            for name in names.split(':').map(str::trim).filter(|name| !name.is_empty()) {
                let known = NAMES.iter().position(|(known, _)| *known == name);
                let known = known.ok_or_else(|| UnknownFlag { name: name.to_owned() })?;
                let list = if excludes || name == "no_fft" { &mut excluding } else { &mut including };
                list.push(known);
            }
        }
        let meanings = |mut places: Vec<usize>| -> Vec<Meaning> {
            places.sort_unstable();
            places.dedup();
            places.into_iter().map(|place| NAMES[place].1).collect()
        };
        Ok(Self { including: meanings(including), excluding: meanings(excluding) })
    }

    /// What they ask for in planning `problem`.
    pub fn options(&self, problem: &ConvProblem) -> PlanOptions {
        let algorithms = |meanings: &[Meaning]| {
            let mut found: Vec<Algorithm> = meanings
                .iter()
                .filter(|(_, scope)| scope.has(problem))
                .filter_map(|(asked, _)| *asked)
                .collect();
            found.dedup();
            found
        };
        let measures = |meanings: &[Meaning]| meanings.iter().any(|(algorithm, _)| algorithm.is_none());
        PlanOptions {
            prefer: algorithms(&self.including),
            exclude: algorithms(&self.excluding),
            measure: measures(&self.including) && !measures(&self.excluding),
            ..PlanOptions::default()
        }
    }
}
