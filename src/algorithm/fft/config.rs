//! Which transform lengths suit a problem.

use super::geometry::{DenseLine, Lines};
use crate::algorithm::shared::cost;
use crate::algorithm::shared::roles::Roles;
use crate::implementation::{Cannot, Estimate, PlanContext, Resource};
use crate::kernel::fft::{AxisSpec, Block, ComplexTile};
use crate::target::Target;

/// Configurations that are tried, best guess first.
const CANDIDATES: usize = 4;

/// Images for which transforms are ranked where images are not summed over: whatever the batch, an image has the same ones, and
/// so the same bits.
const IMAGES: u64 = 4;

/// Longest transform along one axis.
pub(super) const MAX_LENGTH: u64 = 1 << 20;

/// The innermost axis is split where it is longer than a block can be.
const LONGEST_LINE: u64 = 4096;

/// Multiply-adds that a device does in the time in which it moves a byte, roughly, from cards to phones: what ranks
/// configurations, which are the same on all of them.
const SLOTS_OF_BYTE: f64 = 10.0;

/// Shares of the peak that transforms and products of spectra reach.
const TRANSFORM_SHARE: f64 = 0.25;
const PRODUCT_SHARE: f64 = 0.625;

/// Barriers of a pass of a transform, and by how much it makes it shorter.
const BARRIERS_OF_PASS: f64 = 2.0;
const PASS: f64 = 8.0;

/// Complex products of a workgroup from barrier to barrier.
const PRODUCTS_OF_BARRIER: f64 = 64.0 * 64.0 * 8.0 / 2.0;

/// Transform lengths along z, y and x: those of a block in workgroup memory, times those that go through memory once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FftConfig {
    /// What is transformed in workgroup memory.
    pub block: Block,
    /// Points along z, y and x that are transformed through memory, 1 where nothing is.
    pub outer: [u32; 3],
}

impl FftConfig {
    /// Points of the whole transform along z, y and x.
    pub fn lengths(&self) -> [u64; 3] {
        std::array::from_fn(|i| u64::from(self.block.0[i]) * u64::from(self.outer[i]))
    }

    /// Points of a tile.
    pub fn points(&self) -> u64 {
        self.lengths().iter().product()
    }

    /// The exponent of the power of two that samples are divided by before they are transformed, so that sums of up to 10³⁶ over
    /// absolute values overflow nowhere on their way: transforms and products of their spectra come to 2^8.5 times as much as
    /// results of 2^-4 as many points do. What is divided by more than it must be loses digits next to the smallest normal number.
    pub(super) fn headroom(&self) -> i32 {
        let log = self.points().next_power_of_two().trailing_zeros();
        log.saturating_sub(4).cast_signed()
    }

    /// Slices that are transformed in workgroup memory each.
    pub(super) fn slices(&self) -> u64 {
        self.outer.iter().map(|&n| u64::from(n)).product()
    }
}

impl std::fmt::Display for FftConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ([z, y, x], [bz, by, bx]) = (self.lengths(), self.block.0);
        write!(f, "tiles of {z} x {y} x {x}, {bz} x {by} x {bx} at once")
    }
}

/// How many transforms and products a problem has.
#[derive(Clone, Copy, Debug)]
pub(super) struct FftWork {
    pub(super) groups: u64,
    /// Summed over, before tiles.
    pub(super) summed: u64,
    pub(super) channels: u64,
    pub(super) images: u64,
    /// Whether tiles are summed over.
    pub(super) tiles_summed: bool,
}

impl FftWork {
    pub(super) fn new(roles: &Roles, tiles_summed: bool) -> Self {
        let Roles { groups, summed, channels, images, .. } = *roles;
        Self { groups, summed, channels, images, tiles_summed }
    }

    /// Of one part.
    fn load(&self, part: &[DenseLine; 3], config: &FftConfig) -> FftLoad {
        let (lengths, points) = (config.lengths(), config.points() as f64);
        let tiles =
            part.iter().zip(lengths).map(|(line, length)| line.tiling(length, self.tiles_summed).tiles);
        // Two tiles of an image share a transform.
        let even = |tiles: u64| tiles.checked_next_multiple_of(2).unwrap_or(tiles);
        let tiles = tiles.fold(1u64, u64::saturating_mul);
        let tiles = if self.tiles_summed { tiles } else { even(tiles) } as f64;
        let [groups, summed, channels, images] =
            [self.groups, self.summed, self.channels, self.images].map(|n| n as f64);
        // The filters of a convolution are transformed once, those of a gradient with respect to the weight in every run.
        let transforms = if self.tiles_summed {
            groups * (tiles * summed * (images + channels) + channels * images)
        } else {
            groups * tiles * images * (summed + channels)
        };
        let products = groups * tiles * images * summed * channels;
        // Samples once; spectra written and read, and so again for every axis that goes through memory. Spectra of filters once.
        let passes = 3 + 2 * config.outer.iter().filter(|&&n| n > 1).count();
        let bytes = (transforms * passes as f64 + groups * summed * channels) * points * 4.0;
        FftLoad { transforms, products, points, bytes }
    }

    /// Of the whole problem, beside its launches.
    pub(super) fn estimate(
        &self,
        context: &PlanContext,
        parts: &[[DenseLine; 3]],
        config: &FftConfig,
    ) -> Estimate {
        let of = |part: &[DenseLine; 3]| {
            let load = self.load(part, config);
            let block = config.block;
            let workgroups = load.transforms / 2.0 * config.slices() as f64 / f64::from(block.pairs());
            let barriers = workgroups * BARRIERS_OF_PASS * f64::from(block.points().max(2)).log(PASS).ceil();
            let tiles = load.products * load.points / 2.0 / PRODUCTS_OF_BARRIER;
            let [transformed, multiplied] = load.slots();
            // One after the other: little of either hides the other, and spectra are stored by half sectors.
            cost::worked(context, transformed + multiplied, 0.0)
                + cost::worked(context, 0.0, load.bytes)
                + cost::waited(context, barriers, block.invocations())
                + cost::waited(context, tiles, ComplexTile::ALL[0].invocations())
        };
        parts.iter().map(of).fold(Estimate::default(), |sum, one| sum + one)
    }

    /// Samples that are transformed and products of spectra, of all parts.
    pub(super) fn steps(&self, parts: &[[DenseLine; 3]], config: &FftConfig) -> u128 {
        let (lengths, points) = (config.lengths(), u128::from(config.points()));
        let [groups, summed, channels, images] =
            [self.groups, self.summed, self.channels, self.images].map(u128::from);
        let of = |part: &[DenseLine; 3]| {
            let along = part.iter().zip(lengths).map(|(line, length)| line.tiling(length, self.tiles_summed));
            let tiles = along.fold(1, |all: u128, tiling| all.saturating_mul(tiling.tiles.into()));
            let [windows, factors, results] = if self.tiles_summed {
                [
                    tiles.saturating_mul(images),
                    tiles.saturating_mul(channels),
                    channels.saturating_mul(images),
                ]
            } else {
                [
                    tiles.saturating_mul(images),
                    channels,
                    tiles.saturating_mul(channels.saturating_mul(images)),
                ]
            };
            let products = tiles.saturating_mul(images).saturating_mul(channels).saturating_mul(summed);
            let transformed = windows.saturating_add(factors).saturating_mul(summed).saturating_add(results);
            products.saturating_add(transformed).saturating_mul(points).saturating_mul(groups)
        };
        parts.iter().map(of).fold(0, u128::saturating_add)
    }

    /// What the whole problem takes, to rank configurations: the same on every device.
    fn rank(&self, parts: &[[DenseLine; 3]], config: &FftConfig) -> f64 {
        let of = |part| {
            let load = self.load(part, config);
            load.slots().iter().sum::<f64>() + load.bytes * SLOTS_OF_BYTE
        };
        parts.iter().map(of).sum()
    }
}

/// What the tiles of a part come to.
struct FftLoad {
    /// Tiles that are transformed, there or back.
    transforms: f64,
    /// Tiles that are multiplied.
    products: f64,
    /// Of a tile.
    points: f64,
    bytes: f64,
}

impl FftLoad {
    /// Multiply-adds that take as long as the arithmetic of transforms and of products.
    fn slots(&self) -> [f64; 2] {
        // Two real tiles share one complex transform of 5·n·log2(n) operations; a complex product is four multiply-adds, for
        // half the points.
        let transform = self.points / 2.0 * 5.0 * self.points.max(2.0).log2().floor() / 2.0;
        [self.transforms * transform / TRANSFORM_SHARE, self.products * self.points * 2.0 / PRODUCT_SHARE]
    }
}

/// The configurations that hold every line, the best guess for a usual batch first.
pub(super) fn candidates(
    lines: &Lines,
    parts: &[[DenseLine; 3]],
    work: &FftWork,
    target: &Target,
) -> Vec<FftConfig> {
    let least = lines.most(|line| line.least(work.tiles_summed));
    let whole = lines.most(DenseLine::whole);
    let usual = FftWork { images: if work.tiles_summed { work.images } else { IMAGES }, ..*work };
    let mut found = Vec::new();
    for block in Block::all() {
        if !fits(target, block.invocations(), block.workgroup_bytes()) {
            continue;
        }
        let ways: [Vec<u32>; 3] = std::array::from_fn(|axis| {
            let mut ways = outers(block, axis, least[axis], whole[axis]);
            ways.retain(|&n| n == 1 || axis_fits(target, n));
            ways
        });
        for &z in &ways[0] {
            for &y in &ways[1] {
                for &x in &ways[2] {
                    let config = FftConfig { block, outer: [z, y, x] };
                    found.push((usual.rank(parts, &config), config));
                }
            }
        }
    }
    // Stable, so the same everywhere.
    found.sort_by(|(a, one), (b, other)| {
        let sizes = |config: &FftConfig| (config.points(), config.slices());
        a.total_cmp(b).then(sizes(one).cmp(&sizes(other)))
    });
    found.truncate(CANDIDATES);
    found.into_iter().map(|(_, config)| config).collect()
}

/// Whether a device has workgroups of so many invocations and bytes.
fn fits(target: &Target, invocations: u32, bytes: u32) -> bool {
    invocations <= target.limits.max_invocations && bytes <= target.limits.max_workgroup_bytes
}

/// The longest transform along an axis that is not the innermost one, which has it in workgroup memory.
pub(super) fn most_across(target: &Target) -> u64 {
    AxisSpec::LENGTHS.into_iter().rev().find(|&length| axis_fits(target, length)).unwrap_or(1).into()
}

fn axis_fits(target: &Target, length: u32) -> bool {
    let spec = AxisSpec { length, product: false };
    fits(target, spec.invocations(), spec.workgroup_bytes())
}

/// The largest tile of a product of so many rows and columns that a device runs and that is not mostly empty.
pub(super) fn tile(target: &Target, rows: u64, columns: u64) -> Result<ComplexTile, Cannot> {
    let runs = |tile: &ComplexTile| fits(target, tile.invocations(), tile.workgroup_bytes());
    let [large, small] = ComplexTile::ALL;
    let few = rows.min(columns) <= small.size.into();
    [large, small].into_iter().skip(usize::from(few)).find(runs).ok_or(Cannot::Limit {
        resource: Resource::Invocations,
        needed: small.invocations().into(),
        limit: target.limits.max_invocations.into(),
    })
}

/// The transforms through memory that make an axis of a block long enough, but not longer than it is of use.
fn outers(block: Block, axis: usize, least: u64, whole: u64) -> Vec<u32> {
    let (points, alone) = (u64::from(block.0[axis]), AxisSpec::LENGTHS.iter().chain([&1]));
    let is_split = points > 1;
    let fits = |&&outer: &&u32| {
        let length = points * u64::from(outer);
        match (outer, is_split) {
            // The innermost axis is always there.
            (1, _) => length >= least && (points == 1 || whole > 1 || axis == 2),
            (_, false) => whole > 1 && length >= least,
            (_, true) => axis == 2 && length > LONGEST_LINE && length >= least && points >= 256,
        }
    };
    let mut outers: Vec<u32> =
        alone.filter(fits).copied().filter(|&n| points * u64::from(n) <= MAX_LENGTH).collect();
    // Beyond the first that holds the whole, more samples are waste.
    outers.sort_unstable();
    if let Some(enough) = outers.iter().position(|&n| points * u64::from(n) >= whole) {
        outers.truncate(enough + 1);
    }
    outers
}
