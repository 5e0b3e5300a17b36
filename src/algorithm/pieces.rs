//! A problem past a device's limits, as several within them: each is lowered by itself, and the launches are those of all.

use std::cell::Cell;

use super::shared::roles::is_folded;
use super::shared::{MAX_LAUNCHES, MAX_TABLE, binding_bytes, binding_limit, fold};
use super::{Resource, Unsupported};
use crate::problem::{ConvProblem, Element};
use crate::program::{Buffer, Program};
use crate::target::Target;

type Ways = Vec<[ConvProblem; 2]>;

/// Halvings of a problem: at most 2^10 pieces.
const MAX_DEPTH: u32 = 10;

/// Most words of the tables that are made for pieces: 32 MiB.
const MAX_WORDS: u64 = MAX_TABLE / 2;

/// Most sums over images or cells that are added up: one invocation does it.
const MAX_SUMMANDS: u64 = 64;

/// Elements, a multiple of which all bindings of f32 begin at.
const STEP: u64 = 64;

/// Lowers `problem`, or where its size forbids that, its pieces.
pub(super) fn lower(
    problem: &ConvProblem,
    target: &Target,
    whole: &dyn Fn(&ConvProblem) -> Result<Program, Unsupported>,
) -> Result<Program, Unsupported> {
    let why = match whole(problem) {
        Err(why) if is_size(&why) => why,
        other => return other,
    };
    if problem.result().is_empty() {
        return Ok(Program::default());
    }
    if !fits_buffers(problem, target) {
        return Err(why);
    }
    let count = Count::default();
    let whole = |piece: &ConvProblem| count.within(|| whole(piece));
    let program = match halved(problem, &whole, MAX_DEPTH) {
        // Sums of pieces are no fewer.
        None if count.passed().is_none() => sums(problem, target, &whole, &count),
        other => other,
    };
    let program = program.ok_or_else(|| count.passed().unwrap_or(why))?;
    let (bytes, limit) = (program.prepared, target.limits.max_buffer_bytes);
    if bytes > limit {
        return Err(Unsupported::BindingTooLarge { buffer: "prepared weights", bytes, limit });
    }
    Ok(program)
}

/// What the pieces that are lowered one after the other come to: past a limit, no further one is made.
#[derive(Default)]
struct Count {
    launches: Cell<u64>,
    words: Cell<u64>,
}

impl Count {
    fn within(&self, lower: impl Fn() -> Result<Program, Unsupported>) -> Result<Program, Unsupported> {
        self.passed().map_or(Ok(()), Err)?;
        let program = lower().inspect_err(|why| match why {
            // One alone is past it.
            Unsupported::Limit { resource, needed, .. } if resource.is_launches() => {
                self.launches.set(*needed)
            }
            _ => {}
        })?;
        let words: usize = program.tables.iter().map(|table| table.words.len()).sum();
        self.launches.update(|all| all + (program.launches.len() + program.prepare.len()) as u64);
        self.words.update(|all| all + words as u64);
        self.passed().map_or(Ok(program), Err)
    }

    /// The limit that they are past.
    fn passed(&self) -> Option<Unsupported> {
        let limits = [
            (Resource::LaunchesOfPieces, self.launches.get(), MAX_LAUNCHES),
            (Resource::TableWordsOfPieces, self.words.get(), MAX_WORDS),
        ];
        let (resource, needed, limit) = limits.into_iter().find(|(_, needed, limit)| needed > limit)?;
        Some(Unsupported::Limit { resource, needed, limit })
    }
}

/// What `of` says of `problem`, or where its size forbids it, of its first piece.
pub(super) fn of_first<T>(
    problem: &ConvProblem,
    target: &Target,
    of: &dyn Fn(&ConvProblem) -> Result<T, Unsupported>,
) -> Result<T, Unsupported> {
    let why = match of(problem) {
        Err(why) if is_size(&why) && fits_buffers(problem, target) => why,
        other => return other,
    };
    let ways = [ConvProblem::halves as fn(&_) -> Ways, ConvProblem::summands];
    for ways in ways.into_iter().take(if adds_up(problem, target) { 2 } else { 1 }) {
        let mut piece = problem.clone();
        for _ in 0..MAX_DEPTH {
            let Some([first, _]) = best(&piece, ways(&piece)) else { break };
            match of(&first) {
                Err(why) if is_size(&why) => piece = first,
                other => return other,
            }
        }
    }
    Err(why)
}

/// Whether a smaller problem may do without it.
fn is_size(why: &Unsupported) -> bool {
    match why {
        Unsupported::BindingTooLarge { .. }
        | Unsupported::IndexTooLarge { .. }
        | Unsupported::GridTooLarge { .. } => true,
        Unsupported::Limit { resource, .. } => *resource == Resource::TableWords,
        _ => false,
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
    whole: &dyn Fn(&ConvProblem) -> Result<Program, Unsupported>,
    depth: u32,
) -> Option<Program> {
    let [first, second] = best(problem, problem.halves())?;
    let of = |half: &ConvProblem| match whole(half) {
        Err(why) if is_size(&why) && depth > 1 => halved(half, whole, depth - 1),
        other => other.ok(),
    };
    Some(of(&first)?.then(of(&second)?))
}

/// Sums over some channels, or of a gradient by the weight over some images or cells at a time, added up by a last launch.
fn sums(
    problem: &ConvProblem,
    target: &Target,
    whole: &dyn Fn(&ConvProblem) -> Result<Program, Unsupported>,
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
