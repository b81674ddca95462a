# frozen_string_literal: true

require "fluent/plugin/formatter"
require_relative "security_line"

module Fluent
  module Plugin
    # `<format> @type cef </format>`: a line of ArcSight's format for each record.
    class CEFFormatter < Formatter
      Fluent::Plugin.register_formatter("cef", self)

      desc "The most bytes of a line; longer values are cut."
      config_param :limit, :integer, default: SecurityLine::LIMIT

      def format(_tag, time, record)
        SecurityLine.cef(record, time.to_f, limit: @limit) + "\n"
      end
    end
  end
end
