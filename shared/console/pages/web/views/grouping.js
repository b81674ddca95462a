// Which events an integration gets as one message.
import { html, useId, useState } from "../html.js";
import { t } from "../i18n.js";
import { ErrorAt } from "../ui.js";

const FEWEST = 2;
const MOST = 1000;
const LONGEST = 60;

const parts = (grouping) => {
	const [count, span = ""] = (grouping || "").split("/");
	return { count, minutes: span.replace(/m$/, "") };
};

const within = (text, least, most) => /^\d+$/.test(text) && text >= least && text <= most;

// wrongGrouping says what is wrong with a grouping such as 50/5m; "" = nothing.
export function wrongGrouping(grouping) {
	const { count, minutes } = parts(grouping);
	return !grouping || (within(count, FEWEST, MOST) && within(minutes, 1, LONGEST))
		? ""
		: t("grouping.wrong", { least: FEWEST, most: MOST, longest: LONGEST });
}

// Grouping is the field. Its value is "" where each event is a message.
export function Grouping({ value, error, onInput, onBlur }) {
	const id = useId();
	const had = parts(value);
	const [minutes, setMinutes] = useState(had.minutes || "5");
	const [count, setCount] = useState(had.count || "50");
	const on = Boolean(value);
	const set = (c, m) => onInput(`${c}/${m}m`);
	const number = (name, v, least, most, onChange) => html`
		<label class="label" for=${`${id}-${name}`}>${t(`grouping.${name}`)}</label>
		<input
			id=${`${id}-${name}`}
			class="short"
			type="number"
			inputmode="numeric"
			min=${least}
			max=${most}
			value=${v}
			aria-describedby=${`${id}-help ${id}-error`}
			aria-invalid=${error ? "true" : undefined}
			onInput=${(e) => onChange(e.target.value.trim())}
			onBlur=${onBlur}
		/>
	`;
	return html`
		<div class="field" data-field="grouping">
			<label class="check">
				<input
					type="checkbox"
					checked=${on}
					aria-describedby=${`${id}-help`}
					onChange=${(e) => (e.target.checked ? set(count, minutes) : onInput(""))}
				/>
				${t("grouping.on")}
			</label>
			${on &&
			html`
				<div class="row">
					${number("minutes", minutes, 1, LONGEST, (v) => {
						setMinutes(v);
						set(count, v);
					})}
				</div>
				<div class="row">
					${number("count", count, FEWEST, MOST, (v) => {
						setCount(v);
						set(v, minutes);
					})}
				</div>
			`}
			<p class="help" id=${`${id}-help`}>${t("grouping.help")}</p>
			<${ErrorAt} id=${`${id}-error`} text=${error} />
		</div>
	`;
}
