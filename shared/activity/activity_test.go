package activity_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/activity"
)

func TestTheActorIsTheCaller(t *testing.T) {
	p := access.Principal{Tenant: "42", Home: "1", ClientName: "Acme", Email: "ada@example.com", Name: "Ada",
		Subject: "s-1", RequestID: "r-1"}
	a := activity.ActorOf(p)
	require.Equal(t, activity.Actor{Tenant: "42", Home: "1", ClientName: "Acme", Email: "ada@example.com", Name: "Ada",
		Subject: "s-1", Source: access.FromConsole, RequestID: "r-1"}, a)
	require.Equal(t, "ada@example.com", a.Who())
	p.Source, p.Token, p.Email, p.Subject, p.Name = access.FromAPIToken, "ci", "", "", ""
	a = activity.ActorOf(p)
	require.Equal(t, access.FromAPIToken, a.Source)
	require.Equal(t, "ci", a.Who(), "a shared token is nobody's")
	require.Equal(t, activity.Actor{Tenant: "42", Source: access.FromSystem}, activity.System("42"))
}
