#!/usr/bin/env python3
"""Machine code of every kernel, without a GPU: registers, spills, waves and the instruction mix of every loop.

    wgconv shaders --output wgsl
    benches/isa.py --tool PATH_OF_ISA wgsl > benches/results/isa.json

ISA compiles a WGSL file with Mesa's AMD compiler for each family of FAMILIES and prints what it made. A loop's step is
what one pass of its outermost loop costs, inner loops times their trip count: of the matrix products, BK products. Of
transforms, arithmetic is all of it in single precision, once, without activations, and radices is what their passes need: sums
and products, of a complex product two of each pair as multiply-adds; what takes pairs apart, or puts them together, is of one
frequency. Of `depthwise`, multiply-adds per load from global memory are those of a square kernel of KB taps each way on a tile
that fits. What adds blocks of a long sum to totals is no part of a step: `block_slots` is what `settle` takes, once in 128
products and more, and `settle_run` is seldom.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HEAD = re.compile(r"\(RADV (\w+)\): VGPRs (\d+) SGPRs (\d+) spilled (\d+) scratch (\d+) LDS (\d+) waves/SIMD (\d+)")
LOOP = re.compile(r"^( *)loop \S+?( innermost)?: fma (\d+) matrix (\d+) valu (\d+) mul_lo (\d+) mul_hi (\d+) "
                  r"transcendental (\d+) lds (\d+) vmem (\d+)")


# Products of a turn of the inner loop of a matrix product.
PER_TURN = 4


def slots(loop):
    """Vector issue slots; multiplications of integers take four, and accesses to memory one."""
    return loop["fma"] + loop["valu"] + 4 * loop["mul"] + loop["transcendental"] + loop["lds"] + loop["vmem"]


FAMILIES = ["vega10", "navi10", "navi21", "gfx1100"]

ARITHMETIC = re.compile(r"\bv_(?:dual_)?(?:add|sub|subrev|mul|fma|fmac|fmaak|fmamk|mad|mac|madak|madmk)_f32")

# Sums and products of a transform of so many points.
DFT = {2: 4, 3: 16, 4: 16, 5: 40, 8: 56}


def passes(path):
    """Points of a block, invocations that share it, and the radices along each axis, of a kernel of transforms."""
    value = {name: int(number) for name, number in re.findall(r"([A-Z]+\d?)-(\d+)", path.stem)}
    points = value.get("TZ", 1) * value["TY"] * value["TX"]
    axes = [[value.get(f"{axis}{i}", 1) for i in range(5)] for axis in "XYZ"]
    return points, value["WG"] // value.get("PAIRS", 1), [[r for r in axis if r > 1] for axis in axes]


def radices(path):
    """Arithmetic that the passes need, of one invocation."""
    points, lanes, axes = passes(path)
    count = 0
    for axis in axes:
        for i, radix in enumerate(axis):
            twiddles = 4 * (radix - 1) if i else 0
            # Of a block that does not divide evenly, some invocations idle in the last turn.
            count += points / radix / lanes * (DFT[radix] + twiddles)
    return round(count + (0 if path.stem.startswith("fft_axis") else 4))


def with_body(text, name, body):
    """The kernel with another body of a function, if it has it."""
    begin = text.find(f"fn {name}(")
    if begin < 0:
        return text
    begin = text.index("{\n", begin)
    return text[:begin] + body + text[text.index("\n}", begin) + 2:]


def without_activations(text):
    """The kernel with an `activate` that does nothing: what it does is no part of a transform."""
    return with_body(text, "activate", "{\n    return v;\n}")


def arithmetic_of_transform(tool, path, entries):
    if not re.match(r"fft_(axis|forward|inverse)__", path.stem):
        return
    for entry, family in zip(entries, FAMILIES):
        with tempfile.NamedTemporaryFile() as code, tempfile.NamedTemporaryFile("w", suffix=".wgsl") as bare:
            bare.write(without_activations(path.read_text()))
            bare.flush()
            subprocess.run([tool, bare.name, "main", code.name], capture_output=True, check=True,
                           env={**os.environ, "FAMILIES": family})
            found = ARITHMETIC.findall(pathlib.Path(code.name).read_text())
        entry["arithmetic"], entry["radices"] = len(found), radices(path)


def compiled(tool, path):
    """One entry per family."""
    entries = of_kernel(tool, path)
    is_product = "__BK-" in path.name
    if "fn settle(" in path.read_text() and (is_product or path.name.startswith("depthwise__")):
        with tempfile.TemporaryDirectory() as folder:
            bare = pathlib.Path(folder) / path.name
            text = with_body(path.read_text(), "settle", "{}")
            bare.write_text(with_body(text, "settle_run", "{}"))
            steps = of_kernel(tool, bare)
        for entry, step in zip(entries, steps):
            if is_product:
                of_steps = [[slots(loop) for loop in one["loops"] if loop["lds"] >= 8] for one in (entry, step)]
                entry["block_slots"] = max(of_steps[0]) - max(of_steps[1])
            entry.update({key: step[key] for key in ("loops", "step_fma_share", "fma_per_load") if key in step})
    arithmetic_of_transform(tool, path, entries)
    return entries


def of_kernel(tool, path):
    """The same, of a kernel as it is."""
    out = subprocess.run([tool, str(path)], capture_output=True, text=True, check=True).stdout
    entries = []
    for line in out.splitlines():
        if head := HEAD.search(line):
            family, *numbers = head.groups()
            names = ["vgprs", "sgprs", "spilled", "scratch", "lds_bytes", "waves_per_simd"]
            entries.append({"family": family, **dict(zip(names, map(int, numbers))), "loops": []})
        elif loop := LOOP.match(line):
            indent, innermost, *numbers = loop.groups()
            fma, matrix, valu, lo, hi, transcendental, lds, vmem = map(int, numbers)
            entries[-1]["loops"].append({
                "depth": len(indent) // 2, "innermost": bool(innermost), "fma": fma, "matrix": matrix,
                "valu": valu, "mul": lo + hi, "transcendental": transcendental, "lds": lds, "vmem": vmem,
            })
    for entry in entries:
        for loop in entry["loops"]:
            loop["fma_share"] = round(loop["fma"] / max(1, slots(loop)), 3)
        step_of_product(path, entry)
        loads_of_depthwise(path, entry)
        # Only where the work is done.
        entry["loops"] = [loop for loop in entry["loops"] if loop["fma"] >= 8]
    return entries


def step_of_product(path, entry):
    """The share of FMA in a whole step of a matrix product: its inner loop BK times, and the gather around it."""
    depth = re.search(r"__BK-(\d+)__", path.name)
    loops = entry["loops"]
    for outer, inner in zip(loops, loops[1:]):
        if depth and inner["innermost"] and inner["depth"] > outer["depth"] and inner["lds"] and outer["vmem"]:
            times = int(depth.group(1)) // PER_TURN - 1
            fma = outer["fma"] + times * inner["fma"]
            entry["step_fma_share"] = round(fma / (slots(outer) + times * slots(inner)), 3)
            return


# Of depthwise.wgsl: fours of workgroup memory, invocations, rows of each, and loads of an item from boundary tables.
PLACES, LANES, ROWS, TABLE_LOADS = 944, 256, 8, 6


def loads_of_depthwise(path, entry):
    """Multiply-adds per load from global memory: under zeros outside, and where coordinates go through boundary tables.

    A tile is staged once, in fours of rows with its halo, and so are the factors; then every invocation goes through the tap
    columns. Rows that share nothing (SY = 8) are left out. Of all tiles that fit, the one with the fewest loads.
    """
    spec = re.match(r"depthwise__QN-(\d+)__SY-([12])__KB-(\d+)__", path.name)
    if not spec:
        return
    channels, pitch, taps = map(int, spec.groups())
    loops = entry["loops"]
    inner = next(i for i, loop in enumerate(loops) if loop["innermost"] and loop["fma"] >= 8)
    tile_loop, factor_loop = [loop for loop in loops[:inner] if loop["innermost"] and loop["vmem"]][-2:]
    of_factors = taps * (taps * 2 if channels > 1 else -(-taps // 4))
    best = {}
    for columns in (1 << i for i in range(9)):
        for blocks in range(1, LANES // columns + 1):
            fours = -(-((blocks * ROWS - 1) * pitch + taps) // 4)
            items = ((columns - 1) * pitch + taps) * fours
            if items + of_factors > PLACES - 2 * taps:
                continue
            fma = columns * blocks * taps * loops[inner]["fma"]
            for name, less in [("zero", TABLE_LOADS), ("tables", 0)]:
                loads = items * (tile_loop["vmem"] - less) + of_factors * factor_loop["vmem"]
                best[name] = max(best.get(name, 0), round(fma / loads, 2))
    entry["fma_per_load"] = best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", required=True, help="the program that compiles a WGSL file and prints what it made")
    parser.add_argument("wgsl", type=pathlib.Path, help="the directory that `wgconv shaders` wrote")
    parser.add_argument("--with", dest="others", type=pathlib.Path, help="a file of other kernels, to be kept")
    options = parser.parse_args()
    kernels = json.loads(options.others.read_text())["kernels"] if options.others else {}
    for path in sorted(options.wgsl.glob("*.wgsl")):
        print(path.stem, file=sys.stderr)
        kernels[path.stem] = compiled(options.tool, path)
    # A line per kernel.
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(entries)}" for name, entries in sorted(kernels.items()))
    print(f'{{"compiler": "Mesa RADV, null hardware", "kernels": {{\n{lines}\n}}}}')


if __name__ == "__main__":
    main()
