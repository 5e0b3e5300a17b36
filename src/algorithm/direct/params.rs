//! The uniform block of the direct kernel, and how its sums are cut into parts.

use super::{Cannot, DirectConfig, FILLS_A_GPU, MAX_STEPS, Resource, WIDEST, may_tile};
use crate::algorithm::shared::fold::Parts;
use crate::algorithm::shared::roles::{Loop, Roles};
use crate::algorithm::shared::{
    MAX_INDEX, MAX_RUN, RUN, count, first, proportion, set_epilogue, single, tables, tensor, word,
};
use crate::kernel::DirectParams;
use crate::problem::ConvProblem;

/// Boxes of taps and channels summed over. Each is added up by itself, and a sum is that of its boxes, one after the other: they
/// do not depend on the batch, and either one invocation adds up the boxes of a sum or each has an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Boxes {
    /// Boxes along z, y, x and the channels.
    counts: [u64; 4],
    /// Extents of a box; the last ones of an axis may be smaller.
    chunk: [u64; 4],
    /// Boxes that an invocation adds up.
    boxes: u64,
}

impl Boxes {
    /// Of sums of results of `size` elements: a box for each invocation, unless few parts fill most of a GPU already, or so many
    /// parts do not fit a binding of `limit` bytes or are more than `most`.
    pub(super) fn new(
        problem: &ConvProblem,
        roles: &Roles,
        config: &DirectConfig,
        size: u64,
        (limit, most): (u64, u64),
    ) -> Result<Self, Cannot> {
        let whole = Self::whole(extents(problem, roles, config));
        let tiles = tile_counts(roles, config).iter().fold(1u64, |product, &c| product.saturating_mul(c));
        let room = limit.min(4 * (MAX_INDEX - 1)) / size.saturating_mul(4).max(1);
        let each = Self { boxes: 1, ..whole };
        // Twice the invocations are not worth many times the copies.
        let is_filled = tiles.saturating_mul(whole.parts().count) > FILLS_A_GPU / 2;
        let cut = if is_filled || each.parts().count > room.min(most) { whole } else { each };
        let needed = cut.parts().count;
        if needed > most {
            return Err(Cannot::Limit { resource: Resource::PartsOfOneSum, needed, limit: most });
        }
        Ok(cut)
    }

    /// Boxes of no more products than are added up one after the other, in as few parts as there may be.
    fn whole(extents: [u64; 4]) -> Self {
        let steps = extents.iter().fold(1u64, |product, &e| product.saturating_mul(e));
        let mut cut = Self { counts: [1; 4], chunk: [1; 4], boxes: 1 };
        let of_box = if steps > MAX_RUN { RUN } else { MAX_RUN };
        let mut inner = 1u64;
        // As long as they can be along the innermost axes.
        for axis in (0..4).rev() {
            let extent = extents[axis].max(1);
            let most = (of_box / inner).clamp(1, extent);
            cut.counts[axis] = extent.div_ceil(most);
            // Evenly, rather than a short one at the end.
            cut.chunk[axis] = extent.div_ceil(cut.counts[axis]);
            inner = inner.saturating_mul(cut.chunk[axis]);
        }
        Self { boxes: cut.most(), ..cut }
    }

    /// Boxes that one invocation may add up.
    fn most(&self) -> u64 {
        (MAX_STEPS / self.chunk.iter().product::<u64>()).max(1)
    }

    /// Boxes of a sum.
    fn all(&self) -> u64 {
        self.counts.iter().fold(1, |product, &c| product.saturating_mul(c))
    }

    /// Whether an invocation adds up more than one box.
    pub(super) fn is_long(&self) -> bool {
        self.all().min(self.boxes) > 1
    }

    /// What a fold adds up.
    pub(super) fn parts(&self) -> Parts {
        // Parts of one box are added up as an invocation adds up as many of them.
        let run = if self.boxes == 1 { self.most() } else { 1 };
        Parts { count: self.all().div_ceil(self.boxes), run }
    }
}

/// Taps along z, y and x that an invocation goes through, and channels summed over, in loads.
fn extents(problem: &ConvProblem, roles: &Roles, config: &DirectConfig) -> [u64; 4] {
    let sparse = proportion::is_sparse(problem, roles);
    let [z, y, mut x] =
        [0, 1, 2].map(|i| if sparse[i] { most_inside(&roles.axes[i]) } else { roles.axes[i].taps() });
    if sparse[2] && may_tile(problem, roles) {
        // What any of a tile's cells reaches, in the widest tile, whatever the batch makes of it.
        let Loop { stride, dilation, .. } = roles.axes[2];
        let others = WIDEST.saturating_sub(1) * stride.unsigned_abs();
        x = x.saturating_add(others.div_ceil(dilation.unsigned_abs().max(1))).min(roles.axes[2].taps());
    }
    [z, y, x, roles.summed / u64::from(config.lanes)]
}

/// Most taps that reach the inside of `a` for one cell.
pub(super) fn most_inside(axis: &Loop) -> u64 {
    axis.taps().min(axis.a_extent.div_ceil(axis.dilation.unsigned_abs().max(1)))
}

/// Tiles along z, y and x, channel tiles of all groups, images.
pub(super) fn tile_counts(roles: &Roles, config: &DirectConfig) -> [u64; 5] {
    let tiles = phase_tiles(roles, config);
    let [z, y, x] = [0, 1, 2].map(|i| tiles[i].saturating_mul(roles.axes[i].phases.len() as u64));
    let channel_tiles = roles.channels.div_ceil(config.tile_c.into()) * roles.groups;
    [z, y, x, channel_tiles, roles.images]
}

/// Tiles along z, y and x within the largest phase.
fn phase_tiles(roles: &Roles, config: &DirectConfig) -> [u64; 3] {
    let [z, y, x] = [0, 1, 2].map(|i| roles.axes[i].cells());
    [z, y, x.div_ceil(config.tile_x.into())]
}

/// The block of a launch that writes parts of `size` elements, or the result with its epilogue.
pub(super) fn direct(
    problem: &ConvProblem,
    roles: &Roles,
    config: &DirectConfig,
    cut: &Boxes,
    counts: [u64; 5],
    in_parts: bool,
    size: u64,
) -> DirectParams {
    let lanes = i64::from(config.lanes);
    let each = |of: fn(&Loop) -> i64| [0, 1, 2].map(|i| of(&roles.axes[i]));
    let four = |[z, y, x]: [i64; 3], last: i64| [word(z), word(y), word(x), word(last)];
    let loads = |steps: [i64; 3]| steps.map(|s| s / lanes);
    let load = |step: u64| step as i64 / lanes;
    // Neighbouring channels of one load are one step apart.
    let channel = |step: u64| if lanes == 4 { 1 } else { step as i64 };
    let (_, [a_image, a_group, a_channel]) = roles.a;
    let (_, [b_group, b_channel, b_summed]) = roles.b;
    let tiles: u64 = counts.iter().product();
    let steps = tile_steps(roles, counts);
    let [z, y, x] = phase_tiles(roles, config);
    let [rows, boundary] = tables::begins(problem, roles);
    let first_of = |buffer| word(load(first(problem, tensor(problem, buffer))));
    let inner = cut.counts[..3].iter().product::<u64>();
    let mut block = DirectParams {
        a_extent: four(each(|a| a.a_extent as i64), load(roles.summed)),
        stride: four(each(|a| a.stride), 0),
        // A step that is never taken may be of any size, but where taps are looked for it divides.
        dilation: four(
            each(|a| if a.taps() > 1 { a.dilation } else { a.dilation.signum() }),
            cut.boxes.min(cut.all()) as i64,
        ),
        a_stride: four(loads(each(|a| a.a_stride as i64)), channel(a_channel)),
        b_stride: four(loads(each(|a| a.b_stride)), channel(b_summed)),
        b_position: four(loads(each(|a| a.b_position as i64)), load(b_group)),
        r_stride: four(each(|a| a.r_stride), roles.r[1] as i64),
        base: [word(load(a_image)), word(load(a_group)), count(roles.r[0]), word(load(b_channel))],
        tile_step: [steps[0], steps[1], steps[2], steps[4]],
        tile_count: [counts[0], counts[1], counts[2], counts[4]].map(count),
        channel_tiles: [
            steps[3],
            count(counts[3]),
            count(roles.channels.div_ceil(config.tile_c.into())),
            count(roles.channels),
        ],
        phase_tiles: [z, y, x, if in_parts { 0 } else { first(problem, problem.result()) }].map(count),
        rows: [rows[0], rows[1], rows[2], first_of(roles.a.0)],
        tables: [boundary[0], boundary[1], boundary[2], first_of(roles.b.0)],
        part_count: cut.counts.map(count),
        chunk: cut.chunk.map(count),
        parts: [tiles.saturating_mul(cut.parts().count), tiles, size, inner].map(count),
        scale: [1.0, 0.0, single(problem.boundary().fill()), 0.0],
        ..DirectParams::default()
    };
    if !in_parts {
        set_epilogue(problem, &mut block.epilogue, &mut block.scale, &mut block.activation);
    }
    let sparse = proportion::is_sparse(problem, roles);
    let wide = sparse[2] && may_tile(problem, roles);
    block.epilogue[3] = (0..3).filter(|&i| sparse[i]).map(|i| 1 << i).sum::<u32>() | u32::from(wide) << 3;
    block
}

/// For each of the five tile counts, how many invocations one step along it is: neighbours in the
/// result are neighbouring invocations, whatever the layout.
fn tile_steps(roles: &Roles, counts: [u64; 5]) -> [u32; 5] {
    let [z, y, x] = [0, 1, 2].map(|i| roles.axes[i].r_stride.unsigned_abs());
    let strides = [z, y, x, roles.r[1], roles.r[0]];
    let mut order = [2, 1, 0, 3, 4];
    order.sort_by_key(|&i| if counts[i] > 1 { strides[i] } else { 0 });
    let mut steps = [1; 5];
    let mut next = 1u64;
    for i in order {
        steps[i] = count(next);
        next = next.saturating_mul(counts[i]);
    }
    steps
}
