package keys

import (
	"context"
	"errors"
	"fmt"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
)

// Secrets reads from Secrets Manager what the functions themselves must keep to themselves.
type Secrets struct{ Manager *secretsmanager.Client }

// stages of a secret's value (Secrets Manager, "What's in a Secrets Manager secret"): a rotation leaves what was valid
// before it in the second.
const stageCurrent, stagePrevious = "AWSCURRENT", "AWSPREVIOUS"

// Current is the secret's value. id is a name or an ARN.
func (s Secrets) Current(ctx context.Context, id string) (string, error) {
	return s.value(ctx, id, stageCurrent)
}

// Versions are the values that are valid, the present one first: after a rotation what was made with the one before it
// still holds, until the next rotation.
func (s Secrets) Versions(ctx context.Context, id string) ([]string, error) {
	current, err := s.value(ctx, id, stageCurrent)
	if err != nil {
		return nil, err
	}
	previous, err := s.value(ctx, id, stagePrevious)
	var none *types.ResourceNotFoundException
	switch {
	case errors.As(err, &none): // it was never rotated
		return []string{current}, nil
	case err != nil:
		return nil, err
	}
	return []string{current, previous}, nil
}

func (s Secrets) value(ctx context.Context, id, stage string) (string, error) {
	out, err := s.Manager.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id, VersionStage: &stage})
	if err != nil {
		return "", fmt.Errorf("read the secret %s: %w", id, err)
	}
	value := strings.TrimSpace(awssdk.ToString(out.SecretString))
	if value == "" {
		return "", fmt.Errorf("read the secret %s: it holds no text: put its value into SecretString", id)
	}
	return value, nil
}
