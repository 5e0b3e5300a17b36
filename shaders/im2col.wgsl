// im2col: one invocation writes EACH products of one column of the matrix of a convolution, the Toeplitz matrix:
//
//   matrix[g, (c, t), (n, m)] = a[n, g * C + c, m * stride + t * dilation - pad]       g = the group, from chunk.w on
//
// With one tap, the padded cells and all channels it is a with its padding written out: what implicit_gemm.wgsl gathers from
// where the boundary is not zero.
//
// shapes   columns are the images n and cells m of one phase, products the pairs (c, t), both as for implicit_gemm.wgsl;
//          of either a chunk: chunk.x and chunk.y are the first ones, counts.y and chunk.z how many
// layout   a any, by its strides; the matrix compact, columns innermost, groups outermost
// outside  TABLE = false: zero. TABLE = true: boundary[coordinate] is the cell to read, or OUTSIDE for the constant scale.z
// grid     Grid::linear(columns * ceil(products / EACH) * groups, WG); surplus invocations return
// rust     Kernel::Im2col, GemmParams (src/kernel/params.rs)
// import: shared/columns.wgsl
// import: shared/dispatch.wgsl
// import: shared/gather.wgsl

const WG: u32 = 64u;          // @spec invocations per workgroup
const EACH: u32 = 8u;         // @spec products per invocation
const TABLE: bool = false;    // @spec whether coordinates go through boundary tables
alias Scalar = f32;           // @spec element of the operands

const CHECK: u32 = COORDINATES;
const OUTSIDE: u32 = 0xffffffffu;

@group(0) @binding(0) var<uniform> p: GemmParams;
@group(0) @binding(1) var<storage, read> a: array<Scalar>;
@group(0) @binding(2) var<storage, read> tap: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> boundary: array<u32>;
@group(0) @binding(4) var<storage, read_write> matrix: array<Scalar>;

// What is there through the boundary.
fn looked_up(start: vec4<u32>, entry: vec4<u32>) -> f32 {
    let to = start.yzw + entry.yzw;
    let at = vec3<u32>(boundary[p.tables.x + to.x], boundary[p.tables.y + to.y], boundary[p.tables.z + to.z]);
    if any(at == vec3<u32>(OUTSIDE)) { return p.scale.z; }
    let moved = at - to;
    return f32(a[start.x + entry.x + moved.x * p.a_stride.x + moved.y * p.a_stride.y + moved.z * p.a_stride.z]);
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = invocation_index(group, groups, local);
    if index >= p.counts.w { return; }
    let column = index % p.counts.y;
    let row = index / p.counts.y;
    let of_group = (p.chunk.z + EACH - 1u) / EACH;
    let member = row / of_group;
    let first = (row - member * of_group) * EACH;
    let start = start_of(p.chunk.x + column, p.chunk.w + member);
    var product = product_at(p.chunk.y + first);
    for (var i = first; i < min(first + EACH, p.chunk.z); i++) {
        let entry = entry_of(product);
        var v = 0.0;
        if TABLE { v = looked_up(start, entry); } else { v = kept(gather(start, entry), start, entry); }
        matrix[(member * p.chunk.z + i) * p.counts.y + column] = Scalar(v);
        product = further(product, 1u, p.steps.z, p.steps.w);
    }
}
