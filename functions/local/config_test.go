package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestM3TheAddressesToAdmitAreASettingThatIsCheckedAtTheStart(t *testing.T) {
	c, err := configure([]string{"-egress-addresses", "198.51.100.7@dc-1, 203.0.113.0/28/spare"}, variables(nil))
	require.ErrorContains(t, err, `-egress-addresses: entry "203.0.113.0/28/spare" must be an IP address or a range`)
	require.Empty(t, c.addresses)
	c, err = configure(nil, variables(map[string]string{"TOCSIN_EGRESS_ADDRESSES": "198.51.100.7@dc-1,203.0.113.0/28"}))
	require.NoError(t, err)
	require.Len(t, c.addresses, 2)
	require.Equal(t, "dc-1", c.addresses[0].Region)
}

func TestAFlagThatIsGoneSaysWhatToDo(t *testing.T) {
	_, err := configure([]string{"-issuer", "tocsin-local"}, variables(nil))
	require.ErrorContains(t, err, "programs send API tokens")
}
