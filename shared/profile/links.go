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

	"tocsin/shared/access"
	"tocsin/shared/activity"
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

func sign(key, body []byte) []byte { return signAs("unsubscribe", key, body) }

func signAs(use string, key, body []byte) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(use + "\x00"))
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

// undone is what an unsubscription can be taken back to.
type undone struct {
	Subscription
	Choices Choices `json:"c,omitzero"` // of a person, as they were
	Until   int64   `json:"x"`          // Unix seconds
}

// undoFor is how long an unsubscription can be taken back: as long as the page that says it is looked at.
const undoFor = time.Hour

// undo makes the token that takes an unsubscription back.
func (l Unsubscriptions) undo(u undone) string {
	u.Until = l.Now().Add(undoFor).Unix()
	body, err := json.Marshal(u)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	return encode(body) + "." + encode(signAs("resubscribe", l.Links.Keys[0], body))
}

// Unsubscribe unsubscribes: a person from all personal notifications, any other address from its integration. A second
// time changes nothing. undo takes it back; "" = nothing was changed. Error: ErrLink.
func (l Unsubscriptions) Unsubscribe(ctx context.Context, token string) (s Subscription, undo string, err error) {
	if s, err = l.Links.Open(token); err != nil {
		return s, "", err
	}
	changed := false
	u := undone{Subscription: s}
	if report.KindOf(s.Integration) == report.PersonReceiver {
		u.Choices, err = l.Profiles.Unsubscribe(ctx, s.Tenant, s.Integration)
		changed = u.Choices != (Choices{})
	} else {
		changed, err = l.SuppressionList.Suppress(ctx, mail.Suppression{
			Tenant: s.Tenant, Address: mail.Canonical(s.Address), Integration: s.Integration, Why: mail.Unsubscribed,
			Reason: "by the link of a mail", At: l.Now().UTC(),
		})
	}
	if err != nil || !changed {
		return s, "", err
	}
	return s, l.undo(u), nil
}

// ErrUndo: an unsubscription can not be taken back by whom it is about any more.
var ErrUndo = errors.New("this can not be undone here any more: ask an administrator of your account, or set it in " +
	"your profile")

// Undo takes an unsubscription back. Where the address left more than that, or mails to it came back, nothing changes.
// Errors: ErrLink, ErrUndo.
func (l Unsubscriptions) Undo(ctx context.Context, token string) (s Subscription, err error) {
	u, err := l.openUndo(token)
	if err != nil {
		return u.Subscription, err
	}
	s = u.Subscription
	if report.KindOf(s.Integration) == report.PersonReceiver {
		return s, l.Profiles.resubscribe(ctx, s.Tenant, s.Integration, u.Choices)
	}
	address := mail.Canonical(s.Address)
	only, err := l.only(ctx, s.Tenant, address, s.Integration)
	if err != nil {
		return s, err
	}
	if !only {
		return s, ErrUndo
	}
	at := l.Now()
	return s, l.SuppressionList.Allow(ctx, s.Tenant, address, activity.Entry{ID: l.Profiles.NewID(), At: at,
		Actor:  activity.Actor{Tenant: s.Tenant, Email: address, Source: access.FromMail},
		Object: activity.Suppression, ObjectID: address, ObjectName: address, Action: activity.Delete}.Bounded())
}

func (l Unsubscriptions) openUndo(token string) (u undone, err error) {
	head, tail, _ := strings.Cut(token, ".")
	body, err := base64.RawURLEncoding.Strict().DecodeString(head)
	given, e := base64.RawURLEncoding.Strict().DecodeString(tail)
	if err != nil || e != nil {
		return u, ErrLink
	}
	for _, key := range l.Links.Keys {
		if !hmac.Equal(given, signAs("resubscribe", key, body)) {
			continue
		}
		if json.Unmarshal(body, &u) != nil {
			return u, ErrLink
		}
		if l.Now().Unix() > u.Until {
			return u, ErrUndo
		}
		return u, nil
	}
	return u, ErrLink
}

// undoPages bounds how far the list is read to find an address, in pages.
const undoPages = 50

// only reports whether the one thing that an address is suppressed for is that it left the integration: then all that
// is kept of it can go.
func (l Unsubscriptions) only(ctx context.Context, tenant, address, id string) (bool, error) {
	after := address[:len(address)-1] // before it in the order of the list
	found := 0
	for range undoPages {
		page, err := l.SuppressionList.List(ctx, tenant, after, 200)
		if err != nil {
			return false, err
		}
		for _, v := range page {
			if after = v.Address; v.Address > address {
				return found == 1, nil
			}
			if v.Address != address {
				continue
			}
			if v.Integration != id || v.Why != mail.Unsubscribed {
				return false, nil
			}
			found++
		}
		if len(page) == 0 || after == address {
			return found == 1, nil
		}
	}
	return false, nil
}
