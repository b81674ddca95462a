package awslocal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"net/http"
)

// KMS answers GenerateDataKey and Decrypt as the service does (KMS, API reference): what one key made does not open
// with another, nor in another encryption context. It answers to any name of a key. Moto's KMS is beside it
// (Servers.Moto), which says AccessDenied where the service says InvalidCiphertext.
type KMS struct{ aead cipher.AEAD }

// NewKMS makes the key.
func NewKMS() (*KMS, error) {
	block, err := aes.NewCipher(random(32))
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &KMS{aead}, err
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}

// ServeHTTP answers a call.
func (k *KMS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q struct {
		KeyID             string `json:"KeyId"`
		CiphertextBlob    []byte
		EncryptionContext map[string]string
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	fail := func(kind string) {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": kind})
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		fail("SerializationException")
		return
	}
	context, err := json.Marshal([]any{q.KeyID, q.EncryptionContext}) // maps are written in the order of their keys
	if err != nil {
		fail("SerializationException")
		return
	}
	answer := map[string]any{"KeyId": q.KeyID}
	switch r.Header.Get("X-Amz-Target") {
	case "TrentService.GenerateDataKey":
		plain, nonce := random(32), random(k.aead.NonceSize())
		answer["Plaintext"], answer["CiphertextBlob"] = plain, k.aead.Seal(nonce, nonce, plain, context)
	case "TrentService.Decrypt":
		n := k.aead.NonceSize()
		if len(q.CiphertextBlob) < n {
			fail("InvalidCiphertextException")
			return
		}
		plain, err := k.aead.Open(nil, q.CiphertextBlob[:n], q.CiphertextBlob[n:], context)
		if err != nil {
			fail("InvalidCiphertextException")
			return
		}
		answer["Plaintext"] = plain
	default:
		fail("UnknownOperationException")
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}
