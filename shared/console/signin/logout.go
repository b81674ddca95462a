package signin

import (
	"encoding/json"
	"net/http"

	"tocsin/shared/access"
	"tocsin/shared/activity"
)

// maxLogoutToken bounds what a stranger can have read, in bytes.
const maxLogoutToken = 16 << 10

// logout takes a logout token of the provider (OpenID Connect Back-Channel Logout 1.0, 2.5 to 2.8). Who has the
// provider's signature needs no other credentials, and 400 is the answer to all that can not be done.
func (a *API) logout(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(w, r.Body, maxLogoutToken)
	ends, err := a.Provider.Logout(r.Context(), r.PostFormValue("logout_token"))
	if err != nil {
		a.Log.Warn("a logout of the identity provider was not taken", "error", err.Error())
		notLoggedOut(w, "invalid_request", "the logout token was not taken: our log says why")
		return
	}
	ended, err := a.Sessions.EndBy(r.Context(), ends)
	for _, s := range ended {
		by := s.Principal()
		by.Source = access.FromPlatform
		a.record(r.Context(), by, activity.SignOut)
	}
	if err != nil {
		a.Log.Error("end sessions that the identity provider ended", "error", err.Error())
		notLoggedOut(w, "server_error", "the sessions could not be ended now")
		return
	}
	a.Log.Info("the identity provider ended sessions", "sessions", len(ended))
}

// notLoggedOut answers as RFC 6749, 5.2 writes errors.
func notLoggedOut(w http.ResponseWriter, code, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": code, "error_description": why})
}
