//! Options that choose an algorithm: preferred, excluded, measured.

use ndarray::{Array4, array};
use wgconv::Reason;
use wgconv::internals::planner::Planner;
use wgconv::internals::target::Target;
use wgconv::theano::{ConvFft, CorrMm};
use wgconv::{
    Activation, Algorithm, Conv, ConvProblem, Device, Direction, Element, Epilogue, Error, ErrorKind,
    OperandError, Operands, PlanOptions, Precision,
};

fn problem() -> ConvProblem {
    ConvProblem::new(&[2, 3, 8, 8], &[4, 3, 3, 3], &Conv::default()).unwrap()
}

#[test]
fn the_order_of_asking() {
    use Algorithm::{Direct, Fft, ImplicitGemm, Reference, Winograd};
    let all = [Winograd, ImplicitGemm, Direct];
    let plain = PlanOptions { precision: Precision::Fast, ..PlanOptions::default() };
    assert_eq!(plain.considered(&all, &problem()), all);
    // What the device lacks is not asked.
    let prefer = PlanOptions { prefer: vec![Fft, Direct, Direct], ..plain.clone() };
    assert_eq!(prefer.considered(&all, &problem()), [Direct, Winograd, ImplicitGemm]);
    let exclude = PlanOptions { exclude: vec![ImplicitGemm, Direct, Fft], ..prefer };
    assert_eq!(exclude.considered(&all, &problem()), [Winograd]);
    let forced = PlanOptions { algorithm: Some(Reference), ..exclude };
    assert_eq!(forced.considered(&all, &problem()), [Reference]);
}

#[test]
fn an_excluded_algorithm_is_a_reason() {
    let options = PlanOptions { exclude: Algorithm::on_gpu().to_vec(), ..PlanOptions::default() };
    let declined = Planner::new(Target::default()).choose_with(&problem(), &options).unwrap_err();
    let reasons: Vec<_> =
        Algorithm::on_gpu().iter().map(|&algorithm| (algorithm, Reason::Excluded)).collect();
    assert_eq!((declined.reasons.clone(), declined.forced, declined.is_limit()), (reasons, false, false));
    assert_eq!(
        declined.to_string(),
        "no algorithm runs this problem on the device: fft, depthwise, implicit_gemm, im2col_gemm, direct: is excluded"
    );
}

#[test]
fn preferences_on_the_cpu() {
    let plan = |options: PlanOptions| Device::cpu().plan(&problem(), &options);
    let prefer = |algorithm| PlanOptions { prefer: vec![algorithm], ..PlanOptions::default() };
    assert_eq!(plan(prefer(Algorithm::Reference)).unwrap().algorithm(), Algorithm::Reference);
    assert_eq!(plan(prefer(Algorithm::Winograd)).unwrap().algorithm(), Algorithm::Direct);
    let exclude =
        |algorithms: &[Algorithm]| PlanOptions { exclude: algorithms.to_vec(), ..PlanOptions::default() };
    let fast = PlanOptions { precision: Precision::Fast, ..exclude(&[Algorithm::Direct]) };
    assert_eq!(plan(fast).unwrap().algorithm(), Algorithm::Fft);
    assert_eq!(plan(exclude(&[Algorithm::Direct])).unwrap().algorithm(), Algorithm::Reference);
    assert_eq!(
        plan(exclude(&[Algorithm::Direct, Algorithm::Fft])).unwrap().algorithm(),
        Algorithm::Reference
    );
    match plan(exclude(&Algorithm::NAMES)) {
        Err(Error::Declined(declined)) => {
            assert!(declined.reasons.iter().all(|(_, why)| *why == Reason::Excluded), "{declined}");
            assert_eq!(
                declined.to_string(),
                "no algorithm runs this problem on the device: direct, fft, reference: is excluded"
            );
        }
        other => panic!("{other:?}"),
    }
}

/// What an operation prefers is used where the device has it, unless the caller says otherwise.
#[test]
fn preferences_of_an_operation() {
    let fft = ConvFft::default().operation(2, &[1, 1, 4, 4], &[1, 1, 2, 2]).unwrap();
    assert_eq!(fft.steps()[0].prefers, Some(Algorithm::Fft));
    let corr = CorrMm::default().forward(2, &[1, 1, 4, 4], &[1, 1, 2, 2]).unwrap();
    assert_eq!(corr.steps()[0].prefers, Some(Algorithm::Im2colGemm));
    let cpu = Device::cpu();
    for operation in [fft, corr] {
        let preferred = operation.steps()[0].prefers.unwrap();
        let by = |options: &PlanOptions| {
            cpu.plan_operation(&operation, Element::F32, options).unwrap().algorithm()
        };
        let has_it = cpu.algorithms().contains(&preferred);
        let expected = if has_it { preferred } else { Algorithm::Direct };
        assert_eq!(by(&PlanOptions::default()), expected);
        let excluded = PlanOptions { exclude: vec![preferred], ..PlanOptions::default() };
        assert_eq!(by(&excluded), Algorithm::Direct);
        let forced = PlanOptions { algorithm: Some(Algorithm::Reference), ..PlanOptions::default() };
        assert_eq!(by(&forced), Algorithm::Reference);
        let prefers = PlanOptions { prefer: vec![Algorithm::Reference], ..PlanOptions::default() };
        assert_eq!(by(&prefers), Algorithm::Reference, "what the caller prefers comes first");
        let measures = PlanOptions { measure: true, ..PlanOptions::default() };
        let plan = cpu.plan_operation(&operation, Element::F32, &measures).unwrap();
        assert!(plan.plans()[0].measured().len() >= 2);
    }
}

/// The measured choice says what it measured, computes the same, and is one of those that were asked.
#[test]
fn a_measured_choice() {
    let options = PlanOptions { measure: true, precision: Precision::Fast, ..PlanOptions::default() };
    for direction in [Direction::Forward, Direction::GradInput, Direction::GradWeight] {
        let epilogue = Epilogue {
            bias: direction != Direction::GradWeight,
            beta: Some(2.0),
            activation: Activation::Relu,
            ..Epilogue::default()
        };
        let problem = problem().with_direction(direction).unwrap().with_epilogue(epilogue).unwrap();
        for element in [Element::F32, Element::F64] {
            let plan = Device::cpu().plan(&problem.with_element(element).unwrap(), &options).unwrap();
            let measured: Vec<_> = plan.measured().iter().map(|(algorithm, _)| *algorithm).collect();
            assert_eq!(measured, [Algorithm::Direct, Algorithm::Fft, Algorithm::Reference]);
            let fastest = plan.measured().iter().min_by_key(|(_, time)| *time).expect("three");
            assert_eq!(plan.algorithm(), fastest.0);
            assert!(plan.explain().contains("measured: reference "), "{}", plan.explain());
        }
    }
    let accurate = PlanOptions { precision: Precision::Accurate, ..options.clone() };
    let plan = Device::cpu().plan(&problem(), &accurate).unwrap();
    assert!(plan.measured().iter().all(|(algorithm, _)| algorithm.is_exact()));
    let (x, w) = (Array4::<f32>::ones((2, 3, 8, 8)), Array4::<f32>::ones((4, 3, 3, 3)));
    let operands = || Operands { input: x.view(), weight: (&w).into(), ..Default::default() };
    assert_eq!(plan.run(operands()).unwrap(), Array4::from_elem((2, 4, 6, 6), 27.0).into_dyn());
    // With one algorithm left there is nothing to measure.
    let one = PlanOptions { exclude: vec![Algorithm::Reference, Algorithm::Fft], ..options.clone() };
    let plan = Device::cpu().plan(&problem(), &one).unwrap();
    assert!(plan.algorithm() == Algorithm::Direct && !plan.explain().contains("measured"));
    // The reference is no candidate where it would take long.
    let large = ConvProblem::new(&[1, 64, 64, 64], &[64, 64, 3, 3], &Conv::default()).unwrap();
    assert!(!Device::cpu().plan(&large, &options).unwrap().explain().contains("reference"));
    let empty = ConvProblem::new(&[0, 3, 8, 8], &[4, 3, 3, 3], &Conv::default()).unwrap();
    assert!(Device::cpu().plan(&empty, &options).is_ok());
}

/// Large enough for the FFT to be far ahead.
fn large() -> ConvProblem {
    ConvProblem::new(&[1, 1, 600, 600], &[1, 1, 63, 63], &Conv::default()).unwrap()
}

#[test]
fn precision() {
    let cpu = Device::cpu();
    let by = |options: PlanOptions| cpu.plan(&large(), &options).map(|plan| plan.algorithm());
    let accurate = PlanOptions { precision: Precision::Accurate, ..PlanOptions::default() };
    let fast = PlanOptions { precision: Precision::Fast, ..PlanOptions::default() };
    assert_eq!(by(PlanOptions::default()).unwrap(), Algorithm::Direct);
    assert_eq!(by(fast.clone()).unwrap(), Algorithm::Fft);
    // Of many channels the sum hides what one of them loses.
    for (channels, wanted) in [(15, Algorithm::Direct), (16, Algorithm::Fft)] {
        for direction in [Direction::Forward, Direction::GradInput, Direction::GradWeight] {
            let [n, c, q] = match direction {
                Direction::Forward => [1, channels, 2],
                Direction::GradInput => [1, 2, channels],
                Direction::GradWeight => [channels, 2, 2],
            };
            let conv = Conv::default().groups(2).direction(direction);
            let problem = ConvProblem::new(&[n, 2 * c, 100, 100], &[2 * q, c, 15, 15], &conv).unwrap();
            let plan = cpu.plan(&problem, &PlanOptions::default()).unwrap();
            assert_eq!(plan.algorithm(), wanted, "{direction:?} of {channels} channels");
        }
    }
    // A preference counts.
    let prefer = PlanOptions { prefer: vec![Algorithm::Fft], ..PlanOptions::default() };
    assert_eq!(by(prefer).unwrap(), Algorithm::Fft);
    assert_eq!(by(accurate.clone()).unwrap(), Algorithm::Direct);
    // A preference is not a demand.
    assert_eq!(
        by(PlanOptions { prefer: vec![Algorithm::Fft], ..accurate.clone() }).unwrap(),
        Algorithm::Direct
    );
    assert_eq!(by(PlanOptions { prefer: vec![Algorithm::Direct], ..fast }).unwrap(), Algorithm::Direct);
    assert_eq!(
        by(PlanOptions { algorithm: Some(Algorithm::Fft), ..accurate.clone() }).unwrap(),
        Algorithm::Fft
    );
    let exclude = vec![Algorithm::Direct, Algorithm::Reference];
    match by(PlanOptions { exclude, ..accurate.clone() }) {
        Err(Error::Declined(declined)) => {
            assert!(declined.reasons.contains(&(Algorithm::Fft, Reason::Inexact)), "{declined}");
        }
        other => panic!("{other:?}"),
    }
    // Small problems gain nothing.
    assert_eq!(cpu.plan(&problem(), &PlanOptions::default()).unwrap().algorithm(), Algorithm::Direct);
    // On a GPU it is a reason among others.
    let options = PlanOptions { prefer: vec![Algorithm::Fft], ..accurate };
    let choice = Planner::new(Target::default()).choose_with(&large(), &options).unwrap();
    let inexact = Algorithm::on_gpu().iter().filter(|algorithm| !algorithm.is_exact());
    let wanted: Vec<_> = inexact.map(|&algorithm| (algorithm, Reason::Inexact)).collect();
    assert!(choice.algorithm.is_exact() && wanted.iter().all(|reason| choice.declined().contains(reason)));
}

/// Only where it was asked for, and only where a number spreads.
#[test]
fn operands_that_are_not_finite() {
    let cpu = Device::cpu();
    let problem = problem();
    let (mut x, w) = (Array4::<f32>::ones((2, 3, 8, 8)), Array4::<f32>::ones((4, 3, 3, 3)));
    x[[1, 2, 7, 0]] = f32::NEG_INFINITY;
    let mut bad = w.clone();
    bad[[3, 0, 1, 2]] = f32::NAN;
    let by = |algorithm, check_finite| {
        let options = PlanOptions { algorithm: Some(algorithm), check_finite, ..PlanOptions::default() };
        cpu.plan(&problem, &options).unwrap()
    };
    let refused = |error: Error, role: &'static str, at: &[usize]| {
        let wanted = OperandError::NonFinite { role, at: at.to_vec() };
        assert!(error.kind() == ErrorKind::NonFinite && error.to_string() == wanted.to_string(), "{error}");
    };
    let plan = by(Algorithm::Fft, true);
    let operands = |w| Operands { input: x.view(), weight: w, ..Default::default() };
    refused(plan.run(operands((&w).into())).unwrap_err(), "input", &[1, 2, 7, 0]);
    refused(plan.prepare(&bad).unwrap_err(), "weight", &[3, 0, 1, 2]);
    let fine = Array4::<f32>::zeros((2, 3, 8, 8));
    let bad_weight = Operands { input: fine.view(), weight: (&bad).into(), ..Default::default() };
    refused(plan.run(bad_weight).unwrap_err(), "weight", &[3, 0, 1, 2]);
    // Tensors of the CPU path lie on the host.
    let (there, weight) = (cpu.upload(&x).unwrap(), plan.prepare(&w).unwrap());
    let operands_there = Operands { input: &there, weight: (&weight).into(), ..Default::default() };
    refused(plan.run_on(&operands_there).unwrap_err(), "input", &[1, 2, 7, 0]);
    let spread = by(Algorithm::Fft, false).run(operands((&w).into())).unwrap();
    // Of the CPU's transforms it stays where it belongs.
    assert!(spread.iter().any(|value| value.is_infinite()) && spread.iter().all(|value| !value.is_nan()));
    let direct = by(Algorithm::Direct, true).run(operands((&w).into())).unwrap();
    assert!(direct.iter().all(|value| !value.is_nan()));
}

/// The shared device is where the one-liners compute.
#[test]
fn the_shared_device_is_kept() {
    let first = Device::shared().unwrap();
    assert_eq!(first.name(), Device::shared().unwrap().name());
    let y = wgconv::signal::convolve(&array![1f32, 2.], &array![3f32], wgconv::signal::Mode::Full).unwrap();
    assert_eq!(y, array![3., 6.]);
}
