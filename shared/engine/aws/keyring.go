package aws

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"tocsin/shared/integration"
)

const (
	// dataKeyGood is how long one data key seals, and dataKeyUses how often: what leaks with it is bounded.
	dataKeyGood = 5 * time.Minute
	dataKeyUses = 1000
	// maxDataKeys bounds the opened data keys in memory.
	maxDataKeys = 4096
	// sealVersion is the first byte of what is sealed: version, length of the encrypted data key (2 bytes), that key,
	// nonce, AES-256-GCM.
	sealVersion = 1
)

// ErrUnsealable: what is to be opened was not sealed by the stack's key, belongs elsewhere, or was tampered with.
var ErrUnsealable = fmt.Errorf("%w: it was sealed for something else, or with another key", integration.ErrUnsealable)

// purpose binds data keys to this program (KMS, "Encryption context").
var purpose = map[string]string{"purpose": "tocsin-integration-secrets"}

// KeyRing is integration.KeyRing by envelope: KMS makes and opens data keys, which are kept in memory for some
// minutes, so that KMS is asked once for many secrets. It is safe for concurrent use.
type KeyRing struct {
	KMS *kms.Client
	Key string // id or ARN
	Now func() time.Time

	mu     sync.Mutex
	seal   *dataKey
	opened map[string]cipher.AEAD // by encrypted data key
}

var _ integration.KeyRing = (*KeyRing)(nil)

type dataKey struct {
	aead      cipher.AEAD
	encrypted []byte
	made      time.Time
	uses      int
}

// Seal encrypts with a data key; what it returns opens only with the same context.
func (r *KeyRing) Seal(ctx context.Context, plain, context []byte) ([]byte, error) {
	k, err := r.sealing(ctx)
	if err != nil {
		return nil, err
	}
	out := binary.BigEndian.AppendUint16([]byte{sealVersion}, uint16(len(k.encrypted)))
	out = append(out, k.encrypted...)
	nonce := make([]byte, k.aead.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return k.aead.Seal(append(out, nonce...), nonce, plain, context), nil
}

func (r *KeyRing) sealing(ctx context.Context) (*dataKey, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.Now()
	if k := r.seal; k != nil && k.uses < dataKeyUses && now.Sub(k.made) < dataKeyGood {
		k.uses++
		return k, nil
	}
	out, err := r.KMS.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{KeyId: &r.Key, KeySpec: types.DataKeySpecAes256, EncryptionContext: purpose})
	if err != nil {
		return nil, fmt.Errorf("ask KMS for a data key of %s: %w", r.Key, err)
	}
	aead, err := newAEAD(out.Plaintext)
	clear(out.Plaintext)
	if err != nil {
		return nil, err
	}
	r.seal = &dataKey{aead: aead, encrypted: out.CiphertextBlob, made: now, uses: 1}
	r.remember(out.CiphertextBlob, aead)
	return r.seal, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("use a data key: %w", err)
	}
	return cipher.NewGCM(block)
}

// remember needs the lock.
func (r *KeyRing) remember(encrypted []byte, aead cipher.AEAD) {
	if r.opened == nil || len(r.opened) >= maxDataKeys {
		r.opened = map[string]cipher.AEAD{}
	}
	r.opened[string(encrypted)] = aead
}

// Open decrypts. Error: ErrUnsealable; any other error means that KMS could not be asked, and passes.
func (r *KeyRing) Open(ctx context.Context, sealed, context []byte) ([]byte, error) {
	const head = 3
	if len(sealed) < head || sealed[0] != sealVersion {
		return nil, ErrUnsealable
	}
	size := int(binary.BigEndian.Uint16(sealed[1:head]))
	if len(sealed) < head+size {
		return nil, ErrUnsealable
	}
	aead, err := r.opening(ctx, sealed[head:head+size])
	if err != nil {
		return nil, err
	}
	body := sealed[head+size:]
	if len(body) < aead.NonceSize() {
		return nil, ErrUnsealable
	}
	plain, err := aead.Open(nil, body[:aead.NonceSize()], body[aead.NonceSize():], context)
	if err != nil {
		return nil, ErrUnsealable
	}
	return plain, nil
}

func (r *KeyRing) opening(ctx context.Context, encrypted []byte) (cipher.AEAD, error) {
	r.mu.Lock()
	aead, ok := r.opened[string(encrypted)]
	r.mu.Unlock()
	if ok {
		return aead, nil
	}
	out, err := r.KMS.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: encrypted, KeyId: &r.Key, EncryptionContext: purpose})
	var foreign *types.InvalidCiphertextException
	var other *types.IncorrectKeyException
	if errors.As(err, &foreign) || errors.As(err, &other) {
		return nil, ErrUnsealable
	}
	if err != nil {
		return nil, fmt.Errorf("ask KMS to open a data key of %s: %w", r.Key, err)
	}
	aead, err = newAEAD(out.Plaintext)
	clear(out.Plaintext)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.remember(encrypted, aead)
	return aead, nil
}
