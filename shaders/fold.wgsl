// fold: one invocation adds up what stands for one element of the result: the parts that its sum was cut
// into and, where a boundary repeats cells, every place around the input at which its cell was read.
//
//   r[m] = act(alpha * sum over part, j in places(m) of  s[part, j] + beta * residual[m] + bias[q])
//
// shapes   s [parts, eight axes] in f32; r, residual: eight axes, the missing leading ones of extent 1
// layout   s compact; r any, by its strides
// places   FOLD = true: table[places.x + m] and the word behind it are where the list of places of cell m of
//          axis z begins and ends in `table`, places.y and places.z likewise; FOLD = false: j = m
// grid     Grid::linear(elements, WG); surplus invocations return
// rust     Kernel::Fold, FoldParams (src/kernel/params.rs)
// import: shared/activation.wgsl
// import: shared/dispatch.wgsl

const WG: u32 = 64u;          // @spec invocations per workgroup
const FOLD: bool = false;     // @spec whether cells of the last three axes have lists of places
alias Scalar = f32;           // @spec element of bias, residual and r

// In one accumulator the roundings of a long sum of numbers of one sign all go the same way: so many places are added one after
// the other, then to a total. Of parts, p.run.x.
const BLOCK: u32 = 128u;

struct FoldParams {
    extent: array<vec4<u32>, 2>,
    r_stride: array<vec4<u32>, 2>,
    s_stride: array<vec4<u32>, 2>,
    places: vec4<u32>,
    counts: vec4<u32>,
    epilogue: vec4<u32>,
    scale: vec4<f32>,
    activation: vec4<f32>,
    run: vec4<u32>,
}

@group(0) @binding(0) var<uniform> p: FoldParams;
@group(0) @binding(1) var<storage, read> s: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<Scalar>;
@group(0) @binding(3) var<storage, read> residual: array<Scalar>;
@group(0) @binding(4) var<storage, read> table: array<u32>;
@group(0) @binding(5) var<storage, read_write> r: array<Scalar>;

// The places of `cell` along one of the last three axes: first and past the last of `table`.
fn places(axis: u32, cell: u32) -> vec2<u32> {
    let at = p.places[axis] + cell;
    return vec2<u32>(table[at], table[at + 1u]);
}

// What all parts have at `at`: by runs, as one invocation adds up the blocks of a run where a sum is not cut at each of them.
fn sum_of_parts(at: u32) -> f32 {
    var total = 0.0;
    var sum = 0.0;
    var held = 0u;
    for (var part = 0u; part < p.counts.y; part++) {
        sum += s[at + part * p.counts.z];
        held += 1u;
        if held == p.run.x {
            total += sum;
            sum = 0.0;
            held = 0u;
        }
    }
    return total + sum;
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = invocation_index(group, groups, local);
    if index >= p.counts.x { return; }
    var rest = index;
    var at = p.epilogue.w;
    var from_other = 0u;
    var cell = vec3<u32>(0u);
    for (var i = 0u; i < 8u; i++) {
        let axis = 7u - i;
        let extent = p.extent[axis / 4u][axis % 4u];
        let m = rest % extent;
        rest /= extent;
        at += m * p.r_stride[axis / 4u][axis % 4u];
        if FOLD && axis >= 5u {
            cell[axis - 5u] = m;
        } else {
            from_other += m * p.s_stride[axis / 4u][axis % 4u];
        }
    }

    var total = 0.0;
    var sum = 0.0;
    var held = 0u;
    if FOLD {
        let z = places(0u, cell.x);
        let y = places(1u, cell.y);
        let x = places(2u, cell.z);
        let count = vec3<u32>(z.y - z.x, y.y - y.x, x.y - x.x);
        // One loop, not three: llvmpipe counts the iterations of all loops, and leaves them after 65,535.
        for (var j = 0u; j < count.x * count.y * count.z; j++) {
            let jx = j % count.z;
            let jy = (j / count.z) % count.y;
            let jz = j / (count.z * count.y);
            sum += sum_of_parts(from_other + table[z.x + jz] * p.s_stride[1].y + table[y.x + jy] * p.s_stride[1].z
                + table[x.x + jx] * p.s_stride[1].w);
            held += 1u;
            if held == BLOCK {
                total += sum;
                sum = 0.0;
                held = 0u;
            }
        }
    } else {
        sum = sum_of_parts(from_other);
    }

    var v = p.scale.x * (total + sum);
    if p.epilogue.y != 0u { v += p.scale.y * f32(residual[at]); }
    if p.epilogue.z != 0u { v += f32(bias[(index / p.places.w) % p.counts.w]); }
    r[at] = Scalar(activate(p.epilogue.x, p.activation.xy, v));
}
