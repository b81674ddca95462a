package console

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/command"
	"tocsin/shared/console/deliveries"
	"tocsin/shared/console/rest"
	"tocsin/shared/console/v2"
	"tocsin/shared/fanout"
	"tocsin/shared/profile"
	"tocsin/shared/report"
	"tocsin/shared/session"
	"tocsin/shared/tenant"
	"tocsin/shared/token"
	"tocsin/shared/trigger"
)

// everything is a deployment that has all parts; nothing of it is called.
func everything() Config {
	return Config{
		Triggers: &trigger.Service{}, Reports: &report.Service{}, Profiles: &profile.Service{},
		Tokens: &token.Service{}, Tenants: &tenant.Service{},
		Recovery: &fanout.Recovery{}, Commands: noCommands{}, DeadLetters: noDeadLetters{},
		Sessions: &session.Service{}, Activity: noActivity{},
	}
}

type noActivity struct{ activity.Reader }

type noCommands struct{ command.Store }

type (
	letters       = deliveries.DeadLetters
	noDeadLetters struct{ letters }
)

func TestEveryOperationDeclaresTheRightOfItsCallers(t *testing.T) {
	s := &server{Config: everything()}
	platform := v2.API{Triggers: s.Triggers}
	count := declared(t, s.register(http.NewServeMux()))
	require.Greater(t, count, 50)
	require.Greater(t, declared(t, platform.Mount(http.NewServeMux())), 10)
}

// declared counts the operations of an API, each of which declares a right that somebody has.
func declared(t *testing.T, api huma.API) (count int) {
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
	return count
}
