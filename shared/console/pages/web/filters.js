// Tabs by state, a search field and a range of time, all kept in the address.
import { readAllAsText } from "./api.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { local, t, zone, zoned } from "./i18n.js";
import { Icon } from "./icons.js";
import { useAction } from "./load.js";
import { navigate, withQuery } from "./router.js";
import { Busy, Failure } from "./ui.js";

const plain = ["all", "enabled", "disabled"];
const pause = 250; // milliseconds without a key until what is typed is searched for

export const tabOf = (query, tabs = plain) => (tabs.includes(query.get("tab")) ? query.get("tab") : "all");

export function Tabs({ counts, current, tabs = plain }) {
	return html`
		<nav class="tabs" aria-label=${t("tabs.label")}>
			<ul>
				${tabs.map(
					(tab) => html`
						<li>
							<a
								href=${withQuery({ tab: tab === "all" ? "" : tab })}
								aria-current=${tab === current ? "page" : undefined}
							>
								${t(`tabs.${tab}`)}${" "}
								<span class="count">${counts ? counts[tab] : "–"}</span>
							</a>
						</li>
					`,
				)}
			</ul>
		</nav>
	`;
}

// Search keeps what is typed for itself and puts it into the address when the person pauses, or at once where the page
// has all that is searched.
export function Search({ q, label, atOnce }) {
	const [text, set] = useState(q);
	const timer = useRef(0);
	useEffect(() => set((typed) => (typed.trim() === q ? typed : q)), [q]); // a space before the next word stays
	useEffect(() => () => clearTimeout(timer.current), []);
	const search = (value) => navigate(withQuery({ q: value.trim() }), { replace: true });
	const typed = (value) => {
		set(value);
		clearTimeout(timer.current);
		if (atOnce) search(value);
		else timer.current = setTimeout(() => search(value), pause);
	};
	return html`
		<form
			class="search"
			role="search"
			onSubmit=${(e) => {
				e.preventDefault();
				clearTimeout(timer.current);
				search(text);
			}}
		>
			<label class="visually-hidden" for="q">${label}</label>
			<${Icon} name="search" size="18" />
			<input
				id="q"
				type="search"
				placeholder=${label}
				value=${text}
				autocomplete="off"
				onInput=${(e) => typed(e.target.value)}
			/>
		</form>
	`;
}

// Range is the fields from and to, in the reader's zone. The address has each with its zone.
export const Range = ({ asked }) =>
	["from", "to"].map(
		(name) => html`
			<label class="field">
				<span class="label">${`${t(`range.${name}`)} (${zone()})`}</span>
				<input
					name=${name}
					type="datetime-local"
					autocomplete="off"
					value=${Date.parse(asked[name]) ? local(new Date(asked[name])) : ""}
					onChange=${(e) => navigate(withQuery({ [name]: zoned(e.target.value) }), { replace: true })}
				/>
			</label>
		`,
	);

// SaveAsCSV saves what the filters find, the newest first, and says when that was more than one file holds.
export function SaveAsCSV({ path, asked, name, children }) {
	const [more, tell] = useState(false);
	const [save, { busy, error }] = useAction(async () => {
		tell(false);
		tell(await readAllAsText(path, asked, name));
	});
	return html`
		<button type="button" disabled=${busy} onClick=${save}><${Busy} on=${busy}>${children}<//></button>
		<span class="muted" role="status">${more ? t("csv.more") : ""}</span>
		${error &&
		html`
			<${Failure} error=${error} />
		`}
	`;
}
