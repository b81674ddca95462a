// How much an integration is sent at most, and what waits for its turn because of it.
import { html, useId, useState } from "../html.js";
import { t, time } from "../i18n.js";
import { ErrorAt, Notice } from "../ui.js";

const MOST = 1000;

const parts = (rate) => {
	const [count, per = "minute"] = (rate || "").split("/");
	return { count, per };
};

// wrongRate says what is wrong with a rate such as 10/minute; "" = nothing.
export function wrongRate(rate) {
	const { count } = parts(rate);
	return !count || (/^\d+$/.test(count) && count >= 1 && count <= MOST) ? "" : t("rate.wrong", { most: MOST });
}

// Rate is the field. Its value is "" where nothing is bounded.
export function Rate({ value, error, onInput, onBlur }) {
	const id = useId();
	const [per, setPer] = useState(parts(value).per);
	const { count } = parts(value);
	const set = (n, p) => onInput(n === "" ? "" : `${n}/${p}`);
	return html`
		<div class="field" data-field="rate">
			<label class="label" for=${id}>${t("rate.of")}</label>
			<div class="row">
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
					onInput=${(e) => set(e.target.value.trim(), per)}
					onBlur=${onBlur}
				/>
				<select
					class="short"
					aria-label=${t("rate.per")}
					value=${per}
					onChange=${(e) => {
						setPer(e.target.value);
						set(count, e.target.value);
					}}
				>
					<option value="second">${t("rate.second")}</option>
					<option value="minute">${t("rate.minute")}</option>
				</select>
			</div>
			<p class="help" id=${`${id}-help`}>${t("rate.help")}</p>
			<${ErrorAt} id=${`${id}-error`} text=${error} />
		</div>
	`;
}

// Backlog says until when what waits is sent.
export function Backlog({ of: { backlog } }) {
	if (!backlog) return null;
	const { waiting: n, waiting_more: more, done_at: at } = backlog;
	return html`
		<${Notice} kind="info">
			<p>${t(more ? "rate.backlog.more" : "rate.backlog", { n, at: time(at, { seconds: true }) })}</p>
		<//>
	`;
}
