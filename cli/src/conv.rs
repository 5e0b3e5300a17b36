//! `wgconv conv` and the other single operations: a job whose fields are options.
#![allow(clippy::doc_markdown, reason = "clap prints these comments as help, where backticks would show")]

use serde_json::{Map, Value};

use crate::execute::{Devices, execute};
use crate::failure::Failure;
use crate::job::{How, Job};
use crate::json::Object;
use crate::run::Defaults;
use crate::{Outcome, output, unusable};

/// What every operation takes.
#[derive(Debug, clap::Args)]
struct Common {
    /// File to write the result to
    #[arg(long)]
    output: String,
    /// Step of the window: 2, or one per axis, 2,1
    #[arg(long, allow_negative_numbers = true)]
    stride: Option<String>,
    /// Distance between taps: 2, or one per axis, 2,1
    #[arg(long, allow_negative_numbers = true)]
    dilation: Option<String>,
    /// valid, full, half, same, same_upper, same_lower, same_centered; cells on both sides, 1 or 1,2;
    /// begin:end per axis, 1:2,0:-1
    #[arg(long, allow_negative_numbers = true)]
    padding: Option<String>,
    /// Channel groups
    #[arg(long, allow_negative_numbers = true)]
    groups: Option<String>,
    /// True convolution: flip the kernel
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    flip: Option<String>,
    /// What lies outside the input: zero, constant:V, wrap, reflect, mirror or nearest
    #[arg(long)]
    boundary: Option<String>,
    /// Rounding of the output extent: floor or ceil
    #[arg(long)]
    rounding: Option<String>,
    /// Order of the axes in the files: ncx, nxc or cxn
    #[arg(long)]
    layout: Option<String>,
    /// identity, relu, clamp:LOW:HIGH, leaky_relu[:SLOPE], sigmoid, tanh, silu, gelu or hard_swish
    #[arg(long)]
    activation: Option<String>,
    #[command(flatten)]
    defaults: Defaults,
}

/// Options of `conv`.
#[derive(Debug, clap::Args)]
pub(crate) struct ConvOptions {
    /// .npy file of the input, [n, c_in, X..] in the layout's order; the batch axis may be left out in ncx
    #[arg(long)]
    input: String,
    /// .npy file of the weight, [c_out, c_in/groups, K..] in the layout's order
    #[arg(long)]
    weight: String,
    /// .npy file of the bias, one number per output channel
    #[arg(long)]
    bias: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// Options of `conv-transpose`.
#[derive(Debug, clap::Args)]
pub(crate) struct TransposeOptions {
    /// .npy file of the input, [n, c_in, X..] in the layout's order; the batch axis may be left out in ncx
    #[arg(long)]
    input: String,
    /// .npy file of the weight, [c_in, c_out/groups, K..] in the layout's order
    #[arg(long)]
    weight: String,
    /// .npy file of the bias, one number per output channel
    #[arg(long)]
    bias: Option<String>,
    /// Cells added at the end: 1, or one per axis, 1,0
    #[arg(long, alias = "output_padding", allow_negative_numbers = true)]
    output_padding: Option<String>,
    /// Spatial extents of the output, 8,8
    #[arg(long, alias = "output_shape")]
    output_shape: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// Options of `grad-input`.
#[derive(Debug, clap::Args)]
pub(crate) struct GradInputOptions {
    /// .npy file of the gradient of the output
    #[arg(long, alias = "grad_output")]
    grad_output: String,
    /// .npy file of the weight
    #[arg(long)]
    weight: String,
    /// Shape of the input, 1,3,8,8
    #[arg(long, alias = "input_shape")]
    input_shape: String,
    #[command(flatten)]
    common: Common,
}

/// Options of `grad-weight`.
#[derive(Debug, clap::Args)]
pub(crate) struct GradWeightOptions {
    /// .npy file of the input
    #[arg(long)]
    input: String,
    /// .npy file of the gradient of the output
    #[arg(long, alias = "grad_output")]
    grad_output: String,
    /// Shape of the weight, 4,3,3,3
    #[arg(long, alias = "weight_shape")]
    weight_shape: String,
    #[command(flatten)]
    common: Common,
}

/// The options as the fields of a job.
#[derive(Debug)]
pub(crate) struct Request {
    fields: Map<String, Value>,
    defaults: Defaults,
}

fn path(text: String) -> Value {
    Value::String(text)
}

/// A word, in which `-` stands for `_` up to its first parameter: `leaky-relu:-0.1`.
fn word(text: &str) -> Value {
    let (name, parameters) = text.split_at(text.find(':').unwrap_or(text.len()));
    Value::String(name.replace('-', "_") + parameters)
}

/// A number, `2,1`, `1:2,0:-1`, or the same in JSON. What is none of them stays the text that it is,
/// for the job format to refuse.
fn numbers(text: &str, always_list: bool) -> Value {
    let number = |part: &str| serde_json::from_str(part).unwrap_or_else(|_| Value::from(part));
    if text.starts_with('[') {
        return number(text);
    }
    let item = |part: &str| match part.split_once(':') {
        Some(_) => part.split(':').map(|p| number(p.trim())).collect(),
        None => number(part.trim()),
    };
    if !always_list && !text.contains([',', ':']) {
        return number(text);
    }
    text.split(',').map(item).collect()
}

fn padding(text: &str) -> Value {
    if text.starts_with(|c: char| c.is_ascii_alphabetic()) { word(text) } else { numbers(text, false) }
}

impl Request {
    fn new(own: Vec<(&str, Option<Value>)>, common: Common) -> Self {
        let Common { output, stride, dilation, padding: pad, groups, flip, boundary, .. } = &common;
        let list = |text: &Option<String>| text.as_ref().map(|text| numbers(text, false));
        let name = |text: &Option<String>| text.as_ref().map(|text| word(text));
        let shared = vec![
            ("output", Some(path(output.clone()))),
            ("stride", list(stride)),
            ("dilation", list(dilation)),
            ("padding", pad.as_ref().map(|text| padding(text))),
            ("groups", list(groups)),
            ("flip", list(flip)),
            ("boundary", name(boundary)),
            ("rounding", name(&common.rounding)),
            ("layout", name(&common.layout)),
            ("activation", name(&common.activation)),
        ];
        let given = |(name, value): (&str, Option<Value>)| value.map(|value| (name.to_owned(), value));
        let fields = own.into_iter().chain(shared).filter_map(given).collect();
        Self { fields, defaults: common.defaults }
    }

    fn job(self, op: &str, how: &How) -> Result<Job, Failure> {
        let mut fields = vec![("op".to_owned(), Value::from(op))];
        fields.extend(self.fields);
        Job::new(&Object(fields), how)
    }
}

impl From<ConvOptions> for Request {
    fn from(o: ConvOptions) -> Self {
        let own = [("input", Some(o.input)), ("weight", Some(o.weight)), ("bias", o.bias)];
        Self::new(own.map(|(name, file)| (name, file.map(path))).to_vec(), o.common)
    }
}

impl From<TransposeOptions> for Request {
    fn from(o: TransposeOptions) -> Self {
        let files = [("input", Some(o.input)), ("weight", Some(o.weight)), ("bias", o.bias)];
        let mut own = files.map(|(name, file)| (name, file.map(path))).to_vec();
        own.push(("output_padding", o.output_padding.map(|text| numbers(&text, false))));
        own.push(("output_shape", o.output_shape.map(|text| numbers(&text, true))));
        Self::new(own, o.common)
    }
}

impl From<GradInputOptions> for Request {
    fn from(o: GradInputOptions) -> Self {
        let own = [
            ("grad_output", path(o.grad_output)),
            ("weight", path(o.weight)),
            ("input_shape", numbers(&o.input_shape, true)),
        ];
        Self::new(own.map(|(name, value)| (name, Some(value))).to_vec(), o.common)
    }
}

impl From<GradWeightOptions> for Request {
    fn from(o: GradWeightOptions) -> Self {
        let own = [
            ("input", path(o.input)),
            ("grad_output", path(o.grad_output)),
            ("weight_shape", numbers(&o.weight_shape, true)),
        ];
        Self::new(own.map(|(name, value)| (name, Some(value))).to_vec(), o.common)
    }
}

/// Runs one operation. What a job file calls a bad job is here an unusable argument.
pub(crate) fn run(op: &str, request: Request) -> Result<Outcome, Failure> {
    let limits = request.defaults.limits();
    let job = request.defaults.how().and_then(|how| request.job(op, &how));
    let job = match job {
        Err(failure) if failure.kind == wgconv::ErrorKind::BadJob => return Ok(unusable(&failure.message)),
        job => job?,
    };
    let done = execute(&job, &mut Devices::default(), &limits)?;
    let (algorithm, device, shape, ms) = (done.algorithm, done.device, done.output_shape, done.ms);
    output::say(&format!("{algorithm} on {device}: {shape:?} in {ms} ms"))?;
    Ok(Outcome::Succeeded)
}
