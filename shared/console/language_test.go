package console_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnswersAreInTheLanguageThatTheCallerAsksFor(t *testing.T) {
	r := start(t)
	for asked, want := range map[string]struct{ language, detail, reason string }{
		"":                        {"en", "the request is not valid", "is required"},
		"en":                      {"en", "the request is not valid", "is required"},
		"ja":                      {"ja", "リクエストの内容が正しくありません", "必須です"},
		"ja-JP, en;q=0.5":         {"ja", "リクエストの内容が正しくありません", "必須です"},
		"fr, ja;q=0.8, en;q=0.9":  {"en", "the request is not valid", "is required"},
		"de":                      {"en", "the request is not valid", "is required"},
		"*":                       {"en", "the request is not valid", "is required"},
		"en;q=0, ja":              {"ja", "リクエストの内容が正しくありません", "必須です"},
		"no header, at all;;q=x,": {"en", "the request is not valid", "is required"},
	} {
		w := r.call(http.MethodPost, "/v1/integrations",
			`{"system":"slack","name":"Ops","events":[{"event":"system"}],"parameters":{}}`, "Accept-Language", asked)
		require.Equal(t, http.StatusUnprocessableEntity, w.status, asked)
		require.Equal(t, want.language, w.header.Get("Content-Language"), asked)
		require.Contains(t, w.header.Values("Vary"), "Accept-Language", asked)
		var p struct {
			Detail, Code string
			Errors       []struct{ Field, Reason, Code string }
		}
		require.NoError(t, json.Unmarshal([]byte(w.raw), &p))
		require.Equal(t, want.detail, p.Detail, asked)
		require.Equal(t, "problem.invalid", p.Code, "the same in every language")
		require.Equal(t, want.reason, p.Errors[0].Reason, asked)
		require.Equal(t, "field.required", p.Errors[0].Code)
	}
}

// requireWorded finds each text of a problem in the catalogue: then it is in every language.
func requireWorded(t *testing.T, problem map[string]any) {
	t.Helper()
	detail, _ := problem["detail"].(string)
	require.Contains(t, problem, "code", "in no file of wording/texts/en: %s", detail)
	faults, _ := problem["errors"].([]any)
	for _, f := range faults {
		require.Contains(t, f, "code", "in no file of wording/texts/en: %s", f.(map[string]any)["reason"])
	}
}
