// Package account is the people that the embedded mode knows by itself, without an identity provider: who they are,
// which role they have in which tenant, and the single-use links that sign them in.
package account
