//! The shapes of `data/benchdnn.json`.

use serde_json::Value;
use wgconv::{Conv, Layout, Layouts, Padding};

use crate::cases::Case;

/// One row: the convolution, and the output extents that the source states for it.
pub struct Row {
    pub case: Case,
    pub output: Vec<u64>,
}

/// All rows as cases.
pub fn benchdnn() -> Vec<Case> {
    rows().into_iter().map(|row| row.case).collect()
}

/// All rows, in the order of the file.
pub fn rows() -> Vec<Row> {
    let text = include_str!("../data/benchdnn.json");
    let json: Value = serde_json::from_str(text).expect("benchdnn.json is JSON");
    let rows = json["rows"].as_array().expect("benchdnn.json has rows");
    rows.iter().enumerate().map(|(index, row)| parse(index, row)).collect()
}

fn parse(index: usize, row: &Value) -> Row {
    let fields: &[Value; 14] =
        row.as_array().and_then(|row| row.as_slice().try_into().ok()).expect("a row has 14 fields");
    let [set, name, n, groups, c_in, c_out, input, kernel, stride, dilation, begin, end, output, strides] =
        fields;
    let [n, groups, c_in, c_out] = [n, groups, c_in, c_out].map(|v| integer(v) as usize);
    let ends = integers(end);
    let padding = integers(begin).iter().zip(&ends).map(|(&b, &e)| (b as u64, e)).collect();
    let mut conv = Conv::default()
        .stride(extents(stride))
        .dilation(extents(dilation))
        .padding(Padding::Explicit(padding))
        .groups(groups);
    if let Some([x, w, y]) = strides.as_array().map(Vec::as_slice) {
        conv = conv.layouts(Layouts { input: layout(x), weight: layout(w), output: layout(y) });
    }
    let set = set.as_str().expect("the set is a word").replace("/shapes_", "_");
    let name = format!("benchdnn_{index}_{}_{}", word(&set), word(name.as_str().unwrap_or("unnamed")));
    let x = [vec![n, c_in], extents(input)].concat();
    let w = [vec![c_out, c_in / groups], extents(kernel)].concat();
    let output = integers(output).iter().map(|&e| e as u64).collect();
    Row { case: Case::new(name, &x, &w, conv), output }
}

fn layout(strides: &Value) -> Layout {
    if strides.is_null() {
        return Layout::Ncx;
    }
    Layout::Strides(integers(strides).iter().map(|&s| s as u64).collect())
}

fn integer(value: &Value) -> i64 {
    value.as_i64().expect("a number")
}

fn integers(value: &Value) -> Vec<i64> {
    value.as_array().expect("a list of numbers").iter().map(integer).collect()
}

fn extents(value: &Value) -> Vec<usize> {
    integers(value).iter().map(|&v| v as usize).collect()
}

/// `text` in lower case with everything but letters and digits turned into `_`.
fn word(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}
