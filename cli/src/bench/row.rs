//! A row of the results: what was timed, or why not.

use std::time::Duration;

use serde_json::{Value, json};
use wgconv::{Algorithm, ConvProblem, Element, ErrorKind, Peaks, Plan, Timing};

use super::sample::Compared;
use crate::failure::Failure;

/// How a row ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    /// The result is not what it must be.
    Wrong,
    /// The algorithm, or the device within its limits, does not run the problem.
    Declined,
    /// There was no memory for it.
    NoMemory,
    /// The budget was spent before its turn.
    NoTime,
    /// Something went wrong.
    Failed,
}

impl Status {
    pub(super) const ALL: [Self; 6] =
        [Self::Ok, Self::Wrong, Self::Declined, Self::NoMemory, Self::NoTime, Self::Failed];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Wrong => "wrong",
            Self::Declined => "declined",
            Self::NoMemory => "out_of_memory",
            Self::NoTime => "out_of_budget",
            Self::Failed => "failed",
        }
    }
}

/// Times of the runs that counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    pub(super) warmups: usize,
    /// On the device's clock; empty where it has none.
    pub(super) device: Vec<Duration>,
    /// On the host's, until the device was done.
    pub(super) wall: Vec<Duration>,
}

impl Times {
    pub(super) fn add(&mut self, timing: Timing) {
        self.wall.push(timing.total);
        self.device.extend(timing.device);
    }
}

/// One shape in one direction by one algorithm.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) set: String,
    pub(super) direction: &'static str,
    /// What was asked for; `None` is `auto`.
    pub(super) asked: Option<Algorithm>,
    /// What ran.
    algorithm: Option<Algorithm>,
    config: Option<String>,
    launches: Option<usize>,
    workspace: Option<u64>,
    element: Element,
    macs: u64,
    bytes: u64,
    cells: u64,
    pub(super) times: Times,
    pub(super) compared: Option<Compared>,
    pub(super) status: Status,
    pub(super) reason: Option<String>,
}

impl Row {
    /// Of a problem that has not run yet.
    pub(super) fn new(
        (name, set, direction): (&str, &str, &'static str),
        asked: Option<Algorithm>,
        problem: &ConvProblem,
    ) -> Self {
        Self {
            name: name.to_owned(),
            set: set.to_owned(),
            direction,
            asked,
            algorithm: None,
            config: None,
            launches: None,
            workspace: None,
            element: problem.element(),
            macs: problem.macs(),
            bytes: problem.bytes(),
            cells: problem.result().len(),
            times: Times::default(),
            compared: None,
            status: Status::Failed,
            reason: None,
        }
    }

    pub(super) fn planned(&mut self, plan: &Plan) {
        self.algorithm = Some(plan.algorithm());
        self.workspace = Some(plan.workspace_bytes());
        if let Some(gpu) = plan.gpu() {
            self.config = Some(gpu.choice().config.to_string());
            self.launches = Some(gpu.choice().program.launches.len());
        }
    }

    pub(super) fn fail(&mut self, failure: &Failure) {
        self.status = match failure.kind {
            ErrorKind::Unsupported | ErrorKind::LimitExceeded => Status::Declined,
            ErrorKind::OutOfMemory => Status::NoMemory,
            _ => Status::Failed,
        };
        self.reason = Some(failure.to_string());
    }

    pub(super) fn compare(&mut self, compared: Compared) {
        if compared.excess.is_some() {
            (self.status, self.reason) = (Status::Wrong, compared.excess.clone());
        }
        self.compared = Some(compared);
    }

    /// What ran, else what was asked for.
    pub(super) fn algorithm(&self) -> &'static str {
        self.algorithm.or(self.asked).map_or("auto", Algorithm::name)
    }

    /// The times that count, in milliseconds from the shortest to the longest: the device's, where it has a clock.
    fn sorted(&self) -> Vec<f64> {
        let times = if self.times.device.is_empty() { &self.times.wall } else { &self.times.device };
        sorted(times)
    }

    /// Median of the times that count.
    pub(super) fn ms(&self) -> Option<f64> {
        median(&self.sorted())
    }

    pub(super) fn gflops(&self) -> Option<f64> {
        Some(2e-6 * self.macs as f64 / self.ms().filter(|&ms| ms > 0.0)?)
    }

    /// Of operands and result, each once.
    pub(super) fn gbytes_per_s(&self) -> Option<f64> {
        Some(1e-6 * self.bytes as f64 / self.ms().filter(|&ms| ms > 0.0)?)
    }

    /// Sums of f16 are of single precision too.
    pub(super) fn share_of_fma(&self, peaks: &Peaks) -> Option<f64> {
        let peak = peaks.fma_flops.filter(|_| self.element != Element::F64)?;
        Some(self.gflops()? * 1e9 / peak)
    }

    pub(super) fn share_of_copy(&self, peaks: &Peaks) -> Option<f64> {
        Some(self.gbytes_per_s()? * 1e9 / peaks.copy_bytes_per_second?)
    }

    /// Whether a run is so short that the clock says little of it.
    pub(super) fn is_short(&self, peaks: &Peaks) -> bool {
        let least = peaks.least.map_or(0.0, |least| least.as_secs_f64() * 1e3);
        self.ms().is_some_and(|ms| ms < 10.0 * least)
    }

    pub(super) fn json(&self, peaks: &Peaks) -> Value {
        let device = sorted(&self.times.device);
        let wall = sorted(&self.times.wall);
        json!({
            "name": self.name,
            "set": self.set,
            "direction": self.direction,
            "asked": self.asked.map_or("auto", Algorithm::name),
            "algorithm": self.algorithm(),
            "config": self.config,
            "launches": self.launches,
            "gpu_ms": median(&device),
            "gpu_ms_min": device.first(),
            "wall_ms": median(&wall),
            "wall_ms_min": wall.first(),
            "warmups": self.times.warmups,
            "runs": wall.len(),
            "short": self.is_short(peaks),
            "gflop": 2e-9 * self.macs as f64,
            "bytes": self.bytes,
            "gflops": self.gflops(),
            "share_of_fma_peak": self.share_of_fma(peaks),
            "gbytes_per_s": self.gbytes_per_s(),
            "share_of_copy": self.share_of_copy(peaks),
            "workspace_bytes": self.workspace,
            // Infinity is no number of JSON.
            "error": self.compared.as_ref().map(|c| c.error.min(f64::MAX)),
            "checked_cells": self.compared.as_ref().map_or(0, |c| c.cells),
            "cells": self.cells,
            "ok": self.status == Status::Ok,
            "status": self.status.word(),
            "reason": self.reason,
        })
    }

    pub(super) fn text(&self, width: usize, peaks: &Peaks) -> String {
        let (name, direction, algorithm) = (&self.name, self.direction, self.algorithm());
        let begin = format!("{name:<width$} {direction:<11} {algorithm:<13}");
        let (Some(ms), Some(compared)) = (self.ms(), &self.compared) else {
            let reason = self.reason.as_deref().unwrap_or_default();
            return format!("{begin} {}: {reason}", self.status.word().to_uppercase());
        };
        let or_none =
            |number: Option<f64>, digits: usize| number.map_or("-".into(), |n| format!("{n:.digits$}"));
        let percent = |share: Option<f64>| or_none(share.map(|share| 100.0 * share), 1);
        let mut line = format!(
            "{begin} {:>10} {:>9} {:>6} {:>8} {:>6} {:>9} {:>7.2} {:>4}",
            format!("{}{ms:.4}", if self.is_short(peaks) { "~" } else { "" }),
            or_none(self.gflops(), 1),
            percent(self.share_of_fma(peaks)),
            or_none(self.gbytes_per_s(), 1),
            percent(self.share_of_copy(peaks)),
            or_none(self.workspace.map(|bytes| bytes as f64 / 1048576.0), 1),
            compared.error,
            self.times.wall.len(),
        );
        if let Some(reason) = &self.reason {
            line += &format!("  {}: {reason}", self.status.word().to_uppercase());
        }
        line
    }
}

/// What stands above [`Row::text`].
pub(super) fn header(width: usize) -> String {
    format!(
        "{:<width$} {:<11} {:<13} {:>10} {:>9} {:>6} {:>8} {:>6} {:>9} {:>7} {:>4}",
        "shape",
        "direction",
        "algorithm",
        "ms",
        "GFLOP/s",
        "% fma",
        "GB/s",
        "% copy",
        "work MiB",
        "error",
        "runs"
    )
}

fn sorted(times: &[Duration]) -> Vec<f64> {
    let mut ms: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    ms.sort_by(f64::total_cmp);
    ms
}

fn median(sorted: &[f64]) -> Option<f64> {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// The geometric mean of what there is of positive numbers.
pub(super) fn geometric_mean(numbers: impl IntoIterator<Item = f64>) -> Option<f64> {
    let logarithms: Vec<f64> = numbers.into_iter().filter(|&n| n > 0.0).map(f64::ln).collect();
    (!logarithms.is_empty()).then(|| (logarithms.iter().sum::<f64>() / logarithms.len() as f64).exp())
}
