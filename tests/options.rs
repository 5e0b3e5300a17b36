//! Options that choose an algorithm: preferred, excluded, measured.

mod common;

use ndarray::{Array4, array};
use wgconv::algorithm::Unsupported;
use wgconv::cpu::CpuUnsupported;
use wgconv::program::Target;
use wgconv::theano::{ConvFft, CorrMm};
use wgconv::{
    Activation, Algorithm, Conv, ConvProblem, Device, Direction, Element, Epilogue, Error, Operands,
    PlanOptions, Planner,
};

fn problem() -> ConvProblem {
    ConvProblem::new(&[2, 3, 8, 8], &[4, 3, 3, 3], &Conv::default()).unwrap()
}

#[test]
fn the_order_of_asking() {
    use Algorithm::{Direct, Fft, ImplicitGemm, Reference, Winograd};
    let all = [Winograd, ImplicitGemm, Direct];
    let plain = PlanOptions::default();
    assert_eq!(plain.asked(&all), all);
    // What the device lacks is not asked.
    let prefer = PlanOptions { prefer: vec![Fft, Direct, Direct], ..PlanOptions::default() };
    assert_eq!(prefer.asked(&all), [Direct, Winograd, ImplicitGemm]);
    let exclude = PlanOptions { exclude: vec![ImplicitGemm, Direct, Fft], ..prefer };
    assert_eq!(exclude.asked(&all), [Winograd]);
    let forced = PlanOptions { algorithm: Some(Reference), ..exclude };
    assert_eq!(forced.asked(&all), [Reference]);
}

#[test]
fn an_excluded_algorithm_is_a_reason() {
    let options = PlanOptions { exclude: Algorithm::ALL.to_vec(), ..PlanOptions::default() };
    let declined = Planner::new(Target::default()).choose_with(&problem(), &options).unwrap_err();
    let reasons: Vec<_> =
        Algorithm::ALL.iter().map(|&algorithm| (algorithm, Unsupported::Excluded)).collect();
    assert_eq!((declined.reasons.clone(), declined.forced, declined.is_limit()), (reasons, false, false));
    assert!(declined.to_string().contains("direct: is excluded"), "{declined}");
}

#[test]
fn preferences_on_the_cpu() {
    let plan = |options: PlanOptions| Device::cpu().plan(&problem(), &options);
    let prefer = |algorithm| PlanOptions { prefer: vec![algorithm], ..PlanOptions::default() };
    assert_eq!(plan(prefer(Algorithm::Reference)).unwrap().algorithm(), Algorithm::Reference);
    assert_eq!(plan(prefer(Algorithm::Winograd)).unwrap().algorithm(), Algorithm::Direct);
    let exclude =
        |algorithms: &[Algorithm]| PlanOptions { exclude: algorithms.to_vec(), ..PlanOptions::default() };
    assert_eq!(plan(exclude(&[Algorithm::Direct])).unwrap().algorithm(), Algorithm::Reference);
    match plan(exclude(&Algorithm::NAMES)) {
        Err(Error::Cpu(CpuUnsupported::Excluded)) => {}
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
    let options = PlanOptions { measure: true, ..PlanOptions::default() };
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
            assert_eq!(measured, [Algorithm::Direct, Algorithm::Reference]);
            let fastest = plan.measured().iter().min_by_key(|(_, time)| *time).expect("two");
            assert_eq!(plan.algorithm(), fastest.0);
            assert!(plan.explain().contains("measured: reference "), "{}", plan.explain());
        }
    }
    let plan = Device::cpu().plan(&problem(), &options).unwrap();
    let (x, w) = (Array4::<f32>::ones((2, 3, 8, 8)), Array4::<f32>::ones((4, 3, 3, 3)));
    let operands = || Operands { input: x.view(), weight: (&w).into(), ..Default::default() };
    assert_eq!(plan.run(operands()).unwrap(), Array4::from_elem((2, 4, 6, 6), 27.0).into_dyn());
    // With one algorithm left there is nothing to measure.
    let one = PlanOptions { exclude: vec![Algorithm::Reference], ..options.clone() };
    let plan = Device::cpu().plan(&problem(), &one).unwrap();
    assert!(plan.algorithm() == Algorithm::Direct && !plan.explain().contains("measured"));
    // The reference is no candidate where it would take long.
    let large = ConvProblem::new(&[1, 64, 64, 64], &[64, 64, 3, 3], &Conv::default()).unwrap();
    assert!(!Device::cpu().plan(&large, &options).unwrap().explain().contains("reference"));
    let empty = ConvProblem::new(&[0, 3, 8, 8], &[4, 3, 3, 3], &Conv::default()).unwrap();
    assert!(Device::cpu().plan(&empty, &options).is_ok());
}

/// The shared device is where the one-liners compute.
#[test]
fn the_shared_device_is_kept() {
    let first = Device::shared().unwrap();
    assert_eq!(first.name(), Device::shared().unwrap().name());
    let y = wgconv::signal::convolve(&array![1f32, 2.], &array![3f32], wgconv::signal::Mode::Full).unwrap();
    assert_eq!(y, array![3., 6.]);
}
