// Reading from the API in a view.
import { useCallback, useEffect, useRef, useState } from "./html.js";
import { isSignedIn, onSignedIn } from "./api.js";

// useLoad reads with `read(signal)` whenever `key` changes, and again every `every` milliseconds while the tab is seen.
// What was read stays while it is read again, so that nothing jumps; `data` of another key is dropped.
export function useLoad(key, read, { every = 0 } = {}) {
	const [state, set] = useState({ key, data: null, error: null });
	const latest = useRef(read);
	latest.current = read;
	const running = useRef(null);
	const reload = useCallback(async () => {
		running.current?.abort();
		const control = new AbortController();
		running.current = control;
		try {
			const data = await latest.current(control.signal);
			if (!control.signal.aborted) set({ key, data, error: null });
		} catch (error) {
			if (!control.signal.aborted) set((was) => ({ key, data: was.key === key ? was.data : null, error }));
		}
	}, [key]);
	useEffect(() => {
		reload();
		const timer =
			every &&
			setInterval(() => {
				if (!document.hidden && isSignedIn()) reload();
			}, every);
		const forget = onSignedIn(reload);
		addEventListener("language", reload);
		return () => {
			forget();
			removeEventListener("language", reload);
			clearInterval(timer);
			running.current?.abort();
		};
	}, [reload, every]);
	const current = state.key === key;
	return {
		data: current ? state.data : null,
		stale: current ? null : state.data,
		error: current ? state.error : null,
		reload,
	};
}

// useAction runs one thing at a time and keeps its error.
export function useAction(action) {
	const [state, set] = useState({ busy: false, error: null });
	const run = async (...args) => {
		if (state.busy) return undefined;
		set({ busy: true, error: null });
		try {
			const result = await action(...args);
			set({ busy: false, error: null });
			return result;
		} catch (error) {
			set({ busy: false, error });
			return undefined;
		}
	};
	return [run, state, () => set({ busy: false, error: null })];
}

// useBase holds what a form was drawn from. What is read again takes its place while the form has no changes, or when
// it differs in nothing that the form shows: then what was typed stays over it. Else the form keeps both what was typed
// and the version that it began with, and `changed` says so. version and same compare what is read; key is the form's.
export function useBase(read, { version, same }) {
	const kept = useRef({ base: read, last: read, key: 0, changed: false, drop: false }).current;
	const hold = useRef({ dirty: false }); // the form's word
	const [, redraw] = useState(0);
	if (read !== kept.last) {
		kept.last = read;
		const moved = version(read) !== version(kept.base);
		kept.changed = moved && hold.current.dirty && !kept.drop && !same(read, kept.base);
		if (!kept.changed) {
			if (kept.drop || (moved && !hold.current.dirty)) kept.key++;
			kept.base = read;
			kept.drop = false;
		}
	}
	return {
		base: kept.base,
		key: kept.key,
		changed: kept.changed,
		hold,
		// saved takes the answer to one's own change; `clean` says that nothing was typed while it was on its way.
		saved: (answer, clean) => {
			Object.assign(kept, { base: answer, changed: false, key: kept.key + (clean ? 1 : 0) });
			redraw((n) => n + 1);
		},
		// drop gives up what was typed for what is read next.
		drop: () => {
			kept.drop = true;
		},
	};
}
