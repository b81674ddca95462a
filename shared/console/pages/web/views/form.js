// The form of an integration, drawn from its system's JSON Schema.
import { html, classes, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "../html.js";
import { Events } from "../events.js";
import { language, said, t } from "../i18n.js";
import { Icon } from "../icons.js";
import { useAction } from "../load.js";
import { line, Markdown } from "../markdown.js";
import { useUnsaved } from "../router.js";
import { check, fieldsOf, initial, kindOf, MASK, valueOf } from "../schema.js";
import { Busy, ErrorAt, Failure, Notice, reasonOf, Said, Tested } from "../ui.js";
import { Conflict } from "./conflict.js";
import { Admitted } from "./addresses.js";

// Secret shows a mask for what is kept, and never more. A new value replaces it.
function Secret({ id, value, onInput, onBlur, describedby, invalid, kept }) {
	const [shown, show] = useState(false);
	if (value === MASK) {
		return html`
			<div class="row">
				<output id=${id} class="kept" aria-describedby=${describedby}>${t("secret.kept")}</output>
				<button type="button" class="quiet" onClick=${() => onInput("")}>${t("secret.replace")}</button>
			</div>
		`;
	}
	return html`
		<div class="row">
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
				<button type="button" class="quiet" onClick=${() => onInput(MASK)}>${t("secret.keep")}</button>
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
			<input type="file" accept=".txt,.crt,.cer,.pem" onChange=${pick} />
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
			return html`
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
					<${Secret} ...${rest} />
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

function Field({ field, value, error, onInput, onBlur, kept, ...picking }) {
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

const Shown = ({ field, value }) =>
	value === undefined || value === ""
		? null
		: html`
				<div class="fact">
					<dt><${Said} text=${field.title} /></dt>
					<dd>${String(value)}</dd>
				</div>
			`;

// editable is what the form of an integration can change of it, to compare.
export const editable = (system, i) =>
	JSON.stringify([
		i.name,
		i.events,
		fieldsOf(system.parameters)
			.filter((f) => kindOf(f) !== "shown")
			.map((f) => i.parameters[f.name]),
	]);

// useDraft is the state of a form: its controls, what is wrong with them, and what they make.
function useDraft(system, start) {
	const fields = useMemo(() => fieldsOf(system.parameters), [system.parameters]);
	const open = fields.filter((f) => kindOf(f) !== "shown");
	const [name, setName] = useState(start.name);
	const [values, setValues] = useState(() =>
		Object.fromEntries(open.map((f) => [f.name, initial(f, start.parameters[f.name])])),
	);
	const [events, setEvents] = useState(start.events);
	const [touched, touch] = useState({});
	const [refused, refuse] = useState({});
	const [dirty, setDirty] = useState(false);
	const changes = useRef(0);
	const applies = ({ "x-when": when }) => !when || values[when.field] === when.value;
	const errors = { ...refused };
	for (const f of open.filter(applies)) errors[f.name] = check(f, values[f.name]) || refused[f.name] || "";
	errors.name = !name.trim()
		? t("check.required")
		: [...name].length > 200
			? t("check.maxLength", { n: 200, has: [...name].length })
			: refused.name || "";
	const parameters = () => {
		const out = {};
		for (const f of open) {
			const v = applies(f) ? valueOf(f, values[f.name]) : undefined;
			if (v !== undefined) out[f.name] = v;
			else if (start.parameters[f.name] !== undefined) out[f.name] = null;
		}
		return out;
	};
	const mark = () => {
		changes.current++;
		setDirty(true);
	};
	const changed = (key) => {
		mark();
		refuse((r) => ({ ...r, [key]: "" }));
	};
	return {
		open,
		applies,
		name,
		values,
		events,
		errors,
		touched,
		dirty,
		parameters,
		shown: fields.filter((f) => kindOf(f) === "shown"),
		setName: (v) => {
			setName(v);
			changed("name");
		},
		setValue: (key, v) => {
			setValues((all) => ({ ...all, [key]: v }));
			touch((all) => ({ ...all, [key]: all[key] || v !== "" }));
			changed(key);
		},
		setEvents: (v) => {
			setEvents(v);
			mark();
		},
		blur: (key) => touch((all) => ({ ...all, [key]: true })),
		touchAll: () => touch(Object.fromEntries(["name", ...open.map((f) => f.name)].map((n) => [n, true]))),
		changes,
		// saved reports whether what is saved is all: that nothing was typed since.
		saved: (then) => {
			const clean = changes.current === then;
			if (clean) setDirty(false);
			return clean;
		},
		// refuse takes the fields that the API names: `parameters.url`, `parameters.addresses.1`, `name`.
		refuse: (problems) => {
			const found = {};
			for (const p of problems) {
				const [first, second, ...rest] = p.field.split(".");
				const key = first === "parameters" && second ? second : first;
				// Of a map the line is named: `parameters.headers.Authorization`.
				const line =
					rest.length && open.some((f) => f.name === key && kindOf(f) === "map") ? `${rest.join(".")}: ` : "";
				found[key] = `${found[key] ? `${found[key]}; ` : ""}${line}${said(p.reason)}`;
			}
			refuse(found);
			touch((all) => ({ ...all, ...Object.fromEntries(Object.keys(found).map((k) => [k, true])) }));
		},
		list: () =>
			system.events.map(({ event }) => ({
				event,
				active: Boolean(events[event]?.active),
				...(events[event]?.with_headers ? { with_headers: true } : {}),
			})),
	};
}

function focusWrong(form) {
	requestAnimationFrame(() => {
		const wrong = form.querySelector(".invalid");
		const details = wrong?.closest("details");
		if (details) details.open = true;
		wrong?.querySelector("input, select, textarea, button")?.focus();
	});
}

// Form: save({draft, over}) sends what was typed, over says that it may undo what somebody else changed meanwhile;
// saved takes the answer, and whether it holds all that was typed by then. hold is told of changes and given the form's
// own way to save; again reads anew and gives up what was typed; changed says that somebody else has changed what the
// form began with.
export function Form({ system, start, save, saved, test, choose, submit, cancel, extra, hold, again, changed }) {
	const draft = useDraft(system, start);
	const form = useRef(null);
	const [result, setResult] = useState(null);
	const [attempted, attempt] = useState(false);
	const valid = () => {
		attempt(true);
		draft.touchAll();
		const wrong = Object.values(draft.errors).some(Boolean);
		if (wrong) focusWrong(form.current);
		return !wrong;
	};
	const guarded = (work) => async () => {
		try {
			return await work();
		} catch (error) {
			if (error.fields?.length) {
				draft.refuse(error.fields);
				focusWrong(form.current);
			}
			throw error;
		}
	};
	const [runSave, saving] = useAction(async ({ over } = {}) =>
		guarded(async () => {
			const then = draft.changes.current;
			const answer = await save(
				{ name: draft.name.trim(), events: draft.list(), parameters: draft.parameters() },
				{ over },
			);
			const clean = draft.saved(then);
			if (hold) hold.current.dirty = !clean;
			await saved(answer, clean);
			return true;
		})(),
	);
	const [runTest, testing] = useAction(
		guarded(async () => {
			setResult(null);
			setResult(await test(draft.parameters()));
		}),
	);
	useUnsaved(draft.dirty);
	useLayoutEffect(() => {
		if (!hold) return undefined;
		hold.current = { dirty: draft.dirty, save: async () => Boolean(valid() && (await runSave())) };
		return () => {
			hold.current = { dirty: false };
		};
	});
	const shown = (key) => (draft.touched[key] || attempted ? draft.errors[key] : "");
	const picking = (name) => {
		const at = (system.choosable || []).indexOf(name);
		return at < 0
			? {}
			: {
					system,
					choose: () => choose(name, draft.parameters()),
					scope: JSON.stringify(system.choosable.slice(0, at).map((n) => draft.values[n])),
				};
	};
	const draw = (f) => html`
		<${Field}
			key=${f.name}
			field=${f}
			...${picking(f.name)}
			value=${draft.values[f.name]}
			error=${shown(f.name)}
			kept=${start.parameters[f.name] === MASK}
			onInput=${(v) => draft.setValue(f.name, v)}
			onBlur=${() => draft.blur(f.name)}
		/>
	`;
	const there = draft.open.filter(draft.applies);
	const main = there.filter((f) => !f["x-advanced"]);
	const more = there.filter((f) => f["x-advanced"]);
	const error = saving.error || testing.error;
	return html`
		<form
			class="panel form"
			ref=${form}
			novalidate
			onSubmit=${(e) => {
				e.preventDefault();
				if (valid()) runSave();
			}}
		>
			<${Field}
				field=${{ name: "name", title: t("form.name"), required: true, type: "string" }}
				value=${draft.name}
				error=${shown("name")}
				onInput=${draft.setName}
				onBlur=${() => draft.blur("name")}
			/>
			${main.map(draw)}
			${draft.shown.some((f) => start.parameters[f.name] !== undefined) &&
			html`
				<dl class="facts">
					${draft.shown.map(
						(f) => html`
							<${Shown} field=${f} value=${start.parameters[f.name]} />
						`,
					)}
				</dl>
			`}
			${extra}
			${more.length > 0 &&
			html`
				<details class="advanced" open=${more.some((f) => shown(f.name))}>
					<summary>${t("form.advanced")}</summary>
					${more.map(draw)}
				</details>
			`}
			<${Events} system=${system} value=${draft.events} onChange=${draft.setEvents} />
			${(changed || error?.status === 412) &&
			html`
				<${Conflict}
					what=${t("form.conflict")}
					again=${again}
					over=${() => {
						if (valid()) runSave({ over: true });
					}}
				/>
			`}
			${error &&
			error.status !== 412 &&
			(error.fields?.length
				? html`
						<${Notice} kind="bad" role="alert">
							<p>${t("form.wrong")}</p>
							${error.fields
								.filter(
									(p) =>
										!(
											p.field.split(".")[p.field.startsWith("parameters.") ? 1 : 0] in
											draft.errors
										),
								)
								.map(
									(p) => html`
										<p>${p.field}: ${said(p.reason)}</p>
									`,
								)}
						<//>
					`
				: html`
						<${Failure} error=${error} />
					`)}
			${testing.busy &&
			html`
				<${Notice} role="status">
					<p><${Busy} on=${true}>${t("test.running")}<//></p>
				<//>
			`}
			${result &&
			!testing.busy &&
			html`
				<${Tested} result=${result} />
			`}
			<div class="buttons">
				<a class="button" href=${cancel}>${t("form.cancel")}</a>
				${draft.open.length > 0 &&
				html`
					<button
						type="button"
						disabled=${testing.busy}
						onClick=${() => {
							if (valid()) runTest();
						}}
					>
						<${Icon} name="send" size="18" />
						${t("form.test")}
					</button>
				`}
				<button type="submit" class="primary" disabled=${saving.busy}>
					<${Busy} on=${saving.busy}>${submit}<//>
				</button>
			</div>
		</form>
	`;
}

// SetUp shows the steps at the system's own side, and which addresses may have to be admitted there.
export const SetUp = ({ system }) => html`
	<${Steps} system=${system} />
	${system.admits &&
	html`
		<${Admitted} system=${system} />
	`}
`;

function Steps({ system }) {
	if (!system.set_up)
		return html`
			<aside class="setup empty-setup" aria-label=${t("setup.title", { system: system.title })}>
				<h2>${t("setup.title", { system: system.title })}</h2>
				<p class="muted">${line(t("setup.none"))}</p>
			</aside>
		`;
	const own = system.set_up_in?.[language];
	return html`
		<aside class="setup" aria-label=${t("setup.title", { system: system.title })}>
			<h2>${t("setup.title", { system: system.title })}</h2>
			<${Markdown} text=${own ?? system.set_up} lang=${own ? undefined : "en"} />
		</aside>
	`;
}
