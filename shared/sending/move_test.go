package sending_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"tocsin/shared/delivery"
	"tocsin/shared/sending"
)

func TestAnIssueIsMovedToTheStatusThatTheIntegrationNames(t *testing.T) {
	for _, name := range []string{"Jira Cloud", "Jira on premise"} {
		for _, settings := range []map[string]string{
			{"on_closed": "done", "on_reopened": "To Do"}, {"on_closed": "Resolve issue", "on_reopened": "OPEN AGAIN"},
			{"on_closed": "31", "on_reopened": "41"},
		} {
			s := track(t)
			c := set(t, s, name, settings)
			c.finish(c.about("S-1", "open"))
			require.Empty(t, s.things[0].status)
			require.Equal(t, "the issue was moved to Done", c.finish(c.about("S-1", "closed")).Reason)
			require.Equal(t, "Done", s.things[0].status)
			c.finish(c.about("S-1", "closed"))
			require.Equal(t, "Done", s.things[0].status, "it is there already")
			c.finish(c.about("S-1", "reopened"))
			require.Equal(t, "To Do", s.things[0].status)
			c.finish(c.about("S-1", "reopened"))
			require.Equal(t, "To Do", s.things[0].status)
			require.Len(t, s.things[0].notes, 4)
			require.Len(t, s.things, 1)
		}
	}
}

func TestAnIssueThatAPersonMovedStaysThere(t *testing.T) {
	s := track(t)
	c := set(t, s, "Jira Cloud", map[string]string{"on_closed": "Resolve issue", "on_reopened": "Open again"})
	c.finish(c.about("S-1", "open"))
	s.things[0].status = "Done"
	c.finish(c.about("S-1", "closed"))
	require.Equal(t, "Done", s.things[0].status)
	s.things[0].status = "In Progress"
	require.Equal(t, "the issue stays at In Progress", c.finish(c.about("S-1", "reopened")).Reason)
	require.Equal(t, "In Progress", s.things[0].status)
}

func TestATransitionThatIsNotThereIsToldWithThoseThatAre(t *testing.T) {
	s := track(t)
	c := set(t, s, "Jira Cloud", map[string]string{"on_closed": "Finish"})
	c.finish(c.about("S-1", "open"))
	out := c.send(c.about("S-1", "closed"))
	require.Equal(t, delivery.Retrying, out.State)
	require.Equal(t, "the comment is there, but the issue could not be moved: from To Do Jira offers no transition or "+
		"status Finish, but In Progress (by Start), Done (by Resolve issue)", out.Reason)
	require.Equal(t, sending.Silent, out.Mark, "which says nothing of the system's health")
	require.Len(t, s.things[0].notes, 1)
	c.now.Add(int64(5 * time.Second))
	out = c.send(out.Delivery)
	require.Equal(t, delivery.Retrying, out.State)
	require.Len(t, s.things[0].notes, 1, "the comment is not added again")
	mended := set(t, s, "Jira Cloud", map[string]string{"on_closed": "Resolve issue"})
	mended.sender.References = c.sender.References
	mended.now.Store(c.now.Load())
	mended.finish(out.Delivery)
	require.Equal(t, "Done", s.things[0].status)
	require.Len(t, s.things[0].notes, 1)
}

func TestAnIncidentGetsTheStateThatTheIntegrationNames(t *testing.T) {
	for _, settings := range []map[string]string{
		{"on_closed": "resolved", "close_code": "Solution provided", "on_reopened": "In Progress"},
		{"on_closed": "6", "close_code": "Solution provided", "on_reopened": "2"},
	} {
		s := track(t)
		c := set(t, s, "ServiceNow", settings)
		c.finish(c.about("S-1", "open"))
		require.Contains(t, c.finish(c.about("S-1", "closed")).Reason, "the incident has the state ")
		require.Equal(t, "6", s.things[0].status)
		require.Equal(t, "Solution provided", s.things[0].code)
		require.Contains(t, c.finish(c.about("S-1", "reopened")).Reason, "the incident has the state ")
		require.Equal(t, "2", s.things[0].status)
		require.Len(t, s.things[0].notes, 2)
		require.Len(t, s.things, 1)
	}
}

func TestAnIncidentThatWasClosedByUsIsOpenedAgainByUs(t *testing.T) {
	s := track(t)
	c := set(t, s, "ServiceNow", map[string]string{"on_closed": "Closed", "close_code": "x", "on_reopened": "New"})
	c.finish(c.about("S-1", "open"))
	c.finish(c.about("S-1", "closed"))
	require.True(t, s.things[0].closed)
	c.finish(c.about("S-1", "reopened"))
	require.Len(t, s.things, 1)
	require.Equal(t, "1", s.things[0].status)
	require.Len(t, s.things[0].notes, 2, "one that is closed takes no notes: it is opened before")
}

func TestAStateThatIsNotThereIsToldWithThoseThatAre(t *testing.T) {
	for name, c := range map[string]struct {
		settings map[string]string
		blind    bool
		says     string
	}{
		"no such state": {map[string]string{"on_closed": "Finished"}, false,
			"ServiceNow has no state Finished, but New (1), In Progress (2), Resolved (6), Closed (7)"},
		"no code": {map[string]string{"on_closed": "7"}, false, "and a resolution code if the instance asks for one " +
			"(it says: Operation Failed; Data Policy Exception: Resolution code is mandatory)"},
	} {
		s := track(t)
		customer := set(t, s, "ServiceNow", c.settings)
		customer.finish(customer.about("S-1", "open"))
		s.blind = c.blind
		out := customer.send(customer.about("S-1", "closed"))
		require.Equal(t, delivery.Retrying, out.State, name)
		require.Contains(t, out.Reason, c.says, name)
		require.Equal(t, sending.Silent, out.Mark, name)
		customer.now.Add(int64(5 * time.Second))
		customer.send(out.Delivery)
		require.Len(t, s.things[0].notes, 1, name)
	}
}

func TestAnIncidentThatCanNotBeOpenedAgainIsMadeAnew(t *testing.T) {
	s := track(t)
	s.final = true
	c := set(t, s, "ServiceNow", map[string]string{"on_closed": "7", "close_code": "x", "on_reopened": "2"})
	c.finish(c.about("S-1", "open"))
	c.finish(c.about("S-1", "closed"))
	c.finish(c.about("S-1", "reopened"))
	require.Len(t, s.things, 2)
	c.finish(c.about("S-1", "closed"))
	require.Equal(t, "7", s.things[1].status)
}

func TestTheNoteDoesNotWaitForAStateThatIsNotThere(t *testing.T) {
	s := track(t)
	c := set(t, s, "ServiceNow", map[string]string{"on_reopened": "Open again"})
	c.finish(c.about("S-1", "open"))
	out := c.send(c.about("S-1", "reopened"))
	require.Equal(t, delivery.Retrying, out.State)
	require.Contains(t, out.Reason, "ServiceNow has no state Open again, but New (1)")
	require.Equal(t, sending.Silent, out.Mark)
	require.Len(t, s.things[0].notes, 1)
	c.now.Add(int64(5 * time.Second))
	out = c.send(out.Delivery)
	require.Equal(t, delivery.Retrying, out.State)
	require.Len(t, s.things[0].notes, 1, "the note is not added again")

	mended := set(t, s, "ServiceNow", map[string]string{"on_reopened": "2"})
	mended.sender.References = c.sender.References
	mended.now.Store(c.now.Load())
	mended.finish(out.Delivery)
	require.Equal(t, "2", s.things[0].status)
	require.Len(t, s.things[0].notes, 1)
	mended.finish(c.about("S-1", "closed"))
	require.Len(t, s.things[0].notes, 2, "another delivery begins with its first request")
}

func TestAClosedIncidentThatNoStateOpensIsMadeAnew(t *testing.T) {
	s := track(t)
	c := set(t, s, "ServiceNow", map[string]string{"on_reopened": "Open again"})
	c.finish(c.about("S-1", "open"))
	s.things[0].closed = true
	out := c.finish(c.about("S-1", "reopened"))
	require.Len(t, s.things, 2, "it takes no note: %s", out.Reason)
}
