//! One shape in one direction: its algorithms planned, checked, and timed in turns.

use std::time::{Duration, Instant};

use wgconv::ndarray::ArrayD;
use wgconv::operation::Role;
use wgconv::{
    Algorithm, ConvProblem, Device, Direction, Fallback, Operands, Plan, PlanOptions, PreparedWeights,
    Tensor, Timing,
};

use super::row::{Row, Status, Times};
use super::sample::Sample;
use super::shape::Shape;
use super::values;
use crate::failure::Failure;
use crate::operands::Number;

/// Runs that count no time, if there is time for them.
pub(super) const WARMUPS: usize = 3;

/// How a shape is timed.
#[derive(Debug)]
pub(super) struct Timed<'a> {
    pub(super) device: &'a Device,
    pub(super) asked: &'a [Option<Algorithm>],
    pub(super) runs: usize,
    /// Past it no more runs than one each, be it the first one.
    pub(super) deadline: Option<Instant>,
}

/// A row with what it is to run.
struct Contender {
    row: Row,
    plan: Plan,
    weights: Option<PreparedWeights>,
    alive: bool,
}

/// A row for every algorithm that is asked for.
pub(super) fn rows<T: Number>(
    how: &Timed<'_>,
    shape: &Shape,
    (word, direction): (&'static str, Direction),
) -> Result<Vec<Row>, Failure> {
    let problem = shape.problem(direction, T::ELEMENT)?;
    let (mut rows, mut contenders) = (Vec::new(), Vec::new());
    for &asked in how.asked {
        let mut row = Row::new((&shape.name, &shape.set, word), asked, &problem);
        let options = PlanOptions { algorithm: asked, fallback: Fallback::Error, ..PlanOptions::default() };
        match how.device.plan(&problem, &options).map_err(Failure::from) {
            Ok(plan) => {
                row.planned(&plan);
                contenders.push(Contender { row, plan, weights: None, alive: true });
            }
            Err(failure) => {
                row.fail(&failure);
                rows.push(row);
            }
        }
    }
    if !contenders.is_empty()
        && let Err(failure) = contest::<T>(how, &problem, &shape.name, &mut contenders)
    {
        contenders.iter_mut().for_each(|contender| contender.fail(&failure));
    }
    rows.extend(contenders.into_iter().map(|contender| contender.row));
    // In the order in which they were asked for.
    rows.sort_by_key(|row| how.asked.iter().position(|asked| *asked == row.asked));
    Ok(rows)
}

/// The rows of a shape whose turn the budget does not reach.
pub(super) fn too_late<T: Number>(
    how: &Timed<'_>,
    shape: &Shape,
    (word, direction): (&'static str, Direction),
    budget: Duration,
) -> Result<Vec<Row>, Failure> {
    let problem = shape.problem(direction, T::ELEMENT)?;
    let row = |&asked| {
        let mut row = Row::new((&shape.name, &shape.set, word), asked, &problem);
        row.status = Status::NoTime;
        row.reason = Some(format!("the budget of {} s was spent", budget.as_secs_f64()));
        row
    };
    Ok(how.asked.iter().map(row).collect())
}

/// Runs them all on the same operands; what fails for one of them is its own affair.
fn contest<T: Number>(
    how: &Timed<'_>,
    problem: &ConvProblem,
    name: &str,
    contenders: &mut [Contender],
) -> Result<(), Failure> {
    let arrays = values::operands::<T>(problem, name)?;
    let resident = Resident::new(how.device, &arrays)?;
    let weight = arrays.iter().find(|(role, _)| *role == Role::Weight);
    for contender in contenders.iter_mut() {
        if let Some((_, weight)) = weight {
            match contender.plan.prepare(weight) {
                Ok(weights) => contender.weights = Some(weights),
                Err(e) => contender.fail(&e.into()),
            }
        }
    }
    let sample = Sample::new(problem, &arrays);
    drop(arrays);
    let in_time = |done: usize| done == 0 || how.deadline.is_none_or(|deadline| Instant::now() < deadline);
    let mut warmups = 0;
    while warmups < WARMUPS && in_time(warmups) {
        for contender in contenders.iter_mut() {
            contender.warm_up::<T>(&resident, (warmups == 0).then_some(&sample));
        }
        warmups += 1;
    }
    // One that takes all the time there is must do as it is: cold.
    let cold = !in_time(1);
    if !cold {
        contenders.iter_mut().for_each(|contender| contender.row.times = Times::default());
    }
    let mut runs = usize::from(cold);
    while runs < how.runs && in_time(runs) {
        contenders.iter_mut().for_each(|contender| contender.time(&resident));
        runs += 1;
    }
    for Contender { row, alive, .. } in contenders {
        row.times.warmups = if cold { 0 } else { warmups };
        if *alive && row.status != Status::Wrong {
            row.status = Status::Ok;
        }
    }
    Ok(())
}

/// The operands beside the weights, on the device.
struct Resident {
    input: Option<Tensor>,
    grad_output: Option<Tensor>,
}

impl Resident {
    fn new<T: Number>(device: &Device, arrays: &[(Role, ArrayD<T>)]) -> Result<Self, Failure> {
        let upload = |wanted: Role| {
            let found = arrays.iter().find(|(role, _)| *role == wanted);
            found.map(|(_, array)| device.upload(array)).transpose()
        };
        Ok(Self { input: upload(Role::Input)?, grad_output: upload(Role::GradOutput)? })
    }
}

impl Contender {
    fn fail(&mut self, failure: &Failure) {
        self.alive = false;
        self.row.fail(failure);
    }

    fn run(&self, resident: &Resident) -> Result<(Tensor, Timing), Failure> {
        let mut operands = Operands::default();
        if let Some(input) = &resident.input {
            operands.input = input;
        }
        if let Some(grad_output) = &resident.grad_output {
            operands.grad_output = grad_output;
        }
        if let Some(weights) = &self.weights {
            operands.weight = weights.into();
        }
        Ok(self.plan.run_on_timed(&operands)?)
    }

    /// The first result is compared with the sample.
    fn warm_up<T: Number>(&mut self, resident: &Resident, sample: Option<&Sample>) {
        if !self.alive {
            return;
        }
        let compared = self.run(resident).and_then(|(result, timing)| match sample {
            None => Ok(None),
            Some(sample) => {
                self.row.times.add(timing);
                let result = result.download::<T>()?;
                Ok(Some(sample.compare(self.plan.problem(), self.plan.algorithm(), &result)))
            }
        });
        match compared {
            Ok(compared) => compared.into_iter().for_each(|compared| self.row.compare(compared)),
            Err(failure) => self.fail(&failure),
        }
    }

    fn time(&mut self, resident: &Resident) {
        if !self.alive {
            return;
        }
        match self.run(resident) {
            Ok((_, timing)) => {
                self.row.times.add(timing);
            }
            Err(failure) => self.fail(&failure),
        }
    }
}
