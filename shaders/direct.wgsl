// direct: one invocation sums the windows of a tile of TILE_C output channels by TILE_X outputs
// along the innermost axis.
//
//   y[n, q, oz, oy, ox] = act(alpha * sum over kz, ky, kx, c of
//       x[n, g * CI + c, oz * stride.z + kz * dilation.z - pad.z, ...] * w[q, c, kz, ky, kx]
//       + beta * residual[n, q, ...] + bias[q])                 g = the group of q, CI = c_in / groups
//
// shapes   x [n, c_in, z, y, x]   w [c_out, CI, kz, ky, kx]   y, residual [n, c_out, oz, oy, ox]
//          lower ranks have leading extents of 1; unshared: w [c_out, oz, oy, ox, CI, kz, ky, kx]
// layout   any: every tensor comes with its strides; a flipped kernel is a negative stride of w.
//          LANES = 4 reads four neighbouring input channels at once
// outside  TABLE = false: taps outside x are skipped. TABLE = true: table[coordinate + pad] is the cell
//          to read, or OUTSIDE for the constant scale.z
// grid     Grid::linear(tiles, WG); surplus invocations return
// rust     Kernel::Direct, DirectParams (src/kernel/params.rs)
// import: shared/activation.wgsl
// import: shared/dispatch.wgsl

const WG: u32 = 64u;          // @spec invocations per workgroup
const TILE_C: u32 = 4u;       // @spec output channels per invocation
const TILE_X: u32 = 4u;       // @spec outputs along x per invocation
const LANES: u32 = 1u;        // @spec input channels per load
const TABLE: bool = false;    // @spec false: `table` is bound but never read
alias Stored = f32;           // @spec what a load of x or w brings: Scalar, or four of them
alias Lane = f32;             // @spec the same in f32
alias Scalar = f32;           // @spec element of every tensor

const OUTSIDE: u32 = 0xffffffffu;
const ALL_INSIDE: u32 = (1u << TILE_X) - 1u;

struct DirectParams {
    in_extent: vec4<u32>,
    out_extent: vec4<u32>,
    kernel: vec4<u32>,
    stride: vec4<u32>,
    dilation: vec4<u32>,
    pad: vec4<u32>,
    x_stride: vec4<u32>,
    w_stride: vec4<u32>,
    y_stride: vec4<u32>,
    base: vec4<u32>,
    w_position: vec4<u32>,
    tile_step: vec4<u32>,
    tile_count: vec4<u32>,
    channel_tiles: vec4<u32>,
    table: vec4<u32>,
    scale: vec4<f32>,
    activation: vec4<f32>,
}

@group(0) @binding(0) var<uniform> p: DirectParams;
@group(0) @binding(1) var<storage, read> x: array<Stored>;
@group(0) @binding(2) var<storage, read> w: array<Stored>;
@group(0) @binding(3) var<storage, read> bias: array<Scalar>;
@group(0) @binding(4) var<storage, read> residual: array<Scalar>;
@group(0) @binding(5) var<storage, read> table: array<u32>;
@group(0) @binding(6) var<storage, read_write> y: array<Scalar>;

// The cell under padded coordinate `at` of an axis, or something not below its extent.
fn cell(at: u32, pad: u32, table_begin: u32) -> u32 {
    if TABLE { return table[table_begin + at]; }
    // A coordinate before the input wraps round to a large number, which is not below the extent either.
    return at - pad;
}

fn sum_of_lanes(v: Lane) -> f32 {
    let four = vec4f(v);
    return select(four.x, four.x + four.y + (four.z + four.w), LANES == 4u);
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = invocation_index(group, groups, local);
    if index >= p.kernel.w { return; }
    let tile = (vec4<u32>(index) / p.tile_step) % p.tile_count;
    let channel_tile = (index / p.channel_tiles.x) % p.channel_tiles.y;
    let channel_group = channel_tile / p.stride.w;
    let c0 = (channel_tile % p.stride.w) * TILE_C;
    let ox0 = tile.z * TILE_X;
    let in_channels = p.in_extent.w;
    let out_channels = p.out_extent.w;

    let x_base = p.table.w + tile.w * p.base.z + channel_group * p.channel_tiles.w;
    // Weights per output position (unshared) come with TILE_X = 1; else w_position is 0.
    let w_place = p.base.x + tile.x * p.w_position.x + tile.y * p.w_position.y + tile.z * p.w_position.z;
    var w_base: array<u32, TILE_C>;
    for (var c = 0u; c < TILE_C; c++) {
        // A tile that hangs over its group reads the last channel again and does not store.
        let q = channel_group * out_channels + min(c0 + c, out_channels - 1u);
        w_base[c] = w_place + q * p.base.y;
    }

    var acc: array<array<Lane, TILE_X>, TILE_C>;
    for (var kz = 0u; kz < p.kernel.x; kz++) {
        let iz = cell(tile.x * p.stride.x + kz * p.dilation.x, p.pad.x, p.table.x);
        if !TABLE && iz >= p.in_extent.x { continue; }
        for (var ky = 0u; ky < p.kernel.y; ky++) {
            let iy = cell(tile.y * p.stride.y + ky * p.dilation.y, p.pad.y, p.table.y);
            if !TABLE && iy >= p.in_extent.y { continue; }
            let row_inside = iz < p.in_extent.x && iy < p.in_extent.y;
            let row = x_base + iz * p.x_stride.x + iy * p.x_stride.y;
            for (var kx = 0u; kx < p.kernel.z; kx++) {
                var offset: array<u32, TILE_X>;
                var inside = 0u;
                for (var i = 0u; i < TILE_X; i++) {
                    // Past the last output the table ends: what is summed there is not stored.
                    let ox = select(ox0 + i, min(ox0 + i, p.out_extent.z - 1u), TABLE);
                    let ix = cell(ox * p.stride.z + kx * p.dilation.z, p.pad.z, p.table.z);
                    offset[i] = row + ix * p.x_stride.z;
                    inside |= select(0u, 1u << i, row_inside && ix < p.in_extent.z);
                }
                if !TABLE && inside == 0u { continue; }
                let tap = kz * p.w_stride.x + ky * p.w_stride.y + kx * p.w_stride.z;
                if inside == ALL_INSIDE {
                    for (var ci = 0u; ci < in_channels; ci++) {
                        var weight: array<Lane, TILE_C>;
                        for (var c = 0u; c < TILE_C; c++) {
                            weight[c] = Lane(w[w_base[c] + tap + ci * p.w_stride.w]);
                        }
                        for (var i = 0u; i < TILE_X; i++) {
                            let value = Lane(x[offset[i] + ci * p.x_stride.w]);
                            for (var c = 0u; c < TILE_C; c++) {
                                acc[c][i] += value * weight[c];
                            }
                        }
                    }
                } else {
                    for (var ci = 0u; ci < in_channels; ci++) {
                        for (var i = 0u; i < TILE_X; i++) {
                            let here = (inside & (1u << i)) != 0u;
                            if TABLE || here {
                                var value = Lane(p.scale.z);
                                if here { value = Lane(x[offset[i] + ci * p.x_stride.w]); }
                                for (var c = 0u; c < TILE_C; c++) {
                                    acc[c][i] += value * Lane(w[w_base[c] + tap + ci * p.w_stride.w]);
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    let y_base = tile.w * p.base.w + tile.x * p.y_stride.x + tile.y * p.y_stride.y;
    for (var c = 0u; c < TILE_C; c++) {
        for (var i = 0u; i < TILE_X; i++) {
            if c0 + c < out_channels && ox0 + i < p.out_extent.z {
                let q = channel_group * out_channels + c0 + c;
                let at = y_base + q * p.y_stride.w + (ox0 + i) * p.y_stride.z;
                var v = p.scale.x * sum_of_lanes(acc[c][i]);
                if p.pad.w != 0u { v += p.scale.y * f32(residual[at]); }
                if p.dilation.w != 0u { v += f32(bias[q]); }
                y[at] = Scalar(activate(p.channel_tiles.z, p.activation.xy, v));
            }
        }
    }
}
