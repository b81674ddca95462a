// Triggers: what they watch, in words; tabs, search, and one trigger with its form.
import { html, useState } from "../html.js";
import { call, get, integrationsByGroup, may, post, triggerPath } from "../api.js";
import { Search, Tabs, tabOf } from "../filters.js";
import { list, number, said, span, t, time } from "../i18n.js";
import { Icon } from "../icons.js";
import { useAction, useBase, useLoad } from "../load.js";
import { mayLeave, navigate, useLocation, withQuery } from "../router.js";
import { Busy, Changed, Dialog, Empty, Failure, Notice, Pill, Said, View, When } from "../ui.js";
import { Asked } from "./commands.js";
import { narrowed } from "./filter-rows.js";
import { Firings, Now } from "./firings.js";
import { FOREVER, TriggerForm } from "./trigger-form.js";

const refresh = 15_000;

async function readTemplates(signal) {
	const [templates, known] = await Promise.all([
		get("/v1/trigger-templates", { signal }),
		integrationsByGroup(signal),
	]);
	return { templates: templates.body.items, ...known };
}

const StateOf = ({ trigger: r }) => html`
	<${Pill} kind=${r.enabled ? "ok" : "off"} icon=${r.enabled ? "check" : "pause"}>
		${t(r.enabled ? "state.enabled" : "state.disabled")}
	<//>
`;

function when(r, template) {
	if (!template) return r.template_id;
	if (!r.threshold || !template.threshold) return said(template.title);
	const key = template.threshold.per_source ? "trigger.when.source" : "trigger.when";
	return t(key, {
		count: number(r.threshold.count),
		subject: said(template.threshold.subject),
		period: span(r.threshold.period),
	});
}

function reaction(a, template, integrations) {
	const title = said(template?.actions.find((d) => d.id === a.id)?.title || a.id);
	const { integration_ids: ids, lock_time: lock } = a.params || {};
	if (ids)
		return t("trigger.action.to", {
			action: title,
			names: list(ids.map((id) => integrations.find((i) => i.id === id)?.name || t("trigger.gone"))),
		});
	if (lock !== undefined)
		return lock === 0 || lock === FOREVER
			? t("trigger.action.forever", { action: title })
			: t("trigger.action.for", { action: title, period: span(lock) });
	return title;
}

const Warnings = ({ of }) =>
	of.warnings?.length || of.last_skipped_at
		? html`
				<${Notice} kind="warn">
					${(of.warnings || []).map(
						(w) => html`
							<p><${Said} text=${w.reason} /></p>
						`,
					)}
					${of.last_skipped_at &&
					html`
						<p>
							${t("trigger.skipped")}${" "}
							<${When} at=${of.last_skipped_at} />
						</p>
					`}
				<//>
			`
		: null;

function useSwitch(trigger, done) {
	return useAction(async () => {
		await call("PATCH", triggerPath(trigger.id), { body: { enabled: !trigger.enabled } });
		await done();
	});
}

function useCopy(trigger) {
	return useAction(async () => {
		if (!mayLeave()) return; // before there is a copy
		navigate(`/triggers/${(await post(triggerPath(trigger.id, "/copy"))).body.id}?copied=1`, { done: true });
	});
}

function Row({ trigger: r, templates, integrations, reload }) {
	const template = templates.find((d) => d.id === r.template_id);
	const [toggle, switching] = useSwitch(r, reload);
	const [copy, copying] = useCopy(r);
	const error = switching.error || copying.error;
	return html`
		<li class=${`panel trigger ${r.enabled ? "" : "off"}`}>
			<div class="title">
				<div>
					<h2><a href=${`/triggers/${r.id}`}>${r.name}</a></h2>
					<p class="muted meta">
						<${StateOf} trigger=${r} />
						${" "}${template &&
						html`
							<span><${Said} text=${template.title} /></span>
						`}${" "}${r.default &&
						html`
							<span>${t("trigger.default")}</span>
						`}${" "}
						<span>
							${r.last_fired_at
								? html`
										${t("trigger.fired")}${" "}
										<${When} at=${r.last_fired_at} />
									`
								: t("trigger.never")}
						</span>
					</p>
				</div>
				${may("triggers") &&
				html`
					<div class="buttons">
						<button
							type="button"
							class="small"
							disabled=${switching.busy}
							onClick=${toggle}
							aria-label=${t(r.enabled ? "trigger.disable.of" : "trigger.enable.of", { name: r.name })}
						>
							${t(r.enabled ? "integration.disable" : "integration.enable")}
						</button>
						<button
							type="button"
							class="small"
							disabled=${copying.busy}
							onClick=${copy}
							aria-label=${t("trigger.copy.of", { name: r.name })}
						>
							${t("trigger.copy")}
						</button>
					</div>
				`}
			</div>
			${r.comment &&
			html`
				<p>${r.comment}</p>
			`}
			<dl class="facts">
				<div class="fact">
					<dt>${t("trigger.condition")}</dt>
					<dd>${when(r, template)}</dd>
				</div>
				${r.filters.length > 0 &&
				html`
					<div class="fact">
						<dt>${t("trigger.filters")}</dt>
						<dd>
							<ul>
								${r.filters.map(
									(f) => html`
										<li>${narrowed(f, template?.filters)}</li>
									`,
								)}
							</ul>
						</dd>
					</div>
				`}
				<div class="fact">
					<dt>${t("trigger.reactions")}</dt>
					<dd>
						${r.actions.length
							? html`
									<ul>
										${r.actions.map(
											(a) => html`
												<li>${reaction(a, template, integrations)}</li>
											`,
										)}
									</ul>
								`
							: t("trigger.nothing")}
					</dd>
				</div>
			</dl>
			<${Warnings} of=${r} />
			${error &&
			html`
				<${Failure} error=${error} />
			`}
		</li>
	`;
}

function Nothing({ tab, q, counts }) {
	if (q)
		return html`
			<${Empty} icon="search" title=${t("empty.filtered")}>
				<p><a class="button" href="/triggers">${t("empty.showall")}</a></p>
			<//>
		`;
	if (counts.all)
		return html`
			<${Empty}
				icon="check"
				title=${t(tab === "disabled" ? "trigger.empty.disabled" : "trigger.empty.enabled")}
			/>
		`;
	return html`
		<${Empty} icon="bell" title=${t("trigger.empty")}>
			<p>${t("trigger.lead")}</p>
			${may("triggers") &&
			html`
				<p><a class="button primary" href="/triggers/add">${t("trigger.add")}</a></p>
			`}
		<//>
	`;
}

export function Triggers() {
	const { query } = useLocation();
	const tab = tabOf(query);
	const q = query.get("q") || "";
	const load = useLoad(
		JSON.stringify({ tab, q }),
		async (signal) => {
			const [known, found] = await Promise.all([
				readTemplates(signal),
				get("/v1/triggers", { signal, query: { status: tab, q } }),
			]);
			return { ...known, ...found.body };
		},
		{ every: refresh },
	);
	const shown = load.data || load.stale;
	return html`
		<div class="title">
			<div>
				<h1 tabindex="-1">${t("nav.triggers")}</h1>
				<p class="muted">${t("trigger.lead")}</p>
			</div>
			${may("triggers") &&
			html`
				<a class="button primary" href="/triggers/add">
					<${Icon} name="plus" size="18" />
					${t("trigger.add")}
				</a>
			`}
		</div>
		<div class="tools">
			<${Tabs} counts=${shown?.counts} current=${tab} />
			<${Search} q=${q} label=${t("trigger.search")} />
		</div>
		<div class="found" aria-busy=${!load.data}>
			<p class="visually-hidden" role="status">
				${load.data ? t("trigger.found", { n: load.data.items.length }) : ""}
			</p>
			<${View} load=${load.data || load.error ? load : { ...load, data: load.stale }} skeleton="form">
				${(data) =>
					data.items.length
						? html`
								<ul class="column">
									${data.items.map(
										(r) => html`
											<${Row}
												key=${r.id}
												trigger=${r}
												templates=${data.templates}
												integrations=${data.integrations}
												reload=${load.reload}
											/>
										`,
									)}
								</ul>
							`
						: html`
								<${Nothing} tab=${tab} q=${q} counts=${data.counts} />
							`}
			<//>
		</div>
	`;
}

const Back = ({ href, children }) => html`
	<p class="back">
		<a href=${href}>
			<${Icon} name="back" size="18" />
			${children}
		</a>
	</p>
`;

// AddTrigger offers the conditions; each leads to its form.
export function AddTrigger() {
	const load = useLoad("templates", readTemplates);
	return html`
		<${Back} href="/triggers">${t("nav.triggers")}<//>
		<h1 tabindex="-1">${t("trigger.add")}</h1>
		<p class="muted">${t("trigger.choose")}</p>
		<${View} load=${load} skeleton="tiles">
			${({ templates }) => html`
				<ul class="tiles conditions">
					${templates.map(
						(d) => html`
							<li key=${d.id} class="tile solid">
								<span class="mark"><${Icon} name="bell" /></span>
								<div>
									<a href=${`/triggers/add/${d.id}`}>
										<strong><${Said} text=${d.title} /></strong>
										<small><${Said} text=${d.description} /></small>
									</a>
								</div>
							</li>
						`,
					)}
				</ul>
			`}
		<//>
	`;
}

export function NewTrigger({ template: id, session }) {
	const load = useLoad("templates", readTemplates);
	const save = async (draft) => {
		return (await post("/v1/triggers", draft)).body;
	};
	const saved = (made, clean) => navigate(`/triggers/${made.id}?added=1`, { done: clean });
	return html`
		<${Back} href="/triggers/add">${t("trigger.add")}<//>
		<${View} load=${load} skeleton="form" title=${t("trigger.add")}>
			${({ templates, integrations, groups }) => {
				const template = templates.find((d) => d.id === id);
				if (!template)
					return html`
						<h1 tabindex="-1">${t("trigger.add")}</h1>
						<${Empty} icon="search" title=${t("trigger.unknown")}>
							<p><a class="button" href="/triggers/add">${t("trigger.choose")}</a></p>
						<//>
					`;
				const start = {
					name: t("trigger.name.new", {
						who: session.name || session.email || session.tenant,
						day: time(new Date().toISOString()),
					}),
					comment: "",
					filters: [],
					threshold: template.threshold && { ...template.threshold.default },
					actions: [],
				};
				return html`
					<h1 tabindex="-1"><${Said} text=${template.title} /></h1>
					<p class="muted"><${Said} text=${template.description} /></p>
					<${TriggerForm}
						key=${id}
						template=${template}
						start=${start}
						integrations=${integrations}
						groups=${groups}
						refresh=${load.reload}
						save=${save}
						saved=${saved}
						submit=${t("trigger.add")}
					/>
				`;
			}}
		<//>
	`;
}

function Delete({ trigger, onClose }) {
	const [remove, { busy, error }] = useAction(async () => {
		await call("DELETE", triggerPath(trigger.id));
		navigate("/triggers", { done: true });
	});
	return html`
		<${Dialog} title=${t("delete.title", { name: trigger.name })} danger onClose=${onClose}>
			<p>${t("trigger.delete.lost")}</p>
			<p>${t("trigger.delete.instead")}</p>
			${error &&
			html`
				<${Failure} error=${error} />
			`}
			<div class="buttons">
				<button type="button" onClick=${onClose}>${t("form.cancel")}</button>
				<button type="button" class="danger" disabled=${busy} onClick=${remove}>
					<${Busy} on=${busy}>${t("trigger.delete")}<//>
				</button>
			</div>
		<//>
	`;
}

function Head({ trigger: r, template, reload }) {
	const [asking, ask] = useState(false);
	const [toggle, switching] = useSwitch(r, reload);
	const [copy, copying] = useCopy(r);
	const error = switching.error || copying.error;
	return html`
		<div class="title">
			<div>
				<h1 tabindex="-1">${r.name}</h1>
				<p class="muted meta">
					<${StateOf} trigger=${r} />
					${" "}
					<span>
						${template
							? html`
									<${Said} text=${template.title} />
								`
							: r.template_id}
					</span>
					${" "}
					<span>
						${r.last_fired_at
							? html`
									${t("trigger.fired")}${" "}
									<${When} at=${r.last_fired_at} />
								`
							: t("trigger.never")}
					</span>
					${" "}${r.created_by &&
					html`
						<span>${t("integration.by", { who: r.created_by, at: time(r.created_at) })}</span>
					`}
					${" "}
					<${Changed} of=${r} />
					${" "}
					<a href=${`/activity?object_id=${encodeURIComponent(r.id)}`}>${t("activity.history")}</a>
				</p>
			</div>
			${may("triggers") &&
			html`
				<div class="buttons">
					<button type="button" disabled=${switching.busy} onClick=${toggle}>
						<${Busy} on=${switching.busy}>${t(r.enabled ? "integration.disable" : "integration.enable")}<//>
					</button>
					<button type="button" disabled=${copying.busy} onClick=${copy}>
						<${Busy} on=${copying.busy}>${t("trigger.copy")}<//>
					</button>
					<button type="button" class="danger-quiet" onClick=${() => ask(true)}>
						<${Icon} name="trash" size="18" />
						${t("integration.delete")}
					</button>
				</div>
			`}
		</div>
		${error &&
		html`
			<${Failure} error=${error} />
		`}
		<${Warnings} of=${r} />
		${asking &&
		html`
			<${Delete} trigger=${r} onClose=${() => ask(false)} />
		`}
	`;
}

const asks = (trigger) => trigger.actions.some((a) => a.id !== "send_notification");

// shape is what the form can change of a trigger, to compare.
const shape = (r) => JSON.stringify([r.name, r.comment, r.filters, r.threshold, r.actions]);

function Settings({ data, template, reload }) {
	const {
		base: { trigger, etag },
		key,
		changed,
		hold,
		saved,
		drop,
	} = useBase(data, { version: (d) => d.trigger.revision, same: (a, b) => shape(a.trigger) === shape(b.trigger) });
	const [told, tell] = useState(false);
	const save = (draft, { over }) => {
		tell(false);
		const { template_id: _, ...body } = draft; // what a trigger watches stays as it was made
		return call("PATCH", triggerPath(trigger.id), { body, etag: over ? undefined : etag });
	};
	const done = async (answer, clean) => {
		saved({ ...data, trigger: answer.body, etag: answer.etag }, clean);
		tell(true);
		await reload();
	};
	const again = () => {
		drop();
		return reload();
	};
	return html`
		${told &&
		html`
			<${Notice} kind="ok" role="status"><p>${t("form.saved")}</p><//>
		`}
		<${TriggerForm}
			key=${key}
			template=${template}
			start=${trigger}
			integrations=${data.integrations}
			groups=${data.groups}
			refresh=${reload}
			save=${save}
			saved=${done}
			hold=${hold}
			again=${again}
			changed=${changed}
			submit=${t("form.save")}
		/>
	`;
}

export function Trigger({ id }) {
	const { query } = useLocation();
	const load = useLoad(id, async (signal) => {
		const [known, one] = await Promise.all([readTemplates(signal), get(triggerPath(id), { signal })]);
		return { ...known, trigger: one.body, etag: one.etag };
	});
	if (load.error?.status === 404 && !load.data)
		return html`
			<h1 tabindex="-1">${t("nav.triggers")}</h1>
			<${Empty} icon="search" title=${t("trigger.missing")}>
				<p><a class="button" href="/triggers">${t("nav.triggers")}</a></p>
			<//>
		`;
	return html`
		<${Back} href="/triggers">${t("nav.triggers")}<//>
		<${View} load=${load} skeleton="form" title=${t("nav.triggers")}>
			${(data) => {
				const { trigger } = data;
				const template = data.templates.find((d) => d.id === trigger.template_id);
				return html`
					<${Head} trigger=${trigger} template=${template} reload=${load.reload} />
					${query.get("added") &&
					html`
						<${Notice} kind="ok" role="status">
							<p>
								<strong>${t("add.done")}</strong>
								${" "}${t(asks(trigger) ? "trigger.added.asks" : "trigger.added")}
							</p>
							<p><a href=${withQuery({ added: "" })}>${t("action.close")}</a></p>
						<//>
					`}
					${query.get("copied") &&
					html`
						<${Notice} kind="ok" role="status">
							<p>${t("trigger.copied")}</p>
							<p><a href=${withQuery({ copied: "" })}>${t("action.close")}</a></p>
						<//>
					`}
					${template
						? html`
								<${Settings} data=${data} template=${template} reload=${load.reload} />
							`
						: html`
								<${Notice} kind="warn"><p>${t("trigger.old")}</p><//>
							`}
					${trigger.threshold &&
					html`
						<${Now} trigger=${trigger} />
					`}
					<${Firings} trigger=${trigger} template=${template} integrations=${data.integrations} />
					${asks(trigger) &&
					html`
						<${Asked} trigger=${trigger} />
					`}
				`;
			}}
		<//>
	`;
}
