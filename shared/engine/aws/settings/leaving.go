package settings

import (
	"strings"

	"tocsin/shared/engine/aws/table"
)

// OwnerOf is the tenant of a row of the tables of integrations and triggers, "" of none: the counters of numbers.
func OwnerOf(row table.Item) (string, error) {
	first, id := table.TextOf(row, "tenant"), table.TextOf(row, "id")
	named, _, _ := strings.Cut(id, " ")
	switch {
	case !strings.HasPrefix(first, " "): // no tenant does
		return first, nil
	case first == failingRows, strings.HasPrefix(first, " bound "):
		return named, nil
	case strings.HasPrefix(first, waitingCommands):
		return id[strings.LastIndexByte(id, ' ')+1:], nil
	case strings.HasPrefix(first, outboxPrefix):
		events, err := readOutboxRow(row)
		if err != nil {
			return "", err
		}
		return events[0].Tenant, nil
	}
	return table.TextOf(row, "owner"), nil
}
