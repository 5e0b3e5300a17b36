//! The shapes that are timed: published ones by set, and those of a file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value;
use wgconv::{Conv, ConvProblem, Direction, Element, ErrorKind, Padding, PerAxis};

use crate::failure::Failure;
use crate::json::{Object, integer, integers, quoted, reserve};

/// Facts of published networks and benchmarks; its `meta` says where from.
const BUILT_IN: &str = wgconv_testing::BENCH_SHAPES;

/// Far more than the built-in file, and no danger to memory.
const LARGEST_FILE: u64 = 64 << 20;

/// One convolution by its name.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) name: String,
    pub(super) set: String,
    x: Vec<usize>,
    w: Vec<usize>,
    conv: Conv,
}

/// What a shape may say of itself. `rank`, `out`, `gflop` and `note` are for the reader; `rank` and `out` are checked.
const FIELDS: &[&str] = &[
    "name", "set", "rank", "N", "C", "D", "H", "W", "K", "kernel", "stride", "pad", "dilation", "groups",
    "out", "gflop", "note",
];

fn bad_file(message: impl Into<String>) -> Failure {
    Failure::new(ErrorKind::BadFile, message)
}

impl Shape {
    fn new(object: &Object) -> Result<Self, Failure> {
        let name = object.text("name")?.filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| bad_file("a shape without a `name`"))?.to_owned();
        Self::described(object, name.clone())
            .map_err(|e| bad_file(format!("shape {}: {}", quoted(&name), e.message)))
    }

    fn described(object: &Object, name: String) -> Result<Self, Failure> {
        if let Some((unknown, _)) = object.0.iter().find(|(field, _)| !FIELDS.contains(&field.as_str())) {
            return Err(bad_file(format!("unknown field {}", quoted(unknown))));
        }
        let count = |field: &str| object.count(field, 1, ErrorKind::BadFile);
        let required = |field: &str| {
            let extent = count(field)?.ok_or_else(|| bad_file(format!("`{field}` is missing")))?;
            usize::try_from(extent).map_err(|_| bad_file(format!("`{field}` is {extent}")))
        };
        let kernel = object.extents("kernel")?.ok_or_else(|| bad_file("`kernel` is missing"))?;
        let rank = kernel.len();
        let axes = match rank {
            1..=3 => &["D", "H", "W"][3 - rank..],
            _ => return Err(bad_file(format!("`kernel` has {rank} axes, wanted 1 to 3"))),
        };
        for axis in ["D", "H", "W"].iter().filter(|axis| !axes.contains(axis)) {
            if object.get(axis).is_some() {
                return Err(bad_file(format!("`{axis}` beside a `kernel` of {rank} axes")));
            }
        }
        if let Some(told) = count("rank")?.filter(|&told| told != rank as u64) {
            return Err(bad_file(format!("`rank` is {told}, `kernel` has {rank} axes")));
        }
        let groups = count("groups")?.map_or(Ok(1), usize::try_from);
        let groups = groups.map_err(|_| bad_file("`groups` is too large"))?;
        let (c, k) = (required("C")?, required("K")?);
        let mut x = vec![required("N")?, c];
        for axis in axes {
            x.push(required(axis)?);
        }
        let w = [vec![k, c / groups], kernel].concat();
        let per_axis = |field: &str, least| object.per_axis(field, least, ErrorKind::BadFile);
        let one = || PerAxis::Uniform(1);
        let conv = Conv {
            stride: per_axis("stride", 1)?.unwrap_or_else(one),
            dilation: per_axis("dilation", 1)?.unwrap_or_else(one),
            ..Conv::default().groups(groups).padding(padding(object)?)
        };
        let shape = Self { name, set: object.text("set")?.unwrap_or("file").to_owned(), x, w, conv };
        let y = shape.problem(Direction::Forward, Element::F32)?.output().shape();
        match object.extents("out")? {
            Some(told) if told != y[2..] => {
                Err(bad_file(format!("`out` is {told:?}, the output's extents are {:?}", &y[2..])))
            }
            _ => Ok(shape),
        }
    }

    pub(super) fn problem(&self, direction: Direction, element: Element) -> Result<ConvProblem, Failure> {
        let conv = self.conv.clone().direction(direction).element(element);
        Ok(ConvProblem::new(&self.x, &self.w, &conv)?)
    }
}

/// One number for all axes, or one each; the same at both ends.
fn padding(object: &Object) -> Result<Padding, Failure> {
    let Some(value) = object.get("pad") else { return Ok(Padding::Valid) };
    let cells = |n: i128| usize::try_from(n).ok();
    let uniform = integer(value).and_then(cells).map(Padding::from);
    let each = || integers(value)?.into_iter().map(cells).collect::<Option<Vec<_>>>().map(Padding::from);
    let wrong = || crate::json::wrong_type("pad", value, "an integer of at least 0 or a list of them");
    uniform.or_else(each).ok_or_else(wrong)
}

/// Shapes, and lists of names of some of them.
type Parsed = (Vec<Shape>, Vec<(String, Vec<String>)>);

/// Every shape of a document `{"shapes": [..]}` or `[..]`, and every list of names in its `meta`.
fn parsed(text: &[u8]) -> Result<Parsed, Failure> {
    reserve("the list of shapes", text)?;
    let document: Value = serde_json::from_slice(text).map_err(|e| bad_file(format!("no JSON: {e}")))?;
    let list = document.as_array().or_else(|| document.get("shapes").and_then(Value::as_array));
    let list = list.ok_or_else(|| bad_file("neither a list of shapes nor an object with `shapes`"))?;
    let mut shapes = Vec::<Shape>::new();
    for entry in list {
        let object = serde_json::from_value(entry.clone());
        let shape = Shape::new(&object.map_err(|e| bad_file(format!("no shape: {e}")))?)?;
        shapes.push(shape);
    }
    let mut names: Vec<&str> = shapes.iter().map(|shape| shape.name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(bad_file(format!("the name {} comes twice", quoted(pair[0]))));
    }
    if shapes.is_empty() {
        return Err(bad_file("no shapes"));
    }
    let lists = document["meta"].as_object().into_iter().flatten();
    let named = |(list, names): (&String, &Value)| {
        let names = names.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned);
        Some((list.clone(), names.collect()))
    };
    Ok((shapes, lists.filter_map(named).collect()))
}

/// The built-in sets with their shapes: the cross-sections `core` and `fft`, the others in the order of the file, and `all`.
fn sets() -> Result<Vec<(String, Vec<Shape>)>, Failure> {
    let (shapes, lists) = parsed(BUILT_IN.as_bytes())?;
    let of = |names: &[String]| shapes.iter().filter(|shape| names.contains(&shape.name)).cloned().collect();
    let mut sets: Vec<(String, Vec<Shape>)> =
        lists.iter().map(|(list, names)| (list.clone(), of(names))).collect();
    for shape in &shapes {
        match sets.iter_mut().skip(lists.len()).find(|(set, _)| *set == shape.set) {
            Some((_, members)) => members.push(shape.clone()),
            None => sets.push((shape.set.clone(), vec![shape.clone()])),
        }
    }
    sets.push(("all".to_owned(), shapes));
    Ok(sets)
}

/// The shapes of the built-in set of this name, else those of the file.
pub(super) fn chosen(word: &str) -> Result<Vec<Shape>, Failure> {
    let mut sets = sets()?;
    let name = word.replace('-', "_");
    if let Some(at) = sets.iter().position(|(set, _)| *set == name) {
        return Ok(sets.swap_remove(at).1);
    }
    let path = Path::new(word);
    if !path.exists() {
        let names: Vec<_> = sets.iter().map(|(set, _)| set.as_str()).collect();
        let message = format!("{} is neither a file nor one of {}", quoted(word), names.join(", "));
        return Err(Failure::new(ErrorKind::Io, message));
    }
    let mut text = Vec::new();
    let file = File::open(path).map_err(|e| Failure::io("open", path, &e))?;
    let read = file.take(LARGEST_FILE + 1).read_to_end(&mut text);
    read.map_err(|e| Failure::io("read", path, &e))?;
    let told = |failure: Failure| bad_file(format!("{}: {}", path.display(), failure.message));
    if text.len() as u64 > LARGEST_FILE {
        return Err(told(bad_file(format!("larger than {LARGEST_FILE} bytes"))));
    }
    Ok(parsed(&text).map_err(told)?.0)
}

/// Every set with the number of its shapes.
pub(super) fn list() -> Result<String, Failure> {
    let line = |(set, shapes): (String, Vec<Shape>)| format!("{set:<24} {:>4}", shapes.len());
    Ok(sets()?.into_iter().map(line).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_shapes_are_what_their_file_says() {
        let sets = sets().expect("every shape is a convolution whose `out` is right");
        let count = |name: &str| sets.iter().find(|(set, _)| set == name).map(|(_, shapes)| shapes.len());
        assert_eq!((count("core"), count("fft"), count("edge")), (Some(45), Some(13), Some(9)));
        assert_eq!(count("all"), Some(550));
        let document: Value = serde_json::from_str(BUILT_IN).expect("JSON");
        let told = document["shapes"].as_array().expect("a list");
        for (shape, told) in sets[sets.len() - 1].1.iter().zip(told) {
            let macs = shape.problem(Direction::Forward, Element::F32).expect("a problem").macs();
            let gflop = told["gflop"].as_f64().expect("a number");
            assert!((2e-9 * macs as f64 - gflop).abs() <= 1e-6, "{}", shape.name);
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let good = r#""name": "a", "N": 1, "C": 2, "W": 8, "K": 3, "kernel": [3]"#;
        let parse = |text: &str| parsed(text.as_bytes()).map(|(shapes, _)| shapes.len());
        assert_eq!(parse(&format!("[{{{good}}}]")).ok(), Some(1));
        assert_eq!(parse(&format!(r#"{{"shapes": [{{{good}, "pad": [1], "out": [8]}}]}}"#)).ok(), Some(1));
        for (more, part) in [
            (r#", "padding": 1"#, "unknown field"),
            (r#", "H": 8"#, "`H` beside"),
            (r#", "rank": 2"#, "`rank` is 2"),
            (r#", "out": [8]"#, "`out` is [8]"),
            (r#", "pad": -1"#, "`pad` is -1"),
            (r#", "stride": 0"#, "`stride` is 0"),
            (r#", "dilation": 5"#, "kernel"),
            (r#", "groups": 2"#, "groups"),
        ] {
            let failure = parse(&format!("[{{{good}{more}}}]")).expect_err(more);
            assert!(failure.message.contains(part), "{part:?} in {:?}", failure.message);
        }
        for text in ["", "{}", "[]", "7", r#"{"shapes": {}}"#, "[7]", &format!("[{{{good}}}, {{{good}}}]")] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
