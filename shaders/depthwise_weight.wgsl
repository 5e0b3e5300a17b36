// depthwise_weight: one workgroup sums the gradients of a box of taps of a few pairs of channels over a range of tiles,
// every invocation KB taps of a column over its share of the cells:
//
//   r[q, c, t] = act(alpha * sum over n, m of  a[n, c, m * stride + t * dilation - pad] * b[n, q, m] + beta * residual[q, c, t])
//
// shapes   a is the input, b the gradient of the output; triples are (z, rows, columns): the host says which axis is which.
//          A plane is a pair of channels, an image and a cell along z
// layout   any: every tensor comes with its strides
// rows     as in depthwise.wgsl: eight rows and KB taps share a column of the tile
// parts    tiles are cut into ranges, each of which writes its own copy of r; fold.wgsl adds them
// grid     a workgroup per box of taps, set of pairs and part
// memory   944 * 16 + 64 * 16 bytes
// rust     Kernel::DepthwiseWeight, DepthwiseWeightParams (src/kernel/depthwise_weight.rs)
// import: shared/activation.wgsl
// import: shared/window.wgsl

const WG: u32 = 256u;         // invocations per workgroup
const SY: u32 = 1u;           // @spec places between the rows of an invocation: 1, 2, or 8 for rows that share nothing
const KB: u32 = 3u;           // @spec taps of an invocation: 3, 5, 7 or 8
alias Scalar = f32;           // @spec element of the operands
alias Sum = f32;              // @spec element of r: Scalar, or f32 for parts

const TY: u32 = 8u;
// Fours of values that a column of rows and taps spans, of sums of an invocation.
const NV: u32 = ((TY - 1u) * SY + KB + 3u) / 4u;
const NF: u32 = (KB + 3u) / 4u;

struct DepthwiseWeightParams {
    window: Window,
    gradients: Counter,           // at = place, offset in b, row, column + (plane << 16)
    work: Counter,                // of an invocation's share: at = place, row, column, plane of its pair
    lane: vec4<u32>,              // tap columns and pieces of a box, pairs, shares
    lane_inverse: vec4<f32>,      // of the first two and the product of the first three; of the cells along z
    places: vec4<u32>,            // per tap column, pair; where the gradients begin; of those, per pair
    pair_radix: vec4<u32>,        // of the first two digits of a pair; pairs in all; planes of a pair
    pair_a: vec4<u32>,            // steps in a per digit; per image
    pair_b: vec4<u32>,            // in b; per image
    pair_r: vec4<u32>,            // in r; the first element
    planes: vec4<u32>,            // images times cells along z; cells along z; planes of a workgroup; 0
    tiles: vec4<u32>,             // of columns, bands, blocks of rows, planes
    tile: vec4<u32>,              // columns, bands, blocks of rows; 0
    taps: vec4<u32>,              // in all: z, rows, columns; rows of a box
    boxes: vec4<u32>,             // of taps: z, rows, columns; sets of pairs
    stride: vec4<u32>,            // cells of a per cell of b; cells between the rows of an invocation
    dilation: vec4<u32>,          // per tap; 0
    pad: vec4<u32>,               // before the first cell; first element of a
    cells: vec4<u32>,             // of b: z, rows, columns; first element of b
    b_stride: vec4<u32>,          // steps in b per cell; between the rows of an item
    r_stride: vec4<u32>,          // steps in r per tap; per part
    counts: vec4<u32>,            // steps in all, of a part; workgroups; steps of a block
    epilogue: vec4<u32>,
    scale: vec4<f32>,
    activation: vec4<f32>,
}

@group(0) @binding(0) var<uniform> p: DepthwiseWeightParams;
@group(0) @binding(1) var<storage, read> a: array<Scalar>;
@group(0) @binding(2) var<storage, read> b: array<Scalar>;
@group(0) @binding(3) var<storage, read> residual: array<Scalar>;
@group(0) @binding(4) var<storage, read> table: array<u32>;
@group(0) @binding(5) var<storage, read_write> r: array<Sum>;

var<workgroup> memory: array<vec4f, 944>;
// Steps in a, in b; cells of a along z before the first tap; whether there is such a plane.
var<workgroup> planes: array<vec4<u32>, 64>;

// A tile: of columns, bands, blocks of rows, planes.
fn next_tile(tile: vec4<u32>) -> vec4<u32> {
    var next = tile;
    next.x += 1u;
    for (var i = 0u; i < 3u; i++) {
        if next[i] == p.tiles[i] { next[i] = 0u; next[i + 1u] += 1u; }
    }
    return next;
}

// Steps of a pair in a, in b and in r.
fn pair_at(pair: u32) -> vec3<u32> {
    let low = split(min(pair, p.pair_radix.z - 1u), p.pair_radix.x);
    let digit = vec3<u32>(low.x, split(low.y, p.pair_radix.y));
    return vec3<u32>(dot(digit, p.pair_a.xyz), dot(digit, p.pair_b.xyz), dot(digit, p.pair_r.xyz));
}

// Gradients from `first_row` and `first_column`; zeros past the last cell.
fn stage_gradients(first: Walk, local: u32, first_row: u32, first_column: u32) {
    let four = vec4<u32>(0u, 1u, 2u, 3u);
    let begin = first_row * p.b_stride.y + first_column * p.b_stride.z;
    var item = first;
    for (var i = local; i < p.gradients.radix.w; i += WG) {
        let plane = planes[item.at.w >> 16u];
        let row = first_row + item.at.z + four * p.stride.w;
        let here = first_column + (item.at.w & 0xffffu) < p.cells.z && plane.w != 0u;
        let inside = (row < vec4<u32>(p.cells.y)) & vec4<bool>(here);
        let index = select(vec4<u32>(0u), begin + plane.y + item.at.y + four * p.b_stride.w, inside);
        let values = vec4f(f32(b[index.x]), f32(b[index.y]), f32(b[index.z]), f32(b[index.w]));
        memory[p.places.z + item.at.x] = select(vec4f(0.0), values, inside);
        item = ahead(p.gradients, item);
    }
}

// Adds the products of eight rows with the taps from `values_at`; rows that are not `low` or `high` touch nothing:
// infinity times the zero of a row that is not there is no zero.
fn multiply(acc: ptr<function, array<vec4f, KB>>, values_at: u32, at: u32, low: vec4<bool>, high: vec4<bool>) {
    if SY == 8u {
        // Rows that share nothing: the sums stand side by side as the taps do.
        for (var i = 0u; i < TY; i++) {
            if select(high[i % 4u], low[i % 4u], i < 4u) {
                let gradient = memory[at + i / 4u][i % 4u];
                (*acc)[0] += gradient * memory[values_at + 2u * i];
                (*acc)[1] += gradient * memory[values_at + 2u * i + 1u];
            }
        }
        return;
    }
    var v: array<f32, 4u * NV>;
    for (var j = 0u; j < NV; j++) {
        let four = memory[values_at + j];
        for (var e = 0u; e < 4u; e++) { v[4u * j + e] = four[e]; }
    }
    let first = memory[at];
    let second = memory[at + 1u];
    if all(low & high) {
        for (var k = 0u; k < KB; k++) {
            (*acc)[k] += vec4f(v[k], v[k + SY], v[k + 2u * SY], v[k + 3u * SY]) * first;
            (*acc)[k] += vec4f(v[k + 4u * SY], v[k + 5u * SY], v[k + 6u * SY], v[k + 7u * SY]) * second;
        }
    } else {
        for (var k = 0u; k < KB; k++) {
            let before = vec4f(v[k], v[k + SY], v[k + 2u * SY], v[k + 3u * SY]);
            let after = vec4f(v[k + 4u * SY], v[k + 5u * SY], v[k + 6u * SY], v[k + 7u * SY]);
            (*acc)[k] += select(vec4f(0.0), before, low) * first;
            (*acc)[k] += select(vec4f(0.0), after, high) * second;
        }
    }
}

// Adds the accumulators to the sums and begins anew: in one accumulator the roundings of a long sum of numbers of one sign all go
// the same way.
fn settle(acc: ptr<function, array<vec4f, KB>>, sums: ptr<function, array<vec4f, NF>>) {
    if SY == 8u {
        (*sums)[0] += (*acc)[0];
        (*sums)[NF - 1u] += (*acc)[1];
    } else {
        for (var k = 0u; k < KB; k++) {
            (*sums)[k / 4u][k % 4u] += (*acc)[k].x + (*acc)[k].y + ((*acc)[k].z + (*acc)[k].w);
        }
    }
    for (var k = 0u; k < KB; k++) { (*acc)[k] = vec4f(); }
}

// Adds up the shares of every invocation's sums, always in the same order.
fn add_shares(sums: ptr<function, array<vec4f, NF>>, local: u32, in_use: bool) {
    let together = p.lane.x * p.lane.y * p.lane.z;
    let share = quotient(local, p.lane_inverse.z);
    var left = p.lane.w;
    while left > 1u {
        workgroupBarrier();
        for (var j = 0u; j < NF; j++) { memory[local * NF + j] = (*sums)[j]; }
        workgroupBarrier();
        let over = (left + 1u) / 2u;
        if in_use && share + over < left {
            for (var j = 0u; j < NF; j++) { (*sums)[j] += memory[(local + over * together) * NF + j]; }
        }
        left = over;
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
    let x_box = split(id, p.boxes.z);
    let y_box = split(x_box.y, p.boxes.y);
    let z_tap = split(y_box.y, p.boxes.x);
    let pairs = split(z_tap.y, p.boxes.w);
    let part = pairs.y;
    let tap = vec3<u32>(z_tap.x, y_box.x * p.taps.w, x_box.x * p.lane.x);
    let step = part * p.counts.y;
    let x_tile = split(step, p.tiles.x);
    let y_tile = split(x_tile.y, p.tiles.y);
    let z_tile = split(y_tile.y, p.tiles.z);
    var tile = vec4<u32>(x_tile.x, y_tile.x, z_tile);

    // An invocation's tap column, piece of the taps, pair, and share of the cells.
    let piece = quotient(local, p.lane_inverse.x);
    let pair = quotient(piece, p.lane_inverse.y);
    let share = quotient(local, p.lane_inverse.z);
    let own_pair = pair - share * p.lane.z;
    let own = vec2<u32>((piece - pair * p.lane.y) * KB, local - piece * p.lane.x);
    let in_use = share < p.lane.w;
    let values_at = own.y * p.places.x + own.x / 4u + own_pair * p.places.y;
    let gradients_at = p.places.z + own_pair * p.places.w;
    let values_first = walk(p.window.items, local);
    let gradients_first = walk(p.gradients, local);
    let work_first = walk(p.work, share);
    // Of the planes of the workgroup, one is found by each of the first invocations.
    let plane_pair = quotient(local, p.scale.w);
    let steps = pair_at(pairs.x * p.lane.z + plane_pair);
    let plane_of_pair = local - plane_pair * p.pair_radix.w;
    let four = vec4<u32>(0u, 1u, 2u, 3u) * p.stride.w;

    var acc: array<vec4f, KB>;
    var sums: array<vec4f, NF>;
    // Of how many steps the accumulators hold the products.
    var held = 0u;
    let count = min(p.counts.x - step, p.counts.y);
    for (var i = 0u; i < count; i++) {
        if held == p.counts.w {
            settle(&acc, &sums);
            held = 0u;
        }
        held += 1u;
        // What was multiplied last is no longer needed.
        workgroupBarrier();
        if local < p.planes.z {
            let plane = tile.w * p.pair_radix.w + plane_of_pair;
            let image = quotient(plane, p.lane_inverse.w);
            let z = plane - image * p.planes.y;
            let there = vec4<u32>(
                p.pad.w + steps.x + image * p.pair_a.w, p.cells.w + steps.y + image * p.pair_b.w + z * p.b_stride.x,
                z * p.stride.x + tap.x * p.dilation.x - p.pad.x, 1u);
            planes[local] = select(vec4<u32>(0u, 0u, MISSING, 0u), there, plane < p.planes.x);
        }
        workgroupBarrier();
        let row = tile.z * p.tile.z * TY * p.stride.w + tile.y * p.tile.y;
        let column = tile.x * p.tile.x;
        let at = vec2<u32>(row, column) * p.stride.yz + tap.yz * p.dilation.yz - p.pad.yz;
        let taps = min(p.taps.y - tap.y, p.taps.w);
        let rows = select((p.tile.z * TY - 1u) * SY + taps, taps, SY == 8u);
        stage_window(values_first, local, vec3<u32>(0u, at), 0u, rows, p.scale.z);
        stage_gradients(gradients_first, local, row, column);
        workgroupBarrier();
        var work = work_first;
        for (var j = share; in_use && j < p.work.radix.w; j += p.lane.w) {
            let low = row + work.at.y + four;
            let plane = planes[own_pair * p.pair_radix.w + work.at.w];
            if column + work.at.z < p.cells.z && plane.w != 0u {
                let there = vec4<u32>(p.cells.y);
                multiply(
                    &acc, values_at + work.at.x, gradients_at + j * 2u, low < there, low + 4u * p.stride.w < there);
            }
            work = ahead(p.work, work);
        }
        tile = next_tile(tile);
    }

    settle(&acc, &sums);
    add_shares(&sums, local, in_use);
    let taps = tap.yz + own;
    if share > 0u || taps.y >= p.taps.z || pairs.x * p.lane.z + own_pair >= p.pair_radix.z { return; }
    let begin = part * p.r_stride.w + p.pair_r.w + pair_at(pairs.x * p.lane.z + own_pair).z
        + tap.x * p.r_stride.x + taps.y * p.r_stride.z;
    for (var k = 0u; k < KB; k++) {
        if own.x + k < p.taps.w && taps.x + k < p.taps.y {
            let at = begin + (taps.x + k) * p.r_stride.y;
            var sum = p.scale.x * sums[k / 4u][k % 4u];
            if p.epilogue.y != 0u { sum += p.scale.y * f32(residual[at]); }
            r[at] = Sum(activate(p.epilogue.x, p.activation.xy, sum));
        }
    }
}
