//! The published shapes that `wgconv bench` times, as problems, and a device to plan them for.

use serde_json::Value;
use wgconv::internals::target::{Limits, Target};
use wgconv::{Conv, ConvProblem, Direction};

/// One convolution by its name.
pub struct Shape {
    pub name: String,
    pub x: Vec<usize>,
    pub w: Vec<usize>,
    pub conv: Conv,
}

impl Shape {
    /// All of them.
    pub fn all() -> Vec<Self> {
        document()["shapes"].as_array().expect("shapes").iter().map(Self::new).collect()
    }

    /// Those that are timed by default.
    pub fn core() -> Vec<Self> {
        let all = document();
        let names = all["meta"]["core"].as_array().expect("names");
        let of = |name: &Value| {
            let mut shapes = all["shapes"].as_array().expect("shapes").iter();
            Self::new(shapes.find(|shape| shape["name"] == *name).expect("a shape of that name"))
        };
        names.iter().map(of).collect()
    }

    pub fn problem(&self, direction: Direction) -> ConvProblem {
        ConvProblem::new(&self.x, &self.w, &self.conv.clone().direction(direction)).expect("a problem")
    }

    fn new(shape: &Value) -> Self {
        let kernel = list(&shape["kernel"]);
        let (c, k, groups) = (number(&shape["C"]), number(&shape["K"]), number(&shape["groups"]));
        let extents = ["D", "H", "W"][3 - kernel.len()..].iter().map(|axis| number(&shape[*axis]));
        let x = [number(&shape["N"]), c].into_iter().chain(extents).collect();
        let w = [k, c / groups].into_iter().chain(kernel).collect();
        let pads: Vec<_> =
            list(&shape["pad"]).into_iter().map(|p| (p, isize::try_from(p).expect("a pad"))).collect();
        let conv = Conv::default()
            .stride(list(&shape["stride"]))
            .dilation(list(&shape["dilation"]))
            .padding(pads)
            .groups(groups);
        Self { name: shape["name"].as_str().expect("a name").to_owned(), x, w, conv }
    }
}

fn document() -> Value {
    serde_json::from_str(wgconv_testing::BENCH_SHAPES).expect("JSON")
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().expect("a number")).expect("an extent")
}

fn list(value: &Value) -> Vec<usize> {
    value.as_array().expect("a list").iter().map(number).collect()
}

/// A device with so many compute units, and room for large tensors.
pub fn roomy(units: u32) -> Target {
    let limits = Limits {
        max_binding_bytes: 1 << 31,
        max_buffer_bytes: 1 << 33,
        max_workgroup_bytes: 32 << 10,
        ..Limits::default()
    };
    Target { limits, compute_units: Some(units), ..Target::default() }
}
