//! Operations on every path there is, and arrays for them.

use ndarray::{ArrayD, IxDyn};
use wgconv::cpu::CPU_ALGORITHMS;
use wgconv::{Device, Operation, PlanOptions, Scalar};

pub fn tensor(shape: &[usize], values: &[f64]) -> ArrayD<f64> {
    ArrayD::from_shape_vec(shape, values.to_vec()).unwrap()
}

/// Rows of a matrix with leading axes of extent 1, `axes` in all.
pub fn rows<const W: usize>(axes: usize, rows: &[[f64; W]]) -> ArrayD<f64> {
    let shape = [vec![1; axes - 2], vec![rows.len(), W]].concat();
    tensor(&shape, &rows.concat())
}

/// 1, 2, 3, ..
pub fn counting(shape: &[usize]) -> ArrayD<f64> {
    let mut next = 0.0;
    ArrayD::from_shape_simple_fn(shape, || {
        next += 1.0;
        next
    })
}

/// Integers from -3 to 3 without a pattern that a wrong index would leave unchanged.
pub fn integers(shape: &[usize], seed: u64) -> ArrayD<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5DEE_CE66;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % 7) as f64 - 3.0
    })
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

/// The result on the CPU in f64, as the device would choose.
pub fn result(operation: &Operation, operands: &[ArrayD<f64>]) -> ArrayD<f64> {
    by::<f64>(&Device::cpu(), operation, &PlanOptions::default(), operands)
}

/// The results by every algorithm of the CPU in f32 and f64, and by the adapter under test in f32 and, if it has it, in
/// f16; with what computed each.
pub fn results(operation: &Operation, operands: &[ArrayD<f64>]) -> Vec<(String, ArrayD<f64>)> {
    let mut results = Vec::new();
    for &algorithm in CPU_ALGORITHMS {
        let options = PlanOptions { algorithm: Some(algorithm), ..PlanOptions::default() };
        let cpu = Device::cpu();
        results.push((format!("{algorithm} f32"), by::<f32>(&cpu, operation, &options, operands)));
        results.push((format!("{algorithm} f64"), by::<f64>(&cpu, operation, &options, operands)));
    }
    #[cfg(feature = "gpu")]
    if let Some(device) = super::device::any_gpu() {
        let options = PlanOptions { fallback: wgconv::Fallback::Error, ..PlanOptions::default() };
        results.push((device.name().to_owned(), by::<f32>(&device, operation, &options, operands)));
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
