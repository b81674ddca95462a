// The form of a trigger: threshold, filters, reactions, as its template allows them, and what it would send.
import { html, useId, useLayoutEffect, useRef, useState } from "../html.js";
import { may, post } from "../api.js";
import { languageOf, said, span, t } from "../i18n.js";
import { Icon } from "../icons.js";
import { useAction } from "../load.js";
import { useUnsaved } from "../router.js";
import { Box, Busy, ErrorAt, Notice, Said } from "../ui.js";
import { Request } from "./delivery.js";
import { Faults, focusWrong } from "./faults.js";
import { draftFilters, filterMistakes, FilterRows, madeFilters } from "./filter-rows.js";
import { Ticks } from "./ticks.js";

// FOREVER is what the API answers for an entry of a list that never ends, in seconds.
export const FOREVER = 315_360_000;

const units = [
	["day", 86_400],
	["hour", 3_600],
	["minute", 60],
	["second", 1],
];
const locks = [300, 900, 3_600, 14_400, 86_400, 604_800, 2_592_000, 0];

const seconds = ({ period, unit }) => Number(period) * units.find(([name]) => name === unit)[1];

// draftOf is a trigger as the form's controls hold it.
function draftOf(start, template) {
	const [unit, size] = start.threshold ? units.find(([, s]) => start.threshold.period % s === 0) : ["minute", 60];
	const actions = {};
	for (const d of template.actions) {
		const kept = start.actions.find((a) => a.id === d.id);
		const lock = kept?.params?.lock_time ?? 3_600;
		actions[d.id] = {
			on: Boolean(kept) || (template.actions.length === 1 && !start.id),
			ids: kept?.params?.integration_ids || [],
			lock: lock === FOREVER ? 0 : lock,
		};
	}
	return {
		name: start.name,
		comment: start.comment,
		unit,
		period: start.threshold ? String(start.threshold.period / size) : "",
		count: start.threshold ? String(start.threshold.count) : "",
		filters: draftFilters(start.filters, template.filters),
		actions,
	};
}

// made is what a draft is sent as.
function made(draft, template) {
	return {
		template_id: template.id,
		name: draft.name.trim(),
		comment: draft.comment.trim(),
		filters: madeFilters(draft.filters, template.filters),
		...(template.threshold
			? {
					threshold: {
						period: seconds(draft),
						operator: "gt",
						allowed_operators: ["gt"],
						count: Number(draft.count),
					},
				}
			: {}),
		actions: template.actions
			.filter((d) => draft.actions[d.id].on)
			.map((d) => ({
				id: d.id,
				params: {
					...(d.systems ? { integration_ids: draft.actions[d.id].ids } : {}),
					...(d.lock_time ? { lock_time: draft.actions[d.id].lock } : {}),
				},
			})),
	};
}

// mistakes are by place: name, comment, threshold, filters.<n>, filters, actions.<id>, actions.
function mistakes(draft, template) {
	const out = {};
	const long = (key, max) => {
		if ([...draft[key]].length > max) out[key] = t("check.maxLength", { n: max, has: [...draft[key]].length });
	};
	long("name", 200);
	long("comment", 1000);
	const limit = template.threshold;
	if (limit) {
		const period = seconds(draft);
		if (!/^\d+$/.test(draft.count) || !/^\d+$/.test(draft.period)) out.threshold = t("check.integer");
		else if (period < limit.min_period || period > limit.max_period)
			out.threshold = t("trigger.check.period", { min: span(limit.min_period), max: span(limit.max_period) });
		else if (period % (limit.step || 1)) out.threshold = t("trigger.check.step", { step: span(limit.step) });
	}
	Object.assign(out, filterMistakes(draft.filters, template.filters));
	const missing = template.filters.find((d) => d.required && !draft.filters.some((f) => f.id === d.id));
	if (missing) out.filters = t("trigger.check.filter", { name: said(missing.title) });
	for (const d of template.actions)
		if (d.systems && draft.actions[d.id].on && !draft.actions[d.id].ids.length)
			out[`actions.${d.id}`] = t("trigger.check.integrations");
	if (template.needs_action && !template.actions.some((d) => draft.actions[d.id].on))
		out.actions = t("trigger.check.action");
	return out;
}

// placed puts what the API refuses where the form shows it.
function placed(fields, sent) {
	const out = {};
	for (const f of fields) {
		const [first, n] = f.field.split(".");
		let place = first;
		if (first === "filters" && n !== undefined) place = `filters.${n}`;
		if (first === "actions" && sent.actions[n]) place = `actions.${sent.actions[n].id}`;
		out[place] = out[place] ? `${out[place]}; ${said(f.reason)}` : said(f.reason);
	}
	return out;
}

function Threshold({ template, draft, set, error }) {
	const id = useId();
	const { threshold } = template;
	const subject = said(threshold.subject);
	return html`
		<fieldset class=${error ? "invalid" : ""}>
			<legend>${t("trigger.threshold")}</legend>
			<p class="sentence">
				<label for=${`${id}-count`}>${t("trigger.more", { subject })}</label>
				<input
					id=${`${id}-count`}
					class="short"
					inputmode="numeric"
					aria-describedby=${`${id}-error`}
					value=${draft.count}
					onInput=${(e) => set({ count: e.target.value.trim() })}
				/>
				<label for=${`${id}-period`}>${t("trigger.within", { subject })}</label>
				<input
					id=${`${id}-period`}
					class="short"
					inputmode="numeric"
					aria-describedby=${`${id}-error`}
					value=${draft.period}
					onInput=${(e) => set({ period: e.target.value.trim() })}
				/>
				<select
					class="short"
					aria-label=${t("trigger.unit")}
					value=${draft.unit}
					onChange=${(e) => set({ unit: e.target.value })}
				>
					${[...units]
						.reverse()
						.filter(([, s]) => s <= threshold.max_period)
						.map(
							([u]) => html`
								<option value=${u}>${t(`trigger.unit.${u}`)}</option>
							`,
						)}
				</select>
			</p>
			${threshold.per_source &&
			html`
				<p class="help">${t("trigger.per_source")}</p>
			`}
			<${ErrorAt} id=${`${id}-error`} text=${error} />
		</fieldset>
	`;
}

// Receivers are the integrations by the groups of their systems; a system without one says where to make it.
function Receivers({ definition, value, set, integrations, groups, refresh, error }) {
	const fit = integrations.filter((i) => definition.systems.includes(i.system));
	const tick = (id, yes) => set({ ids: yes ? [...value.ids, id] : value.ids.filter((x) => x !== id) });
	const missing = (g) => {
		const systems = g.systems.filter(
			(s) => s.available && definition.systems.includes(s.name) && !fit.some((i) => i.system === s.name),
		);
		if (!systems.length) return null;
		return html`
			<p class="help setups">
				${t("trigger.receivers.missing")}
				${systems.map(
					(s) => html`
						${" "}
						<a key=${s.name} href=${`/add/${s.name}`} target="_blank" rel="opener">${s.title}</a>
					`,
				)}
			</p>
		`;
	};
	return html`
		<div class="leaves receivers">
			<${Ticks}
				label=${t("trigger.receivers")}
				options=${fit.map((i) => ({
					value: i.id,
					label: i.name,
					description: i.enabled ? i.title : t("trigger.receiver.off", { system: i.title }),
				}))}
				chosen=${value.ids}
				tick=${tick}
				groups=${groups.map((g) => ({
					title: said(g.title),
					values: fit.filter((i) => g.systems.some((s) => s.name === i.system)).map((i) => i.id),
					more: missing(g),
				}))}
				empty=${t("trigger.receivers.none")}
			/>
			<${ErrorAt} text=${error} />
			<p class="row">
				<span class="help">${t("trigger.receivers.setup")}</span>
				<button type="button" class="quiet small" onClick=${refresh}>
					<${Icon} name="again" size="16" />
					${t("trigger.receivers.refresh")}
				</button>
			</p>
		</div>
	`;
}

function Lock({ value, set }) {
	const id = useId();
	const all = locks.includes(value.lock) ? locks : [value.lock, ...locks];
	return html`
		<div class="leaves">
			<p class="sentence">
				<label for=${id}>${t("trigger.lock")}</label>
				<select
					id=${id}
					class="short"
					value=${String(value.lock)}
					onChange=${(e) => set({ lock: Number(e.target.value) })}
				>
					${all.map(
						(s) => html`
							<option value=${String(s)}>${s ? span(s) : t("trigger.lock.forever")}</option>
						`,
					)}
				</select>
			</p>
		</div>
	`;
}

function Actions({ template, draft, set, integrations, groups, refresh, errors }) {
	const change = (id, c) => set({ actions: { ...draft.actions, [id]: { ...draft.actions[id], ...c } } });
	return html`
		<fieldset class=${errors.actions ? "invalid" : ""}>
			<legend>${t("trigger.reactions")}</legend>
			<${ErrorAt} text=${errors.actions} />
			${template.actions.map((d) => {
				const value = draft.actions[d.id];
				const error = errors[`actions.${d.id}`];
				return html`
					<div
						class=${`branch ${error ? "invalid" : ""}`}
						key=${d.id}
						role="group"
						aria-label=${said(d.title)}
					>
						<${Box} checked=${value.on} label=${said(d.title)} onChange=${(on) => change(d.id, { on })} />
						${value.on &&
						d.systems &&
						html`
							<${Receivers}
								definition=${d}
								value=${value}
								integrations=${integrations}
								groups=${groups}
								refresh=${refresh}
								error=${error}
								set=${(c) => change(d.id, c)}
							/>
						`}
						${value.on &&
						d.lock_time &&
						html`
							<${Lock} value=${value} set=${(c) => change(d.id, c)} />
						`}${!d.systems &&
						html`
							<${ErrorAt} text=${error} />
						`}
					</div>
				`;
			})}
		</fieldset>
	`;
}

// Preview shows what the trigger would send; nothing is sent.
function Preview({ result }) {
	const { messages, commands } = result;
	return html`
		<section class="panel preview" role="status">
			<h2>${t("trigger.preview.title")}</h2>
			<p class="muted">${t("trigger.preview.note")}</p>
			${!messages.length &&
			!commands.length &&
			html`
				<p>${t("trigger.preview.nothing")}</p>
			`}
			${messages.map(
				(m) => html`
					<article key=${m.integration}>
						<h3>${m.name}</h3>
						<p lang=${languageOf(m.summary)}>${m.summary}</p>
						${m.skipped
							? html`
									<${Notice} kind="warn">
										<p><${Said} text=${m.skipped} /></p>
									<//>
								`
							: html`
									<details>
										<summary>${t("request.title")}</summary>
										${m.requests.map(
											(r, n) => html`
												<${Request} key=${n} request=${r} n=${n + 1} />
											`,
										)}
									</details>
								`}
					</article>
				`,
			)}
			${commands.map(
				(c) => html`
					<article key=${c.detail_type}>
						<h3><code>${c.detail_type}</code></h3>
						<pre tabindex="0" aria-label=${t("trigger.preview.command", { name: c.detail_type })}>
${JSON.stringify(c.detail, null, 2)}</pre
						>
					</article>
				`,
			)}
		</section>
	`;
}

// TriggerForm has what Form of an integration has: see there.
export function TriggerForm(of) {
	const { template, start, integrations, groups, refresh, save, saved, submit, hold, again, changed } = of;
	const id = useId();
	const form = useRef(null);
	const [draft, setDraft] = useState(() => draftOf(start, template));
	const [dirty, setDirty] = useState(false);
	const [attempted, attempt] = useState(false);
	const [refused, refuse] = useState({});
	const [result, setResult] = useState(null);
	const changes = useRef(0);
	const set = (change) => {
		changes.current++;
		setDraft((d) => ({ ...d, ...change }));
		setDirty(true);
		refuse({});
	};
	const wrong = mistakes(draft, template);
	const errors = attempted ? { ...refused, ...wrong } : refused;
	useUnsaved(dirty);
	useLayoutEffect(() => {
		if (!hold) return undefined;
		hold.current = { dirty };
		return () => {
			hold.current = { dirty: false };
		};
	}, [dirty]);
	const checked =
		(work) =>
		async (how = {}) => {
			const sent = made(draft, template);
			try {
				await work(sent, how);
			} catch (error) {
				refuse(placed(error.fields || [], sent));
				focusWrong(form.current);
				throw error;
			}
		};
	const [run, saving] = useAction(
		checked(async (sent, how) => {
			const then = changes.current;
			const answer = await save(sent, how);
			const clean = changes.current === then; // nothing was typed while it was on its way
			if (clean) setDirty(false);
			if (hold) hold.current = { dirty: !clean };
			await saved(answer, clean);
		}),
	);
	const [look, looking] = useAction(
		checked(async (sent) => setResult((await post("/v1/triggers/preview", sent)).body)),
	);
	const valid = () => {
		attempt(true);
		if (!Object.keys(wrong).length) return true;
		focusWrong(form.current);
		return false;
	};
	const error = saving.error || looking.error;
	const field = (name, control) => html`
		<div class=${`field ${errors[name] ? "invalid" : ""}`}>
			<label class="label" for=${`${id}-${name}`}>${t(name === "name" ? "form.name" : "trigger.comment")}</label>
			${control}
			<${ErrorAt} id=${`${id}-${name}-error`} text=${errors[name]} />
		</div>
	`;
	const common = (name) => ({
		id: `${id}-${name}`,
		"aria-describedby": `${id}-${name}-error`,
		value: draft[name],
		onInput: (e) => set({ [name]: e.target.value }),
	});
	return html`
		<div class="beside">
			<form
				class="panel form"
				ref=${form}
				novalidate
				onSubmit=${(e) => {
					e.preventDefault();
					if (valid()) run();
				}}
			>
				<fieldset class="bare" disabled=${!may("triggers")}>
					${field(
						"name",
						html`
							<input type="text" autocomplete="off" ...${common("name")} />
						`,
					)}${field(
						"comment",
						html`
							<textarea rows="2" class="text" ...${common("comment")}></textarea>
						`,
					)}
					${template.threshold &&
					html`
						<${Threshold} template=${template} draft=${draft} set=${set} error=${errors.threshold} />
					`}
					${template.filters.length > 0 &&
					html`
						<${FilterRows}
							rules=${template.filters}
							value=${draft.filters}
							note=${t("trigger.filters.note")}
							errors=${errors}
							onChange=${(filters) => set({ filters })}
						/>
					`}
					<${Actions}
						template=${template}
						draft=${draft}
						set=${set}
						integrations=${integrations}
						groups=${groups}
						refresh=${refresh}
						errors=${errors}
					/>
				</fieldset>
				<${Faults}
					error=${error}
					changed=${changed}
					what=${t("trigger.conflict")}
					again=${again}
					over=${() => {
						if (valid()) run({ over: true });
					}}
					known=${(field) => /^(name|comment|threshold|filters|actions)\b/.test(field)}
				/>
				<div class="buttons">
					<a class="button" href="/triggers">${t("form.cancel")}</a>
					${may("triggers") &&
					html`
						<button
							type="button"
							disabled=${looking.busy}
							onClick=${() => {
								if (valid()) look();
							}}
						>
							<${Icon} name="eye" size="18" />
							<${Busy} on=${looking.busy}>${t("trigger.preview")}<//>
						</button>
					`}
					${may("triggers") &&
					html`
						<button type="submit" class="primary" disabled=${saving.busy}>
							<${Busy} on=${saving.busy}>${submit}<//>
						</button>
					`}
				</div>
			</form>
			<div class="side">
				${result
					? html`
							<${Preview} result=${result} />
						`
					: html`
							<aside class="setup" aria-label=${t("trigger.help")}>
								<h2>${t("trigger.help")}</h2>
								<p class="muted">${t("trigger.help.count")}${" "}${t("trigger.help.behind")}</p>
								<p class="muted">${t("trigger.help.nodes")}</p>
							</aside>
						`}
			</div>
		</div>
	`;
}
