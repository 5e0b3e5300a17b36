//! Kernels, strides and paddings of which most taps meet nothing: loops that begin at the first tap inside and end at the last.
#![cfg(feature = "gpu")]

use crate::common::device::{any_gpu, run_guarded};
use crate::common::plans::{self, candidates, lower};
use crate::common::usual::{is_short, usual_choice};
use wgconv::internals::cpu::reference;
use wgconv::internals::gpu::GpuPlan;
use wgconv::internals::kernel::Params;
use wgconv::{Algorithm, Conv, ConvProblem, Direction, Layout, Layouts, PlanOptions};
use wgconv_testing::{Data, Tally, Tier, exact, gpu_for};

const DIRECTIONS: [Direction; 3] = [Direction::Forward, Direction::GradInput, Direction::GradWeight];

/// Name, input, weight, parameters.
type Row = (&'static str, &'static [usize], &'static [usize], Conv);

fn rows() -> Vec<Row> {
    let conv = Conv::default;
    let last = Layouts { input: Layout::Nxc, weight: Layout::Nxc, output: Layout::Nxc };
    vec![
        ("padding of twenty inputs", &[1, 1, 60], &[2, 1, 50], conv().padding(1000)),
        ("on one side", &[2, 1, 50], &[1, 1, 90], conv().padding([(700, 90)])),
        ("flipped", &[1, 2, 5, 10], &[2, 2, 12, 3], conv().padding([(20, 15), (1, 40)]).flip(true)),
        ("dilated", &[1, 1, 40], &[2, 1, 30], conv().padding([(300, 411)]).dilation(7)),
        ("strided", &[1, 3, 40], &[4, 3, 50], conv().padding(400).stride(3)),
        ("strided and dilated", &[1, 2, 61], &[2, 2, 45], conv().padding([(501, 320)]).stride(4).dilation(6)),
        ("a stride past the input", &[1, 1, 20], &[1, 1, 200], conv().padding([(1000, 990)]).stride(64)),
        ("one cell", &[2, 2, 1, 1], &[2, 2, 11, 11], conv().padding(10)),
        ("rows of padding", &[1, 1, 30, 4], &[2, 1, 30, 1], conv().padding([(0, 0), (200, 300)])),
        ("three axes", &[1, 1, 2, 1, 3], &[2, 1, 5, 7, 6], conv().padding([(4, 5), (6, 9), (12, 5)])),
        ("slices", &[1, 1, 2, 3, 1], &[1, 1, 9, 3, 1], conv().padding([(30, 30), (0, 0), (0, 0)])),
        (
            "channels innermost",
            &[1, 4, 3, 8],
            &[4, 4, 5, 12],
            conv().padding([(4, 4), (30, 9)]).layouts(last),
        ),
        ("groups", &[2, 4, 33], &[8, 2, 60], conv().padding([(150, 170)]).groups(2).stride(2)),
        ("weights per position", &[1, 2, 3], &[2, 17, 2, 7], conv().padding([(10, 10)]).unshared(true)),
    ]
}

fn sparse(tier: Tier) {
    let Some(device) = any_gpu() else { return };
    let target = device.gpu().expect("a GPU device").target();
    let all: Vec<_> =
        rows().into_iter().flat_map(|row| DIRECTIONS.map(|direction| (row.clone(), direction))).collect();
    let (mut tally, mut looked_for) = (Tally::default(), [0; 3]);
    for ((name, x, w, conv), direction) in all {
        let problem = ConvProblem::new(x, w, &conv.direction(direction)).expect(name);
        let data = Data::ints(&problem, 5);
        let want = reference::run(&problem, &data.operands());
        let configs = candidates(Algorithm::Direct, &problem, target).expect("direct takes it");
        let choice = |config| {
            let algorithm = Algorithm::Direct;
            let program = lower(algorithm, &problem, target, &config).expect("a candidate lowers");
            plans::choice(algorithm, &problem, config, program)
        };
        let short =
            if is_short(tier, target) { usual_choice(Algorithm::Direct, &problem, target) } else { None };
        let most = if tier == Tier::Quick { 1 } else { usize::MAX };
        for choice in short.into_iter().chain(configs.into_iter().map(choice)).take(most) {
            for launch in &choice.program.launches {
                let Params::Direct(block) = &launch.params else { continue };
                for (axis, count) in looked_for.iter_mut().enumerate() {
                    *count += block.epilogue[3] >> axis & 1;
                }
            }
            let what = format!("{name}, {direction:?} ({})", choice.config);
            let device = gpu_for(&choice.config.to_string());
            let gpu = device.gpu().expect("a GPU device");
            let plan =
                pollster::block_on(GpuPlan::new(gpu, choice, &PlanOptions::default())).expect("a plan");
            let verdict = run_guarded(&plan, &data).and_then(|got| exact(&what, got.view(), want.view()));
            tally.check(verdict);
        }
    }
    tally.finish("GPU direct, taps that meet nothing");
    assert!(looked_for.iter().all(|&count| count >= 3), "{looked_for:?}");
}

#[test]
fn taps_that_meet_nothing_are_left_out() {
    sparse(Tier::Quick);
}

#[test]
#[ignore = "full"]
fn taps_that_meet_nothing_are_left_out_in_every_configuration() {
    sparse(Tier::full());
}
