//! Which algorithm runs which operation in which direction where: asked of the rooms that decide it, about the example
//! of each operation.

use serde_json::{Value, json};
use wgconv::internals::cpu::CpuPlan;
use wgconv::internals::planner::Planner;
use wgconv::internals::program::Target;
use wgconv::{Algorithm, Element, Operation};

use crate::failure::Failure;
use crate::job::{JobOperation, OPERATIONS};
use crate::json::Object;

/// An operation in one direction.
pub(super) struct Row {
    op: &'static str,
    original: &'static str,
    /// The operand whose gradient it is; `None`: forward.
    by: Option<&'static str>,
    gpu: Vec<Algorithm>,
    cpu: Vec<Algorithm>,
}

/// Every operation in every direction.
pub(super) fn rows() -> Result<Vec<Row>, Failure> {
    let planner = Planner::new(Target::default());
    let mut rows = Vec::new();
    for job in OPERATIONS.iter() {
        let operation = example(job)?;
        rows.push(Row::new(&planner, job, None, &operation)?);
        for (at, &(operand, _)) in operation.operands().iter().enumerate() {
            rows.push(Row::new(&planner, job, Some(operand), &operation.gradient(at)?)?);
        }
    }
    Ok(rows)
}

fn example(job: &JobOperation) -> Result<Operation, Failure> {
    let (attributes, shapes) = job.example;
    let object: Object = serde_json::from_str(attributes).map_err(|e| Failure::bad_job(e.to_string()))?;
    let shapes: Vec<_> = shapes.iter().map(|shape| shape.to_vec()).collect();
    (job.parse)(&object)?.operation(&shapes)
}

impl Row {
    fn new(
        planner: &Planner,
        job: &JobOperation,
        by: Option<&'static str>,
        operation: &Operation,
    ) -> Result<Self, Failure> {
        let steps = operation.steps().iter().map(|step| step.problem.with_element(Element::F32));
        let steps: Vec<_> = steps.collect::<Result<_, _>>()?;
        let which =
            |runs: &dyn Fn(Algorithm) -> bool| Algorithm::NAMES.into_iter().filter(|&a| runs(a)).collect();
        Ok(Self {
            op: job.name,
            original: job.original,
            by,
            gpu: which(&|a| steps.iter().all(|step| planner.choose(step, Some(a)).is_ok())),
            cpu: which(&|a| steps.iter().all(|step| CpuPlan::new(step, Some(a)).is_ok())),
        })
    }

    fn words(&self) -> String {
        self.by.map_or("forward".to_owned(), |operand| format!("by `{operand}`"))
    }
}

fn names(algorithms: &[Algorithm]) -> Vec<&'static str> {
    algorithms.iter().map(|algorithm| algorithm.name()).collect()
}

pub(super) fn json(rows: &[Row]) -> String {
    let row = |row: &Row| {
        json!({
            "op": row.op,
            "original": row.original,
            "direction": if row.by.is_some() { "gradient" } else { "forward" },
            "by": row.by,
            "gpu": names(&row.gpu),
            "cpu": names(&row.cpu),
        })
    };
    json!({ "operations": rows.iter().map(row).collect::<Vec<Value>>() }).to_string()
}

/// A table in Markdown, directions of the same algorithms in one row.
pub(super) fn text(rows: &[Row]) -> String {
    let mut lines = vec!["| operation | original | directions | GPU | CPU |".to_owned()];
    lines.push("|---|---|---|---|---|".to_owned());
    let same = |a: &Row, b: &Row| (a.op, &a.gpu, &a.cpu) == (b.op, &b.gpu, &b.cpu);
    for alike in rows.chunk_by(same) {
        let directions: Vec<_> = alike.iter().map(|row| row.words()).collect();
        let Row { op, original, gpu, cpu, .. } = &alike[0];
        let or_none = |algorithms: &[Algorithm]| {
            let quoted: Vec<_> = algorithms.iter().map(|algorithm| format!("`{algorithm}`")).collect();
            if quoted.is_empty() { "none".to_owned() } else { quoted.join(", ") }
        };
        let (gpu, cpu) = (or_none(gpu), or_none(cpu));
        lines.push(format!("| `{op}` | `{original}` | {} | {gpu} | {cpu} |", directions.join(", ")));
    }
    lines.join("\n")
}
