// pack: one invocation lays four factors where implicit_gemm.wgsl and gemm_tiled.wgsl read them in a row.
//
//   packed[group, row tile, step, k, row] = b[q, c, t]     q = row tile * rows + row, (c, t) = step * depth + k
//
// shapes   q the channels of one group, c the channels summed over, t the taps z, y, x; zeros past the last of each.
//          Taps are innermost, or channels, counts.w of them
// layout   b any, by its strides, a flipped kernel by negative ones; packed compact, fours of rows
// grid     Grid::linear(fours, WG); surplus invocations return
// rust     Kernel::Pack, PackParams (src/kernel/params.rs)
// import: shared/dispatch.wgsl

const WG: u32 = 64u;          // @spec invocations per workgroup
alias Scalar = f32;           // @spec element of b
alias Scalar4 = vec4f;        // @spec four of them

struct PackParams {
    counts: vec4<u32>,
    tile: vec4<u32>,
    taps: vec4<u32>,
    b_stride: vec4<u32>,
    base: vec4<u32>,
}

@group(0) @binding(0) var<uniform> p: PackParams;
@group(0) @binding(1) var<storage, read> b: array<Scalar>;
@group(0) @binding(2) var<storage, read_write> packed: array<Scalar4>;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = invocation_index(group, groups, local);
    if index >= p.counts.x { return; }
    let four = index % p.tile.x;
    let product = index / p.tile.x % p.tile.y;
    let rest = index / (p.tile.x * p.tile.y);
    let row_tile = rest % p.tile.z;
    let channel_group = rest / p.tile.z;

    var c = product / p.taps.w;
    var t = product % p.taps.w;
    if p.counts.w != 0u {
        c = product % p.counts.w;
        t = product / p.counts.w;
    }
    let tap = vec3<u32>(t / (p.taps.y * p.taps.z), t / p.taps.z % p.taps.y, t % p.taps.z);
    let at = p.base.z + channel_group * p.base.x + c * p.b_stride.w
        + tap.x * p.b_stride.x + tap.y * p.b_stride.y + tap.z * p.b_stride.z;
    var factors = Scalar4();
    for (var i = 0u; i < 4u; i++) {
        let row = (row_tile * p.tile.x + four) * 4u + i;
        if row < p.counts.y && product < p.counts.z { factors[i] = b[at + row * p.base.y]; }
    }
    packed[index] = factors;
}
