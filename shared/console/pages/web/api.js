// The Console API. The sign-in link carries the token behind `#`, where no server and no log sees it; it is kept for
// this tab only.
const KEY = "token";

// takeToken moves a token from the address into the tab. A link without one changes nothing.
export function takeToken() {
	const token = new URLSearchParams(location.hash.slice(1)).get("token");
	if (token) {
		keepToken(token);
		history.replaceState(history.state, "", location.pathname + location.search);
	}
}

const signedIn = new Set();
// onSignedIn tells of a new token; what it returns ends that.
export const onSignedIn = (told) => {
	signedIn.add(told);
	return () => signedIn.delete(told);
};

export function keepToken(token) {
	sessionStorage.setItem(KEY, token);
	signedIn.forEach((told) => told());
}
export const dropToken = () => sessionStorage.removeItem(KEY);
export const hasToken = () => Boolean(sessionStorage.getItem(KEY));

// Problem is an answer that is an error (RFC 9457), or none at all (status 0).
export class Problem extends Error {
	constructor(status, body) {
		super(body.detail || body.title || "");
		this.status = status;
		this.fields = body.errors || [];
	}
}

let signedOut = () => {};
// onSignedOut tells, once for a token, that it is refused.
export const onSignedOut = (told) => {
	signedOut = told;
};

// refused ends the sign-in with the token that was sent; a late answer says nothing of a newer one.
function refused(token) {
	if (sessionStorage.getItem(KEY) !== token) return;
	dropToken();
	signedOut();
}

// call makes a request; query members that are empty are left out. It returns {body, etag}.
export async function call(method, path, { query, body, etag, signal } = {}) {
	const search = new URLSearchParams(
		Object.entries(query || {}).filter(([, v]) => v !== undefined && v !== "" && v !== null),
	);
	const headers = {};
	const token = sessionStorage.getItem(KEY);
	if (token) headers.Authorization = `Bearer ${token}`;
	if (etag) headers["If-Match"] = etag;
	if (body !== undefined)
		headers["Content-Type"] = method === "PATCH" ? "application/merge-patch+json" : "application/json";
	let response;
	try {
		response = await fetch(path + (search.size ? `?${search}` : ""), {
			method,
			headers,
			signal,
			body: body === undefined ? undefined : JSON.stringify(body),
			cache: "no-store",
		});
	} catch (e) {
		if (e.name === "AbortError") throw e;
		throw new Problem(0, {});
	}
	if (response.status === 401) refused(token);
	if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})));
	return { body: response.status === 204 ? null : await response.json(), etag: response.headers.get("ETag") };
}

// download reads a file that needs the token and hands it to the browser.
export async function download(path, name) {
	const token = sessionStorage.getItem(KEY);
	const response = await fetch(path, { headers: { Authorization: `Bearer ${token}` } });
	if (response.status === 401) refused(token);
	if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})));
	const link = document.createElement("a");
	link.href = URL.createObjectURL(await response.blob());
	link.download = name;
	link.click();
	setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export const get = (path, options) => call("GET", path, options);
export const post = (path, body, options) => call("POST", path, { body, ...options });

const part = encodeURIComponent;
export const integrationPath = (id, rest = "") => `/v1/integrations/${part(id)}${rest}`;
export const deliveryPath = (id, delivery, rest = "") => `${integrationPath(id)}/deliveries/${part(delivery)}${rest}`;
export const commandPath = (id) => `/v1/commands/${part(id)}/ack`;
export const replayPath = (id) => `/v1/dead-letters/${part(id)}/replay`;
export const triggerPath = (id, rest = "") => `/v1/triggers/${part(id)}${rest}`;

// integrationsOf reads all integrations, each with the title of its system.
export async function integrationsOf(signal) {
	const [systems, items] = await Promise.all([get("/v1/systems", { signal }), allIntegrations(signal)]);
	const titles = Object.fromEntries(systems.body.groups.flatMap((g) => g.systems).map((s) => [s.name, s.title]));
	return items.map((i) => ({ ...i, title: titles[i.system] || i.system }));
}

async function allIntegrations(signal) {
	const items = [];
	let cursor;
	do {
		const { body } = await get("/v1/integrations", { signal, query: { limit: 100, cursor } });
		items.push(...body.items);
		cursor = body.next_cursor;
	} while (cursor);
	return items;
}
