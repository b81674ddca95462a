package console

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/command"
	"tocsin/shared/console/deliveries"
	"tocsin/shared/console/rest"
	"tocsin/shared/fanout"
	"tocsin/shared/profile"
	"tocsin/shared/report"
	"tocsin/shared/session"
	"tocsin/shared/trigger"
)

// everything is a deployment that has all parts; nothing of it is called.
func everything() Config {
	return Config{
		Triggers: &trigger.Service{}, Reports: &report.Service{}, Profiles: &profile.Service{},
		Recovery: &fanout.Recovery{}, Commands: noCommands{}, DeadLetters: noDeadLetters{},
		Sessions: &session.Service{},
	}
}

type noCommands struct{ command.Store }

type (
	letters       = deliveries.DeadLetters
	noDeadLetters struct{ letters }
)

func TestEveryOperationDeclaresTheRightOfItsCallers(t *testing.T) {
	s := &server{Config: everything()}
	api := s.register(http.NewServeMux())
	count := 0
	for path, item := range api.OpenAPI().Paths {
		v := reflect.ValueOf(*item)
		for n := range v.NumField() {
			o, ok := v.Field(n).Interface().(*huma.Operation)
			if !ok || o == nil {
				continue
			}
			count++
			right, ok := o.Metadata[rest.RightKey].(access.Right)
			require.True(t, ok, "%s %s declares no right", o.Method, path)
			require.NotEmpty(t, right.Holders(), "%s %s: nobody has the right", o.Method, path)
		}
	}
	require.Greater(t, count, 50)
}
