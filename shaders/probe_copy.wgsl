// probe_copy: one invocation copies a few vectors, to see how many bytes the device moves in a second.
//
//   r[i + k * invocations] = s[i + k * invocations],  k < copies
//
// shapes   s, r [invocations * copies]
// layout   vectors of four words, contiguous
// grid     Grid::linear(invocations, WG); surplus invocations return
// rust     Kernel::ProbeCopy, ProbeParams (src/kernel/params.rs)
// import: shared/dispatch.wgsl

const WG: u32 = 256u;         // @spec invocations per workgroup

struct ProbeParams {
    counts: vec4<u32>,
    start: vec4<f32>,
}

@group(0) @binding(0) var<uniform> p: ProbeParams;
@group(0) @binding(1) var<storage, read> s: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> r: array<vec4<u32>>;

@compute @workgroup_size(WG)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = invocation_index(group, groups, local);
    if index >= p.counts.x { return; }
    for (var k = 0u; k < p.counts.y; k++) {
        let at = index + k * p.counts.x;
        r[at] = s[at];
    }
}
