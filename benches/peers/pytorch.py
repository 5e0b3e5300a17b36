#!/usr/bin/env python3
"""Times the shapes of `wgconv bench` with PyTorch, and joins both in one table.

    wgconv bench --set core --direction all --json ours.json
    python3 benches/peers/pytorch.py --set core --direction all --wgconv ours.json --json theirs.json

On CUDA every shape runs in strict f32, in tf32 and in f16, contiguous and channels last, cuDNN choosing its algorithm by
measurement; on the CPU in f32 in both formats. The runs of a shape's modes take turns; the median counts. On CUDA the
calls are captured in a graph and timed by events, several in a row where one is short, so that neither Python nor a
launch is part of the time. A ratio is PyTorch's time over wgconv's: above 1, wgconv is faster. wgconv's rows were timed by
another process: run both on one idle machine, one after the other.
"""

import argparse
import json
import math
import platform
import statistics
import sys
import time
from pathlib import Path

SHAPES = Path(__file__).resolve().parents[2] / "testing" / "data" / "bench_shapes.json"
DIRECTIONS = ("forward", "grad_input", "grad_weight")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", type=Path, default=SHAPES, help="file of shapes (default: wgconv's built-in ones)")
    parser.add_argument("--set", help="core, fft, all or a set of that file (default: core if the file has one, else all)")
    parser.add_argument("--direction", default="forward", help="forward, grad_input, grad_weight, with commas, or all")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--modes", help="of f32, tf32 and f16, with commas (default: all on cuda, f32 on the cpu)")
    parser.add_argument("--wgconv", type=Path, help="what `wgconv bench --json` wrote")
    parser.add_argument("--algorithm", help="of wgconv's rows take this algorithm's, instead of the fastest ones")
    parser.add_argument("--runs", type=int, default=30, help="timed runs of each, of which the median counts")
    parser.add_argument("--warmups", type=int, default=10)
    parser.add_argument("--flush", action="store_true", help="cuda: overwrite the cache before every run, which wgconv does not")
    parser.add_argument("--no-graph", action="store_true", help="cuda: time plain calls, with what a launch costs")
    parser.add_argument("--threads", type=int, help="cpu: threads of PyTorch")
    parser.add_argument("--json", type=Path, help="write every time to this file")
    given = parser.parse_args()
    given.direction = DIRECTIONS if given.direction == "all" else given.direction.replace("-", "_").split(",")
    given.modes = (given.modes or ("f32,tf32,f16" if given.device == "cuda" else "f32")).split(",")
    if unknown := set(given.direction) - set(DIRECTIONS):
        parser.error(f"--direction has no {', '.join(sorted(unknown))}")
    if unknown := set(given.modes) - {"f32", "tf32", "f16"}:
        parser.error(f"--modes has no {', '.join(sorted(unknown))}")
    if given.runs < 1 or given.warmups < 1:
        parser.error("--runs and --warmups are at least 1")
    return given


def chosen_shapes(path, wanted):
    document = json.loads(path.read_text())
    shapes = document if isinstance(document, list) else document["shapes"]
    meta = {} if isinstance(document, list) else document.get("meta", {})
    lists = {name: names for name, names in meta.items() if isinstance(names, list)}
    wanted = wanted or ("core" if "core" in lists else "all")
    if wanted == "all":
        return shapes
    picked = [s for s in shapes if (s["name"] in lists[wanted] if wanted in lists else s.get("set", "file") == wanted)]
    if not picked:
        sys.exit(f"{path} has no set {wanted}")
    return picked


def per_axis(shape, name, default):
    value = shape.get(name, default)
    return [value] * len(shape["kernel"]) if isinstance(value, int) else list(value)


class Case:
    """A shape in one direction and mode, with operands on the device; calling it computes."""

    def __init__(self, torch, shape, direction, mode, last, device):
        rank = len(shape["kernel"])
        dtype = torch.float16 if mode == "f16" else torch.float32
        self.torch, self.direction, self.mode = torch, direction, mode
        self.stride, self.dilation = per_axis(shape, "stride", 1), per_axis(shape, "dilation", 1)
        self.pad, self.groups = per_axis(shape, "pad", 0), shape.get("groups", 1)
        layout = {2: torch.channels_last, 3: torch.channels_last_3d}[rank] if last else torch.contiguous_format
        generator = torch.Generator(device).manual_seed(1)

        def made(extents):
            values = torch.rand(extents, generator=generator, device=device, dtype=torch.float32) * 2 - 1
            return values.to(dtype).contiguous(memory_format=layout)

        spatial = [shape[axis] for axis in ("D", "H", "W")[3 - rank:]]
        self.x = made([shape["N"], shape["C"], *spatial])
        self.w = made([shape["K"], shape["C"] // self.groups, *shape["kernel"]])
        reach = [(k - 1) * d + 1 for k, d in zip(shape["kernel"], self.dilation)]
        out = [(n + 2 * p - r) // s + 1 for n, p, r, s in zip(spatial, self.pad, reach, self.stride)]
        self.grad = made([shape["N"], shape["K"], *out]) if direction != "forward" else None

    def __call__(self):
        set_tf32(self.torch, self.mode == "tf32")
        aten = self.torch.ops.aten
        zeros = [0] * len(self.stride)
        if self.direction == "forward":
            return aten.convolution(self.x, self.w, None, self.stride, self.pad, self.dilation, False, zeros, self.groups)
        mask = [self.direction == "grad_input", self.direction == "grad_weight", False]
        grads = aten.convolution_backward(
            self.grad, self.x, self.w, None, self.stride, self.pad, self.dilation, False, zeros, self.groups, mask
        )
        return grads[0] if mask[0] else grads[1]


def set_tf32(torch, allowed):
    """Whether f32 operands may be rounded to 10 bits on the way in."""
    convolution = getattr(torch.backends.cudnn, "conv", None)
    if hasattr(convolution, "fp32_precision"):  # from PyTorch 2.9 on
        convolution.fp32_precision = "tf32" if allowed else "ieee"
        torch.backends.cuda.matmul.fp32_precision = "tf32" if allowed else "ieee"
    else:
        torch.backends.cudnn.allow_tf32 = allowed
        torch.backends.cuda.matmul.allow_tf32 = allowed


def strictness(torch, device):
    """Largest error of strict f32 relative to the largest result: about 1e-6, where tf32 would give 1e-4."""
    shape = {"N": 2, "C": 256, "H": 14, "W": 14, "K": 64, "kernel": [3, 3], "pad": 1}
    case = Case(torch, shape, "forward", "f32", False, device)
    got = case().double()
    case.x, case.w = case.x.double(), case.w.double()
    want = case()
    return ((got - want).abs().max() / want.abs().max()).item()


class CudaClock:
    def __init__(self, torch, given):
        self.torch, self.graphs = torch, not given.no_graph
        self.waste = torch.empty(64 << 20, dtype=torch.int32, device="cuda") if given.flush else None

    def prepare(self, case, warmups):
        """Gives what is timed, and how many calls it makes."""
        torch = self.torch
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(warmups):
                case()
        torch.cuda.synchronize()
        if self.graphs and self.waste is None:
            one = max(self.time((case, 1)) for _ in range(3))
            calls = max(1, min(50, math.ceil(1.0 / max(one, 1e-3))))
        else:
            calls = 1
        if not self.graphs:
            return case, calls
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(calls):
                case()
        graph.replay()
        torch.cuda.synchronize()
        return graph.replay, calls

    def time(self, prepared):
        """Milliseconds of one call."""
        run, calls = prepared
        if self.waste is not None:
            self.waste.zero_()
        begin, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        run()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / calls


class HostClock:
    def prepare(self, case, warmups):
        for _ in range(warmups):
            case()
        return case

    def time(self, run):
        begin = time.perf_counter()
        run()
        return (time.perf_counter() - begin) * 1e3


def timed(torch, clock, shape, direction, modes, given):
    """Median milliseconds by mode, or why not, the runs of all modes in turns."""
    ready, results = {}, {}
    for name, mode, last in modes:
        if last and len(shape["kernel"]) == 1:
            continue  # PyTorch has no such format of one axis
        try:
            ready[name] = clock.prepare(Case(torch, shape, direction, mode, last, given.device), given.warmups)
        except RuntimeError as error:  # out of memory, or no kernel for it
            results[name] = str(error).splitlines()[0]
    runs = {name: [] for name in ready}
    for _ in range(given.runs):
        for name, prepared in ready.items():
            runs[name].append(clock.time(prepared))
    return results | {name: statistics.median(times) for name, times in runs.items()}


def ours(path, algorithm):
    """wgconv's best time by name and direction, and the file it came from."""
    if path is None:
        return {}, {}
    document = json.loads(path.read_text())
    best = {}
    for row in document["rows"]:
        ms = row["gpu_ms"] or row["wall_ms"]
        if row["ok"] and ms and algorithm in (None, row["algorithm"], row["asked"]):
            key = row["name"], row["direction"]
            if key not in best or ms < best[key][0]:
                best[key] = ms, row["algorithm"]
    return best, document


def mean(ratios):
    return math.exp(statistics.fmean(map(math.log, ratios)))


def main():
    given = arguments()
    shapes = chosen_shapes(given.shapes, given.set)
    best, document = ours(given.wgconv, given.algorithm)
    import torch

    if given.device == "cuda" and not torch.cuda.is_available():
        sys.exit("PyTorch sees no CUDA device here (--device cpu?)")
    if given.threads:
        torch.set_num_threads(given.threads)
    torch.backends.cudnn.benchmark = True
    torch.set_grad_enabled(False)
    cuda = given.device == "cuda"
    clock = CudaClock(torch, given) if cuda else HostClock()
    device = torch.cuda.get_device_name() if cuda else f"{platform.machine()}, {torch.get_num_threads()} threads"
    error = strictness(torch, given.device)
    if error > 1e-5:
        sys.exit(f"strict f32 is off by {error:.1e}: this PyTorch rounds its operands")
    modes = [(f"{mode}{'/last' if last else ''}", mode, last) for mode in given.modes for last in (False, True)]
    print(f"PyTorch {torch.__version__} on {device}; strict f32 is off by {error:.1e}")
    if document:
        print(f"wgconv {document['version']} {document['commit']} on {document['device']}, {document['settings']['dtype']}")
        print("each mode: milliseconds, and its ratio to wgconv's (above 1, wgconv is faster)")
    width = max(len(shape["name"]) for shape in shapes)
    head = f"{'shape':<{width}} {'direction':<11}" + (f" {'wgconv':>9} {'by':<13}" if best else "")
    print("\n" + head + "".join(f" {name:>10}" + (f" {'ratio':>7}" if best else "") for name, _, _ in modes))
    rows, ratios = [], {name: [] for name, _, _ in modes}
    for shape in shapes:
        for direction in given.direction:
            times = timed(torch, clock, shape, direction, modes, given)
            ms, algorithm = best.get((shape["name"], direction), (None, None))
            line = f"{shape['name']:<{width}} {direction:<11}"
            if best:
                line += f" {ms:>9.4f} {algorithm:<13}" if ms else f" {'-':>9} {'':<13}"
            row = {"name": shape["name"], "set": shape.get("set", "file"), "direction": direction, "ms": {}, "ratio": {}}
            row |= {"reason": {}, "wgconv_ms": ms, "wgconv_algorithm": algorithm}
            for name, _, _ in modes:
                theirs = times.get(name)
                ratio = None
                if isinstance(theirs, float):
                    row["ms"][name] = theirs
                    ratio = theirs / ms if ms else None
                elif theirs:
                    row["reason"][name] = theirs
                if ratio:
                    row["ratio"][name] = ratio
                    ratios[name].append(ratio)
                line += f" {theirs:>10.4f}" if isinstance(theirs, float) else f" {'-':>10}"
                if best:
                    line += f" {ratio:>7.3f}" if ratio else f" {'-':>7}"
            print(line, flush=True)
            for name, reason in row["reason"].items():
                print(f"  {name}: {reason}")
            rows.append(row)
    means = {name: mean(values) for name, values in ratios.items() if values}
    if means:
        print()
    for name, value in means.items():
        print(f"{name}: geometric mean of {len(ratios[name])} ratios {value:.3f}")
    if given.json:
        head = {"what": "PyTorch beside wgconv bench", "torch": torch.__version__, "device": device}
        head |= {"cudnn": torch.backends.cudnn.version() if cuda else None, "strict_f32_error": error}
        head |= {"runs": given.runs, "warmups": given.warmups, "flush": given.flush, "graph": cuda and not given.no_graph}
        head |= {"wgconv": {k: v for k, v in document.items() if k != "rows"}, "geometric_means": means, "rows": rows}
        given.json.write_text(json.dumps(head, indent=1) + "\n")


if __name__ == "__main__":
    main()
