"""Judges event patterns with moto's matcher, which is not ours.

Reads {"patterns": {name: pattern}, "events": [event]} on standard input, and prints for each event the names of the patterns
that it matches.
"""

import json
import sys

from moto.events.models import EventPattern

asked = json.load(sys.stdin)
patterns = {name: EventPattern.load(json.dumps(pattern)) for name, pattern in asked["patterns"].items()}
json.dump([[name for name, p in patterns.items() if p.matches_event(event)] for event in asked["events"]], sys.stdout)
