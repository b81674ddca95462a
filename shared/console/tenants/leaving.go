package tenants

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"tocsin/shared/access"
	"tocsin/shared/console/rest"
	"tocsin/shared/erasure"
	"tocsin/shared/profile"
)

// Leaving is the operations on a tenant that leaves, and on a person of one.
type Leaving struct {
	rest.Kit
	Erasures *erasure.Service
}

// ErasureView is an erasure.
type ErasureView struct {
	Tenant  string         `json:"tenant" example:"42"`
	State   string         `json:"state" enum:"running,settling,done,failed" doc:"settling: what was on its way gets its time, then all is looked through once more; done: nothing was found after that; failed: more came in again and again"`
	Rows    map[string]int `json:"rows" nullable:"false" doc:"removed so far, by table"`
	Total   int            `json:"total" doc:"of all tables"`
	Began   time.Time      `json:"began"`
	Changed time.Time      `json:"changed"`
	Ended   *time.Time     `json:"ended,omitempty"`
	Next    *time.Time     `json:"next,omitempty" doc:"when it is looked through again, of one that is settling"`
	Problem string         `json:"problem,omitempty" doc:"why it failed, or why the last part is tried again; of one that is done, what is left to do"`
}

type erasureOutput struct{ Body ErasureView }

// PersonErasureView is an erasure of one person.
type PersonErasureView struct {
	ErasureView
	Pseudonym    string        `json:"pseudonym" example:"erased person 3f2a9c0144d2" doc:"what stands for the person from now on, in the activity log too; always the same for one person of a tenant"`
	Integrations []ChangedView `json:"integrations" nullable:"false" doc:"those whose parameters had the person's address"`
}

// ChangedView is an integration that a person was taken out of.
type ChangedView struct {
	ID       string `json:"id"`
	Name     string `json:"name" example:"Weekly report"`
	Disabled bool   `json:"disabled" doc:"it can not work without: say where it sends to, and enable it"`
}

type personErasureOutput struct{ Body PersonErasureView }

// TrialView is what an erasure of a person would do.
type TrialView struct {
	Integrations []ChangedView `json:"integrations" nullable:"false" doc:"those whose parameters have the person's address"`
}

type trialOutput struct{ Body TrialView }

type personInput struct {
	ID     string `path:"id" doc:"the tenant"`
	Person string `query:"person" required:"true" minLength:"3" maxLength:"254" doc:"the person's address" example:"ada@example.com"`
}

type erasePersonInput struct {
	ID   string `path:"id" doc:"the tenant"`
	Body struct {
		Person  string `json:"person" minLength:"3" maxLength:"254" doc:"the person's address" example:"ada@example.com"`
		Confirm string `json:"confirm" doc:"the address once more"`
	}
}

type tenantInput struct {
	ID string `path:"id" doc:"the tenant"`
}

type eraseInput struct {
	ID   string `path:"id" doc:"the tenant"`
	Body struct {
		Confirm string `json:"confirm" doc:"the tenant's id once more"`
	}
}

type exportInput struct {
	ID     string `path:"id" doc:"the tenant"`
	Person string `query:"person" minLength:"3" maxLength:"254" doc:"an address: the rows alone that name this person" example:"ada@example.com"`
	Cursor string `query:"cursor" maxLength:"7000" pattern:"^[A-Za-z0-9_-]*$" doc:"next_cursor of the page before"`

	named bool // person is there, with whatever
}

// Resolve tells a person who is named by nothing from nobody in particular, which is everybody.
func (in *exportInput) Resolve(ctx huma.Context) []error {
	u := ctx.URL()
	in.named = u.Query().Has("person")
	return nil
}

// RowView is one of what is kept.
type RowView struct {
	Table string `json:"table" example:"integrations"`
	Row   any    `json:"row" doc:"as it is kept, without what is secret; bytes that are no JSON are base64"`
}

type exportOutput struct {
	Body struct {
		Items      []RowView `json:"items" nullable:"false" doc:"table by table; a page can be empty and others follow"`
		NextCursor string    `json:"next_cursor,omitempty"`
	}
}

const exported rest.List = "what is kept of a tenant"

// Register adds the operations.
func (s *Leaving) Register(api huma.API) {
	tags := []string{"Tenants"}
	huma.Register(api, rest.Operation(access.Leaving, huma.Operation{
		OperationID: "export-tenant", Method: http.MethodGet, Path: "/v1/tenants/{id}/export", Tags: tags,
		Errors: []int{400, 422}, Summary: "Export all that is kept of a tenant",
		Description: "For the platform's operators. Each page has up to some megabytes of rows, until there is no " +
			"`next_cursor`. Who begins is noted in the tenant's activity log. `tocsin tenant export -url` makes an " +
			"archive of all pages. With `person` it is what is kept of one person. What changes meanwhile is in it as it was when its page was read.",
	}), s.export)
	huma.Register(api, rest.Operation(access.Leaving, huma.Operation{
		OperationID: "erase-tenant", Method: http.MethodPost, Path: "/v1/tenants/{id}/erasure", Tags: tags,
		DefaultStatus: http.StatusAccepted, Errors: []int{413, 415, 422}, Summary: "Erase a tenant",
		Description: "For the platform's operators. All that is kept of the tenant is removed for good: export it " +
			"before, and stop what publishes its events. It goes on in the background; `GET` tells how far it is. " +
			"One that is at work already is answered. Who asks is noted in their own activity log.",
	}), s.erase)
	huma.Register(api, rest.Operation(access.Leaving, huma.Operation{
		OperationID: "get-tenant-erasure", Method: http.MethodGet, Path: "/v1/tenants/{id}/erasure", Tags: tags,
		Errors: []int{404}, Summary: "Tell how far the erasure of a tenant is",
		Description: "For the platform's operators: the last one, with a count for each table. It is told for as " +
			"long as the entry of it in the activity log.",
	}), s.state)
	s.registerPeople(api, tags)
}

func (s *Leaving) registerPeople(api huma.API, tags []string) {
	huma.Register(api, rest.Operation(access.Leaving, huma.Operation{
		OperationID: "erase-person", Method: http.MethodPost, Path: "/v1/tenants/{id}/people/erasure", Tags: tags,
		DefaultStatus: http.StatusAccepted, Errors: []int{413, 415, 422}, Summary: "Erase a person of a tenant",
		Description: "For the platform's operators. What is the person's own is removed for good: their " +
			"notifications, sessions, tokens, suppressions and mails. What else names them by the address (entries " +
			"of the activity log, who made what, events, deliveries) stays, with a pseudonym in their place. " +
			"Integrations that they made work on; their address is taken out of receivers, and an integration that " +
			"has no other is disabled with the reason. Integrations are changed at once; the rest goes on in the " +
			"background, and `GET` tells how far it is. One that is at work already is answered. Who asks is noted " +
			"in the tenant's activity log, under the pseudonym.",
	}), s.erasePerson)
	huma.Register(api, rest.Operation(access.Leaving, huma.Operation{
		OperationID: "get-person-erasure", Method: http.MethodGet, Path: "/v1/tenants/{id}/people/erasure", Tags: tags,
		Errors: []int{404, 422}, Summary: "Tell how far the erasure of a person is",
		Description: "For the platform's operators: the last one, with a count for each table.",
	}), s.personState)
	huma.Register(api, rest.Operation(access.Leaving, huma.Operation{
		OperationID: "try-person-erasure", Method: http.MethodGet, Path: "/v1/tenants/{id}/people/erasure/trial",
		Tags: tags, Errors: []int{422}, Summary: "Tell which integrations an erasure of a person would change",
		Description: "For the platform's operators. Nothing is changed. What else is kept of the person is what the " +
			"export with `person` has.",
	}), s.tryPerson)
}

func noTenant() error {
	return rest.NewProblem(http.StatusUnprocessableEntity, "this is no id of a tenant: it has up to 64 "+
		"printable ASCII characters without spaces")
}

func viewOf(j erasure.Job) *erasureOutput { return &erasureOutput{statedOf(j)} }

func statedOf(j erasure.Job) ErasureView {
	v := ErasureView{Tenant: j.Tenant, State: string(j.State), Rows: map[string]int{}, Total: j.Rows.Total(),
		Began: j.Began, Changed: j.Changed, Problem: j.Problem}
	for table, n := range j.Rows {
		if n > 0 {
			v.Rows[table] = n
		}
	}
	if j.Over() {
		v.Ended = &j.Ended
	}
	if j.State == erasure.Settling {
		v.Next = &j.Due
	}
	return v
}

func personViewOf(j erasure.Job) *personErasureOutput {
	return &personErasureOutput{PersonErasureView{statedOf(j), j.Pseudonym, changedOf(j.Integrations)}}
}

func changedOf(all []erasure.Changed) []ChangedView {
	out := []ChangedView{}
	for _, c := range all {
		out = append(out, ChangedView(c))
	}
	return out
}

// answer words what was asked wrongly of a tenant or a person.
func (s *Leaving) answer(ctx context.Context, err error) error {
	var nobody *erasure.PersonError
	switch {
	case errors.Is(err, erasure.ErrName):
		return noTenant()
	case errors.As(err, &nobody):
		return rest.NewProblem(http.StatusUnprocessableEntity, "name the person by the address",
			rest.Fault("person", nobody.Why.Error()))
	case errors.Is(err, erasure.ErrNotFound):
		return rest.NewProblem(http.StatusNotFound, "nobody asked for an erasure of this person")
	}
	return s.Answer(ctx, err)
}

func (s *Leaving) erasePerson(ctx context.Context, in *erasePersonInput) (*personErasureOutput, error) {
	if in.Body.Confirm != in.Body.Person {
		return nil, rest.NewProblem(http.StatusUnprocessableEntity,
			"what is the person's would be gone for good: say the address in `confirm` too")
	}
	j, err := s.Erasures.StartPerson(ctx, rest.Person(ctx), in.ID, profile.Names(in.Body.Person))
	if err != nil {
		return nil, s.answer(ctx, err)
	}
	return personViewOf(j), nil
}

func (s *Leaving) personState(ctx context.Context, in *personInput) (*personErasureOutput, error) {
	j, err := s.Erasures.PersonJob(ctx, in.ID, profile.Names(in.Person))
	if err != nil {
		return nil, s.answer(ctx, err)
	}
	return personViewOf(j), nil
}

func (s *Leaving) tryPerson(ctx context.Context, in *personInput) (*trialOutput, error) {
	changed, err := s.Erasures.TryPerson(ctx, in.ID, profile.Names(in.Person))
	if err != nil {
		return nil, s.answer(ctx, err)
	}
	return &trialOutput{TrialView{changedOf(changed)}}, nil
}

func (s *Leaving) erase(ctx context.Context, in *eraseInput) (*erasureOutput, error) {
	if in.Body.Confirm != in.ID {
		return nil, rest.NewProblem(http.StatusUnprocessableEntity,
			fmt.Sprintf("all that is kept of tenant %s would be gone for good: say its id in `confirm` too", in.ID))
	}
	j, err := s.Erasures.Start(ctx, rest.Person(ctx), in.ID)
	if errors.Is(err, erasure.ErrName) {
		return nil, noTenant()
	}
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	return viewOf(j), nil
}

func (s *Leaving) state(ctx context.Context, in *tenantInput) (*erasureOutput, error) {
	j, err := s.Erasures.Job(ctx, in.ID)
	if errors.Is(err, erasure.ErrNotFound) {
		return nil, rest.NewProblem(http.StatusNotFound, "nobody asked for an erasure of this tenant")
	}
	if err != nil {
		return nil, s.Answer(ctx, err)
	}
	return viewOf(j), nil
}

func (s *Leaving) export(ctx context.Context, in *exportInput) (*exportOutput, error) {
	var person erasure.Person
	if in.named {
		person = profile.Names(in.Person)
	}
	after, err := rest.OpenCursor(exported, in.ID+" "+in.Person, in.Cursor)
	if err != nil {
		return nil, err
	}
	rows, next, err := s.Erasures.Export(ctx, rest.Person(ctx), in.ID, person, after)
	if err != nil {
		return nil, s.answer(ctx, err)
	}
	out := &exportOutput{}
	out.Body.Items = []RowView{}
	for _, r := range rows {
		out.Body.Items = append(out.Body.Items, RowView{r.Table, r.Body})
	}
	if next != "" {
		out.Body.NextCursor = rest.MakeCursor(exported, in.ID+" "+in.Person, next)
	}
	return out, nil
}
