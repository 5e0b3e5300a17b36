//! Every kind of error, from the input that brings it: its exact variant, its kind and its message.

use ndarray::{Array1, Array3, array};
use wgconv::Cannot;
use wgconv::filters::{self, FilterError};
use wgconv::internals::planner::Planner;
use wgconv::internals::target::Target;
use wgconv::{
    Activation, Algorithm, Boundary, Conv, ConvProblem, Device, DeviceChoice, Direction, Element, Epilogue,
    Error, ErrorKind, Layout, OperandError, Operands, Padding, PlanOptions, ProblemError,
};

/// Kind and message of an error, which must be of the variant that the pattern gives.
macro_rules! is {
    ($error:expr, $variant:pat, $kind:expr, $message:expr $(,)?) => {{
        let error: Error = Error::from($error);
        assert!(matches!(error, $variant), "{error:?}");
        assert_eq!((error.kind(), error.to_string().as_str()), ($kind, $message));
    }};
}

/// The same for a description that is refused; the error is compared whole.
#[track_caller]
fn refused(x: &[usize], w: &[usize], conv: &Conv, want: ProblemError, kind: ErrorKind, message: &str) {
    let error = ConvProblem::new(x, w, conv).expect_err("a refusal");
    assert_eq!(error, want);
    assert_eq!((Error::from(error).kind(), want.to_string().as_str()), (kind, message));
}

#[test]
fn descriptions() {
    use ProblemError as E;
    let plain = Conv::default();
    let (x, w) = ([2, 4, 9, 9], [6, 4, 3, 3]);
    refused(
        &[9, 9],
        &w,
        &plain,
        E::Rank { input: 2, weight: 4 },
        ErrorKind::Rank,
        "an input of 2 axes and a weight of 4 do not make a convolution: wanted rank + 2 each with rank 1, 2 or 3 \
         (an unshared weight has 2·rank + 2)",
    );
    refused(
        &x,
        &[6, 3, 3, 3],
        &plain,
        E::Channels { input: 4, groups: 1, wanted: 4, got: 3 },
        ErrorKind::Channels,
        "the weight has 3 input channels per group, wanted 4 (input channels 4 / groups 1)",
    );
    for groups in [0, 3] {
        refused(
            &x,
            &[6, 4, 3, 3],
            &plain.clone().groups(groups),
            E::Groups { groups: groups as u64, c_in: 4, c_out: 6 },
            ErrorKind::Groups,
            &format!(
                "groups {groups} must be at least 1 and divide both the 4 input and the 6 output channels"
            ),
        );
    }
    let stride = E::Stride { axis: 1 };
    let message = "stride of axis 1 is 0, wanted at least 1";
    refused(&x, &w, &plain.clone().stride([1, 0]), stride, ErrorKind::Stride, message);
    let strides = E::StridesPerAxis { wanted: 2, got: 3 };
    let message = "3 strides came for 2 spatial axes";
    refused(&x, &w, &plain.clone().stride([1, 1, 1]), strides, ErrorKind::Stride, message);
    let dilation = E::Dilation { axis: 0 };
    let message = "dilation of axis 0 is 0, wanted at least 1 (1 is dense)";
    refused(&x, &w, &plain.clone().dilation(0), dilation, ErrorKind::Dilation, message);
    let dilations = E::DilationsPerAxis { wanted: 2, got: 1 };
    let message = "1 dilations came for 2 spatial axes";
    refused(&x, &w, &plain.clone().dilation([2]), dilations, ErrorKind::Dilation, message);
    let padding = E::PaddingCount { wanted: 2, got: 3 };
    let message = "padding for 3 axes came, wanted 2";
    refused(&x, &w, &plain.clone().padding([1, 1, 1]), padding, ErrorKind::Padding, message);
    refused(
        &x,
        &[6, 4, 3, 12],
        &plain.clone().padding([0, 1]),
        E::KernelTooLarge { axis: 1, span: 12, padded: 11 },
        ErrorKind::KernelTooLarge,
        "kernel reaches 12 cells on axis 1, the padded input has 11",
    );
    let empty = E::EmptyExtent { tensor: "kernel", axis: 0 };
    let message = "kernel extent of spatial axis 0 is 0";
    refused(&x, &[6, 4, 0, 3], &plain, empty, ErrorKind::Operand, message);
    refused(
        &[1, 1, 5],
        &[1, 4, 1, 3],
        &Conv { unshared: true, ..plain.clone() },
        E::UnsharedOutput { axis: 0, wanted: 3, got: 4 },
        ErrorKind::OutputShape,
        "the unshared weight is for 4 output positions on axis 0, the convolution has 3",
    );
    let strides = vec![1, 9, 1];
    refused(
        &[1, 1, 9],
        &[2, 1, 2],
        &plain
            .clone()
            .layouts(wgconv::Layouts { output: Layout::Strides(vec![1, 1, 1]), ..Default::default() }),
        E::OverlappingStrides { tensor: "output", extents: vec![1, 2, 8], strides: vec![1, 1, 1] },
        ErrorKind::OutputShape,
        "strides [1, 1, 1] of the output let elements of extents [1, 2, 8] overlap",
    );
    refused(
        &x,
        &w,
        &plain.clone().layouts(wgconv::Layouts { input: Layout::Strides(strides), ..Default::default() }),
        E::StrideCount { tensor: "input", wanted: 4, got: 3 },
        ErrorKind::Rank,
        "3 strides came for the 4 axes of the input",
    );
    refused(
        &x,
        &w,
        &plain.clone().boundary(Boundary::Constant(1e300)),
        E::NonFinite { what: "boundary constant", value: 1e300, element: Element::F32 },
        ErrorKind::NonFinite,
        &format!("boundary constant is {}, wanted a number that is finite in f32 arithmetic", 1e300),
    );
    refused(
        &x,
        &w,
        &plain.clone().activation(Activation::Clamp { low: 2.0, high: 1.0 }),
        E::EmptyClamp { low: 2.0, high: 1.0 },
        ErrorKind::Operand,
        "clamp from 2 to 1: the lower limit is above the upper one",
    );
    refused(
        &x,
        &w,
        &plain
            .clone()
            .epilogue(Epilogue { bias: true, ..Default::default() })
            .direction(Direction::GradWeight),
        E::BiasOnGradWeight,
        ErrorKind::Operand,
        "the gradient of the weight takes no bias",
    );
    refused(
        &[usize::MAX / 2, usize::MAX / 2, 3],
        &[1, usize::MAX / 2, 3],
        &plain,
        E::Overflow { what: "the number of multiply-accumulates" },
        ErrorKind::Overflow,
        "the number of multiply-accumulates is too large: sizes are counted in 63 bits, coordinates along an axis in 62",
    );
}

fn array3(shape: [usize; 3]) -> Array3<f32> {
    Array3::zeros(shape)
}

#[test]
fn operands() {
    use OperandError as E;
    let device = Device::cpu();
    let plan = |conv: &Conv| {
        let problem = ConvProblem::new(&[1, 2, 8], &[3, 2, 3], conv).expect("a problem");
        device.plan(&problem, &PlanOptions::default()).expect("a plan")
    };
    let (x, w, y) = (array3([1, 2, 8]), array3([3, 2, 3]), array3([1, 3, 6]));
    let both = || Operands { input: x.view(), weight: w.view().into(), ..Default::default() };
    let forward = plan(&Conv::default());
    is!(
        forward.run(Operands { input: x.view(), ..Default::default() }).expect_err("no weight"),
        Error::Operand(E::Missing { role: "weight" }),
        ErrorKind::Operand,
        "the weight is missing"
    );
    is!(
        forward.run(Operands { grad_output: y.view(), ..both() }).expect_err("one too many"),
        Error::Operand(E::Superfluous { role: "grad_output" }),
        ErrorKind::Operand,
        "the grad_output has no use in this plan"
    );
    is!(
        forward.run(Operands { input: y.view(), ..both() }).expect_err("another shape"),
        Error::Operand(E::Shape { role: "input", .. }),
        ErrorKind::Operand,
        "the input has shape [1, 3, 6], wanted [1, 2, 8]"
    );
    let (x64, w64) = (x.mapv(f64::from), w.mapv(f64::from));
    is!(
        forward
            .run(Operands { input: x64.view(), weight: w64.view().into(), ..Default::default() })
            .expect_err("another type"),
        Error::Operand(E::Element { role: "input", wanted: Element::F32, got: Element::F64 }),
        ErrorKind::Operand,
        "the input has elements of f64, the plan of f32"
    );
    let mut small = array3([1, 3, 5]);
    is!(
        forward.run_into(both(), small.view_mut()).expect_err("too small"),
        Error::Operand(E::Shape { role: "output", .. }),
        ErrorKind::OutputShape,
        "the output has shape [1, 3, 5], wanted [1, 3, 6]"
    );
    let bias = Array1::<f32>::zeros(2);
    is!(
        plan(&Conv::default().bias(true))
            .run(Operands { bias: bias.view(), ..both() })
            .expect_err("two of three"),
        Error::Operand(E::Shape { role: "bias", .. }),
        ErrorKind::BiasShape,
        "the bias has shape [2], wanted [3]"
    );
    let back = plan(&Conv::default().direction(Direction::GradInput));
    is!(
        back.run(Operands { grad_output: x.view(), weight: w.view().into(), ..Default::default() })
            .expect_err("of x's shape"),
        Error::Operand(E::Shape { role: "grad_output", .. }),
        ErrorKind::GradShape,
        "the grad_output has shape [1, 2, 8], wanted [1, 3, 6]"
    );
    let by_weight = plan(&Conv::default().direction(Direction::GradWeight));
    is!(
        by_weight.prepare(&w).expect_err("nothing to prepare"),
        Error::Operand(E::NothingToPrepare),
        ErrorKind::Operand,
        "a plan for the gradient of the weight prepares no weights"
    );
    let weights = plan(&Conv::default()).prepare(&w).expect("prepared");
    is!(
        forward
            .run(Operands { input: x.view(), weight: (&weights).into(), ..Default::default() })
            .expect_err("of another plan"),
        Error::Operand(E::OtherPlan),
        ErrorKind::Operand,
        "the weights were prepared by another plan"
    );
}

#[test]
fn what_nothing_runs() {
    let conv = Conv::default().element(Element::F16);
    let problem = ConvProblem::new(&[1, 2, 8], &[3, 2, 3], &conv).expect("a problem");
    is!(
        Device::cpu().plan(&problem, &PlanOptions::default()).expect_err("f16 on the CPU"),
        Error::Declined(_),
        ErrorKind::Unsupported,
        "no algorithm runs this problem on the device: direct, reference: elements of f16 are not available on the device; fft: \
         rounds transformed operands: sums are over 2 channels, Precision::Auto wants 16 unless it is preferred"
    );
    let forced = PlanOptions { algorithm: Some(Algorithm::Winograd), ..Default::default() };
    let problem = ConvProblem::new(&[1, 2, 8], &[3, 2, 3], &Conv::default()).expect("a problem");
    is!(
        Device::cpu().plan(&problem, &forced).expect_err("not there"),
        Error::Declined(_),
        ErrorKind::Unsupported,
        "no algorithm runs this problem on the device: winograd: is not on this device, which has direct, fft, reference"
    );
    let planner = Planner::new(Target::default());
    let declined = planner.choose(&problem, Some(Algorithm::Reference)).expect_err("no GPU version");
    assert_eq!(
        declined.reasons,
        [(Algorithm::Reference, Cannot::NotOnDevice { has: Algorithm::on_gpu().to_vec() }.into())]
    );
    is!(
        declined,
        Error::Declined(_),
        ErrorKind::Unsupported,
        "no algorithm runs this problem on the device: reference: is not on this device, which has fft, depthwise, \
         implicit_gemm, im2col_gemm, direct"
    );
    // 2^28 elements: too much for the binding that every device has.
    let large = ConvProblem::new(&[1, 1, 1 << 28], &[1, 1, 3], &Conv::default()).expect("a problem");
    is!(
        planner.choose(&large, None).expect_err("a limit"),
        Error::Declined(_),
        ErrorKind::LimitExceeded,
        "no algorithm runs this problem on the device: fft: rounds transformed operands: sums are over 1 channels, Precision::Auto \
         wants 16 unless it is preferred; depthwise, implicit_gemm, im2col_gemm, direct: input needs 1073741824 bytes, the device binds \
         at most 134217728"
    );
}

#[test]
fn memory_of_the_host() {
    let cells = 1usize << 48;
    let conv = Conv::default().padding([(0, cells as isize)]);
    let problem = ConvProblem::new(&[1, 1, 3], &[1, 1, 3], &conv).expect("a problem");
    let plan = Device::cpu().plan(&problem, &PlanOptions::default()).expect("a plan");
    let (x, w) = (array3([1, 1, 3]), array3([1, 1, 3]));
    is!(
        plan.run(Operands { input: x.view(), weight: w.view().into(), ..Default::default() })
            .expect_err("no such memory"),
        Error::OutOfMemory { what: "the result", bytes: 1_125_899_906_842_628 },
        ErrorKind::OutOfMemory,
        "out of memory: the result needs 1125899906842628 bytes"
    );
}

#[test]
fn filters_of_no_size() {
    is!(
        filters::gaussian(4, None).expect_err("even"),
        Error::Filter(FilterError::Size { filter: "gaussian", size: 4 }),
        ErrorKind::BadJob,
        "gaussian of size 4: wanted an odd number from 1 to 1023"
    );
}

#[cfg(feature = "gpu")]
#[test]
fn devices() {
    use std::time::Duration;
    use wgconv::GpuError as E;

    let nobody = Device::open(&DeviceChoice::Named("nobody is called this".into())).expect_err("nobody");
    assert!(nobody.to_string().starts_with("no adapter is called \"nobody is called this\"; found: "));
    let Error::Gpu(E::NoAdapter { wanted, found }) = nobody else { panic!("{nobody:?}") };
    is!(
        E::NoAdapter { wanted, found: Vec::new() },
        Error::Gpu(E::NoAdapter { .. }),
        ErrorKind::NoAdapter,
        "no adapter is called \"nobody is called this\"; found: none"
    );
    assert!(found.iter().all(|name| !name.is_empty()));
    is!(
        E::RequestDevice { adapter: "A".into(), reason: "busy".into() },
        Error::Gpu(E::RequestDevice { .. }),
        ErrorKind::NoAdapter,
        "adapter \"A\" gives no device: busy"
    );
    // What no input brings about: a driver at fault, memory that is gone, a defect of ours.
    is!(
        E::SelfTestFailed { adapter: "A".into(), driver: "1.2".into(), index: 3, got: 1.0, wanted: 2.0 },
        Error::Gpu(E::SelfTestFailed { .. }),
        ErrorKind::SelfTestFailed,
        "\"A\" (driver 1.2) fails the self-test: element 3 is 1, wanted 2"
    );
    is!(
        E::OutOfMemory { what: "the workspace".into() },
        Error::Gpu(E::OutOfMemory { .. }),
        ErrorKind::OutOfMemory,
        "out of device memory for the workspace"
    );
    is!(
        E::TooLarge { what: "the input".into(), bytes: 9, limit: 8 },
        Error::Gpu(E::TooLarge { .. }),
        ErrorKind::LimitExceeded,
        "the input needs 9 bytes, a buffer of the device holds at most 8"
    );
    is!(
        E::DeviceLost { reason: "unplugged".into() },
        Error::Gpu(E::DeviceLost { .. }),
        ErrorKind::DeviceLost,
        "the device is lost: unplugged"
    );
    is!(
        E::Timeout { after: Duration::from_millis(1500) },
        Error::Gpu(E::Timeout { .. }),
        ErrorKind::Timeout,
        "the device did not finish within 1.5 s"
    );
    is!(
        E::LossyLayout { role: "input" },
        Error::Gpu(E::LossyLayout { role: "input" }),
        ErrorKind::Operand,
        "the input has different values where its layout keeps a single one (stride 0 or overlapping strides)"
    );
    is!(
        E::Refused { what: "pipeline".into(), reason: "no".into() },
        Error::Gpu(E::Refused { .. }),
        ErrorKind::Internal,
        "pipeline: no"
    );
}

#[cfg(not(feature = "gpu"))]
#[test]
fn devices() {
    is!(
        Device::open(&DeviceChoice::Gpu).expect_err("no GPU"),
        Error::BuiltWithoutGpu,
        ErrorKind::NoAdapter,
        "this build of wgconv has no GPU support (feature `gpu`)"
    );
}

/// The words are a closed list, each of one kind, and they are what a kind displays.
#[test]
fn words() {
    let words = ErrorKind::ALL.map(ErrorKind::word);
    assert_eq!(
        words.join(", "),
        "bad_job, bad_file, io, rank, channels, groups, stride, dilation, padding, kernel_too_large, bias_shape, \
         grad_shape, output_shape, operand, overflow, limit_exceeded, out_of_memory, unsupported, no_adapter, \
         self_test_failed, device_lost, timeout, non_finite, internal"
    );
    assert!(ErrorKind::ALL.iter().all(|kind| kind.to_string() == kind.word()));
    // Every one of them is brought about, and its message compared, in this file; those of files in the command line's tests.
    let source = include_str!("errors.rs");
    let of_files = [ErrorKind::BadFile, ErrorKind::Io];
    for kind in ErrorKind::ALL.into_iter().filter(|kind| !of_files.contains(kind)) {
        assert!(source.contains(&format!("ErrorKind::{kind:?},")), "{kind} is not tested");
    }
    let one_liner =
        wgconv::conv1d(&array![[[1f32]]], &array![[[1f32, 1.]]], &Conv::default().padding(Padding::Valid));
    is!(
        one_liner.expect_err("too long a kernel"),
        Error::Problem(ProblemError::KernelTooLarge { .. }),
        ErrorKind::KernelTooLarge,
        "kernel reaches 2 cells on axis 0, the padded input has 1"
    );
}
