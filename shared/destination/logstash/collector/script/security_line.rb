# frozen_string_literal: true

require "ipaddr"

# SecurityLine writes an envelope of the platform (a hash with summary, description and details) as one line for a
# SIEM: CEF 0.1 for ArcSight, LEEF 2.0 for IBM QRadar. It needs nothing but Ruby's own library, so that Fluentd and
# Logstash load the same file.
#
# Escapes. CEF, "ArcSight Common Event Format", "Character encoding": backslash and pipe in the header, backslash and
# equals in the extension, line breaks there as \n; strict parsers refuse any other escape. LEEF: backslash, pipe and
# equals; the delimiter and line breaks can not stand in a value and become spaces.
module SecurityLine
  VENDOR = "Tocsin"
  PRODUCT = "Tocsin"
  VERSION = "1.0"

  # LIMIT is of a line in bytes. QRadar's default for TCP payloads is 4,096, the syslog header included.
  LIMIT = 3900
  MARK = "…"

  # Custom strings of CEF: their labels and the members of an event that they carry.
  LABELS = { "cs1" => "client", "cs2" => "cloud", "cs3" => "parameter", "cs4" => "payload", "cs5" => "country", "cs6" => "link", "cn1" => "responseStatus" }.freeze

  module_function

  # cef writes a line of ArcSight's format. now is the time of receipt, for events that do not tell their own.
  def cef(record, now, limit: LIMIT)
    e = event(record, now)
    header = ["CEF:0", VENDOR, PRODUCT, VERSION, e[:kind], e[:name]].map { |v| v.gsub(/[\\|]/) { |c| "\\#{c}" } }
    head = (header << e[:severity].to_s).join("|") + "|"
    pairs = [["rt", e[:time]], ["cat", e[:category]]] + cef_source(e[:source]) + [
      ["spt", e[:port]], ["dhost", e[:host]], ["request", e[:path]], ["requestMethod", e[:method]], ["act", e[:action]],
      ["externalId", e[:id]], ["duser", e[:user]], ["suser", e[:by]], ["reason", e[:reason]]
    ] + LABELS.flat_map { |key, name| e[name.to_sym].empty? ? [] : [["#{key}Label", name], [key, e[name.to_sym]]] } + [["msg", e[:message]]]
    fit(head, pairs, " ", limit) { |v| v.gsub(/[\\=]/) { |c| "\\#{c}" }.gsub(/\r\n|\r|\n/) { "\\n" } }
  end

  # leef writes a line of QRadar's format, its attributes apart by tabs.
  def leef(record, now, limit: LIMIT)
    e = event(record, now)
    head = ["LEEF:2.0", VENDOR, PRODUCT, VERSION, e[:kind], "x09"].map { |v| v.gsub(/[\\|]/) { |c| "\\#{c}" } }.join("|") + "|"
    pairs = [["devTime", e[:time]], ["cat", e[:category]], ["sev", e[:severity].to_s], ["src", e[:source]], ["srcPort", e[:port]],
             ["usrName", e[:user]], ["url", e[:path]], ["name", e[:name]], ["host", e[:host]], ["method", e[:method]], ["action", e[:action]],
             ["parameter", e[:parameter]], ["payload", e[:payload]], ["country", e[:country]], ["responseStatus", e[:responseStatus]],
             ["id", e[:id]], ["by", e[:by]], ["reason", e[:reason]], ["client", e[:client]], ["cloud", e[:cloud]], ["link", e[:link]], ["msg", e[:message]]]
    fit(head, pairs, "\t", limit) { |v| v.gsub(/[\r\n]+/, " ").gsub(/[\\|=]/) { |c| "\\#{c}" } }
  end

  # event reads what a SIEM asks for, every value a text, "" where the envelope has none.
  def event(record, now)
    record = {} unless record.is_a?(Hash)
    details = hash(record["details"])
    subject = %w[hit vuln security_issue].map { |k| hash(details[k]) }.find { |h| !h.empty? } || {}
    summary = text(record["summary"])
    e = {
      kind: text(details["notification_type"], "event"), name: name(summary), severity: severity(details),
      time: time(subject, now), category: text(subject["type"], text(details["notification_type"], "event")),
      source: address(subject["remote_addr4"], subject["remote_addr6"], details["ip"]), port: text(subject["remote_port"]),
      host: text(subject["host"], text(subject["domain"])), path: text(subject["path"]), method: text(subject["method"]),
      action: text(subject["block_status"]), parameter: text(subject["parameter"]), payload: list(subject["payloads"]),
      country: text(subject["remote_country"]), responseStatus: text(subject["response_status"]), id: list(subject["id"]),
      user: person(details["user"]), by: person(details["by"]), reason: text(details["reason"]),
      client: text(details["client_name"]), cloud: text(details["cloud"]), link: link(details),
      message: text(record["description"], summary)
    }
    e[:name] = e[:kind] if e[:name].empty?
    e
  end

  SEVERITIES = { "Critical" => 10, "High" => 8, "Medium" => 5, "Low" => 3, "Info" => 1 }.freeze
  KINDS = {
    "new_hits" => 5, "integration_broken" => 8, "integration_failing" => 8, "command_not_taken" => 8, "api_spec_update_failed" => 5, "disable_integration" => 3, "delete_integration" => 3, "new_scope_object_ips" => 3,
    "new_scope_object_domains" => 3, "new_scope_object_services" => 3, "attacks_exceeded" => 8, "incidents_exceeded" => 8,
    "ip_blocked" => 5, "api_structure_changed" => 3, "api_comparison_result" => 3, "compromised_logins" => 8
  }.freeze

  # severity is 1 to 10, which both formats take; that of a finding is its risk.
  def severity(details)
    risk = text(hash(details["vuln"])["threat"], text(hash(details["security_issue"])["risk"]))
    SEVERITIES[risk] || KINDS[text(details["notification_type"])] || 1
  end

  # name is the headline: the summary without what stands in brackets before it. A test keeps saying so.
  def name(summary)
    headline = cut(summary.sub(/\A(\[[^\]]*\]\s*)+/, "").gsub(/\s+/, " "), 200)
    summary.start_with?("[Test message]") ? "Test: #{headline}" : headline
  end

  def time(subject, now)
    at = subject["request_time"]
    at.is_a?(Integer) && at.positive? ? (at * 1000).to_s : (now.to_f * 1000).to_i.to_s
  end

  # address is the first that is one: an empty or torn one would make a strict receiver drop the line.
  def address(*given)
    given.map { |a| text(a) }.find { |a| IPAddr.new(a) unless a.empty? || a.include?("/") rescue false } || ""
  end

  def cef_source(source)
    return [] if source.empty?
    return [["src", source]] unless source.include?(":")

    [["c6a2Label", "Source IPv6 Address"], ["c6a2", source]]
  end

  def link(details)
    details.each { |k, v| return text(v) if k.end_with?("_link") }
    ""
  end

  def person(value)
    h = hash(value)
    text(h["email"], text(h["name"]))
  end

  def hash(value)
    value.is_a?(Hash) ? value : {}
  end

  def list(value)
    value.is_a?(Array) ? value.map { |v| text(v) }.reject(&:empty?).join(", ") : text(value)
  end

  # text is a value without control characters, which no format carries.
  def text(value, otherwise = "")
    return otherwise if value.nil? || value.is_a?(Hash) || value.is_a?(Array)

    s = value.to_s.dup.force_encoding(Encoding::UTF_8).scrub("\uFFFD").gsub(/[\u0000-\u0009\u000B\u000C\u000E-\u001F\u007F\u0085\u2028\u2029]/, " ").strip
    s.empty? ? otherwise : s
  end

  # fit joins what has a value, and cuts the longest values, all to the same length, until the line keeps to its limit.
  def fit(head, pairs, delimiter, limit)
    pairs = pairs.reject { |_, v| v.empty? }
    most = limit
    loop do
      line = head + pairs.map { |k, v| "#{k}=#{yield cut(v, most)}" }.join(delimiter)
      return line if line.bytesize <= limit || most <= 8

      most /= 2
    end
  end

  def cut(value, most)
    value.length <= most ? value : value[0, most - 1].rstrip + MARK
  end
end
