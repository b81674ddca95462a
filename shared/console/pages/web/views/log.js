// One log over all integrations. Every filter is in the address, times with their zone.
import { html } from "../html.js";
import { get, integrationsOf } from "../api.js";
import { Range, SaveAsCSV } from "../filters.js";
import { number, t, time, words, zone } from "../i18n.js";
import { useLoad } from "../load.js";
import { Fresh, More, usePager } from "../pager.js";
import { navigate, useLocation, withQuery } from "../router.js";
import { Empty, Said, View, When } from "../ui.js";
import { DeliveryState, kindsOf, lastWords, Meanings, waitsFor } from "./deliveries.js";
import { WentTo } from "./fallback.js";

const live = 4_000;
const filters = ["event", "delivery", "kind", "integration", "state", "status", "text", "from", "to"];
const states = ["pending", "retrying", "delivered", "dead"];
const statuses = ["2xx", "4xx", "5xx", "none"];

// asDelivery has a row of the log read like one of an integration's list.
export const asDelivery = (row) => ({ ...row, attempts: row.last ? [row.last] : [], tried: row.attempts });

export function Row({ row }) {
	const d = asDelivery(row);
	const at = `/integrations/${row.integration.id}`;
	return html`
		<tr>
			<td data-label=${t("log.time")}>
				<a href=${`${at}/deliveries/${row.id}`}>
					<time datetime=${row.created_at}>${time(row.created_at, { seconds: true })}</time>
				</a>
			</td>
			<td data-label=${t("log.event")}>
				${kindsOf(d)}${row.summary &&
				html`
					<p class="muted"><${Said} text=${row.summary} /></p>
				`}
			</td>
			<td data-label=${t("log.integration")}><a href=${`${at}/deliveries`}>${row.integration.name}</a></td>
			<td data-label=${t("log.state")}><${DeliveryState} of=${d} /></td>
			<td data-label=${t("log.attempts")} class="number">${number(d.tried)}</td>
			<td data-label=${t("log.answer")} class="answer">
				<${Said} text=${lastWords(d)} />
				${row.due &&
				html`
					<p class="muted">
						${row.state === "pending" ? waitsFor(row) : t("log.next")}${" "}
						<${When} at=${row.due} />
					</p>
				`}
				<${WentTo} of=${row} />
			</td>
		</tr>
	`;
}

// Rows is the table of the log.
export const Rows = ({ items, caption }) => html`
	<div class="table-box">
		<table class="log">
			<caption class="visually-hidden">${caption}</caption>
			<thead>
				<tr>
					${["time", "event", "integration", "state", "attempts", "answer"].map(
						(c) => html`
							<th scope="col" class=${c === "attempts" ? "number" : ""}>${t(`log.${c}`)}</th>
						`,
					)}
				</tr>
			</thead>
			<tbody>
				${items.map(
					(row) => html`
						<${Row} key=${row.id} row=${row} />
					`,
				)}
			</tbody>
		</table>
	</div>
`;

function Choice({ name, value, options }) {
	return html`
		<label class="field">
			<span class="label">${t(`log.${name}`)}</span>
			<select
				value=${value}
				onChange=${(e) => navigate(withQuery({ [name]: e.target.value }), { replace: true })}
			>
				<option value="">${t("activity.any")}</option>
				${options.map(
					([key, words]) => html`
						<option value=${key}>${words}</option>
					`,
				)}
			</select>
		</label>
	`;
}

// aDelivery is an id as deliveries have them; all others are of events.
const aDelivery = (id) => /^[0-9A-HJKMNP-TV-Z]{26}$/i.test(id);

function Filters({ asked, integrations, kinds }) {
	const find = (id) =>
		navigate(withQuery({ event: aDelivery(id) ? "" : id, delivery: aDelivery(id) ? id : "" }), { replace: true });
	return html`
		<form class="log-filters" role="search" onSubmit=${(e) => e.preventDefault()}>
			<label class="field">
				<span class="label">${t("log.id")}</span>
				<input
					value=${asked.event || asked.delivery}
					autocomplete="off"
					maxlength="256"
					onChange=${(e) => find(e.target.value.trim())}
				/>
			</label>
			<label class="field">
				<span class="label">${t("log.text")}</span>
				<input
					name="text"
					value=${asked.text}
					autocomplete="off"
					maxlength="200"
					onChange=${(e) => navigate(withQuery({ text: e.target.value.trim() }), { replace: true })}
				/>
			</label>
			<${Choice} name="integration" value=${asked.integration} options=${integrations} />
			<${Choice} name="kind" value=${asked.kind} options=${kinds} />
			<${Choice} name="state" value=${asked.state} options=${states.map((s) => [s, t(`delivery.${s}`)])} />
			<${Choice}
				name="status"
				value=${asked.status}
				options=${[
					...(asked.status && !statuses.includes(asked.status) ? [[asked.status, asked.status]] : []),
					...statuses.map((s) => [s, s === "none" ? t("log.status.none") : s]),
				]}
			/>
			<${Range} asked=${asked} />
		</form>
	`;
}

export function Log() {
	const { query } = useLocation();
	const asked = Object.fromEntries(filters.map((name) => [name, query.get(name) || ""]));
	const scanned = asked.kind || asked.status || asked.text;
	const pager = usePager(
		`log ${JSON.stringify(asked)}`,
		async (page, signal) => (await get("/v1/deliveries", { signal, query: { ...asked, ...page } })).body,
		{ every: scanned ? 0 : live, most: 1000, rounds: scanned ? 10 : 1 },
	);
	const known = useLoad("log integrations", (signal) => integrationsOf(signal));
	const kinds = kindsKnown().sort((a, b) => a[1].localeCompare(b[1]));
	return html`
		<h1 tabindex="-1">${t("nav.log")}</h1>
		<p class="muted">${t("log.lead", { zone: zone() })}</p>
		<${Filters}
			asked=${asked}
			integrations=${(known.data || []).map((i) => [i.id, i.name || i.title])}
			kinds=${kinds}
		/>
		<div class="row wrap">
			${filters.some((name) => asked[name]) &&
			html`
				<a href="/log">${t("empty.showall")}</a>
			`}
			<${SaveAsCSV} path="/v1/deliveries/export" asked=${asked} name="deliveries.csv">${t("log.export")}<//>
			${asked.event &&
			html`
				<a class="button" href=${`/events/${encodeURIComponent(asked.event)}`}>${t("log.whole")}</a>
			`}
		</div>
		<${Meanings} />
		<${Fresh} pager=${pager} />
		<${View} load=${pager.load}>
			${(data) => html`
				${data.items.length > 0 &&
				html`
					<${Rows} items=${data.items} caption=${t("log.caption")} />
				`}
				${!data.items.length &&
				html`
					<${Empty} icon="search" title=${t("log.filtered")} />
				`}
				<${More} pager=${pager} />
			`}
		<//>
	`;
}

// kindsKnown are the kinds of events that have words.
const kindsKnown = () => words("kind.").map(([key, text]) => [key.slice("kind.".length), text]);
