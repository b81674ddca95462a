// Package keys seals secrets of integrations with data keys of KMS, and reads the stack's own secrets.
package keys

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
	"golang.org/x/sync/singleflight"

	"tocsin/shared/cache"
	"tocsin/shared/integration"
)

const (
	// dataKeyGood is how long one data key seals, and dataKeyUses how often: what leaks with it is bounded.
	dataKeyGood = 5 * time.Minute
	dataKeyUses = 1000
	// askWithin bounds a call of KMS that several may wait for.
	askWithin = 30 * time.Second
	// maxDataKeys bounds the opened data keys in memory.
	maxDataKeys = 4096
	// What is sealed begins with a byte that names how: sealVersion seals now, sealShared sealed until a tenant had
	// data keys of its own. After it stand the length of the encrypted data key (2 bytes), that key, nonce,
	// AES-256-GCM.
	sealVersion = 2
	sealShared  = 1
)

// ErrUnsealable: what is to be opened was not sealed by the stack's key, belongs elsewhere, or was tampered with.
var ErrUnsealable = fmt.Errorf("%w: it was sealed for something else, or with another key", integration.ErrUnsealable)

// purpose binds data keys to this program (KMS, "Encryption context"); template.yaml names it in the roles' conditions.
const purpose = "tocsin-integration-secrets"

// KeyRing is integration.KeyRing by envelope: KMS makes and opens data keys, which are kept in memory for some minutes,
// so that KMS is asked once for many secrets. A data key is one tenant's: its encryption context, which CloudTrail
// shows, names the tenant. It is safe for concurrent use.
type KeyRing struct {
	KMS *kms.Client
	Key string // id or ARN
	// Shared is the key under which secrets were sealed before tenants had data keys of their own: it only opens. A
	// secret is sealed with Key when its integration is next changed.
	Shared string
	Now    func() time.Time

	mu     sync.Mutex                     // held while a data key is made, so that a tenant gets one
	seals  cache.LRU[string, *dataKey]    // by tenant
	opened cache.LRU[string, cipher.AEAD] // by encryptedKey.memo
	asking singleflight.Group             // by what is opened
}

var _ integration.KeyRing = (*KeyRing)(nil)

type dataKey struct {
	aead      cipher.AEAD
	encrypted []byte
	made      time.Time
	uses      int
}

// encryptedKey is a data key as it stands before a secret, and what KMS needs to open it.
type encryptedKey struct {
	under   string // id or ARN of the KMS key
	context map[string]string
	blob    []byte
}

func (k encryptedKey) memo() string { return k.context["tenant"] + "\x00" + string(k.blob) }

// ownKey is the encryption context of a tenant's data keys.
func ownKey(tenant string) map[string]string {
	return map[string]string{"purpose": purpose, "tenant": tenant}
}

// Seal encrypts with a data key of the tenant; what it returns opens only with the same context.
func (r *KeyRing) Seal(ctx context.Context, plain, context []byte) ([]byte, error) {
	k, err := r.sealing(ctx, integration.SealTenant(context))
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

func (r *KeyRing) sealing(ctx context.Context, tenant string) (*dataKey, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.Now()
	if k, ok := r.seals.Get(tenant); ok && k.uses < dataKeyUses && now.Sub(k.made) < dataKeyGood {
		k.uses++
		return k, nil
	}
	out, err := r.KMS.GenerateDataKey(ctx, &kms.GenerateDataKeyInput{
		KeyId: &r.Key, KeySpec: types.DataKeySpecAes256, EncryptionContext: ownKey(tenant),
	})
	if err != nil {
		return nil, fmt.Errorf("ask KMS for a data key of %s: %w", r.Key, err)
	}
	aead, err := newAEAD(out.Plaintext)
	clear(out.Plaintext)
	if err != nil {
		return nil, err
	}
	made := &dataKey{aead: aead, encrypted: out.CiphertextBlob, made: now, uses: 1}
	r.seals.Keep(tenant, made, maxDataKeys)
	r.remember(encryptedKey{context: ownKey(tenant), blob: out.CiphertextBlob}, aead)
	return made, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("use a data key: %w", err)
	}
	return cipher.NewGCM(block)
}

func (r *KeyRing) remember(k encryptedKey, aead cipher.AEAD) {
	r.opened.Keep(k.memo(), aead, maxDataKeys)
}

// Open decrypts. Error: ErrUnsealable; any other error means that KMS could not be asked, and passes.
func (r *KeyRing) Open(ctx context.Context, sealed, context []byte) ([]byte, error) {
	const head = 3
	if len(sealed) < head {
		return nil, ErrUnsealable
	}
	size := int(binary.BigEndian.Uint16(sealed[1:head]))
	if len(sealed) < head+size {
		return nil, ErrUnsealable
	}
	k := encryptedKey{blob: sealed[head : head+size]}
	switch {
	case sealed[0] == sealVersion:
		k.under, k.context = r.Key, ownKey(integration.SealTenant(context))
	case sealed[0] == sealShared && r.Shared != "":
		k.under, k.context = r.Shared, map[string]string{"purpose": purpose}
	default:
		return nil, ErrUnsealable
	}
	aead, err := r.opening(ctx, k)
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

// opening opens a data key. KMS is asked once for all who need it at the same time: a function that starts opens the
// secrets of many integrations of a tenant at once.
func (r *KeyRing) opening(ctx context.Context, k encryptedKey) (cipher.AEAD, error) {
	if aead, ok := r.opened.Get(k.memo()); ok {
		return aead, nil
	}
	asked := r.asking.DoChan(k.under+"\x00"+k.memo(), func() (any, error) {
		// Others wait for it, whatever becomes of who asked first.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askWithin)
		defer cancel()
		return r.ask(ctx, k)
	})
	select {
	case got := <-asked:
		aead, _ := got.Val.(cipher.AEAD)
		return aead, got.Err
	case <-ctx.Done():
		return nil, fmt.Errorf("ask KMS to open a data key of %s: %w", k.under, ctx.Err())
	}
}

func (r *KeyRing) ask(ctx context.Context, k encryptedKey) (cipher.AEAD, error) {
	if aead, ok := r.opened.Get(k.memo()); ok { // another call has just ended
		return aead, nil
	}
	out, err := r.KMS.Decrypt(ctx, &kms.DecryptInput{CiphertextBlob: k.blob, KeyId: &k.under,
		EncryptionContext: k.context})
	var foreign *types.InvalidCiphertextException
	var other *types.IncorrectKeyException
	if errors.As(err, &foreign) || errors.As(err, &other) {
		return nil, ErrUnsealable
	}
	if err != nil {
		return nil, fmt.Errorf("ask KMS to open a data key of %s: %w", k.under, err)
	}
	aead, err := newAEAD(out.Plaintext)
	clear(out.Plaintext)
	if err != nil {
		return nil, err
	}
	r.remember(k, aead)
	return aead, nil
}
