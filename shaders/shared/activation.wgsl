// activation: the function applied last to an element; codes as Activation::code gives them.

fn activate(code: u32, param: vec2<f32>, v: f32) -> f32 {
    // By its bits: a compiler may take it that there are no NaNs.
    if code == 0u || (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u { return v; }
    switch code {
        case 1u: { return select(v, 0.0, v < 0.0); }
        case 2u: { return select(select(v, param.x, v < param.x), param.y, v > param.y); }
        case 3u: { return select(v, param.x * v, v < 0.0); }
        case 4u: { return logistic(v); }
        case 5u: { return bounded_tanh(v); }
        case 6u: { return silu(v); }
        case 7u: { return gelu(v); }
        case 8u: { return select(select(v * (v + 3.0) / 6.0, 0.0, v <= -3.0), v, v >= 3.0); }
        default: { return v; }
    }
}

// exp of a large argument is outside what WGSL promises; past 88 the result is 0 or 1 to the last bit.
fn logistic(v: f32) -> f32 {
    return 1.0 / (1.0 + exp(-clamp(v, -88.0, 88.0)));
}

// v * e^v / (1 + e^v) below 0. e^v leaves the range of f32 long before the product with v does, so the root is multiplied twice.
fn silu(v: f32) -> f32 {
    let root = exp(0.5 * max(v, -208.0));
    let below = v * root * root / (1.0 + root * root);
    return select(v * logistic(v), below, v < 0.0);
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

// v * Phi(v), with Phi(-|v|) = erfc(z) / 2. The complementary error function is the Chebyshev fit of Press et al., "Numerical
// Recipes", 6.2: t * exp(-z * z + p(t)), relatively off by at most 1.2e-7 everywhere. The root of the exponential is multiplied
// twice, as in silu.
fn gelu(v: f32) -> f32 {
    let z = min(abs(v) * 0.70710678, 20.0);
    let t = 1.0 / (1.0 + 0.5 * z);
    let low = 1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806 + t * 0.27886807)));
    let high = -1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277));
    let t2 = t * t;
    let root = exp(0.5 * (-z * z - 1.26551223 + t * (low + t2 * t2 * t * high)));
    let tail = 0.5 * t * root;
    return select(v * tail * root, v * (1.0 - tail * root), v > 0.0);
}
