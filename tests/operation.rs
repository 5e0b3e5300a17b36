//! Operations as data: their gradients, which are operations again, and what is checked when one is made.

use crate::common::operation::{counting, integers, result, results, tensor};
use ndarray::{Array, ArrayD};
use wgconv::ndimage::Filter;
use wgconv::operation::{Argument, Constant, OperationBuilder, Role, View};
use wgconv::signal::{Convolve, Convolve2d, Mode};
use wgconv::theano::{
    BilinearUpsampling, CausalConv1d, Conv3d, Conv3d2d, ConvFft, CorrMm, CudaConvnet, NnetConv,
    SeparableConv, SignalConv2d,
};
use wgconv::{
    Activation, Boundary, Conv, ConvProblem, Device, Direction, Element, Epilogue, Error, ErrorKind,
    OperandError, Operation, OperationError, Padding, PlanOptions,
};

/// One of each, with what changes indices: steps, distances, groups, borders, flips, exchanged operands.
fn operations() -> Vec<Operation> {
    let uneven = || Padding::from([(1, 0), (2, 1)]);
    let nnet =
        NnetConv::default().border_mode(uneven()).subsample([2, 1]).filter_dilation([1, 2]).num_groups(2);
    let unshared = NnetConv::default().unshared(true).border_mode(1usize);
    let corr = CorrMm { border_mode: uneven(), subsample: 2.into(), ..CorrMm::default() };
    let acts = CudaConvnet { num_groups: 2, ..CudaConvnet::default() }.stride([3, 2]).pad([1, 0]);
    let separable = SeparableConv { border_mode: Padding::Half, subsample: 2.into(), ..Default::default() };
    let causal = CausalConv1d { subsample: 2, filter_dilation: 3, num_groups: 2, ..CausalConv1d::default() };
    let mixed = [Padding::Full, Padding::Half, Padding::Valid];
    let signal = SignalConv2d::default().border_mode(Padding::Full).subsample([1, 2]);
    let filter = Filter::from(Boundary::Mirror).origins([1, -1]);
    let fft = ConvFft { border_mode: Padding::Full, ..ConvFft::default() };
    let wrap = Convolve2d { mode: Mode::Same, boundary: Boundary::Wrap };
    let valid = Convolve2d { mode: Mode::Valid, boundary: Boundary::Zero };
    vec![
        signal.operation(&[2, 5, 4], &[3, 2, 3]).unwrap(),
        nnet.forward(2, &[2, 4, 6, 7], &[6, 2, 3, 2]).unwrap(),
        nnet.clone().input_shape(&[2, 4, 6, 7]).grad_inputs(2, &[2, 6, 3, 8], &[6, 2, 3, 2]).unwrap(),
        nnet.filter_shape(&[6, 2, 3, 2]).grad_weights(2, &[2, 4, 6, 7], &[2, 6, 3, 8]).unwrap(),
        unshared.forward(2, &[2, 2, 3, 2], &[3, 4, 3, 2, 2, 2]).unwrap(),
        NnetConv::default()
            .subsample(2)
            .transpose(3, &[1, 2, 2, 1, 2], &[2, 3, 2, 2, 1], &[5, 2, 3].map(Some))
            .unwrap(),
        separable.operation(2, &[2, 2, 4, 5], &[4, 1, 2, 3], &[3, 4, 1, 1]).unwrap(),
        causal.operation(&[2, 4, 9], &[6, 2, 3]).unwrap(),
        BilinearUpsampling::ratio(3).operation(&[2, 2, 2, 3]).unwrap(),
        BilinearUpsampling::frac_ratio((3, 2), (2, 3)).operation(&[1, 2, 3, 4]).unwrap(),
        fft.operation(2, &[2, 2, 4, 3], &[3, 2, 2, 3]).unwrap(),
        Conv3d::new([2, 1, 1]).forward(&[2, 4, 3, 3, 2], &[3, 2, 2, 1, 2], &[3]).unwrap(),
        Conv3d::new([2, 1, 1])
            .transposed(&[3, 2, 2, 1, 2], &[2], &[2, 2, 2, 3, 3], Some(&[5, 3, 4]))
            .unwrap(),
        Conv3d::new([2, 1, 1]).grad_weights(&[2, 4, 3, 3, 2], &[2, 2, 2, 3, 3], &[3, 2, 2, 1, 2]).unwrap(),
        Conv3d2d { border_mode: mixed, ..Conv3d2d::default() }
            .operation(&[2, 3, 2, 4, 3], &[3, 2, 2, 2, 2])
            .unwrap(),
        acts.filter_acts(&[4, 6, 5, 2], &[2, 2, 3, 6]).unwrap(),
        acts.image_acts(&[6, 3, 2, 2], &[2, 2, 3, 6], Some(&[5, 4])).unwrap(),
        acts.weight_acts(&[4, 6, 5, 2], &[6, 3, 2, 2], &[2, 3]).unwrap(),
        corr.forward(2, &[2, 2, 5, 4], &[3, 2, 2, 3]).unwrap(),
        CorrMm { shape: Some(vec![5, 4]), ..corr.clone() }
            .grad_inputs(2, &[3, 2, 2, 3], &[2, 3, 3, 3])
            .unwrap(),
        CorrMm { shape: Some(vec![2, 3]), ..corr }.grad_weights(2, &[2, 2, 5, 4], &[2, 3, 3, 3]).unwrap(),
        Convolve::from(Mode::Same).convolve(&[5, 1, 4], &[2, 3, 3]).unwrap(),
        Convolve::from(Mode::Valid).correlate(&[2, 3], &[4, 5]).unwrap(),
        Convolve::from(Mode::Full).axes([-1]).fftconvolve(&[3, 1, 2, 6], &[1, 4, 2, 3]).unwrap(),
        Convolve::from(Mode::Full).axes([0]).correlate(&[4, 2, 1], &[3, 1, 3]).unwrap(),
        wrap.correlate(&[4, 3], &[2, 5]).unwrap(),
        valid.correlate(&[2, 2], &[4, 3]).unwrap(),
        filter.convolve(&[3, 5], &[4, 3]).unwrap(),
        Convolve2d { mode: Mode::Full, boundary: Boundary::Constant(5.0) }
            .convolve(&[3, 4], &[2, 3])
            .unwrap(),
        Filter::from(Boundary::Constant(-2.0)).correlate(&[5], &[4]).unwrap(),
        Filter::from(Boundary::Wrap).correlate(&[2, 3, 2, 4], &[1, 1, 1, 6]).unwrap(),
    ]
}

fn dot(a: &ArrayD<f64>, b: &ArrayD<f64>) -> f64 {
    assert_eq!(a.shape(), b.shape());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn operands(operation: &Operation) -> Vec<ArrayD<f64>> {
    let shapes = operation.operands().iter().enumerate();
    shapes.map(|(seed, (_, shape))| integers(shape, seed as u64 + 1)).collect()
}

/// `<h, f(.., v, ..) - f(.., 0, ..)> = <gradient(.., h), v>` for every operand: the operation is linear in each, up to a
/// constant that the others make.
///
/// Gives how many operands it is linear in: a gradient does not depend on the operand that it is the gradient by.
fn check_adjoints(operation: &Operation) -> usize {
    let mut checked = 0;
    let values = operands(operation);
    // Under this seed no product below is 0 by chance.
    let h = integers(&operation.shape(), 100);
    for (by, value) in values.iter().enumerate() {
        let mut with_zeros = values.clone();
        with_zeros[by] = ArrayD::zeros(value.shape());
        let linear = result(operation, &values) - result(operation, &with_zeros);
        let gradient = match operation.gradient(by) {
            Err(OperationError::Independent { .. }) => {
                assert!(linear.iter().all(|&v| v == 0.0), "{} depends on operand {by}", operation.name());
                continue;
            }
            gradient => gradient.unwrap(),
        };
        assert_eq!(gradient.shape(), value.shape(), "{}", gradient.name());
        let got = result(&gradient, &[&values[..], std::slice::from_ref(&h)].concat());
        let (want, got) = (dot(&h, &linear), dot(&got, value));
        // Interpolation has factors that are no binary fractions; all else are integers.
        let whole = !operation.name().contains("bilinear");
        let bound = if whole { 0.0 } else { 1e-12 * want.abs().max(100.0) };
        assert!((want - got).abs() <= bound, "{}: {got}, wanted {want}", gradient.name());
        assert!(got != 0.0, "{}: nothing is compared", gradient.name());
        checked += 1;
    }
    checked
}

#[test]
fn gradients_are_adjoints() {
    for operation in operations() {
        assert_eq!(check_adjoints(&operation), operation.operands().len(), "{}", operation.name());
    }
}

#[test]
fn gradients_of_gradients_are_adjoints() {
    for operation in operations() {
        for by in 0..operation.operands().len() {
            let gradient = operation.gradient(by).unwrap();
            // Linear in what the operation multiplied that operand with, and in the gradient of the result.
            let wanted = if gradient.name().ends_with(" by b") { 1 } else { operation.operands().len() };
            let has_bias = operation.operands().iter().any(|(name, _)| *name == "b");
            let bias = usize::from(has_bias && wanted > 1);
            assert_eq!(check_adjoints(&gradient), wanted - bias, "{}", gradient.name());
        }
    }
}

/// On the GPU too, and by every algorithm of the CPU: against the CPU in f64.
#[test]
fn every_path_agrees_with_the_cpu() {
    let mut paths = 0;
    for operation in operations() {
        let gradients = (0..operation.operands().len()).map(|by| operation.gradient(by).unwrap());
        for operation in [operation.clone()].into_iter().chain(gradients.collect::<Vec<_>>()) {
            let values = operands(&operation);
            let want = result(&operation, &values);
            for (path, got) in results(&operation, &values) {
                let exact = !operation.name().contains("bilinear");
                if exact {
                    assert_eq!(got, want, "{} by {path}", operation.name());
                } else {
                    let largest = want.iter().fold(1.0f64, |most, v| most.max(v.abs()));
                    let bound = largest * if path.ends_with("f16") { 4e-3 } else { 1e-5 };
                    let far = got.iter().zip(&want).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max);
                    assert!(far <= bound, "{} by {path}: {far}", operation.name());
                }
                paths += 1;
            }
        }
    }
    assert!(paths >= 4 * 80, "{paths}");
}

/// The gradient by an operand of a chain computes what it needs and nothing else.
#[test]
fn gradients_keep_only_the_steps_they_use() {
    let separable =
        SeparableConv::default().operation(2, &[1, 2, 4, 4], &[4, 1, 3, 3], &[3, 4, 1, 1]).unwrap();
    let steps = |operation: &Operation| -> Vec<_> {
        operation.steps().iter().map(|step| step.problem.direction()).collect()
    };
    use Direction::{Forward, GradInput, GradWeight};
    assert_eq!(steps(&separable), [Forward, Forward]);
    assert_eq!(steps(&separable.gradient(0).unwrap()), [GradInput, GradInput]);
    assert_eq!(steps(&separable.gradient(1).unwrap()), [GradInput, GradWeight]);
    assert_eq!(steps(&separable.gradient(2).unwrap()), [Forward, GradWeight]);
    let names: Vec<_> = separable.gradient(1).unwrap().operands().iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["input", "depthwise_filters", "pointwise_filters", "output_grad"]);
    let again = separable.gradient(1).unwrap().gradient(1).unwrap_err();
    assert_eq!(again, OperationError::Independent { operand: "depthwise_filters" });
    let missing = separable.gradient(3).unwrap_err();
    assert_eq!(missing, OperationError::NoOperand { operands: 3, got: 3 });
}

fn builder() -> (OperationBuilder, ConvProblem, Argument, Argument) {
    let mut operation = Operation::builder("test");
    let problem = ConvProblem::new(&[1, 1, 4], &[1, 1, 2], &Conv::default()).unwrap();
    let (x, w) = (operation.operand("x", &[1, 1, 4]), operation.operand("w", &[2]));
    (operation, problem, x, w)
}

#[test]
fn an_operation_is_checked_when_it_is_made() {
    let (mut operation, problem, x, w) = builder();
    let operands = [(Role::Input, x), (Role::Weight, w)];
    let y = operation.step(problem, None, operands);
    let (wanted, got) = (vec![1, 1, 2], vec![2]);
    let want = OperationError::Operand { operand: "w", role: "weight", wanted, got };
    assert_eq!(operation.finish(y).unwrap_err(), want);

    // A view of another array, a missing role, a role too many, a step that is not there, no step.
    let (mut operation, problem, x, w) = builder();
    let w = w.seen(View::default().reshaped([3], [1, 1, 3]));
    let y = operation.step(problem, None, [(Role::Input, x), (Role::Weight, w)]);
    assert_eq!(operation.finish(y).unwrap_err(), OperationError::View { step: 0 });
    let (mut operation, problem, x, _) = builder();
    let y = operation.step(problem, None, [(Role::Input, x)]);
    assert_eq!(operation.finish(y).unwrap_err(), OperationError::View { step: 0 });
    let (mut operation, problem, x, w) = builder();
    let w = w.seen(View::default().reshaped([2], [1, 1, 2]));
    let roles = [(Role::Input, x.clone()), (Role::Weight, w), (Role::GradOutput, x)];
    let y = operation.step(problem, None, roles);
    assert_eq!(operation.finish(y).unwrap_err(), OperationError::View { step: 0 });
    let (operation, _, x, _) = builder();
    let error = operation.finish(x).unwrap_err();
    assert_eq!(error, OperationError::View { step: 0 });
    assert_eq!(Error::from(error).kind(), ErrorKind::Operand);
}

/// What would not be the gradient is refused: an operand that is used twice, an activation on its way.
#[test]
fn gradients_of_what_is_not_linear_are_refused() {
    let problem = ConvProblem::new(&[1, 1, 2], &[1, 1, 2], &Conv::default()).unwrap();
    let mut square = Operation::builder("square");
    let x = square.operand("x", &[1, 1, 2]);
    let y = square.step(problem.clone(), None, [(Role::Input, x.clone()), (Role::Weight, x)]);
    let want = OperationError::NotLinear { operand: "x" };
    assert_eq!(square.finish(y).unwrap().gradient(0).unwrap_err(), want);

    let with = |epilogue: Epilogue| {
        let mut operation = Operation::builder("activated");
        let (x, w) = (operation.operand("x", &[1, 1, 2]), operation.operand("w", &[1, 1, 2]));
        let problem = problem.with_epilogue(epilogue).unwrap();
        let y = operation.step(problem, None, [(Role::Input, x), (Role::Weight, w)]);
        operation.finish(y)
    };
    let activated = with(Epilogue { activation: Activation::Relu, ..Epilogue::default() }).unwrap();
    assert_eq!(activated.gradient(0).unwrap_err(), want);
    // A residual has no role in a step.
    let residual = with(Epilogue { beta: Some(1.0), ..Epilogue::default() });
    assert_eq!(residual.unwrap_err(), OperationError::View { step: 0 });
}

/// A constant is repeated along axes where it has a single cell, also where the operand has none.
#[test]
fn constants_are_repeated() {
    let problem = ConvProblem::new(&[2, 2, 3], &[2, 2, 1], &Conv::default()).unwrap();
    let mut operation = Operation::builder("sum of channels");
    let x = operation.operand("x", &[2, 2, 3]);
    let ones = Argument::constant(Constant::One { axes: 3 });
    let y = operation.step(problem, None, [(Role::Input, x), (Role::Weight, ones)]);
    let operation = operation.finish(y).unwrap();
    let want = tensor(&[2, 2, 3], &[5., 7., 9., 5., 7., 9., 17., 19., 21., 17., 19., 21.]);
    crate::common::operation::check(&operation, &[&counting(&[2, 2, 3])], &want);
}

#[test]
fn a_plan_refuses_operands_that_are_not_the_operations() {
    let operation = NnetConv::default().forward(2, &[1, 1, 3, 3], &[1, 1, 2, 2]).unwrap();
    let plan = Device::cpu().plan_operation(&operation, Element::F32, &PlanOptions::default()).unwrap();
    let (x, w) = (Array::<f32, _>::zeros((1, 1, 3, 3)).into_dyn(), ArrayD::<f32>::zeros(vec![1, 1, 3, 2]));
    match plan.run(&[x.view()]) {
        Err(Error::Operation(OperationError::Count { wanted: 2, got: 1 })) => {}
        other => panic!("{other:?}"),
    }
    match plan.run(&[x.view(), w.view()]) {
        Err(Error::Operand(OperandError::Shape { role: "filters", wanted, got })) => {
            assert_eq!((wanted, got), (vec![1, 1, 2, 2], vec![1, 1, 3, 2]));
        }
        other => panic!("{other:?}"),
    }
    // Of another element than it was planned for.
    let (x, w) = (x.mapv(f64::from), ArrayD::<f64>::zeros(vec![1, 1, 2, 2]));
    assert!(matches!(plan.run(&[x.view(), w.view()]), Err(Error::Operand(OperandError::Element { .. }))));
    let text = plan.explain();
    assert!(text.starts_with("theano.nnet_conv2d -> [1, 1, 2, 2]\ncpu: direct"), "{text}");
}
