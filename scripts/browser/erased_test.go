package browser

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// An erasure takes a person out of what is sent to. Where nobody is left, people read why nothing is sent, not who was
// erased, and how to mend it.
func TestAnIntegrationThatAnErasureDisabledSaysWhy(t *testing.T) {
	t.Parallel()
	p := program(t)
	id := add(t, p, map[string]any{"system": "email", "name": "Weekly", "events": events("system"),
		"parameters": map[string]any{"addresses": []string{"ada@example.com"}}})
	b := open(t, p, desk, "/integrations/"+id)
	b.act("holds", "Email addresses", "ada@example.com")
	_, err := p.Run("tenant", "erase", "42", "-person", "ada@example.com", "-confirm", "ada@example.com")
	require.NoError(t, err)
	b = open(t, p, desk, "/integrations/"+id)
	b.sees("Disabled")
	b.sees("a person was erased, who was all that it had as")
	b.sees("say where it sends to, and enable it")
	var now struct{ Parameters struct{ Addresses []string } }
	require.NoError(t, p.Call("GET", "/v1/integrations/"+id, nil, &now))
	require.Len(t, now.Parameters.Addresses, 1)
	require.Regexp(t, "^erased person [0-9a-f]{12}$", now.Parameters.Addresses[0])
	b.act("holds", "Email addresses", now.Parameters.Addresses[0])
	b.seesNot("Disabled by")
	b.sees("Nothing sent in the last 12 hours.")
	b.seesNot("It is disabled when") // it is
	b.picture("erased-person")
	b.fill("Email addresses", "grace@example.com")
	b.click("Enable")
	b.click("Save and enable")
	b.seesNot("a person was erased, who was all that it had as")
	b.sees("It is disabled when all of this holds:")
}
