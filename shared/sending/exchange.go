package sending

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"tocsin/shared/cut"
	"tocsin/shared/destination"
	"tocsin/shared/integration"
	"tocsin/shared/redact"
	"tocsin/shared/sending/reachability"
)

// request sends one request. One that asks for a feature which the system turns out not to take is sent once more
// without it.
func (s *Sender) request(ctx context.Context, r *Target, q destination.Request,
	a *attempt) (destination.Verdict,
	error) {
	if q.Mail != nil {
		q.Mail.Tenant, q.Mail.Integration = r.Integration.Tenant, account(r.Integration.ID)
	}
	q = r.features.LeaveOut(q, s.Now())
	verdict, err := s.credentialed(ctx, r, q, a)
	if err != nil || verdict.Delivered || verdict.Without == "" || q.Spare == nil {
		return verdict, err
	}
	less, ok := q.Spare.Without(q, verdict.Without)
	if !ok {
		return verdict, nil
	}
	again, err := s.credentialed(ctx, r, less, a)
	if again.Delivered {
		r.features.Remember(q, verdict.Without, s.Now())
	}
	return again, err
}

// credentialed sends one request with its credential. One whose credential turns out to be refused is sent once more
// with a new one.
func (s *Sender) credentialed(ctx context.Context, r *Target, q destination.Request,
	a *attempt) (destination.Verdict,
	error) {
	if q.Authorizer == nil {
		return s.exchange(ctx, r, q, a, q.Secrets...)
	}
	for last := false; ; last = true {
		got, fresh, err := r.credentials.Get(ctx, s.Transport, s.Now, q.Authorizer)
		if err != nil {
			return destination.Verdict{}, err
		}
		if !got.Verdict.Delivered {
			// What answers a request for a credential is never kept: it can hold the form that asked, or a credential.
			a.Status, a.Answer, a.Gone, a.lost = got.Status, "", got.Verdict.Gone, got.Lost
			return got.Verdict, nil
		}
		signed, err := q.Authorizer.Apply(q, got.Credential, s.Now())
		if err != nil {
			return destination.Verdict{Reason: "the request could not be signed: " + err.Error()}, nil
		}
		verdict, err := s.exchange(ctx, r, signed, a, append(got.Credential.Secrets(), q.Secrets...)...)
		if err != nil || verdict.Delivered || !verdict.Stale && a.Status != http.StatusUnauthorized {
			return verdict, err
		}
		r.credentials.Drop(q.Authorizer.Key(), got.Credential)
		if fresh || last {
			return verdict, nil
		}
	}
}

// exchange sends one request as it is and judges the answer; secrets are those of its credential.
func (s *Sender) exchange(ctx context.Context, r *Target, q destination.Request, a *attempt,
	secrets ...string) (destination.Verdict, error) {
	response, err := s.Transport.Do(ctx, q)
	if err != nil {
		if cause := ctx.Err(); cause != nil && errors.Is(err, cause) {
			return destination.Verdict{}, err
		}
		a.Status, a.Answer, a.Gone = 0, "", false
		a.lost = reachability.Lost(err, q)
		return reachability.Unsent(err), nil
	}
	a.lost = ""
	response.At = s.Now()
	verdict := judged(r, q, response)
	a.broken = response.Broken
	a.Status, a.Gone = response.Status, verdict.Gone
	verdict.Pace = verdict.Pace || a.Status == http.StatusTooManyRequests && !verdict.Delivered
	hide := r.redact.With(secrets...)
	verdict.Reason = hide.Text(verdict.Reason)
	if verdict.Adapt != nil {
		s.adapt(ctx, r, verdict)
	}
	a.Answer = "" // of the request before, where this one went out without what that one was refused for
	if !verdict.Delivered {
		a.Answer = answer(hide, response)
	}
	return verdict, nil
}

// judged is what an answer means.
func judged(r *Target, q destination.Request, response destination.Response) destination.Verdict {
	if q.Judge != nil {
		return q.Judge(response)
	}
	return r.destination.Judge(response)
}

// adapt changes the integration as an answer demands. Of many attempts that get the same answer one does it; what it
// can not do now, the answer to the next attempt demands again.
func (s *Sender) adapt(ctx context.Context, r *Target, v destination.Verdict) {
	i := r.Integration
	if s.Adapter == nil || i.ID == "" {
		return
	}
	reason := cut.Keep(r.redact.Text(v.Reason), maxReason)
	if _, err := s.Adapter.Adapt(ctx, i, v.Adapt, reason); err != nil && !errors.Is(err, integration.ErrConflict) &&
		!errors.Is(err, integration.ErrNotFound) {
		s.Log.Error("change an integration as its system demands", "tenant", i.Tenant, "integration", i.ID, "reason",
			reason, "error", err.Error())
	}
}

// answerRead is how much of an answer is looked at for the start of it that is kept, in bytes: what is cut here is far
// behind what is kept, unless masks have made it shorter.
const answerRead = 4 * maxAnswer

// answer is the start of an answer as the log may keep it. It is cut after it was masked, so that no secret is half
// cut; and made UTF-8 after that: what is none can be another charset.
func answer(hide *redact.Redactor, r destination.Response) string {
	body, end := r.Body, hide.Text
	if len(body) >= answerRead || r.Broken { // the way out keeps no more
		body, end = body[:min(len(body), answerRead)], hide.Cut
	}
	return cut.Keep(strings.ToValidUTF8(end(string(body)), "�"), maxAnswer)
}
