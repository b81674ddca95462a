// One delivery: its attempts in time, what it carries, what was sent.
import { html } from "../html.js";
import { deliveryPath, get } from "../api.js";
import { duration, t, time } from "../i18n.js";
import { Icon } from "../icons.js";
import { useLoad } from "../load.js";
import { Copy, Empty, Notice, Pill, Said, View, When } from "../ui.js";
import { DeliveryState, kindsOf, Replay, unsent, waitsFor } from "./deliveries.js";
import { Fell } from "./fallback.js";
import { Gone } from "./gone.js";
import { Letter } from "./mail-log.js";

const refresh = 3_000;

function pretty(text) {
	try {
		return JSON.stringify(JSON.parse(text), null, 2);
	} catch {
		return text;
	}
}

function Attempts({ d }) {
	if (!d.attempts.length)
		return html`
			<p class="muted">
				${d.due
					? html`
							${waitsFor(d)}${" "}
							<${When} at=${d.due} />
						`
					: t("attempt.none")}
			</p>
		`;
	return html`
		<ol class="attempts">
			${d.attempts.map(
				(a) => html`
					<li class=${a.delivered ? "ok" : "bad"}>
						${a.waited_ms > 0 &&
						html`
							<p class="waited">
								<${Icon} name="clock" size="16" />
								${t("attempt.waited", { wait: duration(a.waited_ms) })}${a.late_ms > 1000
									? ` ${t("attempt.late", { late: duration(a.late_ms) })}`
									: ""}
							</p>
						`}
						<p class="attempt">
							<span class="dot"><${Icon} name=${a.delivered ? "check" : "cross"} size="14" /></span>
							<strong>
								${unsent(a) ? t("delivery.unsent") : a.delivered ? t("attempt.ok") : t("attempt.bad")}
							</strong>
							<span>
								${a.status
									? t("attempt.status", { status: String(a.status) })
									: a.delivered
										? ""
										: t("attempt.silent")}
							</span>
							${" "}
							<span class="muted">${time(a.at, { seconds: true })} · ${duration(a.took_ms)}</span>
						</p>
						${a.reason &&
						html`
							<p class="mend"><${Said} text=${a.reason} /></p>
						`}${a.answer &&
						html`
							<pre tabindex="0" aria-label=${t("attempt.answer")}>${a.answer}</pre>
						`}
					</li>
				`,
			)}
			${d.held &&
			!(d.due && d.state === "pending") &&
			html`
				<li>
					<p class="waited">
						<${Icon} name="clock" size="16" />
						${t("held.over")}${" "}
						<${When} at=${d.held.until} />
					</p>
				</li>
			`}
			${d.due &&
			html`
				<li class="next">
					<p class="waited">
						<${Icon} name="clock" size="16" />
						${d.state === "pending" ? waitsFor(d) : t("attempt.next", { cycle: d.cycle || 1 })}${" "}
						<${When} at=${d.due} />
					</p>
				</li>
			`}
		</ol>
	`;
}

// Request is a request as it is sent, secrets masked.
export function Request({ request: r, n }) {
	if (r.mail)
		return html`
			<article class="request">
				<h3>${t("request.mail", { to: r.mail.to })}</h3>
				<${Letter} mail=${r.mail} />
			</article>
		`;
	const body = pretty(r.body || "");
	return html`
		<article class="request">
			<h3>
				<code>${r.method}</code>
				${" "}
				<code class="url">${r.url}</code>
			</h3>
			<table class="headers">
				<caption class="visually-hidden">${t("request.headers", { n })}</caption>
				<tbody>
					${Object.entries(r.headers || {})
						.sort()
						.flatMap(([name, values]) =>
							values.map(
								(v) => html`
									<tr>
										<th scope="row">${name}</th>
										<td>${v}</td>
									</tr>
								`,
							),
						)}
				</tbody>
			</table>
			${body &&
			html`
				<div class="code">
					<${Copy} text=${body}>${t("action.copy")}<//>
					<pre tabindex="0" aria-label=${t("request.body", { n })}>${body}</pre>
				</div>
			`}
			${r.cut &&
			html`
				<p class="muted">${t("request.cut")}</p>
			`}
		</article>
	`;
}

function Sent({ integration, delivery, attempts }) {
	const load = useLoad(
		`${delivery}/${attempts}`,
		async (signal) => (await get(deliveryPath(integration.id, delivery, "/requests"), { signal })).body,
	);
	if (load.error?.status === 409)
		return html`
			<${Notice}><p>${t("request.cannot")}</p><//>
		`;
	return html`
		<${View} load=${load.data || load.error ? load : { ...load, data: load.stale }} count="2">
			${(data) => html`
				${data.changed &&
				html`
					<${Notice} kind="warn"><p>${t("request.changed")}</p><//>
				`}
				${data.items.length === 0 &&
				html`
					<p>${t("request.none")}</p>
				`}
				${data.items.map(
					(r, n) => html`
						<${Request} key=${n} request=${r} n=${n + 1} />
					`,
				)}
			`}
		<//>
	`;
}

const partMarks = {
	waiting: ["info", "clock"],
	delivered: ["ok", "check"],
	failed: ["warn", "again"],
	refused: ["bad", "cross"],
	skipped: ["off", "pause"],
};

const partName = (p) => {
	if (p.receiver) return p.receiver;
	if (!p.count) return t("part.request");
	return p.count > 1
		? t("part.events", { first: String(p.first), last: String(p.first + p.count - 1) })
		: t("part.event", { first: String(p.first) });
};

// Parts say who got it and who did not, or which events did.
function Parts({ d }) {
	if (!d.parts?.length) return "";
	const of = (p) => (p.state === "failed" && d.state === "dead" ? ["bad", "cross"] : partMarks[p.state]);
	return html`
		<section class="panel">
			<h2>${t("part.title")}</h2>
			<table class="headers parts">
				<caption class="visually-hidden">${t("part.title")}</caption>
				<tbody>
					${d.parts.map(
						(p, n) => html`
							<tr key=${n}>
								<th scope="row">${partName(p)}</th>
								<td>
									<${Pill} kind=${of(p)[0]} icon=${of(p)[1]}>${t(`part.${p.state}`)}<//>
									${p.reason &&
									html`
										<p class="mend"><${Said} text=${p.reason} /></p>
									`}
								</td>
							</tr>
						`,
					)}
				</tbody>
			</table>
		</section>
	`;
}

export function Delivery({ integration, delivery, reload }) {
	const load = useLoad(
		delivery,
		async (signal) => (await get(deliveryPath(integration.id, delivery), { signal })).body,
		{ every: refresh },
	);
	if (load.error?.status === 404)
		return html`
			<h1 tabindex="-1">${t("delivery.title")}</h1>
			<${Empty} icon="search" title=${t("delivery.gone")} />
		`;
	return html`
		<${View} load=${load} skeleton="form" title=${t("delivery.title")}>
			${(d) => html`
				<div class="title">
					<div>
						<h1 tabindex="-1">${kindsOf(d)}</h1>
						<p class="muted meta">
							<${DeliveryState} of=${d} />
							${" "}
							<span>${t("delivery.to", { name: integration.name })}</span>
							${" "}
							<span>${time(d.created_at, { seconds: true })}</span>
						</p>
						${d.state !== "delivered" &&
						html`
							<p class="muted">${t(`meaning.${d.state}`)}</p>
						`}
					</div>
					<div class="buttons">
						<${Replay}
							id=${integration.id}
							delivery=${d.id}
							state=${d.state}
							disabled=${!integration.enabled}
							done=${load.reload}
							kind=""
						/>
					</div>
				</div>
				${integration.enabled &&
				d.attempts.at(-1)?.gone &&
				html`
					<${Gone} integration=${integration} attempt=${d.attempts.at(-1)} done=${reload} />
				`}
				${d.digest &&
				d.count > 1 &&
				html`
					<${Notice} kind="info">
						<p>${t(`digest.${d.digest}`, { n: d.count })}</p>
					<//>
				`}
				${d.state === "dead" &&
				html`
					<${Notice} kind="bad">
						<p>
							<strong>${t("delivery.isdead")}</strong>
							${" "}
							<${Said} text=${d.reason || ""} />
						</p>
					<//>
				`}
				<${Fell} of=${d} />
				<div class="halves">
					<div>
						<section class="panel">
							<h2>${t("attempt.title")}</h2>
							<${Attempts} d=${d} />
						</section>
						<${Parts} d=${d} />
					</div>
					<div>
						<section class="panel">
							<h2>${t("request.title")}</h2>
							<p class="muted">${t("request.note")}</p>
							<${Sent} integration=${integration} delivery=${delivery} attempts=${d.attempts.length} />
						</section>
						<section class="panel">
							<h2>${t("delivery.events")}</h2>
							${d.events.map(
								(e) => html`
									<details key=${e.id}>
										<summary>
											${kindsOf({ kinds: [e.kind], count: 1 })}${" "}
											<span class="muted">${time(e.time, { seconds: true })}</span>
										</summary>
										<p class="muted">
											${t("delivery.id")}${" "}
											<a href=${`/events/${encodeURIComponent(e.id)}`}><code>${e.id}</code></a>
										</p>
										<pre tabindex="0" aria-label=${t("delivery.data")}>
${JSON.stringify(e.data, null, 2)}</pre
										>
									</details>
								`,
							)}
							<p class="muted">
								${t("delivery.own")}${" "}
								<code>${d.id}</code>
							</p>
						</section>
					</div>
				</div>
			`}
		<//>
	`;
}
