package profile

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"tocsin/shared/mail"
	"tocsin/shared/report"
)

// Path is where the API takes unsubscriptions; a token follows it.
const Path = "/unsubscribe/"

// Links makes and reads the links by which an address leaves what it is sent. They do not expire: mails are kept for
// years, and all that a link can do is to send less.
type Links struct {
	Base string   // the API's public address, without a slash at its end
	Keys [][]byte // the first signs, all verify
}

// ErrLink: the link was not made by us, or was cut off.
var ErrLink = errors.New("this link is not complete: copy all of it from the mail")

// Subscription is what a link leaves.
type Subscription struct {
	Tenant      string `json:"t"`
	Integration string `json:"i"`
	Address     string `json:"a"`
}

// Link is the link for one address of an integration or person.
func (l Links) Link(tenant, integration, address string) string {
	body, err := json.Marshal(Subscription{tenant, integration, mail.Canonical(address)})
	if err != nil {
		panic(err) // strings always encode
	}
	return l.Base + Path + encode(body) + "." + encode(sign(l.Keys[0], body))
}

// Open reads the token of a link. Error: ErrLink.
func (l Links) Open(token string) (s Subscription, err error) {
	head, tail, ok := strings.Cut(token, ".")
	body, err := base64.RawURLEncoding.Strict().DecodeString(head)
	given, e := base64.RawURLEncoding.Strict().DecodeString(tail)
	if !ok || err != nil || e != nil {
		return s, ErrLink
	}
	for _, key := range l.Keys {
		if hmac.Equal(given, sign(key, body)) {
			if json.Unmarshal(body, &s) != nil {
				return s, ErrLink
			}
			return s, nil
		}
	}
	return s, ErrLink
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func sign(key, body []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("unsubscribe\x00"))
	m.Write(body)
	return m.Sum(nil)
}

// Unsubscriptions carries out what a link asks for.
type Unsubscriptions struct {
	Links           Links
	Profiles        *Service
	SuppressionList mail.SuppressionList
	Now             func() time.Time
}

// Unsubscribe unsubscribes: a person from all personal notifications, any other address from its integration. A second
// time changes nothing. Error: ErrLink.
func (l Unsubscriptions) Unsubscribe(ctx context.Context, token string) (Subscription, error) {
	s, err := l.Links.Open(token)
	if err != nil {
		return s, err
	}
	if report.KindOf(s.Integration) == report.PersonReceiver {
		return s, l.Profiles.Unsubscribe(ctx, s.Tenant, s.Integration)
	}
	_, err = l.SuppressionList.Suppress(ctx, mail.Suppression{
		Tenant: s.Tenant, Address: mail.Canonical(s.Address), Integration: s.Integration, Why: mail.Unsubscribed,
		Reason: "by the link of a mail", At: l.Now().UTC(),
	})
	return s, err
}
