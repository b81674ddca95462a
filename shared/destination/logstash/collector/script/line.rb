# frozen_string_literal: true

# A script of Logstash's ruby filter: writes the event's line for a SIEM into [@metadata][line].
# script_params: format is cef or leef, library is the path of security_line.rb.

def register(params)
  require params.fetch("library")
  @format = params.fetch("format")
  raise ArgumentError, "format is #{@format}: it must be cef or leef" unless %w[cef leef].include?(@format)
end

def filter(event)
  record = { "summary" => event.get("summary"), "description" => event.get("description"), "details" => event.get("details") }
  event.set("[@metadata][line]", SecurityLine.public_send(@format, record, event.timestamp.time.to_f))
  [event]
end
