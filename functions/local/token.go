package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"tocsin/shared/activity"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/tenant"
	"tocsin/shared/token"
)

// apiTokens lets API tokens in.
func (p *program) apiTokens() *token.Authenticator {
	return &token.Authenticator{Store: p.db.Tokens(), Header: p.tokenHeader, Now: time.Now, Log: p.log}
}

// tokenService makes API tokens.
func tokenService(db *sqlite.DB, log *slog.Logger) *token.Service {
	return &token.Service{Store: db.Tokens(), Links: db.Tenants(), Random: rand.Reader, Now: time.Now, NewID: newID,
		Activity: &activity.Log{Store: db.ActivityLog(), Now: time.Now, NewID: newID}, Log: log}
}

// tenantService knows which tenants are linked.
func tenantService(db *sqlite.DB, log *slog.Logger) *tenant.Service {
	return &tenant.Service{Store: db.Tenants(), Now: time.Now, Log: log}
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
