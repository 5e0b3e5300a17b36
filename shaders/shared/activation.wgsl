// activation: the function applied last to an element; codes as Activation::code gives them.
// A NaN falls through every comparison; what clamp, min and sign make of one is the device's choice.

fn activate(code: u32, param: vec2<f32>, v: f32) -> f32 {
    switch code {
        case 1u: { return select(v, 0.0, v < 0.0); }
        case 2u: { return select(select(v, param.x, v < param.x), param.y, v > param.y); }
        case 3u: { return select(v, param.x * v, v < 0.0); }
        case 4u: { return logistic(v); }
        case 5u: { return bounded_tanh(v); }
        case 6u: { return v * logistic(v); }
        case 7u: { return gelu(v); }
        case 8u: { return select(select(v * (v + 3.0) / 6.0, 0.0, v <= -3.0), v, v >= 3.0); }
        default: { return v; }
    }
}

// exp of a large argument is outside what WGSL promises; past 88 the result is 0 or 1 to the last bit.
fn logistic(v: f32) -> f32 {
    return 1.0 / (1.0 + exp(-clamp(v, -88.0, 88.0)));
}

// From e^-2|v|, which cannot overflow. Near 0 the difference 1 - e cancels, so the odd series takes over.
fn bounded_tanh(v: f32) -> f32 {
    let a = abs(v);
    let e = exp(-2.0 * min(a, 44.0));
    let far = (1.0 - e) / (1.0 + e);
    let s = v * v;
    let near = a * (1.0 + s * (-1.0 / 3.0 + s * (2.0 / 15.0 + s * (-17.0 / 315.0 + s * (62.0 / 2835.0)))));
    return sign(v) * select(far, near, a < 0.3);
}

// v * Phi(v). The complementary error function of |z| is the rational approximation 7.1.26 of Abramowitz and
// Stegun, "Handbook of Mathematical Functions": absolute error at most 1.5e-7.
fn gelu(v: f32) -> f32 {
    let z = min(abs(v) * 0.70710678, 9.0);
    let t = 1.0 / (1.0 + 0.3275911 * z);
    let poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    let tail = 0.5 * poly * exp(-z * z);
    return v * select(tail, 1.0 - tail, v > 0.0);
}
