//! From a kernel's file to WGSL that a driver takes: imports appended, constants put in.

use super::{Kernel, Spec, SpecValue};

/// What `// import:` lines may name.
const SHARED: &[(&str, &str)] = &[
    ("shared/activation.wgsl", include_str!("../../shaders/shared/activation.wgsl")),
    ("shared/columns.wgsl", include_str!("../../shaders/shared/columns.wgsl")),
    ("shared/fft.wgsl", include_str!("../../shaders/shared/fft.wgsl")),
    ("shared/fft_block.wgsl", include_str!("../../shaders/shared/fft_block.wgsl")),
    ("shared/gather.wgsl", include_str!("../../shaders/shared/gather.wgsl")),
    ("shared/gemm.wgsl", include_str!("../../shaders/shared/gemm.wgsl")),
    ("shared/dispatch.wgsl", include_str!("../../shaders/shared/dispatch.wgsl")),
    ("shared/window.wgsl", include_str!("../../shaders/shared/window.wgsl")),
];

/// Why a kernel's file and a spec do not make a shader: always a defect of this crate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// An `// import:` line names no shared file.
    #[error("{kernel}.wgsl imports {import:?}, which is no shared file")]
    UnknownImport {
        /// The kernel's name.
        kernel: &'static str,
        /// What it asks for.
        import: String,
    },
    /// The spec has a constant that the file does not mark.
    #[error("{kernel}.wgsl has no @spec constant {name}")]
    UnknownConstant {
        /// The kernel's name.
        kernel: &'static str,
        /// The constant.
        name: &'static str,
    },
    /// The file marks a constant that the spec does not give.
    #[error("the spec of {kernel}.wgsl lacks the constant of {line:?}")]
    MissingConstant {
        /// The kernel's name.
        kernel: &'static str,
        /// The marked line.
        line: String,
    },
}

/// The WGSL of `kernel` for `spec`: every marked `const` or `alias` gets its value, every imported
/// file is appended once (WGSL does not mind the order), `enable f16;` comes first where a type needs it.
///
/// # Errors
///
/// See [`SourceError`].
pub fn compose(kernel: Kernel, spec: &Spec) -> Result<String, SourceError> {
    let name = kernel.name();
    let mut used = vec![false; spec.values().len()];
    let mut imports: Vec<&str> = Vec::new();
    let mut text = String::new();
    for line in kernel.text().lines() {
        if let Some(import) = line.strip_prefix("// import: ") {
            let unknown = || SourceError::UnknownImport { kernel: name, import: import.to_owned() };
            imports.push(SHARED.iter().find(|f| f.0 == import.trim()).ok_or_else(unknown)?.1);
        } else if line.contains("// @spec") {
            text += &specialised(line, name, spec, &mut used)?;
        } else {
            text += line;
        }
        text.push('\n');
    }
    if let Some(i) = used.iter().position(|&u| !u) {
        return Err(SourceError::UnknownConstant { kernel: name, name: spec.values()[i].0 });
    }
    for import in imports {
        text.push('\n');
        text += import;
    }
    let half = |value: &SpecValue| matches!(value, SpecValue::Type("f16" | "vec4h"));
    let enable = if spec.values().iter().any(|(_, v)| half(v)) { "enable f16;\n" } else { "" };
    Ok(format!("{enable}{text}"))
}

/// `const NAME: u32 = 64u; // @spec` or `alias Name = f32; // @spec` with the spec's value.
fn specialised(
    line: &str,
    kernel: &'static str,
    spec: &Spec,
    used: &mut [bool],
) -> Result<String, SourceError> {
    let missing = || SourceError::MissingConstant { kernel, line: line.to_owned() };
    let (left, _) = line.split_once('=').ok_or_else(missing)?;
    let word = left.split_whitespace().nth(1).ok_or_else(missing)?.trim_end_matches(':');
    let at = spec.values().iter().position(|(n, _)| *n == word).ok_or_else(missing)?;
    used[at] = true;
    Ok(match spec.values()[at].1 {
        SpecValue::U32(value) => format!("{left}= {value}u;"),
        SpecValue::Bool(value) => format!("{left}= {value};"),
        SpecValue::Type(value) => format!("{left}= {value};"),
    })
}
