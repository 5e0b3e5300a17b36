//! What a plan runs on: host views, device tensors or prepared weights, of a known element type.

use std::fmt;

use bytemuck::Pod;
use half::f16;
use ndarray::{Array, ArrayBase, ArrayD, ArrayView, ArrayView1, ArrayViewD, Data, Dimension};

use super::{PreparedWeights, Tensor};
use crate::problem::{Conv, ConvProblem, Direction, Element, PerRole, Role, inputs_in_words};

/// An operand that does not belong to the plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperandError {
    /// The direction or the epilogue needs it.
    #[error("the {role} is missing")]
    Missing {
        /// Which operand.
        role: &'static str,
    },
    /// Neither the direction nor the epilogue has a use for it.
    #[error("the {role} has no use in this plan")]
    Superfluous {
        /// Which operand.
        role: &'static str,
    },
    /// Its extents are not the problem's.
    #[error("the {role} has shape {got:?}, wanted {wanted:?}")]
    Shape {
        /// Which operand.
        role: &'static str,
        /// By the problem.
        wanted: Vec<usize>,
        /// What came.
        got: Vec<usize>,
    },
    /// The gradient of the output is not of the shape that the input's leads to.
    #[error("the grad_output has shape {got:?}, wanted {wanted:?} for this input; {}", inputs_in_words(inputs.as_deref()))]
    GradShape {
        /// By the input's shape.
        wanted: Vec<usize>,
        /// What came.
        got: Vec<usize>,
        /// Smallest and largest spatial extents of inputs that lead to what came, if there are any.
        inputs: Option<Vec<(u64, u64)>>,
    },
    /// Its element type is not the plan's.
    #[error("the {role} has elements of {}, the plan of {}", got.name(), wanted.name())]
    Element {
        /// Which operand.
        role: &'static str,
        /// The plan's.
        wanted: Element,
        /// What came.
        got: Element,
    },
    /// A tensor's strides are not those of the plan's layout; `Device::upload_as` takes a layout.
    #[error("the {role} lies with strides {got:?}, the plan wants {wanted:?}")]
    Layout {
        /// Which operand.
        role: &'static str,
        /// The plan's strides in elements.
        wanted: Vec<u64>,
        /// The tensor's.
        got: Vec<u64>,
    },
    /// It is on another device than the plan.
    #[error("the {role} is on another device than the plan")]
    OtherDevice {
        /// Which operand.
        role: &'static str,
    },
    /// It holds an infinity or a NaN, and `PlanOptions::check_finite` was asked for.
    #[error("the {role} is not finite at {at:?}")]
    NonFinite {
        /// Which operand.
        role: &'static str,
        /// Its first such element.
        at: Vec<usize>,
    },
    /// The weights were prepared by another plan.
    #[error("the weights were prepared by another plan")]
    OtherPlan,
    /// The gradient of the weight has no weight to prepare.
    #[error("a plan for the gradient of the weight prepares no weights")]
    NothingToPrepare,
}

impl OperandError {
    /// A gradient of the shape `got`, which is not that of `problem`'s output under `conv`.
    #[doc(hidden)]
    pub fn grad_shape(problem: &ConvProblem, conv: &Conv, got: &[usize]) -> Self {
        let wanted = problem.output().shape();
        if problem.direction() != Direction::GradInput || got.len() != wanted.len() {
            return Self::Shape { role: "grad_output", wanted, got: got.to_vec() };
        }
        let weight = problem.weight().shape();
        let inputs = conv.input_extents(&weight[weight.len() - problem.rank()..], &got[2..]);
        Self::GradShape { wanted, got: got.to_vec(), inputs }
    }
}

mod sealed {
    pub trait SealedOperand {}
    impl SealedOperand for f32 {}
    impl SealedOperand for f64 {}
    impl SealedOperand for half::f16 {}
    impl<T: super::Scalar, D: super::Dimension> SealedOperand for super::ArrayView<'_, T, D> {}
    impl SealedOperand for &super::Tensor {}
}

/// A type of host elements: `f32`, `f64` or [`half::f16`].
pub trait Scalar: sealed::SealedOperand + Pod + PartialEq + Default + Send + Sync + fmt::Debug {
    /// Its name among the elements.
    const ELEMENT: Element;
    #[doc(hidden)]
    fn from_f64(value: f64) -> Self;

    #[doc(hidden)]
    fn host_view<'a>(view: ArrayViewD<'a, Self>) -> HostView<'a>;

    #[doc(hidden)]
    fn pick(view: HostView<'_>) -> Option<ArrayViewD<'_, Self>>;

    #[doc(hidden)]
    fn into_host(array: ArrayD<Self>) -> HostArray;

    #[doc(hidden)]
    fn from_host(array: HostArray) -> Option<ArrayD<Self>>;
}

/// A host view of any element type.
#[derive(Clone, Debug)]
pub enum HostView<'a> {
    /// Of `f32`.
    F32(ArrayViewD<'a, f32>),
    /// Of `f64`.
    F64(ArrayViewD<'a, f64>),
    /// Of `f16`.
    F16(ArrayViewD<'a, f16>),
}

/// A host array of any element type.
#[derive(Clone, Debug, PartialEq)]
pub enum HostArray {
    /// Of `f32`.
    F32(ArrayD<f32>),
    /// Of `f64`.
    F64(ArrayD<f64>),
    /// Of `f16`.
    F16(ArrayD<f16>),
}

/// The same for an array or a view of each element.
macro_rules! by_element {
    ($of:ident, $host:expr, $it:ident => $then:expr) => {
        match $host {
            $of::F32($it) => $then,
            $of::F64($it) => $then,
            $of::F16($it) => $then,
        }
    };
}
pub(super) use by_element;

impl HostView<'_> {
    pub(super) fn to_owned(&self) -> HostArray {
        by_element!(Self, self, view => Scalar::into_host(view.to_owned()))
    }

    pub(super) fn element(&self) -> Element {
        fn of<T: Scalar>(_: &ArrayViewD<'_, T>) -> Element {
            T::ELEMENT
        }
        by_element!(Self, self, view => of(view))
    }

    pub(super) fn shape(&self) -> &[usize] {
        by_element!(Self, self, view => view.shape())
    }
}

macro_rules! scalar {
    ($ty:ty, $variant:ident, $from:expr) => {
        impl Scalar for $ty {
            const ELEMENT: Element = Element::$variant;

            #[allow(clippy::cast_possible_truncation, reason = "rounds to the nearest")]
            fn from_f64(value: f64) -> Self {
                $from(value)
            }

            fn host_view<'a>(view: ArrayViewD<'a, Self>) -> HostView<'a> {
                HostView::$variant(view)
            }

            fn pick(view: HostView<'_>) -> Option<ArrayViewD<'_, Self>> {
                if let HostView::$variant(view) = view { Some(view) } else { None }
            }

            fn into_host(array: ArrayD<Self>) -> HostArray {
                HostArray::$variant(array)
            }

            fn from_host(array: HostArray) -> Option<ArrayD<Self>> {
                if let HostArray::$variant(array) = array { Some(array) } else { None }
            }
        }
    };
}

scalar!(f32, F32, |value: f64| value as f32);
scalar!(f64, F64, |value: f64| value);
scalar!(f16, F16, f16::from_f64);

/// What an operand of [`Operands`] may be: an ndarray view, or `&Tensor`.
pub trait Operand<'a>: sealed::SealedOperand + Sized {
    /// The same for a bias.
    type Vector: fmt::Debug;

    #[doc(hidden)]
    fn absent() -> Self;

    #[doc(hidden)]
    fn no_vector() -> Self::Vector;

    #[doc(hidden)]
    fn place(self) -> OperandPlace<'a>;

    #[doc(hidden)]
    fn place_of_vector(vector: Self::Vector) -> OperandPlace<'a>;
}

/// Where an operand of a run is.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub enum OperandPlace<'a> {
    Absent,
    Host(HostView<'a>),
    Device(&'a Tensor),
    /// Of the weight alone.
    Prepared(&'a PreparedWeights),
}

impl<'a, T: Scalar, D: Dimension> Operand<'a> for ArrayView<'a, T, D> {
    type Vector = ArrayView1<'a, T>;

    fn absent() -> Self {
        nothing()
    }

    fn no_vector() -> Self::Vector {
        nothing()
    }

    fn place(self) -> OperandPlace<'a> {
        host_place(self)
    }

    fn place_of_vector(vector: Self::Vector) -> OperandPlace<'a> {
        host_place(vector)
    }
}

impl<'a> Operand<'a> for &'a Tensor {
    type Vector = &'a Tensor;

    fn absent() -> Self {
        &Tensor::ABSENT
    }

    fn no_vector() -> Self {
        &Tensor::ABSENT
    }

    fn place(self) -> OperandPlace<'a> {
        if self.is_absent() { OperandPlace::Absent } else { OperandPlace::Device(self) }
    }

    fn place_of_vector(vector: Self) -> OperandPlace<'a> {
        vector.place()
    }
}

/// The view that stands for "no operand": every extent is 0, which no operand's are (a spatial extent
/// of 0 is refused when the problem is made).
fn nothing<'a, T: Pod, D: Dimension>() -> ArrayView<'a, T, D> {
    static ZERO: [u64; 1] = [0];
    let shape = D::zeros(D::NDIM.unwrap_or(1));
    // An array without axes has one element, any other of this shape none.
    let elements: &[T] = bytemuck::cast_slice(&ZERO);
    let elements = &elements[..shape.size()];
    // As many elements as the shape has, so this cannot fail.
    ArrayView::from_shape(shape, elements).expect("elements of the shape")
}

fn host_place<'a, T: Scalar, D: Dimension>(view: ArrayView<'a, T, D>) -> OperandPlace<'a> {
    let absent = view.shape().iter().all(|&extent| extent == 0);
    if absent { OperandPlace::Absent } else { OperandPlace::Host(T::host_view(view.into_dyn())) }
}

/// The weights of a run: a view, a tensor on the device, or what [`Plan::prepare`](super::Plan::prepare) made.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Weight<'a> {
    /// None: for the gradient of the weight.
    #[default]
    Absent,
    /// On the host; prepared anew in every run.
    View(HostView<'a>),
    /// On the device, in the plan's layout.
    Tensor(&'a Tensor),
    /// Prepared once.
    Prepared(&'a PreparedWeights),
}

impl<'a> Weight<'a> {
    fn place(self) -> OperandPlace<'a> {
        match self {
            Self::Absent => OperandPlace::Absent,
            Self::View(view) => OperandPlace::Host(view),
            Self::Tensor(tensor) => tensor.place(),
            Self::Prepared(weights) => OperandPlace::Prepared(weights),
        }
    }
}

impl<'a, T: Scalar, D: Dimension> From<ArrayView<'a, T, D>> for Weight<'a> {
    fn from(view: ArrayView<'a, T, D>) -> Self {
        Self::View(T::host_view(view.into_dyn()))
    }
}

impl<'a, T: Scalar, S: Data<Elem = T>, D: Dimension> From<&'a ArrayBase<S, D>> for Weight<'a> {
    fn from(array: &'a ArrayBase<S, D>) -> Self {
        array.view().into()
    }
}

impl<'a> From<&'a Tensor> for Weight<'a> {
    fn from(tensor: &'a Tensor) -> Self {
        Self::Tensor(tensor)
    }
}

impl<'a> From<&'a PreparedWeights> for Weight<'a> {
    fn from(weights: &'a PreparedWeights) -> Self {
        Self::Prepared(weights)
    }
}

/// The operands of one run, in logical order (`[n, c, X..]`), with any strides. The direction and the
/// epilogue say which are required; the others stay as `..Default::default()` leaves them:
///
/// | direction | `input` | `weight` | `grad_output` |
/// |---|---|---|---|
/// | `Forward` | yes | yes | |
/// | `GradInput` | | yes | yes |
/// | `GradWeight` | yes | | yes |
#[derive(Clone, Debug)]
pub struct Operands<'a, V: Operand<'a>> {
    /// `x: [n, c_in, X..]`
    pub input: V,
    /// `w: [c_out, c_in/groups, K..]`
    pub weight: Weight<'a>,
    /// The gradient of `y: [n, c_out, Y..]`
    pub grad_output: V,
    /// One number per channel of the result.
    pub bias: V::Vector,
    /// Added to the result, of its shape.
    pub residual: V,
}

impl<'a, V: Operand<'a>> Default for Operands<'a, V> {
    /// No operand at all.
    fn default() -> Self {
        Self {
            input: V::absent(),
            weight: Weight::Absent,
            grad_output: V::absent(),
            bias: V::no_vector(),
            residual: V::absent(),
        }
    }
}

impl<'a, V: Operand<'a>> Operands<'a, V> {
    pub(super) fn places(self) -> PerRole<OperandPlace<'a>> {
        PerRole {
            input: self.input.place(),
            weight: self.weight.place(),
            grad_output: self.grad_output.place(),
            bias: V::place_of_vector(self.bias),
            residual: self.residual.place(),
        }
    }
}

impl<'a, T: Scalar> Operands<'a, ArrayViewD<'a, T>> {
    /// The same, with `array` in this role.
    ///
    /// # Errors
    ///
    /// [`OperandError::Shape`] for a bias of other than one axis.
    pub fn with(mut self, role: Role, array: ArrayViewD<'a, T>) -> Result<Self, OperandError> {
        match role {
            Role::Input => self.input = array,
            Role::Weight => self.weight = array.into(),
            Role::GradOutput => self.grad_output = array,
            Role::Residual => self.residual = array,
            Role::Bias => {
                let (wanted, got) = (vec![array.len()], array.shape().to_vec());
                let line = array.into_dimensionality();
                self.bias = line.map_err(|_| OperandError::Shape { role: role.name(), wanted, got })?;
            }
        }
        Ok(self)
    }
}

/// The dimension-typed array of a dynamic one that has that many axes.
pub(crate) fn typed<T, D: Dimension>(array: ArrayD<T>) -> Result<Array<T, D>, OperandError> {
    let got = array.shape().to_vec();
    let wanted = vec![0; D::NDIM.unwrap_or(got.len())];
    array.into_dimensionality().map_err(|_| OperandError::Shape { role: "output", wanted, got })
}
