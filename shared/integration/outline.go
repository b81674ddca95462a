package integration

// Outline is what a list finds an integration by. Engines know it without reading the integration.
type Outline struct {
	ID, System, Name string
	State            State
}

// Outline is that of the integration.
func (i Integration) Outline() Outline { return Outline{i.ID, i.System, i.Name, i.State()} }

// Counts are how many integrations a tenant has.
type Counts struct {
	Enabled, Disabled map[string]int // by system; none has no entry
	Failing           int            // of the enabled ones
}

// Add counts n more of a system that are in a state.
func (c *Counts) Add(system string, state State, n int) {
	if n == 0 {
		return
	}
	of := &c.Enabled
	if state == StateDisabled {
		of = &c.Disabled
	}
	if *of == nil {
		*of = map[string]int{}
	}
	(*of)[system] += n
	if state == StateFailing {
		c.Failing += n
	}
}

// CountAll counts.
func CountAll(all []Integration) (c Counts) {
	for _, i := range all {
		c.Add(i.System, i.State(), 1)
	}
	return c
}

// All are how many are enabled, and how many are disabled, of all systems.
func (c Counts) All() (enabled, disabled int) {
	for _, n := range c.Enabled {
		enabled += n
	}
	for _, n := range c.Disabled {
		disabled += n
	}
	return enabled, disabled
}
