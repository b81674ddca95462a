// Package console is the API that administrators manage integrations through, and its documentation page. The
// OpenAPI 3.1 document is made from the code by huma (github.com/danielgtaylor/huma, on net/http), which also
// validates requests against it, so the two can not disagree; testdata/openapi.json is the copy that CI holds
// against it. Every answer about an error is a problem (RFC 9457) that lists the fields at fault and repeats no
// value that was sent: it can be a secret.
package console
