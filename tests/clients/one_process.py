"""Runs the other programs of this folder in one process, because the imports of NumPy, SciPy and Zarr take seconds.

Each line of standard input is a request, {"program": "reference", "arguments": ["compare", ...]}. Each line of standard output is
the response, {"code": 0, "printed": "..."}. The process ends at the end of its input.
"""

import contextlib
import importlib
import io
import json
import sys
import traceback


def respond(program, arguments):
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
    request = json.loads(line)
    print(json.dumps(respond(request["program"], request["arguments"])), flush=True)
