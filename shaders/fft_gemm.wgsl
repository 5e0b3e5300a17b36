// fft_gemm: complex matrix products, one per frequency bin, of spectra that lie as two matrices. One workgroup computes a tile of
// BM rows by BN columns of one of them, BK products at a time, both factors by way of workgroup memory; one invocation four rows
// by four columns:
//
//   s[bin, q, column] = sum over k of  conj(b[bin, k, q]) * a[bin, k, column]
//
// shapes   a [bins, k, pairs], b [bins, k, pairs of q], s [bins, q, pairs] of two neighbouring complex numbers; a bin here is one
//          of a group and of a slice
// sums     p.size.w: added to what is there; so is every block of a long sum to those before it
// grid     a workgroup per row tile, column tile and bin, rows fastest
// memory   BK * (BM + BN) * 8 bytes
// rust     Kernel::FftGemm, FftGemmParams (src/kernel/fft.rs)

const BM: u32 = 64u;          // @spec rows of a tile
const BN: u32 = 64u;          // @spec columns of a tile
const BK: u32 = 8u;           // @spec products per step

const TM: u32 = BM / 4u;
const TN: u32 = BN / 4u;
const WG: u32 = TM * TN;
const ROW_LOADS: u32 = BM / 2u * BK / WG;
const COLUMN_LOADS: u32 = BN / 2u * BK / WG;

// In one accumulator the roundings of a long sum of numbers of one sign all go the same way: no more products than these are added
// up before they are added to s.
const BLOCK: u32 = 128u;

const_assert BM / 2u * BK % WG == 0u && BN / 2u * BK % WG == 0u && BK % 4u == 0u;

struct FftGemmParams {
    counts: vec4<u32>,
    size: vec4<u32>,
}

@group(0) @binding(0) var<uniform> p: FftGemmParams;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> s: array<vec4f>;

var<workgroup> rows: array<vec4f, BK * BM / 2u>;
var<workgroup> columns: array<vec4f, BK * BN / 2u>;

// Two numbers times -sqrt(-1).
fn turned(v: vec4f) -> vec4f { return vec4f(v.y, -v.x, v.w, -v.z); }

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // The same for all invocations of a workgroup: either all leave or none.
    let id = group.y * groups.x + group.x;
    if id >= p.counts.x { return; }
    let row_tile = id % p.counts.y;
    let column_tile = id / p.counts.y % p.counts.z;
    let bin = id / p.counts.y / p.counts.z;
    let tx = local % TN;
    let ty = local / TN;

    // What hangs over takes the last pair again and does not store it.
    var row_at: array<u32, ROW_LOADS>;
    var column_at: array<u32, COLUMN_LOADS>;
    for (var i = 0u; i < ROW_LOADS; i++) {
        let j = local + i * WG;
        row_at[i] = (bin * p.counts.w + j / (BM / 2u)) * p.size.z + min(row_tile * (BM / 2u) + j % (BM / 2u), p.size.z - 1u);
    }
    for (var i = 0u; i < COLUMN_LOADS; i++) {
        let j = local + i * WG;
        column_at[i] = (bin * p.counts.w + j / (BN / 2u)) * p.size.y
            + min(column_tile * (BN / 2u) + j % (BN / 2u), p.size.y - 1u);
    }
    var next_rows: array<vec4f, ROW_LOADS>;
    var next_columns: array<vec4f, COLUMN_LOADS>;
    // Sums of the products with the real and with the imaginary parts of b: without signs, every one is a plain multiply-add.
    var real: array<vec4f, 8>;
    var imaginary: array<vec4f, 8>;
    var k = 0u;
    for (var i = 0u; i < ROW_LOADS; i++) { next_rows[i] = row(row_at[i], (local + i * WG) / (BM / 2u)); }
    for (var i = 0u; i < COLUMN_LOADS; i++) { next_columns[i] = column(column_at[i], (local + i * WG) / (BN / 2u)); }
    loop {
        for (var i = 0u; i < ROW_LOADS; i++) { rows[local + i * WG] = next_rows[i]; }
        for (var i = 0u; i < COLUMN_LOADS; i++) { columns[local + i * WG] = next_columns[i]; }
        workgroupBarrier();
        k += BK;
        // What the next step multiplies is on its way while this one is multiplied.
        if k < p.counts.w {
            for (var i = 0u; i < ROW_LOADS; i++) {
                row_at[i] += BK * p.size.z;
                next_rows[i] = row(row_at[i], k + (local + i * WG) / (BM / 2u));
            }
            for (var i = 0u; i < COLUMN_LOADS; i++) {
                column_at[i] += BK * p.size.y;
                next_columns[i] = column(column_at[i], k + (local + i * WG) / (BN / 2u));
            }
        }
        for (var k4 = 0u; k4 < BK; k4 += 4u) {
            for (var j = 0u; j < 4u; j++) {
                let left = columns[(k4 + j) * (BN / 2u) + tx];
                let right = columns[(k4 + j) * (BN / 2u) + tx + TN];
                for (var i = 0u; i < 2u; i++) {
                    let w = rows[(k4 + j) * (BM / 2u) + ty + i * TM];
                    real[i * 4u + 0u] += w.x * left;
                    real[i * 4u + 1u] += w.x * right;
                    real[i * 4u + 2u] += w.z * left;
                    real[i * 4u + 3u] += w.z * right;
                    imaginary[i * 4u + 0u] += w.y * left;
                    imaginary[i * 4u + 1u] += w.y * right;
                    imaginary[i * 4u + 2u] += w.w * left;
                    imaginary[i * 4u + 3u] += w.w * right;
                }
            }
        }
        workgroupBarrier();
        if k % BLOCK == 0u || k >= p.counts.w {
            for (var i = 0u; i < 4u; i++) {
                let q = row_tile * BM + (ty + i / 2u * TM) * 2u + i % 2u;
                for (var j = 0u; j < 2u; j++) {
                    let pair = column_tile * (BN / 2u) + tx + j * TN;
                    var v = real[i * 2u + j] + turned(imaginary[i * 2u + j]);
                    real[i * 2u + j] = vec4f();
                    imaginary[i * 2u + j] = vec4f();
                    if q < p.size.x && pair < p.size.y {
                        let at = (bin * p.size.x + q) * p.size.y + pair;
                        if k > BLOCK || p.size.w != 0u { v += s[at]; }
                        s[at] = v;
                    }
                }
            }
        }
        if k >= p.counts.w { break; }
    }
}

// Products past the last are 0; what lies there might be no number, or nothing.
fn row(at: u32, k: u32) -> vec4f {
    let is_there = k < p.counts.w;
    return select(vec4f(), b[select(0u, at, is_there)], is_there);
}

fn column(at: u32, k: u32) -> vec4f {
    let is_there = k < p.counts.w;
    return select(vec4f(), a[select(0u, at, is_there)], is_there);
}
