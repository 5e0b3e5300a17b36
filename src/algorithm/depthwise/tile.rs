//! What a workgroup takes at once, and where it lies in workgroup memory.

use super::INVOCATIONS;
use super::axes::Axes;
use crate::algorithm::shared::{RUN, cost};
use crate::implementation::{Estimate, PlanContext};
use crate::kernel::depthwise::ROWS;
use crate::target::Target;

/// Invocations of a workgroup.
pub(super) const WORKGROUP: u64 = INVOCATIONS as u64;
/// Fours that `memory` of the kernel holds.
pub(super) const PLACES: u64 = 944;
/// Planes that it holds.
const PLANES: u64 = 64;
/// Elements that memory moves at once.
const SECTOR: u64 = 8;
/// Vector instructions of a workgroup that the choice between tiles does not count, by its machine code: before its tile, and of
/// eight rows of a channel after it.
const START: f64 = 435.0;
const END: f64 = 180.0;
/// Workgroups of a compute unit that hide what each waits for.
pub(super) const AT_ONCE: f64 = 2.0;

/// How much there is of everything that is tiled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole {
    /// Channels of the result per invocation.
    pub(super) channels: u64,
    /// Blocks of so many channels in a group.
    pub(super) channel_blocks: u64,
    /// Images, cells along z and groups.
    pub(super) planes: u64,
    /// Channels summed over times taps along z.
    pub(super) steps: u64,
    /// Phases of all axes.
    pub(super) phases: u64,
    /// Elements of `a` between neighbouring planes.
    pub(super) plane_step: u64,
    /// Of the result between neighbouring channels.
    pub(super) channel_step: u64,
}

/// The part of the result that one workgroup computes at a time, and the box of taps that it stages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WorkgroupTile {
    pub(super) columns: u64,
    pub(super) bands: u64,
    pub(super) blocks: u64,
    pub(super) planes: u64,
    pub(super) channel_blocks: u64,
    /// Taps along rows and along columns.
    pub(super) taps: [u64; 2],
}

/// Fours between neighbours in workgroup memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StagingSteps {
    /// Of a band of rows; and how many are staged of each.
    pub(super) band: u64,
    pub(super) fours: u64,
    /// Bands that are staged: where rows share nothing, each is one.
    pub(super) bands: u64,
    /// Columns that are staged.
    pub(super) width: u64,
    pub(super) column: u64,
    pub(super) plane: u64,
    /// Of the factors: a column of taps, a block of channels, a plane.
    pub(super) tap_column: u64,
    pub(super) factor_channel: u64,
    pub(super) factor_plane: u64,
}

impl WorkgroupTile {
    pub(super) fn places(&self, axes: &Axes, channels: u64) -> StagingSteps {
        let (pitch, at_once) = (u64::from(axes.column.pitch), u64::from(axes.column.taps));
        let [_, stride, dilation] = axes.across;
        let [rows, columns] = self.taps;
        let spans = (self.blocks * u64::from(ROWS) - 1) * pitch + rows;
        // What the last block reads, though it may not need all of it.
        let read =
            (self.blocks - 1) * 2 * pitch + (rows.div_ceil(at_once) - 1) * 2 + u64::from(axes.column.fours());
        let (bands, fours) = match pitch {
            8 => (self.blocks * u64::from(ROWS), 2),
            _ => (self.bands, spans.div_ceil(4).max(read)),
        };
        let width = ((self.columns - 1).saturating_mul(stride))
            .saturating_add((columns - 1).saturating_mul(dilation))
            + 1;
        // Odd, so that neighbouring columns lie in different banks.
        let column = (bands * fours) | 1;
        let tap_column = if channels == 1 { rows.div_ceil(at_once) * at_once.div_ceil(4) } else { rows * 2 };
        let factor_channel = (columns * tap_column) | 1;
        StagingSteps {
            band: fours,
            fours,
            bands,
            width,
            column,
            plane: width.saturating_mul(column) | 1,
            tap_column,
            factor_channel,
            factor_plane: self.channel_blocks * factor_channel,
        }
    }

    /// Invocations that compute.
    pub(super) fn lanes(&self) -> u64 {
        self.columns * self.bands * self.blocks * self.planes * self.channel_blocks
    }

    /// The cheapest for a problem, of those with boxes of so many taps along the rows if that is said.
    pub(super) fn choose(axes: &Axes, whole: &Whole, target: &Target, box_rows: Option<u64>) -> Self {
        let units = target.units();
        let [_, rows, columns] = &axes.loops;
        let mut best: Option<(u64, Self)> = None;
        for taps in boxes(axes).into_iter().filter(|taps| box_rows.is_none_or(|rows| rows == taps[0])) {
            for nl in sizes(columns.cells()) {
                for nb in sizes(axes.blocks()) {
                    for nu in sizes(axes.bands()) {
                        for nq in sizes(whole.channel_blocks).filter(|nq| nl * nb * nu * nq <= WORKGROUP) {
                            let tile = Self {
                                columns: nl,
                                bands: nu,
                                blocks: nb,
                                planes: 1,
                                channel_blocks: nq,
                                taps,
                            };
                            let Some(tile) = tile.filled(axes, whole) else { continue };
                            let cost = tile.cost(axes, whole, units);
                            if best.is_none_or(|(least, _)| cost < least) {
                                best = Some((cost, tile));
                            }
                        }
                    }
                }
            }
            let all = taps == [rows.taps().max(1), columns.taps().max(1)];
            if all && best.is_some_and(|(_, tile)| tile.lanes() >= WORKGROUP * 7 / 8) {
                break;
            }
        }
        // The smallest one always finds room: a column of at most 16 fours, and two of factors.
        let taps = [box_rows.unwrap_or(rows.taps().clamp(1, 8)), 1];
        best.map_or(
            Self { columns: 1, bands: 1, blocks: 1, planes: 1, channel_blocks: 1, taps },
            |(_, tile)| tile,
        )
    }

    /// As many planes as find room, if any.
    fn filled(mut self, axes: &Axes, whole: &Whole) -> Option<Self> {
        let places = self.places(axes, whole.channels);
        let room = PLACES / (places.plane.saturating_add(places.factor_plane)).max(1);
        self.planes = room.min(WORKGROUP / self.lanes()).min(whole.planes).min(PLANES);
        // Factors of several channels of several planes have too many digits.
        if whole.channels > 1 && self.channel_blocks > 1 {
            self.planes = self.planes.min(1);
        }
        (self.planes > 0).then_some(self)
    }

    /// Tiles along rows (blocks and bands), columns, channels and planes.
    pub(super) fn counts(&self, axes: &Axes, whole: &Whole) -> [u64; 5] {
        [
            axes.blocks().div_ceil(self.blocks),
            axes.bands().div_ceil(self.bands),
            axes.loops[2].cells().max(1).div_ceil(self.columns),
            whole.channel_blocks.div_ceil(self.channel_blocks),
            whole.planes.div_ceil(self.planes),
        ]
    }

    /// What it takes, to choose between tiles.
    fn cost(&self, axes: &Axes, whole: &Whole, units: u64) -> u64 {
        let TileLoad { issued, loaded, stored } = self.load(axes, whole);
        // Sectors that are written in part are read first.
        let one = issued.saturating_add(loaded).saturating_add(2 * stored);
        one.saturating_mul(self.all(axes, whole).max(4 * units))
    }

    /// Tiles of all phases.
    fn all(&self, axes: &Axes, whole: &Whole) -> u64 {
        self.counts(axes, whole).iter().fold(whole.phases, |all, &n| all.saturating_mul(n))
    }

    /// How long all workgroups take, which move so many bytes: what several read is near.
    pub(super) fn estimate(&self, context: &PlanContext, axes: &Axes, whole: &Whole, bytes: u64) -> Estimate {
        let tiles = self.all(axes, whole) as f64;
        let one = self.load(axes, whole).issued as f64 + START + END * whole.channels as f64;
        let slots = one * WORKGROUP as f64 * tiles.max(AT_ONCE * context.model.compute_units);
        cost::launched(context, 1)
            + cost::worked(context, slots, bytes as f64)
            + cost::waited(context, self.barriers(axes, whole) * tiles, INVOCATIONS)
    }

    /// Barriers of a workgroup: before and after a box of taps is staged.
    fn barriers(&self, axes: &Axes, whole: &Whole) -> f64 {
        let [rows, columns] = [1, 2].map(|i| axes.loops[i].taps().max(1));
        let boxes = rows.div_ceil(self.taps[0]) as f64 * columns.div_ceil(self.taps[1]) as f64;
        2.0 * boxes * whole.steps as f64
    }

    /// Of a workgroup, roughly.
    fn load(&self, axes: &Axes, whole: &Whole) -> TileLoad {
        let places = self.places(axes, whole.channels);
        let [rows, columns] = [1, 2].map(|i| axes.loops[i].taps().max(1));
        let [box_rows, box_columns] = self.taps;
        let boxes = rows.div_ceil(box_rows) * columns.div_ceil(box_columns);
        let items = self.planes * places.width * places.bands * places.fours;
        let factors = self.planes * places.factor_plane;
        let [common, ..] = axes.across;
        // Steps of a single place may be of any size.
        let loaded = run(&[
            (axes.loops[2].a_stride.saturating_mul(common), places.width),
            (axes.loops[1].a_stride.saturating_mul(axes.row_unit()), places.fours * 4),
            (whole.plane_step, self.planes),
        ]);
        let stored = run(&[
            (axes.loops[2].r_stride.unsigned_abs(), self.columns),
            (axes.loops[1].r_stride.unsigned_abs(), self.blocks * u64::from(ROWS)),
            (whole.channel_step, self.channel_blocks * whole.channels),
            (whole.plane_step, self.planes),
        ]);
        let loads = traffic(items * 4, loaded);
        let staging = items.div_ceil(WORKGROUP) * 90 + factors.div_ceil(WORKGROUP) * 60 + 40;
        let stored = traffic(self.lanes() * u64::from(ROWS) * whole.channels, stored);
        let column = rows * 8 * whole.channels + axes.pieces() * (u64::from(axes.column.fours()) * 4 + 10);
        let step = boxes.saturating_mul(staging).saturating_add(columns.saturating_mul(column));
        // What is brought again for another box is near.
        let of_step = loads.saturating_mul(boxes + 3) / 4;
        TileLoad {
            issued: whole.steps.saturating_mul(step).saturating_add(100 + 100 * whole.channels),
            loaded: whole.steps.saturating_mul(of_step),
            stored,
        }
    }
}

/// Of a workgroup: vector instructions, and in as many what memory takes to load and to store.
struct TileLoad {
    issued: u64,
    loaded: u64,
    stored: u64,
}

/// How many elements lie side by side in memory, of axes by their step and extent.
pub(super) fn run(axes: &[(u64, u64)]) -> u64 {
    axes.iter().find(|&&(step, extent)| step == 1 && extent > 1).map_or(1, |&(_, extent)| extent)
}

/// What the sectors of so many elements cost, in vector instructions of a workgroup: about seven elements one.
pub(super) fn traffic(elements: u64, run: u64) -> u64 {
    elements.div_ceil(run) * (run + SECTOR - 1).div_ceil(SECTOR) * SECTOR / 7
}

/// Boxes of taps, the whole kernel first.
fn boxes(axes: &Axes) -> Vec<[u64; 2]> {
    let [rows, columns] = [1, 2].map(|i| axes.loops[i].taps().max(1));
    // Pieces of eight taps, so that each begins with a four; a column is no longer than a block of products.
    let even = rows.div_ceil(rows.div_ceil(RUN)).next_multiple_of(8).min(rows);
    let most = if axes.column.pitch == 8 { 8 } else { even };
    let mut along_rows = vec![rows.min(most)];
    along_rows.extend([64, 32, 16, 8].into_iter().filter(|&n| n < rows.min(most)));
    let mut all = Vec::new();
    for rows in along_rows {
        for parts in [1, 2, 3, 4, 6, 8, 12, 16, 32] {
            all.push([rows, columns.div_ceil(parts)]);
        }
        all.push([rows, 1]);
    }
    all.dedup();
    all
}

/// Even cuts of an extent, each of at most a workgroup.
pub(super) fn sizes(extent: u64) -> impl Iterator<Item = u64> {
    let extent = extent.max(1);
    let mut last = 0;
    [1, 2, 4, 8, 16, 32, 64, 128, 256].into_iter().filter_map(move |most| {
        let size = extent.div_ceil(extent.div_ceil(most));
        (std::mem::replace(&mut last, size) != size).then_some(size)
    })
}
