// gemm_tiled: a matrix product whose second factor lies in memory: what im2col.wgsl made, or the tensor itself where the
// kernel has one tap and reaches nothing outside. One workgroup computes a tile of BM channels by BN cells of the result:
//
//   r[n, q, m] = act(alpha * sum over k of  packed[q, k] * a[start(n, m) + k * pitch]
//                    + beta * residual[n, q, m] + bias[q])
//
// shapes   rows are the channels q of one group, columns the images n and cells m of one phase, as for implicit_gemm.wgsl;
//          k counts the products of a chunk
// packed   [group, row tile, step, BK, BM], zeros where a tile hangs over (pack.wgsl)
// layout   any: a column begins where its window does, and order.x of them before it, tables.x apart; its products lie
//          a_stride.w apart, groups base.y
// parts    as for implicit_gemm.wgsl; order.w: sums are added to those of the chunk before
// grid     a workgroup per row tile, column tile, group and part, rows fastest within groups of eight
// memory   BK * BM * 4 + BK * (BN + 4) * 4 + BN * 8 bytes
// rust     Kernel::GemmTiled, GemmParams (src/kernel/params.rs)
// import: shared/activation.wgsl
// import: shared/columns.wgsl
// import: shared/gemm.wgsl

const BM: u32 = 128u;         // @spec rows of a tile
const BN: u32 = 128u;         // @spec columns of a tile
const BK: u32 = 16u;          // @spec products per step
const SM: u32 = 2u;           // @spec fours of rows per invocation
const SN: u32 = 2u;           // @spec fours of columns per invocation
alias Scalar = f32;           // @spec element of the operands
alias Scalar4 = vec4f;        // @spec four of them
alias Sum = f32;              // @spec element of r: Scalar, or f32 for parts

@group(0) @binding(0) var<uniform> p: GemmParams;
@group(0) @binding(1) var<storage, read> a: array<Scalar>;
@group(0) @binding(2) var<storage, read> packed: array<Scalar4>;
@group(0) @binding(3) var<storage, read> bias: array<Scalar>;
@group(0) @binding(4) var<storage, read> residual: array<Scalar>;
@group(0) @binding(5) var<storage, read_write> r: array<Sum>;

var<workgroup> starts: array<u32, BN>;

// As it is stored: converted not before it is needed, so that nothing waits for the load until then.
fn load(start: u32, k: u32) -> Scalar {
    return a[min(start + k * p.a_stride.w, p.first.z)];
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
    let tile = tile_of(id);
    for (var j = local; j < BN; j += WG) {
        let column = column_of(tile, j);
        let cell = cell_of(column);
        let at = window_of(cell);
        starts[j] = p.first.x + cell.x * p.base.x + tile.group * p.base.y + (column - p.chunk.x) * p.tables.x
            + at.x * p.a_stride.x + at.y * p.a_stride.y + at.z * p.a_stride.z;
        ends[j] = end_of(cell);
    }
    workgroupBarrier();

    let steps = steps_of(tile.part);
    let along = p.order.z != 0u;
    let slot = select(local % FOURS, local / DEPTHS, along);
    let depth = select(local / FOURS, local % DEPTHS, along);
    let column_at = depth * PITCH + slot;
    let start = array<u32, 4>(
        starts[slot], starts[FOURS + slot], starts[2u * FOURS + slot], starts[3u * FOURS + slot]);
    var packed_at = packed_begin(tile, steps.x) + local;
    var product = steps.x * BK + depth;

    // What the next step multiplies is on its way while this one is multiplied.
    var next_rows: array<Scalar4, ROW_LOADS>;
    var next_columns: array<Scalar4, COLUMN_LOADS>;
    for (var i = 0u; i < ROW_LOADS; i++) { next_rows[i] = packed[packed_at + i * WG]; }
    for (var i = 0u; i < COLUMN_LOADS; i++) {
        let k = product + i * DEPTHS;
        next_columns[i] = Scalar4(load(start[0], k), load(start[1], k), load(start[2], k), load(start[3], k));
    }
    packed_at += BK * BM / 4u;

    var acc: array<vec4f, 4u * SM * SN>;
    var totals: array<vec4f, TOTALS>;
    var block_end = p.cut.x;
    for (var step = 0u; step < steps.y; step++) {
        for (var i = 0u; i < ROW_LOADS; i++) { rows[local + i * WG] = vec4f(next_rows[i]); }
        for (var i = 0u; i < COLUMN_LOADS; i++) {
            // Past the last product the factor is 0, but what was read might be no number.
            columns[column_at + i * DEPTHS * PITCH] =
                select(vec4f(), vec4f(next_columns[i]), product + i * DEPTHS < p.chunk.z);
        }
        // Here, where nothing is on its way, there are registers to spare.
        if step == block_end {
            settle(&acc, &totals);
            block_end += p.cut.x;
            if step % p.cut.y == 0u { settle_run(&totals); }
        }
        workgroupBarrier();
        product += BK;
        if step + 1u < steps.y {
            for (var i = 0u; i < ROW_LOADS; i++) { next_rows[i] = packed[packed_at + i * WG]; }
            for (var i = 0u; i < COLUMN_LOADS; i++) {
                let k = product + i * DEPTHS;
                next_columns[i] = Scalar4(load(start[0], k), load(start[1], k), load(start[2], k), load(start[3], k));
            }
            packed_at += BK * BM / 4u;
        }
        multiply(&acc, local);
        workgroupBarrier();
    }
    store(&acc, &totals, tile, local, steps.y);
}
