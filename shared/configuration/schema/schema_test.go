package schema_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/configuration/schema"
	"tocsin/shared/destination"
	"tocsin/shared/integration"
)

// TestTheSchemaTakesTheGroupingsThatTheServiceTakes: it had kept ten minutes when the service came to take an hour.
func TestTheSchemaTakesTheGroupingsThatTheServiceTakes(t *testing.T) {
	raw, err := schema.Of([]destination.System{})
	require.NoError(t, err)
	var s struct {
		Properties struct {
			Integrations struct {
				AdditionalProperties struct {
					Properties map[string]struct{ Pattern string }
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(raw, &s))
	of := s.Properties.Integrations.AdditionalProperties.Properties
	grouping, rate := regexp.MustCompile(of["grouping"].Pattern), regexp.MustCompile(of["rate"].Pattern)
	for minutes := range 101 {
		for _, events := range []string{"0", "1", "2", "9", "10", "99", "100", "999", "1000", "1001", "050"} {
			g := fmt.Sprintf("%s/%dm", events, minutes)
			require.Equal(t, integration.Grouping(g).Every() > 0, grouping.MatchString(g), g)
		}
	}
	for _, r := range []string{"0/second", "1/second", "999/minute", "1000/second", "1001/minute", "01/minute",
		"5/hour"} {
		require.Equal(t, integration.Rate(r).Every() > 0, rate.MatchString(r), r)
	}
}
