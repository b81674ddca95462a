package main

import "context"

// traces sends what is recorded until stop is called, and then what is left.
func (p *program) traces(ctx context.Context) (stop func()) {
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.tracer.Run(ctx)
	}()
	return func() {
		end()
		<-done
	}
}
