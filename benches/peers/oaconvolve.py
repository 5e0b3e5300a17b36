#!/usr/bin/env python3
"""Times long convolutions with `wgconv run` on the CPU and with scipy.signal.oaconvolve, taking turns.

    cargo build --release -p wgconv-cli
    python3 benches/peers/oaconvolve.py --json benches/results/oaconvolve.json

wgconv's time is the `ms` that it reports: the convolution, without files and planning, with the transform of the kernel.
scipy's is that of the call, in this process. Both get the same float32 arrays and the same cores; the medians count, and
the ratio is scipy's over wgconv's: above 1, wgconv is faster. The results must agree.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy
import scipy
import scipy.signal

ROOT = Path(__file__).resolve().parent.parent.parent
# Name, input, kernel.
CASES = (
    ("10 minutes at 48 kHz, 2 seconds of impulse response", (600 * 48_000,), (2 * 48_000,)),
    ("4096 x 4096 image, 63 x 63 kernel", (4096, 4096), (63, 63)),
)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wgconv", type=Path, default=ROOT / "target" / "release" / "wgconv", help="the program")
    parser.add_argument("--runs", type=int, default=5, help="timed runs of each, of which the median counts")
    parser.add_argument("--json", type=Path, help="write every time to this file")
    given = parser.parse_args()
    if given.runs < 1:
        parser.error("--runs is at least 1")
    return given


def ours(program, folder):
    """One job by one process; its answer."""
    job = {
        "op": "signal.oaconvolve", "in1": "x.npy", "in2": "w.npy", "mode": "full", "output": "y.npy", "device": "cpu",
    }
    line = json.dumps(job)
    ran = subprocess.run([program, "run", "-"], input=line, capture_output=True, text=True, cwd=folder, check=False)
    answer = json.loads(ran.stdout)
    if not answer["ok"]:
        raise SystemExit(f"wgconv: {answer['error']['message']}")
    return answer


def theirs(x, w):
    start = time.perf_counter()
    y = scipy.signal.oaconvolve(x, w, mode="full")
    return y, (time.perf_counter() - start) * 1e3


def compare(program, name, shape, kernel, runs):
    random = numpy.random.default_rng(1)
    x, w = (random.standard_normal(extents, dtype=numpy.float32) for extents in (shape, kernel))
    with tempfile.TemporaryDirectory() as folder:
        numpy.save(Path(folder, "x.npy"), x)
        numpy.save(Path(folder, "w.npy"), w)
        times = {"wgconv": [], "scipy": []}
        # The first of each warms up.
        for turn in range(runs + 1):
            answer = ours(program, folder)
            expected, ms = theirs(x, w)
            if turn > 0:
                times["wgconv"].append(answer["ms"])
                times["scipy"].append(round(ms, 3))
        got = numpy.load(Path(folder, "y.npy"))
    error = float(numpy.linalg.norm((got - expected).ravel()) / numpy.linalg.norm(expected.ravel()))
    if not error < 1e-5:
        raise SystemExit(f"{name}: the results are {error:.1e} apart")
    median = {who: statistics.median(all_times) for who, all_times in times.items()}
    ratio = median["scipy"] / median["wgconv"]
    print(f"{name}: wgconv {median['wgconv']:.0f} ms ({answer['algorithm']}), scipy {median['scipy']:.0f} ms, ratio {ratio:.2f}")
    return {
        "case": name, "input": shape, "kernel": kernel, "algorithm": answer["algorithm"],
        "median_ms": median, "ratio": round(ratio, 3), "ms": times, "difference": error,
    }


def cpu():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main():
    given = arguments()
    program = given.wgconv.resolve()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=False)
    rows = [compare(program, name, shape, kernel, given.runs) for name, shape, kernel in CASES]
    document = {
        "cpu": cpu(), "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "commit": commit.stdout.strip(), "python": platform.python_version(),
        "numpy": numpy.__version__, "scipy": scipy.__version__,
        "wgconv": subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.strip(),
        "rows": rows,
    }
    if given.json:
        given.json.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
