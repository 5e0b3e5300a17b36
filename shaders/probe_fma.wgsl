// probe_fma: one invocation turns sixteen points of the plane by multiply-adds and nothing else, to see how many of
// them the device does in a second.
//
//   turns times eight steps of  a += m * b,  b -= m * a  for every point (a, b); then  r[i] = sum of all a + b
//
// A step is a rotation but for terms in m^2: it neither grows nor settles, so no compiler can shorten it, and the host
// can tell what must come out. Every product adds to a register that it also overwrites, the form that all devices have;
// 32 chains that know nothing of each other hide its latency. Points start apart by `spread`, which is 0, and the
// compiler cannot know: all of them hold the same numbers, so nothing but the arithmetic takes power.
//
// shapes   r [invocations]
// layout   f32, contiguous
// grid     Grid::linear(invocations, WG); surplus invocations return
// rust     Kernel::ProbeFma, ProbeParams (src/kernel/params.rs)
// import: shared/dispatch.wgsl

const WG: u32 = 256u;         // @spec invocations per workgroup

struct ProbeParams {
    counts: vec4<u32>,
    start: vec4<f32>,
}

// Four points in every vector of a and of b.
struct Points {
    a0: vec4<f32>, a1: vec4<f32>, a2: vec4<f32>, a3: vec4<f32>,
    b0: vec4<f32>, b1: vec4<f32>, b2: vec4<f32>, b3: vec4<f32>,
}

@group(0) @binding(0) var<uniform> p: ProbeParams;
@group(0) @binding(1) var<storage, read_write> r: array<f32>;

fn turned(s: Points, m: vec4<f32>, n: vec4<f32>) -> Points {
    var t: Points;
    t.a0 = fma(m, s.b0, s.a0);
    t.a1 = fma(m, s.b1, s.a1);
    t.a2 = fma(m, s.b2, s.a2);
    t.a3 = fma(m, s.b3, s.a3);
    t.b0 = fma(n, t.a0, s.b0);
    t.b1 = fma(n, t.a1, s.b1);
    t.b2 = fma(n, t.a2, s.b2);
    t.b3 = fma(n, t.a3, s.b3);
    return t;
}

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = invocation_index(group, groups, local);
    if index >= p.counts.x { return; }
    let m = vec4<f32>(p.start.z);
    let n = -m;
    let lane = vec4<f32>(0.0, 1.0, 2.0, 3.0) + f32(index);
    let a = vec4<f32>(p.start.x);
    let b = vec4<f32>(p.start.y);
    let spread = vec4<f32>(p.start.w);
    var s: Points;
    s.a0 = a + spread * lane;
    s.a1 = a + spread * (lane + 4.0);
    s.a2 = a + spread * (lane + 8.0);
    s.a3 = a + spread * (lane + 12.0);
    s.b0 = b + spread * (lane + 16.0);
    s.b1 = b + spread * (lane + 20.0);
    s.b2 = b + spread * (lane + 24.0);
    s.b3 = b + spread * (lane + 28.0);
    // Eight steps are 256 multiply-adds, beside which the three instructions of a loop hardly count.
    for (var turn = 0u; turn < p.counts.y; turn++) {
        s = turned(turned(turned(turned(s, m, n), m, n), m, n), m, n);
        s = turned(turned(turned(turned(s, m, n), m, n), m, n), m, n);
    }
    let sum = (s.a0 + s.a1 + s.a2 + s.a3) + (s.b0 + s.b1 + s.b2 + s.b3);
    r[index] = sum.x + sum.y + sum.z + sum.w;
}
