//! The job format: one JSON object to one typed job. The options of `wgconv conv` come this way too.
//!
//! What a job that cannot be understood gets is `bad_job`: invalid JSON, an unknown, misplaced, missing or
//! repeated field, a value of the wrong type (`2.0` and numbers past 64 bits are no integers), an unknown
//! word. What is understood and cannot be computed gets the kind of what is wrong with it, such as `stride`
//! for a stride of 0 or a list of the wrong length. A field of another operation may be there as `null`.

use std::path::PathBuf;

use serde_json::Value;
use wgconv::{
    Activation, Algorithm, Boundary, Conv, ConvTranspose, DeviceChoice, Direction, Element, ErrorKind,
    Fallback, Layout, Padding, PerAxis, PlanOptions, Rounding, TransposedOutput,
};

use crate::failure::Failure;
use crate::json::{Object, integer, integers, quoted, wrong_type};

/// One operation on files.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) operation: Operation,
    pub(crate) output: PathBuf,
    pub(crate) how: How,
    /// Everything of the convolution but layouts, element and bias.
    pub(crate) conv: Conv,
    /// Order of the axes in the files.
    pub(crate) layout: Layout,
}

/// What is computed from which files.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Conv { input: PathBuf, weight: PathBuf, bias: Option<PathBuf> },
    GradInput { grad_output: PathBuf, weight: PathBuf, input_shape: Vec<usize> },
    GradWeight { input: PathBuf, grad_output: PathBuf, weight_shape: Vec<usize> },
    ConvTranspose { input: PathBuf, weight: PathBuf, bias: Option<PathBuf>, target: Box<ConvTranspose> },
}

/// Where and how a job is computed; `None` leaves the choice to us.
#[derive(Clone, Debug, Default)]
pub(crate) struct How {
    pub(crate) device: DeviceChoice,
    pub(crate) algorithm: Option<Algorithm>,
    pub(crate) dtype: Option<Element>,
}

/// What every operation has.
const COMMON: &[&str] = &[
    "op",
    "output",
    "device",
    "algorithm",
    "dtype",
    "stride",
    "dilation",
    "padding",
    "groups",
    "flip",
    "boundary",
    "rounding",
    "layout",
    "activation",
];

/// Every operation with the fields that are its own.
const OPERATIONS: [(&str, &[&str]); 4] = [
    ("conv", &["input", "weight", "bias"]),
    ("grad_input", &["grad_output", "weight", "input_shape"]),
    ("grad_weight", &["input", "grad_output", "weight_shape"]),
    ("conv_transpose", &["input", "weight", "bias", "output_padding", "output_shape"]),
];

impl How {
    /// Only `auto` may fall back to the CPU path.
    pub(crate) fn options(&self) -> PlanOptions {
        let fallback = if self.device == DeviceChoice::Auto { Fallback::Cpu } else { Fallback::Error };
        PlanOptions { algorithm: self.algorithm, fallback, ..PlanOptions::default() }
    }

    /// The defaults of a command line.
    pub(crate) fn new(
        device: Option<&str>,
        algorithm: Option<&str>,
        dtype: Option<&str>,
    ) -> Result<Self, Failure> {
        let mut object = Object::default();
        for (name, text) in [("device", device), ("algorithm", algorithm), ("dtype", dtype)] {
            object.0.push((name.to_owned(), text.map_or(Value::Null, Value::from)));
        }
        Self::default().with(&object)
    }

    /// These, except for what the job says itself.
    fn with(&self, job: &Object) -> Result<Self, Failure> {
        let device = |text: &str| (!text.trim().is_empty()).then(|| DeviceChoice::from_name(text));
        let algorithms = Algorithm::NAMES.map(Algorithm::name).join(", ");
        let algorithm = |text: &str| match text {
            "auto" => Some(None),
            name => Algorithm::from_name(name).map(Some),
        };
        let dtype = |text: &str| match text {
            "auto" => Some(None),
            name => Element::from_name(name).map(Some),
        };
        Ok(Self {
            device: job
                .named("device", "auto, cpu, gpu or part of an adapter's name", device)?
                .unwrap_or_else(|| self.device.clone()),
            algorithm: job
                .named("algorithm", &format!("auto, {algorithms}"), algorithm)?
                .unwrap_or(self.algorithm),
            dtype: job.named("dtype", "auto, f32, f16, f64", dtype)?.unwrap_or(self.dtype),
        })
    }
}

impl Job {
    /// The job in one line of JSON.
    pub(crate) fn from_line(line: &[u8], defaults: &How) -> Result<Self, Failure> {
        let object = serde_json::from_slice(line.trim_ascii_end())
            .map_err(|e| Failure::bad_job(format!("no job: {e}")))?;
        Self::new(&object, defaults)
    }

    pub(crate) fn new(object: &Object, defaults: &How) -> Result<Self, Failure> {
        let op = object.text("op")?.ok_or_else(|| Failure::bad_job("`op` is missing"))?;
        let own = OPERATIONS.iter().find(|(name, _)| *name == op).map(|(_, own)| *own).ok_or_else(|| {
            let known = OPERATIONS.map(|(name, _)| name).join(", ");
            Failure::bad_job(format!("`op` is {}, wanted one of {known}", quoted(op)))
        })?;
        check_names(object, op, own)?;
        let padding = padding(object)?;
        let output = match (object.extents("output_shape")?, &padding) {
            (None, _) => TransposedOutput::Natural,
            (Some(shape), Some(_)) => TransposedOutput::Exact(shape),
            // Without a padding, an output shape is split as ONNX does.
            (Some(shape), None) => TransposedOutput::Split(shape),
        };
        let cells = object.per_axis("output_padding", 0, ErrorKind::Padding)?;
        // Of the operands the files tell later.
        let target = ConvTranspose {
            output_padding: cells.unwrap_or(PerAxis::Uniform(0)),
            output,
            ..ConvTranspose::default()
        };
        Ok(Self {
            operation: Operation::new(op, object, target)?,
            output: object.required_path("output")?,
            how: defaults.with(object)?,
            conv: conv(object, padding.unwrap_or_default())?,
            layout: object.named("layout", "ncx, nxc, cxn", Layout::from_name)?.unwrap_or_default(),
        })
    }
}

impl Operation {
    fn new(op: &str, object: &Object, target: ConvTranspose) -> Result<Self, Failure> {
        let file = |name| object.required_path(name);
        let shape = |name: &str| {
            let missing = || Failure::bad_job(format!("`{name}` is missing, wanted a list of extents"));
            object.extents(name)?.ok_or_else(missing)
        };
        Ok(match op {
            "grad_input" => Self::GradInput {
                grad_output: file("grad_output")?,
                weight: file("weight")?,
                input_shape: shape("input_shape")?,
            },
            "grad_weight" => Self::GradWeight {
                input: file("input")?,
                grad_output: file("grad_output")?,
                weight_shape: shape("weight_shape")?,
            },
            "conv_transpose" => Self::ConvTranspose {
                input: file("input")?,
                weight: file("weight")?,
                bias: object.path("bias")?,
                target: Box::new(target),
            },
            _ => Self::Conv { input: file("input")?, weight: file("weight")?, bias: object.path("bias")? },
        })
    }

    pub(crate) fn direction(&self) -> Direction {
        match self {
            Self::Conv { .. } => Direction::Forward,
            Self::GradInput { .. } | Self::ConvTranspose { .. } => Direction::GradInput,
            Self::GradWeight { .. } => Direction::GradWeight,
        }
    }
}

/// Refuses names that no job has, and values for those that another operation has.
fn check_names(object: &Object, op: &str, own: &[&str]) -> Result<(), Failure> {
    for (name, value) in &object.0 {
        let is = |names: &[&str]| names.contains(&name.as_str());
        if !is(COMMON) && !OPERATIONS.iter().any(|(_, others)| is(others)) {
            return Err(Failure::bad_job(format!("unknown field {}", quoted(name))));
        }
        if !is(COMMON) && !is(own) && !value.is_null() {
            return Err(Failure::bad_job(format!("`{op}` has no field `{name}`")));
        }
    }
    Ok(())
}

fn conv(object: &Object, padding: Padding) -> Result<Conv, Failure> {
    let one = PerAxis::Uniform(1);
    let boundaries = "zero, constant:V, wrap, reflect, mirror, nearest";
    let activations =
        "identity, relu, clamp:LOW:HIGH, leaky_relu[:SLOPE], sigmoid, tanh, silu, gelu, hard_swish";
    let conv = Conv {
        stride: object.per_axis("stride", 1, ErrorKind::Stride)?.unwrap_or(one.clone()),
        dilation: object.per_axis("dilation", 1, ErrorKind::Dilation)?.unwrap_or(one),
        padding,
        boundary: object.named("boundary", boundaries, Boundary::from_name)?.unwrap_or_default(),
        groups: object.count("groups", 1, ErrorKind::Groups)?.unwrap_or(1),
        flip: object.boolean("flip")?.unwrap_or(false),
        rounding: object.named("rounding", "floor, ceil", Rounding::from_name)?.unwrap_or_default(),
        ..Conv::default()
    };
    Ok(conv.activation(object.named("activation", activations, Activation::from_name)?.unwrap_or_default()))
}

/// A name, `p`, `[p, ..]` or `[[begin, end], ..]`.
fn padding(object: &Object) -> Result<Option<Padding>, Failure> {
    let Some(value) = object.get("padding") else { return Ok(None) };
    let names = "valid, full, half, same, same_upper, same_lower, same_centered";
    if value.is_string() {
        return object.named("padding", names, Padding::from_name);
    }
    if let Some(cells) = integer(value) {
        return begin(cells).map(|cells| Some(Padding::Symmetric(cells)));
    }
    let wrong = || wrong_type("padding", value, "a name, p, [p, ..] or [[begin, end], ..]");
    let pairs: Vec<[i128; 2]> = match (integers(value), value.as_array()) {
        (Some(cells), _) => cells.into_iter().map(|cells| [cells; 2]).collect(),
        (None, Some(items)) => {
            let pairs: Option<Vec<_>> = items.iter().map(integers).collect();
            let pair = |numbers: Vec<i128>| {
                let got = numbers.len();
                numbers.try_into().map_err(|_| {
                    let message = format!("`padding` of an axis has {got} numbers, wanted [begin, end]");
                    Failure::new(ErrorKind::Padding, message)
                })
            };
            pairs.ok_or_else(wrong)?.into_iter().map(pair).collect::<Result<_, _>>()?
        }
        (None, None) => return Err(wrong()),
    };
    // An end past i64 is past every limit: saturating keeps it refused as an overflow.
    let explicit = |[b, e]: [i128; 2]| Ok((begin(b)?, i64::try_from(e).unwrap_or(i64::MAX)));
    Ok(Some(Padding::Explicit(pairs.into_iter().map(explicit).collect::<Result<_, Failure>>()?)))
}

fn begin(cells: i128) -> Result<u64, Failure> {
    u64::try_from(cells).map_err(|_| {
        let message =
            format!("`padding` begins with {cells}, wanted at least 0 (only an end may be negative)");
        Failure::new(ErrorKind::Padding, message)
    })
}
