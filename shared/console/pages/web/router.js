// The state of a view is its address, so that it can be shared: path for the page, query for filters. Every way to
// another page passes here, the browser's own Back and Forward included, and none takes what was typed without a
// question.
import { useEffect, useLayoutEffect, useState } from "./html.js";
import { t } from "./i18n.js";

const listeners = new Set();
const tell = () => listeners.forEach((f) => f());

// The page that is shown. n counts the entries of the history, which keep it: it says how far Back or Forward went.
let shown = { n: 0, path: location.pathname };

const unsaved = new Set();

// useUnsaved asks, while `on`, before what a view holds is left: a form with changes, work that would end half done.
export function useUnsaved(on, question = "form.leave") {
	useLayoutEffect(() => {
		if (!on) return undefined;
		const entry = { question };
		unsaved.add(entry);
		return () => unsaved.delete(entry);
	}, [Boolean(on), question]);
}

// hasUnsaved reports whether a view holds what is not saved.
export const hasUnsaved = () => unsaved.size > 0;

// mayLeave asks whether what is not saved may be lost; with nothing unsaved it is a yes.
export const mayLeave = () =>
	[...new Set([...unsaved].map((u) => u.question))].every((question) => confirm(t(question)));

// navigate shows an address. With replace, typing in a search field adds no history; with done, what the page held is
// saved or given up already, and nothing is asked. It reports whether the address is shown.
export function navigate(to, { replace = false, done = false } = {}) {
	const { pathname } = new URL(to, location.href);
	if (pathname !== shown.path && !done && !mayLeave()) return false;
	shown = { n: replace ? shown.n : shown.n + 1, path: pathname };
	history[replace ? "replaceState" : "pushState"]({ n: shown.n }, "", to);
	tell();
	return true;
}

// moved follows the browser's Back and Forward. The address has changed when it is told: a person who stays is taken
// back to the entry whose page is still shown, so that nothing of the history is lost.
function moved() {
	let n = history.state?.n;
	if (n === undefined) {
		// typed behind the #: an entry that is not ours
		n = shown.n + 1;
		history.replaceState({ n }, "");
	}
	if (location.pathname !== shown.path && !mayLeave()) {
		history.go(shown.n - n);
		return;
	}
	shown = { n, path: location.pathname };
	tell();
}

// withQuery is the present address with some members of its query changed; empty ones are left out.
export function withQuery(changes) {
	const query = new URLSearchParams(location.search);
	for (const [k, v] of Object.entries(changes)) {
		if (v) query.set(k, v);
		else query.delete(k);
	}
	return location.pathname + (query.size ? `?${query}` : "");
}

export function useLocation() {
	const read = () => ({ href: location.href, path: location.pathname, query: new URLSearchParams(location.search) });
	const [at, set] = useState(read);
	useEffect(() => {
		const changed = () => set(read());
		listeners.add(changed);
		if (at.href !== location.href) changed(); // a link was followed between the first paint and now
		return () => listeners.delete(changed);
	}, []);
	return at;
}

// match reads the parameters of a path: match("/add/:system", "/add/slack") is {system: "slack"}, null when it differs.
export function match(pattern, path) {
	const names = [];
	const source = pattern.replace(/:(\w+)/g, (_, name) => (names.push(name), "([^/]+)"));
	const found = new RegExp(`^${source}/?$`).exec(path);
	return found && Object.fromEntries(names.map((n, i) => [n, decodeURIComponent(found[i + 1])]));
}

const ours = /^\/(docs|openapi|v1\/|healthz|sign-in\/)/;

// goOn shows an address of ours in the place of this one; a page that is none of the Console's is loaded.
export function goOn(to) {
	if (ours.test(to)) location.replace(to);
	else navigate(to, { replace: true, done: true });
}

export function startRouter() {
	shown.n = history.state?.n ?? 0;
	history.replaceState({ n: shown.n }, "");
	addEventListener("popstate", moved);
	addEventListener("beforeunload", (e) => {
		if (!unsaved.size) return;
		e.preventDefault();
		e.returnValue = true; // for browsers from before 2024
	});
	document.addEventListener("click", (e) => {
		const link = e.target.closest?.("a[href]");
		if (!link || e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
		const url = new URL(link.href, location.href);
		if (url.origin !== location.origin || link.target || link.hasAttribute("download") || ours.test(url.pathname))
			return;
		e.preventDefault();
		navigate(url.pathname + url.search);
	});
}
