//! A problem with operands that its element type holds exactly.

use wgconv::ConvProblem;
use wgconv::cpu::reference::{self, Operands64};
use wgconv::ndarray::{Array1, ArrayD, ArrayRef};
use wgconv::npy::{NpyArray, NpyError};

use crate::operands::{Arrays, Number};

/// One comparison to be made.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) problem: ConvProblem,
    arrays: Arrays<f64>,
}

impl Case {
    pub(super) fn new<T: Number>(name: impl Into<String>, problem: ConvProblem, arrays: Arrays<T>) -> Self {
        let wide = |array: Option<ArrayD<T>>| array.map(|array| array.mapv(Into::into));
        let arrays = Arrays {
            input: wide(arrays.input),
            weight: wide(arrays.weight),
            grad_output: wide(arrays.grad_output),
            bias: arrays.bias.map(|bias| bias.mapv(Into::into)),
        };
        Self { name: name.into(), problem, arrays }
    }

    /// The operands in the problem's element type.
    pub(super) fn typed<T: Number>(&self) -> Result<Arrays<T>, NpyError> {
        let typed = |array: &Option<ArrayD<f64>>| {
            array.clone().map(|array| T::from_npy(NpyArray::F64(array))).transpose()
        };
        let bias = self.arrays.bias.clone().map(|bias| T::from_npy(NpyArray::F64(bias.into_dyn())));
        let vector = |bias: ArrayD<T>| Array1::from_iter(bias);
        Ok(Arrays {
            input: typed(&self.arrays.input)?,
            weight: typed(&self.arrays.weight)?,
            grad_output: typed(&self.arrays.grad_output)?,
            bias: bias.transpose()?.map(vector),
        })
    }

    fn wide(&self) -> Operands64<'_> {
        Operands64 {
            input: self.arrays.input.as_deref().map(ArrayRef::view),
            weight: self.arrays.weight.as_deref().map(ArrayRef::view),
            grad_output: self.arrays.grad_output.as_deref().map(ArrayRef::view),
            residual: None,
            bias: self.arrays.bias.as_deref().map(ArrayRef::view),
        }
    }

    /// What is right, and the magnitudes of its bounds.
    pub(super) fn reference(&self) -> (ArrayD<f64>, ArrayD<f64>) {
        let operands = self.wide();
        (reference::run(&self.problem, &operands), reference::magnitude(&self.problem, &operands))
    }

    /// Whether every operand is made of integers.
    pub(super) fn is_of_integers(&self) -> bool {
        let arrays = [&self.arrays.input, &self.arrays.weight, &self.arrays.grad_output];
        let mut values = arrays.into_iter().flatten().flatten().chain(self.arrays.bias.iter().flatten());
        values.all(|value| value.fract() == 0.0)
    }
}
