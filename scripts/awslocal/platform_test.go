//go:build awslocal

package awslocal_test

import (
	"testing"

	"tocsin/shared/console/v2/v2test"
)

// TestThePlatformsAPI runs what the platform's Terraform provider and client ask over DynamoDB.
func TestThePlatformsAPI(t *testing.T) {
	r := deploy(t, nil, nil)
	v2test.Contract(t, func(_ *testing.T, method, path, body string) (int, string) {
		return r.request("42", "administrator", method, path, body)
	})
}
