//! The uniform blocks, word for word as the shaders declare them; a test compares both.

use bytemuck::{Pod, Zeroable};

use super::depthwise::DepthwiseParams;
use super::depthwise_weight::DepthwiseWeightParams;
use super::fft::{FftAxisParams, FftForwardParams, FftGemmParams, FftInverseParams};

/// The uniform block of one launch.
#[derive(Clone, Debug, PartialEq)]
pub enum Params {
    /// Of [`Kernel::Depthwise`](crate::kernel::Kernel::Depthwise).
    Depthwise(Box<DepthwiseParams>),
    /// Of [`Kernel::DepthwiseWeight`](crate::kernel::Kernel::DepthwiseWeight).
    DepthwiseWeight(Box<DepthwiseWeightParams>),
    /// Of [`Kernel::Direct`](crate::kernel::Kernel::Direct).
    Direct(DirectParams),
    /// Of [`Kernel::FftAxis`](crate::kernel::Kernel::FftAxis).
    FftAxis(FftAxisParams),
    /// Of [`Kernel::FftForward`](crate::kernel::Kernel::FftForward).
    FftForward(FftForwardParams),
    /// Of [`Kernel::FftGemm`](crate::kernel::Kernel::FftGemm).
    FftGemm(FftGemmParams),
    /// Of [`Kernel::FftInverse`](crate::kernel::Kernel::FftInverse).
    FftInverse(Box<FftInverseParams>),
    /// Of [`Kernel::Fold`](crate::kernel::Kernel::Fold).
    Fold(FoldParams),
    /// Of [`Kernel::ImplicitGemm`](crate::kernel::Kernel::ImplicitGemm), [`Kernel::GemmTiled`](crate::kernel::Kernel::GemmTiled)
    /// and [`Kernel::Im2col`](crate::kernel::Kernel::Im2col).
    Gemm(GemmParams),
    /// Of [`Kernel::Pack`](crate::kernel::Kernel::Pack).
    Pack(PackParams),
    /// Of [`Kernel::ProbeFma`](crate::kernel::Kernel::ProbeFma) and
    /// [`Kernel::ProbeCopy`](crate::kernel::Kernel::ProbeCopy).
    Probe(ProbeParams),
}

impl Params {
    /// The block as it is uploaded.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Depthwise(params) => bytemuck::bytes_of(&**params),
            Self::DepthwiseWeight(params) => bytemuck::bytes_of(&**params),
            Self::Direct(params) => bytemuck::bytes_of(params),
            Self::FftAxis(params) => bytemuck::bytes_of(params),
            Self::FftForward(params) => bytemuck::bytes_of(params),
            Self::FftGemm(params) => bytemuck::bytes_of(params),
            Self::FftInverse(params) => bytemuck::bytes_of(&**params),
            Self::Fold(params) => bytemuck::bytes_of(params),
            Self::Gemm(params) => bytemuck::bytes_of(params),
            Self::Pack(params) => bytemuck::bytes_of(params),
            Self::Probe(params) => bytemuck::bytes_of(params),
        }
    }
}

/// `DirectParams` of `shaders/direct.wgsl`. Triples are (z, y, x), the innermost axis last; steps count
/// elements (in `a` and `b` loads of `LANES` elements), in wrapping 32-bit arithmetic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct DirectParams {
    /// Extents of `a`; then channels summed over, in loads.
    pub a_extent: [u32; 4],
    /// Steps in `a`'s cells per cell of the result; then 0.
    pub stride: [u32; 4],
    /// Steps in `a`'s cells per tap; then boxes of a part.
    pub dilation: [u32; 4],
    /// Steps in `a` per cell; then per channel summed over.
    pub a_stride: [u32; 4],
    /// Steps in `b` per tap; then per channel summed over.
    pub b_stride: [u32; 4],
    /// Steps in `b` per cell of the result, 0 where all cells share their factors; then per group.
    pub b_position: [u32; 4],
    /// Steps in the result per cell; then per channel.
    pub r_stride: [u32; 4],
    /// Steps in `a` per image and per group, in the result per image, in `b` per channel.
    pub base: [u32; 4],
    /// An invocation's index over this, modulo `tile_count`, is its tile: z, y, x, image.
    pub tile_step: [u32; 4],
    /// Tiles along z, y, x and images.
    pub tile_count: [u32; 4],
    /// Step and count of the channel tiles of all groups; channel tiles and channels per group.
    pub channel_tiles: [u32; 4],
    /// Tiles of one phase; then first element of the result.
    pub phase_tiles: [u32; 4],
    /// Where the rows of the phases begin in the table; then first element of `a`.
    pub rows: [u32; 4],
    /// Where the boundary tables begin in the table; then first element of `b`.
    pub tables: [u32; 4],
    /// Into how many boxes the taps and the channels summed over are cut.
    pub part_count: [u32; 4],
    /// Taps and channels of one box.
    pub chunk: [u32; 4],
    /// Invocations; invocations per part; steps in the result per part; boxes of all taps.
    pub parts: [u32; 4],
    /// Code of the activation; whether there is a residual; whether there is a bias; a bit for z, y and x each, along which taps
    /// are searched for the first and last inside, and one for doing so along x for four cells together.
    pub epilogue: [u32; 4],
    /// Factor of the sum, factor of the residual, value outside, 0.
    pub scale: [f32; 4],
    /// The activation's two parameters, 0, 0.
    pub activation: [f32; 4],
}

/// `FoldParams` of `shaders/fold.wgsl`. Eight axes, the missing leading ones of extent 1; steps count elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct FoldParams {
    /// Extents of the result.
    pub extent: [[u32; 4]; 2],
    /// Steps in the result.
    pub r_stride: [[u32; 4]; 2],
    /// Steps in the parts.
    pub s_stride: [[u32; 4]; 2],
    /// Where the lists of places of z, y and x begin in the table; elements per channel of the result.
    pub places: [u32; 4],
    /// Elements of the result; parts; elements of one part; channels of the result.
    pub counts: [u32; 4],
    /// Code of the activation; whether there is a residual; whether there is a bias; first element of the result.
    pub epilogue: [u32; 4],
    /// Factor of the sum, factor of the residual, 0, 0.
    pub scale: [f32; 4],
    /// The activation's two parameters, 0, 0.
    pub activation: [f32; 4],
    /// Parts that are added up by themselves before they are added to a total; 0, 0, 0.
    pub run: [u32; 4],
}

/// `GemmParams` of `shaders/shared/columns.wgsl`. Triples are (z, y, x), the innermost axis last; steps count elements, in
/// wrapping 32-bit arithmetic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct GemmParams {
    /// Extents of `a`; then products.
    pub a_extent: [u32; 4],
    /// Steps in `a`'s cells per cell of the result; then taps, or channels summed over if they are innermost.
    pub stride: [u32; 4],
    /// Padding of the phase; then where its taps begin in the table.
    pub pad: [u32; 4],
    /// Steps in `a` per cell; then per channel summed over, of a matrix per product.
    pub a_stride: [u32; 4],
    /// Cells of the phase; then images.
    pub cells: [u32; 4],
    /// Steps in the result per cell; then per channel.
    pub r_stride: [u32; 4],
    /// Steps in `a` per image and per group, in the result per image; then the last tap.
    pub base: [u32; 4],
    /// First elements of `a` and of the phase in the result; last element of `a`; 0.
    pub first: [u32; 4],
    /// Row tiles and column tiles of a group, groups, parts.
    pub tiles: [u32; 4],
    /// Steps of a part and, as packed, in all; the products that an invocation counts on by, over the inner ones, and what
    /// remains.
    pub steps: [u32; 4],
    /// Channels per group, columns of the chunk, elements of a part, workgroups (of im2col: invocations).
    pub counts: [u32; 4],
    /// The part of the matrix that is looked at: first column, first product, products, first group.
    pub chunk: [u32; 4],
    /// Images, if they are innermost among the columns, else 1; whether channels are innermost among the products; whether
    /// neighbouring invocations read neighbouring products, not columns; whether sums are added to what is there.
    pub order: [u32; 4],
    /// Where the boundary tables begin; or steps of a matrix per column; or where bits begin in the table of taps, 0, 0, how many there are.
    pub tables: [u32; 4],
    /// Code of the activation; whether there is a residual; whether there is a bias; 0.
    pub epilogue: [u32; 4],
    /// Factor of the sum, factor of the residual, value outside, 0.
    pub scale: [f32; 4],
    /// The activation's two parameters, 0, 0.
    pub activation: [f32; 4],
    /// Steps of a block, whose products are added one after the other, and of a run of blocks; 0, 0.
    pub cut: [u32; 4],
}

/// `PackParams` of `shaders/pack.wgsl`. Steps count elements, in wrapping 32-bit arithmetic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct PackParams {
    /// Fours of factors; channels per group; products; channels summed over if they are innermost, else 0.
    pub counts: [u32; 4],
    /// Fours of rows of a tile; products of all steps; row tiles; 0.
    pub tile: [u32; 4],
    /// Taps along z, y and x, and in all.
    pub taps: [u32; 4],
    /// Steps in `b` per tap along z, y and x; then per channel summed over.
    pub b_stride: [u32; 4],
    /// Steps in `b` per group and per channel; its first element; 0.
    pub base: [u32; 4],
}

/// `ProbeParams` of `shaders/probe_fma.wgsl` and `shaders/probe_copy.wgsl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct ProbeParams {
    /// Invocations; turns, or vectors that each copies; 0, 0.
    pub counts: [u32; 4],
    /// First `a` and `b` of every point, the factor of a step, how far apart points start: 0.
    pub start: [f32; 4],
}
