package blocks

import "tocsin/shared/engine/sqlite/packed"

// Readable is the body of a row of one of the Tables as JSON can tell it.
func Readable(table string, body []byte) (any, error) {
	if table == "outcomes" {
		return readableOutcomes(body)
	}
	items, err := packed.DecodeBlock(body)
	if err != nil {
		return nil, err
	}
	out := make([]map[string]any, len(items))
	for n, i := range items {
		out[n] = map[string]any{"place": n, "id": i.ID, "events": i.Seqs, "count": i.Count, "kinds": i.Kinds}
	}
	return out, nil
}

func readableOutcomes(body []byte) (any, error) {
	outcomes, err := packed.DecodeOutcomes(body)
	if err != nil {
		return nil, err
	}
	out := make([]map[string]any, len(outcomes))
	for n, o := range outcomes {
		out[n] = map[string]any{"place": o.Index, "moved": o.Moved}
		if !o.Moved {
			out[n] = map[string]any{"place": o.Index, "failures": o.Failures, "reason": o.Reason,
				"attempts": o.Attempts, "parts": o.Parts}
		}
	}
	return out, nil
}
