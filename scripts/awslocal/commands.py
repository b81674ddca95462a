"""Checks calls of the aws CLI against AWS's own descriptions of its services (botocore, which the CLI is made of).

Standard input has a call a line, its arguments separated by U+001F. Prints a line for each whose service, operation or
option does not exist, or that lacks a required option.
"""

import sys

import botocore.session
from botocore import xform_name

# Names that the CLI gives to services in place of botocore's, and the options that every command has.
services = {"deploy": "codedeploy"}
everywhere = {"query", "output", "region", "max-items", "page-size", "starting-token", "cli-binary-format"}
session = botocore.session.get_session()
loader = session.get_component("data_loader")


def faults(arguments):
    service, operation, rest = arguments[0], arguments[1], arguments[2:]
    options = {a[2:] for a in rest if a.startswith("--")}
    if (service, operation) == ("logs", "tail"):  # the CLI's own
        return sorted(options - {"since", "filter-pattern", "format", "follow"})
    name = services.get(service, service)
    if operation == "wait":
        waiters = {xform_name(w, "-") for w in loader.load_service_model(name, "waiters-2")["waiters"]}
        return [] if rest[0] in waiters else ["no waiter " + rest[0]]
    model = session.get_service_model(name)
    operations = {xform_name(n, "-"): n for n in model.operation_names}
    if operation not in operations:
        return ["no operation " + operation]
    shape = model.operation_model(operations[operation]).input_shape
    members = {xform_name(m, "-"): m for m in shape.members} if shape else {}
    given = {o[3:] if o.startswith("no-") else o for o in options}
    required = {xform_name(m, "-") for m in shape.required_members} if shape else set()
    return [f"no option --{o}" for o in sorted(given - set(members) - everywhere)] + [
        f"without --{o}" for o in sorted(required - given)
    ]


for line in sys.stdin:
    call = line.rstrip("\n").rstrip("\x1f").split("\x1f")
    for fault in faults(call):
        print("aws " + " ".join(call) + ": " + fault)
