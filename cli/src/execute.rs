//! One job from its files to its output.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Instant;

use crate::npy::{self, Limits};
use wgconv::half::f16;
use wgconv::operation::ArgumentSource;
use wgconv::{Algorithm, Device, DeviceChoice, Element, ErrorKind, Operation, OperationError, OperationPlan};

use crate::failure::Failure;
use crate::job::{How, Job};
use crate::operands::{Loaded, Number};

/// What a job that succeeded tells of itself.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) algorithm: Algorithm,
    pub(crate) device: String,
    /// In what it was computed, and what the output file holds.
    pub(crate) dtype: Element,
    /// As in the output file.
    pub(crate) output_shape: Vec<usize>,
    /// Wall-clock time of the convolution with its transfers, without files and planning.
    pub(crate) ms: f64,
}

/// The devices that were opened so far, one per choice; a choice that failed fails again at once.
#[derive(Debug, Default)]
pub(crate) struct Devices(Vec<(DeviceChoice, Result<Device, Failure>)>);

impl Devices {
    pub(crate) fn open(&mut self, choice: &DeviceChoice) -> Result<Device, Failure> {
        if let Some((_, opened)) = self.0.iter().find(|(other, _)| other == choice) {
            return opened.clone();
        }
        let opened = Device::open(choice).map_err(Failure::from);
        self.0.push((choice.clone(), opened.clone()));
        opened
    }

    /// The next job opens the device anew.
    fn forget(&mut self, choice: &DeviceChoice) {
        self.0.retain(|(other, _)| other != choice);
    }
}

/// Runs `job`; its output file is there afterwards if and only if this succeeds (one that was there
/// before stays as it was).
pub(crate) fn execute(job: &Job, devices: &mut Devices, limits: &Limits) -> Result<Done, Failure> {
    // The library does not panic on any job that we know of; if it does, the next job still runs.
    let result = catch_unwind(AssertUnwindSafe(|| attempt(job, devices, limits)))
        .unwrap_or_else(|panic| Err(Failure::new(ErrorKind::Internal, panic_text(&*panic))));
    if let Err(Failure { kind: ErrorKind::DeviceLost | ErrorKind::Timeout | ErrorKind::Internal, .. }) =
        result
    {
        devices.forget(&job.how.device);
    }
    result
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("for a reason of no text"))
}

fn attempt(job: &Job, devices: &mut Devices, limits: &Limits) -> Result<Done, Failure> {
    let device = devices.open(&job.how.device)?;
    let loaded = Loaded::new(job, limits)?;
    let (planned, element) = plan(&loaded, &device, job, limits)?;
    match element {
        Element::F32 => finish::<f32>(&planned, loaded, &job.output),
        Element::F64 => finish::<f64>(&planned, loaded, &job.output),
        Element::F16 => finish::<f16>(&planned, loaded, &job.output),
    }
}

fn plan(
    loaded: &Loaded,
    device: &Device,
    job: &Job,
    limits: &Limits,
) -> Result<(OperationPlan, Element), Failure> {
    let mut options = job.how.options();
    if loaded.is_integer() {
        options.exclude.extend(Algorithm::inexact());
    }
    let (device, element) = place(loaded, device, &job.how)?;
    check_size(&loaded.operation, element, limits)?;
    Ok((device.plan_operation(&loaded.operation, element, &options)?, element))
}

/// Where a job on `device` is computed, and in what. Without a `dtype`, integers decide by a bound of their sums, and double
/// precision by where it may be computed.
pub(crate) fn place(loaded: &Loaded, device: &Device, how: &How) -> Result<(Device, Element), Failure> {
    let cpu_has_it = how.algorithm.is_none_or(|forced| Device::cpu().algorithms().contains(&forced));
    match how.dtype {
        Some(element) => Ok((device.clone(), element)),
        None if loaded.is_integer() => {
            // Integers stay exact, or are refused.
            let largest = loaded.largest_sum()?;
            let may_be_cpu = device.is_cpu() || how.device == DeviceChoice::Auto;
            match Element::of_exact_integers(largest) {
                Some(Element::F32) => Ok((device.clone(), Element::F32)),
                Some(element) if may_be_cpu => Ok((Device::cpu(), element)),
                _ => {
                    let wanted = if may_be_cpu { "less than 2^53" } else { "at most 2^24 in f32 on a GPU" };
                    Err(OperationError::Inexact { largest, wanted }.into())
                }
            }
        }
        None if !loaded.is_double() => Ok((device.clone(), Element::F32)),
        // Double precision is kept, unless a GPU was named, or an algorithm that only a GPU has.
        None if device.is_cpu() || how.device == DeviceChoice::Auto && cpu_has_it => {
            Ok((Device::cpu(), Element::F64))
        }
        None => Ok((device.clone(), Element::F32)),
    }
}

/// A result larger than any file that is read would only be found too large by the system's
/// out-of-memory killer, which takes the jobs behind it along.
pub(crate) fn check_size(operation: &Operation, element: Element, limits: &Limits) -> Result<(), Failure> {
    let check = |what: &str, shape: Vec<usize>| {
        let elements = shape.iter().fold(1u64, |count, &extent| count.saturating_mul(extent as u64));
        let bytes = elements.saturating_mul(element.bytes());
        if bytes > limits.max_bytes {
            let most = limits.max_bytes;
            let message =
                format!("{what} of shape {shape:?} needs {bytes} bytes, wanted at most {most} (--max-bytes)");
            return Err(Failure::new(ErrorKind::LimitExceeded, message));
        }
        Ok(())
    };
    check("a result", operation.shape())?;
    for step in operation.steps() {
        check("an intermediate result", step.problem.result().shape())?;
        for (_, argument) in &step.operands {
            if let ArgumentSource::Constant(constant) = &argument.source {
                check("a constant kernel", constant.shape())?;
            }
        }
    }
    Ok(())
}

fn finish<T: Number>(plan: &OperationPlan, loaded: Loaded, output: &Path) -> Result<Done, Failure> {
    let (_, arrays) = loaded.arrays::<T>()?;
    let views: Vec<_> = arrays.iter().map(|array| array.view()).collect();
    let start = Instant::now();
    let result = plan.run(&views)?;
    let ms = start.elapsed().as_secs_f64() * 1e3;
    npy::write(output, result.view())?;
    Ok(Done {
        algorithm: plan.algorithm(),
        device: plan.device_name().to_owned(),
        dtype: T::ELEMENT,
        output_shape: result.shape().to_vec(),
        ms: (ms * 1e3).round() / 1e3,
    })
}
