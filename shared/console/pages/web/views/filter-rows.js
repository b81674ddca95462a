// The rows in which filters are entered, of triggers and of integrations.
import { fullName } from "../events.js";
import { html, useId } from "../html.js";
import { list, said, t } from "../i18n.js";
import { Icon } from "../icons.js";
import { words } from "../schema.js";
import { ErrorAt, Said } from "../ui.js";
import { Ticks } from "./ticks.js";

const maxFilters = 6;
const maxValues = 50;

// draftFilters are filters as the rows hold them.
export function draftFilters(filters, rules) {
	const textOf = (f) => f.values.join(rules.find((d) => d.id === f.id)?.kind === "integer" ? ", " : "\n");
	return filters.map((f, key) => ({
		key,
		id: f.id,
		operator: f.operator,
		chosen: f.values.map(String),
		text: textOf(f),
	}));
}

const valuesOf = (f, definition) => {
	if (definition.kind === "choice") return f.chosen;
	return definition.kind === "integer"
		? words(f.text)
		: f.text
				.split("\n")
				.map((v) => v.trim())
				.filter(Boolean);
};

// madeFilters are what rows are sent as.
export const madeFilters = (drafts, rules) =>
	drafts.map((f) => {
		const definition = rules.find((d) => d.id === f.id);
		const values = valuesOf(f, definition);
		return { id: f.id, operator: f.operator, values: definition.kind === "integer" ? values.map(Number) : values };
	});

function filterMistake(f, definition) {
	const values = valuesOf(f, definition);
	if (!values.length) return t("trigger.check.values");
	if (values.length > maxValues) return t("check.maxItems", { n: maxValues });
	return definition.kind === "integer" && values.some((v) => !/^-?\d+$/.test(v)) ? t("check.integer") : "";
}

// filterMistakes are by place: filters.<n>.
export function filterMistakes(drafts, rules) {
	const out = {};
	drafts.forEach((f, n) => {
		const wrong = filterMistake(
			f,
			rules.find((d) => d.id === f.id),
		);
		if (wrong) out[`filters.${n}`] = wrong;
	});
	return out;
}

// narrowed is a filter in words.
export function narrowed(f, rules) {
	const of = rules?.find((d) => d.id === f.id);
	const values = f.values.map((v) => said(of?.choices?.find((c) => c.value === String(v))?.title ?? String(v)));
	return t(`trigger.filter.${f.operator}`, { name: said(of?.title || f.id), values: list(values) });
}

// offered are the filters that can apply to events of a system, and those that an integration has already.
export const offered = (rules, system, has) =>
	rules.filter(
		(r) =>
			!r.events || system.events.some(({ event }) => r.events.includes(event)) || has.some((f) => f.id === r.id),
	);

// asking says which of the chosen events a filter asks, where it does not ask all of them.
export function asking(rule, system, events) {
	const chosen = system.events.filter(({ event }) => events[event]?.active);
	if (!rule?.events || !chosen.length || chosen.every(({ event }) => rule.events.includes(event))) return "";
	const titles = (all) =>
		all.filter(({ event }) => rule.events.includes(event)).map((e) => fullName(e.event, system));
	const [asked, others] = [titles(chosen), titles(system.events)];
	if (asked.length) return t("filter.asks", { types: list(asked) });
	return others.length ? t("filter.never", { types: list(others) }) : t("filter.never.here");
}

function Filter({ filter: f, n, rules, taken, asks, set, remove, error }) {
	const id = useId();
	const definition = rules.find((d) => d.id === f.id);
	const title = said(definition.title);
	const describedby = `${id}-help ${id}-error`;
	// What was entered for one filter is there again when the row goes back to it.
	const another = (to) =>
		set({
			operator: rules.find((d) => d.id === to).operators[0],
			chosen: [],
			text: "",
			...f.before?.[to],
			id: to,
			before: { ...f.before, [f.id]: { operator: f.operator, chosen: f.chosen, text: f.text } },
		});
	const tick = (value, yes) =>
		set({
			chosen: definition.choices.map((c) => c.value).filter((v) => (v === value ? yes : f.chosen.includes(v))),
		});
	const control =
		definition.kind === "choice"
			? html`
					<${Ticks}
						label=${title}
						describedby=${describedby}
						options=${definition.choices.map((c) => ({ value: c.value, label: said(c.title) }))}
						chosen=${f.chosen}
						tick=${tick}
					/>
				`
			: definition.kind === "integer"
				? html`
						<input
							aria-label=${t("trigger.values", { name: title })}
							aria-describedby=${describedby}
							value=${f.text}
							autocomplete="off"
							spellcheck="false"
							onInput=${(e) => set({ text: e.target.value })}
						/>
					`
				: html`
						<textarea
							rows="2"
							aria-label=${t("trigger.values", { name: title })}
							aria-describedby=${describedby}
							spellcheck="false"
							value=${f.text}
							onInput=${(e) => set({ text: e.target.value })}
						></textarea>
					`;
	return html`
		<li class=${`filter-row ${error ? "invalid" : ""}`}>
			<div class="row">
				<select
					aria-label=${t("trigger.filter.which", { n: n + 1 })}
					value=${f.id}
					onChange=${(e) => another(e.target.value)}
				>
					${rules
						.filter((d) => d.id === f.id || !taken.includes(d.id))
						.map(
							(d) => html`
								<option value=${d.id}>${said(d.title)}</option>
							`,
						)}
				</select>
				<select
					class="short"
					aria-label=${t("trigger.operator", { n: n + 1 })}
					value=${f.operator}
					onChange=${(e) => set({ operator: e.target.value })}
				>
					${definition.operators.map(
						(o) => html`
							<option value=${o}>${t(`trigger.operator.${o}`)}</option>
						`,
					)}
				</select>
				<button type="button" class="quiet" onClick=${remove}>
					<${Icon} name="trash" size="18" />
					<span class="visually-hidden">${t("trigger.filter.remove", { name: title })}</span>
				</button>
			</div>
			${control}
			<p class="help" id=${`${id}-help`}>
				<${Said} text=${definition.help} />
				${definition.kind === "choice"
					? ""
					: ` ${t(definition.kind === "integer" ? "trigger.values.commas" : "trigger.values.lines")}`}
				${asks && ` ${asks}`}
			</p>
			<${ErrorAt} id=${`${id}-error`} text=${error} />
		</li>
	`;
}

// FilterRows: rules are the filters that may be chosen, value is what draftFilters made, note says how they count,
// errors are by place: filters, filters.<n>; asks says what a rule is asked of, where that is not all.
export function FilterRows({ rules, value, note, errors, asks, onChange, children }) {
	const taken = value.map((f) => f.id);
	const left = rules.filter((d) => !taken.includes(d.id));
	const change = (n, change) => onChange(value.map((f, i) => (i === n ? { ...f, ...change } : f)));
	const add = () =>
		onChange([...value, { key: Date.now(), id: left[0].id, operator: left[0].operators[0], chosen: [], text: "" }]);
	return html`
		<fieldset>
			<legend>${t("trigger.filters")}</legend>
			<p class="help">${note}</p>
			${value.length > 0 &&
			html`
				<ul class="column">
					${value.map(
						(f, n) => html`
							<${Filter}
								key=${f.key}
								filter=${f}
								n=${n}
								rules=${rules}
								taken=${taken}
								asks=${asks?.(rules.find((d) => d.id === f.id))}
								error=${errors[`filters.${n}`]}
								set=${(c) => change(n, c)}
								remove=${() => onChange(value.filter((_, i) => i !== n))}
							/>
						`,
					)}
				</ul>
			`}
			<${ErrorAt} text=${errors.filters} />
			${left.length > 0 &&
			value.length < maxFilters &&
			html`
				<div class="buttons start">
					<button type="button" class="quiet" onClick=${add}>
						<${Icon} name="plus" size="16" />
						${t("trigger.filter.add")}
					</button>
				</div>
			`}
			${children}
		</fieldset>
	`;
}
