"""How a job scales from 1 to 1,000 servers: a model whose constants are measured, beside runs of the real program.

    python3 benches/scaling.py [--measure] [--out FOLDER] [--constants FILE]

Prints the tables of docs/scaling.md: the constants with their sources, the model beside real runs with 1 to 16 servers, the plan and the time
of two jobs by number of servers, and control messages. `--measure` first measures the constants with the real program, and writes
benches/runs/<date>-<cpu>-scaling/{constants.json,README.md}; it requires nginx, root and iproute2. Without `--measure`, the newest constants
in benches/runs/ are used, and the standard library is enough. Requires `cargo build --release`.
"""

import argparse
import json
import sys
from pathlib import Path

import scaling_costs
import scaling_tables
import whole_job


def newest():
    found = sorted((whole_job.ROOT / "benches" / "runs").glob("*-scaling/constants.json"))
    if not found:
        sys.exit("benches/runs/ has no constants: run with --measure")
    return found[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true", help="measure the constants first")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each measured job (default 3)")
    parser.add_argument("--constants", type=Path, help="constants.json (default: the newest in benches/runs/)")
    parser.add_argument("--out", type=Path, help="folder of the measurement (default: benches/runs/…)")
    args = parser.parse_args()
    if not whole_job.ARRAYJOB.exists():
        sys.exit("run `cargo build --release` first")
    path = args.constants
    if args.measure:
        import scaling_measure

        out = args.out or whole_job.folder_of_today("-scaling")
        scaling_measure.write(out, args.repeat)
        path = out / "constants.json"
    path = (path or newest()).resolve()
    measured = json.loads(path.read_text())
    text = scaling_tables.report(measured, scaling_costs.cost_of(measured), path)
    print(text)
    if args.measure:
        (path.parent / "README.md").write_text(text)


if __name__ == "__main__":
    sys.exit(main())
