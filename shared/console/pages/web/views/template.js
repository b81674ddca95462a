// The title and the text of an integration's messages, as templates, and what they make of a sample.
import { html, classes, useEffect, useId, useState } from "../html.js";
import { may, post } from "../api.js";
import { fullName } from "../events.js";
import { languageOf, said, t } from "../i18n.js";
import { ErrorAt, Said } from "../ui.js";

const pause = 500; // from the last key to the preview, in milliseconds

// wrongTemplate says what is wrong with a part without asking; "" = nothing.
export const wrongTemplate = (value, most) =>
	[...value].length > most ? t("check.maxLength", { n: most, has: [...value].length }) : "";

function Part({ name, value, error, area, onInput, onBlur }) {
	const id = useId();
	const common = {
		id,
		value,
		spellcheck: false,
		autocomplete: "off",
		class: "template",
		"aria-describedby": `${id}-help ${id}-error`,
		"aria-invalid": error ? "true" : undefined,
		onInput: (e) => onInput(e.target.value),
		onBlur,
	};
	return html`
		<div class=${classes({ field: true, invalid: error })} data-field=${`message_template.${name}`}>
			<label class="label" for=${id}>${t(`template.${name}`)}</label>
			${area
				? html`
						<textarea ...${common} rows="6"></textarea>
					`
				: html`
						<input type="text" ...${common} />
					`}
			<p class="help" id=${`${id}-help`}>${t(`template.${name}.help`)}</p>
			<${ErrorAt} id=${`${id}-error`} text=${error} />
		</div>
	`;
}

const Reference = ({ rules }) => html`
	<details>
		<summary>${t("template.fields")}</summary>
		<dl class="facts">
			${rules.fields.map(
				(name) => html`
					<dt><code>${`{{.${name}}}`}</code></dt>
					<dd>${t(`template.field.${name}`)}</dd>
				`,
			)}
		</dl>
		<p>${t("template.functions")}</p>
		<p>
			${rules.functions.map(
				(use) => html`
					<code>${use}</code>
					${" "}
				`,
			)}
		</p>
		<p>
			${t("template.if")}${" "}
			<code>${'{{if eq .Severity "high" "critical"}}…{{else}}…{{end}}'}</code>
		</p>
	</details>
`;

// Preview shows a sample with the words of the template as they are typed. Nothing is sent.
function Preview({ system, value, parameters }) {
	const [event, choose] = useState(system.events.find((e) => !e.event.startsWith("report_"))?.event);
	const [found, find] = useState({ items: [], wrong: [] });
	useEffect(() => {
		const stop = new AbortController();
		const timer = setTimeout(async () => {
			try {
				const body = { system: system.name, parameters: parameters(), message_template: value };
				const { items } = (await post("/v1/integrations/samples", body, { signal: stop.signal })).body;
				find({ items, wrong: [] });
			} catch (error) {
				if (!stop.signal.aborted) find({ items: [], wrong: error.fields || [{ reason: error.message }] });
			}
		}, pause);
		return () => {
			clearTimeout(timer);
			stop.abort();
		};
	}, [system.name, value.title, value.text]);
	const shown = found.items.find((i) => i.event === event);
	return html`
		<div class="field">
			<label>
				<span class="label">${t("template.preview")}</span>
				<select value=${event} onChange=${(e) => choose(e.target.value)}>
					${system.events
						.filter((e) => !e.event.startsWith("report_"))
						.map(
							(e) => html`
								<option value=${e.event}>${fullName(e.event, system)}</option>
							`,
						)}
				</select>
			</label>
			<div class="template-preview" role="status">
				${found.wrong.map(
					(f) => html`
						<p class="error">
							${f.field ? `${t(f.field.endsWith("title") ? "template.title" : "template.text")}: ` : ""}
							${said(f.reason)}
						</p>
					`,
				)}
				${shown?.reason &&
				html`
					<p class="error"><${Said} text=${shown.reason} /></p>
				`}
				${shown &&
				html`
					<p><strong lang=${languageOf(shown.summary)}>${shown.summary}</strong></p>
					<p class="letter-text" lang=${languageOf(shown.description)}>${shown.description}</p>
				`}
			</div>
		</div>
	`;
}

// MessageTemplate is the two fields with their reference and the preview. errors has what is wrong with each.
export function MessageTemplate({ system, rules, value, errors, parameters, onInput, onBlur }) {
	const used = Boolean(value.title || value.text);
	const [open, unfold] = useState(used);
	const wrong = errors.title || errors.text;
	return html`
		<details
			class="advanced"
			open=${open || Boolean(wrong)}
			onToggle=${(e) => {
				if (e.target === e.currentTarget) unfold(e.target.open); // it stays so while a fault is mended
			}}
		>
			<summary>${t("template.of")}</summary>
			<p class="help">${t("template.help")}</p>
			${["title", "text"].map(
				(name) => html`
					<${Part}
						key=${name}
						name=${name}
						area=${name === "text"}
						value=${value[name]}
						error=${errors[name]}
						onInput=${(v) => onInput({ ...value, [name]: v })}
						onBlur=${() => onBlur(name)}
					/>
				`,
			)}
			<${Reference} rules=${rules} />
			${used &&
			may("integrations") &&
			html`
				<${Preview} system=${system} value=${value} parameters=${parameters} />
			`}
		</details>
	`;
}
