//! `wgconv run`: every classic operation as a job, by numbers that the originals print; what such a job refuses; and the
//! table of what runs where.

use std::collections::BTreeSet;

use crate::common::classic::{Row, all, nnet, others_of_theano, scipy};
use crate::common::cli::{Folder, with};
use ndarray::ArrayD;
use serde_json::{Value, json};
use wgconv_testing::arrays::tensor;

fn table(folder: &Folder) -> Vec<Value> {
    let ran = folder.run(&["info", "--ops", "--json"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    ran.answers().remove(0)["operations"].as_array().expect("a list").clone()
}

/// Writes the operands of a row; its job.
fn job(folder: &Folder, (op, operands, fields, _): &Row) -> Value {
    let mut job = with(&json!({ "op": op, "output": "y.npy" }), fields);
    for (name, array) in operands {
        let file = format!("{name}.npy");
        folder.write_f32(&file, array);
        job[*name] = file.into();
    }
    job
}

/// Equal, or as near as it should be where operands were transformed.
#[track_caller]
fn check(got: (&'static str, ArrayD<f64>), answer: &Value, (element, near): (&str, f64), want: &ArrayD<f64>) {
    assert_eq!((got.0, got.1.shape()), (element, want.shape()), "{answer}");
    let largest = want.iter().fold(1.0f64, |most, value| most.max(value.abs()));
    let allowed = if answer["algorithm"] == "fft" { near * largest } else { 0.0 };
    let off = got.1.iter().zip(want).any(|(got, want)| (got - want).abs() > allowed || got.is_nan());
    assert!(!off, "{answer}: {got:?}, wanted {want:?}");
}

#[test]
fn every_operation_gives_its_numbers() {
    let folder = Folder::default();
    let rows = all();
    for row in &rows {
        let job = job(&folder, row);
        let answer = folder.job(&job);
        assert_eq!(answer["ok"], true, "{job}: {answer}");
        check(folder.read("y.npy"), &answer, ("f32", 1e-6), &row.3);
        assert_eq!(answer["output_shape"], json!(row.3.shape()), "{job}");
        // Of double precision, so is the result.
        for (name, array) in &row.1 {
            folder.write(&format!("{name}.npy"), array);
        }
        let answer = folder.job(&job);
        assert_eq!(answer["ok"], true, "{job}");
        check(folder.read("y.npy"), &answer, ("f64", 2e-15), &row.3);
    }
    let tested: BTreeSet<&str> = rows.iter().map(|(op, ..)| *op).collect();
    let table = table(&folder);
    let known: BTreeSet<&str> = table.iter().map(|row| row["op"].as_str().unwrap()).collect();
    let primitive = ["conv", "conv_transpose", "grad_input", "grad_weight"];
    let classic: BTreeSet<&str> = known.into_iter().filter(|op| !primitive.contains(op)).collect();
    assert_eq!(tested, classic);
}

/// `verify` takes the same jobs, compositions step by step.
#[test]
fn every_operation_is_verified() {
    let folder = Folder::default();
    let mut lines = String::new();
    for row in [&others_of_theano()[1], &others_of_theano()[4], &nnet()[0], &scipy()[4]] {
        lines += &format!("{}\n", job(&folder, row));
        folder.bytes("jobs.jsonl", lines.as_bytes());
        let ran = folder.run(&["verify", "--jobs", "jobs.jsonl", "--device", "cpu", "--json"]);
        assert_eq!(ran.status, 0, "{ran:?}");
        lines.clear();
        let answer = ran.answers().remove(0);
        let (ran, op) = (answer["algorithms"][0]["ran"].as_u64().unwrap(), row.0);
        let composed = op.contains("separable") || op.contains("bilinear");
        let steps = if composed { 2 } else { 1 };
        assert_eq!(ran, steps, "{op}: {answer}");
    }
}

/// The kind of the refusal of a row with these fields instead.
#[track_caller]
fn refused(folder: &Folder, row: &Row, fields: &[(Value, &str)]) {
    let job = job(folder, row);
    assert_eq!(folder.job(&job)["ok"], true, "{job}");
    std::fs::remove_file(folder.path("y.npy")).unwrap();
    for (fields, kind) in fields {
        let job = with(&job, fields);
        let answer = folder.job(&job);
        assert_eq!(answer["error"]["kind"], *kind, "{job}: {answer}");
        assert!(!folder.exists("y.npy"), "{job}");
    }
}

#[test]
fn attributes_that_are_refused() {
    let folder = Folder::default();
    let named = |op: &str| all().into_iter().find(|row| row.0 == op).expect("a row");
    refused(
        &folder,
        &named("theano.nnet_conv2d"),
        &[
            (json!({ "border_mode": "same" }), "bad_job"),
            (json!({ "border_mode": -1 }), "padding"),
            (json!({ "border_mode": [-1, 0] }), "padding"),
            (json!({ "border_mode": [[0, -1], 0] }), "padding"),
            (json!({ "border_mode": [1] }), "padding"),
            (json!({ "border_mode": [[1, 1, 1], 0] }), "padding"),
            (json!({ "border_mode": ["half", "half"] }), "bad_job"),
            (json!({ "border_mode": 1.0 }), "bad_job"),
            (json!({ "subsample": 0 }), "stride"),
            (json!({ "subsample": [1, -1] }), "stride"),
            (json!({ "filter_dilation": [1, 1, 1] }), "dilation"),
            (json!({ "num_groups": 0 }), "groups"),
            (json!({ "filter_flip": 1 }), "bad_job"),
            (json!({ "unshared": true }), "rank"),
            (json!({ "input_shape": [1, 1, 3, 4] }), "operand"),
            (json!({ "input_shape": [1, 1, 3] }), "operand"),
            (json!({ "input_shape": [1, 1, 3, -3] }), "bad_job"),
            (json!({ "input_shape": 9 }), "bad_job"),
            (json!({ "stride": 1 }), "bad_job"),
            (json!({ "padding": "valid" }), "bad_job"),
            (json!({ "axes": [0] }), "bad_job"),
            (json!({ "nonsense": null }), "bad_job"),
            (json!({ "filters": null }), "bad_job"),
            (json!({ "algorithm": "winograd" }), "unsupported"),
            (json!({ "op": "theano.nnet_conv4d" }), "bad_job"),
        ],
    );
    let target = (json!({ "input_shape": null }), "bad_job");
    refused(
        &folder,
        &named("theano.nnet_conv2d_grad_inputs"),
        &[target, (json!({ "input_shape": [1, 1, 4, 3] }), "grad_shape")],
    );
    let target = (json!({ "filter_shape": null }), "bad_job");
    refused(
        &folder,
        &named("theano.nnet_conv2d_grad_weights"),
        &[target, (json!({ "filter_shape": [1, 1, 3, 3] }), "grad_shape")],
    );
    let target = (json!({ "output_shape": null }), "bad_job");
    refused(
        &folder,
        &named("theano.conv2d_transpose"),
        &[target, (json!({ "output_shape": [4, 3] }), "output_shape")],
    );
    refused(
        &folder,
        &named("theano.bilinear_upsampling"),
        &[
            (json!({ "ratio": null }), "bad_job"),
            (json!({ "frac_ratio": [2, 1] }), "bad_job"),
            (json!({ "ratio": 0 }), "bad_job"),
            (json!({ "ratio": -2 }), "bad_job"),
            (json!({ "ratio": 1.5 }), "bad_job"),
            (json!({ "ratio": null, "frac_ratio": [2, 1] }), "bad_job"),
            (json!({ "ratio": null, "frac_ratio": [2, 0], "use_1D_kernel": false }), "bad_job"),
            (json!({ "ratio": null, "frac_ratio": [2], "use_1D_kernel": false }), "bad_job"),
        ],
    );
    refused(
        &folder,
        &named("theano.conv_transp3d"),
        &[
            (json!({ "RShape": [1, 1] }), "output_shape"),
            (json!({ "RShape": [1, 1, 3] }), "output_shape"),
            (json!({ "RShape": "x" }), "bad_job"),
            (json!({ "d": [1, 1] }), "stride"),
            (json!({ "d": 0 }), "stride"),
        ],
    );
    refused(
        &folder,
        &named("theano.conv_grad3d"),
        &[(json!({ "WShape": null }), "bad_job"), (json!({ "WShape": [1, 1, 1, 3, 1] }), "grad_shape")],
    );
    refused(
        &folder,
        &named("theano.conv3d2d"),
        &[
            (json!({ "border_mode": "same" }), "bad_job"),
            (json!({ "border_mode": ["valid", "valid"] }), "bad_job"),
            (json!({ "border_mode": [0, 0, 0] }), "bad_job"),
            (json!({ "signals_shape": [1, 2, 1, 1, 1] }), "operand"),
        ],
    );
    refused(
        &folder,
        &named("theano.filter_acts"),
        &[
            (json!({ "partial_sum": 2 }), "bad_job"),
            (json!({ "partial_sum": -1 }), "bad_job"),
            (json!({ "pad": -1 }), "padding"),
            (json!({ "stride": 0 }), "stride"),
        ],
    );
    refused(
        &folder,
        &named("theano.image_acts"),
        &[(json!({ "output_shape": null }), "bad_job"), (json!({ "output_shape": [5, 5] }), "output_shape")],
    );
    refused(
        &folder,
        &named("theano.weight_acts"),
        &[
            (json!({ "output_shape": null }), "bad_job"),
            (json!({ "output_shape": [1, 1], "stride": 1 }), "grad_shape"),
        ],
    );
    refused(
        &folder,
        &named("theano.corr_mm_grad_weights"),
        &[
            (json!({ "shape": null, "subsample": 2 }), "bad_job"),
            (json!({ "shape": null, "border_mode": "half" }), "bad_job"),
            (json!({ "shape": [3, 3] }), "grad_shape"),
        ],
    );
    refused(
        &folder,
        &named("signal.convolve"),
        &[
            (json!({ "mode": "wrap" }), "bad_job"),
            (json!({ "method": "winograd" }), "bad_job"),
            (json!({ "axes": [1] }), "bad_job"),
            (json!({ "axes": [] }), "bad_job"),
            (json!({ "axes": "0" }), "bad_job"),
        ],
    );
    refused(
        &folder,
        &named("signal.convolve2d"),
        &[(json!({ "boundary": "mirror" }), "bad_job"), (json!({ "fillvalue": "1" }), "bad_job")],
    );
    refused(
        &folder,
        &named("ndimage.convolve"),
        &[
            (json!({ "mode": "symm" }), "bad_job"),
            (json!({ "origin": 2 }), "padding"),
            (json!({ "origin": [0, 0] }), "bad_job"),
            (json!({ "cval": null, "mode": 3 }), "bad_job"),
        ],
    );
}

/// A result too large is refused before anything of its size is made, and the next job runs.
#[test]
fn sizes_are_limited() {
    let folder = Folder::default();
    folder.write_f32("x.npy", &tensor(&[1, 1, 1, 1], &[1.]));
    let job = json!({ "op": "theano.bilinear_upsampling", "input": "x.npy", "output": "y.npy" });
    for (fields, kind) in [
        (json!({ "ratio": 1u64 << 31 }), "overflow"),
        (json!({ "ratio": 100_000, "use_1D_kernel": false }), "limit_exceeded"),
        (json!({ "ratio": 1u64 << 40 }), "overflow"),
        (json!({ "ratio": u64::MAX }), "overflow"),
        (json!({ "frac_ratio": [1u64 << 62, 1], "use_1D_kernel": false }), "overflow"),
        (json!({ "frac_ratio": [1u64 << 31, (1u64 << 31) - 1], "use_1D_kernel": false }), ""),
        (json!({ "frac_ratio": [1, 1u64 << 62], "use_1D_kernel": false }), ""),
    ] {
        let answer = folder.job(&with(&job, &fields));
        assert_eq!(answer["error"]["kind"].as_str().unwrap_or_default(), kind, "{fields}: {answer}");
    }
}

/// Sums past what single precision holds.
#[test]
fn integers_stay_exact() {
    let folder = Folder::default();
    for (name, value) in [("a.npy", 4097i32), ("b.npy", 4097)] {
        folder.bytes(name, &crate::common::cli::npy_file("<i4", false, "(1,)", &value.to_le_bytes()));
    }
    let job = json!({ "op": "signal.convolve", "in1": "a.npy", "in2": "b.npy", "output": "y.npy" });
    assert_eq!(folder.job(&job)["ok"], true);
    assert_eq!(folder.read("y.npy"), ("f64", tensor(&[1], &[16_785_409.])));
    // Past double precision there is no exact result.
    for name in ["a.npy", "b.npy"] {
        folder.bytes(
            name,
            &crate::common::cli::npy_file("<i4", false, "(1,)", &((1i32 << 30) + 1).to_le_bytes()),
        );
    }
    assert_eq!(folder.job(&job)["error"]["kind"], "overflow");
    for name in ["a.npy", "b.npy"] {
        folder.bytes(name, &crate::common::cli::npy_file("<i4", false, "(1,)", &4097i32.to_le_bytes()));
    }
    // Unless single precision is asked for.
    assert_eq!(folder.job(&with(&job, &json!({ "dtype": "f32" })))["ok"], true);
    assert_eq!(folder.read("y.npy").0, "f32");
    folder.bytes("b.npy", &crate::common::cli::npy_file("<i4", false, "(1,)", &3i32.to_le_bytes()));
    assert_eq!(folder.job(&job)["ok"], true);
    assert_eq!(folder.read("y.npy"), ("f32", tensor(&[1], &[12_291.])));
}

/// The table of docs/cli.md is what the program finds when it asks the planner.
#[test]
fn the_manual_has_the_table_of_operations() {
    let folder = Folder::default();
    let ran = folder.run(&["info", "--ops"]);
    let manual = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md")).unwrap();
    assert!(ran.out.lines().count() > 30, "{}", ran.out);
    let said = ran.out.trim();
    assert!(manual.contains(said), "docs/cli.md lacks the output of `wgconv info --ops`:\n{said}");
    let table = table(&folder);
    for row in &table {
        for device in ["gpu", "cpu"] {
            assert!(!row[device].as_array().unwrap().is_empty(), "nothing runs {row}");
        }
    }
    // Each operation forward, and by each of its operands.
    let directions = |op: &str| table.iter().filter(|row| row["op"] == op).count();
    assert_eq!((directions("theano.conv3d"), directions("theano.separable_conv2d")), (4, 4));
}
