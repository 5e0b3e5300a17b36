// fft: discrete Fourier transforms in workgroup memory, along the axes of a block of TZ by TY by TX complex points, by
// Stockham passes of radix 2, 3, 4, 5 and 8 (the order of the result comes out of where each pass writes). PAIRS such blocks
// in a workgroup, of LANES invocations each. The kernel brings the constants and a function root.
//
//   Z[k] = sum over i of  z[i] * exp(-2 pi sqrt(-1) i k / length)           along each axis
//
// roots    of x, then of y, then of z: the factors of every pass, exp(-2 pi sqrt(-1) q k / (before * radix)) for k < before and
//          q = 1 .. radix - 1; those of a pass begin at before - 1, where before is the product of the radices before it

const POINTS: u32 = TZ * TY * TX;
const LANES: u32 = WG / PAIRS;

var<workgroup> points: array<vec2f, PAIRS * POINTS>;

const HALF_SQRT_3: f32 = 0.8660254037844386;
const HALF_SQRT_2: f32 = 0.7071067811865476;
const COS_72: f32 = 0.30901699437494745;
const SIN_72: f32 = 0.9510565162951535;
const COS_144: f32 = -0.8090169943749475;
const SIN_144: f32 = 0.5877852522924731;

fn times(a: vec2f, b: vec2f) -> vec2f {
    return vec2f(fma(a.x, b.x, -(a.y * b.y)), fma(a.x, b.y, a.y * b.x));
}

// a * -sqrt(-1)
fn turned(a: vec2f) -> vec2f { return vec2f(a.y, -a.x); }

fn dft4(a: vec2f, b: vec2f, c: vec2f, d: vec2f) -> array<vec2f, 4> {
    let even = a + c;
    let odd = b + d;
    let across = a - c;
    let back = turned(b - d);
    return array<vec2f, 4>(even + odd, across + back, even - odd, across - back);
}

// The transform of the first `radix` of u.
fn dft(radix: u32, u: ptr<function, array<vec2f, 8>>) {
    switch radix {
        case 2u: {
            let a = (*u)[0];
            (*u)[0] = a + (*u)[1];
            (*u)[1] = a - (*u)[1];
        }
        case 3u: {
            let sum = (*u)[1] + (*u)[2];
            let across = turned((*u)[1] - (*u)[2]) * HALF_SQRT_3;
            let middle = (*u)[0] - 0.5 * sum;
            (*u)[0] += sum;
            (*u)[1] = middle + across;
            (*u)[2] = middle - across;
        }
        case 4u: {
            let v = dft4((*u)[0], (*u)[1], (*u)[2], (*u)[3]);
            (*u)[0] = v[0];
            (*u)[1] = v[1];
            (*u)[2] = v[2];
            (*u)[3] = v[3];
        }
        case 5u: {
            let near = (*u)[1] + (*u)[4];
            let far = (*u)[2] + (*u)[3];
            let from_near = turned((*u)[1] - (*u)[4]);
            let from_far = turned((*u)[2] - (*u)[3]);
            let first = (*u)[0] + COS_72 * near + COS_144 * far;
            let second = (*u)[0] + COS_144 * near + COS_72 * far;
            let across_first = SIN_72 * from_near + SIN_144 * from_far;
            let across_second = SIN_144 * from_near - SIN_72 * from_far;
            (*u)[0] += near + far;
            (*u)[1] = first + across_first;
            (*u)[2] = second + across_second;
            (*u)[3] = second - across_second;
            (*u)[4] = first - across_first;
        }
        default: {
            let even = dft4((*u)[0], (*u)[2], (*u)[4], (*u)[6]);
            let odd = dft4((*u)[1], (*u)[3], (*u)[5], (*u)[7]);
            let one = (odd[1] + turned(odd[1])) * HALF_SQRT_2;
            let two = turned(odd[2]);
            let three = (turned(odd[3]) - odd[3]) * HALF_SQRT_2;
            (*u)[0] = even[0] + odd[0];
            (*u)[1] = even[1] + one;
            (*u)[2] = even[2] + two;
            (*u)[3] = even[3] + three;
            (*u)[4] = even[0] - odd[0];
            (*u)[5] = even[1] - one;
            (*u)[6] = even[2] - two;
            (*u)[7] = even[3] - three;
        }
    }
}

// Butterfly `at` of a pass along an axis whose neighbours lie `inner` points apart: how far along the axis, and where its line
// begins.
struct Butterfly { along: u32, line: u32 }

fn butterfly(at: u32, radix: u32, length: u32, inner: u32) -> Butterfly {
    let rest = at / inner;
    let count = length / radix;
    return Butterfly(rest % count, rest / count * (length * inner) + at % inner);
}

// Whether lane `lane` has a butterfly in turn `turn`.
fn has(lane: u32, turn: u32, radix: u32) -> bool {
    return (POINTS / radix) % LANES == 0u || lane + turn * LANES < POINTS / radix;
}

// Takes what a pass transforms from workgroup memory.
fn take(v: ptr<function, array<vec2f, HELD>>, lane: u32, block: u32, radix: u32, length: u32, inner: u32) {
    for (var turn = 0u; turn < (POINTS / radix + LANES - 1u) / LANES; turn++) {
        if has(lane, turn, radix) {
            let b = butterfly(lane + turn * LANES, radix, length, inner);
            let begin = block + b.line + b.along * inner;
            for (var q = 0u; q < radix; q++) { (*v)[turn * radix + q] = points[begin + q * (length / radix * inner)]; }
        }
    }
}

// Transforms it.
fn transform(v: ptr<function, array<vec2f, HELD>>, lane: u32, radix: u32, before: u32, length: u32, inner: u32, roots_at: u32) {
    for (var turn = 0u; turn < (POINTS / radix + LANES - 1u) / LANES; turn++) {
        var u: array<vec2f, 8>;
        for (var q = 0u; q < radix; q++) { u[q] = (*v)[turn * radix + q]; }
        if before > 1u {
            let b = butterfly(min(lane + turn * LANES, POINTS / radix - 1u), radix, length, inner);
            let first = roots_at + before - 1u + b.along % before * (radix - 1u);
            for (var q = 1u; q < radix; q++) { u[q] = times(u[q], root(first + q - 1u)); }
        }
        dft(radix, &u);
        for (var q = 0u; q < radix; q++) { (*v)[turn * radix + q] = u[q]; }
    }
}

// Puts it back.
fn put(v: ptr<function, array<vec2f, HELD>>, lane: u32, block: u32, radix: u32, before: u32, length: u32, inner: u32) {
    for (var turn = 0u; turn < (POINTS / radix + LANES - 1u) / LANES; turn++) {
        if has(lane, turn, radix) {
            let b = butterfly(lane + turn * LANES, radix, length, inner);
            let to = block + b.line + (b.along / before * (before * radix) + b.along % before) * inner;
            for (var q = 0u; q < radix; q++) { points[to + q * (before * inner)] = (*v)[turn * radix + q]; }
        }
    }
}

// A whole pass, from workgroup memory to workgroup memory; what is there was waited for, and so is what it leaves. A radix of 1
// is no pass.
fn stage(lane: u32, block: u32, radix: u32, before: u32, length: u32, inner: u32, roots_at: u32) {
    if radix == 1u { return; }
    var v: array<vec2f, HELD>;
    take(&v, lane, block, radix, length, inner);
    workgroupBarrier();
    transform(&v, lane, radix, before, length, inner, roots_at);
    put(&v, lane, block, radix, before, length, inner);
    workgroupBarrier();
}
