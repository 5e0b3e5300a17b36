//! How long it takes to plan the published shapes in three directions, for three models of a GPU and for the CPU:
//!
//!     cargo bench --bench planning
//!
//! Prints the time of a pass over all of them and of the slowest problem, the least of some passes: one thread, no device.

#[path = "../tests/common/models.rs"]
mod models;
#[allow(dead_code, reason = "tests use all of it")]
#[path = "../tests/common/shapes.rs"]
mod shapes;

use std::time::{Duration, Instant};

use wgconv::internals::cpu::CPU;
use wgconv::internals::implementation::PlanContext;
use wgconv::internals::planner::{Planner, choose};
use wgconv::internals::target::Target;
use wgconv::{ConvProblem, Direction, PlanOptions, Precision};

const PASSES: usize = 5;

fn main() {
    let directions = [Direction::Forward, Direction::GradInput, Direction::GradWeight];
    let problems: Vec<(String, ConvProblem)> = shapes::Shape::all()
        .iter()
        .flat_map(|shape| directions.map(|d| (format!("{} {d:?}", shape.name), shape.problem(d))))
        .collect();
    println!("{} problems, least of {PASSES} passes", problems.len());
    for (name, target) in models::NAMES.iter().zip(models::all()) {
        let planner = Planner::new(target);
        report(name, &problems, |problem| drop(planner.choose(problem, None)));
    }
    let context = PlanContext::new(Target::cpu(2));
    let options = PlanOptions { precision: Precision::Fast, ..PlanOptions::default() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    pool.install(|| report("CPU", &problems, |problem| drop(choose(CPU, problem, &options, &context))));
}

fn report(name: &str, problems: &[(String, ConvProblem)], plan: impl Fn(&ConvProblem)) {
    let mut least = vec![Duration::MAX; problems.len()];
    for _ in 0..PASSES {
        for (least, (_, problem)) in least.iter_mut().zip(problems) {
            let start = Instant::now();
            plan(problem);
            *least = start.elapsed().min(*least);
        }
    }
    let all: Duration = least.iter().sum();
    let (slowest, time) = problems.iter().zip(&least).max_by_key(|(_, time)| **time).expect("problems");
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    println!("{name}: {:.1} ms, at most {:.2} ms ({})", milliseconds(all), milliseconds(*time), slowest.0);
}
