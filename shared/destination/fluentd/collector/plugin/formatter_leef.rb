# frozen_string_literal: true

require "fluent/plugin/formatter"
require_relative "security_line"

module Fluent
  module Plugin
    # `<format> @type leef </format>`: a line of QRadar's format for each record.
    class LEEFFormatter < Formatter
      Fluent::Plugin.register_formatter("leef", self)

      desc "The most bytes of a line; longer values are cut."
      config_param :limit, :integer, default: SecurityLine::LIMIT

      def format(_tag, time, record)
        SecurityLine.leef(record, time.to_f, limit: @limit) + "\n"
      end
    end
  end
end
