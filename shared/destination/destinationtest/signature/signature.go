// Package signature verifies the signatures of webhooks for tests, by the letter of Standard Webhooks and with none of
// the product's code.
package signature

import (
	"crypto/ed25519"
	"encoding/base64"
	"strings"

	"tocsin/shared/destination"
)

// By reports whether the key pair of a public key, as receivers are given it (whpk_ and base64), made one of the
// signatures of a request that are v1a.
func By(q destination.Request, public string) bool {
	written, ok := strings.CutPrefix(public, "whpk_")
	key, err := base64.StdEncoding.DecodeString(written)
	if !ok || err != nil || len(key) != ed25519.PublicKeySize {
		return false
	}
	content := q.Header.Get("Webhook-Id") + "." + q.Header.Get("Webhook-Timestamp") + "." + string(q.Body)
	for one := range strings.FieldsSeq(q.Header.Get("Webhook-Signature")) {
		version, text, _ := strings.Cut(one, ",")
		made, err := base64.StdEncoding.DecodeString(text)
		if version == "v1a" && err == nil && ed25519.Verify(key, []byte(content), made) {
			return true
		}
	}
	return false
}
