//! The residual of the epilogue, element by element, in rows and planes that are longer than what is finished at a time. Integers,
//! compared for equality with the reference, which has an epilogue of its own.

use crate::common::cpu::{Spec, Tensors, integers, run_by};
use wgconv::internals::cpu::reference;
use wgconv::{Activation, Algorithm, Boundary, Conv, Direction, Element};

/// With a residual, a bias and an activation that keep integers.
fn conv() -> Conv {
    let mut conv = Conv::default().bias(true).activation(Activation::Clamp { low: -9.0, high: 21.0 });
    conv.epilogue.beta = Some(2.0);
    conv
}

fn name(algorithm: Algorithm, spec: &Spec) -> String {
    format!("{algorithm} {:?} {:?} {:?} {:?}", spec.conv.direction, spec.x, spec.w, spec.conv.boundary)
}

/// For the gradient of the weight, which has no bias.
fn of_weight(spec: Spec) -> Spec {
    let spec = Spec { conv: spec.conv.clone().bias(false), ..spec };
    spec.direction(Direction::GradWeight)
}

const GATHERED: [Direction; 2] = [Direction::Forward, Direction::GradInput];

/// Rows of results and of filters past 1,024 cells, planes of them past 2¹⁴.
fn cpu_specs() -> Vec<Spec> {
    let gathered = [
        Spec::new(&[2, 2, 3001], &[3, 2, 5], conv().padding(2)),
        Spec::new(&[2, 4, 40_001], &[2, 2, 3], conv().groups(2).stride(2).padding(1)),
        Spec::new(&[1, 2, 3, 7000], &[2, 2, 2, 3], conv().boundary(Boundary::Wrap).padding(1)),
        Spec::new(&[2, 2, 150, 233], &[3, 2, 3, 3], conv().padding(1)),
        Spec::new(&[1, 2, 1301], &[3, 2, 3], conv().padding(1)).unshared(),
        // Of sums of nothing.
        Spec::new(&[2, 0, 3001], &[3, 0, 5], conv()),
    ];
    let weights = [
        Spec::new(&[2, 2, 3001], &[3, 2, 2990], conv()),
        Spec::new(&[1, 2, 9003], &[2, 2, 8997], conv()),
        Spec::new(&[1, 4, 5, 1300], &[2, 2, 2, 1290], conv().groups(2)),
        Spec::new(&[1, 2, 1301], &[3, 2, 3], conv().padding(1)).unshared(),
    ];
    let gathered = gathered.iter().flat_map(|spec| GATHERED.map(|direction| spec.direction(direction)));
    gathered.chain(weights.map(of_weight)).collect()
}

#[test]
fn of_long_rows_on_the_cpu() {
    let mut wrong = Vec::new();
    for spec in cpu_specs() {
        let wide = spec.problem(Element::F64);
        let tensors = Tensors::new(&wide, integers(5, 3));
        let want = reference::run(&wide, &tensors.operands());
        // There is no transform of weights per position.
        let algorithms = &[Algorithm::Direct, Algorithm::Fft][..if spec.conv.unshared { 1 } else { 2 }];
        let paths = algorithms.iter().map(|&algorithm| {
            let [single, double] = [Element::F32, Element::F64].map(|element| spec.problem(element));
            let got = [
                run_by::<f32>(&single, &tensors.operands(), algorithm),
                run_by::<f64>(&double, &tensors.operands(), algorithm),
            ];
            // Transforms round integers, by far less than a half.
            (algorithm, if algorithm.is_exact() { got } else { got.map(|got| got.round()) })
        });
        for (algorithm, got) in paths {
            for (element, got) in ["f32", "f64"].iter().zip(got) {
                let count = got.iter().zip(&want).filter(|(got, want)| got != want).count();
                if count > 0 {
                    wrong.push(format!("{} in {element}: {count} of {}", name(algorithm, &spec), want.len()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[cfg(feature = "gpu")]
mod gpu {
    use super::*;
    use crate::common::device::{any_gpu, run_guarded};
    use crate::common::usual::{ALGORITHMS, usual_choice};
    use std::collections::BTreeSet;
    use std::sync::Mutex;
    use wgconv::PlanOptions;
    use wgconv::internals::gpu::GpuPlan;
    use wgconv::internals::planner::Choice;
    use wgconv_testing::{Data, Tally, gpu_for};

    /// A row for each kernel that ends with the epilogue.
    fn gpu_specs() -> Vec<Spec> {
        let gathered = [
            Spec::new(&[2, 2, 1203], &[3, 2, 3], conv().padding(1)),
            Spec::new(&[1, 2, 2, 1203], &[2, 1, 2, 3], conv().groups(2).padding(1)),
            // Added up by a last launch: places of a folded boundary, parts of a long sum.
            Spec::new(&[1, 2, 1203], &[3, 2, 3], conv().padding(1).boundary(Boundary::Reflect)),
            Spec::new(&[1, 260, 1029], &[2, 260, 3], conv()),
        ];
        let weights = [
            Spec::new(&[1, 2, 1203], &[3, 2, 1100], conv()),
            Spec::new(&[1, 2, 3, 1203], &[2, 1, 2, 1100], conv().groups(2)),
            // Of many filters, so that no sum is cut.
            Spec::new(&[1, 640, 5, 5], &[640, 1, 3, 3], conv().groups(640)),
        ];
        let gathered = gathered.iter().flat_map(|spec| GATHERED.map(|direction| spec.direction(direction)));
        gathered.chain(weights.map(of_weight)).collect()
    }

    fn check(choice: Choice) -> Result<(), String> {
        let device = gpu_for(&choice.config.to_string());
        let gpu = device.gpu().expect("a GPU device");
        let (problem, algorithm) = (choice.problem.clone(), choice.algorithm);
        let plan = pollster::block_on(GpuPlan::new(gpu, choice, &PlanOptions::default()));
        let data = Data::ints(&problem, 3);
        let want = reference::run(&problem, &data.operands());
        let got = run_guarded(&plan.map_err(|e| e.to_string())?, &data)?;
        let got = if algorithm.is_exact() { got } else { got.round() };
        match got.iter().zip(&want).filter(|(got, want)| got != want).count() {
            0 => Ok(()),
            count => Err(format!("{count} of {} elements are wrong", want.len())),
        }
    }

    #[test]
    fn of_long_rows_on_a_gpu() {
        let Some(device) = any_gpu() else { return };
        let target = device.gpu().expect("a GPU device").target();
        let rows: Vec<_> = gpu_specs()
            .into_iter()
            .flat_map(|spec| ALGORITHMS.map(|algorithm| (name(algorithm, &spec), algorithm, spec.clone())))
            .collect();
        let kernels = Mutex::new(BTreeSet::new());
        let tally = Tally::of(
            &rows,
            |(name, ..)| name,
            |(name, algorithm, spec), tally| {
                let Some(choice) = usual_choice(*algorithm, &spec.problem(Element::F32), target) else {
                    return tally.skip(name, "is not supported, or has no usual kernel");
                };
                let last = choice.program.launches.last().expect("a launch").kernel.name();
                kernels.lock().expect("no row panicked").insert(last);
                tally.check(check(choice).map_err(|e| format!("{name}, {last}: {e}")));
            },
        );
        tally.finish("GPU, residuals of long rows");
        let kernels: Vec<_> = kernels.into_inner().expect("no row panicked").into_iter().collect();
        let all =
            ["depthwise", "depthwise_weight", "direct", "fft_inverse", "fold", "gemm_tiled", "implicit_gemm"];
        assert_eq!(kernels, all, "these store results");
    }
}
