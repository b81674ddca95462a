package db

import (
	"time"

	driver "zombiezen.com/go/sqlite"
)

// Each runs a prepared statement and visits its rows.
func Each(conn *driver.Conn, sql string, bind func(*driver.Stmt), row func(*driver.Stmt) error) error {
	s, err := conn.Prepare(sql)
	if err != nil {
		return err
	}
	defer func() { _ = s.Reset() }() // repeats the error of Step
	if bind != nil {
		bind(s)
	}
	for {
		more, err := s.Step()
		if err != nil || !more {
			return err
		}
		if row != nil {
			if err := row(s); err != nil {
				return err
			}
		}
	}
}

// Number is the one number that a statement returns, 0 for none.
func Number(conn *driver.Conn, sql string) (n int64, err error) {
	err = Each(conn, sql, nil, func(s *driver.Stmt) error {
		n = s.ColumnInt64(0)
		return nil
	})
	return n, err
}

// Text is the one text that a statement returns.
func Text(conn *driver.Conn, sql string) (t string, err error) {
	err = Each(conn, sql, nil, func(s *driver.Stmt) error {
		t = s.ColumnText(0)
		return nil
	})
	return t, err
}

// Blob copies a column.
func Blob(s *driver.Stmt, col int) []byte {
	b := make([]byte, s.ColumnLen(col))
	s.ColumnBytes(col, b)
	return b
}

// Time is a time as columns keep it, in Unix nanoseconds: 0 is the zero time.
func Time(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}

// Nanos is the reverse of Time.
func Nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
