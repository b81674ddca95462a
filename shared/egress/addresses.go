package egress

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
)

// Address is where our requests come from: what a customer admits who filters inbound traffic (product facts, 1.13).
// Nothing here can find it out, so the operator says it.
type Address struct {
	Prefix netip.Prefix
	// Region is where it is, in the operator's words; "" = not said.
	Region string
	// Spare says that requests come from it only during an outage of another region.
	Spare bool
}

// String is the address, or the range in CIDR notation (RFC 4632).
func (a Address) String() string {
	if a.Prefix.IsSingleIP() {
		return a.Prefix.Addr().String()
	}
	return a.Prefix.String()
}

// region is what may stand for one: such as eu-west-1.
var region = regexp.MustCompile(`^[A-Za-z0-9-]{1,32}$`)

// ParseAddresses reads a list with commas between, its order kept: 192.0.2.1, or 192.0.2.1@eu-west-1, or
// 192.0.2.1@eu-west-1/spare; an address can be a range such as 192.0.2.0/28. The error quotes the entry.
func ParseAddresses(list string) ([]Address, error) {
	var out []Address
	seen := map[netip.Prefix]bool{}
	for _, entry := range strings.Split(list, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		a, err := parseAddress(entry)
		if err == nil && seen[a.Prefix] {
			err = errors.New("is there twice")
		}
		if err != nil {
			return nil, fmt.Errorf("entry %q %w", entry, err)
		}
		seen[a.Prefix] = true
		out = append(out, a)
	}
	return out, nil
}

func parseAddress(entry string) (a Address, err error) {
	where, about, told := strings.Cut(entry, "@")
	if strings.Contains(where, "/") {
		a.Prefix, err = netip.ParsePrefix(where)
	} else {
		var ip netip.Addr
		if ip, err = netip.ParseAddr(where); err == nil {
			a.Prefix = netip.PrefixFrom(ip, ip.BitLen())
		}
	}
	ip := a.Prefix.Addr()
	switch {
	case err != nil || ip.Is4In6():
		return a, errors.New("must be an IP address or a range such as 192.0.2.0/28, with @ and a region behind it " +
			"if that is told, such as 192.0.2.1@eu-west-1")
	case a.Prefix != a.Prefix.Masked():
		return a, errors.New("must name a range by its first address, " + a.Prefix.Masked().String())
	case ip.IsUnspecified(), ip.IsLoopback(), ip.IsMulticast(), ip.IsLinkLocalUnicast(), a.Prefix.Bits() == 0:
		return a, errors.New("is nothing that requests can come from")
	}
	if a.Region, a.Spare = strings.CutSuffix(about, "/spare"); told && !region.MatchString(a.Region) {
		return a, errors.New("must have a region of letters, digits and hyphens behind @, and /spare behind that for " +
			"one that is kept for an outage")
	}
	return a, nil
}
