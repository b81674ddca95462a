// What a system is sent: an event of each type, as the system's own encoder writes it. Nothing is sent.
import { html, useState } from "../html.js";
import { may, post } from "../api.js";
import { fullName } from "../events.js";
import { languageOf, said, t } from "../i18n.js";
import { Icon } from "../icons.js";
import { useLoad } from "../load.js";
import { Dialog, Notice, Said, View } from "../ui.js";
import { Request } from "./delivery.js";

const Sample = ({ of: s }) => html`
	${s.reason &&
	html`
		<${Notice}>
			<p><${Said} text=${s.reason} /></p>
		<//>
	`}
	${s.summary &&
	html`
		<div class="letter-text">
			<p><strong lang=${languageOf(s.summary)}>${s.summary}</strong></p>
			<p lang=${languageOf(s.description)}>${s.description}</p>
		</div>
	`}
	${s.requests.map(
		(r, n) => html`
			<${Request} key=${n} request=${r} n=${n + 1} />
		`,
	)}
`;

function All({ system, by, onClose }) {
	const [event, choose] = useState(system.events.find((e) => !e.event.startsWith("report_"))?.event);
	const load = useLoad(
		`samples ${system.name}`,
		async (signal) =>
			(await post("/v1/integrations/samples", { system: system.name, ...by }, { signal })).body.items,
	);
	return html`
		<${Dialog} title=${t("samples.title", { system: said(system.title) })} wide onClose=${onClose}>
			<p class="muted">${t("samples.lead")}</p>
			<label class="field">
				<span class="label">${t("samples.event")}</span>
				<select value=${event} onChange=${(e) => choose(e.target.value)}>
					${system.events.map(
						(e) => html`
							<option value=${e.event}>${fullName(e.event, system)}</option>
						`,
					)}
					${system.worded &&
					html`
						<option value="digest">${t("samples.digest")}</option>
					`}
				</select>
			</label>
			<${View} load=${load} count="3">
				${(items) => html`
					<div class="sample" aria-live="polite">
						<${Sample} of=${items.find((i) => i.event === event) || items[0]} />
					</div>
				`}
			<//>
			<div class="buttons">
				<button type="button" onClick=${onClose}>${t("action.close")}</button>
			</div>
		<//>
	`;
}

// Samples is the button that opens them; held() is what the form holds: parameters, message template and language.
export function Samples({ system, held }) {
	const [by, open] = useState(null);
	if (!may("integrations")) return null;
	return html`
		<p>
			<button type="button" class="quiet" onClick=${() => open(held())}>
				<${Icon} name="eye" size="18" />
				${t("samples.title", { system: said(system.title) })}
			</button>
		</p>
		${by &&
		html`
			<${All} system=${system} by=${by} onClose=${() => open(null)} />
		`}
	`;
}
