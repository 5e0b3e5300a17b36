//! The uniform block.

use super::axes::Axes;
use super::tile::{StagingSteps, WORKGROUP, Whole, WorkgroupTile};
use super::{DepthwiseConfig, outside};
use crate::algorithm::shared::roles::{Loop, Roles, three_axes};
use crate::algorithm::shared::{
    ENDLESS, MAX_RUN, RUN, count, first, set_epilogue, single, tables, tensor, word,
};
use crate::kernel::depthwise::{Counter, DepthwiseParams, ROWS, Window, inverse};
use crate::problem::ConvProblem;
use crate::program::Buffer;
use crate::target::Target;

/// Most sets of planes that one workgroup computes in turn: what it computes once serves them all.
const MAX_SETS: u64 = 4;
/// Workgroups that fill a compute unit several times over.
const PER_UNIT: u64 = 24;

/// What is tiled.
pub(super) fn whole(roles: &Roles, axes: &Axes, config: DepthwiseConfig) -> Whole {
    let [z, y, x] = &axes.loops;
    let planes = [roles.images, z.cells(), roles.groups].into_iter().fold(1, u64::saturating_mul);
    let digits = plane_digits(roles, axes);
    Whole {
        channels: config.channels.into(),
        channel_blocks: roles.channels.div_ceil(config.channels.into()),
        planes,
        steps: roles.summed.saturating_mul(z.taps()),
        phases: [z, y, x].iter().map(|axis| axis.phases.len() as u64).fold(1, u64::saturating_mul),
        plane_step: digits.iter().find(|digit| digit.extent > 1).map_or(0, |digit| digit.a_step),
        channel_step: roles.r[1],
    }
}

/// One of image, cell along z, group.
#[derive(Clone, Copy, Debug)]
struct Digit {
    extent: u64,
    a_step: u64,
    a: u64,
    b: u64,
    r: u64,
    z: u64,
    q: u64,
    r_step: u64,
}

/// Neighbours in the result first.
fn plane_digits(roles: &Roles, axes: &Axes) -> [Digit; 3] {
    let z = &axes.loops[0];
    let (_, [a_image, a_group, _]) = roles.a;
    let (_, [b_group, ..]) = roles.b;
    let channels = roles.channels;
    let zero = Digit { extent: 1, a_step: 0, a: 0, b: 0, r: 0, z: 0, q: 0, r_step: 0 };
    let r_group = channels.saturating_mul(roles.r[1]);
    let z_step = z.r_stride.unsigned_abs();
    let mut digits = [
        Digit {
            extent: roles.groups,
            a_step: a_group,
            a: a_group,
            b: b_group,
            q: channels,
            r_step: r_group,
            ..zero
        },
        Digit { extent: z.cells().max(1), a_step: z.a_stride, r: z_step, z: 1, r_step: z_step, ..zero },
        Digit {
            extent: roles.images,
            a_step: a_image,
            a: a_image,
            r: roles.r[0],
            r_step: roles.r[0],
            ..zero
        },
    ];
    digits.sort_by_key(|digit| if digit.extent > 1 { digit.r_step } else { u64::MAX });
    digits
}

/// Four of wrapping words.
pub(super) fn four<const N: usize>(values: [u64; N]) -> [u32; 4] {
    let mut words = [0; 4];
    for (word, value) in words.iter_mut().zip(values) {
        *word = count(value);
    }
    words
}

/// How the tile is staged: neighbours in memory by neighbours. Planes are `plane` elements apart, channels `channel`; tables
/// begin at `begins`.
pub(super) fn window_items(
    problem: &ConvProblem,
    axes: &Axes,
    tile: &WorkgroupTile,
    places: &StagingSteps,
    plane: u64,
    (channel, begins): (u64, [u32; 3]),
) -> Window {
    let [z, rows, columns] = &axes.loops;
    let (stride, dilation) = (rows.stride.unsigned_abs(), axes.row_unit());
    let [common, ..] = axes.across;
    let mut digits = [
        (places.width, [places.column, 0, common, 0], columns.a_stride.saturating_mul(common)),
        (places.fours, [1, 4 * dilation, 0, 4 << 16], rows.a_stride.saturating_mul(4 * dilation)),
        (places.bands, [places.band, stride, 0, 0], rows.a_stride.saturating_mul(stride)),
        (tile.planes, [places.plane, 0, 0, 1], plane),
    ];
    digits.sort_by_key(|&(radix, _, step)| if radix > 1 { step } else { u64::MAX });
    let (tabled, _) = outside(problem);
    let [tz, ty, tx] = axes.order.map(|i| begins[i]);
    let last = axes.order.map(|i| three_axes(problem)[i].reach().saturating_sub(1));
    Window {
        items: Counter::new(digits.map(|(radix, unit, _)| (count(radix), four(unit))), count(WORKGROUP)),
        extent: four([z.a_extent, rows.a_extent, columns.a_extent, tabled.into()]),
        stride: four([z.a_stride, rows.a_stride, columns.a_stride, channel]),
        tables: [tz, ty, tx, count(dilation)],
        last: four([last[0], last[1], last[2], rows.a_stride.wrapping_mul(dilation)]),
    }
}

/// How the factors of a box are staged.
fn factors(
    roles: &Roles,
    axes: &Axes,
    tile: &WorkgroupTile,
    places: &StagingSteps,
    channels: u64,
) -> Counter {
    let [_, rows, columns] = &axes.loops;
    let (_, [_, b_channel, _]) = roles.b;
    let [row, column] = [rows, columns].map(|axis| axis.b_stride);
    let channel = b_channel as i64;
    let unit = |place: u64, b: i64, tap: u32, q: u32| [count(place), word(b), tap, q];
    let column = (count(tile.taps[1]), unit(places.tap_column, column, 1 << 16, 0));
    let of_plane = (count(tile.planes), unit(places.factor_plane, 0, 0, 1 << 16));
    let step = count(channels);
    let block = |digits: u64| {
        (count(digits), unit(places.factor_channel, channel.wrapping_mul(channels as i64), 0, step))
    };
    let digits = if channels == 1 {
        let fours = tile.taps[0].div_ceil(4);
        [(count(fours), unit(1, row.wrapping_mul(4), 4, 0)), column, block(tile.channel_blocks), of_plane]
    } else {
        let fours = (2, unit(1, channel.wrapping_mul(4), 0, 4));
        let taps = (count(tile.taps[0]), unit(2, row, 1, 0));
        // One of both is a single one.
        let last = if tile.planes > 1 { of_plane } else { block(tile.channel_blocks) };
        [fours, taps, column, last]
    };
    Counter::new(digits, count(WORKGROUP))
}

/// Digits of an invocation: column, block of rows, plane, block of channels, by step and count.
fn lanes(
    axes: &Axes,
    tile: &WorkgroupTile,
    roles: &Roles,
    channels: u64,
    plane: u64,
) -> ([u32; 4], [u32; 4]) {
    let [_, rows, columns] = &axes.loops;
    let counts = [tile.columns, tile.bands * tile.blocks, tile.planes, tile.channel_blocks];
    let row = rows.r_stride.unsigned_abs();
    let steps = [
        columns.r_stride.unsigned_abs(),
        if tile.bands > 1 { row } else { row.saturating_mul(ROWS.into()) },
        plane,
        roles.r[1].saturating_mul(channels),
    ];
    let mut order = [0, 1, 2, 3];
    order.sort_by_key(|&i| if counts[i] > 1 { steps[i] } else { u64::MAX });
    let (mut step, mut next) = ([1; 4], 1);
    for i in order {
        step[i] = count(next);
        next *= counts[i];
    }
    (step, counts.map(count))
}

/// Columns of taps whose products are added one after the other.
fn block_columns(roles: &Roles, axes: &Axes, tile: &WorkgroupTile) -> u64 {
    let products = axes.loops.iter().map(Loop::taps).fold(roles.summed, u64::saturating_mul);
    if products > MAX_RUN { (RUN / tile.taps[0]).max(1) } else { ENDLESS }
}

/// The block of a launch that writes the result with its epilogue, or sums; and its workgroups.
pub(super) fn block(
    problem: &ConvProblem,
    target: &Target,
    (roles, axes): (&Roles, &Axes),
    whole: &Whole,
    tile: &WorkgroupTile,
    direct: bool,
) -> (DepthwiseParams, u64) {
    let [z, rows, columns] = &axes.loops;
    let digits = plane_digits(roles, axes);
    let places = tile.places(axes, whole.channels);
    let plane_r = digits.iter().find(|digit| digit.extent > 1).map_or(0, |digit| digit.r_step);
    let (lane_step, lane_count) = lanes(axes, tile, roles, whole.channels, plane_r);
    let [blocks, bands, tiles, channel_tiles, plane_tiles] = tile.counts(axes, whole);
    let of = |value: fn(&Digit) -> u64| digits.map(|digit| count(value(&digit)));
    let and = |[a, b, c]: [u32; 3], last: u32| [a, b, c, last];
    let triple = |three: [u32; 3]| and(three, 0);
    let first_of = |buffer| count(first(problem, tensor(problem, buffer)));
    let phases = [columns, rows, z].map(|axis| axis.phases.len() as u64);
    let others =
        [blocks, bands, tiles, channel_tiles].into_iter().fold(whole.phases, |all, n| all.saturating_mul(n));
    let units = target.units();
    let sets = (others.saturating_mul(plane_tiles) / (units * PER_UNIT)).clamp(1, MAX_SETS).min(plane_tiles);
    let workgroups = others.saturating_mul(plane_tiles.div_ceil(sets));
    let [row_begins, table_begins] = tables::begins(problem, roles);
    let (_, [.., a_channel]) = roles.a;
    let signed =
        |of: fn(&Loop) -> i64, last: u64| [word(of(z)), word(of(rows)), word(of(columns)), count(last)];
    let (_, [_, b_channel, b_summed]) = roles.b;
    let pitch = u64::from(axes.column.pitch);
    let [_, across, along] = axes.across;
    let (_, fill) = outside(problem);
    let mut block = DepthwiseParams {
        window: window_items(problem, axes, tile, &places, whole.plane_step, (a_channel, table_begins)),
        factors: factors(roles, axes, tile, &places, whole.channels),
        plane_radix: four([digits[0].extent, digits[1].extent, whole.planes, tile.planes]),
        plane_inverse: [inverse(count(digits[0].extent)), inverse(count(digits[1].extent)), 0.0, 0.0],
        plane_a: and(of(|digit| digit.a), first_of(roles.a.0)),
        plane_b: and(of(|digit| digit.b), first_of(roles.b.0)),
        plane_r: and(of(|digit| digit.r), if direct { first_of(Buffer::Result) } else { 0 }),
        plane_z: triple(of(|digit| digit.z)),
        plane_q: triple(of(|digit| digit.q)),
        lane_step,
        lane_count,
        lane_inverse: lane_step.map(inverse),
        count_inverse: lane_count.map(inverse),
        lane_a: four([across * places.column, places.band, 2 * pitch, places.plane]),
        lane_b: four([
            tile.planes * places.plane,
            places.factor_plane,
            places.factor_channel,
            places.tap_column,
        ]),
        tiles: four([channel_tiles, tiles, bands, blocks]),
        phases: four(phases),
        tile: four([tile.columns, tile.bands, tile.blocks, tile.channel_blocks]),
        taps: four([tile.taps[0], tile.taps[1], along.saturating_mul(places.column)]),
        rows: triple(axes.order.map(|i| row_begins[i])),
        stride: signed(|axis| axis.stride, axes.apart),
        dilation: signed(|axis| axis.dilation, 0),
        b_stride: signed(|axis| axis.b_stride, b_summed),
        r_stride: signed(|axis| axis.r_stride, roles.r[1]),
        counts: four([roles.channels, roles.summed, workgroups, tile.lanes()]),
        channel: four([b_channel, sets, block_columns(roles, axes, tile)]),
        scale: [1.0, 0.0, single(fill), inverse(count(tile.bands))],
        ..DepthwiseParams::default()
    };
    if direct {
        set_epilogue(problem, &mut block.epilogue, &mut block.scale, &mut block.activation);
    }
    (block, workgroups)
}
