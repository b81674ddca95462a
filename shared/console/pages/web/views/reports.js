// Reports: the last three with their numbers and files, one on demand, and the time zone that days are cut in.
import { html, useEffect, useId, useRef, useState } from "../html.js";
import { call, download, get, post } from "../api.js";
import { bytes, dates, language, list, number, said, t, zones } from "../i18n.js";
import { Icon } from "../icons.js";
import { useAction, useLoad } from "../load.js";
import { useUnsaved } from "../router.js";
import { isEmail, words } from "../schema.js";
import { Busy, Empty, ErrorAt, Failure, Notice, Pill, Said, View, When } from "../ui.js";
import { Language } from "./fields.js";
import { filterMistakes, FilterRows, madeFilters, narrowed } from "./filter-rows.js";
import { AccountHold } from "./hold.js";
import { Mails, People } from "./mails.js";
import { AccountRetention } from "./retention.js";

const refresh = 20_000;
const waiting = 1_500; // milliseconds between looks at a report that is being made
const lines = ["hits", "blocked", "attacks", "incidents", "vulnerabilities"];
const marks = { waiting: ["info", "clock"], ready: ["ok", "check"], failed: ["bad", "cross"] };

function Download({ file }) {
	const [run, { busy, error }] = useAction(() => download(file.href, file.name));
	return html`
		<li>
			<button
				type="button"
				class="quiet small"
				disabled=${busy}
				onClick=${run}
				aria-label=${t("report.download", { name: file.name })}
			>
				<${Icon} name="file" size="18" />
				<${Busy} on=${busy}>${file.name}<//>
			</button>
			<span class="muted">${bytes(file.size)}</span>
			${error &&
			html`
				<${Failure} error=${error} />
			`}
		</li>
	`;
}

// Numbers are those of the period, each with its change since the one before, if they are compared with one.
function Numbers({ headline: { now, before } }) {
	return html`
		<dl class="numbers">
			${lines.map((name) => {
				const change = before && now[name] - before[name];
				return html`
					<div>
						<dt>${t(`report.${name}`)}</dt>
						<dd>
							${number(now[name])}${" "}
							${before &&
							html`
								<small>
									${change === 0
										? t("report.same")
										: t(change > 0 ? "report.more" : "report.less", { n: Math.abs(change) })}
								</small>
							`}
						</dd>
					</div>
				`;
			})}
		</dl>
	`;
}

const rowsCSV = 10_000; // of a file
const daysNamed = 3;
const days = (all) =>
	all.length > daysNamed
		? t("report.missing.days", { n: all.length, range: dates(all[0], all.at(-1)) })
		: list(all.map((d) => dates(d, d)));

// lacks says what a report does not list of one kind of event, why, and what would list it.
function lacks(m, format) {
	const csv = Math.min(m.recorded, rowsCSV);
	const gone = m.of - m.recorded;
	return [
		t(`report.missing.${m.what}`, { listed: m.listed, of: m.of }),
		format === "pdf" &&
			csv > m.listed &&
			(csv === m.of ? t("report.missing.csv.all") : t("report.missing.csv", { n: csv })),
		m.recorded > csv && t("report.missing.shorter", { max: rowsCSV }),
		gone > 0 &&
			t(m.what === "attacks" ? "report.missing.gone.attacks" : "report.missing.gone.findings", {
				n: gone,
				days: days(m.days),
			}),
	]
		.filter(Boolean)
		.join(language === "ja" ? "" : " ");
}

const Missing = ({ report: r }) => html`
	<${Notice}>
		${r.missing.map(
			(m) => html`
				<p key=${m.what}>${lacks(m, r.format)}</p>
			`,
		)}
		${r.missing.some((m) => m.of > m.recorded) &&
		html`
			<p>${t("report.missing.again")}</p>
		`}
	<//>
`;

// Filters say what selected the events that a report tells of.
const Filters = ({ filters, rules }) => html`
	<div>
		<p>${t("report.selected")}</p>
		<ul>
			${filters.map(
				(f) => html`
					<li key=${f.id}>${narrowed(f, rules)}</li>
				`,
			)}
		</ul>
	</div>
`;

function Report({ report: r, rules, manages }) {
	const kind = t(`report.frequency.${r.period.frequency}`);
	return html`
		<li class="panel report">
			<div class="title">
				<div>
					<h3>${kind}: ${dates(r.period.from, r.period.to)}</h3>
					<p class="muted meta">
						<${Pill} kind=${marks[r.state][0]} icon=${marks[r.state][1]}>${t(`report.${r.state}`)}<//>
						${" "}
						<span>${r.format.toUpperCase()}</span>
						${" "}
						<span>
							${r.created_by ? t("report.by", { who: r.created_by }) : t("report.scheduled")}${" "}
							<${When} at=${r.created_at} />
						</span>
						${" "}
						<span>${r.period.time_zone}</span>
					</p>
				</div>
			</div>
			${r.state === "waiting" &&
			html`
				<progress aria-label=${t("report.making")}></progress>
			`}
			${r.state === "failed" &&
			html`
				<p class="mend"><${Said} text=${r.reason} /></p>
			`}
			${r.filters?.length > 0 &&
			html`
				<${Filters} filters=${r.filters} rules=${rules} />
			`}
			${r.headline &&
			html`
				<${Numbers} headline=${r.headline} />
			`}
			${r.missing?.length > 0 &&
			html`
				<${Missing} report=${r} />
			`}
			${r.files.length > 0 &&
			html`
				<ul class="files">
					${r.files.map(
						(f) => html`
							<${Download} key=${f.name} file=${f} />
						`,
					)}
				</ul>
			`}
			${r.recipients?.length > 0 &&
			html`
				<h4>${t("report.mails")}</h4>
				<${Mails} path=${`/v1/reports/${encodeURIComponent(r.id)}/mails`} named may=${manages} />
			`}
		</li>
	`;
}

const monday = (from) => {
	const date = new Date(`${from}T12:00:00Z`);
	if (Number.isNaN(date.getTime())) return from;
	date.setUTCDate(date.getUTCDate() - ((date.getUTCDay() + 6) % 7));
	return date.toISOString().slice(0, 10);
};
const day = (date) => new Date(date - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 10);

const mistakes = (order, { filters: rules, from: first }) => {
	const wrong = words(order.recipients).find((a) => !isEmail(a));
	const since = { daily: order.from, weekly: monday(order.from), monthly: order.from.slice(0, 8) + "01" };
	const early = order.filters.length > 0 && (since[order.frequency] || order.from) < first;
	return {
		...filterMistakes(order.filters, rules),
		filters: "",
		from: !order.from ? t("check.required") : early ? t("report.filters.early", { day: dates(first, first) }) : "",
		to: order.frequency ? "" : !order.to ? t("check.required") : order.to < order.from ? t("range.empty") : "",
		recipients: wrong ? t("check.email", { value: wrong }) : "",
	};
};

function Order({ ordered, can }) {
	const id = useId();
	const form = useRef(null);
	const [sent, setSent] = useState({
		frequency: "weekly",
		from: day(new Date(Date.now() - 7 * 86_400_000)),
		to: day(new Date()),
		format: "pdf",
		recipients: "",
		filters: [],
	});
	const [order, set] = useState(sent);
	useUnsaved(
		Object.keys(order).some((name) => order[name] !== sent[name]),
		"report.leave",
	);
	const [attempted, attempt] = useState(false);
	const [run, { busy, error }] = useAction(async () => {
		const { frequency, from, to, format } = order;
		await post("/v1/reports", {
			period: frequency ? { frequency, from } : { from, to },
			format,
			recipients: words(order.recipients),
			filters: madeFilters(order.filters, can.filters),
		});
		attempt(false);
		setSent(order);
		await ordered();
	});
	const wrong = mistakes(order, can);
	for (const f of error?.fields || []) {
		const parts = f.field.split(".");
		const name = parts[0] === "filters" ? parts.slice(0, 2).join(".") : parts.find((part) => part in wrong);
		if (name) wrong[name] ||= said(f.reason);
	}
	const set1 = (change) => set({ ...order, ...change });
	const submit = (e) => {
		e.preventDefault();
		attempt(true);
		if (!Object.values(mistakes(order, can)).some(Boolean)) run();
		else requestAnimationFrame(() => form.current.querySelector(".invalid :is(input, textarea, select)")?.focus());
	};
	const field = (name, label, control, help) => {
		const shown =
			attempted || error
				? wrong[name]
				: name === "recipients" && /[,;\s]/.test(order.recipients)
					? wrong.recipients
					: "";
		return html`
			<div class=${`field ${shown ? "invalid" : ""}`}>
				<label class="label" for=${`${id}-${name}`}>${label}</label>
				${control({
					id: `${id}-${name}`,
					"aria-describedby": `${id}-${name}-error`,
					"aria-invalid": shown ? "true" : undefined,
				})}
				${help &&
				html`
					<p class="help">${help}</p>
				`}
				<${ErrorAt} id=${`${id}-${name}-error`} text=${shown} />
			</div>
		`;
	};
	const date = (name) => (a) => html`
		<input type="date" ...${a} value=${order[name]} onInput=${(e) => set1({ [name]: e.target.value })} />
	`;
	return html`
		<form class="panel form" ref=${form} novalidate onSubmit=${submit}>
			<h2>${t("report.order")}</h2>
			${field(
				"frequency",
				t("report.period"),
				(a) => html`
					<select ...${a} value=${order.frequency} onChange=${(e) => set1({ frequency: e.target.value })}>
						${["daily", "weekly", "monthly", ""].map(
							(f) => html`
								<option value=${f}>${t(`report.period.${f || "once"}`)}</option>
							`,
						)}
					</select>
				`,
			)}
			<div class="row wrap">
				${field(
					"from",
					t(order.frequency ? "report.day" : "range.from"),
					date("from"),
					order.frequency && t(`report.day.${order.frequency}`),
				)}${!order.frequency && field("to", t("range.to"), date("to"))}
			</div>
			<${FilterRows}
				rules=${can.filters}
				value=${order.filters}
				note=${t("report.filters.note", { day: dates(can.from, can.from) })}
				errors=${attempted || error ? wrong : { filters: "" }}
				onChange=${(filters) => set1({ filters })}
			/>
			${field(
				"format",
				t("report.format"),
				(a) => html`
					<select ...${a} value=${order.format} onChange=${(e) => set1({ format: e.target.value })}>
						${["pdf", "csv"].map(
							(f) => html`
								<option value=${f}>${t(`report.format.${f}`)}</option>
							`,
						)}
					</select>
				`,
			)}
			${field(
				"recipients",
				t("report.recipients"),
				(a) => html`
					<input
						type="text"
						...${a}
						autocomplete="off"
						spellcheck="false"
						placeholder=${t("list.placeholder")}
						value=${order.recipients}
						onInput=${(e) => set1({ recipients: e.target.value })}
					/>
				`,
				t("report.recipients.note"),
			)}
			${error &&
			(error.fields?.length
				? html`
						<${Notice} kind="bad" role="alert"><p>${t("form.wrong")}</p><//>
					`
				: html`
						<${Failure} error=${error} />
					`)}
			<div class="buttons">
				<button type="submit" class="primary" disabled=${busy}>
					<${Busy} on=${busy}>${t("report.make")}<//>
				</button>
			</div>
		</form>
	`;
}

const hours = Array.from({ length: 24 }, (_, n) => n);
const clock = (hour) => `${String(hour).padStart(2, "0")}:00`;

function Settings() {
	const id = useId();
	const load = useLoad("report-settings", async (signal) => {
		const { body } = await get("/v1/report-settings", { signal });
		return { language: "", ...body };
	});
	const [saved, setSaved] = useState(false);
	const [kept, keep] = useState(null);
	const [changed, set] = useState({});
	// What was typed is held apart: it may be typed before an effect has seen what was loaded.
	const stored = kept || load.data || { time_zone: "", hour: 6, language: "" };
	const typed = { ...stored, ...changed };
	useEffect(() => {
		if (load.data) keep(load.data);
	}, [load.data]);
	useUnsaved(Object.keys(stored).some((name) => typed[name] !== stored[name]));
	const [save, { busy, error }] = useAction(async () => {
		setSaved(false);
		const next = { time_zone: typed.time_zone.trim(), hour: typed.hour, language: typed.language };
		await call("PUT", "/v1/report-settings", { body: next });
		keep(next);
		set({});
		setSaved(true);
	});
	const change = (part) => {
		set((now) => ({ ...now, ...part }));
		setSaved(false);
	};
	const wrong = error?.fields?.[0]?.reason;
	return html`
		<section class="panel">
			<h2>${t("report.zone")}</h2>
			<p class="muted">${t("report.zone.what")}</p>
			<${View} load=${load} count="1">
				${() => html`
					<form
						onSubmit=${(e) => {
							e.preventDefault();
							save();
						}}
					>
						<div class=${`field ${wrong ? "invalid" : ""}`}>
							<label class="label" for=${id}>${t("report.zone.label")}</label>
							<input
								id=${id}
								list=${`${id}-zones`}
								autocomplete="off"
								spellcheck="false"
								aria-describedby=${`${id}-error`}
								value=${typed.time_zone}
								onInput=${(e) => change({ time_zone: e.target.value })}
							/>
							<datalist id=${`${id}-zones`}>
								${zones().map(
									(z) => html`
										<option value=${z} />
									`,
								)}
							</datalist>
							<${ErrorAt} id=${`${id}-error`} text=${wrong && said(wrong)} />
						</div>
						<div class="field">
							<label class="label" for=${`${id}-hour`}>${t("report.hour.label")}</label>
							<select
								id=${`${id}-hour`}
								aria-describedby=${`${id}-hour-help`}
								value=${String(typed.hour)}
								onChange=${(e) => change({ hour: Number(e.target.value) })}
							>
								${hours.map(
									(n) => html`
										<option value=${String(n)}>${clock(n)}</option>
									`,
								)}
							</select>
							<p class="help" id=${`${id}-hour-help`}>${t("report.hour.what")}</p>
						</div>
						<${Language}
							value=${typed.language}
							other=${t("language.default")}
							help=${t("language.reports")}
							onInput=${(language) => change({ language })}
						/>
						<div class="buttons">
							<button type="submit" disabled=${busy || !typed.time_zone.trim()}>
								<${Busy} on=${busy}>${t("form.save")}<//>
							</button>
						</div>
						${error &&
						!wrong &&
						html`
							<${Failure} error=${error} />
						`}
						<p class="help" role="status">${saved ? t("form.saved") : ""}</p>
					</form>
				`}
			<//>
		</section>
	`;
}

// Blocked lists the addresses that nothing is sent to, each with the reason.
function Blocked() {
	const [pages, setPages] = useState(1);
	const load = useLoad(`blocked ${pages}`, async (signal) => {
		const items = [];
		let next = "";
		for (let n = 0; n < pages && (n === 0 || next); n++) {
			const { body } = await get("/v1/blocked-addresses", { signal, query: { cursor: next } });
			items.push(...body.items);
			next = body.next_cursor;
		}
		return { items, more: Boolean(next) };
	});
	const [allow, { busy, error }] = useAction(async (address) => {
		await call("DELETE", `/v1/blocked-addresses/${encodeURIComponent(address)}`);
		await load.reload();
	});
	return html`
		<section class="panel">
			<h2>${t("blocked.title")}</h2>
			<p class="muted">${t("blocked.lead")}</p>
			${error &&
			html`
				<${Failure} error=${error} />
			`}
			<${View} load=${load.data || load.error ? load : { ...load, data: load.stale }} count="1">
				${({ items, more }) =>
					items.length
						? html`
								<ul class="blocked">
									${items.map(
										(b) => html`
											<li key=${`${b.address} ${b.integration}`}>
												<div>
													<strong>${b.address}</strong>
													<p class="muted">
														${t(`blocked.${b.why}`)}${" "}
														<${When} at=${b.at} />
														${b.integration &&
														html`
															,${" "}
															<a href=${`/integrations/${b.integration}`}>
																${t("blocked.integration")}
															</a>
														`}
													</p>
													${b.reason &&
													html`
														<p class="mend"><${Said} text=${b.reason} /></p>
													`}
												</div>
												<button
													type="button"
													class="quiet small"
													disabled=${busy}
													onClick=${() => allow(b.address)}
													aria-label=${t("blocked.allow.of", { address: b.address })}
												>
													${t("blocked.allow")}
												</button>
											</li>
										`,
									)}
								</ul>
								${more &&
								html`
									<p class="more">
										<button type="button" onClick=${() => setPages(pages + 1)}>${t("more")}</button>
									</p>
								`}
							`
						: html`
								<p class="muted">${t("blocked.none")}</p>
							`}
			<//>
		</section>
	`;
}

export function Reports({ session }) {
	const [fast, setFast] = useState(false);
	const load = useLoad("reports", async (signal) => (await get("/v1/reports", { signal })).body.items, {
		every: fast ? waiting : refresh,
	});
	const can = useLoad("report-filters", async (signal) => (await get("/v1/report-filters", { signal })).body);
	const making = Boolean(load.data?.some((r) => r.state === "waiting"));
	useEffect(() => setFast(making), [making]);
	const administers = session.sections.includes("integrations");
	const manages = !["read_only", "global_read_only"].includes(session.role);
	return html`
		<h1 tabindex="-1">${t("report.title")}</h1>
		<p class="muted">${t("report.lead")}</p>
		<div class="beside wide">
			<div class="column">
				<h2>${t("report.last")}</h2>
				<p class="visually-hidden" role="status">${making ? t("report.making") : ""}</p>
				<${View} load=${load} count="3">
					${(items) =>
						items.length
							? html`
									<ul class="column">
										${items.map(
											(r) => html`
												<${Report}
													key=${r.id}
													report=${r}
													rules=${can.data?.filters}
													manages=${manages}
												/>
											`,
										)}
									</ul>
								`
							: html`
									<${Empty} icon="file" title=${t("report.empty")}>
										<p>${t("report.empty.what")}</p>
									<//>
								`}
				<//>
			</div>
			<div class="column screen-only">
				${manages &&
				html`
					<${View} load=${can} count="1">
						${(v) => html`
							<${Order} ordered=${load.reload} can=${v} />
						`}
					<//>
				`}${administers &&
				html`
					<${Settings} />
					<${AccountHold} />
					<${AccountRetention} />
					<${People} />
					<${Blocked} />
				`}
			</div>
		</div>
	`;
}
