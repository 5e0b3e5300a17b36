// implicit_gemm: a matrix product whose second factor is gathered on the fly. One workgroup computes a tile of BM channels
// by BN cells of the result, BK products at a time: both factors go through workgroup memory, and every invocation
// multiplies SM fours of rows with SN fours of columns in registers. One loop serves the convolution and its gradients:
//
//   r[n, q, m] = act(alpha * sum over c, t of  packed[q, (c, t)] * a[n, g * C + c, m * stride + t * dilation - pad]
//                    + beta * residual[n, q, m] + bias[q])                 g = the group of q
//
// shapes   rows are the channels q of one group, columns the images n and cells m of one phase, as for direct.wgsl;
//          products are the pairs (c, t): `tap` has an entry for each t, its offset in a and its z, y, x
// packed   [group, row tile, step, BK, BM], zeros where a tile hangs over (pack.wgsl)
// layout   any: a and r come with their strides. Columns and products are counted, and invocations spread over them, so that
//          neighbours read neighbours (order)
// outside  zero; CHECK says how it is told (shared/gather.wgsl). What another boundary puts there was written to a before
//          (im2col.wgsl)
// parts    long sums are cut into ranges of products, each of which writes its own copy of r; fold.wgsl adds them
// grid     a workgroup per row tile, column tile, group and part, rows fastest within groups of eight
// memory   BK * BM * 4 + BK * (BN + 4) * 4 + BK * 32 + BN * 20 bytes
// rust     Kernel::ImplicitGemm, GemmParams (src/kernel/params.rs)
// import: shared/activation.wgsl
// import: shared/columns.wgsl
// import: shared/gather.wgsl
// import: shared/gemm.wgsl

const BM: u32 = 128u;         // @spec rows of a tile
const BN: u32 = 128u;         // @spec columns of a tile
const BK: u32 = 16u;          // @spec products per step
const SM: u32 = 2u;           // @spec fours of rows per invocation
const SN: u32 = 2u;           // @spec fours of columns per invocation
const CHECK: u32 = 1u;        // @spec how elements outside are told: NOTHING, BITS or COORDINATES
alias Scalar = f32;           // @spec element of the operands
alias Scalar4 = vec4f;        // @spec four of them
alias Sum = f32;              // @spec element of r: Scalar, or f32 for parts

@group(0) @binding(0) var<uniform> p: GemmParams;
@group(0) @binding(1) var<storage, read> a: array<Scalar>;
@group(0) @binding(2) var<storage, read> packed: array<Scalar4>;
@group(0) @binding(3) var<storage, read> bias: array<Scalar>;
@group(0) @binding(4) var<storage, read> residual: array<Scalar>;
@group(0) @binding(5) var<storage, read> tap: array<vec4<u32>>;
@group(0) @binding(6) var<storage, read_write> r: array<Sum>;

var<workgroup> taps: array<vec4<u32>, 2u * BK>;     // of this step and of the next
var<workgroup> starts: array<vec4<u32>, BN>;        // of every column

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // The same for all invocations of a workgroup: either all leave or none.
    let id = group.y * groups.x + group.x;
    if id >= p.counts.w { return; }
    let tile = tile_of(id);
    for (var j = local; j < BN; j += WG) {
        let column = column_of(tile, j);
        starts[j] = start_of(column, tile.group);
        ends[j] = end_of(cell_of(column));
    }
    let steps = steps_of(tile.part);
    var product = product_at(p.chunk.y + steps.x * BK + local);
    if local < BK {
        taps[local] = entry_of(product);
        product = further(product, BK, p.steps.z, p.steps.w);
        taps[BK + local] = entry_of(product);
        product = further(product, BK, p.steps.z, p.steps.w);
    }
    workgroupBarrier();

    let along = p.order.z != 0u;
    let slot = select(local % FOURS, local / DEPTHS, along);
    let depth = select(local / FOURS, local % DEPTHS, along);
    let column_at = depth * PITCH + slot;
    let start = array<vec4<u32>, 4>(
        starts[slot], starts[FOURS + slot], starts[2u * FOURS + slot], starts[3u * FOURS + slot]);
    var packed_at = packed_begin(tile, steps.x) + local;

    // What the next step multiplies is on its way while this one is multiplied.
    var next_rows: array<Scalar4, ROW_LOADS>;
    var next_columns: array<Scalar4, COLUMN_LOADS>;
    for (var i = 0u; i < ROW_LOADS; i++) { next_rows[i] = packed[packed_at + i * WG]; }
    for (var i = 0u; i < COLUMN_LOADS; i++) {
        let e = taps[depth + i * DEPTHS];
        next_columns[i] = Scalar4(gather(start[0], e), gather(start[1], e), gather(start[2], e), gather(start[3], e));
    }
    packed_at += BK * BM / 4u;

    var acc: array<vec4f, 4u * SM * SN>;
    var totals: array<vec4f, TOTALS>;
    var block_end = p.cut.x;
    for (var step = 0u; step < steps.y; step++) {
        let entries = (step & 1u) * BK + depth;
        for (var i = 0u; i < ROW_LOADS; i++) { rows[local + i * WG] = vec4f(next_rows[i]); }
        for (var i = 0u; i < COLUMN_LOADS; i++) {
            let e = taps[entries + i * DEPTHS];
            let v = next_columns[i];
            columns[column_at + i * DEPTHS * PITCH] =
                vec4f(kept(v.x, start[0], e), kept(v.y, start[1], e), kept(v.z, start[2], e), kept(v.w, start[3], e));
        }
        // Here, where nothing is on its way, there are registers to spare.
        if step == block_end {
            settle(&acc, &totals);
            block_end += p.cut.x;
            if step % p.cut.y == 0u { settle_run(&totals); }
        }
        workgroupBarrier();
        if step + 1u < steps.y {
            let next_entries = BK - (step & 1u) * BK + depth;
            for (var i = 0u; i < ROW_LOADS; i++) { next_rows[i] = packed[packed_at + i * WG]; }
            for (var i = 0u; i < COLUMN_LOADS; i++) {
                let e = taps[next_entries + i * DEPTHS];
                next_columns[i] =
                    Scalar4(gather(start[0], e), gather(start[1], e), gather(start[2], e), gather(start[3], e));
            }
            packed_at += BK * BM / 4u;
        }
        multiply(&acc, local);
        workgroupBarrier();
        // The taps of the step after the next take the place of those just used.
        if local < BK {
            taps[(step & 1u) * BK + local] = entry_of(product);
            product = further(product, BK, p.steps.z, p.steps.w);
        }
    }
    store(&acc, &totals, tile, local, steps.y);
}
