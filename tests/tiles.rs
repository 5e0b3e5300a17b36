//! Which tiles matrix products take, into how many parts their sums are cut, and where they stand back behind sums straight from
//! the operands: no device anywhere.

use std::collections::BTreeSet;

use crate::common::shapes::{Shape, roomy as device};
use wgconv::internals::kernel::{Params, Tile};
use wgconv::internals::planner::{Choice, Planner};
use wgconv::internals::target::{DeviceClass, Limits, Target};
use wgconv::{Algorithm, Conv, ConvProblem, Direction};

const DIRECTIONS: [Direction; 3] = [Direction::Forward, Direction::GradInput, Direction::GradWeight];

/// Invocations that keep a compute unit busy.
const BUSY: u64 = 512;

fn problem(x: &[usize], w: &[usize], conv: &Conv) -> ConvProblem {
    ConvProblem::new(x, w, conv).expect("a problem")
}

fn same() -> Conv {
    Conv::default().padding(wgconv::Padding::Same)
}

fn choose(target: &Target, problem: &ConvProblem) -> Choice {
    Planner::new(target.clone()).choose(problem, Some(Algorithm::ImplicitGemm)).expect("a choice")
}

fn tile(choice: &Choice) -> String {
    let Tile { rows, columns, depth, .. } = choice.config.get::<Tile>().expect("of a product");
    format!("{rows}x{columns}x{depth}")
}

/// Of every launch that multiplies: invocations with all parts of its sums, and those parts.
fn launched(choice: &Choice) -> Vec<(u64, u64)> {
    let tile = *choice.config.get::<Tile>().expect("of a product");
    let of = |params: &Params| match params {
        Params::Gemm(p) if p.tiles[3] > 0 => {
            let workgroups: u64 = p.tiles.iter().map(|&n| u64::from(n)).product();
            Some((workgroups * u64::from(tile.invocations()), u64::from(p.tiles[3])))
        }
        _ => None,
    };
    choice.program.launches.iter().filter_map(|launch| of(&launch.params)).collect()
}

#[test]
fn large_tiles_where_the_device_is_filled() {
    for units in [16, 32, 64] {
        let of = |x: &[usize], w: &[usize]| {
            let choice = choose(&device(units), &problem(x, w, &same()));
            (tile(&choice), launched(&choice)[0].1)
        };
        for (n, extent) in [(16, 56), (32, 56), (16, 28), (32, 28)] {
            let got = of(&[n, 256, extent, extent], &[256, 256, 3, 3]);
            assert_eq!(got, ("128x128x16".to_owned(), 1), "{n} x {extent}, {units} units");
        }
        assert_eq!(of(&[32, 64, 56, 56], &[64, 64, 3, 3]), ("64x128x16".to_owned(), 1));
        assert_eq!(of(&[32, 32, 56, 56], &[32, 32, 3, 3]), ("32x128x16".to_owned(), 1));
    }
    // Where workgroup memory is what WebGPU guarantees.
    let limits = Limits { max_workgroup_bytes: 16 << 10, ..device(32).limits };
    let small = Target { limits, ..device(32) };
    assert_eq!(tile(&choose(&small, &problem(&[16, 256, 28, 28], &[256, 256, 3, 3], &same()))), "128x128x8");
}

#[test]
fn small_tiles_where_results_are_few() {
    for (x, w) in
        [([1, 64, 7, 7], [64, 64, 3, 3]), ([1, 512, 7, 7], [512, 512, 3, 3]), ([1, 16, 8, 8], [16, 16, 3, 3])]
    {
        let tile = tile(&choose(&device(32), &problem(&x, &w, &same())));
        assert!(["32x64x16", "64x64x16"].contains(&&*tile), "{x:?} by {w:?}: {tile}");
    }
}

/// No tile is there for nothing.
#[test]
fn every_tile_is_the_first_choice_of_some_problem() {
    let mut seen = BTreeSet::new();
    for rows in [16, 32, 64, 96, 128, 192, 256] {
        for columns in [49, 64, 100, 196, 784, 1216, 3136, 50_176] {
            for channels in [16, 64, 512] {
                let problem = problem(&[1, channels, columns], &[rows, channels, 3], &same());
                seen.insert(tile(&choose(&device(32), &problem)));
            }
        }
    }
    let wanted = ["128x128x16", "32x128x16", "32x64x16", "64x128x16", "64x64x16"];
    for tile in wanted {
        assert!(seen.contains(tile), "{tile} is not among {seen:?}");
    }
}

/// Where results alone do not fill the device, their sums are cut until their parts do, each of 128 products at least.
#[test]
fn sums_are_cut_until_invocations_fill_the_device() {
    let weights = same().direction(Direction::GradWeight);
    for units in [8, 32, 128] {
        let choice = choose(&device(units), &problem(&[32, 128, 28, 28], &[128, 128, 3, 3], &weights));
        assert_eq!(tile(&choice), "128x128x16", "{units} units");
        let [(invocations, parts)] = launched(&choice)[..] else { panic!("one product") };
        assert!(invocations >= u64::from(units) * BUSY, "{units} units: {invocations}, {parts} parts");
        assert!(invocations - invocations / parts < u64::from(units) * BUSY, "{units} units: {parts} parts");
    }
    // 576 products are four parts.
    let few = choose(&device(64), &problem(&[1, 64, 7, 7], &[64, 64, 3, 3], &same()));
    assert_eq!(launched(&few)[0].1, 4);
}

/// Phases of a stride run one after the other, so each has to fill the device by itself, or more than half of it where the rest is
/// not worth the copies.
#[test]
fn each_phase_of_a_stride_fills_the_device() {
    let conv = Conv::default().padding(1).stride(2).direction(Direction::GradInput);
    let choice = choose(&device(32), &problem(&[1, 256, 14, 14], &[4096, 256, 3, 3], &conv));
    let launched = launched(&choice);
    assert_eq!(launched.len(), 4);
    for (invocations, parts) in launched {
        assert!(invocations * 2 >= 32 * BUSY, "{invocations}, {parts} parts");
    }
}

/// What is guessed of a device whose compute units are not known.
#[test]
fn unknown_devices_have_as_many_units_as_their_class() {
    let units = |device_class| Target { device_class, ..Target::default() }.units();
    let classes = [DeviceClass::Discrete, DeviceClass::Integrated, DeviceClass::Unknown];
    assert_eq!(classes.map(units), [64, 12, 32]);
    assert_eq!(device(7).units(), 7);
    assert_eq!(device(0).units(), 1);
}

/// How many times the true products the tile has that has fewest, with what hangs over.
fn padded(problem: &ConvProblem) -> f64 {
    let axes = problem.axes();
    let along = |of: &dyn Fn(&wgconv::Axis) -> u64| axes.iter().map(of).product::<u64>();
    let (c_in, c_out) = (problem.c_in() / problem.groups(), problem.c_out() / problem.groups());
    let [rows, columns, products] = match problem.direction() {
        Direction::Forward => [c_out, problem.n() * along(&|a| a.output), c_in * along(&|a| a.kernel)],
        Direction::GradWeight => [c_out, c_in * along(&|a| a.kernel), problem.n() * along(&|a| a.output)],
        Direction::GradInput => [
            c_in,
            problem.n() * along(&|a| a.input.div_ceil(a.stride)),
            c_out * along(&|a| a.kernel.div_ceil(a.stride)),
        ],
    };
    let over = |count: u64, tile: u32| count.next_multiple_of(tile.into()) as f64 / count as f64;
    let of = |tile: Tile| over(rows, tile.rows) * over(columns, tile.columns) * over(products, tile.depth);
    Tile::ALL.into_iter().map(of).fold(f64::INFINITY, f64::min)
}

/// Sums straight from the operands take what tiles would mostly multiply in vain, and what is over before the launches of a product
/// are, and nothing else.
#[test]
fn published_shapes_go_to_direct_only_where_tiles_would_be_mostly_empty() {
    const SHORT: f64 = 50e-6;
    let (mut direct, mut asked) = (Vec::new(), 0);
    for Shape { name, x, w, conv } in Shape::core() {
        for direction in DIRECTIONS {
            let problem = problem(&x, &w, &conv.clone().direction(direction));
            for units in [12, 32, 128] {
                asked += 1;
                let choice = Planner::new(device(units)).choose(&problem, None).expect("a choice");
                let takes = choice.estimate().expect("an estimate").secs();
                if choice.algorithm == Algorithm::Direct && takes > SHORT {
                    let times = padded(&problem);
                    println!("{name}, {direction:?}, {units} units: {times:.2} times the products");
                    assert!(times > 3.0, "{name}, {direction:?}, {units} units: {times}");
                    direct.push(format!("{name} {direction:?}"));
                }
            }
        }
    }
    assert_eq!(asked, 45 * 3 * 3);
    direct.dedup();
    println!("{direct:#?}");
    assert!((4..20).contains(&direct.len()));
}
