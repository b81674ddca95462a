package crashtest

import (
	"errors"
	"os"
	"sync"
	"unsafe"

	"modernc.org/libc"
	lib "modernc.org/sqlite/lib"
)

// What SQLite is translated to takes a pointer to a C structure for a number, and a pointer to a function for the one
// to the value of a Go function. The functions here convert both.

type (
	vfs     = lib.Tsqlite3_vfs
	methods = lib.Tsqlite3_io_methods
	handle  = lib.Tsqlite3_file

	openFunc     = func(tls *libc.TLS, vfs, name, file uintptr, flags int32, out uintptr) int32
	deleteFunc   = func(tls *libc.TLS, vfs, name uintptr, syncFolder int32) int32
	closeFunc    = func(tls *libc.TLS, file uintptr) int32
	readFunc     = func(tls *libc.TLS, file, buffer uintptr, amount int32, at int64) int32
	truncateFunc = func(tls *libc.TLS, file uintptr, size int64) int32
	syncFunc     = func(tls *libc.TLS, file uintptr, flags int32) int32
)

// at is what is at an address outside Go's memory.
func at[T any](address uintptr) *T { return (*T)(*(*unsafe.Pointer)(unsafe.Pointer(&address))) }

// pointer is what SQLite takes for a pointer to a function, which must be one of the package and no closure.
func pointer[F any](f F) uintptr { return *(*uintptr)(unsafe.Pointer(&f)) }

// function is what such a pointer stands for.
func function[F any](p uintptr) F { return *(*F)(unsafe.Pointer(&p)) }

// copied copies a structure to memory that is never freed.
func copied[T any](tls *libc.TLS, v T) (uintptr, error) {
	p := libc.Xmalloc(tls, libc.Tsize_t(unsafe.Sizeof(v)))
	if p == 0 {
		return 0, errors.New("put a disk for tests below SQLite: out of memory")
	}
	*at[T](p) = v
	return p, nil
}

// below is SQLite's own access to files; ours are its methods with some replaced, by those that they replace.
var (
	below   uintptr
	ours    sync.Map // uintptr → uintptr
	handles sync.Map // address of an open file → opened
)

// opened is a file that SQLite has open.
type opened struct {
	disk *Disk
	file *file
	own  *methods
}

// register makes our VFS the default one of the process, once.
var register = sync.OnceValue(func() error {
	tls := libc.NewTLS() // it stays: SQLite keeps what was made with it
	if rc := lib.Xsqlite3_initialize(tls); rc != lib.SQLITE_OK {
		return errors.New("put a disk for tests below SQLite: it does not start")
	}
	below = lib.Xsqlite3_vfs_find(tls, 0)
	v := *at[vfs](below)
	name, err := libc.CString("crashtest")
	if err != nil {
		return err
	}
	v.FzName, v.FpNext = name, 0
	v.FxOpen, v.FxDelete = pointer[openFunc](open), pointer[deleteFunc](remove)
	p, err := copied(tls, v)
	if err != nil {
		return err
	}
	if rc := lib.Xsqlite3_vfs_register(tls, p, 1); rc != lib.SQLITE_OK {
		return errors.New("put a disk for tests below SQLite: it was refused")
	}
	return nil
})

func open(tls *libc.TLS, _, name, file uintptr, flags int32, out uintptr) int32 {
	own := function[openFunc](at[vfs](below).FxOpen)
	path, disk := "", (*Disk)(nil)
	if name != 0 {
		path = libc.GoString(name)
		disk = of(path)
	}
	if disk == nil {
		return own(tls, below, name, file, flags, out)
	}
	if disk.Over() {
		return lib.SQLITE_CANTOPEN
	}
	_, err := os.Stat(path)
	if rc := own(tls, below, name, file, flags, out); rc != lib.SQLITE_OK {
		return rc
	}
	f, err := disk.opened(path, err == nil)
	if err != nil {
		return lib.SQLITE_CANTOPEN
	}
	h := at[handle](file)
	replaced, err := replace(tls, h.FpMethods)
	if err != nil {
		return lib.SQLITE_NOMEM
	}
	handles.Store(file, opened{disk, f, at[methods](h.FpMethods)})
	h.FpMethods = replaced
	return lib.SQLITE_OK
}

// replace is a table of methods with ours in it.
func replace(tls *libc.TLS, own uintptr) (uintptr, error) {
	if p, ok := ours.Load(own); ok {
		return p.(uintptr), nil
	}
	m := *at[methods](own)
	m.FxClose, m.FxRead, m.FxWrite = pointer[closeFunc](closed), pointer[readFunc](read), pointer[readFunc](write)
	m.FxTruncate, m.FxSync = pointer[truncateFunc](truncate), pointer[syncFunc](synced)
	p, err := copied(tls, m)
	if err != nil {
		return 0, err
	}
	kept, _ := ours.LoadOrStore(own, p)
	return kept.(uintptr), nil
}

func opening(file uintptr) opened {
	o, _ := handles.Load(file)
	return o.(opened)
}

func closed(tls *libc.TLS, file uintptr) int32 {
	o := opening(file)
	handles.Delete(file)
	return function[closeFunc](o.own.FxClose)(tls, file)
}

func read(tls *libc.TLS, file, buffer uintptr, amount int32, at int64) int32 {
	o := opening(file)
	if o.disk.Over() {
		return lib.SQLITE_IOERR_READ
	}
	return function[readFunc](o.own.FxRead)(tls, file, buffer, amount, at)
}

func write(tls *libc.TLS, file, buffer uintptr, amount int32, offset int64) int32 {
	o := opening(file)
	n, what := o.disk.write(o.file, offset, unsafe.Slice(at[byte](buffer), amount))
	if n > 0 {
		if rc := function[readFunc](o.own.FxWrite)(tls, file, buffer, int32(n), offset); rc != lib.SQLITE_OK {
			return rc
		}
	}
	switch what {
	case fine:
		return lib.SQLITE_OK
	case noRoom:
		return lib.SQLITE_FULL
	}
	return lib.SQLITE_IOERR_WRITE
}

func truncate(tls *libc.TLS, file uintptr, size int64) int32 {
	o := opening(file)
	what := o.disk.truncate(o.file, size)
	if what == fine || what == partly {
		if rc := function[truncateFunc](o.own.FxTruncate)(tls, file, size); rc != lib.SQLITE_OK {
			return rc
		}
	}
	if what == fine {
		return lib.SQLITE_OK
	}
	return lib.SQLITE_IOERR_TRUNCATE
}

func synced(_ *libc.TLS, file uintptr, _ int32) int32 {
	o := opening(file)
	if o.disk.sync(o.file) == fine { // the real disk need not be asked: it is not the one that fails
		return lib.SQLITE_OK
	}
	return lib.SQLITE_IOERR_FSYNC
}

func remove(tls *libc.TLS, _, name uintptr, syncFolder int32) int32 {
	own := function[deleteFunc](at[vfs](below).FxDelete)
	path := libc.GoString(name)
	disk := of(path)
	if disk == nil {
		return own(tls, below, name, syncFolder)
	}
	what := disk.remove(path, syncFolder != 0)
	if what == fine || what == partly {
		if rc := own(tls, below, name, 0); rc != lib.SQLITE_OK {
			return rc
		}
	}
	if what == fine {
		return lib.SQLITE_OK
	}
	return lib.SQLITE_IOERR_DELETE
}
