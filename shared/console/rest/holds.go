package rest

import "tocsin/shared/hold"

// HoldView is when what is sent waits.
type HoldView struct {
	Quiet   []QuietView `json:"quiet,omitempty" maxItems:"20" doc:"quiet hours; at least an hour of every week stays free, and they do not follow one another for more than 31 days"`
	Then    hold.Then   `json:"then,omitempty" enum:"send,digest,drop" doc:"what becomes of what came meanwhile. send: each is sent afterwards; of what people would get more of at once than their storm guard lets through in a minute, the rest is one digest. digest: messages that a person can read carry many; for systems that people read. drop: it is not sent, and can be recovered. Left out: send"`
	Pass    *[]string   `json:"pass,omitempty" maxItems:"100" doc:"event types and kinds that are sent at once; empty: none; left out: incidents_exceeded. Reports, commands, what tells that an integration fails or works again, tests and what a person sends again are never held" example:"[\"incidents_exceeded\",\"vuln_high\"]"`
	OwnOnly bool        `json:"own_only,omitempty" doc:"of an integration: the quiet hours of the account do not hold for it"`
}

// QuietView are quiet hours.
type QuietView struct {
	Days  []hold.Day `json:"days,omitempty" maxItems:"7" doc:"mon to sun: the days on which they begin; left out: every day" example:"[\"mon\",\"tue\"]"`
	First string     `json:"first,omitempty" doc:"the date of the first day on which they begin; left out: they come every week" example:"2026-12-24"`
	Last  string     `json:"last,omitempty" doc:"the date of the last day on which they begin" example:"2026-12-26"`
	From  string     `json:"from,omitempty" doc:"when they begin; left out with to: whole days" example:"22:00"`
	To    string     `json:"to,omitempty" doc:"when they end, 24:00 at the latest; on the day after where it is not after from" example:"07:00"`
	Zone  string     `json:"zone" doc:"IANA name of the time zone" example:"Europe/Berlin"`
}

// HoldViewOf shows rules without their mute; nil for none.
func HoldViewOf(r hold.Rules) *HoldView {
	if r.Mute = nil; r.Zero() {
		return nil
	}
	v := &HoldView{Then: r.Then, OwnOnly: r.OwnOnly}
	if r.Pass != nil {
		v.Pass = &r.Pass
	}
	for _, q := range r.Quiet {
		v.Quiet = append(v.Quiet, QuietView(q))
	}
	return v
}

// Rules are those that the view shows; nil for nil.
func (v *HoldView) Rules() *hold.Rules {
	if v == nil {
		return nil
	}
	r := &hold.Rules{Then: v.Then, OwnOnly: v.OwnOnly}
	if v.Pass != nil {
		r.Pass = append([]string{}, *v.Pass...)
	}
	for _, q := range v.Quiet {
		r.Quiet = append(r.Quiet, hold.Quiet(q))
	}
	return r
}
