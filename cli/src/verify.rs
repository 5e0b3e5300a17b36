//! `wgconv verify`: every algorithm against the f64 reference, element by element.

mod bound;
mod case;
mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};
use wgconv::half::f16;
use wgconv::ndarray::ArrayD;
use wgconv::{Algorithm, Device, Element, Error, Fallback, Operands, PlanOptions};

use crate::execute::{self, Devices};
use crate::failure::Failure;
use crate::job::Job;
use crate::operands::{Loaded, Number};
use crate::run::{Defaults, Lines};
use crate::{Outcome, output, unusable};
use bound::Judged;
use case::Case;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// File of jobs whose operands are taken instead of the built-in table; their outputs are not written
    #[arg(long)]
    jobs: Option<PathBuf>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    defaults: Defaults,
}

/// How one algorithm fared on one device.
#[derive(Debug, Default)]
struct Record {
    ran: u64,
    /// Of those, cases of integers that had to be equal.
    exact: u64,
    /// Names by reason.
    declined: BTreeMap<String, Vec<String>>,
    /// Largest error / (u*mag), and whose.
    worst: (f64, String),
    failed: Vec<String>,
}

/// By device and algorithm, in the order of their first case.
type Records = Vec<((String, Algorithm), Record)>;

pub(crate) fn run(options: &Options) -> Result<Outcome, Failure> {
    let how = match options.defaults.how() {
        Ok(how) => how,
        Err(failure) => return Ok(unusable(&failure.message)),
    };
    let (mut records, mut devices) = (Records::new(), Devices::default());
    let mut refused = Vec::new();
    match &options.jobs {
        None => {
            let device = devices.open(&how.device)?;
            let cases = table::cases(how.dtype.unwrap_or_default());
            let bar = output::progress(Some(cases.len() as u64), "cases");
            for case in &cases {
                check(case, &device, how.algorithm, &mut records);
                bar.inc(1);
            }
            bar.finish_and_clear();
        }
        Some(path) => {
            let mut lines = match Lines::open(path) {
                Ok(lines) => lines,
                Err(failure) => return Ok(unusable(&failure.message)),
            };
            let bar = output::progress(None, "jobs");
            while let Some((number, line)) = lines.next()? {
                let name = format!("job {number}");
                let case = line.and_then(|line| {
                    let job = Job::new(&Job::fields(&line)?, &how)?;
                    let device = devices.open(&job.how.device)?;
                    let (cases, device) = load(&job, &device, &name, options)?;
                    Ok((cases, device, job.how.algorithm))
                });
                match case {
                    Ok((cases, device, algorithm)) => {
                        cases.iter().for_each(|case| check(case, &device, algorithm, &mut records));
                    }
                    Err(failure) => refused.push(format!("{name}: {failure}")),
                }
                bar.inc(1);
            }
            bar.finish_and_clear();
        }
    }
    let ran: u64 = records.iter().map(|(_, record)| record.ran).sum();
    let ok = ran > 0 && refused.is_empty() && records.iter().all(|(_, record)| record.failed.is_empty());
    output::say(&if options.json { json(&records, &refused, ok) } else { text(&records, &refused, ran) })?;
    Ok(if ok { Outcome::Succeeded } else { Outcome::Failed })
}

/// The convolutions of a job, their operands rounded to the type that the job is computed in, and the device that computes it.
fn load(job: &Job, device: &Device, name: &str, options: &Options) -> Result<(Vec<Case>, Device), Failure> {
    let limits = options.defaults.limits();
    let loaded = Loaded::new(job, &limits)?;
    let (device, element) = execute::place(&loaded, device, &job.how)?;
    execute::check_size(&loaded.operation, element, &limits)?;
    let cases = match element {
        Element::F32 => of::<f32>(name, loaded),
        Element::F64 => of::<f64>(name, loaded),
        Element::F16 => of::<f16>(name, loaded),
    };
    Ok((cases?, device))
}

fn of<T: Number>(name: &str, loaded: Loaded) -> Result<Vec<Case>, Failure> {
    let (operation, arrays) = loaded.arrays::<T>()?;
    Case::of_operation(name, &operation, &arrays)
}

/// Runs the case by every algorithm of the device, or by the forced one.
fn check(case: &Case, device: &Device, forced: Option<Algorithm>, records: &mut Records) {
    let all = if device.is_cpu() { Algorithm::on_cpu() } else { Algorithm::on_gpu() };
    // The reference is what the others are compared with.
    let others = all.iter().copied().filter(|&algorithm| algorithm != Algorithm::Reference);
    for algorithm in forced.map_or_else(|| others.collect(), |algorithm| vec![algorithm]) {
        let key = (device.name().to_owned(), algorithm);
        let at = records.iter().position(|(k, _)| *k == key).unwrap_or_else(|| {
            records.push((key, Record::default()));
            records.len() - 1
        });
        let record = &mut records[at].1;
        let options =
            PlanOptions { algorithm: Some(algorithm), fallback: Fallback::Error, ..PlanOptions::default() };
        let result = match case.problem.element() {
            Element::F32 => result_of::<f32>(case, device, &options),
            Element::F64 => result_of::<f64>(case, device, &options),
            Element::F16 => result_of::<f16>(case, device, &options),
        };
        match result {
            Ok(result) => record.add(case, algorithm, &result),
            Err(Error::Declined(declined)) => {
                let reasons: Vec<_> = declined.reasons.iter().map(|(_, why)| why.to_string()).collect();
                record.decline(&case.name, reasons.join("; "));
            }
            Err(e) => record.failed.push(format!("{}: {}", case.name, Failure::from(e))),
        }
    }
}

fn result_of<T: Number>(case: &Case, device: &Device, options: &PlanOptions) -> Result<ArrayD<f64>, Error> {
    let plan = device.plan(&case.problem, options)?;
    let typed = case.typed::<T>();
    let mut operands = Operands::default();
    for (role, array) in &typed {
        operands = operands.with(*role, array.view())?;
    }
    Ok(plan.run(operands)?.mapv(Into::into))
}

impl Record {
    fn add(&mut self, case: &Case, algorithm: Algorithm, result: &ArrayD<f64>) {
        self.ran += 1;
        let Judged { exact, ratio, excess } = bound::judge(case, algorithm, result);
        self.exact += u64::from(exact);
        if ratio > self.worst.0 {
            self.worst = (ratio, case.name.clone());
        }
        self.failed.extend(excess.map(|excess| format!("{}: {excess}", case.name)));
    }

    fn decline(&mut self, name: &str, reason: String) {
        self.declined.entry(reason).or_default().push(name.to_owned());
    }

    fn declined(&self) -> usize {
        self.declined.values().map(Vec::len).sum()
    }
}

fn json(records: &Records, refused: &[String], ok: bool) -> String {
    let rows: Vec<Value> = records
        .iter()
        .map(|((device, algorithm), record)| {
            let declined: Vec<Value> = record
                .declined
                .iter()
                .map(|(reason, names)| json!({ "reason": reason, "count": names.len(), "cases": names }))
                .collect();
            json!({
                "device": device,
                "algorithm": algorithm.name(),
                "ran": record.ran,
                "exact": record.exact,
                "declined": declined,
                "max_error": record.worst.0,
                "max_error_case": (!record.worst.1.is_empty()).then_some(&record.worst.1),
                "failed": record.failed,
            })
        })
        .collect();
    json!({ "ok": ok, "algorithms": rows, "refused": refused }).to_string()
}

fn text(records: &Records, refused: &[String], ran: u64) -> String {
    let mut lines = vec![format!(
        "{:<14} {:>5} {:>6} {:>9} {:>7}  largest error/(u*mag)",
        "algorithm", "ran", "exact", "declined", "failed"
    )];
    for ((device, algorithm), record) in records {
        let Record { ran, exact, worst: (ratio, name), failed, .. } = record;
        let (declined, failures) = (record.declined(), failed.len());
        let whose = if name.is_empty() { String::new() } else { format!(" ({name})") };
        lines.push(format!(
            "{:<14} {ran:>5} {exact:>6} {declined:>9} {failures:>7}  {ratio:.2}{whose} on {device}",
            algorithm.name()
        ));
        for (reason, names) in &record.declined {
            lines.push(format!("  declined {} x {reason}: {}", names.len(), names.join(", ")));
        }
        lines.extend(failed.iter().map(|failure| format!("  FAILED {failure}")));
    }
    lines.extend(refused.iter().map(|refused| format!("REFUSED {refused}")));
    if ran == 0 {
        lines.push("nothing ran".to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_a_convolution() {
        for element in [Element::F32, Element::F16, Element::F64] {
            let names: std::collections::BTreeSet<_> =
                table::cases(element).into_iter().map(|case| case.name).collect();
            let all = table::cases(element).len();
            assert!(all > 600 && names.len() == all, "{all} cases, {} names", names.len());
        }
    }

    #[test]
    fn one_wrong_element_is_seen() {
        let cases = table::cases(Element::F32);
        for (name, exact) in
            [("/conv/ints", true), ("/grad_input/reals", false), ("/grad_weight/reals", false)]
        {
            let case = cases.iter().find(|case| case.name.ends_with(name)).expect("a row of the table");
            let (right, mag) = case.reference();
            let judged = |result| bound::judge(case, Algorithm::Direct, &result);
            let fine = judged(right.clone());
            assert_eq!((fine.exact, fine.ratio, fine.excess), (exact, 0.0, None), "{name}");
            for error in [1e-3 * mag.iter().copied().fold(0.0, f64::max), f64::NAN, f64::INFINITY] {
                let mut wrong = right.clone();
                *wrong.iter_mut().last().expect("an element") += error;
                let excess = judged(wrong).excess.expect("an excess");
                assert!(excess.ends_with(&format!("(1 of {} elements)", right.len())), "{excess}");
            }
            let mut flat = right;
            flat.push(wgconv::ndarray::Axis(0), mag.index_axis(wgconv::ndarray::Axis(0), 0)).expect("grown");
            assert!(judged(flat).excess.is_some(), "another shape");
        }
    }
}
