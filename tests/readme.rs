//! The README's two commands are the ones that work and the ones that are checked.

use std::fs;
use std::path::PathBuf;

const FILTER: &str = "cargo run -- filter examples/data/astronaut.png --kernel gaussian:9 --boundary reflect --output filtered.png";
const TEST: &str = "cargo test";

fn text(path: &str) -> Option<String> {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

#[test]
fn the_two_commands_stand_near_the_top() {
    let readme = text("README.md").expect("README.md");
    let (_, section) = readme.split_once("\n## Two commands\n").expect("a section of the two commands");
    let section = section.split("\n## ").next().unwrap_or(section);
    assert!(section.lines().any(|line| line == FILTER), "the README lacks: {FILTER}");
    assert!(section.lines().any(|line| line == TEST), "the README lacks: {TEST}");
    let before = readme.lines().take_while(|line| *line != "## Two commands").count();
    assert!(before < 60, "the two commands come after {before} lines");
}

#[test]
fn the_picture_is_there() {
    let picture = FILTER.split(' ').find(|word| word.ends_with(".png")).expect("a picture");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(picture);
    let image = image::open(&path).expect("a picture that can be read");
    assert!(image.width() >= 256 && image.height() >= 256);
}

#[test]
fn ci_runs_them() {
    // A published package comes without the script.
    let Some(ci) = text(".ci/run") else { return println!("skipped: no .ci/run here") };
    let runs = |command: &str| ci.lines().any(|line| line.trim() == command);
    assert!(runs(TEST), ".ci/run does not run: {TEST}");
    assert!(runs(FILTER) || runs(&format!("{FILTER} ")), ".ci/run does not run: {FILTER}");
}

/// Every page that people read.
fn pages() -> Vec<String> {
    let mut pages: Vec<String> = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "benches/README.md",
        "benches/results/README.md",
        "examples/data/README.md",
        "shaders/README.md",
        "testing/data/README.md",
    ]
    .map(str::to_owned)
    .to_vec();
    for folder in ["docs", "docs/decisions"] {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let entries = fs::read_dir(root.join(folder)).expect("a folder of pages");
        let names = entries.map(|entry| entry.expect("a page").file_name().to_string_lossy().into_owned());
        pages.extend(names.filter(|name| name.ends_with(".md")).map(|name| format!("{folder}/{name}")));
    }
    pages
}

/// What a link may name of a page: its headings in lower case, with `-` between words.
fn anchors(page: &str) -> impl Iterator<Item = String> {
    page.lines().filter(|line| line.starts_with('#')).map(|line| {
        let kept =
            line.trim_start_matches('#').trim().chars().filter(|&c| c.is_alphanumeric() || " -_".contains(c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    })
}

#[test]
fn relative_links_lead_somewhere() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut links = 0;
    for name in pages() {
        let text = text(&name).unwrap_or_else(|| panic!("{name} is missing"));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let page = root.join(&name);
            let target = if path.is_empty() { page } else { page.parent().expect("a folder").join(path) };
            assert!(target.exists(), "{name} links to {link}, which is not there");
            if !anchor.is_empty() {
                let text = fs::read_to_string(&target).expect("a page");
                assert!(
                    anchors(&text).any(|a| a == anchor),
                    "{name} links to {link}, which has no such heading"
                );
            }
            links += 1;
        }
    }
    assert!(links > 60, "only {links} links were found");
}

/// It is read in a few minutes: no more lines, longer paragraphs or fuller cells than that.
#[test]
fn the_readme_is_short() {
    let readme = text("README.md").expect("README.md");
    let lines = readme.lines().count();
    assert!(lines <= 130, "{lines} lines");
    for line in readme.lines() {
        if line.starts_with('|') {
            let fullest = line.split('|').map(|cell| cell.trim().chars().count()).max().unwrap_or(0);
            assert!(fullest <= 120, "a cell of {fullest} characters: {line}");
        } else {
            assert!(
                line.chars().count() <= 600,
                "a paragraph of {} characters: {line}",
                line.chars().count()
            );
        }
    }
}

/// What the README shows is what runs: in `examples/conv2d.rs`, and of the classic operations in `examples/classic.rs`.
#[test]
fn the_example_is_what_the_readme_shows() {
    let readme = text("README.md").expect("README.md");
    let examples = ["examples/conv2d.rs", "examples/classic.rs"].map(|path| text(path).expect(path));
    let example: Vec<&str> = examples.iter().flat_map(|text| text.lines()).map(str::trim).collect();
    let blocks = readme.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut lines = 0;
    for line in blocks.flat_map(str::lines).map(str::trim) {
        // Lines that rustdoc hides, and those that each program says in its own way.
        let own = line.is_empty() || line.starts_with('#') || line.starts_with("use ") || line == "}";
        if !own {
            assert!(example.contains(&line), "no example has the README's line: {line}");
            lines += 1;
        }
    }
    assert!(lines >= 12, "{lines}");
}

fn files_below(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder)).expect("a folder") {
        let entry = entry.expect("a readable folder");
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(files_below(&path));
        } else if path.ends_with(".rs") {
            found.push(path);
        }
    }
    found
}

/// Names of what `pub struct`, `pub enum`, `pub trait` and `pub type` at the start of a line declare.
fn public_types(text: &str) -> Vec<String> {
    let declared = ["pub struct ", "pub enum ", "pub trait ", "pub type "];
    let named = |line: &str| {
        let rest = declared.iter().find_map(|word| line.strip_prefix(word))?;
        Some(rest.chars().take_while(|c| c.is_alphanumeric()).collect())
    };
    text.lines().filter_map(named).collect()
}

/// A type that users name stands on the front page of the documentation, with what it is for.
#[test]
fn the_front_page_names_every_public_type() {
    let library = text("src/lib.rs").expect("the library");
    let page: String = library.lines().filter(|line| line.starts_with("//!")).collect();
    let exports = library.split("pub use ").skip(1).filter_map(|export| export.split(';').next());
    let words = exports.flat_map(|export| export.split(|c: char| !c.is_alphanumeric() && c != '_'));
    let types: Vec<_> = words.filter(|word| word.starts_with(|c: char| c.is_uppercase())).collect();
    // Modules keep the rest.
    let files = ["src/filters.rs".into()].into_iter().chain(files_below("src/classic"));
    let inner: Vec<String> = files.flat_map(|file| public_types(&text(&file).expect("a file"))).collect();
    let types: Vec<_> = types.into_iter().chain(inner.iter().map(String::as_str)).collect();
    assert!(types.len() > 70, "{types:?}");
    let missing: Vec<_> = types.into_iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert_eq!(missing, [""; 0], "not on the front page");
}
