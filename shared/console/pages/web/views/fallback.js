// Where what can not be delivered to an integration goes, and where it comes from.
import { html, useId } from "../html.js";
import { integrationsOf } from "../api.js";
import { t } from "../i18n.js";
import { useLoad } from "../load.js";
import { ErrorAt, Notice, Said } from "../ui.js";

const deliveryAt = (integration, delivery) => `/integrations/${integration}/deliveries/${delivery}`;

// Fallback is the field. Its value is the id of another integration, "" where what can not be delivered goes nowhere;
// own is the id of the form's integration.
export function Fallback({ value, own, error, onInput, onBlur }) {
	const id = useId();
	const load = useLoad("fallbacks", integrationsOf);
	const others = (load.data || load.stale || []).filter((i) => i.id !== own);
	return html`
		<div class="field" data-field="fallback">
			<label class="label" for=${id}>${t("fallback.of")}</label>
			<select
				id=${id}
				value=${value}
				aria-describedby=${`${id}-help ${id}-error`}
				aria-invalid=${error ? "true" : undefined}
				onChange=${(e) => onInput(e.target.value)}
				onBlur=${onBlur}
			>
				<option value="" selected=${!value}>${t("fallback.none")}</option>
				${others.map(
					(i) => html`
						<option key=${i.id} value=${i.id} selected=${i.id === value}>
							${i.enabled ? i.name : t("fallback.off", { name: i.name })}
						</option>
					`,
				)}
				${value &&
				!others.some((i) => i.id === value) &&
				html`
					<option value=${value} selected>${load.data ? t("fallback.gone") : value}</option>
				`}
			</select>
			<p class="help" id=${`${id}-help`}>${t("fallback.help")}</p>
			<${ErrorAt} id=${`${id}-error`} text=${error} />
		</div>
	`;
}

// WentTo says in a line of the log where the events of a delivery went, or came from.
export function WentTo({ of: d }) {
	if (d.fallback?.delivery_id)
		return html`
			<p class="muted">
				<a href=${deliveryAt(d.fallback.integration_id, d.fallback.delivery_id)}>${t("fallback.went")}</a>
			</p>
		`;
	if (d.from)
		return html`
			<p class="muted">${t("fallback.came", { name: d.from.name })}</p>
		`;
	return "";
}

// Fell says so on the page of a delivery.
export function Fell({ of: d }) {
	const to = d.fallback;
	return html`
		${d.from &&
		html`
			<${Notice} kind="warn">
				<p>
					<strong>${t("fallback.came", { name: d.from.name })}</strong>
					${" "}
					<${Said} text=${d.from.reason} />
				</p>
				${d.from.delivery_id &&
				html`
					<p>
						<a href=${deliveryAt(d.from.integration_id, d.from.delivery_id)}>${t("fallback.dead")}</a>
					</p>
				`}
			<//>
		`}
		${to &&
		html`
			<${Notice} kind=${to.delivery_id ? "info" : "warn"}>
				${to.delivery_id
					? html`
							<p>
								${t("fallback.sent")}${" "}
								<a href=${deliveryAt(to.integration_id, to.delivery_id)}>${t("fallback.open")}</a>
							</p>
						`
					: html`
							<p>${t(`fallback.why.${to.why}`)}</p>
						`}
			<//>
		`}
	`;
}
