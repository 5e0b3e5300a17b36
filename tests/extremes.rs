//! Numbers at the edge of what a problem may hold: every algorithm plans or declines them at once, without touching memory
//! and without arithmetic that overflows. No device anywhere.

use std::time::{Duration, Instant};
use wgconv::Reason;
use wgconv::{Cannot, Resource};

use wgconv::internals::cpu::CpuPlan;
use wgconv::internals::implementation::PlanContext;
use wgconv::internals::kernel::{DirectParams, Kernel, Params, SpecValue};
use wgconv::internals::planner::{Choice, Planner};
use wgconv::internals::program::{Buffer, Launch, Table};
use wgconv::internals::target::{Features, Limits, Target};
use wgconv::{
    Algorithm, Boundary, Conv, ConvProblem, Direction, Element, Layout, Layouts, Padding, Rounding,
};

const DIRECTIONS: [Direction; 3] = [Direction::Forward, Direction::GradInput, Direction::GradWeight];

/// A device with every optional ability and roomy limits, and one of WebGPU's.
fn targets() -> [Target; 2] {
    let limits = Limits { max_binding_bytes: 1 << 31, max_buffer_bytes: 1 << 40, ..Limits::default() };
    let features = Features { f16: true, ..Features::default() };
    [Target { limits, features, ..Target::default() }, Target::default()]
}

/// Asks everything that a planner asks of every algorithm, and lowers what has no candidates too. Gives how many programs came
/// of it.
fn ask_all(problem: &ConvProblem) -> usize {
    let mut programs = 0;
    for target in targets() {
        for algorithm in Algorithm::on_gpu() {
            let context = PlanContext::new(target.clone());
            let candidates = algorithm.plan(problem, &context).unwrap_or_default();
            programs +=
                candidates.iter().filter(|candidate| candidate.lower(problem, &context).is_ok()).count();
        }
        let _ = Planner::new(target).choose(problem, None);
    }
    for &algorithm in Algorithm::on_cpu() {
        let _ = CpuPlan::new(problem, algorithm).map(|plan| plan.workspace_bytes());
    }
    programs
}

/// Cells of the input that a stride parts are phases: as many as it steps over, which no algorithm may list unasked.
#[test]
fn phases_are_counted_before_they_are_made() {
    let large = 1usize << 40;
    let back = || Conv::default().direction(Direction::GradInput);
    let wrap = || Padding::Explicit(vec![(1, 1)]);
    for (name, x, w, conv) in [
        ("one row", vec![1, 1, large], vec![1, 1, 1], back().stride(large)),
        ("of channels", vec![2, 64, large], vec![64, 64, 1], back().stride(large)),
        ("grouped", vec![2, 64, large], vec![64, 1, 1], back().stride(large).groups(64)),
        ("dilated", vec![2, 64, large], vec![64, 1, 3], back().stride(large / 8).dilation(3).groups(64)),
        (
            "folded",
            vec![1, 1, large],
            vec![1, 1, 3],
            back().stride(large / 4).padding(wrap()).boundary(Boundary::Wrap),
        ),
        ("in 31 bits", vec![1, 1, 1 << 30], vec![1, 1, 1], back().stride(1 << 30)),
        ("more than tables hold", vec![1, 16, 1 << 24], vec![16, 16, 1], back().stride(1 << 24)),
        ("each way", vec![1, 1, 1 << 18, 1 << 18, 1 << 18], vec![1, 1, 1, 1, 1], back().stride(1 << 18)),
        (
            "taps of positions",
            vec![1, 1, large],
            vec![1, 1, 1, large],
            Conv::default().unshared(true).direction(Direction::GradWeight),
        ),
        ("taps", vec![1, 16, large], vec![16, 16, large], Conv::default()),
    ] {
        let problem = ConvProblem::new(&x, &w, &conv).expect(name);
        let start = Instant::now();
        assert_eq!(ask_all(&problem), 0, "{name}");
        // Less than a millisecond where nothing else runs. Lists of these lengths would take seconds, if not all memory.
        let took = start.elapsed();
        println!("{name}: {took:?}");
        assert!(took < Duration::from_millis(250), "{name}: {took:?}");
    }
}

/// A step along an axis of one place is never taken, and may be any number.
#[test]
fn steps_that_are_never_taken_may_be_of_any_size() {
    let strides = |far: u64| Layout::Strides(vec![1, 1, far, 1]);
    for far in [1 << 62, (1 << 63) - 1, 1 << 63, u64::MAX] {
        for direction in DIRECTIONS {
            for flip in [false, true] {
                let layouts = Layouts { input: strides(far), weight: strides(far), output: strides(far) };
                let layouts_of_x = Layouts { input: strides(far), ..Layouts::default() };
                let conv = Conv::default().flip(flip).direction(direction);
                let tall = conv.clone().padding([(2, 2), (0, 0)]).dilation([2, 1]).layouts(layouts_of_x);
                let tall = ConvProblem::new(&[1, 1, 1, 8192], &[1, 1, 3, 3], &tall).expect("a problem");
                assert!(ask_all(&tall) > 0, "{tall:?}");
                let flat = ConvProblem::new(&[1, 1, 1, 8192], &[1, 1, 1, 3], &conv.layouts(layouts))
                    .expect("a problem");
                assert!(ask_all(&flat) > 0, "{flat:?}");
            }
        }
    }
}

/// Numbers below a bound, the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[usize::try_from(self.below(values.len() as u64)).expect("an index")]
    }

    fn stride(&mut self, extent: usize) -> u64 {
        if extent > 1 {
            return self.of(&[1, 3, 1 << 10, 1 << 20, 1 << 31, 1 << 40, 1 << 50]);
        }
        self.of(&[0, 1, 1 << 31, 1 << 62, 1 << 63, u64::MAX])
    }

    fn layout(&mut self, extents: &[usize]) -> Layout {
        match self.below(4) {
            0 => Layout::Ncx,
            1 => Layout::Nxc,
            _ => Layout::Strides(extents.iter().map(|&extent| self.stride(extent)).collect()),
        }
    }

    /// Most of these are no problem.
    fn problem(&mut self) -> Option<ConvProblem> {
        let rank = 1 + usize::try_from(self.below(3)).expect("a rank");
        let extents = [1, 1, 1, 2, 3, 8, 17, 64, 8192, 1 << 20, 1 << 31, 1 << 40];
        let unshared = self.below(8) == 0;
        let groups = self.of(&[1, 1, 2, 16]);
        let (c, q) = (groups * self.of(&[1, 1, 3, 16]), groups * self.of(&[1, 1, 3, 16]));
        let x: Vec<usize> =
            [self.of(&[0, 1, 1, 3]), c].into_iter().chain((0..rank).map(|_| self.of(&extents))).collect();
        let kernel: Vec<usize> =
            (0..rank).map(|_| self.of(&[1, 1, 2, 3, 5, 9, 40, 1 << 20, 1 << 31])).collect();
        let sizes = [1usize, 1, 1, 2, 3, 7, 1 << 10, 1 << 31, 1 << 40, 1 << 62];
        let direction = self.of(&DIRECTIONS);
        let mut conv = Conv::default()
            .stride((0..rank).map(|_| self.of(&sizes)).collect::<Vec<_>>())
            .dilation((0..rank).map(|_| self.of(&sizes)).collect::<Vec<_>>())
            .groups(groups)
            .flip(self.below(2) == 0)
            .unshared(unshared)
            .rounding(self.of(&[Rounding::Floor, Rounding::Ceil]))
            .element(self.of(&[Element::F32, Element::F16]))
            .boundary(self.of(&[
                Boundary::Zero,
                Boundary::Zero,
                Boundary::Wrap,
                Boundary::Mirror,
                Boundary::Constant(1.0),
            ]))
            .direction(direction);
        let pads = [0u64, 0, 1, 2, 100, 1 << 31, 1 << 40];
        let ends = [0i64, 0, 1, 2, 100, 1 << 31, 1 << 40, -1, -100];
        let pads = (0..rank).map(|_| (self.of(&pads), self.of(&ends))).collect();
        conv = conv.padding(match self.below(3) {
            0 => Padding::Valid,
            1 => Padding::Same,
            _ => Padding::Explicit(pads),
        });
        let shape_of_w = |y: &[u64]| {
            let positions = y.iter().filter(|_| unshared).map(|&e| usize::try_from(e).expect("an extent"));
            [q].into_iter()
                .chain(positions)
                .chain([c / groups])
                .chain(kernel.iter().copied())
                .collect::<Vec<_>>()
        };
        // The output's extents follow from the kernel's.
        let shared = ConvProblem::new(
            &x,
            &[vec![q, c / groups], kernel.clone()].concat(),
            &conv.clone().unshared(false),
        )
        .ok()?;
        let y: Vec<usize> = shared.output().shape();
        let w = shape_of_w(&shared.output().extents[2..]);
        let layouts = Layouts { input: self.layout(&x), weight: self.layout(&w), output: self.layout(&y) };
        ConvProblem::new(&x, &w, &conv.layouts(layouts)).ok()
    }
}

fn no_arithmetic_overflows(tries: usize) {
    let (mut dice, mut problems, mut programs) = (Dice(1), 0, 0usize);
    for _ in 0..tries {
        let Some(problem) = dice.problem() else { continue };
        // Long lists are slow to make, and no matter here.
        let phases: u64 = problem.axes().iter().map(|axis| axis.stride.min(axis.input) + axis.kernel).sum();
        if !(1 << 16..=1 << 30).contains(&phases) {
            problems += 1;
            programs += ask_all(&problem);
        }
    }
    println!("{problems} problems, {programs} programs");
    assert!(problems > tries / 8 && programs > tries / 8);
}

#[test]
fn no_arithmetic_of_a_plan_overflows() {
    no_arithmetic_overflows(1_000);
}

#[test]
#[ignore = "full"]
fn no_arithmetic_of_a_plan_overflows_in_many_tries() {
    no_arithmetic_overflows(8_000);
}

/// Transforms whose tiles would hold more than any memory, or be more than can be counted, are not planned.
#[test]
fn tiles_that_no_memory_holds_are_declined() {
    let declined = |x: &[usize], w: &[usize], conv: &Conv| {
        let problem = ConvProblem::new(x, w, conv).expect("a problem");
        ask_all(&problem);
        CpuPlan::new(&problem, Algorithm::Fft).expect_err("no memory holds it")
    };
    let limit = |resource, needed, limit| Cannot::Limit { resource, needed, limit };
    let steps = Conv::default().stride(1 << 20).padding([(1 << 21, (1 << 21) + 65_535); 3]);
    let side = 65_536;
    let got = declined(&[1, 1, 1, 1, 1], &[1, 1, side, side, side], &steps);
    assert_eq!(got, limit(Resource::TilePoints, 1 << 48, 1 << 26));
    let line = declined(&[1, 1, 1 << 40], &[1, 1, 1 << 40], &Conv::default());
    assert_eq!(line, limit(Resource::TilePoints, 1 << 40, 1 << 26));
    let back = Conv::default().direction(Direction::GradInput).stride(1 << 39);
    let phases = declined(&[1, 1, 1 << 40], &[1, 1, 1], &back);
    assert_eq!(phases, limit(Resource::SubImages, 1 << 39, 1 << 12));
    // Few cells, but a tap in so many that one has to be found for each.
    let sparse = Conv::default().direction(Direction::GradInput).stride((1 << 40) + 1).dilation(3);
    let padding = [(1usize << 42, 1isize << 42)];
    let problem =
        ConvProblem::new(&[1, 1, 10], &[1, 1, 1 << 40], &sparse.padding(padding)).expect("a problem");
    let start = Instant::now();
    ask_all(&problem);
    assert!(start.elapsed() < Duration::from_millis(250), "{:?}", start.elapsed());
}

/// Problems whose kernels, steps, paddings and batches are out of all proportion to each other.
fn lopsided(dice: &mut Dice) -> Option<ConvProblem> {
    let rank = 1 + usize::try_from(dice.below(3)).expect("a rank");
    let direction = dice.of(&DIRECTIONS);
    let groups = dice.of(&[1, 1, 1, 2, 64]);
    let (c, q) = (groups * dice.of(&[1, 1, 2, 16]), groups * dice.of(&[1, 1, 3, 8]));
    let images = dice.of(&[1, 1, 1, 2, 1 << 10, 1 << 20]);
    let extents: Vec<usize> = (0..rank).map(|_| dice.of(&[1, 1, 1, 2, 5, 64, 1000, 1 << 20])).collect();
    let kernel: Vec<usize> = (0..rank).map(|_| dice.of(&[1, 1, 2, 3, 7, 100, 1 << 12, 1 << 20])).collect();
    let steps = [1usize, 1, 1, 2, 3, 64, 1 << 10, 1 << 20, (1 << 20) + 1, 1 << 32];
    let pads = [0usize, 0, 1, 100, 1 << 12, 1 << 20, (1 << 20) + 7, 1 << 28];
    let [stride, dilation] = [0, 1].map(|_| (0..rank).map(|_| dice.of(&steps)).collect::<Vec<_>>());
    // As often as not no more than makes an output: of many that are drawn, few are problems otherwise.
    let padding = (0..rank)
        .map(|axis| {
            let reach = (kernel[axis] - 1).saturating_mul(dilation[axis]).saturating_add(1);
            let least = reach.saturating_sub(extents[axis]);
            let (before, after) = (dice.of(&pads), dice.of(&pads));
            let after = if dice.below(2) == 0 { least.saturating_sub(before) } else { after };
            (before as u64, after as i64)
        })
        .collect();
    let boundaries = [
        Boundary::Zero,
        Boundary::Zero,
        Boundary::Zero,
        Boundary::Wrap,
        Boundary::Nearest,
        Boundary::Reflect,
        Boundary::Constant(1.0),
    ];
    let conv = Conv::default()
        .stride(stride)
        .dilation(dilation)
        .padding(Padding::Explicit(padding))
        .groups(groups)
        .flip(dice.below(2) == 0)
        .boundary(dice.of(&boundaries))
        .direction(direction);
    let x = [vec![images, c], extents].concat();
    ConvProblem::new(&x, &[vec![q, c / groups], kernel].concat(), &conv).ok()
}

/// About how many pairs of an output and a tap along an axis meet the input: summed over at most so many outputs.
fn pairs_inside(axis: &wgconv::internals::problem::Axis, samples: i128) -> f64 {
    let [input, kernel, output, stride, dilation, pad] =
        [axis.input, axis.kernel, axis.output, axis.stride, axis.dilation, axis.pad_begin].map(i128::from);
    let ceil = |a: i128, b: i128| -(-a).div_euclid(b);
    // Outputs of which any tap may be inside.
    let first = ceil(pad - (kernel - 1) * dilation, stride).clamp(0, output);
    let last = ceil(pad + input, stride).clamp(first, output);
    let (count, step) = (last - first, ceil(last - first, samples).max(1));
    let of = |o: i128| {
        let at = o * stride - pad;
        let from = ceil(-at, dilation).clamp(0, kernel);
        (ceil(input - at, dilation).clamp(from, kernel) - from) as f64
    };
    let taken: Vec<f64> =
        (0..count).step_by(usize::try_from(step).expect("few")).map(|i| of(first + i)).collect();
    taken.iter().sum::<f64>() * count as f64 / taken.len().max(1) as f64
}

/// Multiply-adds with what there is, operands and results, roughly.
fn counted(problem: &ConvProblem) -> f64 {
    let boundary = problem.boundary();
    let everywhere =
        boundary.repeats() || problem.direction() != Direction::GradInput && boundary != Boundary::Zero;
    let of = |axis: &wgconv::internals::problem::Axis| {
        if everywhere { axis.output as f64 * axis.kernel as f64 } else { pairs_inside(axis, 1 << 10) }
    };
    let planes = problem.n() as f64 * problem.c_out() as f64 * (problem.c_in() / problem.groups()) as f64;
    let elements = [problem.input(), problem.weight(), problem.output()].map(|tensor| tensor.len() as f64);
    problem.axes().iter().map(of).product::<f64>() * planes + elements.iter().sum::<f64>()
}

/// What the loops of a launch go through, roughly.
fn steps(launch: &Launch, tables: &[Table]) -> f64 {
    let groups: f64 = launch.grid.0.iter().map(|&n| f64::from(n)).product();
    let product = |numbers: &[u32]| numbers.iter().map(|&n| f64::from(n)).product::<f64>();
    let value = |wanted: &str| match launch.spec.values().iter().find(|(name, _)| *name == wanted) {
        Some((_, SpecValue::U32(value))) => *value,
        _ => 1,
    };
    match &launch.params {
        Params::Direct(p) => {
            let Some(Buffer::Table(table)) = launch.bindings.get(4).map(|binding| binding.buffer) else {
                return 0.0;
            };
            direct_steps(p, value("TILE_X").into(), &tables[table].words)
        }
        Params::Gemm(p) if launch.kernel == Kernel::Im2col => f64::from(p.counts[3]) * 8.0,
        Params::Gemm(p) => product(&[p.counts[0], p.counts[1], p.chunk[2], p.tiles[2]]),
        Params::Pack(p) => f64::from(p.counts[0]) * 4.0,
        Params::Fold(p) => product(&p.counts[..2]),
        // Columns of eight rows by every invocation in use, for all taps: of phases, which have as many cells, on average.
        Params::Depthwise(p) => {
            let taps = |axis: usize, phases: u32| {
                let row = |i: u32| tables[0].words[(p.rows[axis] + 5 * i) as usize];
                (0..phases).map(row).map(f64::from).sum::<f64>() / f64::from(phases.max(1))
            };
            let [x, y, z, _] = p.phases;
            let taps = taps(0, z) * taps(1, y) * taps(2, x);
            groups * product(&[p.counts[1], p.counts[3], p.channel[1]]) * taps * 8.0
        }
        Params::DepthwiseWeight(p) => product(&[p.counts[2], p.counts[1], p.work.radix[3]]) * 8.0 * 8.0,
        // Samples of a block.
        // Of every bin: rows, pairs of columns, products.
        Params::FftGemm(p) => {
            let bins = p.counts[0] / (p.counts[1] * p.counts[2]).max(1);
            product(&[bins, p.size[0], p.size[1], p.counts[3]]) * 2.0
        }
        _ => groups * product(&[value("PAIRS"), value("TZ"), value("TY"), value("TX")]),
    }
}

/// Of the direct kernel: the taps of every tile along each axis, from the first to the last inside where it looks for them.
fn direct_steps(p: &DirectParams, tile_x: i64, table: &[u32]) -> f64 {
    let signed = |word: u32| i64::from(word as i32);
    let along = |axis: usize| {
        let (tiles, per_phase) = (p.tile_count[axis], p.phase_tiles[axis]);
        let (stride, step) = (signed(p.stride[axis]), signed(p.dilation[axis]));
        let extent = i64::from(p.a_extent[axis]);
        let size = if axis == 2 { tile_x } else { 1 };
        let of = |tile: u32| {
            let row = (p.rows[axis] + tile / per_phase * 5) as usize;
            let (taps, pad, cells) =
                (i64::from(table[row]), signed(table[row + 1]), i64::from(table[row + 4]));
            let cell = i64::from(tile % per_phase) * size;
            if p.epilogue[3] & 1 << axis == 0 || cell >= cells {
                return taps as f64;
            }
            let inside = |cell: i64| {
                let at = cell * stride - pad;
                let (low, high) = if step > 0 { (-at, extent - at) } else { (at - extent + 1, at + 1) };
                let ceil = |a: i64| -(-a).div_euclid(step.abs());
                let from = ceil(low).clamp(0, taps);
                (from, ceil(high).clamp(from, taps))
            };
            let (one, other) = (inside(cell), inside((cell + size - 1).min(cells - 1)));
            (one.1.max(other.1) - one.0.min(other.0)) as f64
        };
        let every = tiles.div_ceil(1 << 12).max(1);
        let taken: Vec<f64> = (0..tiles).step_by(every as usize).map(of).collect();
        taken.iter().sum::<f64>() * f64::from(tiles) / taken.len().max(1) as f64
    };
    let others = f64::from(p.tile_count[3]) * f64::from(p.channel_tiles[1]) * f64::from(p.a_extent[3].max(1));
    along(0) * along(1) * along(2) * others + f64::from(p.parts[0])
}

/// What a plan's loops go through at most for what counts: 64 times, and what tiles of rows, columns and channels hang over.
const STEPS: f64 = 512.0;

/// Words of the host's tables beside those that count, for one problem and on average.
const WORDS: [usize; 2] = [1 << 24, 1 << 17];

/// Nearly nothing of what is drawn here is in proportion. What is planned is, in the work of its launches and in its tables, and
/// what would not be is declined, before it is made.
fn what_is_planned_is_in_proportion(tries: usize) {
    let (mut dice, mut problems, mut planned, mut words) = (Dice(7), 0, [0usize; 5], 0usize);
    let (mut declined, mut worst, start) = (0, 0f64, Instant::now());
    while problems < tries {
        let Some(problem) = lopsided(&mut dice) else { continue };
        problems += 1;
        let out_of_proportion = |(_, why): &(Algorithm, Reason)| match why {
            Reason::Cannot(Cannot::OutOfProportion { steps, counted }) => steps > counted,
            _ => false,
        };
        let made = Planner::new(targets()[problems % 2].clone()).choose(&problem, None);
        let reasons = made.as_ref().map_or_else(|all| all.reasons.clone(), Choice::declined);
        declined += usize::from(reasons.iter().any(out_of_proportion));
        let Ok(choice) = made else { continue };
        let which = Algorithm::on_gpu().iter().position(|&a| a == choice.algorithm).expect("one of them");
        planned[which] += 1;
        let (program, counted) = (&choice.program, counted(&problem));
        let of_tables: usize = program.tables.iter().map(|table| table.words.len()).sum();
        words += of_tables;
        assert!(of_tables as f64 <= 4.0 * counted + WORDS[0] as f64, "{of_tables} words: {problem:?}");
        let launches = program.prepare.iter().chain(&program.launches);
        let steps: f64 = launches.map(|launch| steps(launch, &program.tables)).sum();
        // What is over in a moment is not worth a thought.
        let ratio = steps / (counted + 65_536.0);
        assert!(ratio <= STEPS, "{steps:e} steps for {counted:e} by {}: {problem:?}", choice.algorithm);
        worst = worst.max(ratio);
    }
    println!(
        "{planned:?} planned, {declined} out of proportion, {words} words, {worst}, {:?}",
        start.elapsed()
    );
    assert!(words <= WORDS[1] * problems, "{words} words");
    let several = planned.iter().filter(|&&n| n > tries / 500).count() >= 3;
    assert!(several && declined > tries / 1000, "{planned:?}, {declined}");
}

#[test]
fn what_is_planned_of_some_problems_is_in_proportion() {
    what_is_planned_is_in_proportion(1_000);
}

#[test]
#[ignore = "full"]
fn what_is_planned_of_many_problems_is_in_proportion() {
    what_is_planned_is_in_proportion(10_000);
}
