//! One-liners on ndarray views, on the default device.

use std::sync::{Mutex, PoisonError};

use ndarray::{Array, ArrayBase, Data, Dimension, Ix3, Ix4, Ix5};

use crate::device::{Device, Operands, Scalar, typed};
use crate::error::Error;
use crate::planner::PlanOptions;
use crate::problem::{Conv, ConvProblem};

/// [`Device::new`], opened by the first call that succeeds and kept.
fn default_device() -> Result<Device, Error> {
    static DEVICE: Mutex<Option<Device>> = Mutex::new(None);
    let mut kept = DEVICE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(device) = &*kept {
        return Ok(device.clone());
    }
    let device = Device::new()?;
    Ok(kept.insert(device).clone())
}

/// The element type follows the arrays, whatever `conv` says.
fn run<T: Scalar, D: Dimension>(
    x: &ArrayBase<impl Data<Elem = T>, D>,
    w: &ArrayBase<impl Data<Elem = T>, D>,
    conv: &Conv,
) -> Result<Array<T, D>, Error> {
    let conv = conv.clone().element(T::ELEMENT);
    let problem = ConvProblem::new(x.shape(), w.shape(), &conv)?;
    let plan = default_device()?.plan(&problem, &PlanOptions::default())?;
    let operands = Operands { input: x.view(), weight: w.view().into(), ..Default::default() };
    Ok(typed(plan.run(operands)?)?)
}

macro_rules! forward {
    ($name:ident, $dim:ty, $x:literal, $w:literal, $y:literal) => {
        #[doc = concat!("Convolution of `x: ", $x, "` with `w: ", $w, "`: `y: ", $y, "`.")]
        ///
        /// Deep learning's convolution does **not** flip the kernel; `conv.flip(true)` does. Runs on the
        /// default device ([`Device::new`]) and falls back to the CPU path, with a warning in the log.
        /// It plans anew in every call; to run one shape often, keep a [`Plan`](crate::Plan).
        ///
        /// # Errors
        ///
        /// [`Error::Problem`] if shapes and `conv` do not fit; a device that is lost or full.
        pub fn $name<T: Scalar>(
            x: &ArrayBase<impl Data<Elem = T>, $dim>,
            w: &ArrayBase<impl Data<Elem = T>, $dim>,
            conv: &Conv,
        ) -> Result<Array<T, $dim>, Error> {
            run(x, w, conv)
        }
    };
}

forward!(conv1d, Ix3, "[n, c_in, X]", "[c_out, c_in/groups, K]", "[n, c_out, Y]");
forward!(conv2d, Ix4, "[n, c_in, X, X']", "[c_out, c_in/groups, K, K']", "[n, c_out, Y, Y']");
forward!(conv3d, Ix5, "[n, c_in, X, X', X'']", "[c_out, c_in/groups, K, K', K'']", "[n, c_out, Y, Y', Y'']");
