//! The rules of ARCHITECTURE.md that a program can check: who may use what, where `unsafe` and panics may stand, and the
//! oldest Rust.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` that ends in `.extension`, as a path from the root with `/`, and its text.
fn files(folder: &str, extension: &str) -> Vec<(String, String)> {
    fn walk(at: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(at) else { return };
        for path in entries.map(|entry| entry.expect("a readable folder").path()) {
            if path.is_dir() {
                walk(&path, extension, found);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), extension, &mut found);
    found.sort();
    let named = |path: PathBuf| {
        let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
        (name, fs::read_to_string(&path).expect("a readable file"))
    };
    found.into_iter().map(named).collect()
}

/// The lines of code with their numbers from 1: neither blank nor comments.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(i, line)| (i + 1, line.trim())).filter(|(_, line)| {
        let comment = line.starts_with("//");
        !line.is_empty() && !comment
    })
}

/// The rooms that `text` names: the word after every `crate::`, and every word of a `crate::{..}` list.
fn rooms_named(text: &str) -> Vec<(usize, String)> {
    let word = |s: &str| s.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = Vec::new();
    for (number, line) in code(text) {
        // A comment at the end of a line may name anything.
        let line = line.split(" // ").next().unwrap_or(line);
        for after in line.split("crate::").skip(1) {
            // The classic operations are rooms of their own below one folder.
            let after = after.strip_prefix("classic::").unwrap_or(after);
            match after.strip_prefix('{') {
                // Items of one list: a list that goes on over lines, or nests, is not read. None is written so.
                Some(list) => {
                    assert!(!list.contains(['{']) && list.contains('}'), "line {number}: split this list");
                    let items = list.split('}').next().unwrap_or(list);
                    found.extend(items.split(',').map(|item| (number, word(item.trim()))));
                }
                None => found.push((number, word(after))),
            }
        }
    }
    found
}

/// A room, and the rooms of ours it may use.
type Rule = (&'static str, &'static [&'static str]);

const LEAVES: &[&str] = &[];
const NAMED: &[&str] = &["problem", "algorithm_name", "operation", "planner", "error", "device"];
/// The room table of ARCHITECTURE.md. A file belongs to the first room whose path begins its own.
const RULES: &[Rule] = &[
    ("src/problem", LEAVES),
    ("src/algorithm_name.rs", LEAVES),
    ("src/filters.rs", LEAVES),
    // The error enum of every room, and nothing else: checked below.
    ("src/error.rs", &["problem", "operation", "device", "planner", "cpu", "gpu", "filters"]),
    ("src/classic/operation", &["problem", "algorithm_name"]),
    ("src/kernel", &["problem", "kernel"]),
    ("src/target.rs", LEAVES),
    ("src/program.rs", &["problem", "kernel", "target"]),
    ("src/geometry", &["problem"]),
    (
        "src/algorithm",
        &[
            "problem",
            "algorithm_name",
            "geometry",
            "implementation",
            "program",
            "kernel",
            "target",
            "algorithm",
        ],
    ),
    ("src/implementation", &["problem", "algorithm_name", "target", "implementation"]),
    ("src/planner", &["problem", "algorithm", "algorithm_name", "implementation", "program", "target"]),
    (
        "src/gpu",
        &["problem", "algorithm_name", "program", "kernel", "target", "algorithm", "planner", "error", "gpu"],
    ),
    ("src/cpu/reference", &["problem"]),
    ("src/cpu", &["problem", "algorithm_name", "geometry", "implementation", "target", "cpu"]),
    // The public faces of the rooms above, which the compiler enforces: their inner modules are private.
    (
        "src/device",
        &[
            "problem",
            "algorithm_name",
            "operation",
            "planner",
            "gpu",
            "cpu",
            "error",
            "implementation",
            "program",
            "target",
            "algorithm",
            "device",
        ],
    ),
    ("src/ops.rs", &["problem", "algorithm_name", "operation", "planner", "error", "device"]),
    ("src/classic/theano", NAMED),
    ("src/classic/signal", NAMED),
    ("src/classic/ndimage.rs", &["problem", "operation", "error", "device", "signal"]),
    ("src/classic.rs", LEAVES),
    // What is not public for anybody but tests and the command line.
    (
        "src/lib.rs",
        &["algorithm", "cpu", "gpu", "implementation", "kernel", "planner", "problem", "program", "target"],
    ),
];

#[test]
fn rooms_use_what_the_table_allows() {
    let mut wrong = Vec::new();
    let mut uses = 0;
    for (path, text) in files("src", "rs") {
        let Some((_, allowed)) = RULES.iter().find(|(room, _)| path.starts_with(room)) else {
            wrong.push(format!("{path} belongs to no room: add it to the table here and in ARCHITECTURE.md"));
            continue;
        };
        for (number, used) in rooms_named(&text) {
            // Public types stand at the top of the crate; inside, they are named by their rooms.
            uses += 1;
            if !allowed.contains(&used.as_str()) {
                wrong.push(format!("{path}:{number} uses crate::{used}, allowed are {allowed:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(uses > 50, "only {uses} uses were found: the search is broken");
}

#[test]
fn algorithms_do_not_know_each_other() {
    let found = files("src/algorithm", "rs");
    let name =
        |path: &str| path.trim_start_matches("src/algorithm/").split(['/', '.']).next().map(str::to_owned);
    // What algorithms share is none.
    let names = found.iter().filter_map(|(path, _)| name(path)).filter(|name| name != "shared");
    let names: Vec<String> = names.collect();
    for algorithm in ["depthwise", "direct", "implicit_gemm", "im2col_gemm"] {
        assert!(names.contains(&algorithm.to_owned()), "{names:?}");
    }
    for (path, text) in &found {
        for (number, line) in code(text) {
            for other in names.iter().filter(|&other| Some(other) != name(path).as_ref()) {
                let used = ["super::", "algorithm::"].iter().any(|p| line.contains(&format!("{p}{other}")));
                assert!(!used, "{path}:{number} uses the algorithm {other}: {line}");
            }
        }
    }
}

/// The name of the type that a line defines. An associated type is none: it belongs to its trait.
fn type_defined(line: &str) -> Option<&str> {
    let is_inner = line.starts_with(' ');
    let rest = line.trim_start();
    let rest = match rest.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(") ")?.1,
        Some(rest) => rest.trim_start(),
        None => rest,
    };
    let (word, name) = rest.split_once(' ')?;
    let defines = ["struct", "enum", "trait", "union"].contains(&word) || word == "type" && !is_inner;
    let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
    (defines && name.starts_with(char::is_uppercase)).then(|| &name[..end])
}

#[test]
fn no_type_name_stands_twice() {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in files("src", "rs") {
        // Tests stand at the end of a file, and are nobody else's. Alternatives of one file, as of features, are one type.
        for line in text.lines().take_while(|line| *line != "#[cfg(test)]") {
            if let Some(name) = type_defined(line) {
                places.entry(name.to_owned()).or_default().insert(path.clone());
            }
        }
    }
    assert!(places.len() > 200, "only {} types were found: the search is broken", places.len());
    let twice: Vec<_> = places.iter().filter(|(_, paths)| paths.len() > 1).collect();
    assert!(twice.is_empty(), "each name is to be one type's: {twice:#?}");
}

#[test]
fn types_are_found_where_they_are_defined() {
    for (line, name) in [
        ("pub struct Plan {", Some("Plan")),
        ("pub(in crate::algorithm) enum Check<T> {", Some("Check")),
        ("    pub trait SealedReal: Sized {", Some("SealedReal")),
        ("struct Lines([Vec<u8>; 3]);", Some("Lines")),
        ("type Key = (u8, u8);", Some("Key")),
        ("    type Output = u8;", None),
        ("// struct Plan {", None),
        ("let struct_name = 1;", None),
    ] {
        assert_eq!(type_defined(line), name, "{line}");
    }
}

#[test]
fn wgpu_stays_in_its_rooms() {
    for (path, text) in files("src", "rs") {
        let may = ["src/gpu", "src/device", "src/lib.rs"].iter().any(|p| path.starts_with(p));
        for (number, line) in code(&text).filter(|_| !may) {
            assert!(!line.contains("wgpu"), "{path}:{number} names wgpu: {line}");
        }
    }
}

/// Packages that have a place of their own; the others may be used anywhere.
const PACKAGES: [(&str, &[&str]); 5] = [
    ("rayon", &["src/cpu"]),
    ("wgconv_fft", &["src/cpu/fft"]),
    ("bytemuck", &["src/cpu", "src/kernel", "src/gpu", "src/device"]),
    ("libm", &["src/problem", "src/kernel/fft", "src/cpu/reference"]),
    ("pollster", &["src/device/wait.rs"]),
];

#[test]
fn packages_stay_in_their_rooms() {
    let mut uses = 0;
    for (path, text) in files("src", "rs") {
        for (number, line) in code(&text) {
            for (package, rooms) in
                PACKAGES.iter().filter(|(package, _)| line.contains(&format!("{package}::")))
            {
                uses += 1;
                let may = rooms.iter().any(|room| path.starts_with(room));
                assert!(may, "{path}:{number} uses {package}, which only {rooms:?} may: {line}");
            }
        }
    }
    assert!(uses > 10, "only {uses} uses were found: the search is broken");
}

#[test]
fn errors_name_error_types_alone() {
    let text = fs::read_to_string(root().join("src/error.rs")).expect("src/error.rs");
    for (number, line) in code(&text).filter(|(_, line)| line.starts_with("use crate::")) {
        let items = line.rsplit("::").next().unwrap_or(line).trim_matches(['{', '}', ';']);
        for item in items.split(',').map(|i| i.trim().trim_end_matches("};")) {
            let good =
                ["Error", "ErrorClass", "Declined", "Unsupported"].iter().any(|end| item.ends_with(end));
            assert!(good, "src/error.rs:{number} uses {item}, which is no error");
        }
    }
}

/// Files of the command line that look behind the public face of the library: they show or check what is inside.
const INSIDE: [&str; 3] = ["cli/src/info", "cli/src/shaders.rs", "cli/src/verify"];

#[test]
fn the_command_line_uses_the_public_face() {
    let mut uses = 0;
    for (path, text) in files("cli/src", "rs") {
        let code = code(&text).take_while(|(_, line)| *line != "#[cfg(test)]");
        for (number, line) in code {
            let inner = line.contains("#[path") || line.contains("include!(");
            assert!(!inner, "{path}:{number} reaches into the library: {line}");
            if line.contains("wgconv::internals") {
                uses += 1;
                let may = INSIDE.iter().any(|inside| path.starts_with(inside));
                assert!(may, "{path}:{number} uses what is not public, which only {INSIDE:?} may: {line}");
            }
        }
    }
    assert!(uses > 2, "only {uses} uses were found: the search is broken");
}

#[test]
fn unsafe_code_has_one_place() {
    let all =
        ["src", "cli", "fft", "testing", "peers", "tests"].into_iter().flat_map(|folder| files(folder, "rs"));
    // This file names the word in order to find it.
    let others = ["src/gpu/trusted.rs", "tests/architecture.rs"];
    for (path, text) in all.filter(|(path, _)| !others.contains(&path.as_str())) {
        for (number, line) in code(&text) {
            let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            assert!(words.clone().all(|w| w != "unsafe"), "{path}:{number} is unsafe: {line}");
            assert!(!line.contains("allow(unsafe_code"), "{path}:{number} allows unsafe code: {line}");
        }
    }
}

#[test]
fn panics_are_explained() {
    let mut wrong = Vec::new();
    for (path, text) in ["src", "cli/src", "fft/src"].into_iter().flat_map(|folder| files(folder, "rs")) {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        // Tests stand at the end of a file, or in one of their own, and may panic.
        if path.ends_with("/tests.rs") {
            continue;
        }
        let code = code(&text).take_while(|(_, line)| *line != "#[cfg(test)]");
        for (number, line) in code {
            let words = [".unwrap()", ".expect(", "panic!(", "unreachable!(", "todo!(", "unimplemented!("];
            let explained = number >= 2 && lines[number - 2].starts_with("// ");
            if words.iter().any(|word| line.contains(word)) && !explained {
                wrong.push(format!("{path}:{number} can panic, and no comment above says why not: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `1.88` and `1.88.0` as numbers.
fn version(text: &str) -> Vec<u64> {
    let mut parts: Vec<u64> = text.split('.').map(|p| p.parse().expect("a version")).collect();
    parts.resize(3, 0);
    parts
}

#[test]
fn the_oldest_rust_is_what_the_dependencies_need() {
    // Of this platform alone: what other platforms need may not have been downloaded.
    let rustc = std::process::Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let said = String::from_utf8(rustc.stdout).expect("UTF-8");
    let host = said.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--filter-platform", host])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let ours = version(env!("CARGO_PKG_RUST_VERSION"));
    let needed = normal_dependencies(&metadata);
    assert!(needed.len() > 30, "only {} dependencies were found", needed.len());
    for package in metadata["packages"].as_array().expect("packages") {
        let id = package["id"].as_str().expect("an id");
        if let Some(theirs) = package["rust_version"].as_str().filter(|_| needed.contains(&id)) {
            assert!(version(theirs) <= ours, "{} needs Rust {theirs}", package["name"]);
        }
    }
}

/// Ids of the packages that the library and the command line are built from; tests may need newer ones.
fn normal_dependencies(metadata: &serde_json::Value) -> Vec<&str> {
    let resolve = &metadata["resolve"];
    let nodes = resolve["nodes"].as_array().expect("nodes");
    let members = metadata["workspace_default_members"].as_array().expect("members");
    let mut found: Vec<&str> = members.iter().map(|id| id.as_str().expect("an id")).collect();
    let mut next = 0;
    while next < found.len() {
        let node = nodes.iter().find(|node| node["id"] == found[next]).expect("a node for every package");
        for dependency in node["deps"].as_array().expect("deps") {
            let kinds = dependency["dep_kinds"].as_array().expect("dep_kinds");
            let id = dependency["pkg"].as_str().expect("pkg");
            if kinds.iter().any(|kind| kind["kind"] != "dev") && !found.contains(&id) {
                found.push(id);
            }
        }
        next += 1;
    }
    found
}
