// direct: one invocation sums the windows of a tile of TILE_C channels by TILE_X cells along the
// innermost axis of the result. One loop serves the convolution and both its gradients:
//
//   r[n, q, m] = act(alpha * sum over k, c of  a[n, g * C + c, m * stride + k * dilation - pad] * b[q, c, k, m]
//                    + beta * residual[n, q, m] + bias[q])                 g = the group of q
//
//              a            b   r            m      k         c     n
//   forward    x            w   y            output tap       c_in  batch
//   grad_input grad_output  w   x's gradient input  tap       c_out batch
//   grad_weight x  grad_output  w's gradient tap    output    batch c_in
//
// shapes   along each of z, y, x the cells m are cut into phases that have rows in `table`: taps, padding,
//          first element of b, first element of r, cells. With stride 2, the even cells of an input's gradient
//          are reached by other taps than the odd ones: two phases. Lower ranks have leading extents of 1
// layout   any: every tensor comes with its strides; a flipped kernel is a negative one.
//          LANES = 4 reads four neighbouring channels c at once
// outside  TABLE = false: taps outside a are skipped. TABLE = true: table[coordinate + pad] is the cell
//          to read, or OUTSIDE for the constant scale.z
// boxes    a sum is that of boxes of k and c, dilation.w of which are a part; of more parts than one each writes its own copy of
//          r, and fold.wgsl adds them
// grid     Grid::linear(tiles, WG); surplus invocations return
// rust     Kernel::Direct, DirectParams (src/kernel/params.rs)
// import: shared/activation.wgsl
// import: shared/dispatch.wgsl

const WG: u32 = 64u;          // @spec invocations per workgroup
const TILE_C: u32 = 4u;       // @spec channels of the result per invocation
const TILE_X: u32 = 4u;       // @spec cells along x per invocation
const LANES: u32 = 1u;        // @spec channels c per load
const TABLE: bool = false;    // @spec whether coordinates go through boundary tables
alias Stored = f32;           // @spec what a load of a or b brings: Scalar, or four of them
alias Lane = f32;             // @spec the same in f32
alias Scalar = f32;           // @spec element of the operands
alias Sum = f32;              // @spec element of r: Scalar, or f32 for parts

const OUTSIDE: u32 = 0xffffffffu;
const ALL_INSIDE: u32 = (1u << TILE_X) - 1u;

struct DirectParams {
    a_extent: vec4<u32>,
    stride: vec4<u32>,
    dilation: vec4<u32>,
    a_stride: vec4<u32>,
    b_stride: vec4<u32>,
    b_position: vec4<u32>,
    r_stride: vec4<u32>,
    base: vec4<u32>,
    tile_step: vec4<u32>,
    tile_count: vec4<u32>,
    channel_tiles: vec4<u32>,
    phase_tiles: vec4<u32>,
    rows: vec4<u32>,
    tables: vec4<u32>,
    part_count: vec4<u32>,
    chunk: vec4<u32>,
    parts: vec4<u32>,
    epilogue: vec4<u32>,
    scale: vec4<f32>,
    activation: vec4<f32>,
}

@group(0) @binding(0) var<uniform> p: DirectParams;
@group(0) @binding(1) var<storage, read> a: array<Stored>;
@group(0) @binding(2) var<storage, read> b: array<Stored>;
@group(0) @binding(3) var<storage, read> bias: array<Scalar>;
@group(0) @binding(4) var<storage, read> residual: array<Scalar>;
@group(0) @binding(5) var<storage, read> table: array<u32>;
@group(0) @binding(6) var<storage, read_write> r: array<Sum>;

// What one invocation has of an axis: its first cell within a phase, and the phase's row.
struct Place { cell: u32, taps: u32, pad: u32, b_first: u32, r_first: u32, cells: u32 }

fn place(tile: u32, tiles_per_phase: u32, rows: u32, tile_size: u32) -> Place {
    let row = rows + (tile / tiles_per_phase) * 5u;
    let cell = (tile % tiles_per_phase) * tile_size;
    return Place(cell, table[row], table[row + 1u], table[row + 2u], table[row + 3u], table[row + 4u]);
}

// The cell of a under coordinate `at` of an axis, or something not below its extent.
fn source(at: u32, table_begin: u32) -> u32 {
    if TABLE { return table[table_begin + at]; }
    // A coordinate before the first wraps round to a large number, which is not below the extent either.
    return at;
}

// Of the taps at first + t * step those inside: the first one, and past the last.
fn inside_of(first: u32, step: u32, extent: u32, taps: u32) -> vec2<u32> {
    let is_back = step >= 0x80000000u;
    let is_before = first >= 0x80000000u;
    let by = select(step, 0u - step, is_back);
    var begin = 0u;
    var end = 0u;
    if is_back {
        if !is_before {
            if first >= extent { begin = (first - extent) / by + 1u; }
            end = first / by + 1u;
        }
    } else {
        if is_before { begin = (0u - first - 1u) / by + 1u; }
        if is_before || first < extent { end = (extent - first - 1u) / by + 1u; }
    }
    end = min(end, taps);
    return vec2<u32>(min(begin, end), end);
}

fn sum_of_lanes(v: Lane) -> f32 {
    let four = vec4f(v);
    return select(four.x, four.x + four.y + (four.z + four.w), LANES == 4u);
}

// Where the sums of a tile go: the first one, how many channels and cells there are.
struct End { at: u32, channels: u32, cells: u32 }

fn end_of(end: End, c: u32, i: u32) -> u32 {
    return end.at + c * p.r_stride.w + i * p.r_stride.z;
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = invocation_index(group, groups, local);
    if index >= p.parts.x { return; }
    // In one accumulator the roundings of a long sum of numbers of one sign all go the same way: no more than a box of products
    // is added up one after the other, then added to the result.
    let part = index / p.parts.y;
    let first_box = part * p.dilation.w;
    let past_box = min(first_box + p.dilation.w, p.parts.w * p.part_count.w);
    for (var number = first_box; number < past_box; number++) {
        // Nothing of a box is kept for the next one, where registers are none to spare: stride.w is 0, but known to the host alone.
        let own = index + p.stride.w * number;
        let tile = (vec4<u32>(own) / p.tile_step) % p.tile_count;
        let channel_tile = (own / p.channel_tiles.x) % p.channel_tiles.y;
        let channel_group = channel_tile / p.channel_tiles.z;
        let channels = p.channel_tiles.w;
        let c0 = (channel_tile % p.channel_tiles.z) * TILE_C;
        let z = place(tile.x, p.phase_tiles.x, p.rows.x, 1u);
        let y = place(tile.y, p.phase_tiles.y, p.rows.y, 1u);
        let x = place(tile.z, p.phase_tiles.z, p.rows.z, TILE_X);

        // Phases differ by a cell in length; so do their last tiles.
        if z.cell >= z.cells || y.cell >= y.cells || x.cell >= x.cells { return; }

        // Where most taps meet nothing, the loops begin at the first that does, and end at the last.
        var skip = vec3<u32>();
        var taps = vec3<u32>(z.taps, y.taps, x.taps);
        if p.epilogue.w != 0u {
            if (p.epilogue.w & 1u) != 0u {
                let some = inside_of(z.cell * p.stride.x - z.pad, p.dilation.x, p.a_extent.x, z.taps);
                skip.x = some.x;
                taps.x = some.y - some.x;
            }
            if (p.epilogue.w & 2u) != 0u {
                let some = inside_of(y.cell * p.stride.y - y.pad, p.dilation.y, p.a_extent.y, y.taps);
                skip.y = some.x;
                taps.y = some.y - some.x;
            }
            if (p.epilogue.w & 4u) != 0u {
                // Of the cells of the widest tile, whatever tile this is: its boxes are the same.
                let widest = select(1u, 4u, (p.epilogue.w & 8u) != 0u);
                let left = x.cell - x.cell % widest;
                let one = inside_of(left * p.stride.z - x.pad, p.dilation.z, p.a_extent.z, x.taps);
                let last = min(left + widest, x.cells) - 1u;
                let other = inside_of(last * p.stride.z - x.pad, p.dilation.z, p.a_extent.z, x.taps);
                skip.z = min(one.x, other.x);
                taps.z = max(one.y, other.y) - skip.z;
            }
            if any(taps == vec3<u32>()) { taps = vec3<u32>(); }
        }

        let r_base = p.phase_tiles.w + part * p.parts.z + tile.w * p.base.z + z.r_first + y.r_first + x.r_first
            + z.cell * p.r_stride.x + y.cell * p.r_stride.y;
        let end = End(r_base + (channel_group * channels + c0) * p.r_stride.w + x.cell * p.r_stride.z, channels - c0, x.cells - x.cell);

        let box = (vec4<u32>(number) / vec4<u32>(1u, p.part_count.x, p.part_count.x * p.part_count.y, p.parts.w)) % p.part_count;
        let begin = box * p.chunk;
        let extent = vec4<u32>(taps, p.a_extent.w);
        let count = min(max(extent, begin) - begin, p.chunk);
        let first = begin + vec4<u32>(skip, 0u);
        let z0 = z.cell * p.stride.x + first.x * p.dilation.x - z.pad;
        let y0 = y.cell * p.stride.y + first.y * p.dilation.y - y.pad;
        let x0 = first.z * p.dilation.z - x.pad;
        let a_base = p.rows.w + tile.w * p.base.x + channel_group * p.base.y + first.w * p.a_stride.w;
        let skipped = first * p.b_stride;
        let b_base = p.tables.w + channel_group * p.b_position.w + z.b_first + y.b_first + x.b_first
            + z.cell * p.b_position.x + y.cell * p.b_position.y + x.cell * p.b_position.z
            + skipped.x + skipped.y + skipped.z + skipped.w;
        var b_channel: array<u32, TILE_C>;
        for (var c = 0u; c < TILE_C; c++) {
            // A tile that hangs over its group reads the last channel again and does not store.
            b_channel[c] = b_base + min(c0 + c, channels - 1u) * p.base.w;
        }

        var acc = array<array<Lane, TILE_X>, TILE_C>();
        for (var kz = 0u; kz < count.x; kz++) {
            let iz = source(z0 + kz * p.dilation.x, p.tables.x);
            if !TABLE && iz >= p.a_extent.x { continue; }
            for (var ky = 0u; ky < count.y; ky++) {
                let iy = source(y0 + ky * p.dilation.y, p.tables.y);
                if !TABLE && iy >= p.a_extent.y { continue; }
                let row_inside = iz < p.a_extent.x && iy < p.a_extent.y;
                let row = a_base + iz * p.a_stride.x + iy * p.a_stride.y;
                for (var kx = 0u; kx < count.z; kx++) {
                    var offset: array<u32, TILE_X>;
                    var inside = 0u;
                    for (var i = 0u; i < TILE_X; i++) {
                        // Past the last cell the table ends: what is summed there is not stored.
                        let m = select(x.cell + i, min(x.cell + i, x.cells - 1u), TABLE);
                        let ix = source(m * p.stride.z + x0 + kx * p.dilation.z, p.tables.z);
                        offset[i] = row + ix * p.a_stride.z;
                        inside |= select(0u, 1u << i, row_inside && ix < p.a_extent.z);
                    }
                    if !TABLE && inside == 0u { continue; }
                    let tap = kz * p.b_stride.x + ky * p.b_stride.y + kx * p.b_stride.z;
                    if inside == ALL_INSIDE {
                        for (var ci = 0u; ci < count.w; ci++) {
                            var factor: array<Lane, TILE_C>;
                            for (var c = 0u; c < TILE_C; c++) {
                                factor[c] = Lane(b[b_channel[c] + tap + ci * p.b_stride.w]);
                            }
                            for (var i = 0u; i < TILE_X; i++) {
                                let value = Lane(a[offset[i] + ci * p.a_stride.w]);
                                for (var c = 0u; c < TILE_C; c++) {
                                    acc[c][i] += value * factor[c];
                                }
                            }
                        }
                    } else {
                        for (var ci = 0u; ci < count.w; ci++) {
                            for (var i = 0u; i < TILE_X; i++) {
                                let here = (inside & (1u << i)) != 0u;
                                if TABLE || here {
                                    var value = Lane(p.scale.z);
                                    if here { value = Lane(a[offset[i] + ci * p.a_stride.w]); }
                                    for (var c = 0u; c < TILE_C; c++) {
                                        acc[c][i] += value * Lane(b[b_channel[c] + tap + ci * p.b_stride.w]);
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }

        for (var c = 0u; c < TILE_C; c++) {
            for (var i = 0u; i < TILE_X; i++) {
                if c < end.channels && i < end.cells {
                    let q = channel_group * channels + c0 + c;
                    let at = end_of(end, c, i);
                    var sum = sum_of_lanes(acc[c][i]);
                    if number > first_box { sum += f32(r[at]); }
                    if number + 1u < past_box {
                        r[at] = Sum(sum);
                    } else {
                        var v = p.scale.x * sum;
                        if p.epilogue.y != 0u { v += p.scale.y * f32(residual[at]); }
                        if p.epilogue.z != 0u { v += f32(bias[q]); }
                        r[at] = Sum(activate(p.epilogue.x, p.activation.xy, v));
                    }
                }
            }
        }
    }
}
