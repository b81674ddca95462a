// The state of a view is its address, so that it can be shared: path for the page, query for filters.
import { useEffect, useState } from "./html.js";

const listeners = new Set();
const tell = () => listeners.forEach((f) => f());

let guard = null;

// guardLeaving asks before a form with changes is left; null ends it.
export const guardLeaving = (ask) => { guard = ask; };

// navigate shows an address. With replace, typing in a search field adds no history.
export function navigate(to, { replace = false } = {}) {
  const leaving = new URL(to, location.href).pathname !== location.pathname;
  if (leaving && guard && !guard()) return;
  if (leaving) guard = null;
  history[replace ? "replaceState" : "pushState"](null, "", to);
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

const ours = /^\/(docs|openapi|v1\/|healthz)/;

export function startRouter() {
  addEventListener("popstate", tell);
  addEventListener("beforeunload", (e) => { if (guard) e.preventDefault(); });
  document.addEventListener("click", (e) => {
    const link = e.target.closest?.("a[href]");
    if (!link || e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
    const url = new URL(link.href, location.href);
    if (url.origin !== location.origin || link.target || link.hasAttribute("download") || ours.test(url.pathname)) return;
    e.preventDefault();
    navigate(url.pathname + url.search);
  });
}
