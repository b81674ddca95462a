// The controls of a form that is drawn from a JSON Schema.
import { html, classes, useEffect, useId, useLayoutEffect, useRef, useState } from "../html.js";
import { languages, said, t, time, zones } from "../i18n.js";
import { Icon } from "../icons.js";
import { useAction } from "../load.js";
import { kindOf, MASK } from "../schema.js";
import { Busy, Copy, ErrorAt, Notice, reasonOf, Said } from "../ui.js";

// generated is a new signing secret, as Standard Webhooks writes one: 32 bytes of the browser's own randomness.
const generated = () => `whsec_${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))}`;

// ordered are the words for a key pair that the API makes, so that its private key is never here.
const ordered = ["generate", "rotate"];

// Secret shows a mask for what is kept, and never more. A new value replaces it. One that was made here is shown, to be
// copied to the receiver, until the form is saved.
function Secret({ field, id, value, onInput, onBlur, describedby, invalid, kept }) {
	const [shown, show] = useState(false);
	const [made, make] = useState("");
	const row = useRef(null);
	const pressed = useRef(false);
	// The focus goes on where the eye does: from Replace into the field, and back.
	useLayoutEffect(() => {
		if (pressed.current)
			(row.current.querySelector("textarea") || row.current.querySelector("input, button")).focus();
		pressed.current = false;
	}, [value === MASK || ordered.includes(value)]);
	const press = (v) => {
		pressed.current = true;
		onInput(v);
	};
	if (value === MASK) {
		return html`
			<div class="row" ref=${row}>
				<output id=${id} class="kept" aria-describedby=${describedby}>${t("secret.kept")}</output>
				<button type="button" class="quiet" onClick=${() => press("")}>${t("secret.replace")}</button>
				${field["x-made"] &&
				html`
					<button type="button" class="quiet" onClick=${() => press("rotate")}>${t("pair.rotate")}</button>
				`}
			</div>
		`;
	}
	if (field["x-made"] && ordered.includes(value)) {
		return html`
			<div class="row wrap" ref=${row}>
				<output id=${id} class="kept" aria-describedby=${describedby}>
					${value === "rotate" ? t("pair.rotated") : t("pair.made")}
				</output>
				<button type="button" class="quiet" onClick=${() => press(kept ? MASK : "")}>${t("pair.undo")}</button>
			</div>
		`;
	}
	if (kindOf(field) === "area") {
		return html`
			<div ref=${row}>
				<${Area} ...${{ id, value, onInput, onBlur, describedby, invalid }} />
				${kept &&
				html`
					<button type="button" class="quiet" onClick=${() => press(MASK)}>${t("secret.keep")}</button>
				`}
			</div>
		`;
	}
	const fresh = made && made === value;
	return html`
		<div class="row" ref=${row}>
			<input
				id=${id}
				type=${shown ? "text" : "password"}
				autocomplete="new-password"
				spellcheck="false"
				value=${value}
				aria-describedby=${describedby}
				aria-invalid=${invalid}
				onInput=${(e) => onInput(e.target.value)}
				onBlur=${onBlur}
			/>
			<button type="button" class="quiet" aria-pressed=${shown} onClick=${() => show(!shown)}>
				<${Icon} name="eye" size="18" />
				<span class="visually-hidden">${t("secret.show")}</span>
			</button>
			${kept &&
			html`
				<button type="button" class="quiet" onClick=${() => press(MASK)}>${t("secret.keep")}</button>
			`}
			${field["x-made"] &&
			!kept &&
			html`
				<button type="button" class="quiet" onClick=${() => press("generate")}>${t("pair.generate")}</button>
			`}
			${field["x-generated"] &&
			html`
				<button
					type="button"
					class="quiet"
					onClick=${() => {
						const secret = generated();
						make(secret);
						show(true);
						onInput(secret);
					}}
				>
					${t("secret.generate")}
				</button>
			`}
		</div>
		<div role="status" class="row wrap">
			${fresh &&
			html`
				<span class="help">${t("secret.made")}</span>
				<${Copy} text=${made}>${t("action.copy")}<//>
			`}
		</div>
	`;
}

function Pairs({ id, rows, onInput, onBlur, secret, label }) {
	const set = (n, change) => onInput(rows.map((r, i) => (i === n ? { ...r, ...change } : r)));
	return html`
		<div class="pairs" id=${id} role="group" aria-label=${label} onFocusOut=${onBlur}>
			${rows.map(
				(r, n) => html`
					<div class="row" key=${n}>
						<input
							aria-label=${t("pairs.name", { n: n + 1 })}
							placeholder=${t("pairs.name.hint")}
							value=${r.name}
							autocomplete="off"
							onInput=${(e) => set(n, { name: e.target.value })}
						/>
						<input
							aria-label=${t("pairs.value", { n: n + 1 })}
							type=${secret && r.value !== MASK ? "password" : "text"}
							autocomplete="new-password"
							placeholder=${t("pairs.value.hint")}
							value=${r.value}
							onFocus=${(e) => {
								if (r.value === MASK) e.target.select();
							}}
							onInput=${(e) => set(n, { value: e.target.value })}
						/>
						<button type="button" class="quiet" onClick=${() => onInput(rows.filter((_, i) => i !== n))}>
							<${Icon} name="trash" size="18" />
							<span class="visually-hidden">${t("pairs.remove", { n: n + 1 })}</span>
						</button>
					</div>
				`,
			)}
			<button type="button" class="quiet" onClick=${() => onInput([...rows, { name: "", value: "" }])}>
				<${Icon} name="plus" size="16" />
				${t("pairs.add")}
			</button>
		</div>
	`;
}

const choices = { json: "choice.json", jsonl: "choice.jsonl" };

function Area({ id, value, onInput, onBlur, describedby, invalid }) {
	const pick = async (e) => {
		const file = e.target.files[0];
		if (file && (!value.trim() || confirm(t("area.replace")))) onInput(await file.text());
		e.target.value = "";
	};
	return html`
		<textarea
			id=${id}
			rows="5"
			spellcheck="false"
			aria-describedby=${describedby}
			aria-invalid=${invalid}
			value=${value}
			onInput=${(e) => onInput(e.target.value)}
			onBlur=${onBlur}
		></textarea>
		<label class="file quiet">
			<${Icon} name="file" size="18" />
			${t("area.file")}
			<input type="file" accept=".txt,.crt,.cer,.pem,.key" onChange=${pick} />
		</label>
	`;
}

// Pick is a field whose values the system itself can list, once what it needs for that is filled in.
function Pick({ field, id, value, onInput, onBlur, describedby, invalid, system, choose, scope }) {
	const [found, setFound] = useState(null);
	const [run, { busy, error }] = useAction(async () => setFound((await choose(field.name)).body));
	useEffect(() => setFound(null), [scope]);
	const common = { id, "aria-describedby": describedby, "aria-invalid": invalid, onBlur, value };
	const { choices = [], more, reason } = found || {};
	const whole = choices.length > 0 && !more;
	const known = choices.some((c) => c.value === value);
	return html`
		<div class="row">
			${whole
				? html`
						<select ...${common} onChange=${(e) => onInput(e.target.value)}>
							${!known &&
							html`
								<option value=${value}>${value}</option>
							`}${choices.map(
								(c) => html`
									<option value=${c.value}>${c.title}</option>
								`,
							)}
						</select>
					`
				: html`
						<input
							...${common}
							type="text"
							autocomplete="off"
							spellcheck="false"
							list=${`${id}-list`}
							onInput=${(e) => onInput(e.target.value)}
						/>
					`}
			<button type="button" disabled=${busy} onClick=${run}>
				<${Busy} on=${busy}>${t("choices.load", { system: system.title })}<//>
			</button>
		</div>
		${more &&
		html`
			<datalist id=${`${id}-list`}>
				${choices.map(
					(c) => html`
						<option value=${c.value}>${c.title}</option>
					`,
				)}
			</datalist>
		`}
		<p class="help" role="status">
			${found && !reason
				? choices.length
					? t("choices.found", { n: choices.length })
					: t("choices.none")
				: ""}${more ? ` ${t("choices.more")}` : ""}
		</p>
		${reason &&
		html`
			<${Notice} kind="bad" role="alert">
				<p><${Said} text=${reason} /></p>
			<//>
		`}
		${error &&
		html`
			<${Notice} kind="bad" role="alert">
				${error.fields?.length
					? error.fields.map(
							(f) => html`
								<p>${fieldTitle(system, f.field)}: ${said(f.reason)}</p>
							`,
						)
					: html`
							<p>${reasonOf(error)}</p>
						`}
			<//>
		`}
	`;
}

// Language chooses that of what is sent; other is what holds where none is chosen.
export function Language({ value, other, help, onInput, disabled }) {
	const id = useId();
	return html`
		<div class="field" data-field="language">
			<label class="label" for=${id}>${t("language.of")}</label>
			<select
				id=${id}
				value=${value}
				disabled=${disabled}
				aria-describedby=${`${id}-help`}
				onChange=${(e) => onInput(e.target.value)}
			>
				<option value="">${other}</option>
				${Object.entries(languages).map(
					([name, title]) => html`
						<option value=${name} lang=${name}>${title}</option>
					`,
				)}
			</select>
			<p class="help" id=${`${id}-help`}>${help}</p>
		</div>
	`;
}

// Zone chooses that in which somebody reads times.
export function Zone({ value, help, error, onInput }) {
	const id = useId();
	return html`
		<div class=${`field ${error ? "invalid" : ""}`} data-field="time_zone">
			<label class="label" for=${id}>${t("report.zone.label")}</label>
			<input
				id=${id}
				list=${`${id}-zones`}
				autocomplete="off"
				spellcheck="false"
				aria-describedby=${`${id}-help ${id}-error`}
				aria-invalid=${error ? "true" : undefined}
				value=${value}
				onInput=${(e) => onInput(e.target.value.trim())}
			/>
			<datalist id=${`${id}-zones`}>
				${zones().map(
					(z) => html`
						<option value=${z} />
					`,
				)}
			</datalist>
			<p class="help" id=${`${id}-help`}>${help}</p>
			<${ErrorAt} id=${`${id}-error`} text=${error} />
		</div>
	`;
}

// fieldTitle is how the form calls a field that the API names.
const fieldTitle = (system, name) => said(system.parameters.properties[name.split(".")[1]]?.title || name);

function Control({ field, ...rest }) {
	const { id, value, onInput, onBlur, describedby, invalid } = rest;
	const common = { id, "aria-describedby": describedby, "aria-invalid": invalid, onBlur };
	switch (kindOf(field)) {
		case "choice":
			return html`
				<select ...${common} value=${value} onChange=${(e) => onInput(e.target.value)}>
					${field.enum.map(
						(o) => html`
							<option value=${o}>${choices[o] ? t(choices[o]) : o}</option>
						`,
					)}
				</select>
			`;
		case "number":
			return html`
				<input
					...${common}
					class="short"
					type="number"
					inputmode="numeric"
					min=${field.minimum}
					max=${field.maximum}
					value=${value}
					onInput=${(e) => onInput(e.target.value)}
				/>
			`;
		case "map":
			return html`
				<${Pairs}
					id=${id}
					rows=${value}
					onInput=${onInput}
					onBlur=${onBlur}
					secret=${field.writeOnly}
					label=${said(field.title)}
				/>
			`;
		case "area":
			return field.writeOnly
				? html`
						<${Secret} field=${field} ...${rest} />
					`
				: html`
						<${Area} ...${rest} />
					`;
		case "list":
			return html`
				<input
					...${common}
					type="text"
					autocomplete="off"
					spellcheck="false"
					value=${value}
					onInput=${(e) => onInput(e.target.value)}
					placeholder=${t("list.placeholder")}
				/>
			`;
		default:
			if (rest.choose)
				return html`
					<${Pick} field=${field} ...${rest} />
				`;
			if (field.writeOnly)
				return html`
					<${Secret} field=${field} ...${rest} />
				`;
			return html`
				<input
					...${common}
					type=${field.format === "uri" ? "url" : "text"}
					autocomplete="off"
					spellcheck="false"
					value=${value}
					onInput=${(e) => onInput(e.target.value)}
				/>
			`;
	}
}

export function Field({ field, value, error, onInput, onBlur, kept, ...picking }) {
	const id = useId();
	const describedby = `${id}-help ${id}-error`;
	const title = said(field.title || field.name);
	const help =
		field.description &&
		html`
			<p class="help" id=${`${id}-help`}><${Said} text=${field.description} /></p>
		`;
	const wrong = html`
		<${ErrorAt} id=${`${id}-error`} text=${error && said(error)} />
	`;
	if (kindOf(field) === "switch") {
		return html`
			<div class="field" data-field=${field.name}>
				<label class="box">
					<input
						id=${id}
						type="checkbox"
						aria-describedby=${describedby}
						checked=${value}
						onChange=${(e) => onInput(e.target.checked)}
					/>
					<span>${title}</span>
				</label>
				${help}${wrong}
			</div>
		`;
	}
	return html`
		<div class=${classes({ field: true, invalid: Boolean(error) })} data-field=${field.name}>
			<label class="label" for=${id}>
				${title}${field.required
					? html`
							${" "}
							<span class="muted">${t("form.required")}</span>
						`
					: ""}
			</label>
			<${Control}
				field=${field}
				id=${id}
				value=${value}
				kept=${kept}
				onInput=${onInput}
				onBlur=${onBlur}
				describedby=${describedby}
				invalid=${error ? "true" : undefined}
				...${picking}
			/>
			${help}${wrong}
		</div>
	`;
}

const soon = 30 * 24 * 3600_000; // how long before its end one is warned, in milliseconds

// Ends warns of what ends.
function Ends({ at }) {
	const left = Date.parse(at) - Date.now();
	if (left > soon) return null;
	return html`
		<${Notice} kind="bad"><p>${left > 0 ? t("ends.soon") : t("ends.over")}</p><//>
	`;
}

export const Shown = ({ field, value }) =>
	value === undefined || value === "" || field.writeOnly
		? null
		: html`
				<div class="fact">
					<dt><${Said} text=${field.title} /></dt>
					<dd>
						${field["x-copied"]
							? html`
									<code>${value}</code>
									${" "}
									<${Copy} text=${value}>${t("action.copy")}<//>
								`
							: field.format === "date-time"
								? time(value)
								: String(value)}
						${field["x-ends"] &&
						html`
							<${Ends} at=${value} />
						`}
					</dd>
				</div>
			`;
