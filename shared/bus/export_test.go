package bus

// Remembered is how many tenants the quota holds something of.
func (q *Quota) Remembered() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.full)
}
