//! Too little memory and too few threads: each job is answered, and so is the one after it.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;

use crate::common::cli::{Folder, npy_file, values};
use image::RgbaImage;
use serde_json::{Value, json};
use wgconv_testing::{Tally, report, seed_of};

const PROGRAM: &str = env!("CARGO_BIN_EXE_wgconv");

/// A process on the CPU path with two threads, whose stacks and heaps are a large part of its address space; its memory, if
/// limited, to so many KiB.
fn process(folder: &Folder, kib: Option<u64>, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    let limit = kib.map_or(String::new(), |kib| format!("ulimit -v {kib} && "));
    command.args(["-c", &format!("{limit}exec \"$@\""), "sh", PROGRAM]).args(arguments);
    command.args(["--device", "cpu"]).env("RAYON_NUM_THREADS", "2").env_remove("RUST_LOG");
    command.current_dir(folder.path("")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn output(mut command: Command, input: &str) -> Output {
    let mut child = command.spawn().expect("a process");
    // One that fails may have read nothing.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("its end")
}

/// The size of the address space of the program when it has answered a small job, in KiB.
fn base(folder: &Folder) -> u64 {
    let mut child = process(folder, None, &["run", "-"]).spawn().expect("a process");
    let mut input = child.stdin.take().expect("a pipe");
    writeln!(input, "{}", small()).expect("written");
    let mut answer = String::new();
    BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut answer).expect("an answer");
    assert!(answer.contains("\"ok\":true"), "{answer}");
    let size = vm_size(&child);
    drop(input);
    assert!(child.wait().expect("its end").success());
    size
}

fn vm_size(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).expect("its size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

fn small() -> Value {
    json!({ "op": "conv", "input": "small.npy", "weight": "taps.npy", "output": "small_y.npy" })
}

/// Commands and jobs on arrays of about 10 MB, by name.
fn tasks() -> Vec<(&'static str, Value)> {
    let conv = |algorithm: &str| json!({ "op": "conv", "input": "x.npy", "weight": "w.npy", "padding": "same", "algorithm": algorithm });
    vec![
        ("direct", conv("direct")),
        ("fft", conv("fft")),
        (
            "grad_weight",
            json!({ "op": "grad_weight", "input": "x.npy", "grad_output": "h.npy", "weight_shape": [4, 4, 3, 3] }),
        ),
        ("bilinear", json!({ "op": "theano.bilinear_upsampling", "input": "s.npy", "ratio": 3 })),
        ("ndimage", json!({ "op": "ndimage.convolve", "input": "i.npy", "weights": "k.npy" })),
        (
            "signal",
            json!({ "op": "signal.convolve2d", "in1": "d.npy", "in2": "dk.npy", "boundary": "symm", "mode": "same" }),
        ),
        ("filter", json!(["filter", "p.png", "--kernel", "gaussian:3", "--output", "q.png"])),
        ("bench", json!(["bench", "--set", "shapes.json", "--runs", "1"])),
    ]
}

fn files() -> Folder {
    let folder = Folder::default();
    for (name, shape) in [
        ("x.npy", &[1, 4, 750, 750][..]),
        ("w.npy", &[4, 4, 3, 3]),
        ("h.npy", &[1, 4, 748, 748]),
        ("s.npy", &[1, 1, 500, 500]),
        ("small.npy", &[1, 1, 8]),
        ("taps.npy", &[1, 1, 3]),
    ] {
        folder.write_f32(name, &values(shape, 3));
    }
    folder.write("d.npy", &values(&[1100, 1100], 4));
    folder.write("dk.npy", &values(&[3, 3], 5));
    let integers =
        |count: usize| (0..count).flat_map(|i| (i as i32 % 7 - 3).to_le_bytes()).collect::<Vec<_>>();
    folder.bytes("i.npy", &npy_file("<i4", false, "(1500, 1500)", &integers(1500 * 1500)));
    folder.bytes("k.npy", &npy_file("<i4", false, "(3, 3)", &integers(9)));
    let pixel = |x: u32, y: u32| image::Rgba([x, y, x * y, x + y].map(|v| (v % 251) as u8));
    RgbaImage::from_fn(900, 800, pixel).save(folder.path("p.png")).expect("written");
    let shape = json!({ "name": "mine", "N": 1, "C": 4, "H": 750, "W": 750, "K": 4, "kernel": [3, 3] });
    folder.bytes("shapes.json", json!([shape]).to_string().as_bytes());
    folder
}

/// Whether a task with so much memory succeeded; an error if it was neither done nor refused for want of memory.
fn attempt(folder: &Folder, kib: u64, name: &str, task: &Value) -> Result<bool, String> {
    let (ran, input);
    if let Some(words) = task.as_array() {
        let words: Vec<_> = words.iter().filter_map(Value::as_str).collect();
        (input, ran) = (String::new(), output(process(folder, Some(kib), &words), ""));
    } else {
        let mut job = task.clone();
        // Several run at a time.
        job["output"] = format!("{name}_{kib}.npy").into();
        input = format!("{job}\n{}\n", small());
        ran = output(process(folder, Some(kib), &["run", "-"]), &input);
        let _ = std::fs::remove_file(folder.path(&format!("{name}_{kib}.npy")));
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&ran.stdout), text(&ran.stderr));
    let unlike = || format!("{name} within {kib} KiB: {:?}\n{out}{err}", ran.status);
    let status = ran.status.code().ok_or_else(unlike)?;
    let is_memory = |text: &str| text.contains("out_of_memory");
    if input.is_empty() {
        return match status {
            0 => Ok(true),
            1 if is_memory(&out) || is_memory(&err) => Ok(false),
            _ => Err(unlike()),
        };
    }
    let answers: Vec<Value> = out.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    // Where not even a thread has room, the program says so and reads no job.
    if answers.is_empty() && status == 1 && is_memory(&err) {
        return Ok(false);
    }
    let [first, second] = &answers[..] else { return Err(unlike()) };
    let known = |answer: &Value| answer["ok"] == true || answer["error"]["kind"] == "out_of_memory";
    let all = [first, second].iter().all(|answer| answer["ok"] == true);
    let as_documented = status == i32::from(!all) && known(first) && known(second);
    if as_documented { Ok(first["ok"] == true) } else { Err(unlike()) }
}

/// So many limits for each task, from what is too little for its threads to more than it needs.
fn sweep(limits: u64) {
    let folder = files();
    let base = base(&folder);
    let (low, high) = (base - base / 4, base + (96 << 10));
    let mut rows = Vec::new();
    for (name, task) in tasks() {
        // Not the same ones for all: what is left over differs.
        let shift = seed_of(name) % ((high - low) / limits);
        for at in 0..limits {
            let kib = low + (high - low) * at / limits + shift;
            rows.push((format!("{name} within {kib} KiB"), name, task.clone(), kib));
        }
    }
    let outcomes: Mutex<BTreeMap<&str, [usize; 2]>> = Mutex::default();
    let tally = Tally::of(
        &rows,
        |(name, ..)| name,
        |(_, name, task, kib), tally| {
            let outcome = attempt(&folder, *kib, name, task);
            if let Ok(done) = outcome {
                outcomes.lock().expect("no row panicked").entry(name).or_default()[usize::from(done)] += 1;
            }
            tally.check(outcome);
        },
    );
    tally.finish(&format!("tasks within limits of memory around {base} KiB"));
    let outcomes = outcomes.into_inner().expect("no row panicked");
    report(&format!("refused and done: {outcomes:?}"));
    let both = |[refused, done]: &[usize; 2]| *refused > 0 && *done > 0;
    assert!(limits < 20 || outcomes.values().all(both), "{outcomes:?}");
}

#[test]
fn too_little_memory_is_an_answer() {
    sweep(2);
}

#[test]
#[ignore = "full"]
fn too_little_memory_is_an_answer_within_twenty_limits() {
    sweep(20);
}

/// With a limit on threads of one: the main thread computes alone. No limit is one to root, which starts the program as nobody.
#[test]
fn too_few_threads_are_no_failure() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let folder = files();
    let mut command = Command::new("prlimit");
    command.arg("--nproc=1");
    let mut program = PathBuf::from(PROGRAM);
    if std::fs::metadata("/proc/self").expect("a process").uid() == 0 {
        command.args(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
        // Where nobody may read.
        program = folder.path("wgconv");
        std::fs::copy(PROGRAM, &program).expect("a copy");
        std::fs::set_permissions(folder.path(""), PermissionsExt::from_mode(0o777)).expect("permissions");
    }
    command.arg(program).args(["run", "-", "--device", "cpu"]).current_dir(folder.path(""));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if ["prlimit", "setpriv"].iter().any(|tool| Command::new(tool).arg("--version").output().is_err()) {
        report("SKIPPED, no prlimit and setpriv: a limit on threads");
        return;
    }
    let (name, mut job) = tasks().swap_remove(0);
    job["output"] = format!("{name}.npy").into();
    let ran = output(command, &format!("{job}\n{}\n", small()));
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success() && out.matches("\"ok\":true").count() == 2, "{ran:?}");
    assert!(err.contains("computing on one thread") && !err.contains("panicked"), "{err}");
}
