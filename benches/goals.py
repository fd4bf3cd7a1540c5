"""Goals of the benches: a table with goal, figure, ratio and verdict, and the exit code.

benches/goals.json has the goals. `met` states whether a committed run has met the goal: such a goal must not be missed by more than
a fifth later. Figures are at most the goal; with `least`, at least.
"""

import json
import sys
from pathlib import Path

GOALS = json.loads((Path(__file__).resolve().parent / "goals.json").read_text())
TOLERANCE = 1.2


def missed_by(goal, figure):
    """The factor by which a figure misses its goal; at most 1 if the goal is met."""
    return goal["goal"] / figure if goal.get("least") else figure / goal["goal"]


def verdict(goal, figure):
    factor = missed_by(goal, figure)
    if factor <= 1:
        return "met"
    return "lost" if goal["met"] and factor > TOLERANCE else "missed"


def table(figures):
    """A Markdown table of {name of the goal: figure}."""
    lines = ["| work | goal | figure | figure / goal | verdict |", "| --- | --- | --- | --- | --- |"]
    for name, figure in figures.items():
        goal = GOALS[name]
        sign = "≥" if goal.get("least") else "≤"
        ratio, text = figure / goal["goal"], verdict(goal, figure)
        lines.append(f"| {goal['work']} | {sign} {goal['goal']} {goal['unit']} | {figure:.3g} | {ratio:.2f} | {text} |")
    return "\n".join(lines)


def lost(figures):
    """The names of the goals that were met once and are missed by more than a fifth."""
    return [name for name, figure in figures.items() if verdict(GOALS[name], figure) == "lost"]


def publish(text, figures, out):
    """Prints a report, and writes it to the folder `out` unless that is None. Returns the exit code."""
    print(text)
    if out is None:
        return 0
    out.mkdir(parents=True, exist_ok=True)
    (out / "README.md").write_text(text)
    print(f"written to {out}", file=sys.stderr)
    names = lost(figures)
    if names:
        print("goals that were met are missed by more than a fifth: " + ", ".join(names), file=sys.stderr)
    return 1 if names else 0
