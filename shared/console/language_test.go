package console_test

import (
	"encoding/json"
	"net/http"
	"strings"
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
			`{"system":"ms_teams","name":"Ops","events":[{"event":"system"}],"parameters":{}}`, "Accept-Language", asked)
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

// The form of a system is in the caller's language: titles and helps of its fields, in the order of the form.
func TestFormsAreInTheLanguageThatTheCallerAsksFor(t *testing.T) {
	r := start(t)
	read := func(language string) map[string]string {
		a := r.call(http.MethodGet, "/v1/systems", "", "Accept-Language", language)
		require.Equal(t, http.StatusOK, a.status, a.raw)
		var got struct {
			Groups []struct {
				Systems []struct {
					Name       string
					Parameters struct {
						Properties map[string]struct{ Title, Description, Type string }
						Required   []string
					}
				}
			}
		}
		require.NoError(t, json.Unmarshal([]byte(a.raw), &got))
		out := map[string]string{}
		for _, g := range got.Groups {
			for _, s := range g.Systems {
				for name, p := range s.Parameters.Properties {
					at := s.Name + "." + name
					out[at+" type"], out[at+" title"], out[at+" help"] = p.Type, p.Title, p.Description
				}
				out[s.Name+" required"] = strings.Join(s.Parameters.Required, " ")
			}
		}
		return out
	}
	english, japanese := read("en"), read("ja")
	require.Greater(t, len(english), 100)
	for at, text := range english {
		switch {
		case strings.HasSuffix(at, " help") && text != "":
			require.Regexp(t, `[\p{Hiragana}\p{Katakana}\p{Han}]`, japanese[at], at)
		case !strings.HasSuffix(at, " title"):
			require.Equal(t, text, japanese[at], at)
		}
	}
	require.Equal(t, "署名シークレット", japanese["web_hooks.signing_secret title"])
}
