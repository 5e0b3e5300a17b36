//! `wgconv run`: element types and forms of files; gradients and transposed convolutions.

use crate::common::cli::{Folder, expected, npy_file, ran, values, with};
use ndarray::{Array1, ArrayD, Axis, IxDyn};
use serde_json::{Value, json};
use wgconv::half::f16;
use wgconv::internals::cpu::reference::{self, Operands64};
use wgconv::{Boundary, Conv, ConvProblem, Direction, Element, Layout, Padding};

fn conv_job() -> Value {
    json!({ "op": "conv", "input": "x.npy", "weight": "w.npy", "output": "y.npy" })
}

#[track_caller]
fn succeeds(folder: &Folder, job: &Value) -> (&'static str, ArrayD<f64>) {
    let answer = folder.job(job);
    assert_eq!(answer["ok"], true, "{job}: {answer}");
    let (dtype, y) = folder.read("y.npy");
    assert_eq!(answer["output_shape"], json!(y.shape()), "{job}");
    (dtype, y)
}

/// The bytes of small integers in a `.npy` type.
fn bytes(code: &str, values: &[i8], big: bool) -> Vec<u8> {
    let one = |&v: &i8| {
        let v32 = f32::from(v);
        let mut bytes = match code {
            "f2" => f16::from_f32(v32).to_le_bytes().to_vec(),
            "f4" => v32.to_le_bytes().to_vec(),
            "f8" => f64::from(v).to_le_bytes().to_vec(),
            "i4" => i32::from(v).to_le_bytes().to_vec(),
            "i2" | "u2" => i16::from(v).to_le_bytes().to_vec(),
            _ => v.to_le_bytes().to_vec(),
        };
        if big {
            bytes.reverse();
        }
        bytes
    };
    values.iter().flat_map(one).collect()
}

#[test]
fn every_type_and_order_of_file() {
    let folder = Folder::default();
    let x = [3, 1, 4, 1, 5, 9, 2, 6i8];
    let array = ArrayD::from_shape_vec(IxDyn(&[1, 2, 4]), x.map(f64::from).to_vec()).unwrap();
    // Column-major order of the same array.
    let columns = [3, 5, 1, 9, 4, 2, 1, 6i8];
    let w = values(&[2, 2, 2], 5);
    folder.write_f32("w.npy", &w);
    let wanted = expected(&array, &w, None, &Conv::default());
    for code in ["f2", "f4", "f8", "i1", "u1", "i2", "u2", "i4"] {
        for (order, big) in [("<", false), (">", true)] {
            for (fortran, data) in [(false, x), (true, columns)] {
                let descr = if code.ends_with('1') { format!("|{code}") } else { format!("{order}{code}") };
                let file = npy_file(&descr, fortran, "(1, 2, 4)", &bytes(code, &data, big));
                folder.bytes("x.npy", &file);
                let (dtype, y) = succeeds(&folder, &conv_job());
                // A double-precision operand is kept so on the CPU; half precision is computed in single.
                assert_eq!(dtype, if code == "f8" { "f64" } else { "f32" }, "{descr}");
                assert_eq!(y, wanted, "{descr} fortran {fortran}");
            }
        }
    }
}

#[test]
fn the_output_has_the_compute_type() {
    let (folder, x, w) = Folder::with(&[1, 2, 6], &[2, 2, 3]);
    let wanted = expected(&x, &w, None, &Conv::default());
    for dtype in ["f32", "f64"] {
        let (got, y) = succeeds(&folder, &with(&conv_job(), &json!({ "dtype": dtype })));
        assert_eq!((got, &y), (dtype, &wanted));
    }
    folder.write("b.npy", &ArrayD::<f64>::zeros(IxDyn(&[2])));
    let (got, _) = succeeds(&folder, &with(&conv_job(), &json!({ "bias": "b.npy" })));
    assert_eq!(got, "f64", "any operand counts");
    let (got, _) = succeeds(&folder, &with(&conv_job(), &json!({ "bias": "b.npy", "dtype": "f32" })));
    assert_eq!(got, "f32");
    let answer = folder.job(&with(&conv_job(), &json!({ "dtype": "f16" })));
    assert_eq!(answer["error"]["kind"], "unsupported", "the CPU path has no half precision");
}

#[test]
fn double_precision_is_computed_as_such() {
    let folder = Folder::default();
    folder.write("x.npy", &ArrayD::from_elem(IxDyn(&[1, 1, 2]), 1.0 + f64::EPSILON));
    folder.write("w.npy", &ArrayD::from_elem(IxDyn(&[1, 1, 1]), 3.0));
    let (dtype, y) = succeeds(&folder, &conv_job());
    assert_eq!((dtype, y[[0, 0, 1]]), ("f64", 3.0 + 4.0 * f64::EPSILON));
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    let folder = Folder::default();
    folder.write("w.npy", &ArrayD::<f32>::ones(IxDyn(&[1, 1, 1])));
    // 2^24 + 1 is the first integer that f32 does not hold.
    let data: Vec<u8> = [5i32, 16_777_217].iter().flat_map(|v| v.to_le_bytes()).collect();
    folder.bytes("x.npy", &npy_file("<i4", false, "(1, 1, 2)", &data));
    let answer = folder.job(&conv_job());
    assert_eq!(answer["error"]["kind"], "bad_file");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("x.npy") && message.contains("16777217"), "{message}");
    let (_, y) = succeeds(&folder, &with(&conv_job(), &json!({ "dtype": "f64" })));
    assert_eq!(y[[0, 0, 1]], 16_777_217.0);

    folder.write("x.npy", &ArrayD::from_elem(IxDyn(&[1, 1, 2]), 1e300));
    let answer = folder.job(&with(&conv_job(), &json!({ "dtype": "f32" })));
    assert_eq!(answer["error"]["kind"], "non_finite");
    let answer = folder.job(&with(&conv_job(), &json!({ "dtype": "f32", "boundary": "constant:1e39" })));
    assert_eq!(answer["error"]["kind"], "non_finite");
}

/// A gradient of `conv` by the reference.
fn gradient(
    direction: Direction,
    conv: &Conv,
    [x, w, y]: [&ArrayD<f64>; 3],
    bias: Option<&Array1<f64>>,
) -> ArrayD<f64> {
    let conv = conv.clone().element(Element::F64).direction(direction).bias(bias.is_some());
    let problem = ConvProblem::new(x.shape(), w.shape(), &conv).unwrap();
    let operands = Operands64 {
        input: Some(x.view()),
        weight: Some(w.view()),
        grad_output: Some(y.view()),
        bias: bias.map(|b| b.view().into_dyn()),
        ..Default::default()
    };
    reference::run(&problem, &operands)
}

#[test]
fn gradients_in_every_layout() {
    let conv = Conv::default().groups(2).padding(Padding::Same).stride(2).flip(true).boundary(Boundary::Wrap);
    let (x, w) = (values(&[2, 4, 7, 6], 1), values(&[6, 2, 3, 2], 2));
    let y = values(expected(&x, &w, None, &conv).shape(), 3);
    for name in ["ncx", "nxc", "cxn"] {
        let layout = Layout::from_name(name).unwrap();
        let stored = |a: &ArrayD<f64>| {
            let order = layout.order(a.ndim(), 1).unwrap();
            a.view().permuted_axes(order).as_standard_layout().into_owned()
        };
        let folder = Folder::default();
        for (file, array) in [("x.npy", &x), ("w.npy", &w), ("g.npy", &y)] {
            folder.write(file, &stored(array));
        }
        let common = json!({ "output": "y.npy", "grad_output": "g.npy", "layout": name, "groups": 2, "padding": "same",
            "stride": 2, "flip": true, "boundary": "wrap" });
        let job = json!({ "op": "grad_input", "weight": "w.npy", "input_shape": stored(&x).shape() });
        let (_, got) = succeeds(&folder, &with(&common, &job));
        assert_eq!(got, stored(&gradient(Direction::GradInput, &conv, [&x, &w, &y], None)), "{name}");
        let job = json!({ "op": "grad_weight", "input": "x.npy", "weight_shape": stored(&w).shape() });
        let (_, got) = succeeds(&folder, &with(&common, &job));
        assert_eq!(got, stored(&gradient(Direction::GradWeight, &conv, [&x, &w, &y], None)), "{name}");
    }
}

#[test]
fn unbatched_gradients() {
    let (x, w, y) = (values(&[1, 2, 6], 1), values(&[3, 2, 4], 2), values(&[1, 3, 3], 3));
    let folder = Folder::default();
    let flat = |a: &ArrayD<f64>| a.index_axis(Axis(0), 0).to_owned();
    folder.write("x.npy", &flat(&x));
    folder.write("g.npy", &flat(&y));
    folder.write("w.npy", &w);
    let conv = Conv::default();
    let common = json!({ "output": "y.npy", "grad_output": "g.npy" });
    let job = json!({ "op": "grad_input", "weight": "w.npy", "input_shape": [2, 6] });
    let wanted = gradient(Direction::GradInput, &conv, [&x, &w, &y], None);
    assert_eq!(succeeds(&folder, &with(&common, &job)).1, flat(&wanted));
    let job = json!({ "op": "grad_weight", "input": "x.npy", "weight_shape": [3, 2, 4] });
    let wanted = gradient(Direction::GradWeight, &conv, [&x, &w, &y], None);
    assert_eq!(succeeds(&folder, &with(&common, &job)).1, wanted);
}

/// Every input cell scattered over the output: `y[n, q, i*s + k*d - begin] += x[n, c, i] * w[c, q, k]`,
/// in loops that know nothing of convolutions.
fn scattered(x: &ArrayD<f64>, w: &ArrayD<f64>, out: usize, begin: usize, [s, d]: [usize; 2]) -> ArrayD<f64> {
    let mut y = ArrayD::zeros(IxDyn(&[x.shape()[0], w.shape()[1], out]));
    for ((n, c, i), x) in x.view().into_dimensionality::<ndarray::Ix3>().unwrap().indexed_iter() {
        for ((o, q, k), w) in w.view().into_dimensionality::<ndarray::Ix3>().unwrap().indexed_iter() {
            let at = i * s + k * d;
            if o == c && (begin..begin + out).contains(&at) {
                y[[n, q, at - begin]] += x * w;
            }
        }
    }
    y
}

#[test]
fn transposed_convolutions_scatter() {
    let (folder, x, w) = Folder::with(&[2, 3, 4], &[3, 2, 3]);
    let job = json!({ "op": "conv_transpose", "input": "x.npy", "weight": "w.npy", "output": "y.npy" });
    // Fields, and what must come of them: output extent, cells cropped at the beginning, [stride, dilation].
    let rows = [
        (json!({}), 6, 0, [1, 1]),
        (json!({ "stride": 2 }), 9, 0, [2, 1]),
        (json!({ "dilation": 2 }), 8, 0, [1, 2]),
        (json!({ "stride": 2, "padding": 1 }), 7, 1, [2, 1]),
        (json!({ "stride": 2, "padding": 1, "output_padding": 1 }), 8, 1, [2, 1]),
        (json!({ "stride": 2, "padding": [[0, 2]] }), 7, 0, [2, 1]),
        (json!({ "stride": 3, "dilation": 2, "output_padding": [2], "padding": [1] }), 14, 1, [3, 2]),
        (json!({ "dilation": 3, "output_padding": 2 }), 12, 0, [1, 3]),
        (json!({ "padding": "full" }), 2, 2, [1, 1]),
        (json!({ "padding": "half", "stride": 2 }), 7, 1, [2, 1]),
        (json!({ "padding": "same_upper", "stride": 2 }), 8, 0, [2, 1]),
        (json!({ "padding": "same_lower", "stride": 2 }), 8, 1, [2, 1]),
        (json!({ "padding": "same", "stride": 5 }), 20, 0, [5, 1]),
        (json!({ "stride": 2, "padding": 1, "output_shape": [8] }), 8, 1, [2, 1]),
        (json!({ "stride": 2, "padding": 1, "output_shape": [7] }), 7, 1, [2, 1]),
        (json!({ "stride": 2, "output_shape": [8] }), 8, 1, [2, 1]),
        (json!({ "stride": 2, "output_shape": [6] }), 6, 2, [2, 1]),
        (json!({ "stride": 2, "output_shape": [12] }), 12, 0, [2, 1]),
        (json!({ "stride": 2, "padding": "same_upper", "output_shape": [6] }), 6, 1, [2, 1]),
    ];
    for (fields, out, begin, steps) in rows {
        let (_, y) = succeeds(&folder, &with(&job, &fields));
        assert_eq!(y, scattered(&x, &w, out, begin, steps), "{fields}");
    }
    folder.write("other.npy", &values(&[2, 1, 3], 1));
    for (fields, kind) in [
        (json!({ "boundary": "constant:1" }), "bad_job"),
        (json!({ "stride": 2, "padding": 1, "output_padding": 1, "output_shape": [5] }), "output_shape"),
        (json!({ "stride": 2, "output_padding": 2 }), "padding"),
        (json!({ "output_padding": [0, 0] }), "padding"),
        (json!({ "output_padding": -1 }), "padding"),
        (json!({ "stride": 2, "padding": 1, "output_shape": [9] }), "output_shape"),
        (json!({ "stride": 2, "padding": 1, "output_shape": [6] }), "output_shape"),
        (json!({ "output_shape": [6, 6] }), "output_shape"),
        (json!({ "output_shape": [0] }), "output_shape"),
        (json!({ "padding": 3 }), "output_shape"),
        (json!({ "padding": [1, 1] }), "padding"),
        (json!({ "stride": [1, 1] }), "stride"),
        (json!({ "groups": 2 }), "groups"),
        (json!({ "weight": "other.npy" }), "channels"),
        (json!({ "stride": u64::MAX }), "overflow"),
        (json!({ "dilation": u64::MAX }), "overflow"),
        (json!({ "padding": u64::MAX }), "overflow"),
    ] {
        let answer = folder.job(&with(&job, &fields));
        assert_eq!(answer["error"]["kind"], kind, "{fields}: {answer}");
    }
}

#[test]
fn transposed_convolutions_with_groups_bias_and_layouts() {
    // c_in 4, c_out 6, two groups; the convolution that it transposes has 6 inputs and 4 outputs.
    let (y, w) = (values(&[2, 4, 3, 4], 1), values(&[4, 3, 3, 2], 2));
    let bias = Array1::from_iter((0..6).map(f64::from));
    let conv = Conv::default().groups(2).stride(2);
    let x = ArrayD::zeros(IxDyn(&[2, 6, 7, 8]));
    let wanted = gradient(Direction::GradInput, &conv, [&x, &w, &y], Some(&bias));
    for name in ["ncx", "nxc", "cxn"] {
        let layout = Layout::from_name(name).unwrap();
        let stored = |a: &ArrayD<f64>| {
            let order = layout.order(a.ndim(), 1).unwrap();
            a.view().permuted_axes(order).as_standard_layout().into_owned()
        };
        let folder = Folder::default();
        folder.write("x.npy", &stored(&y));
        folder.write("w.npy", &stored(&w));
        folder.write("b.npy", &bias.clone().into_dyn());
        let job = json!({ "op": "conv_transpose", "input": "x.npy", "weight": "w.npy", "bias": "b.npy",
            "output": "y.npy", "groups": 2, "stride": 2, "layout": name });
        assert_eq!(succeeds(&folder, &job).1, stored(&wanted), "{name}");
    }
}

/// Whatever ends the program, it leaves nothing behind but what is whole.
#[cfg(unix)]
#[test]
fn signals_leave_no_temporary_file() {
    use std::os::unix::process::ExitStatusExt;
    for signal in ["INT", "TERM"] {
        let folder = Folder::default();
        folder.write_f32("x.npy", &values(&[1, 1, 2500, 2500], 1));
        folder.write_f32("w.npy", &values(&[1, 1, 3, 3], 1));
        let jobs =
            r#"{"op": "conv", "input": "x.npy", "weight": "w.npy", "output": "y.npy"}"#.to_owned() + "\n";
        folder.bytes("jobs.jsonl", jobs.repeat(1000).as_bytes());
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_wgconv"));
        let child = child.current_dir(folder.path("")).args(["run", "jobs.jsonl", "--device", "cpu"]);
        let mut child = child.stdout(std::process::Stdio::null()).spawn().expect("it starts");
        let waits = std::time::Instant::now();
        while !folder.list().iter().any(|name| name.ends_with(".tmp")) {
            assert!(waits.elapsed().as_secs() < 60, "no temporary file was ever there");
        }
        let kill = ["-s", signal, &child.id().to_string()];
        assert!(std::process::Command::new("kill").args(kill).status().expect("kill runs").success());
        let status = child.wait().expect("it ends");
        assert!(status.signal().is_some(), "{status:?}");
        assert!(!folder.list().iter().any(|name| name.ends_with(".tmp")), "{signal}: {:?}", folder.list());
    }
}

/// `ulimit -f` is an error of the job that writes too much, and no end of the program.
#[cfg(unix)]
#[test]
fn a_file_past_the_limit_of_its_size_is_an_error() {
    let folder = Folder::default();
    folder.write_f32("x.npy", &values(&[1, 1, 300, 300], 1));
    folder.write_f32("w.npy", &values(&[1, 1, 3, 3], 1));
    let job = r#"{"op": "conv", "input": "x.npy", "weight": "w.npy", "output": "y.npy"}"#;
    let small = r#"{"op": "conv", "input": "w.npy", "weight": "w.npy", "output": "z.npy"}"#;
    folder.bytes("jobs.jsonl", format!("{job}\n{small}\n").as_bytes());
    let script = format!("ulimit -f 64; exec '{}' run jobs.jsonl --device cpu", env!("CARGO_BIN_EXE_wgconv"));
    let mut shell = assert_cmd::Command::new("bash");
    let ran = ran(shell.current_dir(folder.path("")).args(["-c", &script]));
    let answers = ran.answers();
    assert_eq!((&answers[0]["ok"], &answers[0]["error"]["kind"]), (&false.into(), &"io".into()), "{ran:?}");
    assert_eq!(answers[1]["ok"], true, "{ran:?}");
    assert!(
        folder.exists("z.npy") && !folder.list().iter().any(|name| name.ends_with(".tmp") || name == "y.npy")
    );
}
