//! The files of a job, and the convolution that their shapes and the job make.

use std::path::{Path, PathBuf};

use wgconv::half::f16;
use wgconv::ndarray::{Array1, ArrayD, Axis, Ix1};
use wgconv::npy::{self, Limits, NpyArray, NpyElement, NpyError};
use wgconv::{
    Conv, ConvProblem, ConvTranspose, Direction, Element, ErrorKind, Layout, OperandError, Padding, Scalar,
};

use crate::failure::Failure;
use crate::job::{Job, Operation};

/// An element type that a job can be computed in.
pub(crate) trait Number: Scalar + NpyElement + Into<f64> {
    /// The array in this type. Integers that it does not hold exactly are refused.
    fn from_npy(array: NpyArray) -> Result<ArrayD<Self>, NpyError>;
}

impl Number for f32 {
    fn from_npy(array: NpyArray) -> Result<ArrayD<Self>, NpyError> {
        if let NpyArray::F32(array) = array { Ok(array) } else { array.to_f32() }
    }
}

impl Number for f64 {
    fn from_npy(array: NpyArray) -> Result<ArrayD<Self>, NpyError> {
        if let NpyArray::F64(array) = array { Ok(array) } else { array.to_f64() }
    }
}

impl Number for f16 {
    fn from_npy(array: NpyArray) -> Result<ArrayD<Self>, NpyError> {
        if let NpyArray::F16(array) = array { Ok(array) } else { array.to_f16() }
    }
}

/// An array with the file it came from.
#[derive(Debug)]
struct Read {
    path: PathBuf,
    array: NpyArray,
}

impl Read {
    fn new(path: &Path, limits: &Limits) -> Result<Self, Failure> {
        Ok(Self { path: path.to_owned(), array: npy::read(path, limits)? })
    }

    fn shape(&self) -> Vec<usize> {
        self.array.shape().to_vec()
    }

    fn typed<T: Number>(self) -> Result<ArrayD<T>, Failure> {
        let path = self.path;
        T::from_npy(self.array).map_err(|e| e.at(path).into())
    }
}

/// How the axes of the files are the logical ones `[n, c, X..]` and `[c_out, c_in/groups, K..]`.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    layout: Layout,
    /// Otherwise the files' activations have no batch axis.
    batched: bool,
}

impl Order {
    /// Logical axes in the files' order; the channel axis is 1 in activations and in weights.
    fn axes(&self, count: usize) -> Vec<usize> {
        self.layout.order(count, 1).unwrap_or_else(|| (0..count).collect())
    }

    fn weight_shape(&self, file: &[usize]) -> Vec<usize> {
        let mut shape = vec![0; file.len()];
        for (at, axis) in self.axes(file.len()).into_iter().enumerate() {
            shape[axis] = file[at];
        }
        shape
    }

    fn activation_shape(&self, file: &[usize]) -> Vec<usize> {
        if self.batched { self.weight_shape(file) } else { [&[1], file].concat() }
    }

    fn weight<T>(&self, file: ArrayD<T>) -> ArrayD<T> {
        let axes = self.axes(file.ndim());
        let places = (0..axes.len()).map(|axis| axes.iter().position(|&a| a == axis).unwrap_or(axis));
        file.permuted_axes(places.collect::<Vec<_>>())
    }

    fn activation<T>(&self, file: ArrayD<T>) -> ArrayD<T> {
        if self.batched { self.weight(file) } else { file.insert_axis(Axis(0)) }
    }

    /// The result as it is written.
    pub(crate) fn file<T>(&self, result: ArrayD<T>, direction: Direction) -> ArrayD<T> {
        if direction != Direction::GradWeight && !self.batched {
            return result.index_axis_move(Axis(0), 0);
        }
        let axes = self.axes(result.ndim());
        result.permuted_axes(axes)
    }
}

/// The files of a job with the convolution that they are the operands of.
#[derive(Debug)]
pub(crate) struct Loaded {
    input: Option<Read>,
    weight: Option<Read>,
    grad_output: Option<Read>,
    bias: Option<Read>,
    pub(crate) order: Order,
    /// Logical shapes of the forward convolution.
    x: Vec<usize>,
    w: Vec<usize>,
    conv: Conv,
}

/// The operands in logical order.
#[derive(Debug)]
pub(crate) struct Arrays<T> {
    pub(crate) input: Option<ArrayD<T>>,
    pub(crate) weight: Option<ArrayD<T>>,
    pub(crate) grad_output: Option<ArrayD<T>>,
    pub(crate) bias: Option<Array1<T>>,
}

impl Loaded {
    /// Reads the files. What the shapes alone tell is checked here, the rest by [`Self::problem`].
    pub(crate) fn new(job: &Job, limits: &Limits) -> Result<Self, Failure> {
        let read = |path: &PathBuf| Read::new(path, limits);
        let optional = |path: &Option<PathBuf>| path.as_ref().map(read).transpose();
        let (input, weight, grad_output, bias) = match &job.operation {
            Operation::Conv { input, weight, bias }
            | Operation::ConvTranspose { input, weight, bias, .. } => {
                (Some(read(input)?), Some(read(weight)?), None, optional(bias)?)
            }
            Operation::GradInput { grad_output, weight, .. } => {
                (None, Some(read(weight)?), Some(read(grad_output)?), None)
            }
            Operation::GradWeight { input, grad_output, .. } => {
                (Some(read(input)?), None, Some(read(grad_output)?), None)
            }
        };
        let given = |read: &Option<Read>| read.as_ref().map_or(Vec::new(), Read::shape);
        let direction = job.operation.direction();
        let mut conv = job.conv.clone().layouts(job.layout.clone()).bias(bias.is_some()).direction(direction);
        let order;
        let (x, w) = match &job.operation {
            Operation::Conv { .. } => {
                let weight = given(&weight);
                order = order_of(&job.layout, &weight, &[("input", &given(&input))])?;
                (order.activation_shape(&given(&input)), order.weight_shape(&weight))
            }
            Operation::GradInput { input_shape, .. } => {
                let (weight, grad) = (given(&weight), given(&grad_output));
                order =
                    order_of(&job.layout, &weight, &[("input_shape", input_shape), ("grad_output", &grad)])?;
                (order.activation_shape(input_shape), order.weight_shape(&weight))
            }
            Operation::GradWeight { weight_shape, .. } => {
                let (input, grad) = (given(&input), given(&grad_output));
                order = order_of(&job.layout, weight_shape, &[("input", &input), ("grad_output", &grad)])?;
                (order.activation_shape(&input), order.weight_shape(weight_shape))
            }
            Operation::ConvTranspose { target, .. } => {
                let weight = given(&weight);
                order = order_of(&job.layout, &weight, &[("input", &given(&input))])?;
                let (y, w) = (order.activation_shape(&given(&input)), order.weight_shape(&weight));
                let how = ConvTranspose { conv: conv.clone(), ..(**target).clone() };
                let problem = ConvProblem::transposed(&y, &w, &how)?;
                let pads = problem.axes().iter().map(|axis| (axis.pad_begin, axis.pad_end));
                conv.padding = Padding::Explicit(pads.collect());
                (problem.input().shape(), w)
            }
        };
        // What the job calls the input of a transposed convolution is the gradient of an output.
        let transposed = matches!(job.operation, Operation::ConvTranspose { .. });
        let (input, grad_output) = if transposed { (None, input) } else { (input, grad_output) };
        Ok(Self { input, weight, grad_output, bias, order, x, w, conv })
    }

    /// Whether a file holds double precision.
    pub(crate) fn is_double(&self) -> bool {
        let files = [&self.input, &self.weight, &self.grad_output, &self.bias];
        files.into_iter().flatten().any(|read| matches!(read.array, NpyArray::F64(_)))
    }

    /// The convolution in elements of `element`; all operands that the job names fit it.
    pub(crate) fn problem(&self, element: Element) -> Result<ConvProblem, Failure> {
        let problem = ConvProblem::new(&self.x, &self.w, &self.conv.clone().element(element))?;
        if let Some(grad) = &self.grad_output {
            let got = self.order.activation_shape(&grad.shape());
            if got != problem.output().shape() {
                return Err(OperandError::grad_shape(&problem, &self.conv, &got).into());
            }
        }
        if let Some(bias) = &self.bias {
            let (wanted, got) = (vec![problem.bias_shape()], bias.shape());
            if wanted != got {
                return Err(OperandError::Shape { role: "bias", wanted, got }.into());
            }
        }
        Ok(problem)
    }

    /// The operands converted, and the order in which the result is written.
    pub(crate) fn arrays<T: Number>(self) -> Result<(Arrays<T>, Order), Failure> {
        let Self { input, weight, grad_output, bias, order, .. } = self;
        let activation = |read: Option<Read>| -> Result<_, Failure> {
            read.map(|read| Ok(order.activation(read.typed()?))).transpose()
        };
        let arrays = Arrays {
            input: activation(input)?,
            weight: weight.map(|read| read.typed().map(|array| order.weight(array))).transpose()?,
            grad_output: activation(grad_output)?,
            bias: bias.map(vector).transpose()?,
        };
        Ok((arrays, order))
    }
}

fn vector<T: Number>(bias: Read) -> Result<Array1<T>, Failure> {
    let got = bias.shape();
    let shape = |_| OperandError::Shape { role: "bias", wanted: vec![got.iter().product()], got };
    Ok(bias.typed::<T>()?.into_dimensionality::<Ix1>().map_err(shape)?)
}

/// Rank from the weight; all activations with a batch axis or, in `ncx`, all without.
fn order_of(layout: &Layout, weight: &[usize], activations: &[(&str, &[usize])]) -> Result<Order, Failure> {
    let axes = weight.len();
    let fail = |message: String| Err(Failure::new(ErrorKind::Rank, message));
    if !(3..=5).contains(&axes) {
        return fail(format!("the weight has {axes} axes, wanted 3, 4 or 5: two and those of space"));
    }
    let all = |count: usize| activations.iter().all(|(_, shape)| shape.len() == count);
    let batched = all(axes);
    if batched || *layout == Layout::Ncx && all(axes - 1) {
        return Ok(Order { layout: layout.clone(), batched });
    }
    let got: Vec<_> = activations.iter().map(|(name, shape)| format!("{name} {}", shape.len())).collect();
    let unbatched = if *layout == Layout::Ncx {
        format!(" (or {} without a batch axis)", axes - 1)
    } else {
        " (only layout ncx may leave the batch axis out)".to_owned()
    };
    fail(format!("number of axes: weight {axes}, {}, wanted the same{unbatched}", got.join(", ")))
}
