//! `wgconv run`: the fields of a job, against the reference, and the lines that come back.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::common::cli::{Folder, expected, npy_file, ran, values, wgconv, with};
use ndarray::{Array1, ArrayD, Axis};
use serde_json::{Value, json};
use wgconv::{Activation, Boundary, Conv, Layout, Padding, Rounding};

fn conv_job() -> Value {
    json!({ "op": "conv", "input": "x.npy", "weight": "w.npy", "output": "y.npy" })
}

#[track_caller]
fn succeeds(folder: &Folder, job: &Value) -> ArrayD<f64> {
    let answer = folder.job(job);
    assert_eq!(answer["ok"], true, "{job}: {answer}");
    let (_, y) = folder.read("y.npy");
    assert_eq!(answer["output_shape"], json!(y.shape()), "{job}");
    y
}

#[test]
fn every_field_of_a_convolution() {
    let (folder, x, w) = Folder::with(&[2, 4, 9, 8], &[6, 4, 3, 2]);
    let conv = Conv::default;
    let pairs: [(usize, isize); 2] = [(1, 2), (0, -1)];
    let rows: Vec<(Value, Conv)> = vec![
        (json!({}), conv()),
        (json!({ "stride": 2 }), conv().stride(2)),
        (json!({ "stride": [2, 1] }), conv().stride([2, 1])),
        (json!({ "dilation": 2 }), conv().dilation(2)),
        (json!({ "dilation": [1, 3] }), conv().dilation([1, 3])),
        (json!({ "padding": 1 }), conv().padding(1)),
        (json!({ "padding": [1, 2] }), conv().padding([1, 2])),
        (json!({ "padding": [[1, 2], [0, -1]] }), conv().padding(pairs)),
        (json!({ "flip": true }), conv().flip(true)),
        (json!({ "flip": false }), conv()),
        (json!({ "rounding": "ceil", "stride": 3 }), conv().stride(3).rounding(Rounding::Ceil)),
        (json!({ "rounding": "floor", "stride": 3 }), conv().stride(3)),
        (json!({ "activation": "relu" }), conv().activation(Activation::Relu)),
        (
            json!({ "activation": "clamp:-2:7.5" }),
            conv().activation(Activation::Clamp { low: -2.0, high: 7.5 }),
        ),
        (
            json!({ "activation": "leaky_relu:0.25" }),
            conv().activation(Activation::LeakyRelu { slope: 0.25 }),
        ),
        (json!({ "algorithm": "direct", "dtype": "f32", "device": "cpu", "layout": "ncx" }), conv()),
        (
            json!({ "algorithm": "auto", "dtype": "auto", "device": "auto", "groups": 1, "boundary": "zero" }),
            conv(),
        ),
    ];
    for (fields, conv) in rows {
        let y = succeeds(&folder, &with(&conv_job(), &fields));
        assert_eq!(y, expected(&x, &w, None, &conv), "{fields}");
    }
    for field in ["device", "algorithm", "dtype", "stride", "dilation", "padding", "groups", "flip"]
        .into_iter()
        .chain(["boundary", "rounding", "layout", "bias", "activation", "input_shape", "output_padding"])
    {
        let y = succeeds(&folder, &with(&conv_job(), &json!({ field: null })));
        assert_eq!(y, expected(&x, &w, None, &conv()), "{field}: null is absent");
    }
}

#[test]
fn every_padding_with_every_boundary() {
    let (folder, x, w) = Folder::with(&[1, 2, 7, 6], &[3, 2, 4, 3]);
    let names = ["valid", "full", "half", "same", "same_upper", "same_lower", "same_centered"];
    let boundaries = ["zero", "constant:2.5", "constant:-1", "wrap", "reflect", "mirror", "nearest"];
    let (mut lines, mut wanted) = (String::new(), Vec::new());
    for name in names {
        for boundary in boundaries {
            for stride in [1, 2] {
                let output = format!("y{}.npy", wanted.len());
                let fields =
                    json!({ "padding": name, "boundary": boundary, "stride": stride, "output": output });
                lines += &format!("{}\n", with(&conv_job(), &fields));
                let conv = Conv::default()
                    .padding(Padding::from_name(name).unwrap())
                    .boundary(Boundary::from_name(boundary).unwrap())
                    .stride(stride);
                wanted.push((format!("{name} {boundary} {stride}"), expected(&x, &w, None, &conv)));
            }
        }
    }
    let ran = folder.jobs(&lines);
    assert_eq!((ran.status, ran.answers().len()), (0, wanted.len()), "{ran:?}");
    for (i, (what, wanted)) in wanted.iter().enumerate() {
        assert_eq!(folder.read(&format!("y{i}.npy")).1, *wanted, "{what}");
    }
}

#[test]
fn groups_and_bias() {
    let (folder, x, w) = Folder::with(&[2, 6, 5], &[4, 3, 3]);
    let bias = Array1::from_vec(vec![1.0, -2.0, 0.5, 3.0]);
    folder.write_f32("b.npy", &bias.clone().into_dyn());
    let y = succeeds(&folder, &with(&conv_job(), &json!({ "groups": 2, "bias": "b.npy" })));
    assert_eq!(y, expected(&x, &w, Some(&bias), &Conv::default().groups(2)));
}

/// The array as a file of the layout has it.
fn stored(array: &ArrayD<f64>, layout: &Layout) -> ArrayD<f64> {
    let order = layout.order(array.ndim(), 1).expect("a named layout");
    array.view().permuted_axes(order).as_standard_layout().into_owned()
}

#[test]
fn every_layout_in_every_rank() {
    for rank in 1..=3 {
        let shape = |a, b, extents: [usize; 3]| [vec![a, b], extents[..rank].to_vec()].concat();
        let (x, w) = (values(&shape(2, 4, [6, 5, 4]), 3), values(&shape(6, 2, [3, 2, 2]), 4));
        for name in ["ncx", "nxc", "cxn"] {
            let layout = Layout::from_name(name).unwrap();
            let folder = Folder::default();
            folder.write("x.npy", &stored(&x, &layout));
            folder.write("w.npy", &stored(&w, &layout));
            let fields = json!({ "layout": name, "groups": 2, "padding": "same", "dtype": "f32" });
            let y = succeeds(&folder, &with(&conv_job(), &fields));
            let conv = Conv::default().groups(2).padding(Padding::Same);
            assert_eq!(y, stored(&expected(&x, &w, None, &conv), &layout), "{name} rank {rank}");
        }
    }
}

#[test]
fn unbatched_inputs_give_unbatched_outputs() {
    for (x, w) in [(vec![2, 9], vec![3, 2, 4]), (vec![2, 6, 5], vec![3, 2, 3, 3]), (vec![1; 4], vec![1; 5])] {
        let (folder, x, w) = Folder::with(&x, &w);
        let y = succeeds(&folder, &conv_job());
        let wanted = expected(&x.insert_axis(Axis(0)), &w, None, &Conv::default());
        assert_eq!(y, wanted.index_axis_move(Axis(0), 0));
    }
}

#[test]
fn empty_batches_and_channels() {
    for (x, w) in [([0, 2, 5], [3, 2, 3]), ([2, 2, 5], [0, 2, 3]), ([2, 0, 5], [3, 0, 3])] {
        let (folder, x, w) = Folder::with(&x, &w);
        let y = succeeds(&folder, &conv_job());
        assert_eq!(y, expected(&x, &w, None, &Conv::default()));
    }
}

#[test]
fn answers_come_in_order_with_line_numbers() {
    let (folder, ..) = Folder::with(&[1, 1, 5], &[1, 1, 3]);
    let good = with(&conv_job(), &json!({ "output": "a.npy" }));
    let last = with(&conv_job(), &json!({ "output": "b.npy" }));
    let lines = format!("\n{good}\r\n \t \r\n{{oops\r\n\n{{\"op\":\"dance\"}}\n{last}");
    let ran = folder.jobs(&lines);
    assert_eq!(ran.status, 1);
    let answers = ran.answers();
    let brief: Vec<_> = answers.iter().map(|a| (a["job"].as_u64(), a["ok"].as_bool())).collect();
    let (yes, no) = (Some(true), Some(false));
    assert_eq!(brief, [(Some(2), yes), (Some(4), no), (Some(6), no), (Some(7), yes)]);
    assert!(folder.exists("a.npy") && folder.exists("b.npy"));
    let keys = |answer: &Value| answer.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&answers[0]), ["job", "ok", "algorithm", "device", "dtype", "output_shape", "ms"]);
    assert_eq!(answers[0]["algorithm"], "direct");
    assert_eq!(answers[0]["device"], "cpu");
    assert_eq!(answers[0]["output_shape"], json!([1, 1, 3]));
    assert!(answers[0]["ms"].as_f64().is_some_and(|ms| ms >= 0.0));
    assert_eq!(keys(&answers[1]), ["job", "ok", "error"]);
    assert_eq!(keys(&answers[1]["error"]), ["kind", "message"]);
    assert_eq!(answers[1]["error"]["kind"], "bad_job");

    assert_eq!(folder.jobs(&format!("{good}\n")).status, 0);
    let empty = folder.jobs("\n \n");
    assert_eq!((empty.status, empty.out.as_str()), (0, ""));
}

#[test]
fn standard_input_is_answered_line_by_line() {
    let (folder, ..) = Folder::with(&[1, 1, 5], &[1, 1, 3]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_wgconv"))
        .args(["run", "-", "--device", "cpu"])
        .current_dir(folder.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let (mut jobs, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut answers = BufReader::new(answers).lines();
    for number in 1..=3 {
        writeln!(jobs, "{}", conv_job()).unwrap();
        jobs.flush().unwrap();
        // The next job is not sent before this answer is there.
        let answer: Value = serde_json::from_str(&answers.next().unwrap().unwrap()).unwrap();
        assert_eq!((&answer["job"], &answer["ok"]), (&json!(number), &json!(true)));
    }
    drop(jobs);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let (folder, ..) = Folder::with(&[1, 1, 5], &[1, 1, 3]);
    folder.bytes("jobs.jsonl", format!("{}\n", conv_job()).repeat(50).as_bytes());
    let mut child = Command::new(env!("CARGO_BIN_EXE_wgconv"))
        .args(["run", "jobs.jsonl", "--device", "cpu"])
        .current_dir(folder.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("error[io]") && !text.contains("panicked"), "{text}");
}

#[test]
fn a_job_beats_the_command_line() {
    let (folder, ..) = Folder::with(&[1, 1, 5], &[1, 1, 3]);
    let lines = [
        json!({}),
        json!({ "algorithm": null, "dtype": null }),
        json!({ "algorithm": "direct", "dtype": "f32" }),
        json!({ "algorithm": "auto", "dtype": "auto" }),
        json!({ "device": "no such adapter" }),
    ]
    .map(|fields| with(&conv_job(), &fields).to_string())
    .join("\n");
    folder.bytes("jobs.jsonl", lines.as_bytes());
    let options = ["--device", "cpu", "--algorithm", "reference", "--dtype", "f64"];
    let ran = folder.run(&[&["run", "jobs.jsonl"], &options[..]].concat());
    let answers = ran.answers();
    let algorithms: Vec<_> = answers[..4].iter().map(|a| a["algorithm"].as_str().unwrap()).collect();
    assert_eq!(algorithms, ["reference", "reference", "direct", "direct"]);
    assert_eq!(answers[4]["error"]["kind"], "no_adapter");

    let one = |fields: Value| {
        folder.bytes("jobs.jsonl", with(&conv_job(), &fields).to_string().as_bytes());
        assert_eq!(folder.run(&[&["run", "jobs.jsonl"], &options[..]].concat()).status, 0);
        folder.read("y.npy").0
    };
    assert_eq!(one(json!({})), "f64");
    assert_eq!(one(json!({ "dtype": "auto" })), "f32");
}

#[test]
fn an_output_may_replace_its_input() {
    let (folder, x, w) = Folder::with(&[1, 1, 5], &[1, 1, 3]);
    for output in ["w.npy", "x.npy"] {
        folder.write("x.npy", &x);
        folder.write("w.npy", &w);
        assert_eq!(folder.job(&with(&conv_job(), &json!({ "output": output })))["ok"], true);
        assert_eq!(folder.read(output).1, expected(&x, &w, None, &Conv::default()));
    }
}

#[test]
fn an_output_exists_only_if_its_job_succeeded() {
    let (folder, ..) = Folder::with(&[1, 1, 5], &[1, 1, 7]);
    assert_eq!(folder.job(&conv_job())["error"]["kind"], "kernel_too_large");
    assert_eq!(folder.list(), ["jobs.jsonl", "w.npy", "x.npy"]);
    // What was there before is not touched either.
    folder.bytes("y.npy", b"older");
    assert_eq!(folder.job(&conv_job())["ok"], false);
    assert_eq!(std::fs::read(folder.path("y.npy")).unwrap(), b"older");
}

#[test]
fn a_dense_job_file_opens_the_device_once() {
    let (folder, ..) = Folder::with(&[1, 1, 5], &[1, 1, 3]);
    folder.bytes("jobs.jsonl", format!("{}\n", conv_job()).repeat(300).as_bytes());
    let ran = ran(wgconv().current_dir(folder.path("")).args(["run", "jobs.jsonl"]));
    assert_eq!((ran.status, ran.answers().len()), (0, 300), "{}", ran.err);
}

/// The exact sum of a window of ones, at some cells.
fn window_sums(x: &ArrayD<f64>, k: usize) -> impl Fn([usize; 2]) -> f64 + '_ {
    move |[i, j]| (0..k).flat_map(|a| (0..k).map(move |b| (a, b))).map(|(a, b)| x[[0, 0, i + a, j + b]]).sum()
}

/// Large enough for transforms to be faster, which round.
#[test]
fn integers_are_never_rounded() {
    let folder = Folder::default();
    let x = values(&[1, 1, 700, 700], 3).mapv(|v| (v.abs() * 31.0) % 256.0).mapv(f64::round);
    let bytes: Vec<u8> = x.iter().map(|&v| v as u8).collect();
    folder.bytes("x.npy", &npy_file("|u1", false, "(1, 1, 700, 700)", &bytes));
    folder.bytes("w.npy", &npy_file("|u1", false, "(1, 1, 7, 7)", &[1; 49]));
    let sum = window_sums(&x, 7);
    let jobs = [
        (json!({ "op": "conv", "input": "x.npy", "weight": "w.npy" }), 0),
        (json!({ "op": "theano.nnet_conv2d", "input": "x.npy", "filters": "w.npy" }), 0),
        (
            json!({ "op": "grad_input", "grad_output": "x.npy", "weight": "w.npy", "input_shape": [1, 1, 706, 706] }),
            6,
        ),
        (json!({ "op": "conv_transpose", "input": "x.npy", "weight": "w.npy" }), 6),
    ];
    for (job, shift) in jobs {
        let answer = folder.job(&with(&job, &json!({ "output": "y.npy" })));
        assert_eq!(answer["ok"], true, "{job}: {answer}");
        assert_eq!((&answer["algorithm"], &answer["dtype"]), (&json!("direct"), &json!("f32")), "{answer}");
        let (_, y) = folder.read("y.npy");
        assert!(y.iter().all(|v| v.fract() == 0.0), "{job}");
        for at in [[0, 0], [311, 200], [693, 600]] {
            assert_eq!(y[[0, 0, at[0] + shift, at[1] + shift]], sum(at), "{job} {at:?}");
        }
    }
    // The gradient of the weight sums all of the image.
    folder.bytes("dy.npy", &npy_file("|u1", false, "(1, 1, 694, 694)", &vec![1; 694 * 694]));
    let job = json!({ "op": "grad_weight", "input": "x.npy", "grad_output": "dy.npy", "weight_shape": [1, 1, 7, 7], "output": "y.npy" });
    let answer = folder.job(&job);
    assert_eq!(answer["dtype"], "f64", "255 times 481,636 products pass 2^24: {answer}");
    assert!(folder.read("y.npy").1.iter().all(|v| v.fract() == 0.0));
}

/// 36,864 products of up to 127 x 127 pass what f32 holds.
#[test]
fn integers_whose_sums_pass_f32_are_computed_in_f64() {
    let folder = Folder::default();
    for (name, value) in [("x.npy", 127), ("w.npy", 125)] {
        folder.bytes(name, &npy_file("|i1", false, "(1, 4096, 3, 3)", &[value; 36_864]));
    }
    let answer = folder.job(&conv_job());
    assert_eq!((&answer["ok"], &answer["dtype"]), (&json!(true), &json!("f64")), "{answer}");
    assert_eq!(folder.read("y.npy"), ("f64", ArrayD::from_elem(vec![1, 1, 1, 1], 36_864.0 * 127.0 * 125.0)));
}

#[test]
fn every_answer_has_its_type_and_the_jobs_id() {
    let (folder, ..) = Folder::with(&[1, 1, 5, 5], &[1, 1, 3, 3]);
    for (dtype, id) in [("f32", json!("a")), ("f64", json!(7)), ("f32", json!(1.5))] {
        let answer = folder.job(&with(&conv_job(), &json!({ "dtype": dtype, "id": id })));
        assert_eq!((&answer["dtype"], &answer["id"]), (&json!(dtype), &id), "{answer}");
        assert_eq!(folder.read("y.npy").0, dtype);
    }
    // Also of what fails; and without one there is none.
    let answer = folder.job(&with(&conv_job(), &json!({ "stride": 0, "id": "b" })));
    assert_eq!((&answer["ok"], &answer["id"]), (&json!(false), &json!("b")), "{answer}");
    assert_eq!(folder.job(&conv_job()).get("id"), None);
    let answer = folder.job(&with(&conv_job(), &json!({ "id": [1] })));
    assert_eq!(answer["error"]["kind"], "bad_job", "{answer}");
    // Double precision is kept where nobody named a GPU.
    folder.write("x.npy", &values(&[1, 1, 5, 5], 1));
    folder.bytes("jobs.jsonl", format!("{}\n", conv_job()).as_bytes());
    let auto = folder.run(&["run", "jobs.jsonl"]).answers().remove(0);
    assert_eq!((&auto["dtype"], &auto["device"]), (&json!("f64"), &json!("cpu")), "{auto}");
}

#[test]
fn the_choice_of_an_algorithm_is_in_the_job() {
    let (folder, ..) = Folder::with(&[1, 1, 400, 400], &[1, 1, 31, 31]);
    let by = |fields: Value| folder.job(&with(&conv_job(), &fields))["algorithm"].clone();
    assert_eq!(by(json!({})), "direct");
    assert_eq!(by(json!({ "precision": "fast" })), "fft");
    assert_eq!(by(json!({ "precision": "accurate" })), "direct");
    assert_eq!(by(json!({ "prefer": ["winograd", "fft"] })), "fft");
    assert_eq!(by(json!({ "prefer": ["fft"], "precision": "accurate" })), "direct");
    let ran = folder.run(&["run", "jobs.jsonl", "--device", "cpu", "--precision", "fast"]);
    assert_eq!(ran.answers()[0]["algorithm"], "direct", "a field beats the option: {ran:?}");
    for wrong in [
        json!({ "precision": "best" }),
        json!({ "prefer": "fft" }),
        json!({ "prefer": ["ftf"] }),
        json!({ "check_finite": 1 }),
    ] {
        assert_eq!(folder.job(&with(&conv_job(), &wrong))["error"]["kind"], "bad_job", "{wrong}");
    }
}

/// One infinity stays where it belongs, and is an error where it was asked for.
#[test]
fn what_is_not_finite() {
    let folder = Folder::default();
    let mut x = values(&[1, 1, 300, 300], 1);
    x[[0, 0, 150, 150]] = f64::INFINITY;
    folder.write_f32("x.npy", &x);
    folder.write_f32("w.npy", &ArrayD::from_elem(vec![1, 1, 15, 15], 1.0));
    for algorithm in ["direct", "fft"] {
        let job = with(&conv_job(), &json!({ "algorithm": algorithm }));
        let y = succeeds(&folder, &job);
        assert_eq!(y.iter().filter(|v| !v.is_finite()).count(), 225, "{algorithm}");
    }
    let job = with(&conv_job(), &json!({ "algorithm": "fft", "check_finite": true }));
    assert_eq!(folder.job(&job)["error"]["kind"], "non_finite");
}

/// A file's name is data: it forges no line and moves no cursor.
#[test]
fn names_are_escaped() {
    let (folder, ..) = Folder::with(&[1, 1, 5, 5], &[1, 1, 3, 3]);
    let name = "gone\nerror[io]: forged \u{1b}[2J";
    let ran =
        folder.run(&["conv", "--input", name, "--weight", "w.npy", "--output", "y.npy", "--device", "cpu"]);
    assert!(ran.status == 1 && ran.err.contains(r"gone\nerror[io]: forged \u{1b}[2J"), "{ran:?}");
    assert!(ran.err.trim_end().lines().count() == 1 && !ran.err.contains('\u{1b}'), "{ran:?}");
    let answer = folder.job(&with(&conv_job(), &json!({ "input": name })));
    let message = answer["error"]["message"].as_str().expect("a message");
    assert!(message.contains(r"gone\n") && !message.contains(['\n', '\u{1b}']), "{message:?}");
    let ran = folder.run(&["conv", "--stride", "1\u{1b}[2J"]);
    assert!(ran.status == 2 && !ran.err.contains('\u{1b}'), "{ran:?}");
    // Nor is a long one repeated whole.
    let answer = folder.job(&with(&conv_job(), &json!({ "device": "x".repeat(100_000) })));
    assert!(answer.to_string().len() < 1000, "{answer}");
}

#[cfg(unix)]
#[test]
fn a_list_of_jobs_that_never_ends_is_refused() {
    let ran = ran(wgconv().args(["run", "/dev/zero"]));
    assert!(
        ran.status == 1 && ran.err.contains("error[io]") && ran.err.contains("a line goes on past"),
        "{ran:?}"
    );
}
