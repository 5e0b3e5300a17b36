//! The names of the algorithms, for every room that chooses, forces or reports one.

/// A way to compute a convolution, by its name in the literature.
///
/// The planner chooses one; [`PlanOptions`](crate::PlanOptions) forces, prefers or excludes them by name, and
/// [`Plan::explain`](crate::Plan::explain) says which one runs and why the others do not.
///
/// | | GPU | CPU | locally connected weights | chosen by itself for |
/// |---|---|---|---|---|
/// | [`Direct`](Self::Direct) | f32, f16 | f32, f64 | yes | small problems, and what no other algorithm does faster |
/// | [`Depthwise`](Self::Depthwise) | f32, f16 | - | no | depthwise convolutions and first layers |
/// | [`ImplicitGemm`](Self::ImplicitGemm) | f32, f16 | - | no | about 9 output channels per group and more |
/// | [`Im2colGemm`](Self::Im2colGemm) | f32, f16 | - | no | nothing: it runs when forced or preferred |
/// | [`Fft`](Self::Fft) | f32 | f32, f64 | no | large kernels |
/// | [`Reference`](Self::Reference) | - | f32, f64 | yes | nothing: it is the oracle |
///
/// All of them support all three [directions](crate::Direction), every boundary, layout, group count and epilogue, and strides and
/// dilations within the limits given below. f16 needs an adapter that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Algorithm {
    /// The formula in f64 on one thread: the oracle of the tests.
    ///
    /// - **Supports**: on the CPU, everything that [`Direct`](Self::Direct) supports there.
    /// - **Workspace**: every operand and the result in f64.
    /// - **Chosen**: only when it is forced or preferred.
    Reference,
    /// A sum per output element, read straight from the operands.
    ///
    /// - **Supports**: everything, locally connected weights included. It is the fallback of all others.
    /// - **Workspace**: on a GPU, an f32 copy of the result for every split-K slice of a long sum, and for a boundary adjoint;
    ///   otherwise none.
    /// - **Chosen when**: no other algorithm is estimated to be faster.
    /// - **Accuracy**: every element within `(2·√K + 8)·u·mag`. A filter tap on zero padding is skipped, so an infinite weight
    ///   there leaves the sum finite.
    /// - **Limits**: on a GPU, sums of 2²⁵ products.
    Direct,
    /// A matrix product with the im2col matrix in memory: one launch writes the matrix, the next multiplies it. GPU only.
    ///
    /// - **Supports**: what [`ImplicitGemm`](Self::ImplicitGemm) supports.
    /// - **Workspace**: the im2col matrix, within [`PlanOptions::workspace_budget`](crate::PlanOptions::workspace_budget); a
    ///   smaller budget means more launches. Split-K slices, the result of a boundary adjoint and, for a weight gradient, the
    ///   packed `grad_output` come on top.
    /// - **Chosen**: only when it is forced or preferred.
    /// - **Accuracy**: as [`ImplicitGemm`](Self::ImplicitGemm).
    /// - **Limits**: at most 4,096 launches; the budget is doubled until that holds.
    Im2colGemm,
    /// The same matrix product with the im2col matrix formed tile by tile in workgroup memory. GPU only.
    ///
    /// - **Supports**: everything but locally connected weights.
    /// - **Workspace**: an f32 copy of the result for every split-K slice; for a weight gradient the packed `grad_output`; the
    ///   padded input under a boundary other than zero. Weights are packed once by [`Plan::prepare`](crate::Plan::prepare).
    /// - **Chosen when**: it is estimated to be the fastest: tiles of 32 output channels or more are mostly full, and the product
    ///   takes longer than its launches.
    /// - **Accuracy**: every element within `(2·√K + 8)·u·mag`. Zero padding is multiplied, so a weight that meets it must be
    ///   finite.
    /// - **Limits**: not the input gradient of a convolution with more than 64 phases, the product of its strides.
    ImplicitGemm,
    /// Few channels per group: a tile of the input is loaded once for all filter taps. GPU only.
    ///
    /// - **Supports**: sums over at most 8 channels of a group. Everything but locally connected weights.
    /// - **Workspace**: as [`Direct`](Self::Direct).
    /// - **Chosen when**: it is estimated to be the fastest: few channels are summed, and positions are many.
    /// - **Accuracy**: as [`ImplicitGemm`](Self::ImplicitGemm).
    /// - **Limits**: 400 tap columns over all summed channels, where a column is up to 8 taps along one axis.
    Depthwise,
    /// Overlap-save: overlapping tiles are transformed, multiplied with the spectra of the filters and transformed back.
    ///
    /// - **Supports**: f32 on a GPU, f32 and f64 on the CPU. Everything but locally connected weights. A stride computes what it
    ///   skips; a dilation costs nothing.
    /// - **Workspace**: on a GPU the spectra of as many tiles as
    ///   [`PlanOptions::workspace_budget`](crate::PlanOptions::workspace_budget) holds, two at least; the padded input under a
    ///   boundary other than zero, and the padded result of its adjoint. On the CPU about 160 MiB at most, unless a single tile
    ///   is larger. Spectra of the filters are made once by [`Plan::prepare`](crate::Plan::prepare).
    /// - **Chosen when**: it is estimated to be [`Precision::FASTER`](crate::Precision::FASTER) than every other algorithm, for sums
    ///   over 16 or more channels of a group or where it was asked for: see [`Precision`](crate::Precision).
    /// - **Accuracy**: `‖error‖ ≤ u·(log2 T + 0.3·√c)·‖result‖` over the whole result, for tiles of `T` points and `c` summed
    ///   terms. Small values beside large ones may lose all digits, integers are rounded, and on a GPU one NaN or infinity
    ///   spreads over its tile ([`PlanOptions::check_finite`](crate::PlanOptions::check_finite)).
    /// - **Limits**: on a GPU 64 phases of strides and dilations, 2²⁰ points along the innermost axis and 1,024 along the others
    ///   (512 where a workgroup has 16 KiB of memory). On the CPU 4,096 phases and filters of 2²⁶ taps.
    Fft,
    /// Winograd minimal filtering (Lavin and Gray, "Fast Algorithms for Convolutional Neural
    /// Networks", CVPR 2016). A reserved name: no device has it yet.
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

    /// The algorithms that transform their operands. They round even where every sum is an integer that the arithmetic holds.
    pub fn inexact() -> impl Iterator<Item = Self> {
        [Self::Fft, Self::Winograd].into_iter()
    }

    /// Whether it only adds products: it is not one of [`Self::inexact`].
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
