package main

import (
	"context"
	"time"

	"tocsin/shared/command"
	"tocsin/shared/token"
)

// apiTokens lets API tokens in.
func (p *program) apiTokens() *token.Authenticator {
	return &token.Authenticator{Store: p.db.Tokens(), Header: p.tokenHeader, Now: time.Now, Log: p.log}
}

// noticesEvery is how often it is looked for what people are told of because time passed.
const noticesEvery = 10 * time.Second

// tellOfTime tells people of API tokens that expire, and of commands that nobody takes.
func (p *program) tellOfTime(ctx context.Context) {
	tokens := &token.Notices{Store: p.db.Tokens(), People: p.db.People(), Bus: p.db.Bus(), Now: time.Now, Log: p.log}
	commands := &command.Notices{Store: p.db.Commands(), Wait: p.commandWait, Now: time.Now, Log: p.log}
	ticker := time.NewTicker(noticesEvery)
	defer ticker.Stop()
	for {
		if _, err := tokens.Send(ctx); err != nil && ctx.Err() == nil {
			p.log.Error("tell of API tokens that expire: trying again", "error", err.Error())
		}
		if _, err := commands.Send(ctx); err != nil && ctx.Err() == nil {
			p.log.Error("tell of commands that nobody takes: trying again", "error", err.Error())
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
