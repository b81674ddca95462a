package events

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/client"
)

func TestEachReasonWhyAnEventWasLeftOutIsTold(t *testing.T) {
	raw, err := os.ReadFile("../../../shared/console/pages/web/messages/en.json")
	require.NoError(t, err)
	var words map[string]any
	require.NoError(t, json.Unmarshal(raw, &words))
	raw, err = os.ReadFile("../../../shared/console/testdata/openapi.json")
	require.NoError(t, err)
	var document struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct{ Enum []string }
			}
		}
	}
	require.NoError(t, json.Unmarshal(raw, &document))
	reasons := document.Components.Schemas["LeftOutEvent"].Properties["reason"].Enum
	require.Len(t, leftOuts, len(reasons))
	for _, reason := range reasons {
		require.Equal(t, words["trace."+reason], leftOuts[client.LeftOutEventReason(reason)], reason)
	}
	for _, route := range document.Components.Schemas["CarriedView"].Properties["why"].Enum {
		require.NotEqual(t, route, why(client.CarriedViewWhy(route)))
	}
	since, title := time.Date(2026, 3, 1, 9, 0, 0, 0, time.Local), "Severity"
	require.Equal(t, "it has been disabled since 2026-03-01 09:00:00.",
		leftOut(client.LeftOutEvent{Reason: client.LeftOutEventReasonDisabled, Since: &since}))
	require.Equal(t, "a filter stops it: Severity.",
		leftOut(client.LeftOutEvent{Reason: client.LeftOutEventReasonFiltered, FilterTitle: &title}))
}
