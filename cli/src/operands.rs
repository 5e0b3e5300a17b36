//! The files of a job, and the operation that their shapes and the job make.

use std::path::PathBuf;

use crate::npy::{self, Limits, NpyArray, NpyElement, NpyError};
use wgconv::half::f16;
use wgconv::ndarray::ArrayD;
use wgconv::{Operation, Scalar};

use crate::failure::Failure;
use crate::job::Job;

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

/// The files of a job with the operation that they are the operands of.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Each with the file it came from.
    files: Vec<(PathBuf, NpyArray)>,
    pub(crate) operation: Operation,
}

impl Loaded {
    /// Reads the files.
    pub(crate) fn new(job: &Job, limits: &Limits) -> Result<Self, Failure> {
        let mut files = Vec::new();
        for (_, path) in &job.operands {
            files.push((path.clone(), npy::read(path, limits)?));
        }
        let shapes: Vec<_> = files.iter().map(|(_, array)| array.shape().to_vec()).collect();
        let operation = job.build.operation(&shapes)?;
        Ok(Self { files, operation })
    }

    /// Whether a file holds double precision.
    pub(crate) fn is_double(&self) -> bool {
        self.files.iter().any(|(_, array)| matches!(array, NpyArray::F64(_)))
    }

    /// Whether all files hold integers.
    pub(crate) fn is_integer(&self) -> bool {
        self.files.iter().all(|(_, array)| !array.dtype().starts_with('f'))
    }

    /// A bound on the magnitude of every sum.
    pub(crate) fn largest_sum(&self) -> Result<f64, Failure> {
        let mut largest = Vec::new();
        for (path, array) in &self.files {
            let wide = array.to_f64().map_err(|e| e.at(path.clone()))?;
            largest.push(wide.iter().fold(0.0, |most: f64, value| most.max(value.abs())));
        }
        Ok(self.operation.largest_sum(&largest))
    }

    /// The operands converted.
    pub(crate) fn arrays<T: Number>(self) -> Result<(Operation, Vec<ArrayD<T>>), Failure> {
        let typed = |(path, array): (PathBuf, NpyArray)| T::from_npy(array).map_err(|e| e.at(path).into());
        let arrays = self.files.into_iter().map(typed).collect::<Result<_, Failure>>()?;
        Ok((self.operation, arrays))
    }
}
