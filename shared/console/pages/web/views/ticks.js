// Check boxes that can be searched when there are many: what is chosen is always told, also while it is filtered out.
import { html, useId, useState } from "../html.js";
import { list, t } from "../i18n.js";
import { Box } from "../ui.js";

// few is up to how many boxes need no search.
const few = 12;

const found = (label, q) => label.toLowerCase().includes(q.trim().toLowerCase());

// Ticks shows options {value, label, description}. groups, when there are some, are {title, values, more}: headings
// over the options whose values they name, and what follows these.
export function Ticks({ label, options, chosen, tick, groups, describedby, empty }) {
	const id = useId();
	const [q, search] = useState("");
	const shown = options.filter((o) => found(o.label, q));
	const names = options.filter((o) => chosen.includes(o.value)).map((o) => o.label);
	const boxes = (of) =>
		of.map(
			(o) => html`
				<${Box}
					key=${o.value}
					checked=${chosen.includes(o.value)}
					label=${o.label}
					description=${o.description}
					onChange=${(yes) => tick(o.value, yes)}
				/>
			`,
		);
	const keys = (e) => {
		if (e.key === "Enter") e.preventDefault(); // it would send the form
		if (e.key === "Escape" && q) {
			e.stopPropagation();
			search("");
		}
	};
	return html`
		${options.length > few &&
		html`
			<div class="ticks-search">
				<input
					type="search"
					aria-label=${t("ticks.search", { name: label })}
					aria-controls=${id}
					placeholder=${t("ticks.search", { name: label })}
					autocomplete="off"
					value=${q}
					onInput=${(e) => search(e.target.value)}
					onKeyDown=${keys}
				/>
				<p class="help" role="status">
					${q ? t("ticks.found", { n: shown.length, all: options.length }) : ""}${" "}
					${names.length ? t("ticks.chosen", { n: names.length, names: list(names) }) : t("ticks.none")}
				</p>
			</div>
		`}
		<div id=${id} role="group" aria-label=${label} aria-describedby=${describedby}>
			${groups
				? groups.map((g) => {
						const of = shown.filter((o) => g.values.includes(o.value));
						return (
							(of.length > 0 || (!q && g.more)) &&
							html`
								<section class="ticks-group" key=${g.title} aria-label=${g.title}>
									<p class="ticks-title">${g.title}</p>
									<div class="ticks">${boxes(of)}</div>
									${!q && g.more}
								</section>
							`
						);
					})
				: html`
						<div class="ticks">${boxes(shown)}</div>
					`}
			${!shown.length &&
			html`
				<p class="help">${q ? t("ticks.nothing") : empty}</p>
			`}
		</div>
	`;
}
