package db

import (
	"fmt"
	"sync"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// keepPlans has every connection that is opened from now on keep the plan of a prepared statement, whatever is bound to
// it. Otherwise SQLite looks at what is bound: a statement with `LIMIT ?`, or one on a table with a partial index, is
// compiled anew at each use, which takes most of the time of a short one (a count of what waits: 113 µs in place of 8).
// The driver has no call for it, so SQLite is asked to call us for each connection that it opens.
var keepPlans = sync.OnceValue(func() error {
	tls := libc.NewTLS()
	defer tls.Close()
	opened := stable
	if rc := lib.Xsqlite3_auto_extension(tls, *(*uintptr)(unsafe.Pointer(&opened))); rc != lib.SQLITE_OK {
		return fmt.Errorf("have SQLite keep the plans of statements: result %d", rc)
	}
	return nil
})

// stable turns the query planner's stability guarantee on. It is what sqlite3_auto_extension calls.
func stable(tls *libc.TLS, conn, _, _ uintptr) int32 {
	on := libc.NewVaList(int32(1), uintptr(0))
	if on == 0 {
		return lib.SQLITE_NOMEM
	}
	defer libc.Xfree(tls, on)
	return lib.Xsqlite3_db_config(tls, conn, lib.SQLITE_DBCONFIG_ENABLE_QPSG, on)
}
