package account

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"
)

// LinkGood is how long a sign-in link is good. It is used by somebody who has just asked for it.
const LinkGood = 15 * time.Minute

// keepUsed is how long a link that is used or too old is remembered, so that who opens it is told what it was.
const keepUsed = 24 * time.Hour

// codeSize is the size of a link's code in bytes: nobody guesses 256 bits.
const codeSize = 32

// Errors of links.
var (
	ErrNoLink  = errors.New("this is no sign-in link of this program")
	ErrUsed    = errors.New("this sign-in link has been used: each is good for one sign-in")
	ErrExpired = errors.New("this sign-in link is too old: each is good for 15 minutes")
)

// Link is a sign-in link as it is stored: its code is not.
type Link struct {
	Digest  [sha256.Size]byte // of the code
	Tenant  string
	Address string
	Expires time.Time
	Used    time.Time // zero = it was not
}

// LinkStore keeps links.
type LinkStore interface {
	// Keep stores a link, and forgets those that expired before a time.
	Keep(ctx context.Context, l Link, before time.Time) error
	// Get reads one. Error: ErrNoLink.
	Get(ctx context.Context, digest [sha256.Size]byte) (Link, error)
	// Use marks one as used, and returns it as it was before: of several who use it at once, one finds it unused.
	// Error: ErrNoLink.
	Use(ctx context.Context, digest [sha256.Size]byte, at time.Time) (Link, error)
	// Drop forgets those of a person.
	Drop(ctx context.Context, tenant, address string) error
}

// Links makes sign-in links, and takes them back.
type Links struct {
	Store  LinkStore
	People Store
	Now    func() time.Time
	Random io.Reader // crypto/rand.Reader
}

// New makes a link for a person. The code is shown this once. Error: ErrDisabled.
func (l *Links) New(ctx context.Context, p Person) (code string, expires time.Time, err error) {
	if p.Disabled {
		return "", expires, fmt.Errorf("%s of tenant %s: %w", p.Email, p.Tenant, ErrDisabled)
	}
	raw := make([]byte, codeSize)
	if _, err := io.ReadFull(l.Random, raw); err != nil {
		return "", expires, fmt.Errorf("make a sign-in link: %w", err)
	}
	now := l.Now().UTC()
	code, expires = base64.RawURLEncoding.EncodeToString(raw), now.Add(LinkGood)
	return code, expires, l.Store.Keep(ctx, Link{Digest: sha256.Sum256([]byte(code)), Tenant: p.Tenant,
		Address: p.Address(), Expires: expires}, now.Add(-keepUsed))
}

// Whose finds out for whom a link is, and leaves it as it is. Errors: ErrNoLink; ErrUsed, ErrExpired and ErrDisabled
// with the person.
func (l *Links) Whose(ctx context.Context, code string) (Person, error) {
	link, err := l.Store.Get(ctx, sha256.Sum256([]byte(code)))
	if err != nil {
		return Person{}, err
	}
	return l.person(ctx, link)
}

// Use uses a link up, and returns the person whom it signs in. Errors: as Whose.
func (l *Links) Use(ctx context.Context, code string) (Person, error) {
	link, err := l.Store.Use(ctx, sha256.Sum256([]byte(code)), l.Now().UTC())
	if err != nil {
		return Person{}, err
	}
	return l.person(ctx, link)
}

// person is whose link it is, also where it signs nobody in.
func (l *Links) person(ctx context.Context, link Link) (Person, error) {
	p, err := l.People.Get(ctx, link.Tenant, link.Address)
	switch {
	case errors.Is(err, ErrUnknown):
		return Person{}, ErrNoLink
	case err != nil:
		return Person{}, err
	case !link.Used.IsZero():
		return p, ErrUsed
	case !l.Now().Before(link.Expires):
		return p, ErrExpired
	case p.Disabled:
		return p, ErrDisabled
	}
	return p, nil
}

// Drop forgets the links of a person.
func (l *Links) Drop(ctx context.Context, p Person) error {
	if err := l.Store.Drop(ctx, p.Tenant, p.Address()); err != nil {
		return fmt.Errorf("drop the sign-in links of %s of tenant %s: %w", p.Email, p.Tenant, err)
	}
	return nil
}
