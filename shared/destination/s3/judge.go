package s3

import (
	"encoding/xml"
	"time"

	"tocsin/shared/destination"
)

// Timeout of writing a file, which can be large.
const Timeout = 60 * time.Second

// codes explain S3's own. Amazon S3, API reference, "Error responses".
var codes = map[string]string{
	"AccessDenied":                       "the role or key may not write there: it needs s3:PutObject on the bucket's objects (<bucket arn>/*), and the bucket's policy and its KMS key must allow it",
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
	"XMinioStorageFull":                  "the storage is full",
	"InvalidBucketState":                 "the bucket takes no objects in its present state",
	"KMS.DisabledException":              "the bucket's KMS key is disabled",
	"KMS.NotFoundException":              "the bucket's KMS key is gone",
}

// Judge reads the storage's code.
func Judge(r destination.Response) destination.Verdict {
	var a struct {
		Code    string
		Message string
		Region  string
	}
	_ = xml.Unmarshal(r.Body, &a) // without a code the status speaks
	why, known := codes[a.Code]
	if r.Status >= 200 && r.Status <= 299 || !known {
		return destination.JudgeSaid(r, map[int]string{
			301: "the bucket is in another region: enter that region", 307: "the bucket was made moments ago or is in another region: try again, then check the region",
			404: "there is no such bucket: check its name and its region",
		}, destination.Said(a.Code, a.Message))
	}
	if a.Region == "" {
		a.Region = r.Header.Get("X-Amz-Bucket-Region")
	}
	if a.Region != "" {
		why += " (it is in " + destination.Said(a.Region) + ")"
	}
	v := destination.Failed(r, "the storage answered "+destination.StatusText(r.Status)+" "+a.Code+": "+why)
	v.Stale = a.Code == "ExpiredToken" || a.Code == "InvalidToken"
	return v
}

// Judge is that of all storage of this protocol.
func (Destination) Judge(r destination.Response) destination.Verdict { return Judge(r) }
