package event

import (
	"encoding/json"
	"strings"

	"tocsin/shared/jsonscan"
)

// once gives up at a member that is there a second time: encoding/json lets the later one change the earlier one.
func once(s *jsonscan.Scanner, seen *uint32, member uint) {
	if *seen&(1<<member) != 0 {
		s.GiveUp()
	}
	*seen |= 1 << member
}

// scanDetail reads an envelope of the usual form; ok is false for any other. The data shares the memory of raw.
func scanDetail(raw []byte) (d detail, ok bool) {
	s := jsonscan.Scanner{Text: string(raw)}
	if !s.Enter('{') {
		return d, false
	}
	var seen uint32
	for {
		name, more := s.Name()
		if !more {
			break
		}
		switch name {
		case "version":
			once(&s, &seen, 0)
			d.Version = int(s.Int())
		case "id":
			once(&s, &seen, 1)
			d.ID = strings.Clone(s.String())
		case "tenant":
			once(&s, &seen, 2)
			d.Tenant = strings.Clone(s.String())
		case "client_name":
			once(&s, &seen, 3)
			d.ClientName = strings.Clone(s.String())
		case "time":
			once(&s, &seen, 4)
			d.Time = timestamp(&s)
		case "data":
			once(&s, &seen, 5)
			from, to := s.Span()
			d.Data = json.RawMessage(raw[from:to:to])
		default:
			s.GiveUp()
		}
	}
	return d, s.End()
}

func timestamp(s *jsonscan.Scanner) (t Timestamp) {
	if s.Null() {
		return t
	}
	var ok bool
	if t.Time, ok = ParseTime(s.String()); !ok {
		s.GiveUp()
	}
	return t
}

// scanHit reads a hit's data of the usual form; ok is false for any other.
func scanHit(raw []byte) (d HitData, ok bool) {
	s := jsonscan.Scanner{Text: string(raw)}
	if !s.Enter('{') {
		return d, false
	}
	var seen uint32
	for {
		name, more := s.Name()
		if !more {
			break
		}
		switch name {
		case "hit":
			once(&s, &seen, 0)
			d.Hit = hitOf(&s)
		case "experimental":
			once(&s, &seen, 1)
			d.Experimental = s.Bool()
		case "sampled_out":
			once(&s, &seen, 2)
			d.SampledOut = s.Bool()
		default:
			s.Other(name)
		}
	}
	return d, s.End()
}

func hitOf(s *jsonscan.Scanner) (h Hit) {
	if !s.Enter('{') {
		return h
	}
	var seen uint32
	text := func(member uint, into *string) {
		once(s, &seen, member)
		*into = s.String()
	}
	for {
		name, more := s.Name()
		if !more {
			return h
		}
		switch name {
		case "type":
			text(0, &h.Type)
		case "domain":
			text(1, &h.Domain)
		case "host":
			text(2, &h.Host)
		case "method":
			text(3, &h.Method)
		case "path":
			text(4, &h.Path)
		case "parameter":
			text(5, &h.Parameter)
		case "remote_addr4":
			text(6, &h.RemoteAddr4)
		case "block_status":
			text(7, &h.BlockStatus)
		case "target":
			text(8, &h.Target)
		default:
			h.other(s, name, &seen)
		}
	}
}

// other reads the members that are no plain text.
func (h *Hit) other(s *jsonscan.Scanner, name string, seen *uint32) {
	switch name {
	case "payloads":
		once(s, seen, 9)
		h.Payloads = s.Strings()
	case "applications":
		once(s, seen, 10)
		h.Applications = s.Strings()
	case "remote_addr6":
		once(s, seen, 11)
		h.RemoteAddr6 = s.Pointer()
	case "remote_country":
		once(s, seen, 12)
		h.RemoteCountry = s.Pointer()
	case "response_status":
		once(s, seen, 13)
		h.ResponseStatus = int(s.Int())
	case "request_time":
		once(s, seen, 14)
		h.RequestTime = seconds(s)
	default:
		s.Other(name)
	}
}

// seconds reads a whole number; the other forms of Seconds are not usual.
func seconds(s *jsonscan.Scanner) Seconds {
	n := s.Int()
	if n > maxSeconds || n < -maxSeconds {
		s.GiveUp()
	}
	return Seconds(n)
}
