//! Every kernel with every combination of constants: accepted by naga and its three translators, by
//! Tint and by spirv-val, and its uniform block laid out as the host writes it. Needs no adapter.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};

use naga::back::{hlsl, msl, spv};
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use wgconv::internals::kernel::depthwise::DepthwiseParams;
use wgconv::internals::kernel::depthwise_weight::DepthwiseWeightParams;
use wgconv::internals::kernel::fft::{FftAxisParams, FftForwardParams, FftGemmParams, FftInverseParams};
use wgconv::internals::kernel::{
    DirectParams, FoldParams, GemmParams, Kernel, PackParams, Params, ProbeParams, Spec, compose,
};
use wgconv_testing::report;

fn every_source() -> Vec<(String, String)> {
    let mut sources = Vec::new();
    for &kernel in Kernel::ALL {
        for spec in kernel.specs() {
            let text = compose(kernel, &spec).expect("a listed spec composes");
            sources.push((format!("{}__{spec}", kernel.name()), text));
        }
    }
    assert!(!sources.is_empty());
    sources
}

fn parsed(name: &str, text: &str) -> (naga::Module, ModuleInfo) {
    let module =
        naga::front::wgsl::parse_str(text).unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(text)));
    let capabilities = Capabilities::SHADER_FLOAT16;
    let info = Validator::new(ValidationFlags::all(), capabilities)
        .validate(&module)
        .unwrap_or_else(|e| panic!("{name}: {}", e.emit_to_string(text)));
    (module, info)
}

/// SPIR-V as wgpu makes it for a trusted shader.
fn spirv(module: &naga::Module, info: &ModuleInfo) -> Vec<u32> {
    let unchecked = BoundsCheckPolicy::Unchecked;
    let options = spv::Options {
        lang_version: (1, 3),
        bounds_check_policies: BoundsCheckPolicies {
            index: unchecked,
            buffer: unchecked,
            ..Default::default()
        },
        force_loop_bounding: false,
        ..Default::default()
    };
    let pipeline =
        spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: "main".into() };
    spv::write_vec(module, info, &options, Some(&pipeline)).expect("SPIR-V")
}

#[test]
fn lists_are_closed_and_small() {
    let mut total = 0;
    for &kernel in Kernel::ALL {
        let specs = kernel.specs();
        let distinct: BTreeMap<String, &Spec> = specs.iter().map(|s| (s.to_string(), s)).collect();
        assert_eq!(distinct.len(), specs.len(), "{}: two specs share a name", kernel.name());
        assert!(specs.len() <= 64, "{}: {} specs", kernel.name(), specs.len());
        assert!(!kernel.text().is_empty(), "{kernel:?} has no file");
        total += specs.len();
    }
    assert!(total <= 1000, "{total} shaders in all");
}

#[test]
fn naga_takes_and_translates_every_shader() {
    let sources = every_source();
    for (name, text) in &sources {
        let (module, info) = parsed(name, text);
        spirv(&module, &info);
        msl::write_string(
            &module,
            &info,
            &msl::Options { fake_missing_bindings: true, lang_version: (2, 4), ..Default::default() },
            &msl::PipelineOptions::default(),
        )
        .unwrap_or_else(|e| panic!("{name}: MSL: {e}"));
        let mut out = String::new();
        let options = hlsl::Options {
            fake_missing_bindings: true,
            shader_model: hlsl::ShaderModel::V6_2,
            ..Default::default()
        };
        hlsl::Writer::new(&mut out, &options, &hlsl::PipelineOptions::default())
            .write(&module, &info, None)
            .unwrap_or_else(|e| panic!("{name}: HLSL: {e}"));
    }
    report(&format!("naga, SPIR-V, MSL, HLSL: {} shaders", sources.len()));
}

/// Runs `tool` on a file for each source; `None` if it is not installed.
fn run_tool(tool: &str, extra: &[&str], suffix: &str, files: &[(String, Vec<u8>)]) -> Option<usize> {
    const TOOLS: [&str; 2] = ["spirv-val", "tint"];
    let required = std::env::var("WGCONV_REQUIRE_TOOLS").unwrap_or_default();
    let required: Vec<_> = required.split([' ', ',']).filter(|name| !name.is_empty()).collect();
    let known = required.iter().all(|name| TOOLS.contains(name)) && TOOLS.contains(&tool);
    assert!(known, "WGCONV_REQUIRE_TOOLS is {required:?}, wanted some of {TOOLS:?}");
    let missing =
        Command::new(tool).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err();
    if missing {
        report(&format!("SKIPPED: no {tool} on PATH"));
        assert!(!required.contains(&tool), "{tool} is required and not on PATH");
        return None;
    }
    for (name, bytes) in files {
        let mut file = tempfile::Builder::new().suffix(suffix).tempfile().expect("a temporary file");
        file.write_all(bytes).expect("written");
        let output = Command::new(tool).args(extra).arg(file.path()).output().expect("the tool runs");
        let said =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{tool} refuses {name}:\n{said}");
    }
    report(&format!("{tool}: {} shaders", files.len()));
    Some(files.len())
}

#[test]
fn tint_takes_every_shader() {
    let files: Vec<_> = every_source().into_iter().map(|(n, t)| (n, t.into_bytes())).collect();
    run_tool("tint", &["--format", "wgsl", "-o", "/dev/null"], ".wgsl", &files);
}

#[test]
fn spirv_val_takes_every_shader() {
    let files: Vec<_> = every_source()
        .into_iter()
        .map(|(name, text)| {
            let (module, info) = parsed(&name, &text);
            let bytes = spirv(&module, &info).iter().flat_map(|w| w.to_le_bytes()).collect();
            (name, bytes)
        })
        .collect();
    run_tool("spirv-val", &["--target-env", "vulkan1.1"], ".spv", &files);
}

/// Name, offset and size of each member of the struct called `name`.
fn members(module: &naga::Module, name: &str) -> (u32, Vec<(String, u32)>) {
    let (_, ty) = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name)).expect("the struct");
    let naga::TypeInner::Struct { span, members } = &ty.inner else { panic!("{name} is no struct") };
    (*span, members.iter().map(|m| (m.name.clone().expect("a name"), m.offset)).collect())
}

macro_rules! offsets {
    ($ty:ty: $($field:ident),*) => {
        vec![$((stringify!($field).to_owned(), u32::try_from(std::mem::offset_of!($ty, $field)).unwrap())),*]
    };
}

#[test]
fn uniform_blocks_are_what_the_host_writes() {
    let direct = offsets!(DirectParams: a_extent, stride, dilation, a_stride, b_stride, b_position, r_stride, base,
        tile_step, tile_count, channel_tiles, phase_tiles, rows, tables, part_count, chunk, parts, epilogue, scale,
        activation);
    let fold = offsets!(FoldParams: extent, r_stride, s_stride, places, counts, epilogue, scale, activation,
        run);
    let gemm = offsets!(GemmParams: a_extent, stride, pad, a_stride, cells, r_stride, base, first, tiles, steps, counts, chunk,
        order, tables, epilogue, scale, activation, cut);
    let pack = offsets!(PackParams: counts, tile, taps, b_stride, base);
    let probe = offsets!(ProbeParams: counts, start);
    let depthwise = offsets!(DepthwiseParams: window, factors, plane_radix, plane_inverse, plane_a, plane_b, plane_r,
        plane_z, plane_q, lane_step, lane_count, lane_inverse, count_inverse, lane_a, lane_b, tiles, phases, tile, taps,
        rows, stride, dilation, b_stride, r_stride, counts, channel, epilogue, scale, activation);
    let weight = offsets!(DepthwiseWeightParams: window, gradients, work, lane, lane_inverse, places, pair_radix, pair_a,
        pair_b, pair_r, planes, tiles, tile, taps, boxes, stride, dilation, pad, cells, b_stride, r_stride, counts,
        epilogue, scale, activation);
    let axis = offsets!(FftAxisParams: counts, shape, pitch);
    let forward = offsets!(FftForwardParams: extent, step, begin, hop, limit, stride, outer, tiles, matrix, chunk, counts,
        base);
    let complex = offsets!(FftGemmParams: counts, size);
    let inverse = offsets!(FftInverseParams: cells, per_tile, stride, r_stride, outer, tiles, matrix, chunk, counts, base,
        factor, epilogue, scale, activation);
    for (kernel, name, on_host, block) in [
        (Kernel::FftAxis, "FftAxisParams", axis, Params::FftAxis(FftAxisParams::default())),
        (Kernel::FftForward, "FftForwardParams", forward, Params::FftForward(FftForwardParams::default())),
        (Kernel::FftGemm, "FftGemmParams", complex, Params::FftGemm(FftGemmParams::default())),
        (Kernel::FftInverse, "FftInverseParams", inverse, Params::FftInverse(Box::default())),
        (Kernel::ImplicitGemm, "GemmParams", gemm.clone(), Params::Gemm(GemmParams::default())),
        (Kernel::GemmTiled, "GemmParams", gemm.clone(), Params::Gemm(GemmParams::default())),
        (Kernel::Im2col, "GemmParams", gemm, Params::Gemm(GemmParams::default())),
        (Kernel::Pack, "PackParams", pack, Params::Pack(PackParams::default())),
        (Kernel::Depthwise, "DepthwiseParams", depthwise, Params::Depthwise(Box::default())),
        (Kernel::DepthwiseWeight, "DepthwiseWeightParams", weight, Params::DepthwiseWeight(Box::default())),
        (Kernel::Direct, "DirectParams", direct, Params::Direct(DirectParams::default())),
        (Kernel::Fold, "FoldParams", fold, Params::Fold(FoldParams::default())),
        (Kernel::ProbeFma, "ProbeParams", probe.clone(), Params::Probe(ProbeParams::default())),
        (Kernel::ProbeCopy, "ProbeParams", probe, Params::Probe(ProbeParams::default())),
    ] {
        let (module, _) = parsed(name, &compose(kernel, &kernel.specs()[0]).expect("composes"));
        let (span, in_shader) = members(&module, name);
        assert_eq!(in_shader, on_host);
        assert_eq!(span as usize, block.bytes().len());
    }
}

#[test]
fn every_shader_binds_the_default_limits_at_most() {
    for (name, text) in every_source() {
        let (module, _) = parsed(&name, &text);
        let storage = |v: &naga::GlobalVariable| matches!(v.space, naga::AddressSpace::Storage { .. });
        let count = module.global_variables.iter().filter(|(_, v)| storage(v)).count();
        assert!(count <= 8, "{name}: {count} storage buffers");
        let size = module.entry_points[0].workgroup_size;
        assert!(size[0] <= 256 && size[1..] == [1, 1], "{name}: workgroup {size:?}");
    }
}

/// The log of machine code is of the kernels that there are.
#[test]
fn machine_code_was_counted_of_every_shader() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/results/isa.json");
    let text = std::fs::read_to_string(path).expect("the counts");
    let counts: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let counted: BTreeSet<String> = counts["kernels"].as_object().expect("kernels").keys().cloned().collect();
    let of =
        |&kernel: &Kernel| kernel.specs().into_iter().map(move |spec| format!("{}__{spec}", kernel.name()));
    let all: BTreeSet<String> = Kernel::ALL.iter().flat_map(of).collect();
    assert_eq!(all.difference(&counted).collect::<Vec<_>>(), [""; 0], "not counted: run benches/isa.py");
    assert_eq!(counted.difference(&all).collect::<Vec<_>>(), [""; 0], "no longer there: run benches/isa.py");
}
