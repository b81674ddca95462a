package oidc

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
)

// keyBytes is the length of a key: AES-256.
const keyBytes = 32

// purpose keeps what is sealed here from being taken for something else that the same key might seal.
var purpose = []byte("tocsin sign-in under way, version 1")

// seal makes the value of a cookie that only we can read and make.
func (p *Provider) seal(a attempt) (string, error) {
	plain, err := json.Marshal(a)
	if err != nil {
		return "", err
	}
	aead, err := aeadOf(p.Keys[0])
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(aead.Seal(nil, nil, plain, purpose)), nil
}

// open reads such a value.
func (p *Provider) open(value string) (a attempt, err error) {
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil {
		return a, errors.New("the cookie of the sign-in can not be read")
	}
	for _, key := range p.Keys {
		aead, err := aeadOf(key)
		if err != nil {
			return a, err
		}
		if plain, err := aead.Open(nil, nil, sealed, purpose); err == nil {
			return a, json.Unmarshal(plain, &a)
		}
	}
	return a, errors.New("the cookie of the sign-in is none of ours")
}

func aeadOf(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("use a key for sign-ins: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}
