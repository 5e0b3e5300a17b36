//! The command line as a process, with real files in a directory of its own.

use std::path::PathBuf;
use std::time::Duration;

use super::npy::{file, header};
use crate::npy::{self, Limits, NpyElement};
use assert_cmd::Command;
use ndarray::{Array1, ArrayD, IxDyn};
use serde_json::{Map, Value};
use tempfile::TempDir;
use wgconv::internals::cpu::reference::{self, Operands64};
use wgconv::{Conv, ConvProblem, Element};

/// What a process left behind.
#[derive(Debug)]
pub struct Ran {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Standard output as one JSON value per line.
    pub fn answers(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.out.lines().map(parse).collect()
    }
}

/// The program, with nothing in its environment that chooses a device.
pub fn wgconv() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wgconv"));
    for name in ["WGPU_ADAPTER_NAME", "WGPU_POWER_PREF", "RUST_LOG"] {
        command.env_remove(name);
    }
    command.timeout(Duration::from_secs(300));
    command
}

pub fn ran(command: &mut Command) -> Ran {
    let output = command.output().expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let status = output.status.code().unwrap_or_else(|| panic!("killed: {output:?}"));
    Ran { status, out: text(output.stdout), err: text(output.stderr) }
}

/// A directory that the program is started in, so that files go by their names alone.
pub struct Folder(TempDir);

impl Default for Folder {
    fn default() -> Self {
        Self(TempDir::new().expect("a temporary directory"))
    }
}

impl Folder {
    /// With `x.npy` and `w.npy` of these shapes in f32; gives their values too.
    pub fn with(x: &[usize], w: &[usize]) -> (Self, ArrayD<f64>, ArrayD<f64>) {
        let folder = Self::default();
        let (x, w) = (values(x, 1), values(w, 2));
        folder.write_f32("x.npy", &x);
        folder.write_f32("w.npy", &w);
        (folder, x, w)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    pub fn write<T: NpyElement>(&self, name: &str, array: &ArrayD<T>) {
        npy::write(self.path(name), array.view()).expect("written");
    }

    #[allow(clippy::cast_possible_truncation, reason = "rounding is what it is for")]
    pub fn write_f32(&self, name: &str, array: &ArrayD<f64>) {
        self.write(name, &array.mapv(|v| v as f32));
    }

    pub fn bytes(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).expect("written");
    }

    /// Element type and values of a file.
    pub fn read(&self, name: &str) -> (&'static str, ArrayD<f64>) {
        let array = npy::read(self.path(name), &Limits::default()).expect("a .npy file");
        (array.dtype(), array.to_f64().expect("memory"))
    }

    /// Names of everything in the directory, sorted.
    pub fn list(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).expect("a directory");
        let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<_> = entries.map(|entry| name(entry.expect("an entry"))).collect();
        names.sort();
        names
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        ran(wgconv().current_dir(self.0.path()).args(arguments))
    }

    /// `wgconv run` of these lines on the CPU path.
    pub fn jobs(&self, lines: &str) -> Ran {
        self.bytes("jobs.jsonl", lines.as_bytes());
        self.run(&["run", "jobs.jsonl", "--device", "cpu"])
    }

    /// The one answer to one job.
    pub fn job(&self, job: &Value) -> Value {
        let ran = self.jobs(&format!("{job}\n"));
        let mut answers = ran.answers();
        assert_eq!(answers.len(), 1, "{job}: {ran:?}");
        let answer = answers.remove(0);
        assert_eq!(ran.status, i32::from(answer["ok"] != true), "{job}: {answer}");
        answer
    }
}

/// `base` with the fields of `more` added or replaced.
pub fn with(base: &Value, more: &Value) -> Value {
    let mut job: Map<String, Value> = base.as_object().expect("an object").clone();
    job.extend(more.as_object().expect("an object").clone());
    job.into()
}

/// Integers from -3 to 3 without a pattern that a wrong index would leave unchanged.
pub fn values(shape: &[usize], seed: usize) -> ArrayD<f64> {
    let mut i = seed * 17;
    ArrayD::from_shape_simple_fn(IxDyn(shape), || {
        i += 1;
        ((i * i * 5 + i * 3 + i / 7) % 7) as f64 - 3.0
    })
}

/// What the reference makes of the operands of a forward convolution.
pub fn expected(x: &ArrayD<f64>, w: &ArrayD<f64>, bias: Option<&Array1<f64>>, conv: &Conv) -> ArrayD<f64> {
    let conv = conv.clone().element(Element::F64).bias(bias.is_some());
    let problem = ConvProblem::new(x.shape(), w.shape(), &conv).expect("a valid convolution");
    let operands = Operands64 {
        input: Some(x.view()),
        weight: Some(w.view()),
        bias: bias.map(|b| b.view().into_dyn()),
        ..Default::default()
    };
    reference::run(&problem, &operands)
}

/// A `.npy` file of version 1.0 around a header of our own making.
pub fn npy_file(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    file(1, &header(descr, fortran, shape), data)
}
