// gemm: the tile of a matrix product that one workgroup computes: BM channels by BN cells of the result, BK products at a
// time. Both factors go through workgroup memory; every invocation multiplies SM fours of rows with SN fours of columns in
// registers. The kernel brings the constants, the bindings p, bias, residual and r, and fills rows, columns and ends.

const TM: u32 = BM / 4u / SM;         // invocations of a tile along its rows
const TN: u32 = BN / 4u / SN;         // and along its columns
const WG: u32 = TM * TN;
const FOURS: u32 = BN / 4u;           // columns of a tile in fours that lie this far apart, so that neighbours load neighbours
const PITCH: u32 = FOURS + 1u;        // one more, against bank conflicts
const ROW_LOADS: u32 = BM * BK / 4u / WG;
const COLUMN_LOADS: u32 = BN * BK / 4u / WG;
const DEPTHS: u32 = WG / FOURS;       // products that are loaded at once

const_assert BM * BK % (4u * WG) == 0u && BN * BK % (4u * WG) == 0u && WG % FOURS == 0u && (BK & (BK - 1u)) == 0u && BK >= 4u && BK <= WG;

const ROW_GROUP: u32 = 8u;            // row tiles that are gone through together

const ACC: u32 = 4u * SM * SN;        // fours of sums of an invocation

// Of blocks, then of runs. Mesa keeps up to 256 bytes in registers, whatever the index: these are more.
const TOTALS: u32 = 33u;

var<workgroup> rows: array<vec4f, BK * BM / 4u>;
var<workgroup> columns: array<vec4f, BK * PITCH>;
var<workgroup> ends: array<u32, BN>;  // of every column: where in r it lies

// What a workgroup computes, the same for all its invocations.
struct Tile { row: u32, column: u32, group: u32, part: u32 }

// Row tiles in groups: within one, rows fastest, so that workgroups that run at the same time share columns, and not so many
// rows that their factors fall out of the cache.
fn tile_of(id: u32) -> Tile {
    let of_group = p.tiles.x * p.tiles.y;
    let rest = id / of_group;
    let at = id % of_group;
    let band = at / (ROW_GROUP * p.tiles.y);
    let rows_here = min(p.tiles.x - band * ROW_GROUP, ROW_GROUP);
    let within = at - band * ROW_GROUP * p.tiles.y;
    return Tile(band * ROW_GROUP + within % rows_here, within / rows_here, p.chunk.w + rest % p.tiles.z, rest / p.tiles.z);
}

// Steps of a part: where they begin, counted from the chunk's first, and how many. A phase of fewer steps than another may
// have none left for the last parts.
fn steps_of(part: u32) -> vec2<u32> {
    let all = (p.chunk.z + BK - 1u) / BK;
    let begin = part * p.steps.x;
    let count = min(all - min(begin, all), p.steps.x);
    return vec2<u32>(select(0u, begin, count > 0u), count);
}

// Where the fours of a step begin in the packed factors.
fn packed_begin(tile: Tile, step: u32) -> u32 {
    return ((tile.group * p.tiles.x + tile.row) * p.steps.y + p.chunk.y / BK + step) * (BK * BM / 4u);
}

// One of a tile's columns. A tile that hangs over computes the last one again and does not store it.
fn column_of(tile: Tile, j: u32) -> u32 {
    return p.chunk.x + min(tile.column * BN + j, p.counts.y - 1u);
}

fn end_of(cell: vec4<u32>) -> u32 {
    return p.first.y + cell.x * p.base.z + cell.y * p.r_stride.x + cell.z * p.r_stride.y + cell.w * p.r_stride.z;
}

// Adds the products of what is in workgroup memory. Four to a turn: a turn's addresses are then one sum and constants.
fn multiply(acc: ptr<function, array<vec4f, ACC>>, local: u32) {
    let tx = local % TN;
    let ty = local / TN;
    for (var k4 = 0u; k4 < BK; k4 += 4u) {
        for (var k = 0u; k < 4u; k++) {
            var column: array<vec4f, SN>;
            for (var j = 0u; j < SN; j++) { column[j] = columns[(k4 + k) * PITCH + tx + j * TN]; }
            for (var i = 0u; i < SM; i++) {
                let row = rows[(k4 + k) * (BM / 4u) + ty + i * TM];
                for (var j = 0u; j < SN; j++) {
                    (*acc)[(i * 4u + 0u) * SN + j] += row.x * column[j];
                    (*acc)[(i * 4u + 1u) * SN + j] += row.y * column[j];
                    (*acc)[(i * 4u + 2u) * SN + j] += row.z * column[j];
                    (*acc)[(i * 4u + 3u) * SN + j] += row.w * column[j];
                }
            }
        }
    }
}

// Adds what was summed up to the totals and begins anew: in one accumulator the roundings of a long sum of numbers of one sign all
// go the same way. Totals of blocks are those of a run, which are added up in turn: where runs have invocations of their own, and
// where blocks have, the same numbers are added in the same order.
//
// The totals lie in memory, where registers are none to spare: for that the index is no constant. And one is written before the
// next one is read, because only the host knows that both indices are the same.
fn settle(acc: ptr<function, array<vec4f, ACC>>, totals: ptr<function, array<vec4f, TOTALS>>) {
    for (var i = 0u; i < ACC; i++) {
        (*totals)[p.cut.z + i] = (*totals)[p.epilogue.w + i] + (*acc)[i];
        (*acc)[i] = vec4f();
    }
}

// Seldom, and so one by one, in as few registers as there are.
fn settle_run(totals: ptr<function, array<vec4f, TOTALS>>) {
    for (var i = p.epilogue.w; i < 4u * ACC; i++) {
        (*totals)[ACC + i / 4u][i % 4u] += (*totals)[i / 4u][i % 4u];
        (*totals)[i / 4u][i % 4u] = 0.0;
    }
}

// The epilogue of `steps` steps, of which the last block is not among the totals, nor the last run among those of runs. Sums that
// are continued are parts, which have none.
fn store(
    acc: ptr<function, array<vec4f, ACC>>, totals: ptr<function, array<vec4f, TOTALS>>, tile: Tile, local: u32, steps: u32,
) {
    let tx = local % TN;
    let ty = local / TN;
    for (var j = 0u; j < SN; j++) {
        for (var c = 0u; c < 4u; c++) {
            let column = c * FOURS + tx + j * TN;
            if tile.column * BN + column < p.counts.y {
                for (var i = 0u; i < SM * 4u; i++) {
                    let row = tile.row * BM + (i / 4u * TM + ty) * 4u + i % 4u;
                    if row < p.counts.x {
                        let q = tile.group * p.counts.x + row;
                        let at = tile.part * p.counts.z + ends[column] + q * p.r_stride.w;
                        var sum = (*acc)[i * SN + j][c];
                        if steps > p.cut.x { sum += (*totals)[p.epilogue.w + i * SN + j][c]; }
                        if steps > p.cut.y { sum += (*totals)[p.epilogue.w + ACC + i * SN + j][c]; }
                        var v = p.scale.x * sum;
                        if p.order.w != 0u { v += f32(r[at]); }
                        if p.epilogue.y != 0u { v += p.scale.y * f32(residual[at]); }
                        if p.epilogue.z != 0u { v += f32(bias[q]); }
                        r[at] = Sum(activate(p.epilogue.x, p.activation.xy, v));
                    }
                }
            }
        }
    }
}
