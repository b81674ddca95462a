"""Runs moto's server on a port of the loopback interface, with the users, roles and buckets of the JSON on standard input.

moto (PyPI) is an AWS that is not ours: it checks each signature with botocore, the caller's policy, the trust policy of a
role with its external ID, and the role's own policy. Its account is 123456789012, and it looks at trust policies of roles
of the caller's account alone.
"""

import json
import sys

from moto import settings
from moto.iam.models import iam_backends
from moto.s3.models import s3_backends
from moto.server import main

ACCOUNT = "123456789012"

lab = json.load(sys.stdin)
iam = iam_backends[ACCOUNT]["aws"]
for user in lab["Users"]:
    iam.create_user("us-east-1", user["ID"])
    iam.put_user_policy(user["ID"], "work", json.dumps(user["Policy"]))
    key = iam.create_access_key(user["ID"])
    key.access_key_id, key.secret_access_key = user["ID"], user["Secret"]
for role in lab["Roles"]:
    iam.create_role(
        role_name=role["Name"],
        assume_role_policy_document=json.dumps(role["Trust"]),
        path="/",
        permissions_boundary=None,
        description="",
        tags=[],
        max_session_duration="3600",
    )
    iam.put_role_policy(role["Name"], "work", json.dumps(role["Policy"]))
for bucket in lab["Buckets"]:
    s3_backends[ACCOUNT]["aws"].create_bucket(bucket["Name"], bucket["Region"])
settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
