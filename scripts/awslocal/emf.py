"""Checks lines of the embedded metric format on standard input against the JSON schema of AWS's own library for Python.

Prints what is wrong with a line. The schema is the file metrics/schema.json of aws-lambda-powertools 1.5.0 (later versions
have none).
"""

import importlib.util
import json
import pathlib
import sys

import jsonschema

library = pathlib.Path(importlib.util.find_spec("aws_lambda_powertools").origin).parent
schema = json.loads((library / "metrics" / "schema.json").read_text())
validator = jsonschema.validators.validator_for(schema)(schema)
for line in sys.stdin:
    document = json.loads(line)
    for fault in validator.iter_errors(document):
        print(f"{line.rstrip()}: {fault.message}")
    # What the specification says in words: every metric and dimension has its member in the root.
    for directive in document["_aws"]["CloudWatchMetrics"]:
        names = {m["Name"] for m in directive["Metrics"]} | {d for s in directive["Dimensions"] for d in s}
        for name in sorted(names - set(document)):
            print(f"{line.rstrip()}: {name} has no value")
