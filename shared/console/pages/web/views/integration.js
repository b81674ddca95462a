// One integration: its settings, its deliveries, one delivery.
import { html, useRef, useState } from "../html.js";
import { call, get, integrationPath, may, post, testOf } from "../api.js";
import { further, language, t, time } from "../i18n.js";
import { Icon } from "../icons.js";
import { useBase, useLoad } from "../load.js";
import { match, useLocation, withQuery } from "../router.js";
import { Busy, Changed, Empty, Failing, Health, heldWords, Notice, Off, Said, StatePill, View, When } from "../ui.js";
import { editable, Form, SetUp } from "./form.js";
import { Deliveries } from "./deliveries.js";
import { Delivery } from "./delivery.js";
import { Gone, isGone, lastAttempts } from "./gone.js";
import { Mute, Muted, MutedPill, Unmute } from "./hold.js";
import { LeftOut } from "./left-out.js";
import { Backlog } from "./rate.js";
import { Delete, Disable, Enable } from "./switch.js";
import { isBound, TelegramLink } from "./telegram.js";
import { Uses } from "./uses.js";

const refresh = 15_000;

// read reads an integration; the systems, which hardly change, only where they are not known yet.
async function read(id, signal, known) {
	const [one, health, systems, last] = await Promise.all([
		get(integrationPath(id), { signal }),
		get(integrationPath(id, "/health"), { signal }),
		known || get("/v1/systems", { signal, query: { languages: further } }),
		lastAttempts(id, signal),
	]);
	const system = systems.body.groups.flatMap((g) => g.systems).find((s) => s.name === one.body.system);
	return {
		integration: one.body,
		etag: one.etag,
		health: health.body,
		systems,
		system,
		incidents: system?.incidents,
		...last,
	};
}

function Head({ data, reload, deliveries, form }) {
	const { integration: i } = data;
	const [asking, ask] = useState(""); // "enable", "disable", "delete", "mute"
	const close = () => ask("");
	const at = `/integrations/${i.id}`;
	return html`
		<div class="title">
			<div>
				<h1 tabindex="-1" class="with-mark">
					<span class="mark"><${Icon} name=${i.system} /></span>
					${i.name}
				</h1>
				<p class="muted meta">
					<${StatePill} of=${i} />
					${" "}
					<${MutedPill} of=${i} />
					${" "}
					<span>${data.system?.title || i.system}</span>
					${" "}
					<span>
						${i.created_by
							? t("integration.by", { who: i.created_by, at: time(i.created_at) })
							: time(i.created_at)}
					</span>
					${" "}
					<${Changed} of=${i} />
				</p>
			</div>
			${may("integrations") &&
			html`
				<div class="buttons">
					<button
						type="button"
						disabled=${asking === "enable"}
						onClick=${() => ask(i.enabled ? "disable" : "enable")}
					>
						<${Busy} on=${asking === "enable"}>
							${i.enabled ? t("integration.disable") : t("integration.enable")}
						<//>
					</button>
					${i.muted
						? html`
								<${Unmute} integration=${i} done=${reload} />
							`
						: html`
								<button type="button" onClick=${() => ask("mute")}>${t("mute.do")}</button>
							`}
					<a class="button" href=${`/add/${i.system}?copy=${encodeURIComponent(i.id)}`}>
						${t("integration.copy")}
					</a>
					<button type="button" class="danger-quiet" onClick=${() => ask("delete")}>
						<${Icon} name="trash" size="18" />
						${t("integration.delete")}
					</button>
				</div>
			`}
		</div>
		${i.unreadable &&
		html`
			<${Notice} kind="bad"><p>${t(`unreadable.${i.unreadable.cause}`)}</p><//>
		`}
		${i.failing &&
		html`
			<${Notice} kind="bad">
				<p><${Failing} of=${i} /></p>
				<p>${t("failing.what")}</p>
			<//>
		`}
		<${Muted} of=${i} />
		${i.held > 0 &&
		html`
			<${Notice} kind="info"><p>${heldWords(i)}</p><//>
		`}
		<${Backlog} of=${i} />
		${i.message_template &&
		data.fellBack &&
		html`
			<${Notice} kind="warn">
				<p>
					<strong>${t("template.fell_back")}</strong>
					${" "}
					<${When} at=${data.fellBack.at} />
					:${" "}
					<${Said} text=${data.fellBack.reason} />
				</p>
			<//>
		`}
		${!i.enabled &&
		html`
			<${Notice} kind=${i.disabled?.by === "platform" ? "bad" : "info"}>
				<p><${Off} of=${i} /></p>
				<p>${t(i.disabled?.by === "platform" ? "off.mend" : "off.kept")}</p>
			<//>
		`}
		${i.missing &&
		html`
			<${Notice} kind="bad">
				<p>
					<strong>${t("lacking.title")}</strong>
					${" "}
					<${Said} text=${i.missing} />
				</p>
			<//>
		`}
		${i.enabled &&
		isGone(i, data.gone) &&
		may("integrations") &&
		html`
			<${Gone} integration=${i} attempt=${data.gone} done=${reload} />
		`}
		<nav class="tabs" aria-label=${t("integration.parts")}>
			<ul>
				<li><a href=${at} aria-current=${deliveries ? undefined : "page"}>${t("integration.settings")}</a></li>
				<li>
					<a href=${`${at}/deliveries`} aria-current=${deliveries ? "page" : undefined}>
						${t("integration.deliveries")}
					</a>
				</li>
				<li><a href=${`/activity?object_id=${encodeURIComponent(i.id)}`}>${t("activity.history")}</a></li>
			</ul>
		</nav>
		${asking === "delete" &&
		html`
			<${Delete} integration=${i} onClose=${close} />
		`}
		${asking === "disable" &&
		html`
			<${Disable} integration=${i} onClose=${close} done=${reload} />
		`}
		${asking === "mute" &&
		html`
			<${Mute} integration=${i} people=${data.system?.worded} onClose=${close} done=${reload} />
		`}
		${asking === "enable" &&
		html`
			<${Enable}
				integration=${i}
				incidents=${data.incidents}
				form=${deliveries ? null : form.current?.current}
				onClose=${close}
				reload=${reload}
			/>
		`}
	`;
}

function Settings({ data, reload, form }) {
	const {
		base: { integration: i, system, etag },
		key,
		changed,
		hold,
		saved,
		drop,
	} = useBase(data, {
		version: (d) => d.integration.revision,
		same: (a, b) => editable(a.system, a.integration) === editable(b.system, b.integration),
	});
	const [told, tell] = useState(false);
	form.current = hold;
	const start = {
		name: i.name,
		language: i.language,
		filters: i.filters,
		rate: i.rate,
		grouping: i.grouping,
		storm_guard: i.storm_guard,
		fallback: i.fallback,
		id: i.id,
		hold: i.hold,
		message_template: i.message_template,
		parameters: i.parameters,
		events: Object.fromEntries(i.events.map((e) => [e.event, { active: e.active, with_headers: e.with_headers }])),
	};
	const save = (draft, { over }) => {
		tell(false);
		return call("PATCH", integrationPath(i.id), { body: draft, etag: over ? undefined : etag });
	};
	const done = async (answer, clean) => {
		saved({ ...data, integration: answer.body, etag: answer.etag }, clean);
		tell(true);
		await reload();
	};
	const again = () => {
		drop();
		return reload();
	};
	// A saved integration whose settings are all bound elsewhere is tested as it is kept.
	const test = (parameters, words, told, signal) =>
		Object.keys(parameters).length
			? testOf("/v1/integrations/test", { integration: i.id, parameters, message_template: words }, told, signal)
			: testOf(integrationPath(i.id, "/test"), undefined, told, signal);
	const choose = (parameter, parameters) =>
		post("/v1/integrations/choices", { integration: i.id, parameters, parameter });
	const telegram =
		system.bound_there &&
		html`
			<${TelegramLink}
				integration=${i}
				reload=${reload}
				test=${(told, signal) => test({}, undefined, told, signal)}
			/>
		`;
	return html`
		<div class="beside">
			<${Form}
				key=${key}
				system=${system}
				rules=${data.systems.body.filters}
				template=${data.systems.body.message_template}
				start=${start}
				save=${save}
				saved=${done}
				hold=${hold}
				again=${again}
				changed=${changed}
				test=${test}
				choose=${choose}
				submit=${t("form.save")}
				note=${told ? t("form.saved") : ""}
				extra=${telegram}
			/>
			<div class="side">
				<section class="panel">
					<h2>${t("health.title", { hours: data.health.window_hours })}</h2>
					<${Health} health=${data.health} large enabled=${i.enabled} />
				</section>
				<${LeftOut} integration=${data.integration} rules=${data.systems.body.filters} />
				<${Uses} integration=${i} />
				<${SetUp} system=${system} />
			</div>
		</div>
	`;
}

// starts says what happens from now on with an integration that was just added.
function starts(i, system) {
	if (i.missing) return t("add.done.missing");
	return t(system?.bound_there && !isBound(i) ? "add.done.unbound" : "add.done.what");
}

export function Integration({ id, path }) {
	const { query } = useLocation();
	const known = useRef({}); // the systems, in a language
	const load = useLoad(
		id,
		async (signal) => {
			const data = await read(id, signal, known.current[language]);
			known.current = { [language]: data.systems };
			return data;
		},
		{ every: refresh },
	);
	const form = useRef(null); // the hold of the settings while they are shown
	const delivery = match("/integrations/:id/deliveries/:delivery", path)?.delivery;
	const deliveries = Boolean(match("/integrations/:id/deliveries", path)) || delivery;
	if (load.error?.status === 404 && !load.data) {
		return html`
			<h1 tabindex="-1">${t("integration.title")}</h1>
			<${Empty} icon="search" title=${t("integration.gone")}>
				<p><a class="button" href="/">${t("list.title")}</a></p>
			<//>
		`;
	}
	const back = delivery ? `/integrations/${id}/deliveries` : "/";
	return html`
		<p class="back">
			<a href=${back}>
				<${Icon} name="back" size="18" />
				${delivery ? t("integration.deliveries") : t("list.title")}
			</a>
		</p>
		<${View} load=${load} skeleton="form" title=${t("integration.title")}>
			${(data) => {
				if (delivery)
					return html`
						<${Delivery} integration=${data.integration} delivery=${delivery} reload=${load.reload} />
					`;
				return html`
					<${Head} data=${data} reload=${load.reload} deliveries=${deliveries} form=${form} />
					${query.get("added") &&
					html`
						<${Notice} kind="ok" role="status">
							<p>
								<strong>${t("add.done")}</strong>
								${" "}${starts(data.integration, data.system)}
							</p>
							<p><a href=${withQuery({ added: "" })}>${t("action.close")}</a></p>
						<//>
					`}
					${deliveries
						? html`
								<${Deliveries} integration=${data.integration} incidents=${data.incidents} />
							`
						: html`
								<${Settings} data=${data} reload=${load.reload} form=${form} />
							`}
				`;
			}}
		<//>
	`;
}
