"""What Schemathesis can not know: ids of what is there, and that a call is for one's own tenant."""

import json
import os

import schemathesis

SEEDS = json.loads(os.environ["TOCSIN_SEEDS"])  # by the part of the path that stands before the id
count = 0


@schemathesis.hook
def before_call(context, case, kwargs):
    global count
    count += 1
    if case.query:
        case.query.pop("tenant", None)  # any but one's own is refused before the operation is reached
    if case.method == "DELETE" or count % 4 == 0:
        return  # what is there stays, and what is not there is asked for
    before = case.path.split("{")[0].rstrip("/").rsplit("/", 1)[-1]
    for name in case.path_parameters or {}:
        known = SEEDS.get(name) or SEEDS.get(before)
        if known:
            case.path_parameters[name] = known
