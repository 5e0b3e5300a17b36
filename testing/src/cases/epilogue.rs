//! What is done to each sum: bias, scaling, residual, activation, alone and together.

use wgconv::{Activation, Conv, Epilogue, Layout};

use super::{Case, shape_of};

const ACTIVATIONS: [(&str, Activation); 10] = [
    ("relu", Activation::Relu),
    ("clamp", Activation::Clamp { low: -2.0, high: 3.0 }),
    ("clamp_open", Activation::Clamp { low: 0.0, high: f64::INFINITY }),
    ("leaky_relu_quarter", Activation::LeakyRelu { slope: 0.25 }),
    ("leaky_relu_hundredth", Activation::LeakyRelu { slope: 0.01 }),
    ("sigmoid", Activation::Sigmoid),
    ("tanh", Activation::Tanh),
    ("silu", Activation::Silu),
    ("gelu", Activation::Gelu),
    ("hard_swish", Activation::HardSwish),
];

pub fn cases() -> Vec<Case> {
    [every_rank(), activations(), scaled(), mixed()].concat()
}

fn every_rank() -> Vec<Case> {
    (1..=3)
        .flat_map(|rank| {
            let case = |name: &str, epilogue: Epilogue| {
                let (x, w) = (shape_of(2, 3, rank, [6, 5, 4]), shape_of(5, 3, rank, [3, 3, 2]));
                let conv = Conv::default().padding(1).epilogue(epilogue);
                Case::new(format!("epilogue_{name}_rank_{rank}"), &x, &w, conv)
            };
            let none = Epilogue::default;
            [
                case("bias", Epilogue { bias: true, ..none() }),
                case("residual", Epilogue { beta: Some(1.0), ..none() }),
                case(
                    "everything",
                    Epilogue { alpha: 2.0, beta: Some(-0.5), bias: true, activation: Activation::Relu },
                ),
            ]
        })
        .collect()
}

fn activations() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, activation) in ACTIVATIONS {
        // Few terms and no padding: sums stay where the activations bend.
        let conv = Conv::default().activation(activation);
        cases.push(Case::new(format!("activation_{name}"), &[2, 1, 7], &[4, 1, 2], conv.clone()));
        cases.push(Case::new(
            format!("activation_{name}_biased"),
            &[2, 2, 6, 5],
            &[4, 2, 2, 2],
            conv.bias(true),
        ));
    }
    cases
}

fn scaled() -> Vec<Case> {
    let pairs = [
        ("alpha_0", 0.0, None),
        ("alpha_2", 2.0, None),
        ("alpha_half", 0.5, None),
        ("alpha_minus_1", -1.0, None),
        ("alpha_0_beta_1", 0.0, Some(1.0)),
        ("beta_0", 1.0, Some(0.0)),
        ("beta_half", 1.0, Some(0.5)),
        ("alpha_minus_1_beta_2", -1.0, Some(2.0)),
    ];
    pairs
        .into_iter()
        .map(|(name, alpha, beta)| {
            let conv = Conv::default().epilogue(Epilogue { alpha, beta, ..Epilogue::default() });
            Case::new(format!("epilogue_{name}"), &[2, 3, 6, 5], &[4, 3, 3, 2], conv)
        })
        .collect()
}

fn mixed() -> Vec<Case> {
    let full = Epilogue { alpha: 0.5, beta: Some(2.0), bias: true, activation: Activation::Relu };
    let conv = || Conv::default().epilogue(full);
    vec![
        Case::new("epilogue_grouped", &[2, 4, 6, 5], &[6, 2, 3, 3], conv().groups(2)),
        Case::new("epilogue_depthwise", &[2, 5, 6, 5], &[5, 1, 3, 3], conv().groups(5).padding(1)),
        Case::new("epilogue_pointwise", &[2, 17, 6, 5], &[9, 17, 1, 1], conv()),
        Case::new("epilogue_strided_dilated", &[1, 2, 9, 8], &[3, 2, 3, 2], conv().stride(2).dilation(2)),
        Case::new("epilogue_channels_last", &[2, 3, 6, 5], &[4, 3, 3, 3], conv().layouts(Layout::Nxc)),
        Case::new("epilogue_channels_first", &[2, 3, 6, 5], &[4, 3, 3, 3], conv().layouts(Layout::Cxn)),
        Case::new("epilogue_empty_input_channels", &[2, 0, 5], &[4, 0, 3], conv()),
        Case::new("epilogue_empty_batch", &[0, 3, 5], &[4, 3, 3], conv()),
        // Every output but the middle ones is bias and residual alone.
        Case::new("epilogue_on_padding_only", &[1, 2, 2], &[3, 2, 2], conv().padding(6)),
        Case::new("epilogue_output_tails", &[3, 2, 9, 17], &[33, 2, 3, 3], conv().padding(1)),
    ]
}
