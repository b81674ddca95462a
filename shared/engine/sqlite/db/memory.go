package db

import (
	"fmt"
	"sync"

	"modernc.org/libc"
)

// smallest and largest are the sizes, in bytes, of what the allocator below SQLite takes from pages of 64 KiB that
// several blocks share (modernc.org/memory, maxSlotSize). Each power of two between them has pages of its own.
const smallest, largest = 16, 16 << 10

// keepPages holds one block of each size for good. A page goes back to the kernel when its last block is freed; SQLite
// frees its scratch memory after each statement, and without this most statements would map and unmap a page: 15 calls
// of munmap a batch of 100 deliveries, 3 with it (go test ./shared/engine/sqlite -bench HotPath under strace -f -c).
var keepPages = sync.OnceValue(func() error {
	tls := libc.NewTLS()
	defer tls.Close()
	for size := smallest; size <= largest; size *= 2 {
		if libc.Xmalloc(tls, libc.Tsize_t(size)) == 0 {
			return fmt.Errorf("take %d bytes for SQLite: out of memory", size)
		}
	}
	return nil
})
