// One event: what it says, every delivery of it, and why others did not get it.
import { html } from "../html.js";
import { get } from "../api.js";
import { t, time, zone } from "../i18n.js";
import { useLoad } from "../load.js";
import { Copy, Empty, Said, View } from "../ui.js";
import { kindsOf } from "./deliveries.js";
import { Rows } from "./log.js";

const refresh = 4_000;

const Left = ({ left: l }) => html`
	<li>
		<a href=${`/integrations/${l.integration.id}`}>${l.integration.name}</a>
		: ${t(`trace.${l.reason}`, { at: l.since ? time(l.since) : "", filter: l.filter_title })}
	</li>
`;

export function Event({ id }) {
	const load = useLoad(
		`event ${id}`,
		async (signal) => (await get(`/v1/events/${encodeURIComponent(id)}`, { signal })).body,
		{ every: refresh },
	);
	if (load.error?.status === 404)
		return html`
			<h1 tabindex="-1">${t("trace.title")}</h1>
			<${Empty} icon="search" title=${t("trace.gone")}>
				<p><a class="button" href="/rejected">${t("nav.rejected")}</a></p>
			<//>
		`;
	return html`
		<${View} load=${load} skeleton="form" title=${t("trace.title")}>
			${(e) => html`
				<h1 tabindex="-1">${kindsOf({ kinds: [e.kind], count: 1 })}</h1>
				<p><${Said} text=${e.summary} /></p>
				<p class="muted">
					${t("trace.times", { happened: time(e.time, { seconds: true }), zone: zone() })}${" "}
					${t("trace.arrived", { at: time(e.arrived_at, { seconds: true }) })}
				</p>
				<p class="muted">
					${t("delivery.id")}${" "}
					<code>${e.id}</code>
					${" "}
					<${Copy} text=${e.id}>${t("action.copy")}<//>
				</p>
				${e.trigger &&
				html`
					<p><a href=${`/triggers/${e.trigger}`}>${t("trace.trigger")}</a></p>
				`}
				<h2>${t("trace.deliveries")}</h2>
				${e.deliveries.length
					? html`
							<${Rows} items=${e.deliveries} caption=${t("trace.deliveries")} />
						`
					: html`
							<p>${t("trace.none")}</p>
						`}
				${e.left_out.length > 0 &&
				html`
					<h2>${t("trace.left")}</h2>
					<p class="muted">${t("trace.left.note")}</p>
					<ul>
						${e.left_out.map(
							(l) => html`
								<${Left} key=${l.integration.id} left=${l} />
							`,
						)}
					</ul>
				`}
				<h2>${t("delivery.data")}</h2>
				<pre tabindex="0" aria-label=${t("delivery.data")}>${JSON.stringify(e.data, null, 2)}</pre>
			`}
		<//>
	`;
}
