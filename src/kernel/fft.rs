//! What the kernels of Fourier transforms are built for, and their uniform blocks.

use bytemuck::{Pod, Zeroable};

use super::{Spec, SpecValue};

/// Points of one workgroup: fewer are several blocks at once.
const FEW: u32 = 1024;

/// The block that is transformed in workgroup memory: points along z, y and x, products of 2, 3 and 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Block(pub [u32; 3]);

impl Block {
    /// Of one axis.
    const LINES: [u32; 25] = [
        16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 640, 768, 1024, 1280, 1536,
        2048, 2560, 3072, 4096,
    ];

    /// Of two axes.
    const PLANES: [[u32; 2]; 25] = [
        [8, 8],
        [8, 16],
        [8, 32],
        [8, 64],
        [12, 12],
        [16, 8],
        [16, 16],
        [16, 32],
        [16, 64],
        [20, 20],
        [24, 24],
        [32, 8],
        [32, 16],
        [32, 32],
        [32, 64],
        [40, 40],
        [48, 48],
        [64, 8],
        [64, 16],
        [64, 32],
        [64, 64],
        [8, 256],
        [256, 8],
        [16, 128],
        [128, 16],
    ];

    /// Of three axes.
    const BOXES: [[u32; 3]; 4] = [[8, 8, 8], [8, 16, 16], [12, 12, 12], [16, 16, 16]];

    /// Every block that there is a kernel for.
    pub fn all() -> Vec<Self> {
        let lines = Self::LINES.iter().map(|&x| Self([1, 1, x]));
        let planes = Self::PLANES.iter().map(|&[y, x]| Self([1, y, x]));
        lines.chain(planes).chain(Self::BOXES.iter().map(|&zyx| Self(zyx))).collect()
    }

    /// Complex points.
    pub fn points(&self) -> u32 {
        self.0.iter().product()
    }

    /// Invocations that transform one.
    pub fn lanes(&self) -> u32 {
        let points = self.points();
        let each = if points > 2048 { 16 } else { 8 };
        if points.is_multiple_of(each) { points / each } else { points / 4 }
    }

    /// How many a workgroup transforms.
    pub fn pairs(&self) -> u32 {
        (FEW / self.points()).clamp(1, 256 / self.lanes())
    }

    /// Invocations of a workgroup.
    pub fn invocations(&self) -> u32 {
        self.lanes() * self.pairs()
    }

    /// Bytes of workgroup memory.
    pub fn workgroup_bytes(&self) -> u32 {
        8 * self.points() * self.pairs()
    }

    /// The roots of unity of all passes: x, then y, then z.
    pub fn roots(&self) -> Vec<u32> {
        let [z, y, x] = self.0;
        [x, y, z].map(pass_roots).concat()
    }

    fn radices(&self) -> [Vec<u32>; 3] {
        self.0.map(radices)
    }
}

/// The passes of a transform of `length` points: as many of radix 8 as leave no 2, then 4, 5, 3.
fn radices(length: u32) -> Vec<u32> {
    let (mut rest, mut found) = (length, Vec::new());
    let mut divide = |by: u32, rest: &mut u32| {
        while rest.is_multiple_of(by) && *rest > 1 {
            // Two passes of radix 4 take less than one of 8 and one of 2.
            if by == 8 && rest.trailing_zeros() == 4 {
                break;
            }
            found.push(by);
            *rest /= by;
        }
    };
    for by in [8, 4, 2, 5, 3] {
        divide(by, &mut rest);
    }
    found
}

/// `e^(-2πi·q·k/(before·radix))` for every pass, for `k` below the product of the radices before it and `q` from 1.
fn pass_roots(length: u32) -> Vec<u32> {
    let (mut words, mut before) = (Vec::new(), 1u32);
    for radix in radices(length) {
        for k in 0..before {
            words.extend((1..radix).flat_map(|q| root(u64::from(q * k), u64::from(before * radix))));
        }
        before *= radix;
    }
    words
}

/// `e^(-2πi·at/of)`, computed in f64, as the bits of two f32.
pub(crate) fn root(at: u64, of: u64) -> [u32; 2] {
    // A quarter turn is exact; what remains of the circle follows from it.
    let (quarter, rest) = (4 * (at % of) / of, 4 * (at % of) % of);
    let angle = std::f64::consts::FRAC_PI_2 * rest as f64 / of as f64;
    let (cos, sin) = (libm::cos(angle), libm::sin(angle));
    let (re, im) = match quarter {
        0 => (cos, -sin),
        1 => (-sin, -cos),
        2 => (-cos, sin),
        _ => (sin, cos),
    };
    [re, im].map(bits)
}

#[allow(clippy::cast_possible_truncation, reason = "kernels compute in f32: rounding is meant")]
fn bits(value: f64) -> u32 {
    (value as f32).to_bits()
}

/// `name0`, `name1`, .. with the radices, 1 where there is no more pass.
fn passes(names: &[&'static str], radices: &[u32]) -> Vec<(&'static str, SpecValue)> {
    let radix = |i: usize| radices.get(i).copied().unwrap_or(1);
    names.iter().enumerate().map(|(i, &name)| (name, SpecValue::U32(radix(i)))).collect()
}

/// Points that one of `lanes` invocations holds in the pass that holds most.
fn held(points: u32, lanes: u32, radices: &[u32]) -> u32 {
    radices.iter().map(|&radix| (points / radix).div_ceil(lanes) * radix).max().unwrap_or(1)
}

impl From<Block> for Spec {
    fn from(block: Block) -> Self {
        let ([tz, ty, tx], [z, y, x]) = (block.0, block.radices());
        let held = held(block.points(), block.lanes(), &[z.clone(), y.clone(), x.clone()].concat());
        let size = [
            ("TZ", tz),
            ("TY", ty),
            ("TX", tx),
            ("PAIRS", block.pairs()),
            ("WG", block.invocations()),
            ("HELD", held),
        ];
        let size = size.map(|(name, value)| (name, SpecValue::U32(value))).to_vec();
        let x = passes(&["X0", "X1", "X2", "X3", "X4"], &x);
        Self([size, x, passes(&["Y0", "Y1", "Y2"], &y), passes(&["Z0", "Z1"], &z)].concat())
    }
}

pub(super) fn block_specs() -> Vec<Spec> {
    Block::all().into_iter().map(Spec::from).collect()
}

/// What `fft_axis.wgsl` is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AxisSpec {
    /// Points along the axis: one of [`Self::LENGTHS`].
    pub length: u32,
    /// Whether a product of spectra is transformed.
    pub product: bool,
}

impl AxisSpec {
    /// The lengths that there are.
    pub const LENGTHS: [u32; 21] =
        [2, 4, 8, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 320, 384, 512, 768, 1024];

    /// Columns that a workgroup transforms.
    pub fn columns(&self) -> u32 {
        // A multiple of four, so that what is loaded together fills whole sectors of memory.
        (FEW / self.length / 4 * 4).clamp(4, 64)
    }

    /// Invocations of a workgroup.
    pub fn invocations(&self) -> u32 {
        (self.length * self.columns() / 8).min(256)
    }

    /// Bytes of workgroup memory.
    pub fn workgroup_bytes(&self) -> u32 {
        8 * self.length * self.columns()
    }

    /// The roots of unity of all passes.
    pub fn roots(&self) -> Vec<u32> {
        pass_roots(self.length)
    }
}

impl From<AxisSpec> for Spec {
    fn from(s: AxisSpec) -> Self {
        let radices = radices(s.length);
        let held = held(s.length * s.columns(), s.invocations(), &radices);
        let size = [("TY", s.length), ("TX", s.columns()), ("WG", s.invocations()), ("HELD", held)];
        let size = size.map(|(name, value)| (name, SpecValue::U32(value))).to_vec();
        let product = vec![("PRODUCT", SpecValue::Bool(s.product))];
        Self([size, passes(&["Y0", "Y1", "Y2", "Y3"], &radices), product].concat())
    }
}

pub(super) fn axis_specs() -> Vec<Spec> {
    let of = |product| AxisSpec::LENGTHS.map(|length| AxisSpec { length, product }.into());
    [of(false), of(true)].concat()
}

/// The part of a complex matrix product that one workgroup of `fft_gemm.wgsl` computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ComplexTile {
    /// Rows and columns: channels of the result, and tiles.
    pub size: u32,
}

impl ComplexTile {
    /// The tiles that there are.
    pub const ALL: [Self; 2] = [Self { size: 64 }, Self { size: 32 }];

    /// Products per step.
    const DEPTH: u32 = 8;

    /// Invocations of a workgroup.
    pub fn invocations(&self) -> u32 {
        (self.size / 4) * (self.size / 4)
    }

    /// Bytes of workgroup memory.
    pub fn workgroup_bytes(&self) -> u32 {
        Self::DEPTH * 2 * self.size * 8
    }
}

impl From<ComplexTile> for Spec {
    fn from(tile: ComplexTile) -> Self {
        let size = [("BM", tile.size), ("BN", tile.size), ("BK", ComplexTile::DEPTH)];
        Self(size.map(|(name, value)| (name, SpecValue::U32(value))).to_vec())
    }
}

pub(super) fn complex_specs() -> Vec<Spec> {
    ComplexTile::ALL.map(Spec::from).to_vec()
}

/// `FftForwardParams` of `shaders/fft_forward.wgsl`. Triples are (z, y, x), the innermost axis last; steps count elements, in
/// wrapping 32-bit arithmetic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct FftForwardParams {
    /// Extents of the tensor; then 0.
    pub extent: [u32; 4],
    /// Coordinates per sample; then 0.
    pub step: [u32; 4],
    /// Coordinates of the first sample of the first tile; then 0.
    pub begin: [u32; 4],
    /// Coordinates from tile to tile; then 0.
    pub hop: [u32; 4],
    /// Coordinates of a tile that are not 0; then 0.
    pub limit: [u32; 4],
    /// Steps in the tensor per coordinate; then 0.
    pub stride: [u32; 4],
    /// Slices per axis and in all.
    pub outer: [u32; 4],
    /// Tiles per axis and in all.
    pub tiles: [u32; 4],
    /// How many are summed over in this launch, pairs of columns of this launch, columns in all, bins.
    pub matrix: [u32; 4],
    /// The first that is summed over and the first column; tiles of each that is summed over, and of each column.
    pub chunk: [u32; 4],
    /// Workgroups, those of a slice, pairs of a slice; bits of the power of two that samples are multiplied by.
    pub counts: [u32; 4],
    /// First element; steps per what is summed over, per column and per group.
    pub base: [u32; 4],
}

/// `FftInverseParams` of `shaders/fft_inverse.wgsl`. Triples are (z, y, x), the innermost axis last; steps count elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct FftInverseParams {
    /// Cells of the result; then 0.
    pub cells: [u32; 4],
    /// Cells of a tile; then 0.
    pub per_tile: [u32; 4],
    /// Samples per cell; then whether any of them is not 1.
    pub stride: [u32; 4],
    /// Steps in the result per cell; then 0.
    pub r_stride: [u32; 4],
    /// Slices per axis and in all.
    pub outer: [u32; 4],
    /// Tiles per axis and in all.
    pub tiles: [u32; 4],
    /// Channels per group, pairs of columns of this launch, columns in all, bins.
    pub matrix: [u32; 4],
    /// The first column, tiles of a column, 0, 0.
    pub chunk: [u32; 4],
    /// Workgroups, those of a slice, pairs of a slice, 0.
    pub counts: [u32; 4],
    /// First element; steps per column and per channel; 0.
    pub base: [u32; 4],
    /// Pairs of channels of the factors at a bin; 0, 0; whether products are made here.
    pub factor: [u32; 4],
    /// Code of the activation; whether there is a residual; whether there is a bias; 0.
    pub epilogue: [u32; 4],
    /// Factor of the sum, factor of the residual, 0, 0.
    pub scale: [f32; 4],
    /// The activation's two parameters, 0, 0.
    pub activation: [f32; 4],
}

/// `FftAxisParams` of `shaders/fft_axis.wgsl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct FftAxisParams {
    /// Workgroups, those of a line, columns of a line; points of the fused part of the axis, 0 where it has none.
    pub counts: [u32; 4],
    /// Bins; lines of a bin; slices after the axis; whether it is the inverse.
    pub shape: [u32; 4],
    /// Columns of `a`, rows of `b`, and what both make, at a slice; 0.
    pub pitch: [u32; 4],
}

/// `FftGemmParams` of `shaders/fft_gemm.wgsl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct FftGemmParams {
    /// Workgroups, row tiles, column tiles, products.
    pub counts: [u32; 4],
    /// Rows, pairs of columns, pairs of rows, whether sums are added to what is there.
    pub size: [u32; 4],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_multiply_to_the_length_and_fit_their_constants() {
        for block in Block::all() {
            for ((length, radices), most) in block.0.into_iter().zip(block.radices()).zip([2, 3, 5]) {
                assert_eq!(radices.iter().product::<u32>(), length, "{block:?}");
                assert!(radices.len() <= most, "{block:?} {radices:?}");
            }
            assert!(block.invocations() <= 256 && block.workgroup_bytes() <= 32 << 10, "{block:?}");
            assert_eq!(block.points() % block.lanes(), 0, "{block:?}");
        }
        for length in AxisSpec::LENGTHS {
            let spec = AxisSpec { length, product: false };
            assert!(radices(length).len() <= 4 && spec.workgroup_bytes() <= 32 << 10, "{spec:?}");
        }
    }

    #[test]
    fn roots_of_quarter_turns_are_exact() {
        let value = |at, of| root(at, of).map(f32::from_bits);
        assert_eq!(
            [value(0, 8), value(2, 8), value(4, 8), value(6, 8)],
            [[1.0, -0.0], [-0.0, -1.0], [-1.0, 0.0], [0.0, 1.0]]
        );
    }
}
