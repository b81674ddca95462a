package webhook

import (
	"crypto/ed25519"
	"encoding/base64"
	"io"
	"strings"
	"time"

	"tocsin/shared/destination"
)

// What stands in place of a private key that Tocsin makes.
const (
	generate = "generate" // one, unless there is one: a configuration may say so every time it is applied
	rotate   = "rotate"   // a new one
)

// Overlap is how long the key before signs beside a new one.
const Overlap = 7 * 24 * time.Hour

const keyForm = "must be generate, rotate, or whsk_ followed by an Ed25519 key in base64"

// privateKey decodes a key. Standard Webhooks, specification, "Signature scheme"; it is 64 bytes, the seed and the
// public key (RFC 8032, 5.1.5), or the seed alone.
func privateKey(text string) (ed25519.PrivateKey, bool) {
	rest, ok := strings.CutPrefix(text, "whsk_")
	k, err := base64.StdEncoding.DecodeString(rest)
	if !ok || err != nil {
		return nil, false
	}
	switch len(k) {
	case ed25519.SeedSize:
		return ed25519.NewKeyFromSeed(k), true
	case ed25519.PrivateKeySize:
		return k, true
	}
	return nil, false
}

// whole reports whether the two halves of a key belong together.
func whole(k ed25519.PrivateKey) bool { return ed25519.NewKeyFromSeed(k.Seed()).Equal(k) }

// publicKey is what receivers verify with, "" for a key that is none.
func publicKey(text string) string {
	k, ok := privateKey(text)
	if !ok {
		return ""
	}
	return "whpk_" + base64.StdEncoding.EncodeToString(k.Public().(ed25519.PublicKey))
}

func written(k ed25519.PrivateKey) string { return "whsk_" + base64.StdEncoding.EncodeToString(k) }

// Prepare makes the key pair that a person asked for, and judges a client certificate that is new.
func (p *Parameters) Prepare(was any, at destination.Saving) (patch map[string]any,
	wrong destination.InvalidParameters) {
	before, there := was.(*Parameters)
	if !there {
		before = &Parameters{}
	}
	patch = p.pair(before, at)
	patch["client_certificate_ends"] = nil
	if end, ok := p.identity().Ends(); ok {
		patch["client_certificate_ends"] = end.UTC().Format(time.RFC3339)
	}
	if p.Certificate != before.Certificate {
		wrong = p.identity().ProblemsAt(at.Now, "client_certificate")
	}
	if patch["signing_key"] != nil && before.PrivateKey != "" && patch["signing_key"] != before.PrivateKey &&
		p.PreviousKey != "" && signsUntil(before.PreviousUntil, at.Now) { // it was promised until then
		wrong.Addf("signing_key", "can not be replaced again yet: the key pair before signs until %s, for receivers "+
			"that do not know the present one. Wait until then, or end it now with previous_signing_key: null",
			before.PreviousUntil)
	}
	return patch, wrong
}

// pair is the key pair that a person asked for, with the one before for the time of its overlap.
func (p *Parameters) pair(before *Parameters, at destination.Saving) map[string]any {
	patch := map[string]any{"signing_key": nil, "public_key": nil, "previous_signing_key": nil,
		"previous_public_key": nil, "previous_key_until": nil}
	now, ok := p.key(before, at.Random)
	if !ok {
		return map[string]any{} // Check says why
	}
	if now == "" {
		return patch
	}
	patch["signing_key"], patch["public_key"] = now, publicKey(now)
	previous, until := before.PreviousKey, before.PreviousUntil
	if p.PreviousKey == "" { // a person has ended it
		previous = ""
	}
	if before.PrivateKey != "" && before.PrivateKey != now {
		previous, until = before.PrivateKey, at.Now.Add(Overlap).UTC().Format(time.RFC3339)
	}
	if signsUntil(until, at.Now) && previous != "" {
		patch["previous_signing_key"], patch["previous_public_key"] = previous, publicKey(previous)
		patch["previous_key_until"] = until
	}
	return patch
}

// key is the private key to sign with from now on, "" for none; false when what stands there is no key.
func (p *Parameters) key(before *Parameters, random io.Reader) (string, bool) {
	switch {
	case p.PrivateKey == "":
		return "", true
	case p.PrivateKey == generate && before.PrivateKey != "":
		return before.PrivateKey, true
	case p.PrivateKey == generate, p.PrivateKey == rotate:
		seed := make([]byte, ed25519.SeedSize)
		_, err := io.ReadFull(random, seed)
		return written(ed25519.NewKeyFromSeed(seed)), err == nil
	}
	k, ok := privateKey(p.PrivateKey)
	return written(k), ok && whole(k)
}

// signsUntil reports whether a time is still to come.
func signsUntil(until string, now time.Time) bool {
	end, err := time.Parse(time.RFC3339, until)
	return err == nil && now.Before(end)
}

// signedByPairs are the signatures of the key pairs that sign now.
func (p *Parameters) signedByPairs(prefix string, body []byte, now time.Time) (out []string) {
	if p.PrivateKey == "" {
		return nil
	}
	keys := []string{p.PrivateKey}
	if p.PreviousKey != "" && signsUntil(p.PreviousUntil, now) {
		keys = append(keys, p.PreviousKey)
	}
	content := append([]byte(prefix), body...)
	for _, text := range keys {
		if k, ok := privateKey(text); ok {
			out = append(out, "v1a,"+base64.StdEncoding.EncodeToString(ed25519.Sign(k, content)))
		}
	}
	return out
}
