// What a trigger counts now against its threshold, and when it fired, with what came of that.
import { html } from "../html.js";
import { get, triggerPath } from "../api.js";
import { number, said, span, t, time } from "../i18n.js";
import { useLoad } from "../load.js";
import { View, When } from "../ui.js";
import { Standing } from "./commands.js";

const every = 15_000;

function GroupNow({ group: g, threshold, perSource }) {
	const words = { count: number(g.count), most: number(threshold.count), period: span(threshold.period), ip: g.ip };
	const key = perSource && g.ip ? "firing.now.from" : perSource ? "firing.now.unknown" : "firing.now";
	return html`
		<li>
			<p>${t(key, words)}</p>
			<meter min="0" max=${threshold.count + 1} value=${g.count} aria-label=${t(key, words)}></meter>
			${g.quiet_until &&
			html`
				<p class="muted">${t("firing.quiet", { at: time(g.quiet_until) })}</p>
			`}
		</li>
	`;
}

// Now shows the groups that are nearest to firing.
export function Now({ trigger: r }) {
	const load = useLoad(
		`count ${r.id} ${r.revision}`,
		async (signal) => (await get(triggerPath(r.id, "/count"), { signal })).body,
		{ every },
	);
	return html`
		<section class="panel firings" aria-label=${t("firing.now.title")}>
			<h2>${t("firing.now.title")}</h2>
			<${View} load=${load} count="2">
				${(now) =>
					now.groups.length
						? html`
								<ul>
									${now.groups.map(
										(g) => html`
											<${GroupNow}
												key=${g.ip || ""}
												group=${g}
												threshold=${now.threshold}
												perSource=${now.per_source}
											/>
										`,
									)}
								</ul>
								${now.total > now.groups.length &&
								html`
									<p class="muted">${t("firing.now.more", { n: now.total - now.groups.length })}</p>
								`}
							`
						: html`
								<p class="muted">${t("firing.now.none")}</p>
							`}
			<//>
		</section>
	`;
}

function Came({ at, reaction: a, title, integrations }) {
	if (!a.integration_ids)
		return html`
			<li>
				${title}:${" "}
				<a href="#commands">${t("firing.command")}</a>
				${a.command &&
				html`
					<div class="meta command"><${Standing} command=${a.command} /></div>
				`}
			</li>
		`;
	return html`
		<li>
			${title}:${" "}
			${a.integration_ids.map((id, n) => {
				const i = integrations.find((one) => one.id === id);
				return html`
					${n > 0 && ", "}${i
						? html`
								<a href=${`/integrations/${id}`}>${i.name}</a>
							`
						: t("trigger.gone")}
				`;
			})}
			${" · "}
			<a
				href=${`/events/${encodeURIComponent(a.event_id)}`}
				aria-label=${t("firing.event.of", { reaction: title, at: time(at, { seconds: true }) })}
			>
				${t("firing.event")}
			</a>
		</li>
	`;
}

function Firing({ firing: f, template, integrations }) {
	const titleOf = (id) => said(template?.actions.find((d) => d.id === id)?.title || id);
	const words = f.threshold && {
		count: number(f.count),
		most: number(f.threshold.count),
		period: span(f.threshold.period),
		ip: f.ip,
	};
	return html`
		<li>
			<p>
				<strong><${When} at=${f.at} /></strong>
				${" "}
				<span class="muted">${time(f.at)}</span>
			</p>
			<p>${f.threshold ? t(f.ip ? "firing.past.from" : "firing.past", words) : f.object || f.event_id}</p>
			<ul>
				${f.reactions.map(
					(a) => html`
						<${Came}
							key=${a.action}
							at=${f.at}
							reaction=${a}
							title=${titleOf(a.action)}
							integrations=${integrations}
						/>
					`,
				)}
			</ul>
		</li>
	`;
}

// shown is how many batches of firings the page shows.
const shown = 20;

export function Firings({ trigger: r, template, integrations }) {
	const load = useLoad(
		`firings ${r.id}`,
		async (signal) => (await get(triggerPath(r.id, "/firings"), { signal, query: { limit: shown } })).body,
		{ every },
	);
	return html`
		<section class="firings" aria-label=${t("firing.title")}>
			<h2>${t("firing.title")}</h2>
			<${View} load=${load} count="2">
				${(data) =>
					data.items.length
						? html`
								<ul class="panel">
									${data.items.map(
										(f) => html`
											<${Firing}
												key=${f.reactions[0]?.event_id}
												firing=${f}
												template=${template}
												integrations=${integrations}
											/>
										`,
									)}
								</ul>
								${(data.next_cursor || data.more) &&
								html`
									<p class="muted">${t("firing.newest", { n: data.items.length })}</p>
								`}
							`
						: html`
								<p class="muted">${t("firing.none")}</p>
							`}
			<//>
		</section>
	`;
}
