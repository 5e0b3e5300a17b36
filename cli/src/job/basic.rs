//! `conv`, `conv_transpose`, `grad_input`, `grad_weight`: the primitive on files of some layout.

use wgconv::operation::{Role, View};
use wgconv::{
    Activation, Boundary, Conv, ConvProblem, ConvTranspose, Direction, Element, ErrorKind, Layout,
    OperandError, Operation, PerAxis, Rounding, TransposedOutput,
};

use super::padding::padding;
use super::{Build, JobOperation};
use crate::failure::Failure;
use crate::json::Object;

/// What all four have.
macro_rules! attributes {
    ($($own:literal),*) => {
        &["stride", "dilation", "padding", "groups", "flip", "boundary", "rounding", "layout", "activation", $($own),*]
    };
}

pub(super) const OPERATIONS: &[JobOperation] = &[
    JobOperation {
        name: "conv",
        original: "ONNX Conv",
        operands: &["input", "weight"],
        optional: Some("bias"),
        attributes: attributes!(),
        parse: conv,
        example: ("{}", &[&[1, 2, 5, 5], &[2, 2, 3, 3], &[2]]),
    },
    JobOperation {
        name: "grad_input",
        original: "gradient of ONNX Conv",
        operands: &["grad_output", "weight"],
        optional: None,
        attributes: attributes!("input_shape"),
        parse: grad_input,
        example: (r#"{"input_shape": [1, 2, 5, 5]}"#, &[&[1, 2, 3, 3], &[2, 2, 3, 3]]),
    },
    JobOperation {
        name: "grad_weight",
        original: "gradient of ONNX Conv",
        operands: &["input", "grad_output"],
        optional: None,
        attributes: attributes!("weight_shape"),
        parse: grad_weight,
        example: (r#"{"weight_shape": [2, 2, 3, 3]}"#, &[&[1, 2, 5, 5], &[1, 2, 3, 3]]),
    },
    JobOperation {
        name: "conv_transpose",
        original: "ONNX ConvTranspose",
        operands: &["input", "weight"],
        optional: Some("bias"),
        attributes: attributes!("output_padding", "output_shape"),
        parse: conv_transpose,
        example: ("{}", &[&[1, 2, 3, 3], &[2, 2, 3, 3], &[2]]),
    },
];

/// How the axes of the files are the logical ones `[n, c, X..]` and `[c_out, c_in/groups, K..]`.
struct Order {
    layout: Layout,
    /// Otherwise the files' activations have no batch axis.
    batched: bool,
}

impl Order {
    /// Rank from the weight; all activations with a batch axis or, in `ncx`, all without.
    fn of(layout: &Layout, weight: &[usize], activations: &[(&str, &[usize])]) -> Result<Self, Failure> {
        let axes = weight.len();
        let fail = |message: String| Err(Failure::new(ErrorKind::Rank, message));
        if !(3..=5).contains(&axes) {
            return fail(format!("the weight has {axes} axes, wanted 3, 4 or 5: two and those of space"));
        }
        let all = |count: usize| activations.iter().all(|(_, shape)| shape.len() == count);
        let batched = all(axes);
        if batched || *layout == Layout::Ncx && all(axes - 1) {
            return Ok(Self { layout: layout.clone(), batched });
        }
        let got: Vec<_> = activations.iter().map(|(name, shape)| format!("{name} {}", shape.len())).collect();
        let unbatched = if *layout == Layout::Ncx {
            format!(" (or {} without a batch axis)", axes - 1)
        } else {
            " (only layout ncx may leave the batch axis out)".to_owned()
        };
        fail(format!("number of axes: weight {axes}, {}, wanted the same{unbatched}", got.join(", ")))
    }

    /// Files of weights in logical order; the channel axis is 1 in activations and in weights.
    fn weight(&self, file: &[usize]) -> (Vec<usize>, View) {
        let order = self.layout.order(file.len(), 1).unwrap_or_else(|| (0..file.len()).collect());
        let view = View::default().permuted(order).adjoint();
        (view.shape(file).unwrap_or_else(|| file.to_vec()), view)
    }

    /// Files of activations in logical order.
    fn activation(&self, file: &[usize]) -> (Vec<usize>, View) {
        if self.batched {
            return self.weight(file);
        }
        let shape = [&[1], file].concat();
        (shape.clone(), View::default().reshaped(file, shape))
    }
}

/// The fields of the convolution itself, and those of its files.
fn described(object: &Object, direction: Direction) -> Result<(Conv, Layout), Failure> {
    let one = PerAxis::Uniform(1);
    let boundaries = "zero, constant:V, wrap, reflect, mirror, nearest";
    let activations =
        "identity, relu, clamp:LOW:HIGH, leaky_relu[:SLOPE], sigmoid, tanh, silu, gelu, hard_swish";
    let layout = object.named("layout", "ncx, nxc, cxn", Layout::from_name)?.unwrap_or_default();
    let conv = Conv {
        stride: object.per_axis("stride", 1, ErrorKind::Stride)?.unwrap_or(one.clone()),
        dilation: object.per_axis("dilation", 1, ErrorKind::Dilation)?.unwrap_or(one),
        padding: padding(object)?.unwrap_or_default(),
        boundary: object.named("boundary", boundaries, Boundary::from_name)?.unwrap_or_default(),
        groups: object.count("groups", 1, ErrorKind::Groups)?.unwrap_or(1),
        flip: object.boolean("flip")?.unwrap_or(false),
        rounding: object.named("rounding", "floor, ceil", Rounding::from_name)?.unwrap_or_default(),
        layouts: layout.clone().into(),
        element: Element::F64,
        direction,
        ..Conv::default()
    };
    let activation = object.named("activation", activations, Activation::from_name)?.unwrap_or_default();
    Ok((conv.activation(activation), layout))
}

/// One step on operands of these roles, shapes in the files, and views in logical order; `result` is the logical result
/// as its file has it.
fn single(
    op: &str,
    problem: ConvProblem,
    operands: &[(&'static str, Role, &[usize], View)],
    result: View,
) -> Result<Operation, Failure> {
    let mut operation = Operation::builder(op);
    let arguments: Vec<_> = operands
        .iter()
        .map(|(name, role, file, view)| (*role, operation.operand(name, file).seen(view.clone())))
        .collect();
    let computed = operation.step(problem, None, arguments);
    Ok(operation.finish(computed.seen(result))?)
}

/// The logical result as its file has it: for the shapes of `problem` there is a view back from any file.
fn result_view(order: &Order, problem: &ConvProblem) -> View {
    let logical = problem.result().shape();
    if problem.direction() == Direction::GradWeight || order.batched {
        let axes = order.layout.order(logical.len(), 1).unwrap_or_else(|| (0..logical.len()).collect());
        return View::default().permuted(axes);
    }
    View::default().reshaped(logical.clone(), &logical[1..])
}

fn conv(object: &Object) -> Result<Build, Failure> {
    let (conv, layout) = described(object, Direction::Forward)?;
    Build::new(move |shapes| {
        let (input, weight) = (&shapes[0], &shapes[1]);
        let order = Order::of(&layout, weight, &[("input", input)])?;
        let ((x, x_view), (w, w_view)) = (order.activation(input), order.weight(weight));
        let problem = ConvProblem::new(&x, &w, &conv.clone().bias(shapes.len() > 2))?;
        let mut operands =
            vec![("input", Role::Input, &input[..], x_view), ("weight", Role::Weight, &weight[..], w_view)];
        operands.extend(shapes.get(2).map(|bias| ("bias", Role::Bias, &bias[..], View::default())));
        let result = result_view(&order, &problem);
        single("conv", problem, &operands, result)
    })
}

fn required_shape(object: &Object, name: &str) -> Result<Vec<usize>, Failure> {
    let missing = || Failure::bad_job(format!("`{name}` is missing, wanted a list of extents"));
    object.extents(name)?.ok_or_else(missing)
}

fn check_grad(problem: &ConvProblem, conv: &Conv, got: &[usize]) -> Result<(), Failure> {
    let fits = got == problem.output().shape();
    if fits { Ok(()) } else { Err(OperandError::grad_shape(problem, conv, got).into()) }
}

fn grad_input(object: &Object) -> Result<Build, Failure> {
    let input_shape = required_shape(object, "input_shape")?;
    let (conv, layout) = described(object, Direction::GradInput)?;
    Build::new(move |shapes| {
        let (grad, weight) = (&shapes[0], &shapes[1]);
        let order = Order::of(&layout, weight, &[("input_shape", &input_shape), ("grad_output", grad)])?;
        let ((x, _), (w, w_view)) = (order.activation(&input_shape), order.weight(weight));
        let (y, y_view) = order.activation(grad);
        let problem = ConvProblem::new(&x, &w, &conv)?;
        check_grad(&problem, &conv, &y)?;
        let operands = [
            ("grad_output", Role::GradOutput, &grad[..], y_view),
            ("weight", Role::Weight, &weight[..], w_view),
        ];
        let result = result_view(&order, &problem);
        single("grad_input", problem, &operands, result)
    })
}

fn grad_weight(object: &Object) -> Result<Build, Failure> {
    let weight_shape = required_shape(object, "weight_shape")?;
    let (conv, layout) = described(object, Direction::GradWeight)?;
    Build::new(move |shapes| {
        let (input, grad) = (&shapes[0], &shapes[1]);
        let order = Order::of(&layout, &weight_shape, &[("input", input), ("grad_output", grad)])?;
        let ((x, x_view), (y, y_view)) = (order.activation(input), order.activation(grad));
        let (w, _) = order.weight(&weight_shape);
        let problem = ConvProblem::new(&x, &w, &conv)?;
        check_grad(&problem, &conv, &y)?;
        let operands = [
            ("input", Role::Input, &input[..], x_view),
            ("grad_output", Role::GradOutput, &grad[..], y_view),
        ];
        let result = result_view(&order, &problem);
        single("grad_weight", problem, &operands, result)
    })
}

fn conv_transpose(object: &Object) -> Result<Build, Failure> {
    let output = match (object.extents("output_shape")?, padding(object)?) {
        (None, _) => TransposedOutput::Natural,
        (Some(shape), Some(_)) => TransposedOutput::Exact(shape),
        // Without a padding, an output shape is split as ONNX does.
        (Some(shape), None) => TransposedOutput::Split(shape),
    };
    let cells = object.per_axis("output_padding", 0, ErrorKind::Padding)?;
    let output_padding = cells.unwrap_or(PerAxis::Uniform(0));
    let (conv, layout) = described(object, Direction::GradInput)?;
    Build::new(move |shapes| {
        let (input, weight) = (&shapes[0], &shapes[1]);
        let order = Order::of(&layout, weight, &[("input", input)])?;
        let ((y, y_view), (w, w_view)) = (order.activation(input), order.weight(weight));
        let conv = conv.clone().bias(shapes.len() > 2);
        let how = ConvTranspose { conv, output_padding: output_padding.clone(), output: output.clone() };
        let problem = ConvProblem::transposed(&y, &w, &how)?;
        let mut operands = vec![
            ("input", Role::GradOutput, &input[..], y_view),
            ("weight", Role::Weight, &weight[..], w_view),
        ];
        operands.extend(shapes.get(2).map(|bias| ("bias", Role::Bias, &bias[..], View::default())));
        let result = result_view(&order, &problem);
        single("conv_transpose", problem, &operands, result)
    })
}
