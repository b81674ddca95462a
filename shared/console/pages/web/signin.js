// How people sign in: at the identity provider, or with a single-use link. The code of a link is behind `#`, where no
// server and no log sees it.
import { html, useEffect, useRef, useState } from "./html.js";
import { post, Problem, tellSignedIn } from "./api.js";
import { t } from "./i18n.js";
import { useAction, useLoad } from "./load.js";
import { goOn } from "./router.js";
import { Busy, Dialog, Failure, Notice, Skeleton } from "./ui.js";

export const signInPath = "/sign-in";
// signedInPath is where a tab ends that was opened from over a view, for the identity provider.
export const signedInPath = "/signed-in";

// codeOf is the code in a link, or in what somebody took for one.
const codeOf = (text) => /[#&]code=([^&\s]*)/.exec(text)?.[1] ?? text.trim();

// takeCode takes the code out of the address, so that it stays in no history. null = there is none.
function takeCode() {
	if (!/[#&]code=/.test(location.hash)) return null;
	const code = codeOf(location.hash);
	history.replaceState(history.state, "", location.pathname + location.search);
	return code;
}

// returnTo is where a person goes on who has signed in: an address of ours, whatever the query says.
function returnTo() {
	const to = new URLSearchParams(location.search).get("return") || "/";
	const url = new URL(to, location.origin);
	const local = /^\/(?![/\\])/.test(to) && url.origin === location.origin && url.pathname !== signInPath;
	return local ? url.pathname + url.search : "/";
}

async function ways(signal) {
	const response = await fetch("/sign-in/ways", { signal, cache: "no-store" }).catch((e) => {
		throw e.name === "AbortError" ? e : new Problem(0, {});
	});
	if (!response.ok) throw new Problem(response.status, {});
	return response.json();
}

// nameOf names a person and their company, of which one address may have several.
const nameOf = ({ name, email, client_name, tenant }) =>
	t("signin.who", {
		name: name && email ? `${name} (${email})` : name || email || tenant,
		company: client_name || tenant,
	});

// words are those for why a link signed nobody in.
function words(error) {
	const key = `signin.link.${error.body?.code}`;
	const known = t(key);
	return known === key ? null : known;
}

// useRedeem signs in with a code. `other` is who is signed in here and who would be, where those are two. `shown` is
// whose view is on the screen, where their session has ended.
function useRedeem(done, shown) {
	const [code, keep] = useState(null);
	const [run, state, reset] = useAction(async (given, replace) => {
		keep(given);
		await post("/sign-in/link", { code: given, replace, shown });
		tellSignedIn();
		done();
	});
	const other = state.error?.body?.code === "another" ? state.error.body : null;
	return { code, run, busy: state.busy, error: other ? null : state.error, other, reset };
}

// Another asks before somebody who is signed in is signed out.
const Another = ({ redeem, onStay }) => html`
	<${Dialog} title=${t("signin.another.title")} onClose=${onStay}>
		<p>${t("signin.another", { now: nameOf(redeem.other.now), next: nameOf(redeem.other.next) })}</p>
		<p class="buttons">
			<button type="button" onClick=${onStay}>${t("signin.another.no")}</button>
			<button type="button" class="primary" onClick=${() => redeem.run(redeem.code, true)}>
				<${Busy} on=${redeem.busy}>${t("signin.another.yes")}<//>
			</button>
		</p>
	<//>
`;

// LinkFailure says why a link signed nobody in.
const LinkFailure = ({ redeem }) =>
	redeem.error &&
	(words(redeem.error)
		? html`
				<${Notice} kind="bad" role="alert"><p>${words(redeem.error)}</p><//>
			`
		: html`
				<${Failure} error=${redeem.error} retry=${() => redeem.run(redeem.code, false)} />
			`);

// Link takes a link that is pasted; one that is opened comes to SignInPage.
function Link({ redeem }) {
	const [text, set] = useState("");
	return html`
		<p>${t("signin.link.how")}</p>
		<pre class="command"><code>tocsin sign-in name@example.com</code></pre>
		<form
			onSubmit=${(e) => {
				e.preventDefault();
				if (text.trim()) redeem.run(codeOf(text), false);
			}}
		>
			<label class="field">
				<span class="label">${t("signin.link")}</span>
				<input
					type="text"
					autocomplete="off"
					spellcheck=${false}
					value=${text}
					onInput=${(e) => set(e.target.value)}
				/>
			</label>
			<p>
				<button class="primary" type="submit" aria-busy=${redeem.busy}>
					<${Busy} on=${redeem.busy}>${t("signin.submit")}<//>
				</button>
			</p>
		</form>
	`;
}

// Provider leads to the identity provider; from over a view in another tab, so that the view stays.
const Provider = ({ name, over }) => html`
	<p>
		<a
			class="button primary"
			target=${over ? "_blank" : undefined}
			href=${`/sign-in/provider?return=${encodeURIComponent(over ? signedInPath : place())}`}
		>
			${t("signin.provider", { name })}
		</a>
	</p>
	${over &&
	html`
		<p class="muted">${t("signin.provider.tab")}</p>
	`}
`;

// place is where a person goes on: the view that is shown, or where the sign-in page was opened from.
const place = () => (location.pathname === signInPath ? returnTo() : location.pathname + location.search);

function Ways({ redeem, over }) {
	const load = useLoad("ways", ways);
	if (load.error)
		return html`
			<${Failure} error=${load.error} retry=${load.reload} />
		`;
	if (!load.data)
		return html`
			<${Skeleton} count="2" />
		`;
	const { provider, links } = load.data;
	return html`
		${provider &&
		html`
			<${Provider} name=${provider.name} over=${over} />
		`}
		${links &&
		!provider &&
		html`
			<${Link} redeem=${redeem} />
		`}
		${links &&
		provider &&
		html`
			<details>
				<summary>${t("signin.link.instead")}</summary>
				<div class="sign-in"><${Link} redeem=${redeem} /></div>
			</details>
		`}
		${!provider &&
		!links &&
		html`
			<p>${t("signin.none")}</p>
		`}
	`;
}

const Ended = ({ ended }) =>
	ended &&
	html`
		<p role="alert">${t(`signin.${ended}`)}</p>
	`;

const Panel = ({ title, children }) => html`
	<main class="page narrow" id="main" tabindex="-1">
		<div class="panel sign-in">
			<h1 tabindex="-1">${title}</h1>
			${children}
		</div>
	</main>
`;

// SignIn stands where a view would be that nobody is signed in for.
export function SignIn({ ended, problem, redeem: given }) {
	const own = useRedeem(() => {});
	const redeem = given || own;
	return html`
		<${Panel} title=${t("signin.title")}>
			<${Ended} ended=${ended} />
			${problem &&
			html`
				<${Notice} kind="bad" role="alert"><p>${problem}</p><//>
			`}
			<${LinkFailure} redeem=${redeem} />
			<${Ways} redeem=${redeem} />
			${redeem.other &&
			html`
				<${Another} redeem=${redeem} onStay=${redeem.reset} />
			`}
		<//>
	`;
}

// SignInAgain stands over a view that goes on where it was: what was typed in it stays.
export function SignInAgain({ session, ended }) {
	const { name, email, client_name, tenant } = session;
	const redeem = useRedeem(() => {}, { name, email, client_name, tenant });
	return html`
		<${Dialog} title=${t("signin.title")} onClose=${() => {}}>
			<div class="sign-in">
				<${Ended} ended=${ended} />
				<p>${t("signin.kept")}</p>
				<${LinkFailure} redeem=${redeem} />
				<${Ways} redeem=${redeem} over />
			</div>
			${redeem.other &&
			html`
				<${Another} redeem=${redeem} onStay=${redeem.reset} />
			`}
		<//>
	`;
}

// OtherPerson stands over a view with what somebody else has typed: it does not go on under another sign-in.
export function OtherPerson({ now, was, give }) {
	const { name, email, client_name, tenant } = was;
	const redeem = useRedeem(() => {}, { name, email, client_name, tenant });
	return html`
		<${Dialog} title=${t("other.title")} onClose=${() => {}}>
			<p>${t("other.what", { now: nameOf(now), was: nameOf(was) })}</p>
			<p>
				<button type="button" class="danger" onClick=${give}>${t("other.give")}</button>
			</p>
			<div class="sign-in">
				<h3>${t("other.again", { was: nameOf(was) })}</h3>
				<${LinkFailure} redeem=${redeem} />
				<${Ways} redeem=${redeem} over />
			</div>
			${redeem.other &&
			html`
				<${Another} redeem=${redeem} onStay=${redeem.reset} />
			`}
		<//>
	`;
}

// SignInPage is the page of that name: sign-in links and the identity provider lead to it.
export function SignInPage({ session, known, ended }) {
	const query = new URLSearchParams(location.search);
	const done = location.pathname === signedInPath;
	const problem = query.get("problem");
	const redeem = useRedeem(() => goOn(returnTo()));
	const opened = useRef(false);
	useEffect(() => {
		const take = () => {
			const code = takeCode();
			if (code !== null) {
				opened.current = true;
				redeem.run(code, false);
			}
		};
		take();
		addEventListener("hashchange", take);
		return () => removeEventListener("hashchange", take);
	}, []);
	useEffect(() => {
		document.title = `${t("signin.title")} · ${document.title.split(" · ").pop()}`;
	}, []);
	const here = session && !done && !problem && !opened.current;
	useEffect(() => {
		if (here) goOn(returnTo());
	}, [here]);
	if (session && done)
		return html`
			<${Panel} title=${t("signin.done.title")}>
				<p>${t("signin.done", { who: nameOf(session) })}</p>
				<p><a class="button" href="/">${t("signin.done.here")}</a></p>
			<//>
		`;
	if (!known || here || redeem.busy)
		return html`
			<${Panel} title=${t("signin.title")}><${Skeleton} count="2" /><//>
		`;
	if (redeem.other)
		return html`
			<${Panel} title=${t("signin.title")}>
				<${Another} redeem=${redeem} onStay=${() => goOn("/")} />
			<//>
		`;
	if (session)
		return html`
			<${Panel} title=${t("signin.title")}>
				${problem &&
				html`
					<${Notice} kind="bad" role="alert"><p>${problemWords(problem)}</p><//>
				`}
				<${LinkFailure} redeem=${redeem} />
				<p>${t("signin.still", { who: nameOf(session) })}</p>
				<p><a class="button" href="/">${t("signin.done.here")}</a></p>
			<//>
		`;
	return html`
		<${SignIn}
			ended=${ended === "expired" ? "" : ended}
			problem=${problem && problemWords(problem)}
			redeem=${redeem}
		/>
	`;
}

function problemWords(code) {
	const key = `signin.problem.${code}`;
	const known = t(key);
	return known === key ? t("signin.problem.failed") : known;
}
