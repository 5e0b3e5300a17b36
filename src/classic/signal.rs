//! scipy.signal's convolutions: `convolve`, `correlate`, `convolve2d`, `correlate2d`, `fftconvolve`, `oaconvolve`.
//!
//! Numbers and shapes are scipy's. `convolve` flips its second operand, `correlate` does not. Operands are `f32`, `f64`, `f16` or
//! integers; what scipy wraps around silently is an error here.
//!
//! ```
//! use wgconv::ndarray::array;
//! use wgconv::signal::{Mode, convolve, correlate};
//!
//! let (x, w) = (array![1f64, 2., 3.], array![0., 1., 0.5]);
//! assert_eq!(convolve(&x, &w, Mode::Full)?, array![0., 1., 2.5, 4., 1.5]);
//! assert_eq!(correlate(&x, &w, Mode::Same)?, array![2., 3.5, 3.]);
//! // `valid` exchanges the operands if the second is the larger one.
//! assert_eq!(convolve(&array![1, 2], &array![1, 2, 3, 4], Mode::Valid)?, array![4, 7, 10]);
//! # Ok::<(), wgconv::Error>(())
//! ```
//!
//! The functions compute on the [shared device](crate::Device::shared), integers on the CPU where it would round. A device of one's own takes
//! the [`Operation`]s that [`Convolve`] and [`Convolve2d`] make, on floating-point arrays.
//!
//! Source: scipy 1.17, `scipy.signal`.

mod mode;
mod sample;

use ndarray::{Array, Array2, ArrayBase, Data, Dimension, Ix2};

use crate::algorithm_name::Algorithm;
use crate::classic::operation::{Argument, Batched, Operation, OperationError, Role, View};
use crate::device::typed;
use crate::error::Error;
use crate::problem::{Boundary, Conv, ConvProblem, Element, Padding};

pub use mode::{Method, Mode};
pub use sample::Sample;

/// Parameters of [`convolve`], [`correlate`], [`fftconvolve`] and [`oaconvolve`]; a [`Mode`] alone is one.
///
/// ```
/// use wgconv::ndarray::array;
/// use wgconv::signal::{Convolve, Mode, fftconvolve};
///
/// // Each row with its own kernel.
/// let (x, w) = (array![[1f32, 2., 3.], [4., 5., 6.]], array![[1f32, 1.], [1., -1.]]);
/// let rows = fftconvolve(&x, &w, Convolve::from(Mode::Valid).axes([1]))?;
/// assert_eq!(rows.round(), array![[3., 5.], [1., 1.]]); // spectra are rounded
/// # Ok::<(), wgconv::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Convolve {
    /// How much is computed.
    pub mode: Mode,
    /// How.
    pub method: Method,
    /// The axes that are convolved, negative ones counted from the end; `None`: all. The others are of equal extents, or
    /// one operand has an extent of 1 there, which is repeated.
    pub axes: Option<Vec<isize>>,
}

impl From<Mode> for Convolve {
    fn from(mode: Mode) -> Self {
        Self { mode, ..Self::default() }
    }
}

impl Convolve {
    /// Sets [`Self::method`].
    #[must_use]
    pub fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    /// Sets [`Self::axes`].
    #[must_use]
    pub fn axes(self, axes: impl Into<Vec<isize>>) -> Self {
        Self { axes: Some(axes.into()), ..self }
    }

    /// The operation [`convolve`] on operands `in1` and `in2` of these shapes.
    ///
    /// # Errors
    ///
    /// As [`convolve`].
    pub fn convolve(&self, in1: &[usize], in2: &[usize]) -> Result<Operation, OperationError> {
        self.operation("signal.convolve", in1, in2, true, self.axes.is_some())
    }

    /// The operation [`correlate`] on operands `in1` and `in2` of these shapes.
    ///
    /// # Errors
    ///
    /// As [`convolve`].
    pub fn correlate(&self, in1: &[usize], in2: &[usize]) -> Result<Operation, OperationError> {
        self.operation("signal.correlate", in1, in2, false, self.axes.is_some())
    }

    /// The operation [`fftconvolve`] on operands `in1` and `in2` of these shapes; [`Method::Auto`] prefers the FFT.
    ///
    /// # Errors
    ///
    /// As [`convolve`].
    pub fn fftconvolve(&self, in1: &[usize], in2: &[usize]) -> Result<Operation, OperationError> {
        self.by_fft().operation("signal.fftconvolve", in1, in2, true, true)
    }

    /// The operation [`oaconvolve`] on operands `in1` and `in2` of these shapes; [`Method::Auto`] prefers the FFT.
    ///
    /// # Errors
    ///
    /// As [`convolve`].
    pub fn oaconvolve(&self, in1: &[usize], in2: &[usize]) -> Result<Operation, OperationError> {
        self.by_fft().operation("signal.oaconvolve", in1, in2, true, true)
    }

    fn by_fft(&self) -> Self {
        let method = if self.method == Method::Auto { Method::Fft } else { self.method };
        Self { method, ..self.clone() }
    }

    /// Which axes are listed.
    fn listed(&self, axes: usize) -> Result<Vec<bool>, OperationError> {
        let Some(list) = &self.axes else { return Ok(vec![true; axes]) };
        let wrong = || OperationError::Parameter {
            what: "axes",
            wanted: format!("different ones of the {axes} that the operands have"),
            got: format!("{list:?}"),
        };
        let mut listed = vec![false; axes];
        for &axis in list {
            let from_end = axis.checked_add_unsigned(axes).filter(|_| axis < 0);
            let at = usize::try_from(from_end.unwrap_or(axis)).map_err(|_| wrong())?;
            if std::mem::replace(listed.get_mut(at).ok_or_else(wrong)?, true) {
                return Err(wrong());
            }
        }
        if list.is_empty() { Err(wrong()) } else { Ok(listed) }
    }

    /// With `broadcasts`, an axis on which an operand has an extent of 1 repeats it, also without being listed.
    fn operation(
        &self,
        name: &'static str,
        in1: &[usize],
        in2: &[usize],
        flip: bool,
        broadcasts: bool,
    ) -> Result<Operation, OperationError> {
        check_pair(in1, in2)?;
        let listed = self.listed(in1.len())?;
        if let Some(axis) = (0..in1.len())
            .find(|&axis| !listed[axis] && in1[axis] != in2[axis] && in1[axis] != 1 && in2[axis] != 1)
        {
            let wanted = format!("{} or 1 on axis {axis}, which is not convolved", in1[axis]);
            return Err(OperationError::Shapes { operand: "in2", wanted, got: in2.to_vec() });
        }
        let one = |axis: usize| in1[axis] == 1 || in2[axis] == 1;
        let compared: Vec<_> =
            (0..in1.len()).filter(|&axis| listed[axis] && !(broadcasts && one(axis))).collect();
        let swapped = self.mode == Mode::Valid && second_is_larger(in1, in2, &compared)?;
        // A single cell on an axis is repeated or kept: nothing to convolve.
        let convolved: Vec<bool> = (0..in1.len()).map(|axis| listed[axis] && !one(axis)).collect();
        // Correlation is convolution with the second operand reversed. On convolved axes the kernel is reversed by not
        // flipping it, unless it has become the image.
        let reversed: Vec<usize> =
            (0..in1.len()).filter(|&axis| !flip && listed[axis] && (swapped || !convolved[axis])).collect();
        let mut view = View::default().reversed(reversed);
        let mut kept = in2.to_vec();
        // `Same` keeps as many cells as the first operand has: of what repeats it, the one in the middle.
        for axis in (0..in1.len()).filter(|&axis| self.mode == Mode::Same && in1[axis] == 1) {
            view = view.cropped(axis, in2[axis], (in2[axis] - 1) / 2, 1);
            kept[axis] = 1;
        }
        let (first, second) = if swapped { (&kept[..], in1) } else { (in1, &kept[..]) };
        let axes = Batched::new(first, second, &convolved);
        let padding = match self.mode {
            Mode::Full => Padding::Full,
            Mode::Same => Padding::SameCentered,
            Mode::Valid => Padding::Valid,
        };
        let conv = Conv::default().padding(padding).flip(flip || swapped);
        let along = |shape: &[usize]| -> Vec<usize> {
            shape.iter().zip(&listed).filter(|(_, listed)| **listed).map(|(&extent, _)| extent).collect()
        };
        let (x, h) = if swapped { (along(in2), along(in1)) } else { (along(in1), along(in2)) };
        let prefers = self.method.prefers(&x, &h, self.mode);
        let mut operation = Operation::builder(name);
        let in1 = operation.operand("in1", in1);
        let in2 = operation.operand("in2", in2).seen(view);
        let (first, second) = if swapped { (in2, in1) } else { (in1, in2) };
        batched(operation, &axes, conv, prefers, (first, second))
    }
}

/// The one step of an operation whose operands have axes that are not convolved.
pub(crate) fn batched(
    mut operation: crate::classic::operation::OperationBuilder,
    axes: &Batched,
    conv: Conv,
    prefers: Option<Algorithm>,
    (first, second): (Argument, Argument),
) -> Result<Operation, OperationError> {
    if axes.space.len() > 3 {
        let (operand, wanted) = (operation.last_operand(), "at most 3 that are convolved");
        return Err(OperationError::Axes { operand, wanted, got: axes.space.len() });
    }
    let ((x, input), (w, weight)) = (axes.input()?, axes.weight()?);
    let problem = ConvProblem::new(&x, &w, &conv.groups(axes.groups()?).element(Element::F64))?;
    let output = axes.output(&problem.output().shape());
    let operands = [(Role::Input, first.seen(input)), (Role::Weight, second.seen(weight))];
    let result = operation.step(problem, prefers, operands);
    operation.finish(result.seen(output))
}

/// Two operands of the same number of axes, none of them empty; `as_many` says how many the second is to have.
pub(crate) fn check_operands(
    first: (&'static str, &[usize]),
    second: (&'static str, &[usize]),
    as_many: &'static str,
) -> Result<(), OperationError> {
    let axes = first.1.len();
    if axes == 0 {
        return Err(OperationError::Axes { operand: first.0, wanted: "at least 1", got: 0 });
    }
    if second.1.len() != axes {
        return Err(OperationError::Axes { operand: second.0, wanted: as_many, got: second.1.len() });
    }
    for (operand, shape) in [first, second] {
        if shape.contains(&0) {
            return Err(OperationError::Empty { operand, got: shape.to_vec() });
        }
    }
    Ok(())
}

/// [`check_operands`] of `in1` and `in2`.
fn check_pair(in1: &[usize], in2: &[usize]) -> Result<(), OperationError> {
    check_operands(("in1", in1), ("in2", in2), "as many as in1")
}

/// Whether the first operand lies within the second, on these axes, rather than the other way round.
fn second_is_larger(in1: &[usize], in2: &[usize], axes: &[usize]) -> Result<bool, OperationError> {
    if axes.iter().all(|&axis| in1[axis] >= in2[axis]) {
        return Ok(false);
    }
    if axes.iter().all(|&axis| in2[axis] >= in1[axis]) {
        return Ok(true);
    }
    Err(OperationError::NeitherWithin { first: in1.to_vec(), second: in2.to_vec() })
}

/// Parameters of [`convolve2d`] and [`correlate2d`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Convolve2d {
    /// How much is computed.
    pub mode: Mode,
    /// What lies outside the first operand: `Zero` or `Constant` for scipy's `fill`, `Wrap` for `wrap`, `Reflect` for
    /// `symm`. The others, which scipy lacks here, run too.
    pub boundary: Boundary,
}

impl Convolve2d {
    /// The operation [`convolve2d`] on operands `in1` and `in2` of these shapes.
    ///
    /// # Errors
    ///
    /// As [`convolve2d`].
    pub fn convolve(&self, in1: &[usize], in2: &[usize]) -> Result<Operation, OperationError> {
        self.operation("signal.convolve2d", in1, in2, true)
    }

    /// The operation [`correlate2d`] on operands `in1` and `in2` of these shapes.
    ///
    /// # Errors
    ///
    /// As [`convolve2d`].
    pub fn correlate(&self, in1: &[usize], in2: &[usize]) -> Result<Operation, OperationError> {
        self.operation("signal.correlate2d", in1, in2, false)
    }

    fn operation(
        &self,
        name: &'static str,
        in1: &[usize],
        in2: &[usize],
        flip: bool,
    ) -> Result<Operation, OperationError> {
        for (operand, shape) in [("in1", in1), ("in2", in2)] {
            if shape.len() != 2 {
                return Err(OperationError::Axes { operand, wanted: "2", got: shape.len() });
            }
        }
        check_pair(in1, in2)?;
        let swapped = self.mode == Mode::Valid && second_is_larger(in1, in2, &[0, 1])?;
        let (x, w) = if swapped { (in2, in1) } else { (in1, in2) };
        let padding: Padding = match self.mode {
            Mode::Full => Padding::Full,
            Mode::Same if flip => Padding::SameCentered,
            // Of an even kernel, scipy's `correlate2d` takes the other of the two cells in the middle.
            Mode::Same => [0, 1].map(|axis| ((w[axis] - 1) / 2, (w[axis] / 2) as isize)).into(),
            Mode::Valid => Padding::Valid,
        };
        let conv = Conv::default().padding(padding).flip(flip || swapped).boundary(self.boundary);
        let reversed = if swapped && !flip { vec![0, 1] } else { Vec::new() };
        let mut operation = Operation::builder(name);
        let first = operation.operand("in1", in1);
        let second = operation.operand("in2", in2).seen(View::default().reversed(reversed));
        let (first, second) = if swapped { (second, first) } else { (first, second) };
        batched(operation, &Batched::new(x, w, &[true; 2]), conv, None, (first, second))
    }
}

/// `in1` convolved with `in2`, which is flipped, as `scipy.signal.convolve`.
///
/// # Errors
///
/// Operands of different numbers of axes or without any element, more than three axes on which neither has an extent of 1,
/// `valid` of operands of which neither lies within the other; integers whose sums are not exact, or do not fit their
/// type; a device that is lost or full.
pub fn convolve<T: Sample, D: Dimension>(
    in1: &ArrayBase<impl Data<Elem = T>, D>,
    in2: &ArrayBase<impl Data<Elem = T>, D>,
    how: impl Into<Convolve>,
) -> Result<Array<T, D>, Error> {
    run(&how.into().convolve(in1.shape(), in2.shape())?, in1, in2)
}

/// `in1` correlated with `in2`, as `scipy.signal.correlate`: not flipped.
///
/// # Errors
///
/// As [`convolve`].
pub fn correlate<T: Sample, D: Dimension>(
    in1: &ArrayBase<impl Data<Elem = T>, D>,
    in2: &ArrayBase<impl Data<Elem = T>, D>,
    how: impl Into<Convolve>,
) -> Result<Array<T, D>, Error> {
    run(&how.into().correlate(in1.shape(), in2.shape())?, in1, in2)
}

/// [`convolve`] by [`Algorithm::Fft`] where the device has it, else by what runs, as `scipy.signal.fftconvolve`. An axis
/// on which an operand has an extent of 1 repeats it.
///
/// # Errors
///
/// As [`convolve`].
pub fn fftconvolve<T: Sample, D: Dimension>(
    in1: &ArrayBase<impl Data<Elem = T>, D>,
    in2: &ArrayBase<impl Data<Elem = T>, D>,
    how: impl Into<Convolve>,
) -> Result<Array<T, D>, Error> {
    run(&how.into().fftconvolve(in1.shape(), in2.shape())?, in1, in2)
}

/// [`fftconvolve`] under the name that scipy has for convolving a long signal with a short kernel, `oaconvolve`: that it goes
/// in blocks is the algorithm's matter here.
///
/// # Errors
///
/// As [`convolve`].
pub fn oaconvolve<T: Sample, D: Dimension>(
    in1: &ArrayBase<impl Data<Elem = T>, D>,
    in2: &ArrayBase<impl Data<Elem = T>, D>,
    how: impl Into<Convolve>,
) -> Result<Array<T, D>, Error> {
    run(&how.into().oaconvolve(in1.shape(), in2.shape())?, in1, in2)
}

/// Images convolved, with `in2` flipped, under a boundary, as `scipy.signal.convolve2d`.
///
/// ```
/// use wgconv::Boundary;
/// use wgconv::ndarray::array;
/// use wgconv::signal::{Mode, convolve2d};
///
/// let (x, w) = (array![[1f32, 2., 3.], [4., 5., 6.], [7., 8., 9.]], array![[1f32, 2.], [3., 4.]]);
/// let wrapped = array![[64., 56., 66.], [31., 23., 33.], [61., 53., 63.]];
/// assert_eq!(convolve2d(&x, &w, Mode::Same, Boundary::Wrap)?, wrapped);
/// # Ok::<(), wgconv::Error>(())
/// ```
///
/// # Errors
///
/// As [`convolve`].
pub fn convolve2d<T: Sample>(
    in1: &ArrayBase<impl Data<Elem = T>, Ix2>,
    in2: &ArrayBase<impl Data<Elem = T>, Ix2>,
    mode: Mode,
    boundary: Boundary,
) -> Result<Array2<T>, Error> {
    run(&Convolve2d { mode, boundary }.convolve(in1.shape(), in2.shape())?, in1, in2)
}

/// Images correlated under a boundary, as `scipy.signal.correlate2d`: not flipped.
///
/// # Errors
///
/// As [`convolve`].
pub fn correlate2d<T: Sample>(
    in1: &ArrayBase<impl Data<Elem = T>, Ix2>,
    in2: &ArrayBase<impl Data<Elem = T>, Ix2>,
    mode: Mode,
    boundary: Boundary,
) -> Result<Array2<T>, Error> {
    run(&Convolve2d { mode, boundary }.correlate(in1.shape(), in2.shape())?, in1, in2)
}

/// Runs an operation on two operands.
pub(crate) fn run<T: Sample, D: Dimension>(
    operation: &Operation,
    in1: &ArrayBase<impl Data<Elem = T>, D>,
    in2: &ArrayBase<impl Data<Elem = T>, D>,
) -> Result<Array<T, D>, Error> {
    Ok(typed(T::run(operation, [in1.view().into_dyn(), in2.view().into_dyn()])?)?)
}
