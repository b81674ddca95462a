package erasure

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tocsin/shared/activity"
	"tocsin/shared/erasure/pseudonym"
	"tocsin/shared/tenant"
)

// ErrPerson: nobody is named.
var ErrPerson = errors.New("name the person by the address")

// errNamedAgain: what comes in names the person.
var errNamedAgain = errors.New("what comes in names the person again and again: have them removed where it comes " +
	"from, look whether an integration was given their address again, and erase them again")

// Integrations are what a person's address may be a receiver of.
type Integrations interface {
	// WithoutPerson takes a person out of the integrations of a tenant, and tells which. One that can not work without
	// is disabled, with the reason. With dry nothing is changed. It can be done again.
	WithoutPerson(ctx context.Context, tenant string, w pseudonym.Writer, dry bool) ([]Changed, error)
}

// Changed is an integration that a person was taken out of.
type Changed struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Disabled bool   `json:"disabled,omitempty"` // it can not work without: somebody has to say where it sends to
}

// pseudonymsKey is that of the job which keeps the secret of pseudonyms. No tenant has a space in its id.
const pseudonymsKey = " pseudonyms"

// secretBytes is the length of that secret: as the digest's.
const secretBytes = 32

// secret is that of this installation's pseudonyms. The first who asks makes it.
func (s *Service) secret(ctx context.Context) ([]byte, error) {
	j, err := s.Jobs.Job(ctx, pseudonymsKey)
	if !errors.Is(err, ErrNotFound) {
		return j.Secret, err
	}
	j = Job{Tenant: pseudonymsKey, State: Running, Rows: Counts{}, Secret: make([]byte, secretBytes), Revision: 1}
	if _, err := rand.Read(j.Secret); err != nil {
		return nil, err
	}
	if err = s.Jobs.SaveJob(ctx, j); errors.Is(err, ErrConflict) {
		j, err = s.Jobs.Job(ctx, pseudonymsKey) // of two who ask at once
	}
	return j.Secret, err
}

// pseudonymOf is what stands for a person of a tenant from here on. It is always the same, so that a second erasure
// goes on with the first one's. Addresses can be guessed: a digest of one alone would tell who reads the log whether a
// guess is right, so that it takes the installation's secret as well, which no answer, log or export has.
func (s *Service) pseudonymOf(ctx context.Context, of string, person Person) (string, error) {
	secret, err := s.secret(ctx)
	if err != nil {
		return "", fmt.Errorf("read the secret of pseudonyms: %w", err)
	}
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(of + "\x00" + strings.ToLower(person[len(person)-1])))
	return "erased person " + hex.EncodeToString(m.Sum(nil)[:6]), nil
}

// writer replaces what a job is about.
func (j Job) writer() pseudonym.Writer {
	return pseudonym.Writer{Names: pseudonym.NamesOf(j.Person), Pseudonym: j.Pseudonym, Called: j.Called}
}

// asked looks at what an erasure of a person is to be. Errors: ErrName, ErrPerson.
func (s *Service) asked(ctx context.Context, of string, person Person) (j Job, err error) {
	if !tenant.Valid(of) {
		return j, fmt.Errorf("erase a person of tenant %q: %w", of, ErrName)
	}
	if err := person.check(); err != nil {
		return j, fmt.Errorf("erase a person of tenant %s: %w", of, err)
	}
	j = Job{Tenant: of, Person: person}
	j.Pseudonym, err = s.pseudonymOf(ctx, of, person)
	return j, err
}

// TryPerson tells what StartPerson would do with integrations.
func (s *Service) TryPerson(ctx context.Context, of string, person Person) ([]Changed, error) {
	j, err := s.asked(ctx, of, person)
	if err != nil {
		return nil, err
	}
	return s.Integrations.WithoutPerson(ctx, of, j.writer(), true)
}

// StartPerson asks for the erasure of one person of a tenant, which is noted in its log under the pseudonym. Where one
// is at work already, it is that. Integrations are changed at once, so that a call that fails is made again; the rest
// goes in parts, as with a tenant. Errors: ErrName, ErrPerson.
func (s *Service) StartPerson(ctx context.Context, by activity.Actor, of string, person Person) (Job, error) {
	j, err := s.asked(ctx, of, person)
	if err != nil {
		return j, err
	}
	before, err := s.Jobs.Job(ctx, j.Key())
	if err != nil && !errors.Is(err, ErrNotFound) {
		return before, fmt.Errorf("look for the erasure of a person of tenant %s: %w", of, err)
	}
	if err == nil && !before.Over() {
		return before, nil
	}
	if j.Integrations, err = s.Integrations.WithoutPerson(ctx, of, j.writer(), false); err != nil {
		return j, fmt.Errorf("take a person out of the integrations of tenant %s: %w: try again", of, err)
	}
	now := s.Now()
	j.State, j.Rows, j.Began, j.Changed, j.Due, j.Revision = Running, Counts{}, now, now, now, before.Revision+1
	by.Tenant = of
	if err := s.Jobs.SaveJob(ctx, j, activity.Entry{ID: s.NewID(), At: now, Actor: by, Object: activity.User,
		ObjectID: j.Pseudonym, Action: activity.Erase}); errors.Is(err, ErrConflict) {
		return s.Jobs.Job(ctx, j.Key()) // of two who ask at once
	} else if err != nil {
		return j, fmt.Errorf("begin to erase a person of tenant %s: %w", of, err)
	}
	if s.Wake != nil {
		s.Wake()
	}
	return j, nil
}

// PersonJob reads the last erasure of a person. Errors: ErrName, ErrPerson, ErrNotFound.
func (s *Service) PersonJob(ctx context.Context, of string, person Person) (Job, error) {
	j, err := s.asked(ctx, of, person)
	if err == nil {
		j, err = s.Jobs.Job(ctx, j.Key())
	}
	if err != nil {
		return j, fmt.Errorf("look for the erasure of a person of tenant %s: %w", of, err)
	}
	return j, nil
}

// ErasePerson is StartPerson, and all of the work: for a command where nothing else runs, so that nothing is on its
// way. After an error or a crash it is called again, and goes on.
func (s *Service) ErasePerson(ctx context.Context, by activity.Actor, of string, person Person) (Job, error) {
	j, err := s.StartPerson(ctx, by, of, person)
	alone := *s
	alone.Settle = 0
	for err == nil && !j.Over() {
		if err = alone.work(ctx, j, s.Now().Add(lease)); err == nil {
			j, err = s.Jobs.Job(ctx, j.Key())
		}
	}
	if err == nil && j.State == Failed {
		err = errors.New(j.Problem)
	}
	if err != nil {
		return j, fmt.Errorf("erase a person of tenant %s: %w", of, err)
	}
	return j, nil
}

// learn reads a page of what is kept of the person: what they are called is gone with the rows that say it.
func (s *Service) learn(ctx context.Context, j *Job) (next string, err error) {
	source, err := j.Person.Of(s.Source)
	if err != nil {
		return "", err
	}
	rows, next, err := source.Page(ctx, j.Tenant, j.From)
	if err != nil {
		return "", err
	}
	names := pseudonym.NamesOf(j.Person)
	for _, r := range rows {
		var v any
		if err := json.Unmarshal(r.Body, &v); err != nil {
			return "", err
		}
		j.Called = append(j.Called, names.CalledIn(v)...)
	}
	slices.Sort(j.Called)
	j.Called = slices.Compact(j.Called)
	slices.SortStableFunc(j.Called, func(a, b string) int { return len(b) - len(a) }) // Ada Lovelace-King first
	j.Learned = next == ""
	return next, nil
}

// part does one part of a job. over says that it ended a pass.
func (s *Service) part(ctx context.Context, j *Job) (rows Counts, next string, over bool, err error) {
	switch {
	case len(j.Person) == 0:
		rows, next, err = s.Store.Erase(ctx, j.Tenant, j.From)
	case !j.Learned:
		next, err = s.learn(ctx, j)
		return nil, next, false, err
	default:
		rows, next, err = s.Store.ErasePerson(ctx, j.Tenant, j.writer(), j.From)
	}
	return rows, next, next == "", err
}

// endPerson forgets whom a job was about, and notes that it is over.
func (s *Service) endPerson(ctx context.Context, j Job) error {
	j.Person, j.Called = nil, nil
	if j.State == Failed {
		s.Logger.Error("person not erased", "tenant", j.Tenant, "person", j.Pseudonym, "problem", j.Problem)
		return s.Jobs.SaveJob(ctx, j)
	}
	entry := s.entry(j.Tenant, j.Rows)
	entry.Object, entry.ObjectID = activity.User, j.Pseudonym
	j.Problem = s.Clear(ctx)
	if err := s.Jobs.SaveJob(ctx, j, entry); err != nil {
		return err
	}
	if todo := s.Clear(ctx); todo != j.Problem { // what the job was before named the person
		j.Problem = todo
		j.Revision++
		if err := s.Jobs.SaveJob(ctx, j); err != nil {
			return err
		}
	}
	s.told(j)
	s.Logger.Info("person erased", "tenant", j.Tenant, "person", j.Pseudonym, "rows", j.Rows.Total())
	return nil
}

// Counted are the rows of a source, by table: of a person's, what an erasure would find now.
func Counted(ctx context.Context, source Source, of string) (Counts, error) {
	rows := Counts{}
	err := each(ctx, source, of, func(r Row) error {
		rows[r.Table]++
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count what is kept of a person of tenant %s: %w", of, err)
	}
	return rows, nil
}
