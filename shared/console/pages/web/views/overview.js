// What Home opens with: what needs a person, and what became of the last 24 hours.
import { html, useEffect, useState } from "../html.js";
import { integrationPath, post } from "../api.js";
import { duration, number, t, time } from "../i18n.js";
import { Icon } from "../icons.js";
import { heldWords, Notice, Pill, Said, When } from "../ui.js";

const shownAtFirst = 4; // what needs a person, so that a screen holds it
const shownAtMost = 20; // the others are in the list below
const tableRows = 50;
const missedOf = 3; // disabled integrations of which is counted what they missed: each is a search of the event log

const kinds = {
	disabled: { kind: "bad", icon: "alert", action: "enable" },
	lost: { kind: "bad", icon: "alert", action: "secrets" },
	missing: { kind: "bad", icon: "alert", action: "open" },
	failing: { kind: "bad", icon: "alert", action: "fix" },
	away: { kind: "warn", icon: "clock", action: "open" },
	held: { kind: "warn", icon: "clock", action: "open" },
	not_sent: { kind: "warn", icon: "again", action: "replay" },
};

const words = { lost: "unreadable.lost", away: "unreadable.away", held: "attention.held" };

const page = (a) => (a.cause === "not_sent" ? `/integrations/${a.id}/deliveries?state=dead` : `/integrations/${a.id}`);

const some = (what, n, more) => t(`attention.count.${what}${more ? ".more" : ""}`, { n });

// useMissed counts what came while an integration was disabled, once.
function useMissed(item, on) {
	const [found, set] = useState(null);
	useEffect(() => {
		if (!on || !item.since) return undefined;
		const control = new AbortController();
		post(integrationPath(item.id, "/recover"), { from: item.since, dry_run: true }, { signal: control.signal })
			.then(({ body }) => set({ n: body.missed, more: Boolean(body.next_cursor) }))
			.catch(() => {}); // the page of the integration counts it, too, and says why it can not
		return () => control.abort();
	}, [item.id, item.since, on]);
	return found;
}

// Facts are the numbers of what needs a person.
function Facts({ item, count }) {
	const missed = useMissed(item, count);
	const facts = [];
	if (item.waiting > 0) facts.push(some(item.retries_only ? "retries" : "waiting", item.waiting, item.waiting_more));
	if (item.next_attempt)
		facts.push(html`
			${t("attention.next")}${" "}
			<${When} at=${item.next_attempt} />
		`);
	if (item.held > 0) facts.push(heldWords(item));
	if (item.not_sent > 0) facts.push(some("not_sent", item.not_sent, item.not_sent_more));
	if (missed?.n > 0) facts.push(some("missed", missed.n, missed.more));
	return (
		facts.length > 0 &&
		html`
			<ul class="attention-facts">
				${facts.map(
					(f) => html`
						<li>${f}</li>
					`,
				)}
			</ul>
		`
	);
}

function Item({ item: a, system, count }) {
	const { kind, icon, action } = kinds[a.cause];
	return html`
		<li class="attention-item">
			<span class="mark"><${Icon} name=${a.system} /></span>
			<div class="attention-what">
				<h3>
					<a href=${`/integrations/${a.id}`}><bdi>${a.name}</bdi></a>
					<${Pill} kind=${kind} icon=${icon}>${t(`attention.cause.${a.cause}`)}<//>
				</h3>
				<p class="muted">
					${system?.title || a.system}
					${a.since &&
					html`
						${" · "}${t("attention.since")}${" "}
						<${When} at=${a.since} />
					`}
				</p>
				${a.last_answer
					? html`
							<p class="attention-why"><${Said} text=${a.last_answer.words} /></p>
						`
					: words[a.cause]
						? html`
								<p class="attention-why">${t(words[a.cause])}</p>
							`
						: a.reason &&
							html`
								<p class="attention-why"><${Said} text=${a.reason} /></p>
							`}
				<${Facts} item=${a} count=${count} />
			</div>
			<a class="button" href=${page(a)} aria-label=${t(`attention.do.${action}.of`, { name: a.name })}>
				${t(`attention.do.${action}`)}
			</a>
		</li>
	`;
}

// Untaken lists the kinds of commands of triggers that nobody takes.
const Untaken = ({ commands }) =>
	commands.length > 0 &&
	html`
		<section class="attention" aria-labelledby="untaken">
			<h2 id="untaken">
				<${Icon} name="alert" size="18" />
				${t("attention.untaken")}
			</h2>
			<p class="attention-why">${t("attention.untaken.why")}</p>
			<ul>
				${commands.map(
					(c) => html`
						<li key=${c.kind} class="attention-item">
							<span class="mark"><${Icon} name="alert" /></span>
							<div class="attention-what">
								<h3>${t(`kind.${c.kind}`)}</h3>
								<p class="muted">
									<bdi>${c.trigger_name}</bdi>
									${" · "}${c.ip}${" · "}${t("attention.since")}${" "}
									<${When} at=${c.since} />
								</p>
							</div>
							<a
								class="button"
								href=${`/triggers/${encodeURIComponent(c.trigger_id)}`}
								aria-label=${t("attention.untaken.of", { what: t(`kind.${c.kind}`) })}
							>
								${t("attention.do.open")}
							</a>
						</li>
					`,
				)}
			</ul>
		</section>
	`;

// Throttled says that the account publishes more than it may.
const Throttled = ({ overview: o }) =>
	o.throttled > 0 &&
	html`
		<${Notice} kind="warn">
			<p>
				<strong>${t("attention.throttled", { n: o.throttled })}</strong>
				${" "}${t("attention.throttled.why")}${" "}${t("attention.throttled.last")}${" "}
				<${When} at=${o.throttled_at} />
			</p>
		<//>
	`;

// Attention lists what needs a person, or says that nothing does.
export function Attention({ overview, counts, systems }) {
	const [all, setAll] = useState(false);
	const list = overview.attention;
	if (!list.length)
		return overview.commands.length || overview.throttled
			? html`
					<${Throttled} overview=${overview} />
					<${Untaken} commands=${overview.commands} />
				`
			: html`
					<${Notice} kind="ok">
						<p>
							<strong>${t("attention.none")}</strong>
							${" "}${t("attention.none.count", { n: counts.enabled })}
						</p>
					<//>
				`;
	const count = overview.attention_count;
	const shown = list.slice(0, all ? shownAtMost : shownAtFirst);
	const counted = new Set(
		list
			.filter((a) => a.cause === "disabled")
			.slice(0, missedOf)
			.map((a) => a.id),
	);
	return html`
		<${Throttled} overview=${overview} />
		<${Untaken} commands=${overview.commands} />
		<section class="attention" aria-labelledby="attention">
			<h2 id="attention">
				<${Icon} name="alert" size="18" />
				${t("attention.title", { n: count })}
			</h2>
			<ul>
				${shown.map(
					(a) => html`
						<${Item} key=${a.id} item=${a} system=${systems[a.system]} count=${counted.has(a.id)} />
					`,
				)}
			</ul>
			${!all &&
			shown.length < list.length &&
			html`
				<p>
					<button type="button" class="quiet" onClick=${() => setAll(true)}>
						${count > shownAtMost
							? t("attention.first", { n: shownAtMost })
							: t("attention.all", { n: count })}
					</button>
				</p>
			`}
			${count > shownAtMost &&
			html`
				<p><a href="/?tab=attention">${t("attention.more", { n: count - shown.length })}</a></p>
			`}
		</section>
	`;
}

const young = 7 * 86_400_000; // milliseconds

// Begin leads to the first delivery, and is shown until there was one; nobody is led who has been here for a week.
export function Begin({ items, overview, tenant }) {
	const key = `begun ${tenant}`;
	const steps = [
		["add", "/add", items.length > 0],
		["events", "/docs", overview.events > 0],
		["delivered", "/log", overview.delivered > 0],
	];
	const over = steps.every(([, , done]) => done) || items.some((i) => Date.now() - Date.parse(i.created_at) > young);
	useEffect(() => {
		if (over) localStorage.setItem(key, "yes");
	}, [over]);
	if (over || localStorage.getItem(key)) return null;
	return html`
		<section class="panel begin" aria-labelledby="begin">
			<h2 id="begin">${t("begin.title")}</h2>
			<ol class="plain">
				${steps.map(
					([name, href, done]) => html`
						<li key=${name}>
							<${Icon} name=${done ? "check" : "next"} size="18" />
							<span>
								${done
									? html`
											<span class="visually-hidden">${t("begin.done")}</span>
										`
									: ""}
								<a href=${href}>${t(`begin.${name}`)}</a>
								<small class="muted">${t(`begin.${name}.what`)}</small>
							</span>
						</li>
					`,
				)}
			</ol>
			<p class="muted">${t("begin.ends")}</p>
		</section>
	`;
}

// bounds are those of a percentile in words: "500 ms or less".
const bounds = (p) =>
	p.at_most_ms
		? t("overview.at_most", { most: duration(p.at_most_ms) })
		: t("overview.more_than", { more: duration(p.more_than_ms) });

const height = 72;

// Chart draws a bar for each hour: what arrived, and what was given up on top of it. Its words are the label; the
// numbers stand in the table below it.
function Chart({ hours }) {
	const most = Math.max(1, ...hours.map((h) => h.delivered + h.dead));
	const size = (n) => (n > 0 ? Math.max(2, (n / most) * height) : 0);
	const sum = (name) => hours.reduce((n, h) => n + h[name], 0);
	return html`
		<svg
			class="chart day"
			viewBox=${`0 0 240 ${height}`}
			preserveAspectRatio="none"
			role="img"
			aria-label=${t("overview.chart", { delivered: sum("delivered"), dead: sum("dead"), most })}
		>
			${hours.map((h, n) => {
				const good = size(h.delivered);
				const bad = size(h.dead);
				const scale = good + bad > height ? height / (good + bad) : 1;
				return html`
					<g>
						<title>${t("overview.hour", { at: time(h.at), delivered: h.delivered, dead: h.dead })}</title>
						<rect class="bar-none" x=${n * 10 + 1} y=${height - 1} width="8" height="1" />
						<rect
							class="bar-ok"
							x=${n * 10 + 1}
							y=${height - good * scale}
							width="8"
							height=${good * scale}
						/>
						<rect
							class="bar-bad"
							x=${n * 10 + 1}
							y=${height - (good + bad) * scale}
							width="8"
							height=${bad * scale}
						/>
					</g>
				`;
			})}
		</svg>
		<p class="axis" aria-hidden="true">
			<span>${time(hours[0].at)}</span>
			<span>${t("health.now")}</span>
		</p>
	`;
}

const Figure = ({ name, value, note, bad }) => html`
	<div>
		<dt>${name}</dt>
		<dd class=${bad ? "bad" : ""}>${value}</dd>
		${note &&
		html`
			<dd class="muted">${note}</dd>
		`}
	</div>
`;

const orMore = (n, more) => (more ? t("overview.or_more", { n }) : number(n));
const waiting = (s) => orMore(s.waiting, s.waiting_more);

function Numbers({ hours, integrations }) {
	const busy = integrations
		.filter((i) => i.delivered || i.dead || i.waiting || i.held || i.left_out)
		.sort((a, b) => b.dead - a.dead || b.waiting - a.waiting || b.delivered - a.delivered);
	const filtered = busy.some((i) => i.left_out);
	const holding = busy.some((i) => i.held);
	const retries = busy.some((i) => i.retries_only);
	const heads = (...keys) => html`
		<tr>
			${keys.map(
				(k, n) => html`
					<th scope="col" class=${n ? "number" : ""}>${t(k)}</th>
				`,
			)}
		</tr>
	`;
	return html`
		<details class="overview-numbers">
			<summary>${t("overview.numbers")}</summary>
			<div class="overview-tables">
				<div class="scroll" tabindex="0" role="region" aria-label=${t("overview.by_integration")}>
					<table>
						<caption>${t("overview.by_integration")}</caption>
						<thead>
							${heads(
								"overview.integration",
								"overview.delivered",
								retries ? "overview.retries" : "overview.waiting",
								...(holding ? ["overview.held"] : []),
								"overview.dead",
								"overview.p50",
								"overview.p99",
								...(filtered ? ["overview.left_out"] : []),
							)}
						</thead>
						<tbody>
							${busy.slice(0, tableRows).map(
								(i) => html`
									<tr key=${i.id}>
										<th scope="row">
											<a href=${`/integrations/${i.id}/deliveries`}><bdi>${i.name}</bdi></a>
										</th>
										<td class="number">${number(i.delivered)}</td>
										<td class="number">${waiting(i)}</td>
										${holding &&
										html`
											<td class="number">${orMore(i.held || 0, i.held_more)}</td>
										`}
										<td class="number">${number(i.dead)}</td>
										<td class="number">${i.latency ? bounds(i.latency.p50) : "–"}</td>
										<td class="number">${i.latency ? bounds(i.latency.p99) : "–"}</td>
										${filtered &&
										html`
											<td class="number">${number(i.left_out || 0)}</td>
										`}
									</tr>
								`,
							)}
						</tbody>
					</table>
					${busy.length > tableRows &&
					html`
						<p class="muted">${t("overview.more_rows", { n: busy.length - tableRows })}</p>
					`}
				</div>
				<div class="scroll" tabindex="0" role="region" aria-label=${t("overview.by_hour")}>
					<table>
						<caption>${t("overview.by_hour")}</caption>
						<thead>
							${heads("overview.time", "overview.events", "overview.delivered", "overview.dead")}
						</thead>
						<tbody>
							${[...hours].reverse().map(
								(h) => html`
									<tr key=${h.at}>
										<th scope="row">${time(h.at)}</th>
										<td class="number">${number(h.events)}</td>
										<td class="number">${number(h.delivered)}</td>
										<td class="number">${number(h.dead)}</td>
									</tr>
								`,
							)}
						</tbody>
					</table>
				</div>
			</div>
		</details>
	`;
}

// Day is the overview of the last 24 hours.
export function Day({ overview: o }) {
	const latency = o.latency;
	return html`
		<section class="panel overview" aria-labelledby="overview">
			<h2 id="overview">${t("overview.title")}</h2>
			<div class="overview-day">
				<dl class="figures">
					<${Figure} name=${t("overview.events")} value=${number(o.events)} />
					<${Figure} name=${t("overview.delivered")} value=${number(o.delivered)} />
					<${Figure}
						name=${t(o.retries_only ? "overview.retries" : "overview.waiting")}
						value=${waiting(o)}
						note=${o.held > 0 && heldWords(o)}
					/>
					<${Figure} name=${t("overview.dead")} value=${number(o.dead)} bad=${o.dead > 0} />
					<${Figure}
						name=${t("overview.latency")}
						value=${latency ? bounds(latency.p50) : "–"}
						note=${latency && t("overview.p99.words", { bounds: bounds(latency.p99) })}
					/>
				</dl>
				<div class="overview-chart"><${Chart} hours=${o.hours} /></div>
			</div>
			<${Numbers} hours=${o.hours} integrations=${o.integrations} />
		</section>
	`;
}

// CardDay is the day of one integration on its card.
export function CardDay({ day, hours }) {
	const left = day?.left_out ? t("overview.card.left_out", { n: day.left_out }) : "";
	const held =
		day?.held > 0 &&
		html`
			<p class="health-words">${heldWords(day)}</p>
		`;
	if (!day || (!day.delivered && !day.dead))
		return html`
			<p class="health-words muted">${t("overview.card.none")}${left}</p>
			${held}
		`;
	const most = Math.max(1, ...hours.map((_, n) => (day.delivered_by_hour?.[n] || 0) + (day.dead_by_hour?.[n] || 0)));
	const size = (n) => (n > 0 ? Math.max(2, (n / most) * 24) : 0);
	const path = (from, to) =>
		hours
			.map((_, n) => {
				const [low, high] = [from(n), to(n)];
				return high > low ? `M${n * 10 + 1} ${24 - low}v${low - high}h8V${24 - low}z` : "";
			})
			.join("");
	const good = (n) => Math.min(size(day.delivered_by_hour?.[n]), 22);
	const all = (n) => Math.min(good(n) + size(day.dead_by_hour?.[n]), 24);
	return html`
		<div class="health">
			<svg class="chart" viewBox="0 0 240 24" preserveAspectRatio="none" aria-hidden="true" height="24">
				<path class="bar-none" d="M0 23h240v1H0z" />
				<path class="bar-ok" d=${path(() => 0, good)} />
				<path class="bar-bad" d=${path(good, all)} />
			</svg>
			<p class="health-words">
				${t(day.dead ? "overview.card.dead" : "overview.card", { n: day.delivered, dead: day.dead })}${left}
			</p>
			${held}
		</div>
	`;
}
