//! What is chosen for every published shape in three directions, on three models of a GPU and on the CPU. No device anywhere.
//!
//! `tests/data/choices.json` holds what was chosen last; `WGCONV_WRITE_CHOICES=1 cargo test choices` writes it anew. A change of
//! the file is a change of the planner, and a commit that makes one says why.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;
use wgconv::internals::cpu::CPU;
use wgconv::internals::implementation::PlanContext;
use wgconv::internals::kernel::Params;
use wgconv::internals::planner::{Choice, Planner, choose};
use wgconv::internals::target::Target;
use wgconv::{ConvProblem, Direction, PlanOptions, Precision};

use crate::common::models;
use crate::common::shapes::Shape;

const DIRECTIONS: [Direction; 3] = [Direction::Forward, Direction::GradInput, Direction::GradWeight];

/// Algorithm, configuration, launches, and into how many parts the sums are cut.
fn on_gpu(target: &Target, problem: &ConvProblem) -> String {
    match Planner::new(target.clone()).choose(problem, None) {
        Ok(Choice { algorithm, config, program, .. }) => {
            let parts = |params: &Params| match params {
                Params::Fold(block) => block.counts[1],
                _ => 1,
            };
            let parts = program.launches.iter().map(|launch| parts(&launch.params)).max().unwrap_or(1);
            let mut text = format!("{algorithm} {config}");
            if program.launches.len() > 1 {
                write!(text, ", {} launches", program.launches.len()).expect("text");
            }
            if parts > 1 {
                write!(text, ", {parts} parts").expect("text");
            }
            text
        }
        Err(why) => format!("none: {why}"),
    }
}

/// With two threads: of many, transforms may take too much memory together.
fn on_cpu(problem: &ConvProblem, pool: &rayon::ThreadPool) -> String {
    let context = PlanContext::new(Target::cpu(2));
    // Without the rule of what rounds: estimates alone.
    let options = PlanOptions { precision: Precision::Fast, ..PlanOptions::default() };
    let choice = pool.install(|| choose(CPU, problem, &options, &context)).expect("the CPU has a plan");
    let plan = choice.program;
    match plan.transform_lengths() {
        Some([z, y, x]) => format!("{} {z} x {y} x {x}", plan.algorithm()),
        None => plan.algorithm().to_string(),
    }
}

/// By name and direction, in the order of [`models::NAMES`], then the CPU.
fn chosen() -> BTreeMap<String, [String; 4]> {
    let targets = models::all();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    let mut all = BTreeMap::new();
    for shape in Shape::all() {
        for direction in DIRECTIONS {
            let problem = shape.problem(direction);
            let [h200, card, integrated] = targets.each_ref().map(|target| on_gpu(target, &problem));
            all.insert(
                format!("{} {direction:?}", shape.name),
                [h200, card, integrated, on_cpu(&problem, &pool)],
            );
        }
    }
    all
}

/// Columns of the table.
fn devices() -> [&'static str; 4] {
    let [h200, card, integrated] = models::NAMES;
    [h200, card, integrated, "CPU"]
}

fn path() -> String {
    format!("{}/tests/data/choices.json", env!("CARGO_MANIFEST_DIR"))
}

/// Each text once, and a line for each problem.
fn written(chosen: &BTreeMap<String, [String; 4]>) -> String {
    let mut numbers = BTreeMap::new();
    for text in chosen.values().flatten() {
        numbers.insert(text.as_str(), 0);
    }
    for (i, number) in numbers.values_mut().enumerate() {
        *number = i;
    }
    let quoted = |text: &str| Value::from(text).to_string();
    let texts: Vec<_> = numbers.keys().map(|text| format!("  {}", quoted(text))).collect();
    let rows: Vec<_> = chosen
        .iter()
        .map(|(name, texts)| {
            let [a, b, c, d] = texts.each_ref().map(|text| numbers[text.as_str()]);
            format!("  {}: [{a}, {b}, {c}, {d}]", quoted(name))
        })
        .collect();
    let devices = Value::from(devices().to_vec());
    format!(
        "{{\n\"devices\": {devices},\n\"choices\": [\n{}\n],\n\"chosen\": {{\n{}\n}}\n}}\n",
        texts.join(",\n"),
        rows.join(",\n")
    )
}

#[test]
fn published_shapes_get_what_they_got() {
    let now = chosen();
    assert_eq!(now.len(), 550 * DIRECTIONS.len());
    if std::env::var_os("WGCONV_WRITE_CHOICES").is_some() {
        std::fs::write(path(), written(&now)).expect("written");
        return;
    }
    let text = std::fs::read_to_string(path()).expect("what was chosen last");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let mut differ = Vec::new();
    for (name, choices) in &now {
        for ((device, choice), number) in
            devices().iter().zip(choices).zip(document["chosen"][name].as_array().expect(name))
        {
            let before = number.as_u64().and_then(|i| document["choices"][usize::try_from(i).ok()?].as_str());
            let before = before.expect("a text");
            if before != choice {
                differ.push(format!("{name}, {device}: {choice} instead of {before}"));
            }
        }
    }
    assert_eq!(document["chosen"].as_object().expect("rows").len(), now.len());
    let some: Vec<_> = differ.iter().take(40).map(String::as_str).collect();
    assert!(
        differ.is_empty(),
        "{} of {} differ:\n{}",
        differ.len(),
        now.len() * devices().len(),
        some.join("\n")
    );
}
