"""Runs the programs beside this one in one process, since NumPy, SciPy and Zarr take seconds to import.

Each line of standard input is a question, {"program": "reference", "arguments": ["compare", ...]}; each line of standard
output answers one, {"code": 0, "printed": "..."}. It ends when its input does.
"""

import contextlib
import importlib
import io
import json
import sys
import traceback


def answer(program, arguments):
    printed = io.StringIO()
    sys.argv = [program, *arguments]
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            code = importlib.import_module(program).main() or 0
        except SystemExit as end:
            code = end.code or 0
            if isinstance(code, str):
                print(code)
                code = 1
        except Exception:
            traceback.print_exc()
            code = 1
    return {"code": code, "printed": printed.getvalue()}


for line in sys.stdin:
    question = json.loads(line)
    print(json.dumps(answer(question["program"], question["arguments"])), flush=True)
