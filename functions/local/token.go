package main

import (
	"context"
	"time"

	"tocsin/shared/token"
)

// apiTokens lets API tokens in.
func (p *program) apiTokens() *token.Authenticator {
	return &token.Authenticator{Store: p.db.Tokens(), Header: p.tokenHeader, Now: time.Now, Log: p.log}
}

// tokensEvery is how often it is looked for API tokens that expire.
const tokensEvery = time.Minute

// tellOfTokens tells people of API tokens that expire.
func (p *program) tellOfTokens(ctx context.Context) {
	notices := &token.Notices{Store: p.db.Tokens(), People: p.db.People(), Bus: p.db.Bus(), Now: time.Now, Log: p.log}
	ticker := time.NewTicker(tokensEvery)
	defer ticker.Stop()
	for {
		if _, err := notices.Send(ctx); err != nil && ctx.Err() == nil {
			p.log.Error("tell of API tokens that expire: trying again", "error", err.Error())
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}
