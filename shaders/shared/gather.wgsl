// gather: elements of the matrix of a convolution, read from where they lie in a. The kernel brings the bindings p, a and tap,
// its element Scalar and the constant CHECK:
//
//   NOTHING      no element lies outside, and the last step is full: there is nothing to check
//   BITS         columns and products have bits, of the p.tables.w taps or cells that can reach outside: an element lies
//                outside if both have one in common
//   COORDINATES  columns and products have coordinates, whose sums are compared with a's extents

const NOTHING: u32 = 0u;
const BITS: u32 = 1u;
const COORDINATES: u32 = 2u;

// Added to any coordinate, it is outside: extents and padding together stay below this. As bits, one that every column has.
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

// Its offset in a, and its z, y, x or its bits.
fn entry_of(product: Product) -> vec4<u32> {
    let channels_inner = p.order.y != 0u;
    let channel = select(product.major, product.minor, channels_inner);
    let t = select(product.minor, product.major, channels_inner);
    // Past the last product there may be no such tap. Nothing may be read for it: its factor is 0, but the other one might be
    // no number.
    var entry = tap[p.pad.w + min(t, p.base.w)];
    entry.x += channel * p.a_stride.w;
    entry.y = select(entry.y, FAR, product.index >= p.a_extent.w);
    return entry;
}

// A column: where its window begins in a, and its z, y, x or its bits.
fn start_of(column: u32, group: u32) -> vec4<u32> {
    let cell = cell_of(column);
    let at = window_of(cell);
    let begin = p.first.x + cell.x * p.base.x + group * p.base.y
        + at.x * p.a_stride.x + at.y * p.a_stride.y + at.z * p.a_stride.z;
    if CHECK != BITS { return vec4<u32>(begin, at); }
    var bits = FAR;
    for (var i = 0u; i < p.tables.w; i++) {
        // Axis, what is added to the coordinate, the first sum that has the bit or, w, that has not.
        let bit = tap[p.tables.x + i];
        let sum = at[bit.x] + bit.y;
        bits |= select(0u, 1u << i, (sum >= bit.z) != (bit.w != 0u));
    }
    return vec4<u32>(begin, bits, 0u, 0u);
}

// What is read for an element. Outside it is some number of a, which `kept` drops. As it is stored: converted, as dropped, not
// before it is needed, so that nothing waits for the load until then.
fn gather(start: vec4<u32>, entry: vec4<u32>) -> Scalar {
    if CHECK == NOTHING { return a[start.x + entry.x]; }
    return a[min(start.x + entry.x, p.first.z)];
}

fn kept(value: Scalar, start: vec4<u32>, entry: vec4<u32>) -> f32 {
    if CHECK == NOTHING { return f32(value); }
    if CHECK == BITS { return select(f32(value), 0.0, (start.y & entry.y) != 0u); }
    // A coordinate before the first wraps round to a large number, which is not below the extent either.
    return select(0.0, f32(value), all(start.yzw + entry.yzw < p.a_extent.xyz));
}
