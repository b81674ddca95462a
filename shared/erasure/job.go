package erasure

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/tenant"
)

// Errors of jobs.
var (
	ErrNotFound = errors.New("nobody asked for an erasure of this tenant")
	ErrConflict = errors.New("somebody else is at work at it")
)

// State is how far a job is.
type State string

// The states.
const (
	Running  State = "running"  // rows are being removed
	Settling State = "settling" // what was on its way gets its time, then all is looked through once more
	Done     State = "done"     // nothing was found after that
	Failed   State = "failed"   // more came in again and again: Problem says what to do
)

// Job is an erasure that the API was asked for. It is done in parts, which who has the time takes up.
type Job struct {
	Tenant   string    `json:"tenant"`
	State    State     `json:"state"`
	Rows     Counts    `json:"rows"` // removed so far
	Began    time.Time `json:"began"`
	Changed  time.Time `json:"changed"`
	Ended    time.Time `json:"ended,omitzero"`
	Problem  string    `json:"problem,omitempty"` // of the last part; of one that is done what is left to do
	Due      time.Time `json:"due,omitzero"`      // nobody works at it before; zero = it is over
	From     string    `json:"from,omitempty"`    // where the next part begins
	Found    int       `json:"found,omitempty"`   // rows in the pass at work
	Passes   int       `json:"passes,omitempty"`  // those that are over
	Revision int64     `json:"revision"`

	// Of the erasure of one person alone. Person and Called name them until it is over.
	Person       Person    `json:"person,omitempty"`
	Called       []string  `json:"called,omitempty"`
	Learned      bool      `json:"learned,omitempty"` // Called is all that they are called
	Pseudonym    string    `json:"pseudonym,omitempty"`
	Integrations []Changed `json:"integrations,omitempty"` // that they were taken out of

	Secret []byte `json:"secret,omitempty"` // see pseudonymsKey
}

// Key names a job: by the tenant, that of a person by the pseudonym too. No tenant has a space in its id.
func (j Job) Key() string {
	if j.Pseudonym == "" {
		return j.Tenant
	}
	return j.Tenant + " " + j.Pseudonym
}

// Over reports whether nothing is left to do.
func (j Job) Over() bool { return j.State == Done || j.State == Failed }

// Forget is when a job that is over is forgotten: with the entry of it.
func (j Job) Forget() time.Time {
	if !j.Over() {
		return time.Time{}
	}
	return activity.Expires(j.Ended)
}

// Jobs keeps jobs: one for each tenant and each erased person, which is no row of the tenant's.
type Jobs interface {
	// Job reads one by its key. Error: ErrNotFound.
	Job(ctx context.Context, key string) (Job, error)
	// SaveJob replaces that of the revision before, of 1 none, with the entries of it. Error: ErrConflict.
	SaveJob(ctx context.Context, j Job, entries ...activity.Entry) error
	// DueJobs lists those that are due, the oldest first.
	DueJobs(ctx context.Context, now time.Time, limit int) ([]Job, error)
}

// Start asks for an erasure, which is noted in the log of who does so: that of the tenant goes with it. Where one is
// at work already, it is that. Error: ErrName.
func (s *Service) Start(ctx context.Context, by activity.Actor, of string) (Job, error) {
	return s.start(ctx, of, activity.Entry{ID: s.NewID(), At: s.Now(), Actor: by, Object: activity.Tenant, ObjectID: of,
		Action: activity.Erase})
}

// Begin is Start for a command of the machine, which is nobody's of a tenant.
func (s *Service) Begin(ctx context.Context, of string) (Job, error) { return s.start(ctx, of) }

func (s *Service) start(ctx context.Context, of string, asked ...activity.Entry) (Job, error) {
	if !tenant.Valid(of) {
		return Job{}, fmt.Errorf("erase tenant %q: %w", of, ErrName)
	}
	before, err := s.Jobs.Job(ctx, of)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return before, fmt.Errorf("look for the erasure of tenant %s: %w", of, err)
	}
	if err == nil && !before.Over() {
		return before, nil
	}
	now := s.Now()
	j := Job{Tenant: of, State: Running, Rows: Counts{}, Began: now, Changed: now, Due: now,
		Revision: before.Revision + 1}
	if err := s.Jobs.SaveJob(ctx, j, asked...); errors.Is(err, ErrConflict) {
		return s.Job(ctx, of) // of two who ask at once
	} else if err != nil {
		return j, fmt.Errorf("begin to erase tenant %s: %w", of, err)
	}
	if s.Wake != nil {
		s.Wake()
	}
	return j, nil
}

// Job reads the last erasure of a tenant that was asked for. Error: ErrNotFound.
func (s *Service) Job(ctx context.Context, of string) (Job, error) {
	j, err := s.Jobs.Job(ctx, of)
	if err != nil {
		return j, fmt.Errorf("look for the erasure of tenant %s: %w", of, err)
	}
	return j, nil
}

// Limits of work at jobs.
const (
	// lease is how long a part may take: after that somebody else takes the job up.
	lease = 10 * time.Minute
	// again is after how long a part that failed is tried again.
	again = time.Minute
	// atOnce is how many jobs one look takes up.
	atOnce = 10
)

// Work does jobs that are due until they are not, or the time is up; the rest is taken up by the next look. It returns
// how many it worked at.
func (s *Service) Work(ctx context.Context, until time.Time) (worked int, err error) {
	due, err := s.Jobs.DueJobs(ctx, s.Now(), atOnce)
	if err != nil {
		return 0, fmt.Errorf("look for erasures that are due: %w", err)
	}
	for _, j := range due {
		if !s.Now().Before(until) {
			break
		}
		worked++
		if failed := s.work(ctx, j, until); failed != nil && !errors.Is(failed, ErrConflict) {
			err = errors.Join(err, fmt.Errorf("erase tenant %s: %w", j.Tenant, failed))
		}
	}
	return worked, err
}

func (s *Service) work(ctx context.Context, j Job, until time.Time) error {
	j.State = Running
	if err := s.save(ctx, &j, s.Now().Add(lease)); err != nil { // it is ours now
		return err
	}
	for {
		rows, next, over, err := s.part(ctx, &j)
		j.Rows.add(rows)
		if j.Found += rows.Total(); err != nil {
			j.Problem = "a part failed and is tried again: " + err.Error()
			return errors.Join(err, s.save(context.WithoutCancel(ctx), &j, s.Now().Add(again)))
		}
		j.Problem = ""
		if j.From = next; over {
			s.passed(&j)
		}
		now := s.Now()
		switch {
		case j.Over():
			return s.end(ctx, j)
		case j.State == Settling && j.Due.After(now):
			return s.save(ctx, &j, j.Due)
		case !now.Before(until):
			return s.save(ctx, &j, now)
		}
		j.State = Running
		if err := s.save(ctx, &j, now.Add(lease)); err != nil {
			return err
		}
	}
}

// passed is what follows a pass. It is done when one found nothing that began when all that was on its way before had
// its time.
func (s *Service) passed(j *Job) {
	now, found := s.Now(), j.Found
	j.Found = 0
	j.Passes++
	switch {
	case found == 0 && j.Passes > 1:
		j.State, j.Ended = Done, now
	case j.Passes > passes:
		j.State, j.Ended, j.Problem = Failed, now, ErrStillComing.Error()
		if len(j.Person) > 0 {
			j.Problem = errNamedAgain.Error()
		}
	default:
		j.State, j.Due = Settling, now.Add(s.Settle)
	}
}

func (s *Service) save(ctx context.Context, j *Job, due time.Time) error {
	j.Revision++
	j.Changed, j.Due = s.Now(), due
	return s.Jobs.SaveJob(ctx, *j)
}

// end notes that a job is over.
func (s *Service) end(ctx context.Context, j Job) error {
	j.Revision++
	j.Changed, j.Due = s.Now(), time.Time{}
	if len(j.Person) > 0 {
		return s.endPerson(ctx, j)
	}
	if j.State == Failed {
		s.Logger.Error("tenant not erased", "tenant", j.Tenant, "rows", j.Rows.Total(), "problem", j.Problem)
		return s.Jobs.SaveJob(ctx, j)
	}
	j.Problem = s.Clear(ctx)
	if err := s.Jobs.SaveJob(ctx, j, s.entry(j.Tenant, j.Rows)); err != nil {
		return err
	}
	s.told(j)
	s.Logger.Info("tenant erased", "tenant", j.Tenant, "rows", j.Rows.Total())
	return nil
}

// told logs what is left to do of a job that is done.
func (s *Service) told(j Job) {
	if j.Problem != "" {
		s.Logger.Warn("an erasure is done, but for one thing", "tenant", j.Tenant, "problem", j.Problem)
	}
}
