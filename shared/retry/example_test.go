package retry_test

import (
	"fmt"
	"time"

	"tocsin/shared/retry"
)

func ExampleSchedule_Next() {
	var s retry.Schedule
	for _, failures := range []int{1, 5, 6, 16} {
		wait, ok := s.Next(failures, 0)
		cycle, place := retry.Position(failures)
		fmt.Println(failures, "failures: wait", wait, "in cycle", cycle, "place", place, ok)
	}
	wait, _ := s.Next(1, time.Minute)
	fmt.Println("the system asked for a minute: wait", wait)
	_, ok := s.Next(s.Attempts(), 0)
	fmt.Println("another attempt after", s.Attempts(), "failures:", ok)
	// Output:
	// 1 failures: wait 1s in cycle 1 place 1 true
	// 5 failures: wait 10s in cycle 1 place 5 true
	// 6 failures: wait 0s in cycle 2 place 1 true
	// 16 failures: wait 30m0s in cycle 3 place 6 true
	// the system asked for a minute: wait 1m0s
	// another attempt after 17 failures: false
}
