//! `wgconv bench`: what it writes is consistent, what does not run is told, what is unusable is refused. How fast anything
//! is, is no matter of a test.

use crate::common::cli::{Folder, Ran};
use serde_json::{Value, json};
use wgconv_testing::any_gpu;
use wgconv_testing::report;

/// Of every rank, with everything that a shape can say; the last needs more than any binding.
fn shapes() -> Value {
    json!({"shapes": [
        {"name": "one", "N": 1, "C": 3, "W": 20, "K": 4, "kernel": [5], "dilation": 2, "pad": 4},
        {"name": "two", "set": "mine", "rank": 2, "N": 2, "C": 4, "H": 9, "W": 8, "K": 6, "kernel": [3, 2],
         "stride": [2, 1], "pad": [1, 0], "dilation": [1, 2], "groups": 2, "out": [5, 6], "gflop": 0, "note": "small"},
        {"name": "three", "N": 1, "C": 2, "D": 4, "H": 5, "W": 6, "K": 3, "kernel": [2, 3, 3], "stride": 2, "pad": 1},
    ]})
}

fn with(shapes: &Value) -> Folder {
    let folder = Folder::default();
    folder.bytes("shapes.json", shapes.to_string().as_bytes());
    folder
}

fn bench(folder: &Folder, arguments: &[&str]) -> (Ran, Value) {
    let ran = folder.run(&[&["bench", "--set", "shapes.json", "--json", "rows.json"], arguments].concat());
    let text = std::fs::read_to_string(folder.path("rows.json")).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
    (ran, serde_json::from_str(&text).expect("JSON"))
}

fn number(row: &Value, name: &str) -> f64 {
    row[name].as_f64().unwrap_or_else(|| panic!("no number {name} in {row}"))
}

fn same(got: f64, wanted: f64, what: &str) {
    assert!((got - wanted).abs() <= 1e-9 * wanted.abs(), "{what}: {got}, wanted {wanted}");
}

/// Every number of a row that ran follows from its time, its counts and the probes.
fn check_row(row: &Value, document: &Value) {
    let on_device = document["clock"] == "device";
    let ms = number(row, if on_device { "gpu_ms" } else { "wall_ms" });
    assert!(ms > 0.0 && number(row, "wall_ms_min") <= number(row, "wall_ms"), "{row}");
    assert_eq!(row["gpu_ms"].is_null(), !on_device, "{row}");
    same(number(row, "gflops"), number(row, "gflop") / ms * 1e3, "gflops");
    same(number(row, "gbytes_per_s"), number(row, "bytes") / ms * 1e-6, "gbytes_per_s");
    for (share, rate, probe, unit) in [
        ("share_of_fma_peak", "gflops", "fma_tflops", 1e3),
        ("share_of_copy", "gbytes_per_s", "copy_gbytes_per_s", 1.0),
    ] {
        match document["probes"][probe].as_f64() {
            Some(peak) => same(number(row, share), number(row, rate) / (peak * unit), share),
            None => assert!(row[share].is_null(), "{row}"),
        }
    }
    // Small results are compared whole.
    assert_eq!(row["checked_cells"], row["cells"], "{row}");
    assert!(number(row, "error") < 30.0 && row["workspace_bytes"].is_u64(), "{row}");
    assert_eq!((&row["ok"], &row["status"], &row["reason"]), (&json!(true), &json!("ok"), &Value::Null));
}

fn check_document(document: &Value, rows: usize) {
    for field in ["what", "version", "date", "device", "backend", "clock"] {
        assert!(document[field].is_string(), "{field} in {document}");
    }
    assert_eq!(document["complete"], true);
    let all = document["rows"].as_array().expect("rows");
    assert_eq!(all.len(), rows);
    let counted: u64 =
        document["counts"].as_object().expect("counts").values().filter_map(Value::as_u64).sum();
    assert_eq!(counted, rows as u64);
}

#[test]
fn the_cpu_is_timed_in_every_direction() {
    let folder = with(&shapes());
    let (ran, document) =
        bench(&folder, &["--device", "cpu", "--direction", "all", "--runs", "3", "--commit", "abc"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    check_document(&document, 9);
    assert_eq!((&document["commit"], &document["clock"]), (&json!("abc"), &json!("host")));
    assert_eq!(document["settings"]["runs"], 3);
    let rows = document["rows"].as_array().expect("rows");
    for row in rows {
        check_row(row, &document);
        assert_eq!(
            (&row["runs"], &row["warmups"], &row["algorithm"]),
            (&json!(3), &json!(3), &json!("direct"))
        );
    }
    // 2 * (1 * 4 * 20 cells) * (3 * 5 products), the same in every direction.
    for row in &rows[..3] {
        same(number(row, "gflop"), 2e-9 * 80.0 * 15.0, "gflop");
        same(number(row, "bytes"), 4.0 * (60.0 + 60.0 + 80.0), "bytes");
    }
    let directions: Vec<_> = rows[..3].iter().map(|row| row["direction"].clone()).collect();
    assert_eq!(directions, ["forward", "grad_input", "grad_weight"]);
    assert_eq!((&rows[3]["set"], &rows[0]["set"]), (&json!("mine"), &json!("file")));
    for name in ["one", "two", "three"] {
        assert_eq!(ran.out.lines().filter(|line| line.starts_with(name)).count(), 3, "{ran:?}");
    }
    assert!(ran.out.contains("rows: 9 (9 ok)") && !folder.exists("rows.json.partial"), "{ran:?}");
}

#[test]
fn a_gpu_is_timed_by_its_clock() {
    let Some(device) = any_gpu() else { return };
    let folder = with(&shapes());
    let arguments =
        ["--device", device.name(), "--direction", "all", "--runs", "2", "--algorithm", "auto,all,fft"];
    let (ran, document) = bench(&folder, &arguments);
    assert_eq!(ran.status, 0, "{ran:?}");
    let asked = document["settings"]["algorithms"].as_array().expect("algorithms").len();
    assert!(asked >= 3, "auto, fft and what there is: {document}");
    check_document(&document, 9 * asked);
    let timestamps = device.gpu().expect("a GPU").target().features.timestamps;
    assert_eq!(document["clock"], if timestamps { "device" } else { "host" });
    let rows = document["rows"].as_array().expect("rows");
    let mut ran_rows = 0;
    for row in rows {
        if row["status"] == "ok" {
            check_row(row, &document);
            assert!(row["config"].is_string() && number(row, "launches") >= 1.0, "{row}");
            ran_rows += 1;
        } else {
            assert!(row["reason"].is_string() && row["wall_ms"].is_null() && row["runs"] == 0, "{row}");
        }
    }
    assert!(ran_rows >= 18, "the planner's choice and direct run everything: {ran_rows}");
    report(&format!("bench: {ran_rows} of {} rows ran on {}", rows.len(), device.name()));
}

#[test]
fn what_declines_is_a_row_with_its_reason() {
    let folder = with(&shapes());
    let (ran, document) =
        bench(&folder, &["--device", "cpu", "--runs", "1", "--algorithm", "direct,winograd"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    check_document(&document, 6);
    for pair in document["rows"].as_array().expect("rows").chunks(2) {
        assert_eq!((&pair[0]["asked"], &pair[0]["ok"]), (&json!("direct"), &json!(true)));
        assert_eq!((&pair[1]["algorithm"], &pair[1]["status"]), (&json!("winograd"), &json!("declined")));
        assert!(
            pair[1]["reason"]
                .as_str()
                .expect("a reason")
                .contains("winograd: is not on this device, which has direct"),
            "{pair:?}"
        );
    }
    assert_eq!(document["counts"]["declined"], 3);
    assert!(ran.out.contains("rows: 6 (3 ok, 3 declined)"), "{ran:?}");
    // If nothing at all ran, nothing was timed.
    let (ran, document) = bench(&folder, &["--device", "cpu", "--algorithm", "winograd"]);
    assert_eq!((ran.status, &document["counts"]["declined"]), (1, &json!(3)));
    let (ran, _) = bench(&folder, &["--device", "cpu", "--dtype", "f16"]);
    assert_eq!(ran.status, 1, "{ran:?}");
}

/// A shape that no memory holds, and one that is fine.
fn huge() -> Folder {
    with(&json!([
        {"name": "huge", "N": 1 << 20, "C": 1 << 20, "W": 1 << 12, "K": 1, "kernel": [1]},
        {"name": "small", "N": 1, "C": 1, "W": 4, "K": 1, "kernel": [1]},
    ]))
}

#[test]
fn what_has_no_room_is_a_row_with_its_reason() {
    let (ran, document) = bench(&huge(), &["--device", "cpu", "--runs", "1"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert_eq!(document["rows"][0]["status"], "out_of_memory", "{document}");
    check_row(&document["rows"][1], &document);
}

/// A limit of the device is no lack of memory: it is there before anything is asked for.
#[test]
fn what_is_past_a_limit_declines() {
    let Some(device) = any_gpu() else { return };
    let (ran, document) = bench(&huge(), &["--device", device.name(), "--runs", "1"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let row = &document["rows"][0];
    assert_eq!(
        (&row["status"], &document["counts"]["declined"]),
        (&json!("declined"), &json!(1)),
        "{document}"
    );
    let reason = row["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("error[limit_exceeded]") && reason.contains("direct"), "{reason}");
    check_row(&document["rows"][1], &document);
}

#[test]
fn a_budget_cuts_runs_and_says_so() {
    let folder = with(&shapes());
    let (ran, document) = bench(&folder, &["--device", "cpu", "--budget", "1e-6"]);
    // The probes alone take longer.
    assert_eq!(ran.status, 1, "{ran:?}");
    check_document(&document, 3);
    for row in document["rows"].as_array().expect("rows") {
        assert_eq!(row["status"], "out_of_budget", "{row}");
        assert!(row["reason"].as_str().expect("a reason").contains("budget"), "{row}");
    }
    // So many runs of this one take any processor longer.
    let folder =
        with(&json!([{"name": "long", "N": 1, "C": 64, "H": 40, "W": 40, "K": 64, "kernel": [3, 3]}]));
    let (ran, document) = bench(&folder, &["--device", "cpu", "--runs", "100000", "--budget", "2"]);
    assert_eq!(document["settings"]["budget_s"], 2.0);
    for row in document["rows"].as_array().expect("rows").iter().filter(|row| row["ok"] == true) {
        assert!(number(row, "runs") >= 1.0 && number(row, "runs") < 100_000.0, "{row}");
    }
    assert!(ran.out.contains("fewer than 100000 runs") || ran.out.contains("out_of_budget"), "{ran:?}");
}

#[test]
fn double_precision_has_no_share_of_single() {
    let folder = with(&shapes());
    let (ran, document) = bench(&folder, &["--device", "cpu", "--dtype", "f64", "--runs", "1"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    for row in document["rows"].as_array().expect("rows") {
        check_row(row, &document);
        assert!(row["share_of_fma_peak"].is_null(), "{row}");
    }
}

#[test]
fn unusable_arguments_are_refused() {
    let folder = with(&shapes());
    folder.bytes("text.json", b"no JSON");
    folder.bytes("field.json", br#"[{"name":"a","N":1,"C":1,"W":4,"K":1,"kernel":[1],"padding":1}]"#);
    folder.bytes("large.json", br#"[{"name":"a","N":1,"C":1,"W":4,"K":1,"kernel":[9]}]"#);
    for (arguments, part) in [
        (&["--set", "nowhere.json"][..], "neither a file nor one of core"),
        (&["--set", "."], "cannot read"),
        (&["--set", "text.json"], "no JSON"),
        (&["--set", "field.json"], "unknown field"),
        (&["--set", "large.json"], "kernel"),
        (&["--algorithm", "quick"], "`algorithm` is \"quick\""),
        (&["--algorithm", "direct,"], "`algorithm` is \"\""),
        (&["--direction", "backward"], "`direction` is \"backward\""),
        (&["--dtype", "f8"], "`dtype`"),
        (&["--device", ""], "`device`"),
        (&["--budget", "0"], "`budget` is 0"),
        (&["--budget", "-1"], "`budget` is -1"),
        (&["--budget", "nan"], "`budget` is NaN"),
        (&["--runs", "0"], "--runs"),
    ] {
        let set: &[&str] = if arguments[0] == "--set" { &[] } else { &["--set", "shapes.json"] };
        let ran = folder.run(&[&["bench"], set, arguments].concat());
        assert_eq!(ran.status, 2, "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(part), "{part:?} in {:?}", ran.err);
        assert!(ran.out.is_empty(), "{ran:?}");
    }
    let ran = folder.run(&["bench", "--set", "shapes.json", "--device", "cpu", "--json", "no/rows.json"]);
    assert!(ran.status == 1 && ran.err.starts_with("error[io]"), "{ran:?}");
}

#[test]
fn the_sets_are_listed() {
    let ran = Folder::default().run(&["bench", "--list"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let count = |set: &str| {
        let line = ran.out.lines().find(|line| line.split_whitespace().next() == Some(set));
        line.unwrap_or_else(|| panic!("no {set}: {ran:?}")).split_whitespace().nth(1).map(str::to_owned)
    };
    assert_eq!(
        (count("core"), count("all"), count("edge")),
        (Some("45".into()), Some("550".into()), Some("9".into()))
    );
    assert_eq!(count("fft"), Some("13".into()));
}
