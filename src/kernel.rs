//! The kernels: which files they are, and which compile-time constants each may be built with.

pub mod depthwise;
pub mod depthwise_weight;
pub mod fft;
mod params;
mod source;
mod tile;

use depthwise::depthwise_specs;
use depthwise_weight::depthwise_weight_specs;
use fft::{axis_specs, block_specs, complex_specs};
use tile::{gemm_specs, im2col_specs, tiled_specs};

use crate::problem::Element;

pub use params::{DirectParams, FoldParams, GemmParams, PackParams, Params, ProbeParams};
pub use tile::{Check, GemmSpec, Im2colSpec, PackSpec, Tile, TiledSpec};

pub use source::{SourceError, compose};

/// A kernel, one `.wgsl` file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kernel {
    /// `depthwise.wgsl`: sums over few channels, from tiles in workgroup memory.
    Depthwise,
    /// `depthwise_weight.wgsl`: the gradient of the weight over few channels.
    DepthwiseWeight,
    /// `direct.wgsl`: one invocation sums a small tile of the result.
    Direct,
    /// `fft_axis.wgsl`: Fourier transforms along one axis of what is in memory.
    FftAxis,
    /// `fft_forward.wgsl`: spectra of tiles of a tensor.
    FftForward,
    /// `fft_gemm.wgsl`: complex matrix products, one per frequency bin.
    FftGemm,
    /// `fft_inverse.wgsl`: tiles of the result from their spectra.
    FftInverse,
    /// `fold.wgsl`: adds up the parts of sums and the places of cells.
    Fold,
    /// `implicit_gemm.wgsl`: a matrix product whose second factor is gathered on the fly.
    ImplicitGemm,
    /// `gemm_tiled.wgsl`: a matrix product of two matrices in memory.
    GemmTiled,
    /// `im2col.wgsl`: writes the matrix that `implicit_gemm.wgsl` gathers.
    Im2col,
    /// `pack.wgsl`: lays factors where the matrix products read them in a row.
    Pack,
    /// `probe_fma.wgsl`: multiply-adds and nothing else.
    ProbeFma,
    /// `probe_copy.wgsl`: copies and nothing else.
    ProbeCopy,
}

/// Every kernel with its file. A shader is added here, and its variant above.
const FILES: &[(Kernel, &str, &str)] = &[
    (Kernel::Depthwise, "depthwise", include_str!("../shaders/depthwise.wgsl")),
    (Kernel::DepthwiseWeight, "depthwise_weight", include_str!("../shaders/depthwise_weight.wgsl")),
    (Kernel::Direct, "direct", include_str!("../shaders/direct.wgsl")),
    (Kernel::FftAxis, "fft_axis", include_str!("../shaders/fft_axis.wgsl")),
    (Kernel::FftForward, "fft_forward", include_str!("../shaders/fft_forward.wgsl")),
    (Kernel::FftGemm, "fft_gemm", include_str!("../shaders/fft_gemm.wgsl")),
    (Kernel::FftInverse, "fft_inverse", include_str!("../shaders/fft_inverse.wgsl")),
    (Kernel::Fold, "fold", include_str!("../shaders/fold.wgsl")),
    (Kernel::ImplicitGemm, "implicit_gemm", include_str!("../shaders/implicit_gemm.wgsl")),
    (Kernel::GemmTiled, "gemm_tiled", include_str!("../shaders/gemm_tiled.wgsl")),
    (Kernel::Im2col, "im2col", include_str!("../shaders/im2col.wgsl")),
    (Kernel::Pack, "pack", include_str!("../shaders/pack.wgsl")),
    (Kernel::ProbeFma, "probe_fma", include_str!("../shaders/probe_fma.wgsl")),
    (Kernel::ProbeCopy, "probe_copy", include_str!("../shaders/probe_copy.wgsl")),
];

impl Kernel {
    /// Every kernel.
    pub const ALL: &[Self] = &[
        Self::Depthwise,
        Self::DepthwiseWeight,
        Self::Direct,
        Self::FftAxis,
        Self::FftForward,
        Self::FftGemm,
        Self::FftInverse,
        Self::Fold,
        Self::ImplicitGemm,
        Self::GemmTiled,
        Self::Im2col,
        Self::Pack,
        Self::ProbeFma,
        Self::ProbeCopy,
    ];

    /// Its name: that of its file.
    pub fn name(self) -> &'static str {
        self.file().0
    }

    /// The text of its file, before imports and constants are put in.
    pub fn text(self) -> &'static str {
        self.file().1
    }

    fn file(self) -> (&'static str, &'static str) {
        // A test walks `ALL` through here, so every kernel has its row.
        FILES.iter().find(|row| row.0 == self).map_or(("", ""), |row| (row.1, row.2))
    }

    /// Every combination of constants that the kernel may be built with.
    pub fn specs(self) -> Vec<Spec> {
        match self {
            Self::Depthwise => depthwise_specs(),
            Self::DepthwiseWeight => depthwise_weight_specs(),
            Self::Direct => direct_specs(),
            Self::FftAxis => axis_specs(),
            Self::FftForward | Self::FftInverse => block_specs(),
            Self::FftGemm => complex_specs(),
            Self::Fold => fold_specs(),
            Self::ImplicitGemm => gemm_specs(),
            Self::GemmTiled => tiled_specs(),
            Self::Im2col => im2col_specs(),
            Self::Pack => [Element::F32, Element::F16].map(|element| PackSpec { element }.into()).to_vec(),
            Self::ProbeFma | Self::ProbeCopy => vec![probe_spec()],
        }
    }
}

/// Compile-time constants of a kernel, by the names that its file marks with `// @spec`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Spec(Vec<(&'static str, SpecValue)>);

/// The value of one constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SpecValue {
    /// A number.
    U32(u32),
    /// A switch.
    Bool(bool),
    /// A type, for an `alias`.
    Type(&'static str),
}

impl std::fmt::Display for SpecValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::U32(value) => write!(f, "{value}"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Type(name) => f.write_str(name),
        }
    }
}

impl Spec {
    /// The constants in the order of the file.
    pub fn values(&self) -> &[(&'static str, SpecValue)] {
        &self.0
    }
}

impl std::fmt::Display for Spec {
    /// `TILE_C-4__TILE_X-4`: fit for a file name.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, (name, value)) in self.0.iter().enumerate() {
            write!(f, "{}{name}-{value}", if i == 0 { "" } else { "__" })?;
        }
        Ok(())
    }
}

/// Invocations per workgroup of the direct and the fold kernel: two NVIDIA warps, one AMD wavefront.
pub const WORKGROUP: u32 = 64;

/// What the direct kernel is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DirectSpec {
    /// Channels of the result per invocation: 1 or 4.
    pub tile_c: u32,
    /// Cells along the innermost axis per invocation: 1 or 4.
    pub tile_x: u32,
    /// Channels summed over per load: 1 or 4.
    pub lanes: u32,
    /// Whether coordinates go through boundary tables.
    pub table: bool,
    /// Storage of the operands: F32 or F16.
    pub element: Element,
    /// Storage of the sums: that of the operands, or F32 for parts.
    pub sum: Element,
}

impl From<DirectSpec> for Spec {
    fn from(s: DirectSpec) -> Self {
        let half = s.element == Element::F16;
        let (scalar, vector) = if half { ("f16", "vec4h") } else { ("f32", "vec4f") };
        let (stored, lane) = if s.lanes == 4 { (vector, "vec4f") } else { (scalar, "f32") };
        Self(vec![
            ("WG", SpecValue::U32(WORKGROUP)),
            ("TILE_C", SpecValue::U32(s.tile_c)),
            ("TILE_X", SpecValue::U32(s.tile_x)),
            ("LANES", SpecValue::U32(s.lanes)),
            ("TABLE", SpecValue::Bool(s.table)),
            ("Stored", SpecValue::Type(stored)),
            ("Lane", SpecValue::Type(lane)),
            ("Scalar", SpecValue::Type(scalar)),
            ("Sum", SpecValue::Type(s.sum.name())),
        ])
    }
}

fn direct_specs() -> Vec<Spec> {
    let mut specs = Vec::new();
    for (element, sum) in
        [(Element::F32, Element::F32), (Element::F16, Element::F16), (Element::F16, Element::F32)]
    {
        for table in [false, true] {
            for lanes in [1, 4] {
                for (tile_c, tile_x) in [(4, 4), (4, 1), (1, 4), (1, 1)] {
                    specs.push(DirectSpec { tile_c, tile_x, lanes, table, element, sum }.into());
                }
            }
        }
    }
    specs
}

/// What the fold kernel is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FoldSpec {
    /// Whether cells have lists of places.
    pub fold: bool,
    /// Storage of the result: F32 or F16.
    pub element: Element,
}

impl From<FoldSpec> for Spec {
    fn from(s: FoldSpec) -> Self {
        Self(vec![
            ("WG", SpecValue::U32(WORKGROUP)),
            ("FOLD", SpecValue::Bool(s.fold)),
            ("Scalar", SpecValue::Type(s.element.name())),
        ])
    }
}

fn fold_specs() -> Vec<Spec> {
    let fold = |fold| [Element::F32, Element::F16].map(|element| FoldSpec { fold, element }.into());
    [fold(false), fold(true)].concat()
}

/// Invocations per workgroup of the probes: as many as every device has.
pub const PROBE_WORKGROUP: u32 = 256;

/// What both probes are built for.
pub fn probe_spec() -> Spec {
    Spec(vec![("WG", SpecValue::U32(PROBE_WORKGROUP))])
}
