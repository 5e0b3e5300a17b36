//! Which algorithm runs which operation in which direction where: asked of the rooms that decide it, about the example
//! of each operation.

use serde_json::{Value, json};
use wgconv::internals::cpu::CpuPlan;
use wgconv::internals::planner::Planner;
use wgconv::internals::target::Target;
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
            cpu: which(&|a| steps.iter().all(|step| CpuPlan::new(step, a).is_ok())),
        })
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

/// A table in Markdown with a row for each operation, and who runs them.
pub(super) fn text(rows: &[Row]) -> String {
    let mut lines = vec!["| operation | original | gradients |".to_owned(), "|---|---|---|".to_owned()];
    for directions in rows.chunk_by(|a, b| a.op == b.op) {
        let gradients: Vec<_> =
            directions.iter().filter_map(|row| row.by).map(|by| format!("`{by}`")).collect();
        let Row { op, original, .. } = &directions[0];
        lines.push(format!("| `{op}` | `{original}` | {} |", gradients.join(", ")));
    }
    // Most rows are run by the same algorithms.
    for same in rows.chunk_by(|a, b| (&a.gpu, &a.cpu) == (&b.gpu, &b.cpu)) {
        let or_none = |algorithms: &[Algorithm]| {
            let quoted: Vec<_> = algorithms.iter().map(|algorithm| format!("`{algorithm}`")).collect();
            if quoted.is_empty() { "none".to_owned() } else { quoted.join(", ") }
        };
        let Row { gpu, cpu, .. } = &same[0];
        let who = if same.len() == rows.len() {
            "Every row".to_owned()
        } else {
            format!("From `{}` to `{}`, a row", same[0].op, same[same.len() - 1].op)
        };
        lines.push(format!("\n{who} runs on a GPU by {} and on the CPU by {}.", or_none(gpu), or_none(cpu)));
    }
    lines.join("\n")
}
