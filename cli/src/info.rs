//! `wgconv info`: what there is to compute on, and what it computes.
#![allow(clippy::doc_markdown, reason = "clap prints these comments as help, where backticks would show")]

mod ops;

use serde_json::{Value, json};
use wgconv::internals::gpu::{Gpu, GpuError, adapters};
use wgconv::{Device, DeviceChoice, Error, wgpu};

use crate::failure::Failure;
use crate::{Outcome, output};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Instead: every operation of a job with its gradients, and which algorithms run each on the CPU and on a GPU
    /// of WebGPU's default limits
    #[arg(long)]
    ops: bool,
}

pub(crate) fn run(options: &Options) -> Result<Outcome, Failure> {
    if options.ops {
        let rows = ops::rows()?;
        output::say(&if options.json { ops::json(&rows) } else { ops::text(&rows) })?;
        return Ok(Outcome::Succeeded);
    }
    let found: Vec<Value> = pollster::block_on(adapters()).iter().map(adapter).collect();
    let auto = match Device::open(&DeviceChoice::Auto) {
        Ok(device) => json!(device.name()),
        Err(e) => failed(&e),
    };
    let cpu = json!({ "threads": rayon::current_num_threads(), "simd": simd() });
    let all = json!({ "version": env!("CARGO_PKG_VERSION"), "auto": auto, "cpu": cpu, "adapters": found });
    output::say(&if options.json { all.to_string() } else { text(&all) })?;
    Ok(Outcome::Succeeded)
}

fn failed(error: &Error) -> Value {
    json!({ "error": { "kind": error.kind().word(), "message": error.to_string() } })
}

/// What an adapter says of itself, and whether it computes rightly.
fn adapter(adapter: &wgpu::Adapter) -> Value {
    let name = adapter.get_info().name;
    let opened = pollster::block_on(Gpu::without_self_test(adapter));
    let gpu = match opened {
        Ok(gpu) => gpu,
        Err(e) => return json!({ "name": name, "self_test": failed(&e.into()) }),
    };
    let tested: Result<(), GpuError> = pollster::block_on(gpu.self_test());
    let (report, target) = (gpu.report(), gpu.target());
    let (limits, features) = (&target.limits, target.features);
    let shapes = report.cooperative.iter().map(|shape| {
        let [m, n, k] = shape.size;
        format!("{m}x{n}x{k} {} -> {}", shape.operand, shape.accumulator)
    });
    json!({
        "name": report.name,
        "backend": report.backend,
        "driver": report.driver,
        "class": format!("{:?}", report.class).to_lowercase(),
        "hardware": report.is_hardware(),
        "vendor_id": report.ids.0,
        "device_id": report.ids.1,
        "features": { "f16": features.f16, "subgroup": features.subgroup, "timestamps": features.timestamps },
        "limits": {
            "max_binding_bytes": limits.max_binding_bytes,
            "max_buffer_bytes": limits.max_buffer_bytes,
            "max_storage_buffers": limits.max_storage_buffers,
            "max_workgroup_bytes": limits.max_workgroup_bytes,
            "max_invocations": limits.max_invocations,
            "max_grid": limits.max_grid,
            "offset_alignment": limits.offset_alignment,
        },
        "subgroup": [report.subgroup.0, report.subgroup.1],
        "cooperative_matrices": shapes.collect::<Vec<_>>(),
        "self_test": tested.map_or_else(|e| failed(&e.into()), |()| json!("passed")),
    })
}

/// The vector instructions that this processor has, of those that compilers and libraries choose between.
fn simd() -> Vec<&'static str> {
    let mut found = Vec::new();
    #[cfg(target_arch = "x86_64")]
    for (name, there) in [
        ("sse4.1", std::is_x86_feature_detected!("sse4.1")),
        ("avx", std::is_x86_feature_detected!("avx")),
        ("fma", std::is_x86_feature_detected!("fma")),
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("avx512f", std::is_x86_feature_detected!("avx512f")),
    ] {
        found.extend(there.then_some(name));
    }
    #[cfg(target_arch = "aarch64")]
    found.extend(std::arch::is_aarch64_feature_detected!("neon").then_some("neon"));
    found
}

fn text(all: &Value) -> String {
    let mut lines = vec![
        format!("wgconv {}", plain(&all["version"])),
        format!("auto takes: {}", plain(&all["auto"])),
        format!("cpu: {} threads, {}", all["cpu"]["threads"], plain(&all["cpu"]["simd"])),
    ];
    let adapters = all["adapters"].as_array().map_or(&[][..], Vec::as_slice);
    lines.push(format!("adapters: {}", adapters.len()));
    for adapter in adapters {
        lines.push(format!("- {}", plain(&adapter["name"])));
        let fields = adapter.as_object().into_iter().flatten().filter(|(name, _)| *name != "name");
        lines.extend(fields.map(|(name, value)| format!("    {}: {}", name.replace('_', " "), plain(value))));
    }
    lines.join("\n")
}

/// A value without the marks of JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let pairs =
                fields.iter().map(|(name, value)| format!("{} {}", name.replace('_', " "), plain(value)));
            pairs.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}
