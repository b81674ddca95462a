package s3

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"net/http"
	"regexp"
	"strings"
	"time"

	"tocsin/shared/destination"
)

// Timeout of writing a file, which can be large.
const Timeout = 60 * time.Second

// codes explain S3's own. Amazon S3, API reference, "Error responses".
var codes = map[string]string{
	"AccessDenied": "the role or key may not write there: it needs s3:PutObject on the " +
		"bucket's objects (<bucket arn>/*), and the bucket's policy and its KMS key must allow it",
	"AllAccessDisabled":                  "the bucket is blocked by its owner or by the storage",
	"NoSuchBucket":                       "there is no such bucket: check its name and its region",
	"PermanentRedirect":                  "the bucket is in another region: enter that region",
	"AuthorizationHeaderMalformed":       "the bucket is in another region: enter that region",
	"IllegalLocationConstraintException": "the bucket is in another region: enter that region",
	"InvalidAccessKeyId":                 "the access key ID is not known: enter it again, or make a new key",
	"SignatureDoesNotMatch":              "the secret access key is not right: enter it again",
	"ExpiredToken":                       "the temporary credentials have expired",
	"InvalidToken":                       "the temporary credentials are not valid",
	"RequestTimeTooSkewed":               "the clocks of the platform and of the storage differ too much",
	"SlowDown":                           "the storage asks to slow down",
	"ServiceUnavailable":                 "the storage is busy",
	"InternalError":                      "the storage has a fault of its own",
	"EntityTooLarge":                     "the storage takes no file of this size",
	"QuotaExceeded":                      "the bucket's quota is used up",
	"XMinioAdminBucketQuotaExceeded":     "the bucket's quota is used up",
	"XMinioStorageFull":                  "the storage is full",
	"InvalidBucketState":                 "the bucket takes no objects in its present state",
	"KMS.DisabledException":              "the bucket's KMS key is disabled",
	"KMS.NotFoundException":              "the bucket's KMS key is gone",
	"KMS.KMSInvalidStateException":       kmsState,
	"KMS.InvalidStateException":          kmsState,
	"KMS.AccessDeniedException":          kmsDenied,
	"KMS.InvalidKeyUsageException":       "the bucket's KMS key is not one for encryption",
}

const kmsDenied = "the bucket's KMS key does not let the role or key in: allow kms:GenerateDataKey on that key, in " +
	"the policy of the role or user and in the key's own policy"

const kmsState = "the bucket's KMS key can not be used in its present state: it may be about to be deleted"

// ofKey begins the codes that the key management service gives to S3.
const ofKey = "KMS."

// throttled finds the codes that ask to slow down, whichever service they come from: ThrottlingException,
// KMS.ThrottlingException.
var throttled = regexp.MustCompile(`(?i)throttl`)

// slow reports a code that asks to slow down.
func slow(code string) bool { return busy[code] || throttled.MatchString(code) }

// Kinds of codes. Amazon S3, "Error responses"; MinIO, cmd/api-errors.go, for its own.
var (
	busy = set("SlowDown", "SlowDownRead", "SlowDownWrite", "ServiceUnavailable", "TooManyRequests",
		"RequestLimitExceeded", "BandwidthLimitExceeded")
	content = set("EntityTooLarge", "MaxMessageLengthExceeded", "EntityTooSmall")
	gone    = set("NoSuchBucket")
	made    = map[int]bool{http.StatusOK: true, http.StatusCreated: true, http.StatusNoContent: true}
	// certain are the codes of a 400 or 501 whose cause is another than a header that the storage does not take.
	certain = set("EntityTooLarge", "MaxMessageLengthExceeded", "EntityTooSmall", "ExpiredToken", "InvalidToken",
		"AuthorizationHeaderMalformed", "IllegalLocationConstraintException",
		"InvalidBucketName", "InvalidAccessKeyId", "KeyTooLongError", "RequestTimeout", "RequestTimeTooSkewed",
		"TokenRefreshRequired", "BadDigest", "IncompleteBody",
		"InvalidBucketState", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded")
)

// isCertain reports that a header which the storage does not take is not what is wrong.
func isCertain(code string) bool {
	return certain[code] || slow(code) || strings.HasPrefix(code, ofKey)
}

func set(all ...string) map[string]bool {
	out := map[string]bool{}
	for _, w := range all {
		out[w] = true
	}
	return out
}

// said is an error document.
type said struct {
	XMLName xml.Name
	Code    string
	Message string
	Region  string
}

// Judge takes a 2xx for a success that holds no error document and nothing but storage could have answered: with an
// ETag, in XML, or empty. Amazon S3, API reference, "PutObject": 200 with an ETag and no body; servers that speak the
// protocol may answer 201 or 204 to a PUT (RFC 9110, 9.3.4). Of some calls S3 answers errors inside a 200, hence the
// look at the body.
func Judge(r destination.Response) destination.Verdict {
	var a said
	readable := xml.Unmarshal(r.Body, &a) == nil // without a code the status speaks
	document := readable && a.XMLName.Local == "Error"
	switch {
	case !destination.Success(r.Status):
	case document:
		v := failed(r, a)
		v.Pace = v.Pace || slow(a.Code)
		return v
	case destination.WebPage(r), !made[r.Status], len(bytes.TrimSpace(r.Body)) > 0 && !readable &&
		r.Header.Get("ETag") == "":
		return destination.Unproven(r,
			"storage that speaks the protocol of Amazon S3 answers 200 with an ETag and nothing else")
	default:
		return destination.Delivered()
	}
	v := failed(r, a)
	v.Pace = v.Pace || slow(a.Code)
	v.Gone = gone[a.Code] || r.Status == http.StatusGone
	v.Unread = content[a.Code] || r.Status == http.StatusRequestEntityTooLarge
	v.Stale = a.Code == "ExpiredToken" || a.Code == "InvalidToken"
	if (r.Status == http.StatusBadRequest || r.Status == http.StatusNotImplemented) && !isCertain(a.Code) {
		v.Without = destination.Checksum
	}
	return v
}

// denied says more of an AccessDenied where its message does: which permission was missing, and what kind of policy
// said no. S3, user guide, "Troubleshoot access denied (403 Forbidden) errors": the message names them where the
// caller's account or organisation is the bucket's.
func denied(message string) string {
	switch {
	case strings.Contains(message, "kms:"):
		return kmsDenied
	case strings.Contains(message, "explicit deny"):
		return "a policy forbids it expressly (of the bucket, of the role or user, or of the organisation): it must " +
			"let s3:PutObject on the bucket's objects (<bucket arn>/*) through"
	}
	return ""
}

func failed(r destination.Response, a said) destination.Verdict {
	why, known := codes[a.Code]
	switch {
	case a.Code == "AccessDenied":
		why = cmp.Or(denied(a.Message), why)
	case !known && slow(a.Code):
		why, known = codes["SlowDown"], true
	}
	if !known && destination.Success(r.Status) {
		return destination.Failed(r, "the storage answered "+destination.StatusText(r.Status)+
			" with an error in it (it says: "+destination.Said(a.Code, a.Message)+")")
	}
	if !known {
		return destination.JudgeSaid(r, map[int]string{
			301: "the bucket is in another region: enter that region",
			307: "the bucket was made moments ago or is in another region: try again, then check the region",
			400: "the storage does not accept the request",
			404: "there is no such bucket: check its name and its region",
			405: "this is not the address of the storage's S3 API: check the endpoint",
			501: "the storage does not support a part of the request",
		}, destination.Said(a.Code, a.Message))
	}
	if a.Region == "" {
		a.Region = r.Header.Get("X-Amz-Bucket-Region")
	}
	if a.Region != "" {
		why += " (it is in " + destination.Said(a.Region) + ")"
	}
	return destination.Failed(r, "the storage answered "+destination.StatusText(r.Status)+" "+a.Code+": "+why)
}

// Judge is that of all storage of this protocol.
func (Destination) Judge(r destination.Response) destination.Verdict { return Judge(r) }
