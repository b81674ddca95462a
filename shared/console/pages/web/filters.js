// Tabs by state and a search field, both kept in the address.
import { html, useEffect, useRef, useState } from "./html.js";
import { t } from "./i18n.js";
import { Icon } from "./icons.js";
import { navigate, withQuery } from "./router.js";

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
