//! Candidates and programs of one algorithm, without the planner.

use wgconv::internals::implementation::{Cannot, Config, PlanContext};
#[cfg(feature = "gpu")]
use wgconv::internals::planner::Choice;
use wgconv::internals::program::Program;
use wgconv::{Algorithm, ConvProblem};

/// The configurations of an algorithm, in the order of its own.
pub fn candidates(
    algorithm: Algorithm,
    problem: &ConvProblem,
    on: impl Into<PlanContext>,
) -> Result<Vec<Config>, Cannot> {
    let mut candidates = algorithm.plan(problem, &on.into())?;
    // As the planner takes them.
    candidates.sort_by(|a, b| a.estimate.secs().total_cmp(&b.estimate.secs()));
    Ok(candidates.into_iter().map(|candidate| candidate.config).collect())
}

/// The program of one configuration.
pub fn lower(
    algorithm: Algorithm,
    problem: &ConvProblem,
    on: impl Into<PlanContext>,
    config: &Config,
) -> Result<Program, Cannot> {
    let context = on.into();
    let candidates = algorithm.plan(problem, &context)?;
    let own = candidates.iter().find(|candidate| candidate.config == *config);
    own.unwrap_or_else(|| panic!("{config} is none of {candidates:?}")).lower(problem, &context)
}

/// What was lowered, as a choice without others.
#[cfg(feature = "gpu")]
pub fn choice(algorithm: Algorithm, problem: &ConvProblem, config: Config, program: Program) -> Choice {
    Choice { problem: problem.clone(), algorithm, config, program, considered: Vec::new() }
}
