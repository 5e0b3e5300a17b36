// fft_block: the passes along each axis of a block, in workgroup memory.

// Which block of the workgroup an invocation transforms. Of a single one it is a constant, so that what follows from it is computed
// once for all invocations.
fn block_of(local: u32) -> u32 {
    if PAIRS == 1u { return 0u; }
    return local / LANES;
}

// The passes of x after the first one.
fn rest_of_x(lane: u32, block: u32) {
    stage(lane, block, X1, X0, TX, 1u, 0u);
    stage(lane, block, X2, X0 * X1, TX, 1u, 0u);
    stage(lane, block, X3, X0 * X1 * X2, TX, 1u, 0u);
    stage(lane, block, X4, X0 * X1 * X2 * X3, TX, 1u, 0u);
}

// All passes of y.
fn all_of_y(lane: u32, block: u32) {
    stage(lane, block, Y0, 1u, TY, TX, TX - 1u);
    stage(lane, block, Y1, Y0, TY, TX, TX - 1u);
    stage(lane, block, Y2, Y0 * Y1, TY, TX, TX - 1u);
}

// All passes of z.
fn all_of_z(lane: u32, block: u32) {
    stage(lane, block, Z0, 1u, TZ, TY * TX, TX + TY - 2u);
    stage(lane, block, Z1, Z0, TZ, TY * TX, TX + TY - 2u);
}
