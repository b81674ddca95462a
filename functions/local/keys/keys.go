// Package keys keeps the key file of the program: what a start demands of it, and `tocsin keys`, which makes a new key or
// gives up what a lost one sealed.
package keys

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"tocsin/functions/local/commandline"
	"tocsin/shared/destination/catalogue"
	"tocsin/shared/destination/telegram"
	"tocsin/shared/egress"
	"tocsin/shared/engine/sqlite"
	"tocsin/shared/integration"
	"tocsin/shared/keyring"
	"tocsin/shared/publisher"
)

// sealed counts what the state and the publishers' file hold that a key ring seals.
type sealed struct {
	all     int // secrets of integrations and publishers
	strange int // of these, sealed with a key that the ring has not
	older   int // of these, sealed with a key of the ring that is not the first
}

// count looks at every secret's head; ring is nil when there is no key file. state visits what the state holds.
func count(state func(visit func(sealed []byte)) error, publishers *publisher.File, ring *keyring.Ring) (n sealed,
	err error) {
	add := func(value []byte) {
		if len(value) == 0 {
			return // given up by `tocsin keys forget`
		}
		n.all++
		switch {
		case ring == nil || !ring.Knows(value):
			n.strange++
		case !ring.Current(value):
			n.older++
		}
	}
	if err = state(add); err != nil {
		return n, err
	}
	return n, publishers.Each(func(k publisher.Key, _ []byte) error {
		add(k.Sealed)
		return nil
	})
}

// kept are the secrets of an open state.
func kept(ctx context.Context, db *sqlite.DB) func(visit func(sealed []byte)) error {
	return func(visit func([]byte)) error {
		return db.Integrations().Each(ctx, func(i integration.Integration) error {
			visit(i.Sealed)
			return nil
		})
	}
}

// Judge refuses what Open would refuse, before a state of an older release is opened, which changes its layout. What
// can not be looked at is left to who opens it.
func Judge(state, path string) error {
	ring, err := keyring.Read(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return err
	}
	s, err := sqlite.Look(state)
	if err != nil {
		return nil //nolint:nilerr // there is none yet, or who opens it says what is wrong with it
	}
	defer s.Close()
	if s.Current() == nil {
		return nil // nothing would be changed
	}
	n, err := count(func(visit func([]byte)) error {
		return s.Sealed(func(_, _ string, sealed []byte) error {
			visit(sealed)
			return nil
		})
	}, publisher.At(publisher.Beside(path), nil, time.Now), ring)
	if err == nil && n.strange > 0 {
		err = lostKey(n, missing, state, path)
	}
	return err
}

// Open reads the key file, and makes one only for a state without secrets: a new key beside them would leave every
// integration without its own, silently. What was sealed with another key keeps the program from starting.
func Open(ctx context.Context, db *sqlite.DB, state, path string, log *slog.Logger) (*keyring.Ring, error) {
	ring, err := keyring.Read(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return nil, err
	}
	n, err := count(kept(ctx, db), publisher.At(publisher.Beside(path), nil, time.Now), ring)
	if err != nil {
		return nil, err
	}
	if n.strange > 0 {
		return nil, lostKey(n, missing, state, path)
	}
	if missing {
		if ring, err = keyring.Open(path); err != nil {
			return nil, err
		}
		log.Info("a new key file was made: keep a copy of it apart from the state file", "path", path)
	}
	if n.older > 0 {
		log.Warn("secrets are sealed with an older key of the key file: stop and run `tocsin keys rotate` to finish "+
			"its rotation", "secrets", n.older)
	}
	return ring, nil
}

func lostKey(n sealed, missing bool, state, path string) error {
	what := fmt.Sprintf("the key file %s is not the one", path)
	if missing {
		what = fmt.Sprintf("the key file %s is missing", path)
	}
	return fmt.Errorf("%s: %d of %d secrets of integrations and publishers (%s, %s) were sealed with another key, "+
		"and can not be read without it. "+
		"Put the right key file back, from the backup or from where it was moved to. If it is lost for good, run "+
		"`tocsin keys forget -state %s -key %s`: "+
		"the integrations whose secrets are lost are disabled until somebody enters them again, and publishers need "+
		"new keys",
		what, n.strange, n.all, state, publisher.Beside(path), state, path)
}

// There checks that the key file still opens what this process seals: one that is lost while the program runs is
// told before the next start needs it. Its error is for strangers; the log has the cause.
func There(ctx context.Context, path string, running *keyring.Ring, log *slog.Logger) error {
	ring, err := keyring.Read(path)
	if err == nil {
		var sealed []byte
		if sealed, err = running.Seal(ctx, []byte("probe"), nil); err == nil {
			_, err = ring.Open(ctx, sealed, nil)
		}
	}
	if err != nil {
		log.Error("the key file is not what it was at the start: put it back before the next start", "error",
			err.Error())
		return errors.New("the key file is missing, can not be read, or is another one than at the start")
	}
	return nil
}

const usage = "usage: tocsin keys rotate | forget   [-state var/tocsin.db] [-key var/tocsin.key]   (stop Tocsin " +
	"first)"

var page = commandline.Page{Summary: "make a new key of the state's secrets, or give up what a lost one sealed",
	Usage: usage,
	Help: "rotate makes a new key, and seals every secret again with it.\n" +
		"forget gives up the secrets that no key of the key file opens: their integrations are disabled until " +
		"somebody\nenters them again, and publishers need new keys.",
	Examples: []string{"tocsin keys rotate",
		"sudo tocsin keys rotate -state /var/lib/tocsin/tocsin.db -key /var/lib/tocsin/tocsin.key"}}

// Command works on the keys of a stopped program: it holds the state file's lock all the time.
func Command(ctx context.Context, args []string) error {
	var action string
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		action, args = args[0], args[1:]
	}
	f, parse := commandline.Flags("keys")
	state := f.String("state", commandline.DefaultState, "the state file")
	key := f.String("key", commandline.DefaultKey, "the key file")
	page.Of(f)
	if err := parse(args); err != nil {
		return err
	}
	run := map[string]func(context.Context, *sqlite.DB, string, string) error{
		"rotate": func(ctx context.Context, db *sqlite.DB, state, path string) error {
			return rotation{db: db, state: state, path: path, step: func(string) error { return nil }}.run(ctx)
		},
		"forget": forget}[action]
	if run == nil || f.NArg() > 0 {
		return errors.New(usage)
	}
	if _, err := os.Stat(*state); err != nil {
		return commandline.Unreached("state", fmt.Errorf("look at the state file: %w", err))
	}
	if err := usable(action, *state, *key); err != nil {
		return err
	}
	db, err := sqlite.Open(ctx, *state, sqlite.Options{Log: commandline.Log()})
	if err != nil {
		return err
	}
	return errors.Join(run(ctx, db, *state, *key), db.Close())
}

// usable refuses a key file that a command can not work with, before the state is opened: see Judge. One that is lost
// is what `forget` is for.
func usable(action, state, path string) error {
	_, err := keyring.Read(path)
	if action == "forget" {
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	}
	if err != nil {
		return err
	}
	return Judge(state, path)
}

// sealer is what seals the integrations' secrets.
func sealer(db *sqlite.DB, ring *keyring.Ring) *integration.Service {
	return &integration.Service{
		Store: db.Integrations(), Keys: ring, Systems: catalogue.Default(telegram.New(telegram.Bot{})),
		Addresses: egress.Policy{},
		Now:       time.Now, NewID: func() string { return ulid.Make().String() }, Random: rand.Reader,
		Log: slog.New(slog.DiscardHandler),
	}
}

// rotation makes a new key, unless one is under way, seals everything with it, and marks the older keys. At every
// moment the file has all the keys that open what there is: one that was interrupted is run again.
type rotation struct {
	db          *sqlite.DB
	state, path string
	step        func(next string) error // is told of each step before it is done, and may end it there
}

func (r rotation) run(ctx context.Context) error {
	path := r.path
	ring, err := keyring.Read(path)
	if err != nil {
		return err
	}
	n, err := count(kept(ctx, r.db), publisher.At(publisher.Beside(path), nil, time.Now), ring)
	if err != nil {
		return err
	}
	if n.strange > 0 {
		return lostKey(n, false, r.state, path)
	}
	if ring.Rotating() {
		fmt.Println("A rotation that was begun before is finished; its new key is in the file already.")
	} else {
		if err := r.step("a new key"); err != nil {
			return err
		}
		if err := keyring.Rotate(path); err != nil {
			return err
		}
		if ring, err = keyring.Read(path); err != nil {
			return err
		}
		fmt.Println("A new key is on top of the key file.")
	}
	if err := r.reseal(ctx, ring, n.all); err != nil {
		return err
	}
	if err := r.step("publishers"); err != nil {
		return err
	}
	publishers, err := publisher.At(publisher.Beside(path), ring, time.Now).Reseal(ctx)
	if err != nil {
		return err
	}
	if err := r.step("the end"); err != nil {
		return err
	}
	if err := keyring.Retire(path, time.Now()); err != nil {
		return err
	}
	fmt.Printf("All secrets are sealed with the new key (%d of publishers). Who is signed in stays so.\n"+
		"The older keys are marked in %s. They still verify the unsubscribe links of mails that were sent, and open "+
		"copies of the state file that were made without the key file (a `tocsin backup` has its own);\n"+
		"delete their lines when neither matters, or when somebody else may have them. Back the key file up.\n",
		publishers, path)
	return nil
}

func (r rotation) reseal(ctx context.Context, ring *keyring.Ring, of int) error {
	service, store := sealer(r.db, ring), r.db.Integrations()
	done, shown := 0, time.Now()
	err := store.Each(ctx, func(i integration.Integration) error {
		if len(i.Sealed) == 0 || ring.Current(i.Sealed) {
			return nil
		}
		if err := r.step("integration " + i.ID); err != nil {
			return err
		}
		value, err := service.Reseal(ctx, i)
		if err != nil {
			return err
		}
		if err := store.Reseal(ctx, i, value); err != nil {
			return err
		}
		if done++; time.Since(shown) > time.Second {
			fmt.Printf("%d of about %d secrets are sealed anew.\n", done, of)
			shown = time.Now()
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%w: %d integrations are done; run the command again to go on", err, done)
	}
	fmt.Printf("%d integrations are sealed anew.\n", done)
	return nil
}

// forget gives up what a lost key sealed, so that the program starts again.
func forget(ctx context.Context, db *sqlite.DB, _, path string) error {
	ring, err := keyring.Open(path)
	if err != nil {
		return err
	}
	service, store, forgotten := sealer(db, ring), db.Integrations(), 0
	if err := store.Each(ctx, func(i integration.Integration) error {
		opens, err := service.Opens(ctx, i)
		if err != nil || opens {
			return err
		}
		forgotten++
		fmt.Printf("tenant %s: %s (%s, %s) is disabled: %s\n", i.Tenant, i.Name, i.System, i.ID,
			integration.LostSecrets)
		return service.Forget(ctx, i)
	}); err != nil {
		return err
	}
	gone, err := publisher.At(publisher.Beside(path), ring, time.Now).Forget(ctx)
	for _, k := range gone {
		fmt.Printf("publisher %s: %s is removed: make a new key pair\n", k.Name, k.ID)
	}
	if err == nil && forgotten+len(gone) == 0 {
		fmt.Println("Every secret can be read: nothing was changed.")
	}
	return err
}
