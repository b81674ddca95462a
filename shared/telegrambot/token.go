package telegrambot

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"

	"tocsin/shared/destination/telegram"
	"tocsin/shared/integration"
)

// linkGood is how long a link may be opened: long enough to find the phone, short enough to be forgotten in a chat.
const linkGood = 15 * time.Minute

// Sizes of a token's parts in bytes: 36 in all, 48 characters of base64url. Telegram, "Bot API: deep linking": a start
// parameter has at most 64 characters of A-Z, a-z, 0-9, _ and -.
const (
	idSize      = 16 // a ULID
	expirySize  = 4  // Unix seconds
	macSize     = 16 // of HMAC-SHA256, cut as RFC 2104 allows
	bodySize    = idSize + expirySize
	tokenSize   = bodySize + macSize
	tokenLength = (tokenSize*8 + 5) / 6
)

// Errors of a token that no chat is bound by.
var (
	errForged  = errors.New("not a token of ours, or one that was used")
	errExpired = errors.New("the token has expired")
)

// token is what a link carries, before its signature.
type token struct {
	id      string // of the integration
	expires time.Time
	raw     []byte
}

// issue makes the token for an integration in its present state.
func issue(key []byte, i integration.Integration, p *telegram.Parameters, expires time.Time) (string, error) {
	id, err := ulid.ParseStrict(i.ID)
	if err != nil {
		return "", fmt.Errorf("make a link for integration %s: its id is no ULID: %w", i.ID, err)
	}
	raw := make([]byte, bodySize, tokenSize)
	copy(raw, id[:])
	binary.BigEndian.PutUint32(raw[idSize:], uint32(expires.Unix())) // until the year 2106
	raw = append(raw, sign(key, raw, i, p)...)
	return base64.RawURLEncoding.EncodeToString(raw), nil
}

// parse reads a token and trusts nothing of it yet.
func parse(s string) (token, error) {
	if len(s) != tokenLength {
		return token{}, errForged
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) != tokenSize {
		return token{}, errForged
	}
	id := ulid.ULID(raw[:idSize])
	return token{id: id.String(), expires: time.Unix(int64(binary.BigEndian.Uint32(raw[idSize:bodySize])), 0),
		raw: raw}, nil
}

// verify says whether the token was issued for the integration in its present state.
func (t token) verify(key []byte, i integration.Integration, p *telegram.Parameters, now time.Time) error {
	switch {
	case !hmac.Equal(t.raw[bodySize:], sign(key, t.raw[:bodySize], i, p)):
		return errForged
	case !now.Before(t.expires):
		return errExpired
	}
	return nil
}

// sign covers, beside what the token says, whose integration it is and what it is bound to now: once a chat is bound,
// the token is worth nothing any more.
func sign(key, body []byte, i integration.Integration, p *telegram.Parameters) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(body)
	_ = binary.Write(mac, binary.BigEndian, p.ChatID) // a hash takes everything
	if p.BoundAt != nil {
		mac.Write([]byte(p.BoundAt.UTC().Format(time.RFC3339Nano)))
	}
	mac.Write([]byte{0})
	mac.Write([]byte(i.Tenant))
	return mac.Sum(nil)[:macSize]
}
