"""What Schemathesis can not know: ids of what is there, and that a call is for one's own tenant."""

import json
import os

import schemathesis

BODIES = json.loads(os.environ["TOCSIN_BODIES"])  # by the operation: members without which nothing gets far
SEEDS = json.loads(os.environ["TOCSIN_SEEDS"])  # by the part of the path that stands before the id
PATHS = json.loads(os.environ["TOCSIN_PATHS"])  # by the operation: parameters that no other operation has
# What scripts/schemathesis judges the run by.
CALLS = open(os.environ["TOCSIN_CALLS"], "a", encoding="utf-8")
# What is deleted for true, because a call of another operation makes it again, or it is there no more after the first.
MADE_AGAIN = ["DELETE /v1/tenants/{id}/linked/{tenant}"]
ERASURES = ["POST /v1/tenants/{id}/erasure", "POST /v1/tenants/{id}/people/erasure"]
count = 0


@schemathesis.hook
def before_call(context, case, kwargs):
    global count
    count += 1
    if case.query:
        case.query.pop("tenant", None)  # any but one's own is refused before the operation is reached
    if count % 2 and isinstance(case.body, dict):
        case.body.update(BODIES.get(case.operation.label, {}))
    if case.operation.label in MADE_AGAIN and count % 2:
        case.path_parameters.update({"id": SEEDS["tenants"], "tenant": SEEDS["linked"]})
        return
    if case.operation.label in ERASURES:  # of another tenant, always: with one's own goes the token
        case.path_parameters.update(PATHS[case.operation.label])
        return
    if "/people/erasure" in case.operation.label and count % 2:  # of whom was erased
        case.query = {**(case.query or {}), "person": "eve@example.com"}
        case.path_parameters.update(PATHS[case.operation.label])
        return
    if case.method == "DELETE" or count % 4 == 0:  # what is there stays, and what is not there is asked for
        for name, value in (case.path_parameters or {}).items():
            if value in SEEDS.values() and case.method == "DELETE":
                case.path_parameters[name] = "none"
        return
    own = PATHS.get(case.operation.label)
    if own:
        case.path_parameters.update(own)
        return
    before = case.path.split("{")[0].rstrip("/").rsplit("/", 1)[-1]
    for name in case.path_parameters or {}:
        known = SEEDS.get({"tenant": "linked"}.get(name, name)) or SEEDS.get(before)
        if known:
            case.path_parameters[name] = known


@schemathesis.hook
def after_call(context, case, response):
    CALLS.write(f"{response.status_code} {case.operation.label}\n")
    CALLS.flush()
