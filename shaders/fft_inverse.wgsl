// fft_inverse: tiles of the result from their spectra, two in one complex block, and of each tile the cells that are not
// polluted by its wrapping around. With Z[u] = s0[u] + sqrt(-1) s1[u] and Z[-u] = conj(s0[u]) + sqrt(-1) conj(s1[u])
//
//   r[cell] = act(alpha * scale * (inverse transform of Z)[cell * stride] + beta * residual[cell] + bias[q])
//
// The inverse transform is the forward one of exchanged parts, with its parts exchanged.
//
// shapes   s [groups, bins, slices, q, pairs] of two complex numbers; where p.factor.w is 1 instead a product that is made here,
//          of a [groups, bins, 1, 1, pairs] and of the conjugates of b [groups, bins, 1, 1, pairs of q]; r any, by its strides
// tiles    cell m of tile t is cell t * per_tile + m of the result and sample m * stride of the tile
// table    as in fft_forward.wgsl
// grid     a workgroup for PAIRS pairs of one slice and group, pairs fastest
// memory   PAIRS * TZ * TY * TX * 8 bytes
// rust     Kernel::FftInverse, FftInverseParams (src/kernel/fft.rs)
// import: shared/activation.wgsl
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

struct FftInverseParams {
    cells: vec4<u32>,
    per_tile: vec4<u32>,
    stride: vec4<u32>,
    r_stride: vec4<u32>,
    outer: vec4<u32>,
    tiles: vec4<u32>,
    matrix: vec4<u32>,
    chunk: vec4<u32>,
    counts: vec4<u32>,
    base: vec4<u32>,
    factor: vec4<u32>,
    epilogue: vec4<u32>,
    scale: vec4<f32>,
    activation: vec4<f32>,
}

@group(0) @binding(0) var<uniform> p: FftInverseParams;
@group(0) @binding(1) var<storage, read> s: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
@group(0) @binding(5) var<storage, read> table: array<vec2<u32>>;
@group(0) @binding(6) var<storage, read_write> r: array<f32>;

fn root(i: u32) -> vec2f { return bitcast<vec2f>(table[p.matrix.w + i]); }

// The spectra of a pair at one bin.
fn spectrum(g: u32, h: u32, slice: u32, pair: u32) -> vec4f {
    let bin = g * p.matrix.w + h;
    if p.factor.w == 0u { return s[(bin * p.outer.w + slice) * p.counts.z + pair]; }
    let q = pair / p.matrix.y;
    let both = b[bin * p.factor.x + q / 2u];
    let w = select(both.xy, both.zw, q % 2u == 1u);
    let x = s[bin * p.matrix.y + pair % p.matrix.y];
    return vec4f(
        fma(w.x, x.x, w.y * x.y), fma(w.x, x.y, -(w.y * x.x)), fma(w.x, x.z, w.y * x.w), fma(w.x, x.w, -(w.y * x.z)));
}

// Where the tile of a column begins: its first cell, and where that lies in r. A column past the last has no cell.
struct Tile { at: u32, first: vec3<u32>, end: vec3<u32> }

fn tile_of(column: u32, channel: u32) -> Tile {
    var t = column % p.chunk.y;
    let at = p.base.x + column / p.chunk.y * p.base.y + channel * p.base.z;
    let tx = t % p.tiles.z;
    t /= p.tiles.z;
    let first = vec3<u32>(t / p.tiles.y, t % p.tiles.y, tx) * p.per_tile.xyz;
    let end = min(first + p.per_tile.xyz, p.cells.xyz);
    let is_tile = column < p.matrix.z && column % p.chunk.y < p.tiles.w;
    return Tile(at + dot(first, p.r_stride.xyz), first, end * select(0u, 1u, is_tile));
}

fn store(tile: Tile, channel: u32, cell: vec3<u32>, value: f32) {
    if all(tile.first + cell < tile.end) {
        let at = tile.at + dot(cell, p.r_stride.xyz);
        var v = p.scale.x * value;
        if p.epilogue.y != 0u { v += p.scale.y * residual[at]; }
        if p.epilogue.z != 0u { v += bias[channel]; }
        r[at] = activate(p.epilogue.x, p.activation.xy, v);
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
    if id >= p.counts.x { return; }
    let which = block_of(local);
    let lane = local - which * LANES;
    let block = which * POINTS;
    let batch = id / p.counts.y;
    let slice = batch % p.outer.w;
    let g = batch / p.outer.w;
    // Of a workgroup that hangs over, the last pair again, which is not stored.
    let wanted = id % p.counts.y * PAIRS + which;
    let pair = min(wanted, p.counts.z - 1u);

    for (var h = lane; h < p.matrix.w; h += LANES) {
        let y = spectrum(g, h, slice, pair);
        points[block + table[h].y] = vec2f(y.z - y.y, y.x + y.w);
        points[block + table[h].x] = vec2f(y.y + y.z, y.x - y.w);
    }
    workgroupBarrier();
    all_of_z(lane, block);
    all_of_y(lane, block);
    stage(lane, block, X0, 1u, TX, 1u, 0u);
    rest_of_x(lane, block);

    if wanted < p.counts.z {
        let channel = g * p.matrix.x + pair / p.matrix.y;
        let column = p.chunk.x + pair % p.matrix.y * 2u;
        let t0 = tile_of(column, channel);
        let t1 = tile_of(column + 1u, channel);
        let first = vec3<u32>(slice / p.outer.z / p.outer.y, slice / p.outer.z % p.outer.y, slice % p.outer.z);
        for (var i = lane; i < POINTS; i += LANES) {
            let at = first + p.outer.xyz * vec3<u32>(i / (TY * TX), i / TX % TY, i % TX);
            var cell = at;
            var is_cell = true;
            if p.stride.w != 0u {
                cell = at / p.stride.xyz;
                is_cell = all(cell * p.stride.xyz == at);
            }
            if is_cell && all(cell < p.per_tile.xyz) {
                let v = points[block + i];
                store(t0, channel, cell, v.y);
                store(t1, channel, cell, v.x);
            }
        }
    }
}
