// depthwise: one workgroup computes a tile of cells of a few planes of the result, every invocation QN channels by eight
// rows in registers. Sums run over few channels, so that values are read from workgroup memory and used for many taps:
//
//   r[n, q, m] = act(alpha * sum over c, t of  a[n, g * C + c, m * stride + t * dilation - pad] * b[q, c, t]
//                    + beta * residual[n, q, m] + bias[q])                 g = the group of q
//
// shapes   as for direct.wgsl, with its rows of phases in `table`; steps along a backwards were turned round by the host.
//          A plane is an image, a cell along z and a group; triples are (z, rows, columns): the host says which axis is which
// layout   any: every tensor comes with its strides
// rows     of an invocation are `stride.w` cells apart, so that with any dilation tap k of row i lies SY * i + k places along
//          a column of the tile (shared/window.wgsl)
// steps    channels, taps along z and boxes of the other taps: the tile with its halo and the factors are brought to
//          workgroup memory, then multiplied. Only taps that there are touch a value: 0 times infinity is no zero
// grid     a workgroup per tile, phase and set of planes; memory 944 * 16 + 64 * 20 bytes
// rust     Kernel::Depthwise, DepthwiseParams (src/kernel/depthwise.rs)
// import: shared/activation.wgsl
// import: shared/window.wgsl

const WG: u32 = 256u;         // invocations per workgroup
const QN: u32 = 1u;           // @spec channels of the result per invocation: 1 or 8
const SY: u32 = 1u;           // @spec places between the rows of an invocation: 1, 2, or 8 for rows that share nothing
const KB: u32 = 3u;           // @spec taps along the rows at once: all of 3, 5 or 7, else 8 at a time
alias Scalar = f32;           // @spec element of the operands
alias Sum = f32;              // @spec element of r: Scalar, or f32 where it is folded

const TY: u32 = 8u;
// Fours of values that rows and taps of a column span, and of its factors.
const NV: u32 = ((TY - 1u) * SY + KB + 3u) / 4u;
const NF: u32 = (KB + 3u) / 4u;
// Totals of blocks: those of several channels lie in memory, where registers are none to spare. For that their index is no
// constant, and because Mesa keeps up to 256 bytes in registers all the same, there is one more.
const TOTALS: u32 = select(2u, 17u, QN > 1u);

struct DepthwiseParams {
    window: Window,
    factors: Counter,             // at = place, offset in b, tap + (tap column << 16), channel + (plane << 16)
    plane_radix: vec4<u32>,       // of the first two digits of a plane; planes in all, of a workgroup
    plane_inverse: vec4<f32>,     // of the two radices; 0
    plane_a: vec4<u32>,           // steps in a per digit, in b, in r, then the first element; cells along z, channels, 0
    plane_b: vec4<u32>,
    plane_r: vec4<u32>,
    plane_z: vec4<u32>,
    plane_q: vec4<u32>,
    lane_step: vec4<u32>,         // digits of an invocation: column, block of rows, plane, block of channels
    lane_count: vec4<u32>,
    lane_inverse: vec4<f32>,      // of lane_step, of lane_count
    count_inverse: vec4<f32>,
    lane_a: vec4<u32>,            // places in memory per column, band, block of rows in a band, plane
    lane_b: vec4<u32>,            // where the factors begin; places per plane, block of channels, tap column
    tiles: vec4<u32>,             // of channels, columns, bands, blocks of rows
    phases: vec4<u32>,            // of columns, rows, z; 0
    tile: vec4<u32>,              // columns, bands, blocks of rows, blocks of channels
    taps: vec4<u32>,              // of a box along rows and columns; places per tap column; 0
    rows: vec4<u32>,              // where the rows of the phases of z, rows, columns begin in the table; 0
    stride: vec4<u32>,            // cells of a per cell of the result; cells between the rows of an invocation
    dilation: vec4<u32>,          // per tap; 0
    b_stride: vec4<u32>,          // steps in b per tap; per channel summed over
    r_stride: vec4<u32>,          // steps in r per cell; per channel
    counts: vec4<u32>,            // channels of a group, channels summed over, workgroups, invocations in use
    channel: vec4<u32>,           // steps in b per channel of the result; sets of planes of a workgroup; tap columns of a block; 0
    epilogue: vec4<u32>,
    scale: vec4<f32>,
    activation: vec4<f32>,
}

@group(0) @binding(0) var<uniform> p: DepthwiseParams;
@group(0) @binding(1) var<storage, read> a: array<Scalar>;
@group(0) @binding(2) var<storage, read> b: array<Scalar>;
@group(0) @binding(3) var<storage, read> bias: array<Scalar>;
@group(0) @binding(4) var<storage, read> residual: array<Scalar>;
@group(0) @binding(5) var<storage, read> table: array<u32>;
@group(0) @binding(6) var<storage, read_write> r: array<Sum>;

var<workgroup> memory: array<vec4f, 944>;
// Steps in a, in b; cells of a along z before the first tap; steps in r. Then the first channel, or NONE.
var<workgroup> planes: array<vec4<u32>, 64>;
var<workgroup> first_channel: array<u32, 64>;
const NONE: u32 = 0xffffffffu;

struct Phase { taps: u32, pad: u32, b_first: u32, r_first: u32, cells: u32 }

fn phase(row: u32) -> Phase {
    return Phase(table[row], table[row + 1u], table[row + 2u], table[row + 3u], table[row + 4u]);
}

// Factors of the box whose first tap is at `begin` in b; `taps` of it along rows, `columns` along columns.
fn stage_factors(first: Walk, local: u32, begin: u32, taps: u32, columns: u32, channels: u32) {
    let four = vec4<u32>(0u, 1u, 2u, 3u);
    var item = first;
    for (var i = local; i < p.factors.radix.w; i += WG) {
        let plane = planes[item.at.w >> 16u];
        let tap = (item.at.z & 0xffffu) + select(four, vec4<u32>(0u), QN > 1u);
        let channel = (item.at.w & 0xffffu) + select(vec4<u32>(0u), four, QN > 1u);
        let inside = (tap < vec4<u32>(taps)) & (channel < vec4<u32>(channels)) & vec4<bool>(item.at.z >> 16u < columns);
        let index = select(vec4<u32>(0u), begin + plane.y + item.at.y + four * select(p.b_stride.y, p.channel.x, QN > 1u), inside);
        memory[p.lane_b.x + item.at.x] = vec4f(f32(b[index.x]), f32(b[index.y]), f32(b[index.z]), f32(b[index.w]));
        item = ahead(p.factors, item);
    }
}

// The tile of a workgroup: its phases, first cells, and channel within a group; then what is left of the index.
struct Tile { z: Phase, y: Phase, x: Phase, first_row: u32, first_column: u32, first_q: u32, rest: u32 }

fn tile_of(id: u32) -> Tile {
    let q = split(id, p.tiles.x);
    let x_phase = split(q.y, p.phases.x);
    let x = split(x_phase.y, p.tiles.y);
    let y_phase = split(x.y, p.phases.y);
    let band = split(y_phase.y, p.tiles.z);
    let y = split(band.y, p.tiles.w);
    let z_phase = split(y.y, p.phases.z);
    return Tile(
        phase(p.rows.x + z_phase.x * 5u), phase(p.rows.y + y_phase.x * 5u), phase(p.rows.z + x_phase.x * 5u),
        y.x * p.tile.z * TY * p.stride.w + band.x * p.tile.y, x.x * p.tile.x, q.x * p.tile.w * QN, z_phase.y);
}

// Where the planes of the set `later` planes after `first`, whose digits are `low`, begin: one per invocation.
fn stage_planes(local: u32, first: u32, low: vec3<u32>, later: u32, t: Tile) {
    if local >= p.plane_radix.w { return; }
    let there = first + later + local < p.plane_radix.z;
    var digit = low;
    digit.x += select(0u, later + local, there);
    for (var i = 0u; i < 2u; i++) {
        // A carry of less than 512 in all.
        let some = quotient(digit[i], p.plane_inverse[i]);
        let carry = select(some, u32(digit[i] >= p.plane_radix[i]), p.plane_radix[i] > 512u);
        digit[i] -= carry * p.plane_radix[i];
        digit[i + 1u] += carry;
    }
    let cell = dot(digit, p.plane_z.xyz);
    planes[local] = vec4<u32>(p.plane_a.w + dot(digit, p.plane_a.xyz), p.plane_b.w + dot(digit, p.plane_b.xyz),
        cell * p.stride.x - t.z.pad, p.plane_r.w + dot(digit, p.plane_r.xyz));
    first_channel[local] = select(NONE, dot(digit, p.plane_q.xyz), there && cell < t.z.cells);
}

// What a column of KB taps needs: values, and for a single channel factors.
struct Column { v: array<f32, 4u * NV>, f: array<f32, 4u * NF> }

// Tap `k` of every row and channel; factors of several channels are those from `at`.
fn tap(acc: ptr<function, array<vec4f, 2u * QN>>, column: ptr<function, Column>, at: u32, k: u32) {
    let v = &(*column).v;
    let low = vec4f((*v)[k], (*v)[k + SY], (*v)[k + 2u * SY], (*v)[k + 3u * SY]);
    let high = vec4f((*v)[k + 4u * SY], (*v)[k + 5u * SY], (*v)[k + 6u * SY], (*v)[k + 7u * SY]);
    for (var q = 0u; q < QN; q++) {
        var factor = (*column).f[k];
        if QN > 1u { factor = memory[at + k * (QN / 4u) + q / 4u][q % 4u]; }
        (*acc)[2u * q] += factor * low;
        (*acc)[2u * q + 1u] += factor * high;
    }
}

// `left` of KB taps of a column: all of 3, 5 or 7. Unrolled by hand: as a loop, eight channels are too much for Mesa to unroll.
fn taps_of(acc: ptr<function, array<vec4f, 2u * QN>>, values_at: u32, at: u32, left: u32) {
    var column: Column;
    for (var j = 0u; j < NV; j++) {
        let four = memory[values_at + j];
        for (var e = 0u; e < 4u; e++) { column.v[4u * j + e] = four[e]; }
    }
    for (var j = 0u; QN == 1u && j < NF; j++) {
        let four = memory[at + j];
        for (var e = 0u; e < 4u; e++) { column.f[4u * j + e] = four[e]; }
    }
    tap(acc, &column, at, 0u);
    if left > 1u { tap(acc, &column, at, 1u); }
    if left > 2u { tap(acc, &column, at, 2u); }
    if KB > 3u && left > 3u { tap(acc, &column, at, 3u % KB); }
    if KB > 4u && left > 4u { tap(acc, &column, at, 4u % KB); }
    if KB > 5u && left > 5u { tap(acc, &column, at, 5u % KB); }
    if KB > 6u && left > 6u { tap(acc, &column, at, 6u % KB); }
    if left > 7u { tap(acc, &column, at, 7u % KB); }
}

fn total(i: u32) -> u32 { return select(0u, p.channel.w, QN > 1u) + i; }

// Adds what was summed up to what the totals are, if anything `is_there`, and begins anew: in one accumulator the roundings of a
// long sum of numbers of one sign all go the same way.
fn settle(acc: ptr<function, array<vec4f, 2u * QN>>, totals: ptr<function, array<vec4f, TOTALS>>, is_there: bool) {
    for (var i = 0u; i < 2u * QN; i++) {
        if is_there { (*acc)[i] += (*totals)[total(i)]; }
        (*totals)[total(i)] = (*acc)[i];
        (*acc)[i] = vec4f();
    }
}

fn store(
    acc: ptr<function, array<vec4f, 2u * QN>>, totals: ptr<function, array<vec4f, TOTALS>>, is_there: bool, t: Tile,
    cells: vec2<u32>, plane: u32, channel: u32,
) {
    let first = first_channel[plane];
    if first == NONE { return; }
    let begin = planes[plane].w + t.z.r_first + t.y.r_first + t.x.r_first + cells.y * p.r_stride.z
        + (first + channel) * p.r_stride.w;
    for (var i = 0u; i < TY; i++) {
        let row = cells.x + i * p.stride.w;
        if row >= t.y.cells { continue; }
        for (var q = 0u; q < QN; q++) {
            if channel + q >= p.counts.x { continue; }
            let at = begin + row * p.r_stride.y + q * p.r_stride.w;
            var sum = (*acc)[2u * q + i / 4u][i % 4u];
            if is_there { sum += (*totals)[total(2u * q + i / 4u)][i % 4u]; }
            sum *= p.scale.x;
            if p.epilogue.y != 0u { sum += p.scale.y * f32(residual[at]); }
            if p.epilogue.z != 0u { sum += f32(bias[first + channel + q]); }
            r[at] = Sum(activate(p.epilogue.x, p.activation.xy, sum));
        }
    }
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // The same for all invocations of a workgroup: either all leave or none.
    let id = group.y * groups.x + group.x;
    if id >= p.counts.z { return; }
    let t = tile_of(id);
    var lane: array<u32, 4>;
    for (var i = 0u; i < 4u; i++) {
        let over = quotient(local, p.lane_inverse[i]);
        lane[i] = over - quotient(over, p.count_inverse[i]) * p.lane_count[i];
    }
    let block = quotient(lane[1], p.scale.w);
    let band = lane[1] - block * p.tile.y;
    let values_at = lane[0] * p.lane_a.x + band * p.lane_a.y + block * p.lane_a.z + lane[2] * p.lane_a.w;
    let factors_at = p.lane_b.x + lane[2] * p.lane_b.y + lane[3] * p.lane_b.z;
    let values_first = walk(p.window.items, local);
    let factors_first = walk(p.factors, local);
    let b_begin = t.first_q * p.channel.x + t.z.b_first + t.y.b_first + t.x.b_first;
    let origin = vec3<u32>(0u, t.first_row * p.stride.y - t.y.pad, t.first_column * p.stride.z - t.x.pad);
    let cells = vec2<u32>(t.first_row + block * TY * p.stride.w + band, t.first_column + lane[0]);
    let plane = t.rest * p.channel.y * p.plane_radix.w;
    let plane_low = split(plane, p.plane_radix.x);
    let planes_first = vec3<u32>(plane_low.x, split(plane_low.y, p.plane_radix.y));

    var totals: array<vec4f, TOTALS>;
    for (var i = 0u; i < p.channel.y; i++) {
        // What was stored or multiplied last is no longer needed, and the planes are known.
        workgroupBarrier();
        stage_planes(local, plane, planes_first, i * p.plane_radix.w, t);
        workgroupBarrier();
        var acc: array<vec4f, 2u * QN>;
        // How many tap columns the accumulators hold, and whether blocks of them were added up.
        var held = 0u;
        var is_there = false;
        for (var c = 0u; c < p.counts.y; c++) {
            for (var tz = 0u; tz < t.z.taps; tz++) {
                for (var ty = 0u; ty < t.y.taps; ty += p.taps.x) {
                    for (var tx = 0u; tx < t.x.taps; tx += p.taps.y) {
                        let taps = min(t.y.taps - ty, p.taps.x);
                        let columns = min(t.x.taps - tx, p.taps.y);
                        let rows = select((p.tile.z * TY - 1u) * SY + taps, taps, SY == 8u);
                        let at = vec3<u32>(tz, ty, tx);
                        let a_at = origin + at * p.dilation.xyz;
                        let b_at = b_begin + c * p.b_stride.w + dot(at, p.b_stride.xyz);
                        stage_window(values_first, local, a_at, c * p.window.stride.w, rows, p.scale.z);
                        stage_factors(factors_first, local, b_at, taps, columns, p.counts.x - t.first_q);
                        workgroupBarrier();
                        var j = 0u;
                        while j < columns {
                            if held == p.channel.z {
                                settle(&acc, &totals, is_there);
                                is_there = true;
                                held = 0u;
                            }
                            let end = min(j + (p.channel.z - held), columns);
                            held += end - j;
                            for (; j < end; j++) {
                                for (var k = 0u; k < taps; k += KB) {
                                    let factors = factors_at + j * p.lane_b.w + k / 4u * QN;
                                    taps_of(&acc, values_at + j * p.taps.z + k / 4u, factors, select(taps - k, KB, KB < 8u));
                                }
                            }
                        }
                        workgroupBarrier();
                    }
                }
            }
        }
        let stores = local < p.counts.w && cells.y < t.x.cells;
        if stores { store(&acc, &totals, is_there, t, cells, lane[2], t.first_q + lane[3] * QN); }
    }
}
