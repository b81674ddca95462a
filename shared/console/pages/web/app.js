// Starts the Console: signs in, loads the texts, shows the view that the address names.
import { html, render, useEffect, useRef, useState } from "./html.js";
import { onSignedIn, onSignedOut, readSession, signOut, tellWhose } from "./api.js";
import { chooseLanguage, language, languages, loadLanguage, t } from "./i18n.js";
import { Icon, loadIcons } from "./icons.js";
import { lazy, readRest } from "./lazy.js";
import { useAction, useLoad } from "./load.js";
import { hasUnsaved, match, mayLeave, navigate, startRouter, useLocation } from "./router.js";
import { OtherPerson, SignIn, SignInAgain, SignInPage, signedInPath, signInPath } from "./signin.js";
import { Dialog, Empty, Failure, Skeleton } from "./ui.js";
import { Integrations } from "./views/integrations.js";
import { Acting } from "./views/acting.js";

// The page is sent with the platform's name for a title; a view puts its own before it.
const platform = document.title;

// A section is shown when the session names it. The first that a person may see is their front page; the profile is in
// the menu of the person.
const sections = [
	{ name: "integrations", at: "/", title: "nav.integrations" },
	{ name: "log", at: "/log", title: "nav.log" },
	{ name: "triggers", at: "/triggers", title: "nav.triggers" },
	{ name: "reports", at: "/reports", title: "nav.reports" },
	{ name: "mail_log", at: "/mail-log", title: "nav.mail_log" },
	{ name: "dead_letters", at: "/rejected", title: "nav.rejected" },
	{ name: "activity", at: "/activity", title: "nav.activity" },
	{ name: "leaving", at: "/leaving", title: "leaving.title" },
];
const profile = { name: "profile", at: "/profile" };

const add = () => import("./views/add.js");
const Add = lazy(add, "Add");
const AddForm = lazy(add, "AddForm");
const Integration = lazy(() => import("./views/integration.js"), "Integration");
const triggers = () => import("./views/triggers.js");
const AddTrigger = lazy(triggers, "AddTrigger");
const NewTrigger = lazy(triggers, "NewTrigger");
const Trigger = lazy(triggers, "Trigger");
const Triggers = lazy(triggers, "Triggers");
const Reports = lazy(() => import("./views/reports.js"), "Reports");
const Profile = lazy(() => import("./views/profile.js"), "Profile");
const MailLog = lazy(() => import("./views/mail-log.js"), "MailLog");
const Log = lazy(() => import("./views/log.js"), "Log");
const Event = lazy(() => import("./views/event.js"), "Event");
const Rejected = lazy(() => import("./views/rejected.js"), "Rejected");
const Tokens = lazy(() => import("./views/tokens.js"), "Tokens");
const Activity = lazy(() => import("./views/activity.js"), "Activity");
const Leaving = lazy(() => import("./views/leaving.js"), "Leaving");
const Addresses = lazy(() => import("./views/addresses.js"), "Addresses");

const views = [
	["/", "integrations", Integrations],
	["/add", "integrations", Add],
	["/add/:system", "integrations", AddForm],
	["/integrations/:id", "integrations", Integration],
	["/integrations/:id/deliveries", "integrations", Integration],
	["/integrations/:id/deliveries/:delivery", "integrations", Integration],
	["/log", "log", Log],
	["/events/:id", "log", Event],
	["/triggers", "triggers", Triggers],
	["/triggers/add", "triggers", AddTrigger],
	["/triggers/add/:template", "triggers", NewTrigger],
	["/triggers/:id", "triggers", Trigger],
	["/reports", "reports", Reports],
	["/profile", "profile", Profile],
	["/mail-log", "mail_log", MailLog],
	["/rejected", "dead_letters", Rejected],
	["/tokens", "tokens", Tokens],
	["/activity", "activity", Activity],
	["/leaving", "leaving", Leaving],
	["/addresses", "addresses", Addresses],
];

function find(path) {
	for (const [pattern, section, view] of views) {
		const parameters = match(pattern, path);
		if (parameters) return { section, view, parameters };
	}
	return null;
}

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
				${session.sections.includes("tokens") &&
				html`
					<a
						href="/tokens"
						onClick=${() => {
							menu.current.open = false;
						}}
					>
						${t("tokens.title")}
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

// Nav lists the sections. Where they have no room beside each other (style.css), a button opens the list and says where
// one is; choosing, Escape and leaving the list close it.
function Nav({ session, section }) {
	const [open, setOpen] = useState(false);
	const list = useRef(null);
	const button = useRef(null);
	const { path } = useLocation();
	useEffect(() => setOpen(false), [path]);
	const shown = sections.filter((s) => session.sections.includes(s.name));
	const current = shown.find((s) => s.name === section);
	return html`
		<nav
			ref=${list}
			aria-label=${t("nav.main")}
			class=${open ? "open" : ""}
			onKeyDown=${(e) => {
				if (e.key !== "Escape" || !open) return;
				setOpen(false);
				button.current.focus();
			}}
			onFocusOut=${(e) => {
				if (e.relatedTarget && !list.current.contains(e.relatedTarget)) setOpen(false);
			}}
		>
			<button
				type="button"
				class="sections"
				ref=${button}
				aria-expanded=${open ? "true" : "false"}
				aria-controls="sections"
				onClick=${() => setOpen(!open)}
			>
				<${Icon} name="menu" />
				<span>${t("nav.menu")}</span>
				${current &&
				!open &&
				html`
					<span class="muted">${t(current.title)}</span>
				`}
			</button>
			<ul id="sections">
				${shown.map(
					(s) => html`
						<li>
							<a
								href=${s.at}
								aria-current=${s.name === section ? "page" : undefined}
								onClick=${() => setOpen(false)}
							>
								${t(s.title)}
							</a>
						</li>
					`,
				)}
			</ul>
		</nav>
	`;
}

function Bar({ session, section, signOut, again }) {
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
					${session?.platform || platform}
				</a>
				${session &&
				html`
					<${Nav} session=${session} section=${section} />
					${session.global &&
					html`
						<${Acting} key=${session.tenant} session=${session} again=${again} />
					`}
					<${Person} session=${session} signOut=${signOut} />
				`}
			</div>
		</header>
	`;
}

const keyOf = (session) => `${session.tenant} ${session.email} ${session.role}`;

// useShown is the session whose view is shown. Where somebody else has signed in meanwhile, at the identity provider or
// in another tab, and the view holds what is not saved, it stays that of before until the person says so; `other` is
// who has signed in.
function useShown(session) {
	const [shown, show] = useState(null);
	const same = !session || !shown || keyOf(session) === keyOf(shown) || !hasUnsaved();
	useEffect(() => {
		if (same && session && session !== shown) show(session);
	}, [session, same]);
	return same ? { shown: session } : { shown, other: session, give: () => show(session) };
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

let early = readSession(); // while the texts are read
early.catch(() => {}); // who waits for it hears of it

function App() {
	const [, redraw] = useState(0);
	const [signed, setSigned] = useState(true); // as far as is known
	const [ended, setEnded] = useState(""); // why the session is over: "expired", "elsewhere", "out"
	useEffect(() => {
		onSignedOut((why) => {
			setEnded(why);
			if (why === "elsewhere" && !hasUnsaved()) setSigned(false); // nothing is lost with what is shown
		});
		return onSignedIn(() => setSigned(true));
	}, []);
	const load = useLoad(signed ? "session" : "none", async (signal) => {
		const reading = signed ? early || readSession(signal) : null;
		early = null;
		const session = await reading;
		if (session) {
			setEnded("");
			tellWhose(session);
		}
		return session;
	});
	const { path } = useLocation();
	const [leave, leaving, stay] = useAction(async () => {
		if (!mayLeave()) return;
		const next = await signOut();
		setEnded("out");
		setSigned(false);
		navigate(signInPath, { done: true });
		if (next !== signInPath) setTimeout(() => location.assign(next)); // once nothing unsaved is shown
	});
	const session = signed ? load.data : null;
	const { shown, other, give } = useShown(session);
	// What somebody has typed is for their own company: it does not go on under another sign-in.
	const body =
		path === signInPath || path === signedInPath
			? html`
					<${SignInPage}
						session=${session}
						known=${Boolean(session || load.error || !signed)}
						ended=${ended}
					/>
				`
			: session
				? html`
						<${Page} session=${shown} key=${keyOf(shown)} />
						${other &&
						html`
							<${OtherPerson} now=${other} was=${shown} give=${give} />
						`}
						${ended &&
						html`
							<${SignInAgain} session=${session} ended=${ended} />
						`}
					`
				: !signed || load.error?.status === 401
					? html`
							<${SignIn} ended=${ended} />
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
		<${Bar} session=${session} section=${find(path)?.section} signOut=${leave} again=${load.reload} />
		${body}
		${leaving.error &&
		html`
			<${Dialog} title=${t("person.signout")} onClose=${stay}>
				<${Failure} error=${leaving.error} retry=${leave} />
				<p><button type="button" onClick=${stay}>${t("action.close")}</button></p>
			<//>
		`}
		<footer><${Settings} session=${session} redraw=${() => redraw((n) => n + 1)} /></footer>
	`;
}

for (const sign of ["pointermove", "pointerdown", "keydown"]) addEventListener(sign, readRest, { once: true });
startRouter();
await Promise.all([loadLanguage(document.documentElement.lang), loadIcons()]);
document.getElementById("app").replaceChildren();
render(
	html`
		<${App} />
	`,
	document.getElementById("app"),
);
if (location.pathname === "/index.html") navigate("/", { replace: true });
