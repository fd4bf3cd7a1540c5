"""The phases of ArrayJob beside their kernels alone, which the example `phases` of the crate `benches` measures on the same frames."""

import json
import os
import statistics
import subprocess
from pathlib import Path

PROGRAM = Path(__file__).resolve().parent.parent / "target" / "release" / "examples" / "phases"
TURNS = 3
# The phases whose kernels are measured. Recenter is a part of the pass of Load, and Rechunk waits for it.
PHASES = ("Load", "Fft")


def alone(folder, args):
    """Seconds of the kernels of each phase on all processors, the shortest of some turns; None if the program was not built."""
    if not PROGRAM.exists():
        return None
    command = [PROGRAM, folder, args.frames, args.size, args.crop, len(os.sched_getaffinity(0))]
    turns = [json.loads(subprocess.run(map(str, command), check=True, capture_output=True).stdout) for _ in range(TURNS)]
    return {phase: min(turn[phase] for turn in turns) for phase in PHASES}


def of_runs(runs):
    """Median seconds of each phase of whole runs."""
    seconds = [{phase["name"]: phase["seconds"] for phase in run["summary"]["phases"]} for run in runs]
    return {phase: statistics.median(run[phase] for run in seconds) for phase in PHASES}


def figure(phases, kernels):
    """The greatest ratio of a phase to its kernels."""
    return max(phases[phase] / kernels[phase] for phase in PHASES)


def table(phases, kernels):
    rows = ["| phase | in the job, s | its kernels alone, s | ratio |", "| --- | --- | --- | --- |"]
    for phase in PHASES:
        rows.append(f"| {phase} | {phases[phase]:.2f} | {kernels[phase]:.2f} | {phases[phase] / kernels[phase]:.2f} |")
    return "\n".join(rows)
