// The Console API. Who is signed in is in a cookie that no script can read, and that all tabs of the browser have: a
// tab tells the others when it changes.
import { readIn, t } from "./i18n.js";

const tabs = new BroadcastChannel("session");

let person = 0; // grows whenever somebody signs in or out
let signed = false; // what the last answer says
let whose = ""; // whose session it is
let was = ""; // why the last one ended, until somebody signs in
let asked = 0; // when the API was last asked, in milliseconds
export const isSignedIn = () => signed;

const signedIn = new Set();
// onSignedIn tells of a sign-in, in this tab or another; what it returns ends that.
export const onSignedIn = (told) => {
	signedIn.add(told);
	return () => signedIn.delete(told);
};

let signedOut = () => {};
// onSignedOut tells, once, why nobody is signed in any more: "expired", or "elsewhere" for another tab.
export const onSignedOut = (told) => {
	signedOut = told;
};

function begun() {
	person++;
	signed = true;
	was = "";
	signedIn.forEach((told) => told());
}

function ended(why) {
	person++;
	signed = false;
	whose = "";
	was = why;
	signedOut(why);
}

tabs.addEventListener("message", ({ data }) => {
	if (data.here !== undefined) {
		if (!signed || data.here !== whose) begun();
	} else if (data === "in") begun();
	else if (data === "look") look(0);
	else if (signed || was === "expired") ended("elsewhere"); // an answer may have been here before the word
});
// What the browser kept of a page that was left may be of another person, or of nobody.
addEventListener("pageshow", (e) => e.persisted && begun());

// tellWhose says in all tabs whose session this is: it may have begun at the identity provider, of which no tab knew.
export function tellWhose({ tenant, home_tenant: home, email, role }) {
	const key = `${home || tenant} ${email} ${role}`;
	if (key !== whose) tabs.postMessage({ here: (whose = key) });
}

// tellSignedIn says in all tabs that somebody has signed in.
export function tellSignedIn() {
	tabs.postMessage("in");
	begun();
}

// signOut ends the session in all tabs, and returns where the page goes on.
export async function signOut() {
	const { body } = await post("/v1/session/end", {});
	person++;
	signed = false;
	whose = "";
	tabs.postMessage("out");
	return body.next;
}

// A session goes on while somebody works, also where what they do asks nothing of the API: typing in a long form. Who
// comes back to a tab is told at once when it has ended.
const every = 5 * 60_000;
const look = (after) => {
	if (signed && Date.now() - asked > after) get("/v1/session").catch(() => {}); // the next call says what is wrong
};
for (const name of ["keydown", "pointerdown"]) addEventListener(name, () => look(every), { passive: true });
document.addEventListener("visibilitychange", () => document.hidden || look(10_000));

// Problem is an answer that is an error (RFC 9457), or none at all (status 0).
export class Problem extends Error {
	constructor(status, body) {
		const words = body.detail || body.title || "";
		super(body.request_id ? t("error.request", { words, id: body.request_id }) : words);
		this.status = status;
		this.body = body;
		this.fields = body.errors || [];
	}
}

// answered notes what an answer says of the session; a late one says nothing of who has signed in since.
function answered(status, by) {
	if (by !== person) return;
	if (status !== 401) signed = true;
	else if (signed) {
		ended("expired");
		tabs.postMessage("look");
	}
}

// The tenant that this tab acts for, where a global role acts for a linked one: the tab keeps it over reloads.
const ACTING = "acting";
const acting = () => sessionStorage.getItem(ACTING) || undefined;
// act has this tab act for a tenant from now on; "" = the home tenant.
export function act(tenant) {
	if (tenant) sessionStorage.setItem(ACTING, tenant);
	else sessionStorage.removeItem(ACTING);
}

let changes = []; // the sections in which the session may change something
// may says whether a button that changes something of a section is of any use to who is signed in.
export const may = (section) => changes.includes(section);

const known = (session) => {
	readIn(session.time_zone);
	changes = session.changes;
	return session;
};

// readSession reads who is signed in. Who may not act for the tenant of this tab any more, or is somebody else, is at
// home.
export async function readSession(signal) {
	try {
		return known((await get("/v1/session", { signal })).body);
	} catch (e) {
		if (e.status !== 403 || !acting()) throw e;
		act("");
		return known((await get("/v1/session", { signal })).body);
	}
}

// ask makes a request, and returns its response once that is a good one.
async function ask(method, path, { query, body, etag, signal } = {}) {
	const search = new URLSearchParams(
		Object.entries({ ...query, tenant: path.startsWith("/v1/") ? acting() : undefined }).filter(
			([, v]) => v !== undefined && v !== "" && v !== null,
		),
	);
	// The language of the page, which need not be the browser's: reasons and faults are worded by the API.
	const headers = { "Accept-Language": document.documentElement.lang };
	if (etag) headers["If-Match"] = etag;
	if (body !== undefined)
		headers["Content-Type"] = method === "PATCH" ? "application/merge-patch+json" : "application/json";
	const by = person;
	asked = Date.now();
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
	if (path.startsWith("/v1/")) answered(response.status, by);
	if (!response.ok) throw new Problem(response.status, await response.json().catch(() => ({})));
	return response;
}

// call makes a request; query members that are empty are left out. It returns {body, etag}.
export async function call(method, path, options) {
	const response = await ask(method, path, options);
	return { body: response.status === 204 ? null : await response.json(), etag: response.headers.get("ETag") };
}

// testOf runs a test, tells each of its steps as it ends, and returns the result.
export async function testOf(path, body, told, signal) {
	const response = await ask("POST", path, { query: { steps: "true" }, body, signal });
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	let text = "";
	let last = {};
	for (;;) {
		const { done, value } = await reader.read().catch((e) => {
			throw e.name === "AbortError" ? e : new Problem(0, {});
		});
		if (done) break;
		text += value;
		const lines = text.split("\n");
		text = lines.pop();
		for (const line of lines.filter(Boolean)) {
			last = JSON.parse(line);
			if (last.step) told(last.step);
		}
	}
	if (!last.result) throw new Problem(last.error?.status || 0, last.error || {});
	return last.result;
}

// textOf reads an answer as it is written.
export const textOf = async (path, options) => (await ask("GET", path, options)).text();

// download reads a file and hands it to the browser.
export const download = async (path, name) => hand(await (await ask("GET", path)).blob(), name);

const mostFiles = 100; // of which one CSV is made

// readAllAsText reads a CSV file that comes in parts, and hands it to the browser. True says that there is more than
// one file holds.
export async function readAllAsText(path, query, name) {
	const parts = [];
	let cursor;
	do {
		const response = await ask("GET", path, { query: { ...query, cursor } });
		parts.push(await response.blob()); // which a browser may keep on disk
		cursor = response.headers.get("X-Next-Cursor");
	} while (cursor && parts.length < mostFiles);
	hand(new Blob(["\ufeff", ...parts], { type: "text/csv" }), name);
	return Boolean(cursor);
}

// hand gives a file to the browser to save.
export function hand(blob, name) {
	const link = document.createElement("a");
	link.href = URL.createObjectURL(blob);
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
export const tokenPath = (id) => `/v1/tokens/${part(id)}`;
export const tenantPath = (id, rest) => `/v1/tenants/${part(id)}${rest}`;
export const triggerPath = (id, rest = "") => `/v1/triggers/${part(id)}${rest}`;

// integrationsOf reads all integrations, each with the title of its system.
export const integrationsOf = async (signal) => (await integrationsByGroup(signal)).integrations;

// integrationsByGroup reads the groups of systems and the counts of the tabs, too; of neither what only a form shows.
export async function integrationsByGroup(signal) {
	const [systems, { items, counts }] = await Promise.all([
		get("/v1/systems", { signal, query: { brief: true } }),
		allIntegrations(signal),
	]);
	const { groups } = systems.body;
	const of = Object.fromEntries(groups.flatMap((g) => g.systems).map((s) => [s.name, s]));
	const known = (i) => ({ ...i, title: of[i.system]?.title || i.system, worded: Boolean(of[i.system]?.worded) });
	return { groups, counts, integrations: items.map(known) };
}

async function allIntegrations(signal) {
	const items = [];
	for (let cursor; ; ) {
		const { body } = await get("/v1/integrations", { signal, query: { brief: true, limit: 1000, cursor } });
		items.push(...body.items);
		cursor = body.next_cursor;
		if (!cursor) return { items, counts: body.counts };
	}
}
