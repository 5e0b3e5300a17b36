//! What is told of all rows: the table's beginning and end, and the file.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use wgconv::{Algorithm, Device, Peaks};

use super::row::{Row, Status, geometric_mean, header};
use super::{Options, Request, group};
use crate::failure::Failure;

/// Rows, and what they have in common.
pub(super) struct Report {
    pub(super) rows: Vec<Row>,
    peaks: Peaks,
    /// Everything of the file but the rows.
    head: Map<String, Value>,
    file: Option<PathBuf>,
    asked: Vec<Option<Algorithm>>,
    runs: usize,
    width: usize,
}

impl Report {
    /// Measures the peaks, and makes sure that the file can be written before anything else is timed.
    pub(super) fn new(
        options: &Options,
        request: &Request,
        device: &Device,
        asked: &[Option<Algorithm>],
    ) -> Result<Self, Failure> {
        let peaks = device.probe()?;
        let gpu = device.gpu();
        let clock = if peaks.device_clock { "device" } else { "host" };
        let names: Vec<_> = asked.iter().map(|asked| asked.map_or("auto", Algorithm::name)).collect();
        let directions: Vec<_> = request.directions.iter().map(|(word, _)| *word).collect();
        let head = json!({
            "what": "wgconv bench",
            "version": env!("CARGO_PKG_VERSION"),
            "commit": options.commit.clone().or_else(commit),
            "date": today(),
            "device": device.name(),
            "driver": gpu.map(|gpu| gpu.report().driver.clone()),
            "backend": gpu.map_or("cpu", |gpu| gpu.report().backend.as_str()),
            "threads": device.is_cpu().then(rayon::current_num_threads),
            "clock": clock,
            "clock_step_ns": gpu.filter(|_| peaks.device_clock).map(|gpu| gpu.queue().get_timestamp_period()),
            "probes": {
                "fma_tflops": peaks.fma_flops.map(|flops| flops * 1e-12),
                "copy_gbytes_per_s": peaks.copy_bytes_per_second.map(|rate| rate * 1e-9),
                "shortest_launch_ms": peaks.least.map(|least| least.as_secs_f64() * 1e3),
            },
            "settings": {
                "set": options.set,
                "dtype": request.element.name(),
                "directions": directions,
                "algorithms": names,
                "runs": options.runs,
                "warmups": group::WARMUPS,
                "budget_s": request.budget.map(|budget| budget.as_secs_f64()),
            },
        });
        let head = head.as_object().cloned().unwrap_or_default();
        let width = request.shapes.iter().map(|shape| shape.name.len()).max().unwrap_or(0).max(5);
        let report = Self {
            rows: Vec::new(),
            peaks,
            head,
            file: options.json.clone(),
            asked: asked.to_vec(),
            runs: options.runs as usize,
            width,
        };
        report.save(false)?;
        Ok(report)
    }

    /// Where, what it does at most, and the head of the table.
    pub(super) fn opening(&self) -> String {
        let text = |name: &str| self.head.get(name).and_then(Value::as_str).unwrap_or("-");
        let giga = |rate: Option<f64>, unit: &str| {
            rate.map_or("not measured".to_owned(), |rate| format!("{:.1} {unit}", rate * 1e-9))
        };
        let least = self.peaks.least.map_or(String::new(), |least| format!(", shortest launch {least:.1?}"));
        let clock = match self.peaks.device_clock {
            true => "times are of the device's clock (timestamps)",
            false => {
                "times are of the host's clock, from the call to the device being done: there are no timestamps"
            }
        };
        format!(
            "{} ({}; {}), wgconv {} {}\nfma {}, copy {}{least}; {clock}\n\n{}",
            text("device"),
            text("backend"),
            text("driver"),
            text("version"),
            text("commit"),
            giga(self.peaks.fma_flops, "GFLOP/s"),
            giga(self.peaks.copy_bytes_per_second, "GB/s"),
            header(self.width),
        )
    }

    pub(super) fn line(&self, row: &Row) -> String {
        row.text(self.width, &self.peaks)
    }

    fn count(&self, status: Status) -> usize {
        self.rows.iter().filter(|row| row.status == status).count()
    }

    /// Means, counts, and what to know of the numbers.
    pub(super) fn closing(&self) -> String {
        let mut lines = vec![String::new()];
        for &asked in &self.asked {
            lines.extend(self.mean(asked));
        }
        let counts = Status::ALL.iter().filter(|s| self.count(**s) > 0);
        let counts: Vec<_> = counts.map(|s| format!("{} {}", self.count(*s), s.word())).collect();
        lines.push(format!("rows: {} ({})", self.rows.len(), counts.join(", ")));
        let ran = || self.rows.iter().filter(|row| !row.times.wall.is_empty());
        let fewer = ran().filter(|row| row.times.wall.len() < self.runs).count();
        if fewer > 0 {
            lines.push(format!("{fewer} rows had fewer than {} runs: the budget was short", self.runs));
        }
        let short = ran().filter(|row| row.is_short(&self.peaks)).count();
        if short > 0 {
            lines.push(format!(
                "~ {short} rows took less than ten times the shortest launch: take them with care"
            ));
        }
        lines.push("error is the largest |y - exact|/(u*mag) of the cells that were compared".to_owned());
        lines.join("\n")
    }

    /// The mean rate of an algorithm, and its speed beside that of the first one.
    fn mean(&self, asked: Option<Algorithm>) -> Option<String> {
        let of = |row: &&Row| row.asked == asked && row.status == Status::Ok;
        let name = asked.map_or("auto", Algorithm::name);
        let rows: Vec<&Row> = self.rows.iter().filter(of).collect();
        let mean = geometric_mean(rows.iter().filter_map(|row| row.gflops()))?;
        let mut line = format!("{name}: geometric mean of {} rows {mean:.1} GFLOP/s", rows.len());
        let first = *self.asked.first().filter(|first| **first != asked)?;
        let partner = |row: &Row| {
            let same = |other: &&Row| {
                other.asked == first
                    && other.status == Status::Ok
                    && (&other.name, other.direction) == (&row.name, row.direction)
            };
            self.rows.iter().find(same).and_then(Row::ms)
        };
        let ratios: Vec<f64> = rows.iter().filter_map(|row| Some(partner(row)? / row.ms()?)).collect();
        if let Some(ratio) = geometric_mean(ratios.iter().copied()) {
            let first = first.map_or("auto", Algorithm::name);
            line += &format!(", {ratio:.3} times as fast as {first} in {} rows", ratios.len());
        }
        Some(line)
    }

    /// Writes the file anew; a reader sees the old one or the new one.
    pub(super) fn save(&self, complete: bool) -> Result<(), Failure> {
        let Some(path) = &self.file else { return Ok(()) };
        let mut all = self.head.clone();
        let counts: Map<String, Value> =
            Status::ALL.iter().map(|s| (s.word().to_owned(), json!(self.count(*s)))).collect();
        all.insert("complete".into(), json!(complete));
        all.insert("counts".into(), Value::Object(counts));
        let rows: Vec<String> = self.rows.iter().map(|row| format!("  {}", row.json(&self.peaks))).collect();
        // A row a line, so that two files can be compared by eye.
        let mut text = Value::Object(all).to_string();
        text.truncate(text.len() - 1);
        text += &format!(",\"rows\":[\n{}\n]}}\n", rows.join(",\n"));
        let partial = partial(path);
        std::fs::write(&partial, text).map_err(|e| Failure::io("write", &partial, &e))?;
        std::fs::rename(&partial, path).map_err(|e| Failure::io("write", path, &e))
    }
}

fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    path.with_file_name(name)
}

/// The commit that the current directory has checked out, if that is this crate's.
fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (output.status.success() && !text.is_empty()).then_some(text)
    };
    let root = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?);
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).ok()?;
    let ours = manifest.lines().any(|line| line == "name = \"wgconv\"");
    ours.then(|| git(&["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]))?
}

/// The date in UTC, as 2026-11-23.
fn today() -> Option<String> {
    let days = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs() / 86_400;
    // Years begin in March here, so that the leap day is their last (Howard Hinnant, "chrono-compatible low-level date
    // algorithms", civil_from_days).
    let z = days + 719_468;
    let (era, of_era) = (z / 146_097, z % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * day + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    Some(format!("{year:04}-{month:02}-{:02}", day - (153 * march + 2) / 5 + 1))
}
