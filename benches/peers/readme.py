#!/usr/bin/env python3
"""Times six convolutions with wgconv's CPU path, ONNX Runtime and PyTorch, taking turns, and makes the README's table.

    cargo build --release -p wgconv-cli
    python3 benches/peers/readme.py --json benches/results/readme.json --readme README.md

It needs `numpy`, `onnx`, `onnxruntime` and `torch`. Run it on an idle machine: it takes some minutes.

All compute the same forward convolutions in f32, one image each, with the same number of threads. In every round each has
one turn: calls that warm up, then as many timed ones as the others have. A turn of wgconv is one process, `wgconv bench`,
which tells the median and the least time of its calls, so these two are what is kept of the others, too. The table has the
medians of the rounds' medians. A ratio is the time of the faster of the two others over wgconv's: above 1, wgconv is faster.

Inside the time: one call, from operands in memory to the result in memory. Outside: planning, loading, and what a library
does once with its weights. In detail:

wgconv        Weights are prepared (for `fft`: transformed). Input and result are rows of channels (NCHW); the result is a
              new array. Which algorithm runs is the plan's choice under `precision: fast`.
ONNX Runtime  One node `Conv`, its weights an initializer, which is packed when the model is loaded. Input and result are
              bound, so nothing is copied and the result is no new array. Tried: `all` optimizations, which block channels
              (the blocking of input and result is inside the time), and `extended` ones, which do not.
PyTorch       `conv1d` or `conv2d` without gradients. Tried: oneDNN and PyTorch's own kernels, contiguous and channels last
              (operands are in that format before), and oneDNN with packed weights, as compiled models have them; otherwise
              weights are packed in every call. The result is a new tensor.

Of what is tried, what takes at most 1.3 times as long as the library's fastest gets turns; the least of their medians
counts.

The last shape is there for `fft`. The libraries' convolutions sum it tap by tap; programs of their Fourier transforms are
not timed.

Before a time is believed, every way's result is compared with wgconv's, and must be within 1e-5 of the largest; and
`wgconv bench` compares its own with sums in f64.

Threads of the two libraries wait for work as they do by default: they spin for a while, then sleep. To turn that off would
slow them down. Instead there is a pause before every turn, and the processor time that they take during wgconv's turns is
measured: `peers_awake` is the largest share of one core.
"""

import argparse
import datetime
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BEGIN, END = "<!-- measured: filled in by benches/peers/readme.py -->", "<!-- end -->"
DATA = ROOT / "testing" / "data" / "bench_shapes.json"
# What the README calls them, and their names in that file.
SHAPES = (
    ("first layer of ResNet-50: 7 x 7, stride 2, 3 to 64 channels, 224 x 224", "resnet50_v15_n1_conv1"),
    ("ResNet-50: 3 x 3, 64 to 64 channels, 56 x 56", "resnet50_v15_n1_s1_3x3_64"),
    ("ResNet-50: 3 x 3, 256 to 256 channels, 14 x 14", "resnet50_v15_n1_s3_3x3_256"),
    ("ResNet-50: 1 x 1, 256 to 64 channels, 56 x 56", "resnet50_v15_n1_s1_1x1_256_64"),
    ("MobileNetV2: 3 x 3 depthwise, 144 channels, 56 x 56", "mobilenet_v2_dw_n1_144x56_s1"),
    ("long filters: 1024 taps, depthwise, 768 channels, signals of 1024", "longconv_c768_L1024_k1024"),
)
WGCONV, ORT, TORCH = "wgconv", "ONNX Runtime", "PyTorch"
WARMUPS = 3  # of a turn, as `wgconv bench` has
SLOW = 0.1  # seconds of a call from which on one of them warms up the others
TURN = 0.2  # seconds that the timed calls of the slowest take in a turn, about
FEWEST, MOST, TRIED = 2, 30, 5  # timed calls of a turn, and of what is tried
NEAR = 1.3  # times the fastest of the ways of a library
PAUSE = 0.2  # seconds before a turn
AGREE = 1e-5  # largest difference, relative to the largest result


def cores():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wgconv", type=Path, default=ROOT / "target" / "release" / "wgconv", help="the program")
    parser.add_argument("--threads", type=int, default=cores(), help="of each (default: all cores)")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each; the median counts")
    parser.add_argument("--json", type=Path, help="write every turn to this file")
    parser.add_argument("--readme", type=Path, help="put the table into this file, after the line that is for it")
    given = parser.parse_args()
    if given.rounds < 1 or given.threads < 1:
        parser.error("--rounds and --threads are at least 1")
    if not given.wgconv.is_file():
        parser.error(f"there is no {given.wgconv}: build it, or name it by --wgconv")
    if given.readme and BEGIN not in given.readme.read_text().splitlines():
        parser.error(f"{given.readme} lacks the line {BEGIN}")
    return given


class Wgconv:
    """The program, on one shape."""

    def __init__(self, program, threads, shape, folder):
        self.program, self.folder = program.resolve(), folder
        self.environment = os.environ | {"RAYON_NUM_THREADS": str(threads)}
        Path(folder, "shape.json").write_text(json.dumps([shape]))

    def _run(self, *words, **more):
        command = [self.program, *words]
        how = {"env": self.environment, "cwd": self.folder, "capture_output": True, "text": True, "check": False}
        return subprocess.run(command, **how, **more)

    def result(self, numpy, shape, x, w):
        """The result for these operands, and the algorithm that made it."""
        numpy.save(Path(self.folder, "x.npy"), x)
        numpy.save(Path(self.folder, "w.npy"), w)
        job = {
            "op": "conv", "input": "x.npy", "weight": "w.npy", "output": "y.npy", "device": "cpu",
            "stride": shape["stride"], "padding": shape["pad"], "dilation": shape["dilation"], "groups": shape["groups"],
            "precision": "fast",
        }
        ran = self._run("run", "-", input=json.dumps(job))
        answer = json.loads(ran.stdout or "null")
        if not answer or not answer["ok"]:
            sys.exit(f"wgconv: {answer['error']['message'] if answer else ran.stderr}")
        return numpy.load(Path(self.folder, "y.npy")), answer["algorithm"]

    def turn(self, runs, algorithm):
        """The row of `wgconv bench`, on made-up operands of its own, which it compares with sums in f64."""
        ran = self._run("bench", "--device", "cpu", "--set", "shape.json", "--algorithm", algorithm,
                        "--runs", str(runs), "--json", "row.json")
        if ran.returncode != 0:
            sys.exit(f"wgconv bench: {ran.stdout}{ran.stderr}")
        document = json.loads(Path(self.folder, "row.json").read_text())
        return document["threads"], document["rows"][0]


def onnx_runtime(shape, x, w, threads):
    """By name: what computes once, and what gives the result of that."""
    import onnx
    import onnxruntime

    node = onnx.helper.make_node(
        "Conv", ["x", "w"], ["y"], strides=shape["stride"], pads=shape["pad"] * 2, dilations=shape["dilation"],
        group=shape["groups"],
    )
    extents = [shape["N"], shape["K"], *shape["out"]]
    real = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node], "conv", [onnx.helper.make_tensor_value_info("x", real, x.shape)],
        [onnx.helper.make_tensor_value_info("y", real, extents)], [onnx.numpy_helper.from_array(w, "w")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    levels = onnxruntime.GraphOptimizationLevel

    def way(level):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.graph_optimization_level = level
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        binding = session.io_binding()
        source = onnxruntime.OrtValue.ortvalue_from_numpy(x)
        result = onnxruntime.OrtValue.ortvalue_from_shape_and_type(extents, x.dtype)
        binding.bind_ortvalue_input("x", source)
        binding.bind_ortvalue_output("y", result)
        # What is bound lives as long as these do.
        return lambda kept=(source,): session.run_with_iobinding(binding), lambda _: result.numpy()

    return {"all": way(levels.ORT_ENABLE_ALL), "extended": way(levels.ORT_ENABLE_EXTENDED)}


def pytorch(shape, x, w, threads):
    """By name: what computes once, and what gives the result of that."""
    import torch

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    call = {1: torch.nn.functional.conv1d, 2: torch.nn.functional.conv2d}[len(shape["kernel"])]
    how = shape["stride"], shape["pad"], shape["dilation"]
    ways = {}
    formats = {"contiguous": torch.contiguous_format}
    if len(shape["kernel"]) == 2:
        formats["channels last"] = torch.channels_last
    for name, layout in formats.items():
        a, b = (torch.from_numpy(array).contiguous(memory_format=layout) for array in (x, w))
        for onednn in (True, False):

            def compute(a=a, b=b, onednn=onednn):
                # The switch of `torch.backends.mkldnn.flags`, without what a context manager costs.
                torch._C._set_mkldnn_enabled(onednn)
                return call(a, b, None, *how, shape["groups"])

            ways[f"{name}, {'oneDNN' if onednn else 'native'}"] = compute, lambda y: y.numpy()
        try:
            torch._C._set_mkldnn_enabled(True)
            pad, stride, dilation = shape["pad"], shape["stride"], shape["dilation"]
            packed = torch._C._nn.mkldnn_reorder_conv2d_weight(
                b.to_mkldnn(), pad, stride, dilation, shape["groups"], list(a.shape)
            )

            def compute(a=a, packed=packed):
                return torch.ops.mkldnn._convolution_pointwise(
                    a, packed, None, pad, stride, dilation, shape["groups"], "none", [], ""
                )

            compute()
            ways[f"{name}, oneDNN, packed"] = compute, lambda y: y.numpy()
        except (AttributeError, RuntimeError):
            pass  # a build without oneDNN, or no kernel for it
    return ways


def timed(compute):
    begin = time.perf_counter()
    compute()
    return time.perf_counter() - begin


def turn(compute, runs):
    """Median and least seconds of a call."""
    time.sleep(PAUSE)
    first = timed(compute)
    for _ in range(0 if first > SLOW else WARMUPS - 1):
        compute()
    times = [timed(compute) for _ in range(runs)]
    return statistics.median(times), min(times)


def compare(numpy, given, title, shape, folder):
    """One row of the document."""
    random = numpy.random.default_rng(1)
    spatial = [shape[axis] for axis in ("D", "H", "W") if axis in shape]
    x = random.uniform(-1, 1, [shape["N"], shape["C"], *spatial]).astype(numpy.float32)
    w = random.uniform(-1, 1, [shape["K"], shape["C"] // shape["groups"], *shape["kernel"]]).astype(numpy.float32)
    ours = Wgconv(given.wgconv, given.threads, shape, folder)
    expected, algorithm = ours.result(numpy, shape, x, w)
    scale, apart = float(abs(expected).max()), {}

    # Every way is right before it is timed, and what is slow has no turns.
    ways, trial = {}, {}
    for library, made in ((ORT, onnx_runtime), (TORCH, pytorch)):
        for name, (compute, result) in made(shape, x, w, given.threads).items():
            begin = time.perf_counter()
            found = result(compute())
            slow = time.perf_counter() - begin > SLOW
            difference = float(abs(found - expected).max()) / scale
            if not difference < AGREE:
                sys.exit(f"{title}: {library} ({name}) and wgconv are {difference:.1e} apart")
            apart[library, name] = difference
            ways[library, name] = compute
            trial[library, name] = turn(compute, 1 if slow else TRIED)[1]
    best = {library: min(t for (whose, _), t in trial.items() if whose == library) for library in (ORT, TORCH)}
    ways = {way: compute for way, compute in ways.items() if trial[way] <= NEAR * best[way[0]]}
    slowest = max(max(trial[way] for way in ways), ours.turn(1, algorithm)[1]["wall_ms"] / 1e3)
    runs = max(FEWEST, min(MOST, round(TURN / slowest)))

    turns, awake = {way: [] for way in ((WGCONV, algorithm), *ways)}, 0.0
    for number in range(given.rounds):
        # Another one begins each round.
        order = list(turns)
        for way in order[number % len(order):] + order[:number % len(order)]:
            if way[0] != WGCONV:
                turns[way].append(tuple(seconds * 1e3 for seconds in turn(ways[way], runs)))
                continue
            time.sleep(PAUSE)
            begin = time.perf_counter(), time.process_time()
            threads, row = ours.turn(runs, algorithm)
            awake = max(awake, (time.process_time() - begin[1]) / (time.perf_counter() - begin[0]))
            if (row["status"], row["algorithm"], row["runs"], threads) != ("ok", algorithm, runs, given.threads):
                sys.exit(f"{title}: wgconv bench ran something else: {row}")
            turns[way].append((row["wall_ms"], row["wall_ms_min"]))
    rows = {}
    for (library, name), times in turns.items():
        medians, least = zip(*times)
        entry = {
            "library": library, "way": name, "median_ms": round(statistics.median(medians), 4),
            "min_ms": round(min(least), 4), "medians_ms": [round(ms, 4) for ms in medians],
            "mins_ms": [round(ms, 4) for ms in least],
        }
        if library != WGCONV:
            entry["difference"] = float(f"{apart[library, name]:.2g}")
        rows.setdefault(library, []).append(entry)
    median = {library: min(entry["median_ms"] for entry in entries) for library, entries in rows.items()}
    least = {library: min(entry["min_ms"] for entry in entries) for library, entries in rows.items()}
    tried = {library: {} for library in (ORT, TORCH)}
    for (library, name), seconds in trial.items():
        tried[library][name] = round(seconds * 1e3, 4)
    return {
        "case": title, "name": shape["name"], "gflop": shape["gflop"], "algorithm": algorithm, "median_ms": median,
        "min_ms": least, "ratio": ratio(median), "ratio_of_minima": ratio(least), "runs": runs,
        "peers_awake": round(awake, 4), "tried_ms": tried,
        "turns": [entry for entries in rows.values() for entry in entries],
    }


def ratio(ms):
    return round(min(ms[ORT], ms[TORCH]) / ms[WGCONV], 3)


def cpu():
    """Name, and the widest vectors that it has."""
    name, flags = platform.processor() or platform.machine(), set()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            elif key.strip() == "flags":
                flags = set(value.split())
    except OSError:
        pass
    widest = (("avx512f", "AVX-512"), ("avx2", "AVX2"), ("avx", "AVX"), ("sse2", "SSE2"))
    return name, next((word for flag, word in widest if flag in flags), None)


def said(*command):
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    return ran.stdout.strip()


def digits(ms):
    """Three of them, or what is before the point."""
    return f"{ms:.{max(0, 2 - math.floor(math.log10(ms)))}f}"


def table(document):
    """The README's lines."""
    lines = [
        "| f32, forward, one image | wgconv, ms | ONNX Runtime, ms | PyTorch, ms | the faster of the two ÷ wgconv (above 1: wgconv is faster) |",
        "|---|---|---|---|---|",
    ]
    for row in document["rows"]:
        times = " | ".join(digits(row["median_ms"][library]) for library in (WGCONV, ORT, TORCH))
        lines.append(f"| {row['case']} (`{row['algorithm']}`) | {times} | {row['ratio']:.2f} |")
    vectors = f" ({document['vectors']})" if document["vectors"] else ""
    versions = document["versions"]
    threads = f"{document['threads']} thread{'s' * (document['threads'] > 1)}"
    # The README has limits: of its lines, and of 600 characters for a paragraph.
    lines += [
        "",
        f"Medians on {document['cpu']}{vectors}, {threads} each, calls taking turns: {versions['wgconv']} at "
        f"{document['commit'][:12]}, ONNX Runtime {versions['onnxruntime']}, PyTorch {versions['torch']}, "
        f"{document['date']}. Weights are prepared or packed before; of several ways to call a library the fastest counts. "
        "The last row was chosen for `fft`; the other two sum tap by tap there. Made by "
        "`python3 benches/peers/readme.py --json benches/results/readme.json --readme README.md`.",
    ]
    return lines


def insert(path, lines):
    """Between the two marks; the second one is made where it is missing."""
    old = path.read_text().splitlines()
    begin = old.index(BEGIN)
    rest = old[begin + 1:]
    # What ends before the next section is ours.
    section = next((i for i, line in enumerate(rest) if line.startswith("#")), len(rest))
    after = rest[rest.index(END) + 1:] if END in rest[:section] else rest
    path.write_text("\n".join([*old[:begin + 1], *lines, END, *after]) + "\n")


def written(document):
    """A row a line."""
    head = json.dumps({key: value for key, value in document.items() if key != "rows"}, indent=1)
    rows = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in document["rows"])
    return f'{head[:-2]},\n "rows": [\n{rows}\n ]\n}}\n'


def main():
    given = arguments()
    import numpy
    import onnxruntime
    import torch

    known = {shape["name"]: shape for shape in json.loads(DATA.read_text())["shapes"]}
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    if load and load > 0.3:
        print(f"the load average is {load:.1f}: is the machine idle?", file=sys.stderr)
    if given.wgconv.stat().st_mtime < float(said("git", "log", "-1", "--format=%ct") or 0):
        print(f"{given.wgconv} is older than the commit: build it again", file=sys.stderr)
    name, vectors = cpu()
    document = {
        "what": "benches/peers/readme.py", "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "commit": said("git", "rev-parse", "HEAD"), "cpu": name, "vectors": vectors, "cores": cores(),
        "threads": given.threads, "load_before": load,
        "versions": {
            "wgconv": said(given.wgconv.resolve(), "--version"), "onnxruntime": onnxruntime.__version__,
            "torch": torch.__version__, "numpy": numpy.__version__, "python": platform.python_version(),
        },
        "rounds": given.rounds, "rows": [],
    }
    for title, shape in SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            row = compare(numpy, given, title, known[shape], folder)
        document["rows"].append(row)
        print(f"{title}: ratio {row['ratio']:.2f}, of minima {row['ratio_of_minima']:.2f}", file=sys.stderr)
        for entry in row["turns"]:
            spread = max(entry["medians_ms"]) / min(entry["medians_ms"])
            note = ", restless" if spread > 1.2 else ""
            print(
                f"  {entry['library']:12} {entry['way']:32} {entry['median_ms']:10.3f} ms, least {entry['min_ms']:.3f}, "
                f"rounds within {spread:.2f}{note}", file=sys.stderr,
            )
        if row["peers_awake"] > 0.05:
            print(f"  the others took {row['peers_awake']:.2f} of a core in wgconv's turns", file=sys.stderr)
    lines = table(document)
    print("\n".join(lines))
    if given.json:
        given.json.write_text(written(document))
    if given.readme:
        insert(given.readme, lines)


if __name__ == "__main__":
    main()
