// fft_forward: spectra of tiles of a tensor. Two real tiles are the parts of one complex block, z = t0 + sqrt(-1) t1, and come
// apart again by symmetry: with Z its transform,
//
//   s0[u] = Z[u] + conj(Z[-u])        s1[u] = (Z[u] - conj(Z[-u])) / sqrt(-1)        twice the spectra of t0 and t1
//
// Of every u and -u one is kept, the one that stands in the table. A long axis of outer * fused samples is transformed along its
// fused part here, from every outer-th sample on; fft_axis.wgsl does the rest.
//
// shapes   a any, by its strides, zero outside its extents; s [groups, bins, slices, k, pairs] of two complex numbers
// k        (what is summed over, tiles where they are summed over too); columns likewise; neighbouring columns are a pair, of one
//          image: what an image holds reaches no other one
// tiles    sample i of tile t lies at begin + t * hop + i * step, and is 0 from `limit` on, counted from the tile's first
// counts.w a power of two that samples are multiplied by, so that nothing overflows on the way; fft_inverse.wgsl takes it back
// table    for every bin u and -u, as z, y, x of the block in a row; then the roots
// grid     a workgroup for PAIRS pairs of one slice and group, pairs fastest
// memory   PAIRS * TZ * TY * TX * 8 bytes
// rust     Kernel::FftForward, FftForwardParams (src/kernel/fft.rs)
// import: shared/fft.wgsl
// import: shared/fft_block.wgsl

const TZ: u32 = 1u;           // @spec points along z
const TY: u32 = 32u;          // @spec along y
const TX: u32 = 32u;          // @spec along x
const PAIRS: u32 = 1u;        // @spec blocks in a workgroup
const WG: u32 = 128u;         // @spec invocations per workgroup
const HELD: u32 = 8u;         // @spec points that an invocation holds
const X0: u32 = 8u;           // @spec radices along x, 1 where there is no more pass
const X1: u32 = 4u;           // @spec
const X2: u32 = 1u;           // @spec
const X3: u32 = 1u;           // @spec
const X4: u32 = 1u;           // @spec
const Y0: u32 = 8u;           // @spec along y
const Y1: u32 = 4u;           // @spec
const Y2: u32 = 1u;           // @spec
const Z0: u32 = 1u;           // @spec along z
const Z1: u32 = 1u;           // @spec

struct FftForwardParams {
    extent: vec4<u32>,
    step: vec4<u32>,
    begin: vec4<u32>,
    hop: vec4<u32>,
    limit: vec4<u32>,
    stride: vec4<u32>,
    outer: vec4<u32>,
    tiles: vec4<u32>,
    matrix: vec4<u32>,
    chunk: vec4<u32>,
    counts: vec4<u32>,
    base: vec4<u32>,
}

@group(0) @binding(0) var<uniform> p: FftForwardParams;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> table: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read_write> s: array<vec4f>;

fn root(i: u32) -> vec2f { return bitcast<vec2f>(table[p.matrix.w + i]); }

// One of the two tiles: where its first sample lies, and past which coordinate it is 0. `at` is where coordinate 0 lies.
struct Tile { at: u32, first: vec3<u32>, end: vec3<u32> }

// Of what is summed over, `k`, in column `column` of group `group`; of a slice that begins at these samples.
fn tile_of(k: u32, column: u32, group: u32, slice: vec3<u32>) -> Tile {
    var t = k % p.chunk.z + column % p.chunk.w;
    let at = p.base.x + k / p.chunk.z * p.base.y + column / p.chunk.w * p.base.z + group * p.base.w;
    let tx = t % p.tiles.z;
    t /= p.tiles.z;
    let origin = p.begin.xyz + vec3<u32>(t / p.tiles.y, t % p.tiles.y, tx) * p.hop.xyz;
    let end = clamp(vec3<i32>(origin + p.limit.xyz), vec3<i32>(0), vec3<i32>(p.extent.xyz));
    // A column past the last is nothing, nor is the tile that an odd number of them in an image is filled up with.
    let is_tile = column < p.matrix.z && column % p.chunk.w < p.tiles.w;
    let here = vec3<u32>(select(0u, 1u, is_tile));
    return Tile(at, origin + slice * p.step.xyz, vec3<u32>(end) * here);
}

// A sample, or 0 where there is none.
fn sample(at: u32, is_there: bool) -> f32 {
    return select(0.0, a[select(0u, at, is_there)], is_there);
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // The same for all invocations of a workgroup: either all leave or none.
    let id = group.y * groups.x + group.x;
    if id >= p.counts.x { return; }
    let which = block_of(local);
    let lane = local - which * LANES;
    let block = which * POINTS;
    let batch = id / p.counts.y;
    let slice = batch % p.outer.w;
    let g = batch / p.outer.w;
    let samples = vec3<u32>(slice / p.outer.z / p.outer.y, slice / p.outer.z % p.outer.y, slice % p.outer.z);
    // Of a workgroup that hangs over, the last pair again, which is not stored.
    let wanted = id % p.counts.y * PAIRS + which;
    let pair = min(wanted, p.counts.z - 1u);
    let k = pair / p.matrix.y;
    let column = pair % p.matrix.y * 2u;
    let t0 = tile_of(p.chunk.x + k, p.chunk.y + column, g, samples);
    let t1 = tile_of(p.chunk.x + k, p.chunk.y + column + 1u, g, samples);
    let step = p.outer.xyz * p.step.xyz;
    let factor = bitcast<f32>(p.counts.w);

    var v: array<vec2f, HELD>;
    for (var turn = 0u; turn < (POINTS / X0 + LANES - 1u) / LANES; turn++) {
        let b = butterfly(min(lane + turn * LANES, POINTS / X0 - 1u), X0, TX, 1u);
        let line = b.line / TX;
        let zy = vec2<u32>(line / TY, line % TY) * step.xy;
        let c0 = t0.first.xy + zy;
        let c1 = t1.first.xy + zy;
        let x0 = t0.first.z + b.along * step.z;
        let x1 = t1.first.z + b.along * step.z;
        let at0 = t0.at + c0.x * p.stride.x + c0.y * p.stride.y + x0 * p.stride.z;
        let at1 = t1.at + c1.x * p.stride.x + c1.y * p.stride.y + x1 * p.stride.z;
        let end0 = select(0u, t0.end.z, all(c0 < t0.end.xy));
        let end1 = select(0u, t1.end.z, all(c1 < t1.end.xy));
        for (var q = 0u; q < X0; q++) {
            // The same for all invocations.
            let x = q * (TX / X0) * step.z;
            v[turn * X0 + q] =
                factor * vec2f(sample(at0 + x * p.stride.z, x0 + x < end0), sample(at1 + x * p.stride.z, x1 + x < end1));
        }
    }
    transform(&v, lane, X0, 1u, TX, 1u, 0u);
    put(&v, lane, block, X0, 1u, TX, 1u);
    workgroupBarrier();
    rest_of_x(lane, block);
    all_of_y(lane, block);
    all_of_z(lane, block);

    if wanted < p.counts.z {
        for (var h = lane; h < p.matrix.w; h += LANES) {
            let u = points[block + table[h].x];
            let w = points[block + table[h].y];
            s[((g * p.matrix.w + h) * p.outer.w + slice) * p.counts.z + pair] =
                vec4f(u.x + w.x, u.y - w.y, u.y + w.y, w.x - u.x);
        }
    }
}
