// Package erasuretest is the suite of exports and erasures of tenants.
package erasuretest

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/access"
	"tocsin/shared/activity"
	"tocsin/shared/engine/enginetest"
	"tocsin/shared/erasure"
	"tocsin/shared/profile"
)

// Leaving and Staying are tenants whose ids are found by themselves, and stand in all that is kept of them.
const Leaving, Staying = "tenant-that-leaves.example", "tenant-that-stays"

// Engine is an engine with its ways in.
type Engine struct {
	Store  erasure.Store
	Source erasure.Source
	Jobs   erasure.Jobs
	Log    activity.Store
	Stores // of people
	// Fill makes one of each kind of row of a tenant.
	Fill func(t *testing.T, tenant string)
	// Rows are all rows of all tables, and all messages of all queues, as text in which the id of a tenant is found.
	Rows func(t *testing.T) map[string][]string
	// Unnamed are the tables whose rows name no tenant.
	Unnamed []string
	// Named are the names of tables in counts, where these are other ones than in Rows.
	Named map[string]string
	// NotExported are counts of what is in no export: messages, and rows that only find others.
	NotExported []string
}

// Open opens an engine.
type Open func(t *testing.T) Engine

// Erasure is the suite of erasure.Store, erasure.Source and erasure.Jobs.
func Erasure(t *testing.T, open Open) {
	run := enginetest.Parallel(t, open)
	run("a tenant that leaves is found nowhere, and another keeps what it has", found)
	run("what is erased was exported, and nothing of anybody else", exported)
	run("what is kept of a person is exported, and no row that does not name them", exportedOfPerson)
	run("a job is done in parts, and looks once more when what was on its way had its time", jobIsDone)
	run("a job that always finds more says so", moreComes)
	run("of two who change a job one does", oneChanges)
}

// clock is what time it is.
type clock struct{ now time.Time }

func service(e Engine, c *clock) *erasure.Service {
	n := 0
	return &erasure.Service{Store: e.Store, Source: e.Source, Jobs: e.Jobs, Log: e.Log, Settle: time.Hour,
		Now:    func() time.Time { return c.now },
		NewID:  func() string { n++; return fmt.Sprint("erased-", n) },
		Logger: slog.New(slog.DiscardHandler)}
}

// naming are the rows of each table that name a tenant.
func (e Engine) naming(t *testing.T, of string) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for table, rows := range e.Rows(t) {
		for _, row := range rows {
			if strings.Contains(row, of) {
				out[table] = append(out[table], row)
			}
		}
		slices.Sort(out[table])
	}
	return out
}

func sizes(rows map[string][]string) map[string]int {
	out := map[string]int{}
	for table, all := range rows {
		out[table] = len(all)
	}
	return out
}

func found(t *testing.T, open Open) {
	e := open(t)
	e.Fill(t, Leaving)
	before := sizes(e.Rows(t))
	for table, rows := range before {
		require.NotZero(t, rows, "nothing is tried of the table %s: fill it", table)
	}
	e.Fill(t, Staying)
	others := e.naming(t, Staying)
	for table := range before {
		if !slices.Contains(e.Unnamed, table) {
			require.NotEmpty(t, others[table], "no row of %s names its tenant", table)
		}
	}
	rows, err := service(e, &clock{enginetest.At}).Erase(t.Context(), Leaving)
	require.NoError(t, err)
	for table, n := range before {
		if !slices.Contains(e.Unnamed, table) {
			require.Positive(t, rows[cmp.Or(e.Named[table], table)], "%s has %d, and none was counted", table, n)
		}
	}
	left := e.naming(t, Leaving)
	require.Equal(t, 1, len(slices.Concat(slices.Collect(maps.Values(left))...)), "the entry alone: %v", left)
	require.Equal(t, others, e.naming(t, Staying), "another tenant keeps what it has")
	again, err := service(e, &clock{enginetest.At}).Erase(t.Context(), Leaving)
	require.NoError(t, err)
	require.Equal(t, 1, again.Total(), "the entry of the first: %v", again)
	e.Fill(t, Leaving) // it may come again, as anybody new
	require.Greater(t, len(e.naming(t, Leaving)), 5)
}

func exported(t *testing.T, open Open) {
	e := open(t)
	e.Fill(t, Leaving)
	e.Fill(t, Staying)
	var file bytes.Buffer
	rows, err := erasure.Archive(t.Context(), e.Source, Leaving, "", enginetest.At, &file)
	require.NoError(t, err)
	z, err := zip.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len()))
	require.NoError(t, err)
	counted := erasure.Counts{}
	for _, f := range z.File {
		r, err := f.Open()
		require.NoError(t, err)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NotContains(t, string(text), Staying, f.Name)
		name, isTable := strings.CutSuffix(f.Name, ".jsonl")
		for line := range strings.Lines(string(text)) {
			if !isTable {
				break
			}
			counted[name]++
			require.True(t, json.Valid([]byte(line)), line)
			require.NotRegexp(t, `"([Dd]igest|[Ss]ealed)":"[^"]`, line, name)
		}
	}
	require.Equal(t, rows, counted)
	erased, err := service(e, &clock{enginetest.At}).Erase(t.Context(), Leaving)
	require.NoError(t, err)
	for table, n := range erased {
		if n > 0 && !slices.Contains(e.Unnamed, table) && !slices.Contains(e.NotExported, table) {
			require.Positive(t, rows[table], "what is erased was exported: %s", table)
		}
	}
}

func exportedOfPerson(t *testing.T, open Open) {
	e := open(t)
	e.Fill(t, Leaving)
	all := func(source erasure.Source) (rows []string) {
		for after := ""; ; {
			page, next, err := source.Page(t.Context(), Leaving, after)
			require.NoError(t, err)
			for _, r := range page {
				rows = append(rows, r.Table+" "+string(r.Body))
			}
			if after = next; after == "" {
				return rows
			}
		}
	}
	person := "a@" + Leaving
	var want []string
	for _, row := range all(e.Source) {
		if strings.Contains(strings.ToLower(row), person) {
			want = append(want, row)
		}
	}
	require.Greater(t, len(want), 1)
	source, err := erasure.Person(profile.Names("A@" + Leaving)).Of(e.Source)
	require.NoError(t, err)
	require.ElementsMatch(t, want, all(source))

	s := service(e, &clock{enginetest.At})
	before, err := e.Log.List(t.Context(), activity.Query{Tenant: Leaving, Limit: 100})
	require.NoError(t, err)
	for _, nobody := range []erasure.Person{{}, {""}, {" "}, {"@" + Leaving}, {Leaving}} {
		_, _, err := s.Export(t.Context(), operator, Leaving, nobody, "")
		require.ErrorIs(t, err, erasure.ErrPerson, "a part of an address is none, and nothing is not everybody")
	}
	after, err := e.Log.List(t.Context(), activity.Query{Tenant: Leaving, Limit: 100})
	require.NoError(t, err)
	require.Equal(t, before, after, "nothing was exported")
	const unknown = "not-there"
	rows, next, err := s.Export(t.Context(), operator, unknown, nil, "")
	require.NoError(t, err)
	require.Empty(t, rows)
	require.Empty(t, next)
	after, err = e.Log.List(t.Context(), activity.Query{Tenant: unknown, Limit: 100})
	require.NoError(t, err)
	require.Empty(t, after.Entries, "nothing is kept of the tenant, and is begun to be")
	_, _, err = s.Export(t.Context(), operator, Leaving, erasure.Person{person}, "")
	require.NoError(t, err)
	page, err := e.Log.List(t.Context(), activity.Query{Tenant: Leaving, Limit: 100})
	require.NoError(t, err)
	noted := slices.IndexFunc(page.Entries, func(e activity.Entry) bool { return e.Action == activity.Export })
	require.GreaterOrEqual(t, noted, 0)
	require.Equal(t, []activity.Change{{Field: "person", After: person}}, page.Entries[noted].Changes)
}

// operator asks.
var operator = activity.Actor{Tenant: "platform", Email: "op@example.com", Source: access.FromConsole}

func jobIsDone(t *testing.T, open Open) {
	e := open(t)
	e.Fill(t, Leaving)
	c := &clock{enginetest.At}
	s := service(e, c)
	woken := 0
	s.Wake = func() { woken++ }
	_, err := s.Job(t.Context(), Leaving)
	require.ErrorIs(t, err, erasure.ErrNotFound)
	_, err = s.Start(t.Context(), operator, "*")
	require.ErrorIs(t, err, erasure.ErrName)
	j, err := s.Start(t.Context(), operator, Leaving)
	require.NoError(t, err)
	require.Equal(t, erasure.Running, j.State)
	again, err := s.Start(t.Context(), operator, Leaving)
	require.NoError(t, err)
	require.Equal(t, j, again, "one is at work already")
	require.Equal(t, 1, woken)
	j = works(t, s, c, func(j erasure.Job) bool { return j.State == erasure.Settling })
	removed := j.Rows.Total()
	require.Greater(t, removed, 10)
	worked, err := s.Work(t.Context(), c.now.Add(time.Minute))
	require.NoError(t, err)
	require.Zero(t, worked, "what is on its way gets its time")
	e.Fill(t, Leaving) // it was on its way
	c.now = c.now.Add(time.Hour)
	j = works(t, s, c, func(j erasure.Job) bool { return j.State == erasure.Settling && j.Passes > 1 })
	require.Greater(t, j.Rows.Total(), removed)
	c.now = c.now.Add(time.Hour)
	j = works(t, s, c, erasure.Job.Over)
	require.Equal(t, erasure.Done, j.State)
	require.Zero(t, j.Due)
	require.Equal(t, c.now, j.Ended)
	left := e.naming(t, Leaving)
	for table, rows := range left {
		for _, row := range rows {
			require.True(t, strings.Contains(row, "erase") || strings.Contains(strings.ToLower(row), "passes"),
				"the entries of it and the job itself are left: %s: %s", table, row)
		}
	}
	page, err := e.Log.List(t.Context(), activity.Query{Tenant: Leaving, Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Entries, 1)
	require.Equal(t, access.FromSystem, page.Entries[0].Source)
	require.Empty(t, page.Entries[0].Email, "it names nobody")
	require.NotEmpty(t, page.Entries[0].Changes)
	page, err = e.Log.List(t.Context(), activity.Query{Tenant: operator.Tenant, Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Entries, 1, "who asked is in their own log")
	require.Equal(t, operator.Email, page.Entries[0].Email)
	again, err = s.Begin(t.Context(), Leaving)
	require.NoError(t, err)
	require.Equal(t, erasure.Running, again.State, "it can be asked for again")
	require.Empty(t, again.Rows)
	require.Equal(t, 2, woken)
	page, err = e.Log.List(t.Context(), activity.Query{Tenant: operator.Tenant, Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Entries, 1, "a command of the machine is in nobody's log")
}

// works has parts done, each for as short as there is, until a job is so.
func works(t *testing.T, s *erasure.Service, c *clock, so func(erasure.Job) bool) erasure.Job {
	t.Helper()
	for range 500 {
		_, err := s.Work(t.Context(), c.now.Add(1))
		require.NoError(t, err)
		j, err := s.Job(t.Context(), Leaving)
		require.NoError(t, err)
		if so(j) {
			return j
		}
		c.now = c.now.Add(time.Second) // each part takes longer than it may
	}
	require.FailNow(t, "it never is")
	return erasure.Job{}
}

func moreComes(t *testing.T, open Open) {
	e := open(t)
	c := &clock{enginetest.At}
	s := service(e, c)
	_, err := s.Start(t.Context(), operator, Leaving)
	require.NoError(t, err)
	for range 20 {
		entry := enginetest.Entry(Leaving)
		require.NoError(t, e.Log.Append(t.Context(), entry))
		c.now = c.now.Add(time.Hour)
		_, err := s.Work(t.Context(), c.now.Add(time.Minute))
		require.NoError(t, err)
		j, err := s.Job(t.Context(), Leaving)
		require.NoError(t, err)
		if j.Over() {
			require.Equal(t, erasure.Failed, j.State)
			require.Contains(t, j.Problem, "stop its publishers")
			return
		}
	}
	require.FailNow(t, "it goes on for good")
}

func oneChanges(t *testing.T, open Open) {
	e := open(t)
	job := func(tenant string, revision int64, due time.Duration) erasure.Job {
		j := erasure.Job{Tenant: tenant, State: erasure.Running, Rows: erasure.Counts{"a": 1}, Began: enginetest.At,
			Changed: enginetest.At, Due: enginetest.At.Add(due), From: "there", Revision: revision}
		return j
	}
	require.NoError(t, e.Jobs.SaveJob(t.Context(), job("b", 1, 2*time.Second)))
	require.NoError(t, e.Jobs.SaveJob(t.Context(), job("a", 1, time.Second), enginetest.Entry("a")))
	require.NoError(t, e.Jobs.SaveJob(t.Context(), job("c", 1, time.Minute)))
	for _, revision := range []int64{1, 3} {
		err := e.Jobs.SaveJob(t.Context(), job("a", revision, 0), enginetest.Entry("a"))
		require.ErrorIs(t, err, erasure.ErrConflict)
	}
	page, err := e.Log.List(t.Context(), activity.Query{Tenant: "a", Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Entries, 1, "an entry comes with its change alone")
	due, err := e.Jobs.DueJobs(t.Context(), enginetest.At.Add(2*time.Second), 10)
	require.NoError(t, err)
	require.Equal(t, []erasure.Job{job("a", 1, time.Second), job("b", 1, 2*time.Second)}, due)
	due, err = e.Jobs.DueJobs(t.Context(), enginetest.At.Add(time.Hour), 1)
	require.NoError(t, err)
	require.Len(t, due, 1)
	require.NoError(t, e.Jobs.SaveJob(t.Context(), job("a", 2, time.Minute)))
	got, err := e.Jobs.Job(t.Context(), "a")
	require.NoError(t, err)
	require.Equal(t, job("a", 2, time.Minute), got)
}
