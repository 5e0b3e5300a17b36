//! The names of the algorithms, for every room that chooses, forces or reports one.

/// A way to compute a convolution, by its name in the literature.
///
/// The names are fixed; the rooms of the algorithms say which of them runs what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Algorithm {
    /// The formula in f64 on one thread: the oracle. CPU only.
    Reference,
    /// A sum per output element, read straight from the operands.
    Direct,
    /// The unfolded windows as a matrix, times the weights as a matrix.
    Im2colGemm,
    /// The same product with the matrix formed tile by tile on the fly.
    ImplicitGemm,
    /// One or few channels per group.
    Depthwise,
    /// A product of spectra.
    Fft,
    /// Winograd minimal filtering (Lavin and Gray, "Fast Algorithms for Convolutional Neural
    /// Networks", CVPR 2016).
    Winograd,
}

impl Algorithm {
    /// Every name.
    pub const NAMES: [Self; 7] = [
        Self::Reference,
        Self::Direct,
        Self::Im2colGemm,
        Self::ImplicitGemm,
        Self::Depthwise,
        Self::Fft,
        Self::Winograd,
    ];

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Direct => "direct",
            Self::Im2colGemm => "im2col_gemm",
            Self::ImplicitGemm => "implicit_gemm",
            Self::Depthwise => "depthwise",
            Self::Fft => "fft",
            Self::Winograd => "winograd",
        }
    }

    /// Those that round even where every sum of products is a whole number that the arithmetic holds: they compute with
    /// transformed operands.
    pub fn inexact() -> impl Iterator<Item = Self> {
        [Self::Fft, Self::Winograd].into_iter()
    }

    /// Whether it is none of [`Self::inexact`].
    pub fn is_exact(self) -> bool {
        Self::inexact().all(|inexact| inexact != self)
    }

    /// The algorithm called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|a| a.name() == name)
    }
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
