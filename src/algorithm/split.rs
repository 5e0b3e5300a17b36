//! A problem past a device's limits, as several within them: each is planned and lowered by itself, and the launches are those of
//! all. One wrapper around every algorithm, which knows of no limits but those of a single launch.

use std::cell::Cell;

use super::shared::roles::is_folded;
use super::shared::{MAX_LAUNCHES, MAX_WORDS_OF_PIECES, binding_bytes, binding_limit, fold, more_workspace};
use crate::algorithm_name::Algorithm;
use crate::implementation::{Candidate, Cannot, Config, Implementation, PlanContext, Resource};
use crate::problem::{ConvProblem, Element};
use crate::program::{Buffer, Program};
use crate::target::Target;

type Ways = Vec<[ConvProblem; 2]>;

/// The first sub-problem of a problem that cannot be computed at once, and what forbids that.
type FirstPart = (ConvProblem, Cannot);

/// Halvings of a problem: at most 2^10 sub-problems.
const MAX_DEPTH: u32 = 10;

/// Most sums over images or cells that are added up: one invocation does it.
const MAX_SUMMANDS: u64 = 64;

/// Elements, a multiple of which all bindings of f32 begin at.
const STEP: u64 = 64;

/// An algorithm, and sub-problems where it cannot compute a whole problem because of its size.
pub(super) struct Split<I> {
    implementation: I,
    /// Whether it takes fewer launches with a larger budget.
    trades_launches: bool,
}

impl<I> Split<I> {
    pub(super) const fn of(implementation: I) -> Self {
        Self { implementation, trades_launches: false }
    }

    /// One that takes fewer launches with a larger budget.
    pub(super) const fn of_trading(implementation: I) -> Self {
        Self { implementation, trades_launches: true }
    }
}

impl<I: Implementation<Program> + Copy + Send + 'static> Implementation<Program> for Split<I> {
    fn algorithm(&self) -> Algorithm {
        self.implementation.algorithm()
    }

    /// Where it cannot compute the whole because of its size, the configurations are those of the first sub-problem, and their
    /// estimates are in proportion to its work.
    fn plan(&self, problem: &ConvProblem, context: &PlanContext) -> Result<Vec<Candidate<Program>>, Cannot> {
        let (first, candidates) = planned(problem, context, &self.implementation)?;
        let share =
            first.as_ref().map_or(1.0, |(first, _)| problem.macs() as f64 / first.macs().max(1) as f64);
        let Self { implementation, trades_launches } = *self;
        let whole = |candidate: Candidate<Program>| {
            let (config, estimate) = (candidate.config.clone(), candidate.estimate.times(share));
            let whole = first.as_ref().map_or(Ok(candidate), |(_, why)| Err(why.clone()));
            let split = SplitCandidate { implementation, config: config.clone(), whole, trades_launches };
            Candidate::new(config, estimate, move |problem, context| split.lower(problem, context))
        };
        Ok(candidates.into_iter().map(whole).collect())
    }
}

/// The candidates of `problem`, or where its size forbids it, those of its first sub-problem, with that and the reason.
fn planned(
    problem: &ConvProblem,
    context: &PlanContext,
    implementation: &dyn Implementation<Program>,
) -> Result<(Option<FirstPart>, Vec<Candidate<Program>>), Cannot> {
    let why = match implementation.plan(problem, context) {
        Err(why) if why.is_size() && fits_buffers(problem, &context.target) => why,
        other => return Ok((None, other?)),
    };
    let ways = [ConvProblem::halves as fn(&_) -> Ways, ConvProblem::summands];
    for ways in ways.into_iter().take(if adds_up(problem, &context.target) { 2 } else { 1 }) {
        let mut part = problem.clone();
        for _ in 0..MAX_DEPTH {
            let Some([first, _]) = best(&part, ways(&part)) else { break };
            match implementation.plan(&first, context) {
                Err(why) if why.is_size() => part = first,
                // Past another limit: what was too large first is the reason.
                Err(_) => break,
                Ok(candidates) => return Ok((Some((first, why)), candidates)),
            }
        }
    }
    Err(why)
}

/// A configuration of an algorithm, to be lowered for a problem.
struct SplitCandidate<I> {
    implementation: I,
    config: Config,
    /// The candidate of the whole problem, or what size forbids it.
    whole: Result<Candidate<Program>, Cannot>,
    trades_launches: bool,
}

impl<I: Implementation<Program>> SplitCandidate<I> {
    fn lower(&self, problem: &ConvProblem, context: &PlanContext) -> Result<Program, Cannot> {
        let whole = self.whole.as_ref().map_err(Cannot::clone);
        let why = match whole.and_then(|whole| whole.lower(problem, context)) {
            Err(why) if why.is_size() => why,
            other => return other,
        };
        if problem.result().is_empty() {
            return Ok(Program::default());
        }
        if !fits_buffers(problem, &context.target) {
            return Err(why);
        }
        let mut budget = context.workspace_budget;
        loop {
            let count = Count::default();
            let program = self.split(problem, &context.with_budget(budget), &count);
            if program.is_none()
                && self.trades_launches
                && count.launches.get() > MAX_LAUNCHES
                && budget < binding_limit(&context.target)
            {
                budget = more_workspace(budget);
                continue;
            }
            let program = program.ok_or_else(|| count.passed().unwrap_or(why))?;
            let (bytes, limit) = (program.prepared, context.target.limits.max_buffer_bytes);
            if bytes > limit {
                return Err(Cannot::BindingTooLarge { buffer: "prepared weights", bytes, limit });
            }
            return Ok(program);
        }
    }

    /// The sub-problems of `problem`, which it cannot compute at once.
    fn split(&self, problem: &ConvProblem, context: &PlanContext, count: &Count) -> Option<Program> {
        let whole = |part: &ConvProblem| count.within(|| self.of(part, context));
        match halved(problem, &whole, MAX_DEPTH) {
            // Sums of sub-problems are no fewer.
            None if count.passed().is_none() => sums(problem, &context.target, &whole, count),
            other => other,
        }
    }

    /// One sub-problem at once, in the same configuration if that computes it.
    fn of(&self, part: &ConvProblem, context: &PlanContext) -> Result<Program, Cannot> {
        let candidates = self.implementation.plan(part, context)?;
        let same = candidates.iter().find(|candidate| candidate.config == self.config);
        // A plan has one candidate at least.
        same.unwrap_or(&candidates[0]).lower(part, context)
    }
}

/// What the sub-problems that are lowered one after the other come to: past a limit, no further one is made.
#[derive(Default)]
struct Count {
    launches: Cell<u64>,
    words: Cell<u64>,
}

impl Count {
    fn within(&self, lower: impl Fn() -> Result<Program, Cannot>) -> Result<Program, Cannot> {
        self.passed().map_or(Ok(()), Err)?;
        let program = lower()?;
        let words: usize = program.tables.iter().map(|table| table.words.len()).sum();
        self.launches.update(|all| all + (program.launches.len() + program.prepare.len()) as u64);
        self.words.update(|all| all + words as u64);
        self.passed().map_or(Ok(program), Err)
    }

    /// The limit that they are past.
    fn passed(&self) -> Option<Cannot> {
        let limits = [
            (Resource::LaunchesOfPieces, self.launches.get(), MAX_LAUNCHES),
            (Resource::TableWordsOfPieces, self.words.get(), MAX_WORDS_OF_PIECES),
        ];
        let (resource, needed, limit) = limits.into_iter().find(|(_, needed, limit)| needed > limit)?;
        Some(Cannot::Limit { resource, needed, limit })
    }
}

/// Whether each tensor is a buffer: what the device cannot hold, no cut makes smaller.
fn fits_buffers(problem: &ConvProblem, target: &Target) -> bool {
    let bytes = spans(problem).map(|span| span.saturating_mul(problem.element().bytes()));
    bytes.iter().all(|&bytes| bytes <= target.limits.max_buffer_bytes)
}

fn spans(problem: &ConvProblem) -> [u64; 3] {
    [problem.input().span, problem.weight().span, problem.output().span]
}

/// The largest tensor, then all of them, then the work.
fn size(problem: &ConvProblem) -> [u64; 3] {
    let spans = spans(problem);
    let all = spans.iter().fold(0u64, |sum, &span| sum.saturating_add(span));
    [spans.into_iter().max().unwrap_or(0), all, problem.macs()]
}

/// Of the ways to halve a problem that of which the larger one is smallest; `None` where none makes it smaller.
fn best(problem: &ConvProblem, ways: Ways) -> Option<[ConvProblem; 2]> {
    let larger = |halves: &[ConvProblem; 2]| size(&halves[0]).max(size(&halves[1]));
    ways.into_iter().min_by_key(larger).filter(|halves| larger(halves) < size(problem))
}

fn halved(
    problem: &ConvProblem,
    whole: &dyn Fn(&ConvProblem) -> Result<Program, Cannot>,
    depth: u32,
) -> Option<Program> {
    let [first, second] = best(problem, problem.halves())?;
    let of = |half: &ConvProblem| match whole(half) {
        Err(why) if why.is_size() && depth > 1 => halved(half, whole, depth - 1),
        other => other.ok(),
    };
    Some(of(&first)?.then(of(&second)?))
}

/// Sums over some channels, or of a gradient by the weight over some images or cells at a time, added up by a last launch.
fn sums(
    problem: &ConvProblem,
    target: &Target,
    whole: &dyn Fn(&ConvProblem) -> Result<Program, Cannot>,
    count: &Count,
) -> Option<Program> {
    if !adds_up(problem, target) {
        return None;
    }
    let mut pieces = vec![problem.clone()];
    while (pieces.len() as u64) < MAX_SUMMANDS && count.passed().is_none() {
        // Others than before; but the tables were made.
        count.launches.set(0);
        let halves: Option<Vec<_>> = pieces.iter().map(|piece| best(piece, piece.summands())).collect();
        pieces = halves?.concat();
        let size = copy(problem);
        let copies = fold::copies(target, size, pieces.len() as u64).ok()?;
        let programs: Option<Vec<Program>> = (0..)
            .zip(&pieces)
            .map(|(i, piece)| {
                let piece = piece.as_sums(i * size);
                whole(&piece).ok().or_else(|| halved(&piece, whole, MAX_DEPTH))
            })
            .collect();
        if let Some(programs) = programs {
            return added_up(problem, target, programs, (size, copies));
        }
    }
    None
}

/// Whether sums over parts may be added up: they are kept in f32, in a binding for two at least, and folded once.
fn adds_up(problem: &ConvProblem, target: &Target) -> bool {
    problem.element() == Element::F32
        && !is_folded(problem)
        && binding_bytes(problem, problem.result()) <= binding_limit(target)
        && fold::copies(target, copy(problem), 2).is_ok()
}

/// Elements from one copy of the result to the next.
fn copy(problem: &ConvProblem) -> u64 {
    problem.result().len().next_multiple_of(STEP)
}

/// Programs whose results are copies of `size` elements of the sums of one, `copies` bytes in all.
fn added_up(
    problem: &ConvProblem,
    target: &Target,
    programs: Vec<Program>,
    (size, copies): (u64, u64),
) -> Option<Program> {
    let parts = programs.len() as u64;
    let mut all = programs.into_iter().fold(Program::default(), Program::then);
    for binding in all.launches.iter_mut().flat_map(|launch| &mut launch.bindings) {
        binding.buffer = match binding.buffer {
            Buffer::Result => Buffer::Workspace(0),
            Buffer::Workspace(i) => Buffer::Workspace(i + 1),
            other => other,
        };
    }
    all.workspace.insert(0, copies);
    let written = &problem.result().extents;
    fold::append(&mut all, problem, target, written, (fold::Parts::of(parts), size)).ok()?;
    Some(all)
}
