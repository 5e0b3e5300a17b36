//! The command line as a whole: options, exit statuses, devices, and the commands that compute nothing.

use crate::common::cli::{Folder, expected, npy_file, ran, wgconv, with};
use serde_json::{Value, json};
use wgconv::internals::kernel::Kernel;
use wgconv::{Activation, Boundary, Conv, Padding, Rounding};
use wgconv_testing::any_gpu;
use wgconv_testing::report;

const CONV: [&str; 7] = ["conv", "--input", "x.npy", "--weight", "w.npy", "--output", "y.npy"];

fn conv(more: &[&'static str]) -> Vec<&'static str> {
    [&CONV[..], more].concat()
}

#[test]
fn conv_says_what_it_did() {
    let (folder, x, w) = Folder::with(&[2, 3, 8, 7], &[4, 3, 3, 3]);
    let ran = folder.run(&conv(&["--device", "cpu"]));
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(ran.out.lines().count(), 1, "{ran:?}");
    for part in ["direct", "cpu", "[2, 4, 6, 5]", " ms"] {
        assert!(ran.out.contains(part), "{part:?} in {:?}", ran.out);
    }
    let (dtype, y) = folder.read("y.npy");
    assert_eq!((dtype, y), ("f32", expected(&x, &w, None, &Conv::default())));
}

#[test]
fn every_option_is_the_field_of_its_name() {
    let (folder, x, w) = Folder::with(&[2, 4, 9, 8], &[6, 2, 3, 2]);
    let conv_default = || Conv::default().groups(2);
    let pairs: [(usize, isize); 2] = [(1, 2), (0, -1)];
    let leaky = Activation::LeakyRelu { slope: -0.5 };
    let rows: Vec<(&[&'static str], Conv)> = vec![
        (&[], conv_default()),
        (&["--stride", "2"], conv_default().stride(2)),
        (&["--stride", "2,1"], conv_default().stride([2, 1])),
        (&["--stride", "[2, 1]"], conv_default().stride([2, 1])),
        (&["--stride=2, 1"], conv_default().stride([2, 1])),
        (&["--dilation", "1,3"], conv_default().dilation([1, 3])),
        (&["--padding", "1"], conv_default().padding(1)),
        (&["--padding", "1,2"], conv_default().padding([1, 2])),
        (&["--padding", "1:2,0:-1"], conv_default().padding(pairs)),
        (&["--padding", "[[1,2],[0,-1]]"], conv_default().padding(pairs)),
        (&["--padding", "same"], conv_default().padding(Padding::Same)),
        (&["--padding", "same_lower"], conv_default().padding(Padding::SameLower)),
        (&["--padding", "same-lower"], conv_default().padding(Padding::SameLower)),
        (&["--flip"], conv_default().flip(true)),
        (&["--flip", "true"], conv_default().flip(true)),
        (&["--flip=false"], conv_default()),
        (&["--flip", "--stride", "2"], conv_default().flip(true).stride(2)),
        (&["--rounding", "ceil", "--stride", "3"], conv_default().rounding(Rounding::Ceil).stride(3)),
        (
            &["--boundary", "constant:-1", "--padding", "full"],
            conv_default().padding(Padding::Full).boundary(Boundary::Constant(-1.0)),
        ),
        (&["--boundary", "wrap", "--padding", "2"], conv_default().padding(2).boundary(Boundary::Wrap)),
        (&["--activation", "relu"], conv_default().activation(Activation::Relu)),
        (&["--activation", "leaky-relu:-0.5"], conv_default().activation(leaky)),
        (&["--activation", "leaky_relu:-0.5"], conv_default().activation(leaky)),
        (&["--algorithm", "reference", "--layout", "ncx", "--dtype", "f32"], conv_default()),
    ];
    for (options, wanted) in rows {
        let ran = folder.run(&[&conv(&["--device", "cpu", "--groups", "2"]), options].concat());
        assert_eq!(ran.status, 0, "{options:?}: {ran:?}");
        assert_eq!(folder.read("y.npy").1, expected(&x, &w, None, &wanted), "{options:?}");
    }
}

#[test]
fn the_other_operations_have_commands() {
    let (folder, ..) = Folder::with(&[1, 2, 8], &[3, 2, 3]);
    let files = ["--output", "y.npy", "--device", "cpu"];
    let rows: [(&[&str], [usize; 3]); 6] = [
        (
            &["grad-weight", "--input", "x.npy", "--grad-output", "g.npy", "--weight-shape", "3,2,3"],
            [3, 2, 3],
        ),
        (
            &["grad_weight", "--input", "x.npy", "--grad_output", "g.npy", "--weight_shape", "[3,2,3]"],
            [3, 2, 3],
        ),
        (&["grad-input", "--weight", "w.npy", "--grad-output", "g.npy", "--input-shape", "1,2,8"], [1, 2, 8]),
        (&["grad_input", "--weight", "w.npy", "--grad_output", "g.npy", "--input_shape", "1,2,8"], [1, 2, 8]),
        (&["conv-transpose", "--input", "g.npy", "--weight", "w.npy", "--output-shape", "9"], [1, 2, 9]),
        (
            &[
                "conv_transpose",
                "--input",
                "g.npy",
                "--weight",
                "w.npy",
                "--output_padding",
                "1",
                "--stride",
                "2",
            ],
            [1, 2, 14],
        ),
    ];
    folder.write_f32("g.npy", &crate::common::cli::values(&[1, 3, 6], 3));
    for (arguments, shape) in rows {
        let ran = folder.run(&[arguments, &files].concat());
        assert_eq!(ran.status, 0, "{arguments:?}: {ran:?}");
        assert_eq!(folder.read("y.npy").1.shape(), shape, "{arguments:?}");
    }
}

#[test]
fn failures_and_unusable_arguments_have_statuses_of_their_own() {
    let (folder, ..) = Folder::with(&[1, 2, 8], &[3, 2, 3]);
    let failures: [(&[&'static str], &str); 9] = [
        (&["--stride", "0"], "stride"),
        (&["--stride", "-1"], "stride"),
        (&["--dilation=-1,2"], "dilation"),
        (&["--groups", "0"], "groups"),
        (&["--padding", "-1"], "padding"),
        (&["--padding", "1,1"], "padding"),
        (&["--bias", "absent.npy"], "io"),
        (&["--algorithm", "winograd"], "unsupported"),
        (&["--algorithm", "im2col-gemm"], "unsupported"),
    ];
    for (options, kind) in failures {
        let ran = folder.run(&conv(&[&["--device", "cpu"], options].concat()));
        assert_eq!((ran.status, ran.out.as_str()), (1, ""), "{options:?}: {ran:?}");
        assert!(ran.err.contains(&format!("error[{kind}]: ")), "{options:?}: {ran:?}");
    }
    let unusable: [&[&'static str]; 16] = [
        &["--stride", "two"],
        &["--stride", "1.5"],
        &["--stride", "2,"],
        &["--padding", "some"],
        &["--padding", "1:2,3"],
        &["--flip", "maybe"],
        &["--algorithm", "nonsense"],
        &["--dtype", "f128"],
        &["--boundary", "circular"],
        &["--rounding", "up"],
        &["--layout", "nchw"],
        &["--activation", "elu"],
        &["--device", ""],
        &["--nonsense"],
        &["--groups", "1,2"],
        &["--max-bytes", "-3"],
    ];
    for options in unusable {
        let ran = folder.run(&conv(options));
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{options:?}: {ran:?}");
        assert!(!ran.err.is_empty(), "{options:?}");
    }
    let unusable: [&[&str]; 9] = [
        &[],
        &["dance"],
        &["conv"],
        &["conv", "--input", "x.npy", "--weight", "w.npy"],
        &["run"],
        &["run", "absent.jsonl"],
        &["run", "."],
        &["run", "w.npy", "--algorithm", "nonsense"],
        &["verify", "--jobs", "absent.jsonl"],
    ];
    for arguments in unusable {
        assert_eq!(folder.run(arguments).status, 2, "{arguments:?}");
    }
    assert!(!folder.exists("y.npy"));
    for arguments in [&["--help"][..], &["--version"], &["conv", "--help"]] {
        assert_eq!(folder.run(arguments).status, 0, "{arguments:?}");
    }
}

/// Whoever reads the help learns which device, which algorithm and which type are taken.
#[test]
fn help_says_what_auto_does() {
    let folder = Folder::default();
    let ran = folder.run(&["help", "run"]);
    let words = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "names the algorithm, the device and the dtype that were taken",
        "device: a hardware GPU if there is one, otherwise the CPU",
        "within (2*sqrt(K)+8)*u*mag",
        "16 or more channels of a group are summed (16 or more images for the gradient of the weight)",
        "\"precision\":\"fast\"",
        "dtype: f64 if a file holds f64, and then on the CPU, unless a GPU or an algorithm that only a GPU has was named",
        "f32 or f64, whichever keeps every sum exact, and never fft",
    ] {
        assert!(words.contains(part), "{part} is not in: {words}");
    }
}

#[test]
fn sizes_are_limited() {
    let (folder, ..) = Folder::with(&[1, 2, 8], &[3, 2, 3]);
    let ran = folder.run(&conv(&["--device", "cpu", "--max-bytes", "40"]));
    assert!(ran.status == 1 && ran.err.contains("error[bad_file]"), "{ran:?}");
    let ran = folder.run(&conv(&["--device", "cpu", "--max_bytes", "72", "--padding", "1"]));
    assert!(ran.status == 1 && ran.err.contains("error[limit_exceeded]"), "{ran:?}");
    assert_eq!(folder.run(&conv(&["--device", "cpu", "--max-bytes", "72"])).status, 0);
}

#[test]
fn a_named_adapter_computes() {
    let Some(device) = any_gpu() else { return };
    let (folder, x, w) = Folder::with(&[2, 3, 8, 7], &[4, 3, 3, 3]);
    let device_name = device.name().to_owned();
    // Part of the name, in the other case.
    let part = device_name.split_whitespace().next().unwrap().to_uppercase();
    let job = json!({ "op": "conv", "input": "x.npy", "weight": "w.npy", "output": "y.npy", "device": part });
    let answer = folder.job(&job);
    assert_eq!((&answer["ok"], &answer["device"]), (&json!(true), &json!(device_name)), "{answer}");
    assert_eq!(folder.read("y.npy"), ("f32", expected(&x, &w, None, &Conv::default())));
    folder.write("x.npy", &x);
    assert_eq!(folder.job(&job)["ok"], true);
    assert_eq!(folder.read("y.npy").0, "f32", "double-precision files are computed in single on a GPU");
    std::fs::remove_file(folder.path("y.npy")).unwrap();
    for fields in
        [json!({ "dtype": "f64" }), json!({ "algorithm": "reference" }), json!({ "algorithm": "winograd" })]
    {
        let answer = folder.job(&with(&job, &fields));
        assert_eq!(answer["error"]["kind"], "unsupported", "a named device does not fall back: {answer}");
        assert!(!folder.exists("y.npy"));
    }
    for layout in ["nxc", "cxn"] {
        // Extents that read the same from both ends keep the files valid in every order.
        let (folder, ..) = Folder::with(&[4, 6, 6, 4], &[4, 3, 3, 4]);
        let job = |device: &str| with(&job, &json!({ "layout": layout, "device": device, "padding": 1 }));
        assert_eq!(folder.job(&job("cpu"))["ok"], true);
        let wanted = folder.read("y.npy");
        assert_eq!(folder.job(&job(&device_name))["ok"], true);
        assert_eq!(folder.read("y.npy"), wanted, "{layout}");
    }
    let env = ran(wgconv()
        .current_dir(folder.path(""))
        .env("WGPU_ADAPTER_NAME", &device_name)
        .args(conv(&["--device", "gpu"])));
    assert!(env.status == 0 && env.out.contains(&device_name), "{env:?}");
    let verify = ran(wgconv().args(["verify", "--device", &device_name, "--algorithm", "direct"]));
    assert!(verify.status == 0 && verify.out.contains("direct"), "{verify:?}");
}

#[test]
#[ignore = "full"]
fn a_named_adapter_passes_with_every_algorithm() {
    let Some(device) = any_gpu() else { return };
    let verify = ran(wgconv().args(["verify", "--device", device.name()]));
    assert!(verify.status == 0 && verify.out.contains("fft"), "{verify:?}");
}

#[test]
fn gpu_is_no_software_adapter() {
    let info: Value = serde_json::from_str(&ran(wgconv().args(["info", "--json"])).out).unwrap();
    let adapters = info["adapters"].as_array().unwrap();
    if adapters.iter().any(|a| a["hardware"] == true || a["hardware"].is_null()) {
        report("SKIPPED: there is a hardware adapter");
        return;
    }
    assert_eq!(info["auto"], "cpu");
    let (folder, ..) = Folder::with(&[1, 2, 8], &[3, 2, 3]);
    let ran = folder.run(&conv(&["--device", "gpu"]));
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("error[no_adapter]: "), "{ran:?}");
    let ran = folder.run(&conv(&["--dtype", "f64"]));
    assert!(ran.status == 0 && ran.out.contains("cpu"), "{ran:?}");
    assert_eq!(folder.read("y.npy").0, "f64");
}

#[test]
fn info_is_text_or_one_object() {
    let object = ran(wgconv().args(["info", "--json"]));
    assert_eq!((object.status, object.out.lines().count()), (0, 1), "{object:?}");
    let info = &object.answers()[0];
    assert!(info["cpu"]["threads"].as_u64().is_some_and(|threads| threads > 0));
    assert!(info["cpu"]["simd"].is_array());
    for adapter in info["adapters"].as_array().unwrap() {
        for field in ["name", "backend", "driver", "class", "features", "limits", "cooperative_matrices"] {
            assert!(!adapter[field].is_null(), "{field} in {adapter}");
        }
        assert_eq!(adapter["self_test"], "passed");
    }
    let text = ran(wgconv().arg("info"));
    assert!(text.status == 0 && text.out.contains("auto takes") && text.out.contains("cpu"), "{text:?}");
}

#[test]
fn shaders_are_written_as_plain_wgsl() {
    let folder = Folder::default();
    let ran = folder.run(&["shaders", "--output", "new/shaders"]);
    let wanted: usize = Kernel::ALL.iter().map(|kernel| kernel.specs().len()).sum();
    assert!(ran.status == 0 && ran.out.starts_with(&format!("{wanted} shaders")), "{ran:?}");
    let mut count = 0;
    for entry in std::fs::read_dir(folder.path("new/shaders")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(name.ends_with(".wgsl") && name.contains("__") && name.contains('-'), "{name}");
        let text = std::fs::read_to_string(&path).unwrap();
        naga::front::wgsl::parse_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        count += 1;
    }
    assert_eq!(count, wanted);
    folder.bytes("file", b"");
    let ran = folder.run(&["shaders", "--output", "file"]);
    assert!(ran.status == 1 && ran.err.contains("error[io]"), "{ran:?}");
}

#[test]
fn verify_counts_what_it_compared() {
    let folder = Folder::default();
    for dtype in ["auto", "f32", "f64"] {
        let ran = folder.run(&["verify", "--device", "cpu", "--json", "--dtype", dtype]);
        assert_eq!(ran.status, 0, "{ran:?}");
        let report = &ran.answers()[0];
        let row = &report["algorithms"][0];
        assert_eq!((&report["ok"], &row["algorithm"]), (&json!(true), &json!("direct")));
        assert!(row["ran"].as_u64().unwrap() >= 120, "{row}");
        assert!(row["exact"].as_u64().unwrap() >= 60, "{row}");
        let error = row["max_error"].as_f64().unwrap();
        // In double precision the CPU path may well round exactly as the reference does.
        assert!(error < 30.0 && (error > 0.0 || dtype == "f64"), "{row}");
        assert_eq!(row["max_error_case"].is_string(), error > 0.0);
        assert_eq!(row["failed"], json!([]));
    }
    let ran = folder.run(&["verify", "--device", "cpu"]);
    assert!(ran.status == 0 && ran.out.contains("direct"), "{ran:?}");
    let declined = folder.run(&["verify", "--device", "cpu", "--algorithm", "winograd"]);
    assert!(declined.status == 1 && declined.out.contains("nothing ran"), "{declined:?}");
}

#[test]
fn verify_takes_jobs() {
    let (folder, ..) = Folder::with(&[1, 2, 8], &[3, 2, 3]);
    let job = json!({ "op": "conv", "input": "x.npy", "weight": "w.npy", "output": "y.npy" });
    let transposed = with(&job, &json!({ "op": "conv_transpose", "input": "t.npy" }));
    folder.write("t.npy", &crate::common::cli::values(&[2, 3, 4], 5));
    let lines = [
        job.clone(),
        with(&job, &json!({ "activation": "gelu", "padding": "full", "boundary": "mirror" })),
        with(&job, &json!({ "dtype": "f64", "flip": true })),
        transposed,
    ];
    let text = lines.map(|line| line.to_string()).join("\n");
    folder.bytes("jobs.jsonl", text.as_bytes());
    let arguments = ["verify", "--device", "cpu", "--json", "--jobs", "jobs.jsonl"];
    let ran = folder.run(&arguments);
    assert_eq!(ran.status, 0, "{ran:?}");
    let row = &ran.answers()[0]["algorithms"][0];
    assert_eq!((&row["ran"], &row["exact"]), (&json!(4), &json!(3)), "{row}");
    assert!(!folder.exists("y.npy"), "verify writes no output");
    folder.bytes("jobs.jsonl", format!("{text}\n{{}}\n").as_bytes());
    let ran = folder.run(&arguments);
    assert_eq!(ran.status, 1);
    let report = &ran.answers()[0];
    assert_eq!(report["ok"], false);
    assert!(report["refused"][0].as_str().unwrap().starts_with("job 5: error[bad_job]"), "{report}");
    folder.bytes("jobs.jsonl", b"\n");
    assert_eq!(folder.run(&arguments).status, 1, "nothing ran");
}

/// In the type in which the job would be computed: f64 where sums of integers are past what f32 holds, and not at all where they are
/// past that too.
#[test]
fn verify_computes_jobs_in_the_type_that_jobs_have() {
    let folder = Folder::default();
    let write = |name: &str, value: i32| {
        let data: Vec<u8> = (0..8).flat_map(|i| (value - i).to_le_bytes()).collect();
        folder.bytes(name, &npy_file("<i4", false, "(1, 1, 8)", &data));
    };
    write("x.npy", i32::MAX);
    write("w.npy", 1 << 24);
    let job = json!({ "op": "conv", "input": "x.npy", "weight": "w.npy", "output": "y.npy" });
    let answer = folder.job(&job);
    assert_eq!((&answer["ok"], &answer["dtype"]), (&json!(false), &Value::Null), "{answer}");
    let verify = || folder.run(&["verify", "--device", "cpu", "--json", "--jobs", "jobs.jsonl"]);
    let ran = verify();
    let refused = &ran.answers()[0]["refused"][0];
    assert!(
        ran.status == 1 && refused.as_str().is_some_and(|why| why.contains("error[overflow]")),
        "{ran:?}"
    );
    write("w.npy", 1 << 10);
    assert_eq!(folder.job(&job)["dtype"], "f64");
    let ran = verify();
    let row = &ran.answers()[0]["algorithms"][0];
    assert_eq!((ran.status, &row["ran"], &row["exact"]), (0, &json!(1), &json!(1)), "{ran:?}");
}
