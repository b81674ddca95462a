package doctor

import "syscall"

// clockSynced asks the kernel whether something (NTP, a host) keeps its clock. STA_UNSYNC, adjtimex(2).
func clockSynced() (bool, error) {
	const unsynced = 0x40
	var t syscall.Timex
	if _, err := syscall.Adjtimex(&t); err != nil {
		return false, err
	}
	return t.Status&unsynced == 0, nil
}
