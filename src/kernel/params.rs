//! The uniform blocks, word for word as the shaders declare them; a test compares both.

use bytemuck::{Pod, Zeroable};

/// The uniform block of one launch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Params {
    /// Of [`Kernel::Direct`](crate::kernel::Kernel::Direct).
    Direct(DirectParams),
}

impl Params {
    /// The block as it is uploaded.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Direct(params) => bytemuck::bytes_of(params),
        }
    }
}

/// `DirectParams` of `shaders/direct.wgsl`. Triples are (z, y, x), the innermost axis last; strides
/// count elements (for `x` and `w` loads of `LANES` elements), in wrapping 32-bit arithmetic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct DirectParams {
    /// Input extents; then input channels per group, in loads.
    pub in_extent: [u32; 4],
    /// Output extents; then output channels per group.
    pub out_extent: [u32; 4],
    /// Kernel extents; then invocations.
    pub kernel: [u32; 4],
    /// Strides of the window; then channel tiles per group.
    pub stride: [u32; 4],
    /// Dilations; then whether there is a bias.
    pub dilation: [u32; 4],
    /// Padding before the input; then whether there is a residual.
    pub pad: [u32; 4],
    /// Element strides of `x`: z, y, x, channel.
    pub x_stride: [u32; 4],
    /// Element strides of `w`: z, y, x, input channel.
    pub w_stride: [u32; 4],
    /// Element strides of `y`: z, y, x, channel.
    pub y_stride: [u32; 4],
    /// First element of `w`; its stride per output channel; strides of `x` and `y` per image.
    pub base: [u32; 4],
    /// Element strides of `w` per output position z, y, x: 0 where all positions share their weights.
    pub w_position: [u32; 4],
    /// An invocation's index over this, modulo `tile_count`, is its tile: z, y, x, image.
    pub tile_step: [u32; 4],
    /// Tiles along z, y, x and images.
    pub tile_count: [u32; 4],
    /// Step and count of the channel tiles of all groups; activation code; stride of `x` per group.
    pub channel_tiles: [u32; 4],
    /// Where the boundary tables of z, y and x begin; first element of `x`.
    pub table: [u32; 4],
    /// Factor of the sum, factor of the residual, value outside, 0.
    pub scale: [f32; 4],
    /// The activation's two parameters, 0, 0.
    pub activation: [f32; 4],
}
