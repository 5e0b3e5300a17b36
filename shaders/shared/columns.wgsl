// columns: the matrix of a convolution has a column per cell of the result and a row per product, a pair of a channel summed
// over and a tap. Its uniform block, and which cell a column is. The kernel binds p.

struct GemmParams {
    a_extent: vec4<u32>,
    stride: vec4<u32>,
    pad: vec4<u32>,
    a_stride: vec4<u32>,
    cells: vec4<u32>,
    r_stride: vec4<u32>,
    base: vec4<u32>,
    first: vec4<u32>,
    tiles: vec4<u32>,
    steps: vec4<u32>,
    counts: vec4<u32>,
    chunk: vec4<u32>,
    order: vec4<u32>,
    tables: vec4<u32>,
    epilogue: vec4<u32>,
    scale: vec4<f32>,
    activation: vec4<f32>,
    cut: vec4<u32>,
}

// Image, z, y and x of a column: the images are innermost, order.x of them, or outermost.
fn cell_of(column: u32) -> vec4<u32> {
    let inner = column % p.order.x;
    let rest = column / p.order.x;
    let zy = rest / p.cells.z;
    let nz = zy / p.cells.y;
    return vec4<u32>(inner + nz / p.cells.x, nz % p.cells.x, zy % p.cells.y, rest % p.cells.z);
}

// Where a cell's window begins, in cells of a: the padding wraps round.
fn window_of(cell: vec4<u32>) -> vec3<u32> {
    return cell.yzw * p.stride.xyz - p.pad.xyz;
}
