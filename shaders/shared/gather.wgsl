// gather: elements of the matrix of a convolution, read from where they lie in a. The kernel brings the bindings p, a, tap and
// boundary, and the constants MASK and TABLE.

const OUTSIDE: u32 = 0xffffffffu;
// Added to any coordinate, it is outside: extents and padding together stay below this.
const FAR: u32 = 0x80000000u;

// A row of the matrix. Taps are innermost, or channels: minor counts the inner ones.
struct Product { index: u32, major: u32, minor: u32 }

fn product_at(index: u32) -> Product {
    return Product(index, index / p.stride.w, index % p.stride.w);
}

// Some rows further, of which `major` and `minor` are quotient and remainder: no divisions.
fn further(product: Product, count: u32, major: u32, minor: u32) -> Product {
    let over = product.minor + minor >= p.stride.w;
    return Product(product.index + count, product.major + major + select(0u, 1u, over),
        product.minor + minor - select(0u, p.stride.w, over));
}

// Its offset in a, and its z, y, x or its bit in a column's mask.
fn entry_of(product: Product) -> vec4<u32> {
    // Past the last product nothing may be read: its factor is 0, but the other one might be no number.
    if product.index >= p.a_extent.w { return vec4<u32>(0u, select(FAR, 0u, MASK), 0u, 0u); }
    let channels_inner = p.order.y != 0u;
    let channel = select(product.major, product.minor, channels_inner);
    let t = select(product.minor, product.major, channels_inner);
    var entry = tap[p.pad.w + t];
    entry.x += channel * p.a_stride.w;
    if MASK { entry.y = 1u << t; }
    return entry;
}

// A column: where its window begins in a, and its z, y, x or its mask.
fn start_of(column: u32, group: u32) -> vec4<u32> {
    let cell = cell_of(column);
    let at = window_of(cell);
    var begin = p.first.x + cell.x * p.base.x + group * p.base.y;
    if !TABLE { begin += at.x * p.a_stride.x + at.y * p.a_stride.y + at.z * p.a_stride.z; }
    if !MASK { return vec4<u32>(begin, at); }
    var inside = 0u;
    for (var t = 0u; t < p.tables.w; t++) {
        inside |= select(0u, 1u << t, all(at + tap[p.pad.w + t].yzw < p.a_extent.xyz));
    }
    return vec4<u32>(begin, inside, 0u, 0u);
}

// What is read for an element. Outside it is some number of a, which `kept` drops: not before it is needed, so that nothing
// waits for the load until then.
fn gather(start: vec4<u32>, entry: vec4<u32>) -> f32 {
    if !TABLE { return f32(a[min(start.x + entry.x, p.first.z)]); }
    if entry.y == FAR { return 0.0; }
    let to = start.yzw + entry.yzw;
    let at = vec3<u32>(boundary[p.tables.x + to.x], boundary[p.tables.y + to.y], boundary[p.tables.z + to.z]);
    if any(at == vec3<u32>(OUTSIDE)) { return p.scale.z; }
    return f32(a[start.x + entry.x + at.x * p.a_stride.x + at.y * p.a_stride.y + at.z * p.a_stride.z]);
}

fn kept(value: f32, start: vec4<u32>, entry: vec4<u32>) -> f32 {
    if TABLE { return value; }
    if MASK { return select(0.0, value, (start.y & entry.y) != 0u); }
    // A coordinate before the first wraps round to a large number, which is not below the extent either.
    return select(0.0, value, all(start.yzw + entry.yzw < p.a_extent.xyz));
}
