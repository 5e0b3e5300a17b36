// fft_axis: transforms along one axis of spectra that are in memory, in place: of an array [lines, TY, inner] the middle one, TX
// neighbouring columns to a workgroup. It ends what fft_forward.wgsl began, or begins what fft_inverse.wgsl ends, where an axis
// of outer * fused samples is too long for workgroup memory: for outer index l and fused frequency u of N samples
//
//   forward   S[m] = sum over l of  exp(-2 pi sqrt(-1) l u / N) s[l] exp(-2 pi sqrt(-1) l m / TY)
//   inverse   s[l] = exp(2 pi sqrt(-1) l u / N) sum over m of  S[m] exp(2 pi sqrt(-1) l m / TY)
//
// shapes   s [groups, bins, axes before, TY, axes after, k or q, columns]; with PRODUCT the inverse one is of the products of a
//          [groups, bins, slices, 1, columns] and of the conjugates of b [groups, bins, slices, 1, q]
// layout   twiddles: exp(-2 pi sqrt(-1) j / N), used where there are p.counts.w points of the fused part, not 0;
//          bins: the table of fft_forward.wgsl
// grid     a workgroup for TX columns of a line, columns fastest
// memory   TY * TX * 8 bytes
// rust     Kernel::FftAxis, FftAxisParams (src/kernel/fft.rs)
// import: shared/fft.wgsl

const TY: u32 = 64u;          // @spec points along the axis
const TX: u32 = 16u;          // @spec columns of a workgroup
const WG: u32 = 128u;         // @spec invocations per workgroup
const HELD: u32 = 8u;         // @spec points that an invocation holds
const Y0: u32 = 8u;           // @spec radices, 1 where there is no more pass
const Y1: u32 = 8u;           // @spec
const Y2: u32 = 1u;           // @spec
const Y3: u32 = 1u;           // @spec
const PRODUCT: bool = false;  // @spec whether a product is transformed, not what is there

const TZ: u32 = 1u;
const PAIRS: u32 = 1u;

struct FftAxisParams {
    counts: vec4<u32>,
    shape: vec4<u32>,
    pitch: vec4<u32>,
}

@group(0) @binding(0) var<uniform> p: FftAxisParams;
@group(0) @binding(1) var<storage, read> a: array<vec2f>;
@group(0) @binding(2) var<storage, read> b: array<vec2f>;
@group(0) @binding(3) var<storage, read> roots: array<vec2f>;
@group(0) @binding(4) var<storage, read> twiddles: array<vec2f>;
@group(0) @binding(5) var<storage, read> bins: array<vec2<u32>>;
@group(0) @binding(6) var<storage, read_write> s: array<vec2f>;

fn root(i: u32) -> vec2f { return roots[i]; }

// conj(b) * a at column `at` of row l of a line.
fn product(line: u32, l: u32, at: u32) -> vec2f {
    let slice = line * TY * p.shape.z + l * p.shape.z + at / p.pitch.z;
    let rest = at % p.pitch.z;
    let x = a[slice * p.pitch.x + rest % p.pitch.x];
    let w = b[slice * p.pitch.y + rest / p.pitch.x];
    return vec2f(fma(w.x, x.x, w.y * x.y), fma(w.x, x.y, -(w.y * x.x)));
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // The same for all invocations of a workgroup: either all leave or none.
    let id = group.y * groups.x + group.x;
    if id >= p.counts.x { return; }
    let line = id / p.counts.y;
    let first = id % p.counts.y * TX;
    let is_inverse = p.shape.w != 0u;
    let has_twiddle = p.counts.w != 0u;
    // Along the fused part of the axis.
    let u = bins[line / p.shape.y % p.shape.x].x % max(p.counts.w, 1u);

    for (var i = local; i < POINTS; i += WG) {
        let l = i / TX;
        // Columns past the last are that one again, and are not stored.
        let at = min(first + i % TX, p.counts.z - 1u);
        var v: vec2f;
        if PRODUCT {
            v = product(line, l, at);
        } else {
            v = s[(line * TY + l) * p.counts.z + at];
        }
        if is_inverse {
            v = v.yx;
        } else if has_twiddle {
            v = times(v, twiddles[l * u]);
        }
        points[i] = v;
    }
    workgroupBarrier();
    stage(local, 0u, Y0, 1u, TY, TX, 0u);
    stage(local, 0u, Y1, Y0, TY, TX, 0u);
    stage(local, 0u, Y2, Y0 * Y1, TY, TX, 0u);
    stage(local, 0u, Y3, Y0 * Y1 * Y2, TY, TX, 0u);
    for (var i = local; i < POINTS; i += WG) {
        let l = i / TX;
        let at = first + i % TX;
        var v = points[i];
        if is_inverse {
            if has_twiddle { v = times(v, twiddles[l * u]); }
            v = v.yx;
        }
        if at < p.counts.z { s[(line * TY + l) * p.counts.z + at] = v; }
    }
}
