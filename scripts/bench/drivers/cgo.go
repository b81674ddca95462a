//go:build cgo_driver

package main

import (
	"database/sql/driver"
	"errors"
	"time"

	mattn "github.com/mattn/go-sqlite3"
)

func init() { opens["mattn"] = openMattn }

type byMattn struct {
	*mattn.SQLiteConn
	row driver.Stmt
}

func openMattn(path string) (file, error) {
	c, err := (&mattn.SQLiteDriver{}).Open("file:" + path)
	if err != nil {
		return nil, err
	}
	f := byMattn{SQLiteConn: c.(*mattn.SQLiteConn)}
	for _, sql := range append(pragmas, table) {
		if _, err := f.Exec(sql, nil); err != nil {
			return nil, err
		}
	}
	f.row, err = f.Prepare(insert)
	return f, err
}

func (f byMattn) append(first, count int64) error {
	if _, err := f.Exec("BEGIN IMMEDIATE", nil); err != nil {
		return err
	}
	for n := first; n < first+count; n++ {
		if _, err := f.row.Exec([]driver.Value{n, time.Now().UnixNano(), kind, event, nil}); err != nil {
			return err
		}
	}
	_, err := f.Exec("COMMIT", nil)
	return err
}

func (f byMattn) close() error { return errors.Join(f.row.Close(), f.Close()) }
