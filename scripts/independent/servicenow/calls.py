"""Makes calls of ServiceNow's Table API with ServiceNow's own library (PySNC), as servicenow_test.go asks for them on
standard input. That library takes any field: another one (aiosnow) knows the columns of an incident."""

import json
import sys

from aiosnow.models.table.declared.incident import IncidentModelSchema
from pysnc import ServiceNowClient, ServiceNowPasswordGrantFlow

ask = json.load(sys.stdin)
client = ServiceNowClient(
    ask["instance"],
    ServiceNowPasswordGrantFlow(ask["username"], ask["password"], ask["client_id"], ask["client_secret"]),
    verify=ask["certificate"],
    auto_retry=False,
)
for call in ask["calls"]:
    record = client.GlideRecord(call["table"], batch_size=call.get("limit", 100))
    if call["do"] == "query":
        for field, value in call["where"]:
            record.add_query(field, value)
        if call["active"]:
            record.add_active_query()
        if call["descending"]:
            record.order_by_desc(call["order"])
        else:
            record.order_by(call["order"])
        record.limit, record.fields = call["limit"], call["fields"]
        record.query()
        continue
    if call["do"] == "update":
        assert record.get(call["id"])
    else:
        record.initialize()
    for field, value in call["set"].items():
        assert field in vars(IncidentModelSchema), f"an incident has no column {field}"
        record.set_value(field, value)
    done = record.update() if call["do"] == "update" else record.insert()
    assert done, call
