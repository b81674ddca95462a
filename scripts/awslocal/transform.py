"""Transforms the SAM template on standard input as CloudFormation does, and prints the result as JSON.

aws-sam-translator is the code behind the transform AWS::Serverless-2016-10-31: what it refuses can not be deployed.
Parameters without a default are given as NAME=VALUE arguments.
"""

import json
import sys

from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.public.exceptions import InvalidDocumentException
from samtranslator.translator.translator import Translator

# What `sam deploy` puts in the place of a local folder or file after it has uploaded it.
uploaded = {"CodeUri": "s3://bucket/key", "DefinitionUri": "s3://bucket/key"}

template = yaml_parse(sys.stdin.read())
for resource in template["Resources"].values():
    properties = resource.get("Properties", {})
    properties.update({name: place for name, place in uploaded.items() if name in properties})
parameters = {name: p["Default"] for name, p in template["Parameters"].items() if "Default" in p}
parameters.update(argument.split("=", 1) for argument in sys.argv[1:])
try:
    json.dump(Translator({}, Parser()).translate(template, parameters), sys.stdout)
except InvalidDocumentException as refused:
    sys.exit("\n".join(cause.message for cause in refused.causes))
