// Starts the Console: signs in, loads the texts, shows the view that the address names.
import { html, render, useEffect, useRef, useState } from "./html.js";
import { get, hasToken, dropToken, keepToken, onSignedIn, onSignedOut, takeToken } from "./api.js";
import { chooseLanguage, chosenLanguage, language, languages, loadLanguage, t } from "./i18n.js";
import { Icon, loadIcons } from "./icons.js";
import { useLoad } from "./load.js";
import { match, mayLeave, navigate, startRouter, useLocation } from "./router.js";
import { Dialog, Empty, Failure, Skeleton } from "./ui.js";
import { Integrations } from "./views/integrations.js";
import { Add, AddForm } from "./views/add.js";
import { Integration } from "./views/integration.js";
import { AddTrigger, NewTrigger, Trigger, Triggers } from "./views/triggers.js";
import { Reports } from "./views/reports.js";
import { Profile } from "./views/profile.js";
import { MailLog } from "./views/mail-log.js";
import { Rejected } from "./views/rejected.js";
import { Addresses } from "./views/addresses.js";

// A section is shown when the session names it. The first that a person may see is their front page; the profile is in
// the menu of the person.
const sections = [
	{ name: "integrations", at: "/", title: "nav.integrations" },
	{ name: "triggers", at: "/triggers", title: "nav.triggers" },
	{ name: "reports", at: "/reports", title: "nav.reports" },
	{ name: "mail_log", at: "/mail-log", title: "nav.mail_log" },
	{ name: "dead_letters", at: "/rejected", title: "nav.rejected" },
];
const profile = { name: "profile", at: "/profile" };

const views = [
	["/", "integrations", Integrations],
	["/add", "integrations", Add],
	["/add/:system", "integrations", AddForm],
	["/integrations/:id", "integrations", Integration],
	["/integrations/:id/deliveries", "integrations", Integration],
	["/integrations/:id/deliveries/:delivery", "integrations", Integration],
	["/triggers", "triggers", Triggers],
	["/triggers/add", "triggers", AddTrigger],
	["/triggers/add/:template", "triggers", NewTrigger],
	["/triggers/:id", "triggers", Trigger],
	["/reports", "reports", Reports],
	["/profile", "profile", Profile],
	["/mail-log", "mail_log", MailLog],
	["/rejected", "dead_letters", Rejected],
	["/addresses", "addresses", Addresses],
];

function find(path) {
	for (const [pattern, section, view] of views) {
		const parameters = match(pattern, path);
		if (parameters) return { section, view, parameters };
	}
	return null;
}

// Token asks for one. ended says why: "expired", or "wrong" when the one that was entered is refused too.
function Token({ ended, onToken }) {
	const [token, set] = useState("");
	return html`
		<p role=${ended ? "alert" : undefined}>
			${t(ended === "wrong" ? "signin.wrong" : ended ? "signin.expired" : "signin.how")}
		</p>
		<form
			onSubmit=${(e) => {
				e.preventDefault();
				if (token.trim()) onToken(token.trim());
			}}
		>
			<label class="field">
				<span class="label">${t("signin.token")}</span>
				<input type="password" autocomplete="off" value=${token} onInput=${(e) => set(e.target.value)} />
			</label>
			<p><button class="primary" type="submit">${t("signin.submit")}</button></p>
		</form>
	`;
}

const SignIn = (rest) => html`
	<main class="page narrow" id="main">
		<div class="panel sign-in">
			<h1>${t("signin.title")}</h1>
			<${Token} ...${rest} />
		</div>
	</main>
`;

// SignInAgain stands over a view that goes on where it was: what was typed in it stays.
const SignInAgain = (rest) => html`
	<${Dialog} title=${t("signin.title")} onClose=${() => {}}>
		<p>${t("signin.kept")}</p>
		<${Token} ...${rest} />
	<//>
`;

function Settings({ session, redraw }) {
	const [theme, set] = useState(localStorage.getItem("theme") || "auto");
	const choose = (name) => {
		localStorage.setItem("theme", name);
		document.documentElement.dataset.theme = name;
		set(name);
	};
	return html`
		<div class="settings">
			<label>
				<span>${t("settings.language")}</span>
				<select
					value=${language}
					onChange=${async (e) => {
						await chooseLanguage(e.target.value);
						redraw();
					}}
				>
					${Object.entries(languages).map(
						([code, name]) => html`
							<option value=${code} lang=${code}>${name}</option>
						`,
					)}
				</select>
			</label>
			<label>
				<span>${t("settings.theme")}</span>
				<select value=${theme} onChange=${(e) => choose(e.target.value)}>
					${["auto", "light", "dark"].map(
						(n) => html`
							<option value=${n}>${t(`theme.${n}`)}</option>
						`,
					)}
				</select>
			</label>
			${session?.sections.includes("addresses") &&
			html`
				<a href="/addresses">${t("addresses.title")}</a>
			`}
			<a href="/docs">${t("nav.api")}</a>
		</div>
	`;
}

// roleOf is the role in words; one that is not known here allows nothing.
const roleOf = ({ role }) => {
	const words = t(`role.${role}`);
	return words === `role.${role}` ? t("role.unknown") : words;
};

function Person({ session, signOut }) {
	const menu = useRef(null);
	return html`
		<details
			class="person"
			ref=${menu}
			onKeyDown=${(e) => {
				if (e.key === "Escape") {
					menu.current.open = false;
					menu.current.firstElementChild.focus();
				}
			}}
			onFocusOut=${(e) => {
				if (!menu.current.contains(e.relatedTarget)) menu.current.open = false;
			}}
		>
			<summary aria-label=${t("person.menu", { name: session.name || session.email || session.tenant })}>
				<${Icon} name="person" />
				<span class="wide-only">${session.name || session.email || session.tenant}</span>
			</summary>
			<div class="menu" tabindex="-1">
				<p>
					<strong>${session.name}</strong>
					<br />
					${session.email}
				</p>
				<p class="muted">${session.client_name || session.tenant} · ${roleOf(session)}</p>
				${session.sections.includes("profile") &&
				html`
					<a
						href="/profile"
						onClick=${() => {
							menu.current.open = false;
						}}
					>
						${t("profile.title")}
					</a>
				`}
				<button
					type="button"
					onClick=${() => {
						menu.current.open = false;
						signOut();
					}}
				>
					${t("person.signout")}
				</button>
			</div>
		</details>
	`;
}

function Bar({ session, section, signOut }) {
	return html`
		<header class="bar">
			<div class="bar-in">
				<a
					class="skip"
					href="#main"
					onClick=${(e) => {
						e.preventDefault();
						document.querySelector("#main h1, #main")?.focus();
					}}
				>
					${t("nav.skip")}
				</a>
				<a class="brand" href="/">
					<span class="brand-mark"><${Icon} name="bell" size="18" /></span>
					${session?.platform || document.title}
				</a>
				${session &&
				html`
					<nav aria-label=${t("nav.main")}>
						<ul>
							${sections
								.filter((s) => session.sections.includes(s.name))
								.map(
									(s) => html`
										<li>
											<a href=${s.at} aria-current=${s.name === section ? "page" : undefined}>
												${t(s.title)}
											</a>
										</li>
									`,
								)}
						</ul>
					</nav>
					<${Person} session=${session} signOut=${signOut} />
				`}
			</div>
		</header>
	`;
}

// Page shows the view of the address, names the tab after its heading, and moves the focus to it.
function Page({ session }) {
	const { path } = useLocation();
	const main = useRef(null);
	const first = useRef(true);
	const found = find(path);
	const allowed = found && session.sections.includes(found.section);
	const front = path === "/" && !allowed && [...sections, profile].find((s) => session.sections.includes(s.name));
	useEffect(() => {
		if (front) navigate(front.at, { replace: true });
	}, [front]);
	useEffect(() => {
		let held = null; // the heading that has the focus; when what was read brings another, that one gets it
		const hold = (heading) => {
			held = heading;
			heading.focus({ preventScroll: true });
		};
		const named = () => {
			const heading = main.current?.querySelector("h1");
			if (heading && held && !held.isConnected && document.activeElement === document.body) hold(heading);
			if (heading) document.title = `${heading.textContent} · ${session.platform}`;
		};
		const seen = new MutationObserver(named);
		seen.observe(main.current, { childList: true, subtree: true, characterData: true });
		named();
		if (!first.current) {
			scrollTo(0, 0);
			hold(main.current.querySelector("h1") || main.current);
		}
		first.current = false;
		return () => seen.disconnect();
	}, [path]);
	const body = !found
		? html`
				<h1 tabindex="-1">${t("missing.title")}</h1>
				<${Empty} icon="search" title=${t("missing.what")}>
					<p><a class="button" href="/">${t("missing.back")}</a></p>
				<//>
			`
		: !allowed
			? html`
					<h1 tabindex="-1">${t("forbidden.title")}</h1>
					<${Empty} icon="person" title=${t("forbidden.what", { role: roleOf(session) })} />
				`
			: html`
					<${found.view}
						key=${path.split("/").slice(0, 3).join("/")}
						session=${session}
						path=${path}
						...${found.parameters}
					/>
				`;
	return html`
		<main class="page" id="main" tabindex="-1" ref=${main}>${body}</main>
	`;
}

function App() {
	const [, redraw] = useState(0);
	const [signed, setSigned] = useState(hasToken());
	const [ended, setEnded] = useState(""); // why the sign-in is over: "expired", "wrong"
	useEffect(() => {
		onSignedOut(() => setEnded((was) => (was ? "wrong" : "expired")));
		return onSignedIn(() => setSigned(true));
	}, []);
	const load = useLoad(signed ? "session" : "none", async (signal) => {
		const session = signed ? (await get("/v1/session", { signal })).body : null;
		setEnded("");
		return session;
	});
	const { path } = useLocation();
	const signOut = () => {
		if (!mayLeave()) return;
		dropToken();
		setEnded("");
		setSigned(false);
	};
	const session = signed ? load.data : null;
	// What somebody has typed is for their own company: it does not go on under another sign-in.
	const body = session
		? html`
				<${Page} session=${session} key=${`${session.tenant} ${session.email} ${session.role}`} />
				${ended &&
				html`
					<${SignInAgain} ended=${ended} onToken=${keepToken} />
				`}
			`
		: !signed || ended
			? html`
					<${SignIn} ended=${ended} onToken=${keepToken} />
				`
			: html`
					<main class="page" id="main">
						<h1 class="visually-hidden">${document.title}</h1>
						${load.error
							? html`
									<${Failure} error=${load.error} retry=${load.reload} />
								`
							: html`
									<${Skeleton} kind="cards" />
								`}
					</main>
				`;
	return html`
		<${Bar} session=${session} section=${find(path)?.section} signOut=${signOut} />
		${body}
		<footer><${Settings} session=${session} redraw=${() => redraw((n) => n + 1)} /></footer>
	`;
}

takeToken();
// A sign-in link that is opened in this tab brings a new token to the page that is shown. Where the sign-in had ended,
// the page goes on; else it may be somebody else's and is loaded anew, which asks when something is not saved.
addEventListener("hashchange", () => {
	if (!location.hash.includes("token=")) return;
	const goesOn = !hasToken();
	takeToken();
	if (!goesOn) location.reload();
});
startRouter();
await Promise.all([loadLanguage(chosenLanguage()), loadIcons()]);
document.getElementById("app").replaceChildren();
render(
	html`
		<${App} />
	`,
	document.getElementById("app"),
);
if (location.pathname === "/index.html") navigate("/", { replace: true });
