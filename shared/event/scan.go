package event

import (
	"encoding/json"
	"strings"

	"tocsin/shared/jsonscan"
)

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
			s.Once(&seen, 0)
			d.Version = int(s.Int())
		case "id":
			s.Once(&seen, 1)
			d.ID = strings.Clone(s.String())
		case "tenant":
			s.Once(&seen, 2)
			d.Tenant = strings.Clone(s.String())
		case "client_name":
			s.Once(&seen, 3)
			d.ClientName = strings.Clone(s.String())
		case "time":
			s.Once(&seen, 4)
			d.Time = timestamp(&s)
		case "data":
			s.Once(&seen, 5)
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
			s.Once(&seen, 0)
			d.Hit = hitOf(&s)
		case "experimental":
			s.Once(&seen, 1)
			d.Experimental = s.Bool()
		case "sampled_out":
			s.Once(&seen, 2)
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
		s.Once(&seen, member)
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
		s.Once(seen, 9)
		h.Payloads = s.Strings()
	case "applications":
		s.Once(seen, 10)
		h.Applications = s.Strings()
	case "remote_addr6":
		s.Once(seen, 11)
		h.RemoteAddr6 = s.Pointer()
	case "remote_country":
		s.Once(seen, 12)
		h.RemoteCountry = s.Pointer()
	case "response_status":
		s.Once(seen, 13)
		h.ResponseStatus = int(s.Int())
	case "request_time":
		s.Once(seen, 14)
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
