//! How large spectra are, and how many of them are made at once.

use super::config::{FftConfig, FftWork};
use super::geometry::DenseLine;
use super::{
    Cannot, ConvProblem, MAX_INDEX, Padded, PlanContext, Resource, bins, fold, is_folded, written_elements,
};
use crate::algorithm::shared::{MAX_LAUNCHES, binding_limit};

/// Bytes of two complex numbers.
const PAIR: u64 = 16;

/// Most that one invocation sums up one after the other: it bounds the time of an invocation, and keeps its loops below the
/// 65,535 iterations after which llvmpipe (seen in Mesa 22.3) leaves them.
const MAX_SUMMED: u64 = 1 << 14;

/// The matrices of one part of a problem.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrices {
    pub(super) tiles: [u64; 3],
    /// Summed over: channels, or images and tiles.
    pub(super) summed: u64,
    /// Columns of an image: its tiles, an even number of them, as two share a transform; 1 where tiles are summed over.
    pub(super) of_image: u64,
    /// Images and tiles, or images of the gradient by the weight.
    pub(super) columns: u64,
}

impl Matrices {
    pub(super) fn new(part: &[DenseLine; 3], work: &FftWork, config: &FftConfig) -> Self {
        let lengths = config.lengths();
        let tiles = std::array::from_fn(|i| part[i].tiling(lengths[i], work.tiles_summed).tiles);
        let all = tiles.iter().fold(1u64, |product: u64, &n| product.saturating_mul(n));
        let (summed, of_image) = if work.tiles_summed {
            (work.summed.saturating_mul(all), 1)
        } else {
            (work.summed, all.checked_next_multiple_of(2).unwrap_or(u64::MAX))
        };
        Self { tiles, summed, of_image, columns: work.images.saturating_mul(of_image) }
    }

    pub(super) fn all_tiles(&self) -> u64 {
        self.tiles.iter().fold(1, |product, &n| product.saturating_mul(n))
    }
}

/// Bytes of every buffer, and how much is transformed at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct FftSizes {
    /// Frequencies of a tile, of all groups and slices.
    pub(super) bins: u64,
    /// Columns that are transformed at once, an even number of them; of a gradient by the weight all.
    pub(super) columns: u64,
    /// What is summed over at once: all, but for a gradient by the weight.
    pub(super) summed: u64,
    pub(super) windows: u64,
    /// Of one part's factors.
    pub(super) factors: u64,
    /// 0 where products are made as they are loaded.
    pub(super) results: u64,
    /// Padded cells before a fold; 0: there is none.
    pub(super) copies: u64,
    /// Bytes of the padded input; 0: it is read as it is.
    pub(super) padded: u64,
    /// Launches of all parts.
    pub(super) launches: u64,
}

impl FftSizes {
    pub(super) fn new(
        problem: &ConvProblem,
        context: &PlanContext,
        parts: &[[DenseLine; 3]],
        work: &FftWork,
        config: &FftConfig,
    ) -> Result<Self, Cannot> {
        let target = &context.target;
        let matrices = parts.iter().map(|part| Matrices::new(part, work, config));
        let (most_columns, most_summed) = matrices
            .clone()
            .fold((1, 1), |(columns, summed): (u64, u64), m| (columns.max(m.columns), summed.max(m.summed)));
        check_coordinates(parts, work, config)?;
        let of_block = bins(config.block).len() as u64;
        let bins = [work.groups, config.slices()].into_iter().fold(of_block, u64::saturating_mul);
        let bytes = |rows: u64, columns: u64| {
            [rows, columns.div_ceil(2), PAIR].into_iter().fold(bins, u64::saturating_mul)
        };
        let as_loaded = is_product(work) && config.slices() == 1;
        let results_of = |columns| if as_loaded { 0 } else { bytes(work.channels, columns) };
        let limit = binding_limit(target);
        // As many as the budget holds, but no more than a binding does; two columns, or one that is summed over, at least.
        let fitting = |budget: u64, of_one: u64, largest: u64| {
            (budget / of_one.max(1)).min(limit / largest.max(1)).max(1)
        };
        let budget = context.workspace_budget;
        // Nor fewer than keep the launches of all parts within their number.
        let per_block = launches_of_block(work, config);
        let least = |all: u64| {
            all.saturating_mul(per_block.saturating_mul(parts.len() as u64)).div_ceil(MAX_LAUNCHES / 2)
        };
        let (columns, summed) = if work.tiles_summed {
            let (windows, factors) = (bytes(1, most_columns), bytes(1, work.channels));
            // Beside the sums, which are there at once.
            let budget = budget.saturating_sub(results_of(most_columns));
            let at_once = fitting(budget, windows.saturating_add(factors), windows.max(factors));
            (most_columns, at_once.max(least(most_summed)).min(MAX_SUMMED).min(most_summed))
        } else {
            let (windows, results) = (bytes(most_summed, 2), results_of(2));
            let pairs = fitting(budget, windows.saturating_add(results), windows.max(results));
            let pairs = pairs.max(least(most_columns.div_ceil(2)));
            (pairs.saturating_mul(2).min(most_columns.next_multiple_of(2)), most_summed)
        };
        let blocks =
            |m: Matrices| m.columns.div_ceil(columns).saturating_mul(m.summed.div_ceil(summed).max(1));
        let launches = matrices.map(blocks).fold(0u64, u64::saturating_add).saturating_mul(per_block);
        let folded = is_folded(problem);
        let written = written_elements(problem);
        let copies = if folded { fold::copies(target, written, 1)? } else { 0 };
        let padded = Padded::of(problem).map_or(0, |padded| padded.elements);
        let padded_bytes = padded.saturating_mul(4);
        if padded >= MAX_INDEX {
            return Err(Cannot::IndexTooLarge { what: "padded input", value: padded });
        }
        let sizes = Self {
            bins,
            columns,
            summed,
            windows: bytes(summed, columns),
            factors: bytes(summed, work.channels),
            results: results_of(columns),
            copies,
            padded: padded_bytes,
            launches,
        };
        let all_factors =
            sizes.factors.saturating_mul(if work.tiles_summed { 1 } else { parts.len() as u64 });
        for (buffer, bytes) in [
            ("spectra of the windows", sizes.windows),
            ("spectra of the factors", all_factors),
            ("spectra of the result", sizes.results),
            ("padded input", padded_bytes),
        ] {
            if bytes > limit {
                return Err(Cannot::BindingTooLarge { buffer, bytes, limit });
            }
        }
        if !work.tiles_summed && most_summed > MAX_SUMMED {
            return Err(Cannot::Limit {
                resource: Resource::SummedChannels,
                needed: most_summed,
                limit: MAX_SUMMED,
            });
        }
        if launches > MAX_LAUNCHES {
            return Err(Cannot::Limit {
                resource: Resource::Launches,
                needed: launches,
                limit: MAX_LAUNCHES,
            });
        }
        Ok(sizes)
    }
}

/// Launches of one block of tiles: windows, of a gradient by the weight factors too, products where they have a launch, and
/// transforms back, each through memory along every axis that is.
fn launches_of_block(work: &FftWork, config: &FftConfig) -> u64 {
    let outer = config.outer.iter().filter(|&&n| n > 1).count() as u64;
    let (transforms, product) = if work.tiles_summed { (3, 1) } else { (2, u64::from(!is_product(work))) };
    transforms * (1 + outer) + product
}

/// Whether one channel is summed over, so that the product needs no launch of its own.
pub(super) fn is_product(work: &FftWork) -> bool {
    !work.tiles_summed && work.summed == 1
}

/// Coordinates of samples are compared as wrapped 32-bit numbers: both sides of 0 must stay below 2^31.
fn check_coordinates(parts: &[[DenseLine; 3]], work: &FftWork, config: &FftConfig) -> Result<(), Cannot> {
    for part in parts {
        for (line, length) in part.iter().zip(config.lengths()) {
            let tiling = line.tiling(length, work.tiles_summed);
            let samples = tiling.hop.saturating_mul(tiling.tiles).saturating_add(length);
            let value = samples.saturating_mul(line.step).saturating_add(line.begin.unsigned_abs());
            if value >= MAX_INDEX {
                return Err(Cannot::IndexTooLarge { what: "window reach", value });
            }
        }
    }
    Ok(())
}
