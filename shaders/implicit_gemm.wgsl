// implicit_gemm: a matrix product whose second factor is gathered on the fly. One workgroup computes a tile of BM channels
// by BN cells of the result, BK products at a time: both factors go through workgroup memory, and every invocation
// multiplies SM fours of rows with SN fours of columns in registers. One loop serves the convolution and its gradients:
//
//   r[n, q, m] = act(alpha * sum over c, t of  packed[q, (c, t)] * a[n, g * C + c, m * stride + t * dilation - pad]
//                    + beta * residual[n, q, m] + bias[q])                 g = the group of q
//
// shapes   rows are the channels q of one group, columns the images n and cells m of one phase, as for direct.wgsl;
//          products are the pairs (c, t), taps t innermost: `taps` has an entry each, its offset in a and its z, y, x
// packed   [group, row tile, step, BK, BM], zeros where a tile hangs over (pack.wgsl)
// layout   any: a and r come with their strides
// outside  MASK = true: a bit per tap says of a column whether it lies in a, else it is zero. MASK = false: coordinates are
//          compared with a's extents for every load, for kernels of more than 32 taps. TABLE = true: boundary[coordinate] is the cell to read, or OUTSIDE for
//          the constant scale.z
// parts    long sums are cut into ranges of products, each of which writes its own copy of r; fold.wgsl adds them
// grid     a workgroup per row tile, column tile, group and part, rows fastest
// memory   BK * BM * 4 + BK * (BN + 4) * 4 + BK * 32 + BN * 20 bytes
// rust     Kernel::ImplicitGemm, GemmParams (src/kernel/params.rs)
// import: shared/activation.wgsl

const BM: u32 = 128u;         // @spec rows of a tile
const BN: u32 = 128u;         // @spec columns of a tile
const BK: u32 = 16u;          // @spec products per step
const SM: u32 = 2u;           // @spec fours of rows per invocation
const SN: u32 = 2u;           // @spec fours of columns per invocation
const MASK: bool = true;      // @spec whether columns have a bit for each of at most 32 taps
const TABLE: bool = false;    // @spec whether coordinates go through boundary tables
alias Scalar = f32;           // @spec element of the operands
alias Scalar4 = vec4f;        // @spec four of them
alias Sum = f32;              // @spec element of r: Scalar, or f32 for parts

const TM: u32 = BM / 4u / SM;         // invocations of a tile along its rows
const TN: u32 = BN / 4u / SN;         // and along its columns
const WG: u32 = TM * TN;
const FOURS: u32 = BN / 4u;           // columns of a tile in fours that lie this far apart, so that neighbours load neighbours
const PITCH: u32 = FOURS + 1u;        // one more, against bank conflicts
const ROW_LOADS: u32 = BM * BK / 4u / WG;
const COLUMN_LOADS: u32 = BN * BK / 4u / WG;
const DEPTHS: u32 = WG / FOURS;       // products that are gathered at once

const_assert BM * BK % (4u * WG) == 0u && BN * BK % (4u * WG) == 0u && WG % FOURS == 0u && BK <= WG;

const OUTSIDE: u32 = 0xffffffffu;
// Added to any coordinate, it is outside: extents and padding together stay below this.
const FAR: u32 = 0x80000000u;

struct GemmParams {
    a_extent: vec4<u32>,
    stride: vec4<u32>,
    pad: vec4<u32>,
    a_stride: vec4<u32>,
    cells: vec4<u32>,
    r_stride: vec4<u32>,
    base: vec4<u32>,
    tiles: vec4<u32>,
    steps: vec4<u32>,
    counts: vec4<u32>,
    tables: vec4<u32>,
    epilogue: vec4<u32>,
    scale: vec4<f32>,
    activation: vec4<f32>,
}

@group(0) @binding(0) var<uniform> p: GemmParams;
@group(0) @binding(1) var<storage, read> a: array<Scalar>;
@group(0) @binding(2) var<storage, read> packed: array<Scalar4>;
@group(0) @binding(3) var<storage, read> bias: array<Scalar>;
@group(0) @binding(4) var<storage, read> residual: array<Scalar>;
@group(0) @binding(5) var<storage, read> tap: array<vec4<u32>>;
@group(0) @binding(6) var<storage, read> boundary: array<u32>;
@group(0) @binding(7) var<storage, read_write> r: array<Sum>;

var<workgroup> rows: array<vec4f, BK * BM / 4u>;
var<workgroup> columns: array<vec4f, BK * PITCH>;
var<workgroup> taps: array<vec4<u32>, 2u * BK>;     // of this step and of the next
var<workgroup> starts: array<vec4<u32>, BN>;        // of every column: where in a it begins, and its z, y, x or its mask
var<workgroup> ends: array<u32, BN>;                // and where in r it lies

// The channel and tap of a product, counted along without divisions.
struct Product { index: u32, channel: u32, tap: u32 }

fn next(product: Product) -> Product {
    var channel = product.channel + p.steps.z;
    var tap = product.tap + p.steps.w;
    if tap >= p.stride.w { tap -= p.stride.w; channel += 1u; }
    return Product(product.index + BK, channel, tap);
}

fn entry_of(product: Product) -> vec4<u32> {
    // Past the last product nothing may be read: its factor is 0, but the other one might be no number.
    if product.index >= p.a_extent.w { return vec4<u32>(0u, select(FAR, 0u, MASK), 0u, 0u); }
    var entry = tap[p.pad.w + product.tap];
    entry.x += product.channel * p.a_stride.w;
    if MASK { entry.y = 1u << product.tap; }
    return entry;
}

fn gather(start: vec4<u32>, entry: vec4<u32>) -> f32 {
    var at = start.yzw + entry.yzw;
    if TABLE {
        if entry.y == FAR { return 0.0; }
        at = vec3<u32>(boundary[p.tables.x + at.x], boundary[p.tables.y + at.y], boundary[p.tables.z + at.z]);
        if any(at == vec3<u32>(OUTSIDE)) { return p.scale.z; }
        return f32(a[start.x + entry.x + at.x * p.a_stride.x + at.y * p.a_stride.y + at.z * p.a_stride.z]);
    }
    // A coordinate before the first wraps round to a large number, which is not below the extent either.
    var inside = all(at < p.a_extent.xyz);
    if MASK { inside = (start.y & entry.y) != 0u; }
    let value = f32(a[select(0u, start.x + entry.x, inside)]);
    return select(0.0, value, inside);
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // The same for all invocations of a workgroup: either all leave or none.
    let id = group.y * groups.x + group.x;
    if id >= p.counts.w { return; }
    let row_tile = id % p.tiles.x;
    let column_tile = (id / p.tiles.x) % p.tiles.y;
    let rest = id / (p.tiles.x * p.tiles.y);
    let channel_group = rest % p.tiles.z;
    let part = rest / p.tiles.z;

    for (var j = local; j < BN; j += WG) {
        // A tile that hangs over computes the last column again and does not store it.
        let column = min(column_tile * BN + j, p.counts.y - 1u);
        let x = column % p.cells.z;
        let zy = column / p.cells.z;
        let y = zy % p.cells.y;
        let nz = zy / p.cells.y;
        let z = nz % p.cells.x;
        let n = nz / p.cells.x;
        let at = vec3<u32>(z, y, x) * p.stride.xyz - p.pad.xyz;
        var begin = n * p.base.x + channel_group * p.base.y;
        if !TABLE { begin += at.x * p.a_stride.x + at.y * p.a_stride.y + at.z * p.a_stride.z; }
        starts[j] = vec4<u32>(begin, at);
        if MASK {
            var inside = 0u;
            for (var t = 0u; t < p.stride.w; t++) {
                inside |= select(0u, 1u << t, all(at + tap[p.pad.w + t].yzw < p.a_extent.xyz));
            }
            starts[j].y = inside;
        }
        ends[j] = p.base.w + n * p.base.z + z * p.r_stride.x + y * p.r_stride.y + x * p.r_stride.z;
    }

    // A phase of fewer steps than another may have none left for the last parts.
    let begin_step = part * p.steps.x;
    let count = min(p.steps.y - min(begin_step, p.steps.y), p.steps.x);
    let first = select(0u, begin_step, count > 0u);
    let index = first * BK + local;
    var product = Product(index, index / p.stride.w, index % p.stride.w);
    if local < BK {
        taps[local] = entry_of(product);
        product = next(product);
        taps[BK + local] = entry_of(product);
        product = next(product);
    }
    workgroupBarrier();

    let slot = local % FOURS;
    let depth = local / FOURS;
    let start = array<vec4<u32>, 4>(
        starts[slot], starts[FOURS + slot], starts[2u * FOURS + slot], starts[3u * FOURS + slot]);
    var packed_at = ((channel_group * p.tiles.x + row_tile) * p.steps.y + first) * (BK * BM / 4u) + local;

    // What the next step multiplies is on its way while this one is multiplied.
    var next_rows: array<vec4f, ROW_LOADS>;
    var next_columns: array<vec4f, COLUMN_LOADS>;
    for (var i = 0u; i < ROW_LOADS; i++) { next_rows[i] = vec4f(packed[packed_at + i * WG]); }
    for (var i = 0u; i < COLUMN_LOADS; i++) {
        let e = taps[depth + i * DEPTHS];
        next_columns[i] = vec4f(gather(start[0], e), gather(start[1], e), gather(start[2], e), gather(start[3], e));
    }

    var acc: array<vec4f, 4u * SM * SN>;
    let tx = local % TN;
    let ty = local / TN;
    for (var step = 0u; step < count; step++) {
        for (var i = 0u; i < ROW_LOADS; i++) { rows[local + i * WG] = next_rows[i]; }
        for (var i = 0u; i < COLUMN_LOADS; i++) { columns[(depth + i * DEPTHS) * PITCH + slot] = next_columns[i]; }
        workgroupBarrier();
        packed_at += BK * BM / 4u;
        if step + 1u < count {
            let entries = ((step + 1u) & 1u) * BK + depth;
            for (var i = 0u; i < ROW_LOADS; i++) { next_rows[i] = vec4f(packed[packed_at + i * WG]); }
            for (var i = 0u; i < COLUMN_LOADS; i++) {
                let e = taps[entries + i * DEPTHS];
                next_columns[i] =
                    vec4f(gather(start[0], e), gather(start[1], e), gather(start[2], e), gather(start[3], e));
            }
        }
        for (var k = 0u; k < BK; k++) {
            var column: array<vec4f, SN>;
            for (var j = 0u; j < SN; j++) { column[j] = columns[k * PITCH + tx + j * TN]; }
            for (var i = 0u; i < SM; i++) {
                let row = rows[k * (BM / 4u) + ty + i * TM];
                for (var j = 0u; j < SN; j++) {
                    acc[(i * 4u + 0u) * SN + j] += row.x * column[j];
                    acc[(i * 4u + 1u) * SN + j] += row.y * column[j];
                    acc[(i * 4u + 2u) * SN + j] += row.z * column[j];
                    acc[(i * 4u + 3u) * SN + j] += row.w * column[j];
                }
            }
        }
        workgroupBarrier();
        // The taps of the step after the next take the place of those just used.
        if local < BK {
            taps[(step & 1u) * BK + local] = entry_of(product);
            product = next(product);
        }
    }

    for (var j = 0u; j < SN; j++) {
        for (var c = 0u; c < 4u; c++) {
            let column = c * FOURS + tx + j * TN;
            if column_tile * BN + column < p.counts.y {
                for (var i = 0u; i < SM * 4u; i++) {
                    let row = row_tile * BM + (i / 4u * TM + ty) * 4u + i % 4u;
                    if row < p.counts.x {
                        let q = channel_group * p.counts.x + row;
                        let at = part * p.counts.z + ends[column] + q * p.r_stride.w;
                        var v = p.scale.x * acc[i * SN + j][c];
                        if p.epilogue.y != 0u { v += p.scale.y * f32(residual[at]); }
                        if p.epilogue.z != 0u { v += f32(bias[q]); }
                        r[at] = Sum(activate(p.epilogue.x, p.activation.xy, v));
                    }
                }
            }
        }
    }
}
