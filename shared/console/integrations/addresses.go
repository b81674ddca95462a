package integrations

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/console/rest"
)

// AddressView is an address that requests to customers' systems come from.
type AddressView struct {
	Address string `json:"address" example:"198.51.100.7" doc:"an IP address, or a range in CIDR notation"`
	Region  string `json:"region,omitempty" example:"eu-west-1" doc:"where it is; left out where the operator does not say"`
	Purpose string `json:"purpose" enum:"active,spare" doc:"spare: requests come from it only during an outage of another region; admit it before"`
}

type addressesInput struct {
	IfNoneMatch string `header:"If-None-Match" doc:"the ETag that you read: the answer is 304 while the list is the same"`
}

type addressesOutput struct {
	Status       int
	ETag         string `header:"ETag"`
	CacheControl string `header:"Cache-Control"`
	Body         *AddressList
}

// AddressList is what a customer admits.
type AddressList struct {
	Addresses []AddressView `json:"addresses" doc:"admit all of them; empty when this installation lists none: it does not tell then where its requests come from"`
}

// addresses registers the list. Nothing in it is a tenant's, and who keeps a firewall need not be an administrator: it
// is for every role that has the Console.
func (s *API) addresses(api huma.API) {
	list := &AddressList{Addresses: []AddressView{}}
	h := sha256.New()
	for _, a := range s.EgressAddresses {
		v := AddressView{Address: a.String(), Region: a.Region, Purpose: "active"}
		if a.Spare {
			v.Purpose = "spare"
		}
		list.Addresses = append(list.Addresses, v)
		fmt.Fprintf(h, "%q", v)
	}
	tag := `"` + hex.EncodeToString(h.Sum(nil)[:8]) + `"`
	huma.Register(api, rest.Operation(access.Addresses, huma.Operation{
		OperationID: "list-egress-addresses", Method: http.MethodGet, Path: "/v1/egress-addresses",
		Tags:    []string{"Systems"},
		Summary: "List the addresses to admit", Description: "Where requests to your systems come from: what to " +
			"admit where a firewall or an access list stands before them. Mails come from the mail service. For " +
			"every role that has the Console.",
		Responses: map[string]*huma.Response{"304": {Description: "The list is the one that you read"}},
	}), func(_ context.Context, in *addressesInput) (*addressesOutput, error) {
		out := &addressesOutput{Status: http.StatusOK, ETag: tag, CacheControl: "private, no-cache", Body: list}
		if notModified(in.IfNoneMatch, tag) {
			out.Status, out.Body = http.StatusNotModified, nil
		}
		return out, nil
	})
}

// notModified compares an If-None-Match weakly, as RFC 9110 (13.1.2) asks: a proxy that compresses answers may have
// made the tag weak.
func notModified(ifNoneMatch, tag string) bool {
	return slices.ContainsFunc(strings.Split(ifNoneMatch, ","), func(one string) bool {
		one = strings.TrimSpace(one)
		return one == "*" || strings.TrimPrefix(one, "W/") == tag
	})
}
