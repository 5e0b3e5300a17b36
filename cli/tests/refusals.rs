//! `wgconv run`: every way in which a job is refused, by its kind, and that the next one still runs.

use std::time::{Duration, Instant};

use crate::common::cli::{Folder, npy_file, with};
use ndarray::{ArrayD, IxDyn};
use serde_json::{Value, json};

fn conv_job() -> Value {
    json!({ "op": "conv", "input": "x.npy", "weight": "w.npy", "output": "y.npy" })
}

/// Runs all jobs in one process, with one that succeeds after each, and compares the kinds.
#[track_caller]
fn refuses(folder: &Folder, rows: &[(String, &str)]) {
    let good = with(&conv_job(), &json!({ "output": "good.npy" }));
    let lines: String = rows.iter().map(|(job, _)| format!("{job}\n{good}\n")).collect();
    let ran = folder.jobs(&lines);
    assert_eq!(ran.status, 1, "{ran:?}");
    let answers = ran.answers();
    assert_eq!(answers.len(), 2 * rows.len());
    for ((job, kind), pair) in rows.iter().zip(answers.chunks_exact(2)) {
        assert_eq!(pair[0]["error"]["kind"], *kind, "{job}: {}", pair[0]);
        assert!(!pair[0]["error"]["message"].as_str().unwrap().is_empty(), "{job}");
        assert_eq!(pair[1]["ok"], true, "after {job}: {}", pair[1]);
    }
    assert!(!folder.exists("y.npy"), "a refused job wrote its output");
}

fn rows(fields: Vec<(Value, &'static str)>) -> Vec<(String, &'static str)> {
    fields.into_iter().map(|(fields, kind)| (with(&conv_job(), &fields).to_string(), kind)).collect()
}

#[test]
fn lines_that_are_no_job() {
    let (folder, ..) = Folder::with(&[1, 2, 8], &[3, 2, 3]);
    let files = r#""input":"x.npy","weight":"w.npy","output":"y.npy""#;
    let long = format!(r#"{{"op":"conv",{files},"device":"{}"}}"#, "x".repeat(2 << 20));
    let deep = "[".repeat(100_000);
    let texts = [
        "{",
        "nonsense",
        "[]",
        "3",
        "null",
        "\"conv\"",
        "{} {}",
        "{}",
        r#"{"op":"conv"}"#,
        r#"{"op":"conv","input":"x.npy","weight":"w.npy"}"#,
        r#"{"op":"conv","weight":"w.npy","output":"y.npy"}"#,
        r#"{"op":"conv","input":"x.npy","output":"y.npy"}"#,
        r#"{"op":"conv","input":null,"weight":"w.npy","output":"y.npy"}"#,
        r#"{"input":"x.npy","weight":"w.npy","output":"y.npy"}"#,
        &format!(r#"{{"op":null,{files}}}"#),
        &format!(r#"{{"op":7,{files}}}"#),
        &format!(r#"{{"op":"convolve",{files}}}"#),
        &format!(r#"{{"op":"Conv",{files}}}"#),
        &format!(r#"{{"op":"conv",{files},"input":"x.npy"}}"#),
        &format!(r#"{{"op":"conv",{files},"stride":1,"stride":1}}"#),
        &format!(r#"{{"op":"conv",{files},"bias":null,"bias":null}}"#),
        &format!(r#"{{"op":"conv",{files},"strides":2}}"#),
        &format!(r#"{{"op":"conv",{files},"comment":null}}"#),
        &format!(r#"{{"op":"conv",{files},"input_shape":[1,2,8]}}"#),
        &format!(r#"{{"op":"conv",{files},"stride":1e400}}"#),
        &format!(r#"{{"op":"conv",{files},"stride":NaN}}"#),
        &format!(r#"{{"op":"conv",{files},}}"#),
        &format!(r#"{{"op":"conv",{files}"#),
        &format!("\u{feff}{{\"op\":\"conv\",{files}}}"),
        &long,
        &deep,
    ];
    refuses(&folder, &texts.map(|text| (text.to_owned(), "bad_job")));

    folder.bytes("jobs.jsonl", b"{\"op\": \"\xff\"}\n\n\x00\n");
    let ran = folder.run(&["run", "jobs.jsonl"]);
    let kinds: Vec<_> =
        ran.answers().iter().map(|a| (a["job"].clone(), a["error"]["kind"].clone())).collect();
    assert_eq!(kinds, [(json!(1), json!("bad_job")), (json!(3), json!("bad_job"))]);
}

#[test]
fn fields_of_the_wrong_type_or_word() {
    let (folder, ..) = Folder::with(&[1, 2, 8], &[3, 2, 3]);
    let mut fields = Vec::new();
    for name in ["input", "weight", "output", "bias", "device", "algorithm", "dtype", "boundary", "rounding"]
    {
        for value in [json!(1), json!(true), json!(["x"]), json!({}), json!("")] {
            fields.push((json!({ name: value }), "bad_job"));
        }
    }
    for name in ["stride", "dilation", "groups"] {
        for value in [json!("2"), json!(true), json!(1.5), json!(2.0), json!(1e30), json!({}), json!([[1]])] {
            fields.push((json!({ name: value }), "bad_job"));
        }
    }
    for value in [json!([1]), json!([1, 1])] {
        fields.push((json!({ "groups": value }), "bad_job"));
    }
    for value in [json!([1, "2"]), json!([1.5]), json!([null])] {
        fields.push((json!({ "stride": value }), "bad_job"));
    }
    for value in [json!(0), json!(1), json!("true"), json!([true])] {
        fields.push((json!({ "flip": value }), "bad_job"));
    }
    for value in [json!("SAME"), json!("same-upper"), json!(true), json!(0.5), json!([1, [1, 1]]), json!({})]
    {
        fields.push((json!({ "padding": value }), "bad_job"));
    }
    for (name, word) in [
        ("algorithm", "nonsense"),
        ("algorithm", "im2col-gemm"),
        ("algorithm", "Direct"),
        ("dtype", "f128"),
        ("dtype", "float32"),
        ("boundary", "circular"),
        ("boundary", "constant"),
        ("boundary", "constant:"),
        ("boundary", "constant:x"),
        ("rounding", "up"),
        ("layout", "nchw"),
        ("activation", "elu"),
        ("activation", "clamp:1"),
        ("activation", "relu:1"),
        ("device", "  "),
    ] {
        fields.push((json!({ name: word }), "bad_job"));
    }
    refuses(&folder, &rows(fields));
}

#[test]
fn numbers_out_of_range() {
    let (folder, ..) = Folder::with(&[1, 2, 8], &[3, 2, 3]);
    let max = u64::MAX;
    refuses(
        &folder,
        &rows(vec![
            (json!({ "stride": 0 }), "stride"),
            (json!({ "stride": -1 }), "stride"),
            (json!({ "stride": [0] }), "stride"),
            (json!({ "stride": [] }), "stride"),
            (json!({ "stride": [1, 1] }), "stride"),
            (json!({ "stride": max }), "overflow"),
            (json!({ "dilation": 0 }), "dilation"),
            (json!({ "dilation": i64::MIN }), "dilation"),
            (json!({ "dilation": [1, 1] }), "dilation"),
            (json!({ "dilation": max }), "overflow"),
            (json!({ "dilation": 1u64 << 40 }), "kernel_too_large"),
            (json!({ "groups": 0 }), "groups"),
            (json!({ "groups": -2 }), "groups"),
            (json!({ "groups": 3 }), "groups"),
            (json!({ "groups": max }), "groups"),
            (json!({ "padding": -1 }), "padding"),
            (json!({ "padding": [-1] }), "padding"),
            (json!({ "padding": [[-1, 0]] }), "padding"),
            (json!({ "padding": [] }), "padding"),
            (json!({ "padding": [1, 1] }), "padding"),
            (json!({ "padding": [[1, 1], [1, 1]] }), "padding"),
            (json!({ "padding": [[1]] }), "padding"),
            (json!({ "padding": [[1, 2, 3]] }), "padding"),
            (json!({ "padding": [[0, -6]] }), "kernel_too_large"),
            (json!({ "padding": [[0, i64::MIN]] }), "overflow"),
            (json!({ "padding": [[0, max]] }), "overflow"),
            (json!({ "padding": max }), "overflow"),
            (json!({ "padding": 1u64 << 60 }), "overflow"),
            (json!({ "padding": 1u64 << 40 }), "limit_exceeded"),
            (json!({ "boundary": "constant:nan" }), "non_finite"),
            (json!({ "boundary": "constant:inf" }), "non_finite"),
            (json!({ "boundary": "constant:1e39" }), "non_finite"),
            (json!({ "activation": "clamp:2:1" }), "operand"),
            (json!({ "activation": "clamp:nan:1" }), "non_finite"),
        ]),
    );
}

#[test]
fn files_that_do_not_fit() {
    let (folder, ..) = Folder::with(&[1, 2, 8], &[3, 2, 3]);
    let file = |name: &str, shape: &[usize]| folder.write(name, &ArrayD::<f32>::zeros(IxDyn(shape)));
    for (name, shape) in [
        ("scalar.npy", &[][..]),
        ("one.npy", &[8]),
        ("flat.npy", &[2, 8]),
        ("image.npy", &[1, 2, 8, 8]),
        ("six.npy", &[1, 1, 1, 1, 1, 1]),
        ("nine.npy", &[1, 1, 1, 1, 1, 1, 1, 1, 1]),
        ("wide.npy", &[3, 2, 9]),
        ("five.npy", &[3, 5, 3]),
        ("hollow.npy", &[3, 2, 0]),
        ("void.npy", &[1, 2, 0]),
        ("bias2.npy", &[2]),
        ("bias0.npy", &[0]),
        ("bias_square.npy", &[3, 1]),
    ] {
        file(name, shape);
    }
    let missing = folder.path("no/such/y.npy").to_string_lossy().into_owned();
    refuses(
        &folder,
        &rows(vec![
            (json!({ "input": "one.npy" }), "rank"),
            (json!({ "input": "scalar.npy" }), "rank"),
            (json!({ "input": "image.npy" }), "rank"),
            (json!({ "input": "flat.npy", "layout": "nxc" }), "rank"),
            (json!({ "input": "flat.npy", "layout": "cxn" }), "rank"),
            (json!({ "weight": "flat.npy" }), "rank"),
            (json!({ "weight": "scalar.npy" }), "rank"),
            (json!({ "weight": "six.npy", "input": "six.npy" }), "rank"),
            (json!({ "weight": "nine.npy", "input": "nine.npy" }), "rank"),
            (json!({ "weight": "five.npy" }), "channels"),
            (json!({ "weight": "wide.npy" }), "kernel_too_large"),
            (json!({ "weight": "hollow.npy" }), "operand"),
            (json!({ "input": "void.npy", "padding": 3 }), "operand"),
            (json!({ "bias": "bias2.npy" }), "bias_shape"),
            (json!({ "bias": "bias0.npy" }), "bias_shape"),
            (json!({ "bias": "scalar.npy" }), "bias_shape"),
            (json!({ "bias": "bias_square.npy" }), "bias_shape"),
            (json!({ "input": "absent.npy" }), "io"),
            (json!({ "bias": "absent.npy" }), "io"),
            (json!({ "input": "nul\u{0}.npy" }), "io"),
            (json!({ "input": "." }), "bad_file"),
            (json!({ "output": "no/such/y.npy" }), "io"),
            (json!({ "output": missing }), "io"),
            (json!({ "output": "." }), "io"),
            (json!({ "algorithm": "winograd" }), "unsupported"),
            (json!({ "algorithm": "winograd" }), "unsupported"),
            (json!({ "algorithm": "im2col_gemm" }), "unsupported"),
            (json!({ "dtype": "f16" }), "unsupported"),
            (json!({ "device": "no such adapter" }), "no_adapter"),
        ]),
    );
}

#[test]
fn hostile_files_are_refused_at_once() {
    let (folder, ..) = Folder::with(&[1, 2, 8], &[3, 2, 3]);
    let header = |text: &str| npy_file("<f4", false, text, &[0; 64]);
    let whole = header("(1, 2, 8)");
    let mut giant = b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec();
    giant.extend(b"{'descr'");
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("terabyte", header("(1, 2, 137438953472)")),
        ("exabyte", header("(1, 2, 1152921504606846975)")),
        ("overflow", header("(1, 4294967296, 4294967296)")),
        ("beyond_u64", header("(1, 2, 99999999999999999999999)")),
        ("empty_but_wide", header("(0, 2, 9223372036854775807)")),
        ("negative", header("(1, 2, -8)")),
        ("truncated", whole[..whole.len() - 1].to_vec()),
        ("trailing", [&whole[..], b"x"].concat()),
        ("half_a_header", whole[..30].to_vec()),
        ("no_header", b"\x93NUMPY".to_vec()),
        ("nothing", Vec::new()),
        ("giant_header", giant),
        ("brackets", npy_file("<f4", false, &"(".repeat(30_000), &[])),
        ("not_npy", b"PK\x03\x04 a zip of some kind, as .npz would be".to_vec()),
        ("object", npy_file("|O", false, "(1, 2, 8)", &[0; 64])),
        ("int64", npy_file("<i8", false, "(1, 2, 4)", &[0; 64])),
        ("complex", npy_file("<c8", false, "(1, 2, 4)", &[0; 64])),
        ("bool", npy_file("|b1", false, "(1, 2, 32)", &[0; 64])),
    ];
    let mut table = Vec::new();
    for (name, bytes) in &files {
        let file = format!("{name}.npy");
        folder.bytes(&file, bytes);
        table.push((json!({ "input": file }), "bad_file"));
        table.push((json!({ "weight": file }), "bad_file"));
        table.push((json!({ "bias": file }), "bad_file"));
    }
    let start = Instant::now();
    refuses(&folder, &rows(table));
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn gradients_refuse_too() {
    let (folder, ..) = Folder::with(&[1, 2, 8], &[3, 2, 3]);
    for (name, shape) in [("g.npy", &[1, 3, 6]), ("g5.npy", &[1, 3, 5]), ("g4.npy", &[1, 4, 6])] {
        folder.write(name, &ArrayD::<f32>::zeros(IxDyn(shape)));
    }
    folder.write("flat.npy", &ArrayD::<f32>::zeros(IxDyn(&[3, 6])));
    folder.write("b.npy", &ArrayD::<f32>::zeros(IxDyn(&[3])));
    let input = json!({ "op": "grad_input", "grad_output": "g.npy", "weight": "w.npy", "input_shape": [1, 2, 8],
        "output": "y.npy" });
    let weight = json!({ "op": "grad_weight", "grad_output": "g.npy", "input": "x.npy", "weight_shape": [3, 2, 3],
        "output": "y.npy" });
    let mut table = Vec::new();
    for (base, fields, kind) in [
        (&input, json!({ "bias": "b.npy" }), "bad_job"),
        (&weight, json!({ "bias": "b.npy" }), "bad_job"),
        (&input, json!({ "input": "x.npy" }), "bad_job"),
        (&weight, json!({ "weight": "w.npy" }), "bad_job"),
        (&input, json!({ "input_shape": null }), "bad_job"),
        (&input, json!({ "input_shape": 8 }), "bad_job"),
        (&input, json!({ "input_shape": [1, 2, -8] }), "bad_job"),
        (&input, json!({ "input_shape": [1, 2, 8.0] }), "bad_job"),
        (&weight, json!({ "weight_shape": "3,2,3" }), "bad_job"),
        (&input, json!({ "input_shape": [2, 8] }), "rank"),
        (&input, json!({ "input_shape": [] }), "rank"),
        (&input, json!({ "grad_output": "flat.npy" }), "rank"),
        (&weight, json!({ "grad_output": "flat.npy" }), "rank"),
        (&weight, json!({ "weight_shape": [3, 2] }), "rank"),
        (&weight, json!({ "weight_shape": [3, 2, 3, 3, 3] }), "rank"),
        (&input, json!({ "input_shape": [1, 4, 8] }), "channels"),
        (&weight, json!({ "weight_shape": [3, 4, 3] }), "channels"),
        (&input, json!({ "grad_output": "g5.npy" }), "grad_shape"),
        (&input, json!({ "grad_output": "g4.npy" }), "grad_shape"),
        (&weight, json!({ "grad_output": "g5.npy" }), "grad_shape"),
        (&weight, json!({ "weight_shape": [3, 2, 4] }), "grad_shape"),
        (&weight, json!({ "weight_shape": [4, 2, 3] }), "grad_shape"),
        (&weight, json!({ "weight_shape": [3, 2, 9] }), "kernel_too_large"),
        (&input, json!({ "input_shape": [1, 2, u64::MAX] }), "overflow"),
        (&input, json!({ "input_shape": [1, 2, 1u64 << 40] }), "grad_shape"),
    ] {
        table.push((with(base, &fields).to_string(), kind));
    }
    refuses(&folder, &table);
}
