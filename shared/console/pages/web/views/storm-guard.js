// How many messages of an integration people are sent in a minute.
import { html, useId, useState } from "../html.js";
import { t } from "../i18n.js";
import { ErrorAt } from "../ui.js";

const USUAL = "60";
const MOST = 1000;
const NONE = "none";

const countOf = (guard) => (guard || USUAL).split("/")[0];

// wrongStormGuard says what is wrong with a storm guard such as 60/minute; "" = nothing.
export function wrongStormGuard(guard) {
	const count = countOf(guard);
	return !guard || guard === NONE || (/^\d+$/.test(count) && count >= 1 && count <= MOST)
		? ""
		: t("storm.wrong", { most: MOST });
}

// StormGuard is the field. Its value is "" for the usual guard, and "none" where it is off.
export function StormGuard({ value, error, onInput, onBlur }) {
	const id = useId();
	const on = value !== NONE;
	const [count, setCount] = useState(on ? countOf(value) : USUAL);
	const set = (n) => onInput(n === USUAL ? "" : `${n}/minute`);
	return html`
		<div class="field" data-field="storm_guard">
			<label class="check">
				<input
					type="checkbox"
					checked=${on}
					aria-describedby=${`${id}-help`}
					onChange=${(e) => (e.target.checked ? set(count) : onInput(NONE))}
				/>
				${t("storm.on")}
			</label>
			${on &&
			html`
				<div class="row">
					<label class="label" for=${id}>${t("storm.count")}</label>
					<input
						id=${id}
						class="short"
						type="number"
						inputmode="numeric"
						min="1"
						max=${MOST}
						value=${count}
						aria-describedby=${`${id}-help ${id}-error`}
						aria-invalid=${error ? "true" : undefined}
						onInput=${(e) => {
							setCount(e.target.value.trim());
							set(e.target.value.trim());
						}}
						onBlur=${onBlur}
					/>
				</div>
			`}
			<p class="help" id=${`${id}-help`}>${t("storm.help")}</p>
			<${ErrorAt} id=${`${id}-error`} text=${error} />
		</div>
	`;
}
