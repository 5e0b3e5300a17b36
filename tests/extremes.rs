//! Numbers at the edge of what a problem may hold: every algorithm plans or declines them at once, without touching memory
//! and without arithmetic that overflows. No device anywhere.

use std::time::{Duration, Instant};

use wgconv::internals::algorithm::{Config, DepthwiseConfig, DirectConfig, FftConfig};
use wgconv::internals::cpu::{CPU_ALGORITHMS, CpuPlan, CpuUnsupported};
use wgconv::internals::kernel::Tile;
use wgconv::internals::kernel::fft::Block;
use wgconv::internals::planner::Planner;
use wgconv::internals::program::{Features, Limits, Target};
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
        for algorithm in Algorithm::ALL {
            algorithm.suits(problem, &target);
            let configs = algorithm.candidates(problem, &target).unwrap_or_else(|_| unasked());
            programs += configs.iter().filter(|&&c| algorithm.lower(problem, &target, c).is_ok()).count();
        }
        let _ = Planner::new(target).choose(problem, None);
    }
    for algorithm in CPU_ALGORITHMS.iter().copied().map(Some).chain([None]) {
        let _ = CpuPlan::new(problem, algorithm).map(|plan| plan.workspace_bytes());
    }
    programs
}

fn unasked() -> Vec<Config> {
    let tile = Tile::ALL[0];
    vec![
        Config::Depthwise(DepthwiseConfig { channels: 1 }),
        Config::Direct(DirectConfig { tile_c: 1, tile_x: 1, lanes: 1 }),
        Config::ImplicitGemm(tile),
        Config::Im2colGemm(tile),
        Config::Fft(FftConfig { block: Block([1, 1, 16]), outer: [1; 3] }),
    ]
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
        CpuPlan::new(&problem, Some(Algorithm::Fft)).expect_err("no memory holds it")
    };
    let steps = Conv::default().stride(1 << 20).padding([(1 << 21, (1 << 21) + 65_535); 3]);
    let side = 65_536;
    let got = declined(&[1, 1, 1, 1, 1], &[1, 1, side, side, side], &steps);
    assert_eq!(got, CpuUnsupported::Taps { taps: 1 << 48, limit: 1 << 26 });
    let line = declined(&[1, 1, 1 << 40], &[1, 1, 1 << 40], &Conv::default());
    assert_eq!(line, CpuUnsupported::Taps { taps: 1 << 40, limit: 1 << 26 });
    let back = Conv::default().direction(Direction::GradInput).stride(1 << 39);
    let phases = declined(&[1, 1, 1 << 40], &[1, 1, 1], &back);
    assert_eq!(phases, CpuUnsupported::Phases { phases: 1 << 39, limit: 1 << 12 });
    // Few cells, but a tap in so many that one has to be found for each.
    let sparse = Conv::default().direction(Direction::GradInput).stride((1 << 40) + 1).dilation(3);
    let padding = [(1usize << 42, 1isize << 42)];
    let problem =
        ConvProblem::new(&[1, 1, 10], &[1, 1, 1 << 40], &sparse.padding(padding)).expect("a problem");
    let start = Instant::now();
    ask_all(&problem);
    assert!(start.elapsed() < Duration::from_millis(250), "{:?}", start.elapsed());
}
