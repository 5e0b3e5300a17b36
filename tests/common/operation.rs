//! Operations on every path there is, and arrays for them.

use ndarray::ArrayD;
use wgconv::{Algorithm, Device, Error, ErrorKind, Operation, PlanOptions, Precision, Scalar};

pub use wgconv_testing::arrays::{FULL, counting, integers, rows, tensor};

/// The kind of the refusal; its message names what is in `words`.
#[track_caller]
pub fn refused<E: Into<Error>>(result: Result<Operation, E>, kind: ErrorKind, words: &[&str]) {
    let error: Error = result.map(|operation| operation.shape()).map_err(Into::into).expect_err("a refusal");
    let message = error.to_string();
    assert_eq!(error.kind(), kind, "{message}");
    assert!(words.iter().all(|word| message.contains(word)), "{message} lacks one of {words:?}");
}

fn by<T: Scalar + Into<f64>>(
    device: &Device,
    operation: &Operation,
    options: &PlanOptions,
    operands: &[ArrayD<f64>],
) -> ArrayD<f64> {
    let typed: Vec<ArrayD<T>> = operands.iter().map(|operand| operand.mapv(T::from_f64)).collect();
    let views: Vec<_> = typed.iter().map(|operand| operand.view()).collect();
    let plan = device.plan_operation(operation, T::ELEMENT, options).expect("a plan");
    let result = plan.run(&views).expect("a result");
    assert_eq!(result.shape(), operation.shape(), "{}", operation.name());
    result.mapv(Into::into)
}

/// The result on the CPU in f64, as the device would choose among algorithms that keep integers.
pub fn result(operation: &Operation, operands: &[ArrayD<f64>]) -> ArrayD<f64> {
    let options = PlanOptions { precision: Precision::Accurate, ..PlanOptions::default() };
    by::<f64>(&Device::cpu(), operation, &options, operands)
}

/// `got` by an algorithm that transforms operands: where it is as near to `exact` as it should be, what it is then rounded to.
fn rounded(got: &ArrayD<f64>, exact: &ArrayD<f64>, unit: f64) -> ArrayD<f64> {
    let largest = exact.iter().fold(1.0f64, |most, value| most.max(value.abs()));
    let near = |got: f64, exact: f64| if (got - exact).abs() <= 16.0 * unit * largest { exact } else { got };
    ndarray::Zip::from(got).and(exact).map_collect(|&got, &exact| near(got, exact))
}

/// The results by every algorithm of the CPU in f32 and f64, and by the adapter under test in f32 and, if it has it, in
/// f16; with what computed each.
pub fn results(operation: &Operation, operands: &[ArrayD<f64>]) -> Vec<(String, ArrayD<f64>)> {
    let mut results = Vec::new();
    for &algorithm in Algorithm::on_cpu() {
        let options = PlanOptions { algorithm: Some(algorithm), ..PlanOptions::default() };
        let cpu = Device::cpu();
        let unshared = operation.steps().iter().any(|step| step.problem.unshared());
        if algorithm == Algorithm::Fft && unshared {
            continue;
        }
        let mut both = [
            (format!("{algorithm} f32"), by::<f32>(&cpu, operation, &options, operands)),
            (format!("{algorithm} f64"), by::<f64>(&cpu, operation, &options, operands)),
        ];
        if !algorithm.is_exact() {
            let exact = result(operation, operands);
            both[0].1 = rounded(&both[0].1, &exact, 2f64.powi(-24));
            both[1].1 = rounded(&both[1].1, &exact, 2f64.powi(-53));
        }
        results.extend(both);
    }
    #[cfg(feature = "gpu")]
    if let Some(device) = super::device::any_gpu() {
        let with = |precision| PlanOptions {
            fallback: wgconv::Fallback::Error,
            precision,
            ..PlanOptions::default()
        };
        let options = with(Precision::Accurate);
        results.push((device.name().to_owned(), by::<f32>(&device, operation, &options, operands)));
        if operation.steps().iter().any(|step| step.prefers.is_some_and(|algorithm| !algorithm.is_exact())) {
            let got = by::<f32>(&device, operation, &with(Precision::Auto), operands);
            let got = rounded(&got, &result(operation, operands), 2f64.powi(-24));
            results.push((format!("{} by spectra", device.name()), got));
        }
        if device.gpu().is_some_and(|gpu| gpu.target().features.f16) {
            let name = format!("{} f16", device.name());
            results.push((name, by::<wgconv::half::f16>(&device, operation, &options, operands)));
        }
    }
    results
}

/// Every path gives exactly this.
#[track_caller]
pub fn check(operation: &Operation, operands: &[&ArrayD<f64>], want: &ArrayD<f64>) {
    let operands: Vec<_> = operands.iter().map(|&operand| operand.clone()).collect();
    for (path, got) in results(operation, &operands) {
        assert_eq!(got, *want, "{} by {path}", operation.name());
    }
}
