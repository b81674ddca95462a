// The delivery log of an integration.
import { html, useState } from "../html.js";
import { deliveryPath, get, integrationPath, may, post } from "../api.js";
import { Range } from "../filters.js";
import { instant, list, local, number, t, time } from "../i18n.js";
import { Icon } from "../icons.js";
import { useAction } from "../load.js";
import { Fresh, More, usePager } from "../pager.js";
import { navigate, useLocation, useUnsaved, withQuery } from "../router.js";
import { Busy, Dialog, Empty, Failure, Pill, Said, useClosing, View, When } from "../ui.js";
import { WentTo } from "./fallback.js";
import { Recover } from "./recover.js";

const states = ["all", "pending", "retrying", "delivered", "dead"];
const marks = {
	pending: ["info", "clock"],
	retrying: ["warn", "again"],
	delivered: ["ok", "check"],
	dead: ["bad", "cross"],
};
const refresh = 4_000;

// A mail can be settled without being sent: its address left, or there is no mail server. Nobody answered then, and the
// reason says why.
export const unsent = (attempt) => Boolean(attempt?.delivered && !attempt.status && attempt.reason);

export const DeliveryState = ({ of: d }) => {
	if (d.state === "delivered" && unsent(d.attempts.at(-1)))
		return html`
			<${Pill} kind="off" icon="pause">${t("delivery.unsent")}<//>
		`;
	return html`
		<${Pill} kind=${marks[d.state][0]} icon=${marks[d.state][1]}>${t(`delivery.${d.state}`)}<//>
	`;
};

export function kindsOf(d) {
	const names = list(d.kinds.map((k) => (t(`kind.${k}`) === `kind.${k}` ? k : t(`kind.${k}`))));
	return d.count > 1 ? t("delivery.kinds", { n: d.count, kinds: names }) : names;
}

// Replay sends a delivery again that has ended; one that has arrived only when the person says so. What it tells stays
// while the delivery is on its way.
export function Replay({ id, delivery, state, disabled, done, kind = "quiet small" }) {
	const [sent, tell] = useState(false);
	const [run, { busy, error }] = useAction(async () => {
		if (state === "delivered" && !confirm(t("replay.again"))) return;
		tell(false);
		await post(deliveryPath(id, delivery, "/replay"));
		tell(true);
		await done?.();
	});
	if (!may("integrations")) return null;
	return html`
		${(state === "dead" || state === "delivered") &&
		html`
			<button
				type="button"
				class=${kind}
				disabled=${busy || disabled}
				title=${disabled ? t("replay.off") : undefined}
				onClick=${run}
			>
				<${Busy} on=${busy}>
					<${Icon} name="again" size="16" />
					${t("replay.one")}
				<//>
			</button>
		`}
		<span role="status" class="muted">${sent ? t("replay.told") : ""}</span>
		${error &&
		html`
			<span class="error" role="alert">${error.message}</span>
		`}
	`;
}

// ReplayRange sends a range again, call by call; the API says how far in time it has got.
function ReplayRange({ id, from, to, onClose, done }) {
	const [start] = useState(() => ({
		from: from || local(new Date(Date.now() - 86_400_000)),
		to: to || local(new Date(Date.now() + 60_000)),
		delivered: false,
	}));
	const [range, setRange] = useState(start);
	const [progress, setProgress] = useState(null);
	const [run, { busy, error }] = useAction(async () => {
		const [begin, end] = [Date.parse(range.from), Date.parse(range.to)];
		let cursor;
		let count = 0;
		setProgress({ count, part: 0 });
		do {
			const { body } = await post(integrationPath(id, "/replay"), {
				from: new Date(begin).toISOString(),
				to: new Date(end).toISOString(),
				states: range.delivered ? ["dead", "delivered"] : ["dead"],
				cursor,
			});
			count += body.count;
			cursor = body.next_cursor;
			setProgress({
				count,
				part: cursor ? Math.min(1, Math.max(0, (Date.parse(body.reached) - begin) / (end - begin))) : 1,
				done: !cursor,
			});
			done();
		} while (cursor);
	});
	const field = (name) => html`
		<label class="field">
			<span class="label">${t(`range.${name}`)}</span>
			<input
				type="datetime-local"
				required
				value=${range[name]}
				disabled=${busy}
				onInput=${(e) => setRange({ ...range, [name]: e.target.value })}
			/>
		</label>
	`;
	const empty = !(Date.parse(range.from) < Date.parse(range.to));
	useUnsaved(busy, "replay.leave");
	const close = useClosing(!progress && Object.keys(range).some((name) => range[name] !== start[name]), onClose);
	return html`
		<${Dialog} title=${t("replay.title")} onClose=${busy ? () => {} : close}>
			<p>${t("replay.what")}</p>
			<form
				onSubmit=${(e) => {
					e.preventDefault();
					if (!empty) run();
				}}
			>
				<div class="row wrap">${field("from")}${field("to")}</div>
				${empty &&
				html`
					<p class="error" role="alert">${t("range.empty")}</p>
				`}
				<label class="box">
					<input
						type="checkbox"
						checked=${range.delivered}
						disabled=${busy}
						onChange=${(e) => setRange({ ...range, delivered: e.target.checked })}
					/>
					<span>
						${t("replay.delivered")}
						<small>${t("replay.delivered.note")}</small>
					</span>
				</label>
				${progress &&
				html`
					<div class="progress">
						<progress max="1" value=${progress.part} aria-label=${t("replay.progress")}></progress>
						<p role="status">
							${t(progress.done ? "replay.done" : "replay.running", { n: progress.count })}
						</p>
					</div>
				`}
				${error &&
				html`
					<${Failure} error=${error} />
				`}
				<div class="buttons">
					<button type="button" disabled=${busy} onClick=${close}>
						${progress?.done ? t("action.close") : t("form.cancel")}
					</button>
					<button type="submit" class="primary" disabled=${busy || empty || progress?.done}>
						<${Busy} on=${busy}>${t("replay.do")}<//>
					</button>
				</div>
			</form>
		<//>
	`;
}

// heldBy says what holds a delivery; the time until which it does follows.
export function heldBy(held) {
	if (held.by === "fallback") return t("held.fallback");
	if (held.by === "mute" || !held.zone) return t("held.mute");
	return t("held.quiet", { zone: held.zone });
}

// waitsFor says what a delivery that nothing was sent of yet waits for; the time until which it does follows.
export function waitsFor(d) {
	if (d.held) return heldBy(d.held);
	return ["group", "storm"].includes(d.digest) ? t(`waits.${d.digest}`) : t("waits.other");
}

export function lastWords(d) {
	const last = d.attempts.at(-1);
	if (d.state === "delivered")
		return last?.status ? String(last.status) : unsent(last) ? last.reason : t("delivery.arrived");
	return d.reason || last?.reason || "";
}

// Meanings says what the states mean, where they stand.
export const Meanings = () => html`
	<details class="meanings">
		<summary>${t("meaning.title")}</summary>
		<dl>
			${["pending", "retrying", "delivered", "dead"].map(
				(state) => html`
					<dt><${DeliveryState} of=${{ state, attempts: [] }} /></dt>
					<dd>${t(`meaning.${state}`)}</dd>
				`,
			)}
		</dl>
	</details>
`;

function Row({ d, integration, reload }) {
	const at = `/integrations/${integration.id}/deliveries/${d.id}`;
	return html`
		<tr>
			<td data-label=${t("log.time")}>
				<a href=${at}><time datetime=${d.created_at}>${time(d.created_at, { seconds: true })}</time></a>
			</td>
			<td data-label=${t("log.event")}>${kindsOf(d)}</td>
			<td data-label=${t("log.state")}><${DeliveryState} of=${d} /></td>
			<td data-label=${t("log.attempts")} class="number">${number(d.attempts.length)}</td>
			<td data-label=${t("log.answer")} class="answer">
				<${Said} text=${lastWords(d)} />
				${d.due &&
				html`
					<p class="muted">
						${d.state === "pending" ? waitsFor(d) : t("log.next")}${" "}
						<${When} at=${d.due} />
					</p>
				`}
				<${WentTo} of=${d} />
			</td>
			<td class="act">
				<${Replay}
					id=${integration.id}
					delivery=${d.id}
					state=${d.state}
					disabled=${!integration.enabled}
					done=${reload}
				/>
			</td>
		</tr>
	`;
}

function Filter({ state, asked }) {
	return html`
		<div class="filter">
			<nav class="chips" aria-label=${t("log.filter")}>
				<ul>
					${states.map(
						(s) => html`
							<li>
								<a
									href=${withQuery({ state: s === "all" ? "" : s })}
									aria-current=${s === state ? "true" : undefined}
								>
									${t(`delivery.${s}`)}
								</a>
							</li>
						`,
					)}
				</ul>
			</nav>
			<div class="row wrap"><${Range} asked=${asked} /></div>
		</div>
	`;
}

export function Deliveries({ integration, incidents }) {
	const { query } = useLocation();
	const state = states.includes(query.get("state")) ? query.get("state") : "all";
	// The address has times with their zone, a field those of the reader.
	const filter = { state, from: instant(query.get("from")), to: instant(query.get("to")) };
	const [from, to] = [filter.from, filter.to].map((at) => local(new Date(at || NaN)));
	const [asking, ask] = useState(""); // "replay", "recover"
	const pager = usePager(
		JSON.stringify([integration.id, filter]),
		async (page, signal) =>
			(await get(integrationPath(integration.id, "/deliveries"), { signal, query: { ...filter, ...page } })).body,
		{ every: refresh, most: 1000 },
	);
	const load = pager.load;
	const filtered = state !== "all" || from || to;
	return html`
		<div class="tools">
			<${Filter} state=${state} asked=${{ from: query.get("from"), to: query.get("to") }} />
			${may("integrations") &&
			html`
				<div class="buttons">
					<button type="button" disabled=${!integration.enabled} onClick=${() => ask("recover")}>
						<${Icon} name="clock" size="18" />
						${t("recover.button")}
					</button>
					<button type="button" disabled=${!integration.enabled} onClick=${() => ask("replay")}>
						<${Icon} name="again" size="18" />
						${t("replay.range")}
					</button>
				</div>
			`}
		</div>
		<${Meanings} />
		${!integration.enabled &&
		html`
			<p class="help">${t("replay.off")}</p>
		`}
		<${Fresh} pager=${pager} />
		<${View} load=${load}>
			${(data) =>
				data.items.length
					? html`
							<div class="table-box">
								<table class="log">
									<caption class="visually-hidden">${t("log.caption")}</caption>
									<thead>
										<tr>
											${["time", "event", "state", "attempts", "answer"].map(
												(c) => html`
													<th scope="col" class=${c === "attempts" ? "number" : ""}>
														${t(`log.${c}`)}
													</th>
												`,
											)}
											<th scope="col">
												<span class="visually-hidden">${t("log.actions")}</span>
											</th>
										</tr>
									</thead>
									<tbody>
										${data.items.map(
											(d) => html`
												<${Row}
													key=${d.id}
													d=${d}
													integration=${integration}
													reload=${load.reload}
												/>
											`,
										)}
									</tbody>
								</table>
							</div>
						`
					: html`
							<${Empty} icon="clock" title=${t(filtered ? "log.filtered" : "log.empty")}>
								<p>
									${filtered
										? html`
												<a class="button" href=${location.pathname}>${t("empty.showall")}</a>
											`
										: t("log.empty.what")}
								</p>
							<//>
						`}
		<//>
		<${More} pager=${pager} />
		${asking === "replay" &&
		html`
			<${ReplayRange} id=${integration.id} from=${from} to=${to} onClose=${() => ask("")} done=${load.reload} />
		`}
		${asking === "recover" &&
		html`
			<${Recover}
				id=${integration.id}
				from=${from}
				to=${to}
				incidents=${incidents}
				onClose=${() => ask("")}
				done=${load.reload}
			/>
		`}
	`;
}
