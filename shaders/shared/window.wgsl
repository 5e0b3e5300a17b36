// window: brings a tile of `a` with its halo into workgroup memory, for kernels that declare `a`, `table`, `memory`,
// `planes` and a uniform block `p` with a `window`. Columns stand side by side, the rows of a column in fours.
//
//   memory[place] = four rows of a column     row = origin.y + band * stride + four * dilation, along the register axis

// A number of mixed radix that is counted along in steps of WG without dividing: its last digit is unbounded.
struct Counter {
    radix: vec4<u32>,             // of the first three digits; how many items there are
    step: vec4<u32>,              // the first three digits of WG; 0
    inverse: vec4<f32>,           // of the radices; 0
    unit: array<vec4<u32>, 4>,    // what one of each digit adds to `at`
    ahead: vec4<u32>,             // what WG adds
    carry: array<vec4<u32>, 3>,   // what a carry out of a digit adds
}

struct Window {
    items: Counter,       // at = place in memory, row, column, plane + (first row of the item << 16)
    extent: vec4<u32>,    // cells of a: z, rows, columns; whether coordinates go through tables
    stride: vec4<u32>,    // steps in a: z, rows, columns; channel
    tables: vec4<u32>,    // where the tables of z, rows and columns begin; cells between the rows of an item
    last: vec4<u32>,      // the last coordinate in the tables; steps in a between the rows of an item
}

struct Walk { digit: vec3<u32>, at: vec4<u32> }

// For n below 2^20: the half keeps the product clear of whole numbers, whichever way the inverse was rounded.
fn quotient(n: u32, inverse: f32) -> u32 {
    return u32((f32(n) + 0.5) * inverse);
}

// Remainder and quotient; most counts of a grid are 1.
fn split(n: u32, count: u32) -> vec2<u32> {
    if count == 1u { return vec2<u32>(0u, n); }
    let over = n / count;
    return vec2<u32>(n - over * count, over);
}

fn walk(c: Counter, first: u32) -> Walk {
    let q0 = quotient(first, c.inverse.x);
    let q1 = quotient(q0, c.inverse.y);
    let q2 = quotient(q1, c.inverse.z);
    let digit = vec3<u32>(first - q0 * c.radix.x, q0 - q1 * c.radix.y, q1 - q2 * c.radix.z);
    return Walk(digit, digit.x * c.unit[0] + digit.y * c.unit[1] + digit.z * c.unit[2] + q2 * c.unit[3]);
}

fn ahead(c: Counter, last: Walk) -> Walk {
    var digit = last.digit + c.step.xyz;
    var at = last.at + c.ahead;
    for (var i = 0u; i < 3u; i++) {
        let carries = digit[i] >= c.radix[i];
        digit[i] -= select(0u, c.radix[i], carries);
        at += select(vec4<u32>(0u), c.carry[i], carries);
        if i < 2u { digit[i + 1u] += u32(carries); }
    }
    return Walk(digit, at);
}

fn cell_of(axis: u32, at: u32) -> u32 {
    return table[p.window.tables[axis] + min(at, p.window.last[axis])];
}

// The cell along z of a plane that is not there: everything in it is outside.
const MISSING: u32 = 0x80000000u;

// From `first`, for the tile whose first coordinates are `origin`; `begin` is its channel's first element, `rows` how
// many rows of a band are wanted. Cells outside are `fill`.
fn stage_window(first: Walk, local: u32, origin: vec3<u32>, begin: u32, rows: u32, fill: f32) {
    let tabled = p.window.extent.w != 0u;
    let four = vec4<u32>(0u, 1u, 2u, 3u);
    var item = first;
    for (var i = local; i < p.window.items.radix.w; i += WG) {
        let plane = planes[item.at.w & 0xffffu];
        // A coordinate before the first wraps round to a large number, which is not below the extent either.
        var at = origin + vec3<u32>(plane.z, item.at.yz);
        var rows_at = at.y + four * p.window.tables.w;
        var offset = at.y * p.window.stride.y + four * p.window.last.w;
        if tabled {
            at = vec3<u32>(cell_of(0u, at.x), 0u, cell_of(2u, at.z));
            for (var e = 0u; e < 4u; e++) { rows_at[e] = cell_of(1u, rows_at[e]); }
            offset = rows_at * p.window.stride.y;
        }
        offset += begin + plane.x + at.x * p.window.stride.x + at.z * p.window.stride.z;
        let here = plane.z != MISSING && at.x < p.window.extent.x && at.z < p.window.extent.z;
        let wanted = (item.at.w >> 16u) + four < vec4<u32>(rows);
        let inside = wanted & (rows_at < vec4<u32>(p.window.extent.y)) & vec4<bool>(here);
        let index = select(vec4<u32>(0u), offset, inside);
        let values = vec4f(f32(a[index.x]), f32(a[index.y]), f32(a[index.z]), f32(a[index.w]));
        memory[item.at.x] = select(vec4f(fill), values, inside);
        item = ahead(p.window.items, item);
    }
}
