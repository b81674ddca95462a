package listening

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Keys are what signatures of Standard Webhooks are verified with: a secret (v1), a public key (v1a), both or neither.
type Keys struct {
	secret []byte
	public ed25519.PublicKey
}

// ReadKeys reads a secret and a public key; "" is none. Neither is in an error.
func ReadKeys(secret, public string) (k Keys, err error) {
	if secret != "" {
		rest, ok := strings.CutPrefix(secret, "whsec_")
		if k.secret, err = base64.StdEncoding.DecodeString(rest); err != nil || !ok || len(k.secret) == 0 {
			return Keys{}, errors.New("the signing secret must be whsec_ and base64, as the integration has it")
		}
	}
	if public != "" {
		rest, ok := strings.CutPrefix(public, "whpk_")
		raw, err := base64.StdEncoding.DecodeString(rest)
		if err != nil || !ok || len(raw) != ed25519.PublicKeySize {
			return Keys{}, errors.New("-public-key must be whpk_ and base64, as the integration shows it (public_key)")
		}
		k.public = raw
	}
	return k, nil
}

// tolerance is how far a timestamp may be off: the 5 minutes of Standard Webhooks.
const tolerance = 5 * time.Minute

// Verdict is what the signatures of a request say.
type Verdict struct {
	// Verified are the versions of the signatures that hold: v1, v1a.
	Verified []string `json:"verified"`
	// Reason is why it is refused; "" = it is not.
	Reason string `json:"reason,omitempty"`
	// Unchecked: there is neither a secret nor a key to verify with.
	Unchecked bool `json:"unchecked,omitempty"`
}

// Refused reports whether a receiver must not take the request.
func (v Verdict) Refused() bool { return v.Reason != "" }

func (v Verdict) String() string {
	switch {
	case v.Unchecked:
		return "not verified (no secret and no public key was given)"
	case v.Refused():
		return "REFUSED: " + v.Reason
	}
	return "verified (" + strings.Join(v.Verified, ", ") + ")"
}

// Verify judges a request as Standard Webhooks asks of a receiver. Each key that is given must have signed.
func (k Keys) Verify(h http.Header, body []byte, now time.Time) Verdict {
	if k.secret == nil && k.public == nil {
		return Verdict{Unchecked: true}
	}
	id, stamp, signatures := h.Get("Webhook-Id"), h.Get("Webhook-Timestamp"), h.Get("Webhook-Signature")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	switch {
	case id == "" || stamp == "":
		return Verdict{Reason: "it has no webhook-id or no webhook-timestamp"}
	case err != nil:
		return Verdict{Reason: "its webhook-timestamp is no number of seconds"}
	case signatures == "":
		return Verdict{Reason: "it is not signed: give the integration a signing_secret or a signing_key"}
	}
	if off := now.Sub(time.Unix(seconds, 0)); off > tolerance || off < -tolerance {
		return Verdict{Reason: fmt.Sprintf("its webhook-timestamp is %s off, and may be 5m", off.Round(time.Second))}
	}
	content := append([]byte(id+"."+stamp+"."), body...)
	v := Verdict{}
	for signature := range strings.FieldsSeq(signatures) {
		version, text, _ := strings.Cut(signature, ",")
		raw, err := base64.StdEncoding.DecodeString(text)
		if err == nil && k.holds(version, content, raw) && !slices.Contains(v.Verified, version) {
			v.Verified = append(v.Verified, version)
		}
	}
	for version, asked := range map[string]bool{"v1": k.secret != nil, "v1a": k.public != nil} {
		if asked && !slices.Contains(v.Verified, version) {
			return Verdict{Verified: v.Verified,
				Reason: "no signature " + version + " holds: it was signed with another key, or altered"}
		}
	}
	return v
}

// holds reports whether a signature was made with the key of its version.
func (k Keys) holds(version string, content, signature []byte) bool {
	switch {
	case version == "v1" && k.secret != nil:
		mac := hmac.New(sha256.New, k.secret)
		mac.Write(content)
		return hmac.Equal(mac.Sum(nil), signature)
	case version == "v1a" && k.public != nil:
		return ed25519.Verify(k.public, content, signature)
	}
	return false
}
