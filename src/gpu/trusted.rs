//! The one place where shaders are built without the driver stack's run-time checks.

#![allow(unsafe_code, reason = "create_shader_module_trusted is unsafe; see the SAFETY note")]

/// A module of WGSL that this crate composed; with every run-time check if `checked`.
pub(super) fn module(device: &wgpu::Device, label: &str, wgsl: String, checked: bool) -> wgpu::ShaderModule {
    let descriptor =
        wgpu::ShaderModuleDescriptor { label: Some(label), source: wgpu::ShaderSource::Wgsl(wgsl.into()) };
    if checked {
        return device.create_shader_module(descriptor);
    }
    // SAFETY: the text comes from this crate's own kernels alone (`kernel::compose`), never from a
    // caller. Their loops end (bounds are uniforms that lowering computes), they divide by uniforms
    // that lowering sets to at least 1, and they index only elements inside the bindings whose sizes
    // lowering derived from the same extents and strides. The tests run kernels of every algorithm with all checks
    // on and with none and compare bits, with guard bands around every binding, and watch every index that they
    // take, also of what is read and dropped; all that the probes write is compared with what the host expects
    // whenever they run.
    unsafe { device.create_shader_module_trusted(descriptor, wgpu::ShaderRuntimeChecks::unchecked()) }
}
