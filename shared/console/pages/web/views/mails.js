// What became of mails: of a report on demand, to the signed-in person, and, for administrators, to all people of the
// tenant.
import { html, useEffect, useState } from "../html.js";
import { get, post } from "../api.js";
import { number, t } from "../i18n.js";
import { Icon } from "../icons.js";
import { useAction, useLoad } from "../load.js";
import { Busy, Pill, reasonOf, Said, View, When } from "../ui.js";
import { kindsOf } from "./deliveries.js";

const refresh = 20_000;
const soon = 3_000; // while something is on its way
const marks = {
	waiting: ["info", "clock"],
	sent: ["ok", "check"],
	failed: ["bad", "cross"],
	not_sent: ["off", "pause"],
	unknown: ["off", "info"],
};

function Again({ of: m, path, done, what }) {
	const [run, { busy, error }] = useAction(async () => {
		await post(`${path}/${encodeURIComponent(m.id)}/replay`);
		await done();
	});
	return html`
		<button
			type="button"
			class="quiet small"
			disabled=${busy}
			onClick=${run}
			aria-label=${t("outcome.again.of", { what })}
		>
			<${Busy} on=${busy}>
				<${Icon} name="again" size="16" />
				${t("outcome.again")}
			<//>
		</button>
		${error &&
		html`
			<p class="error" role="alert"><${Said} text=${reasonOf(error)} /></p>
		`}
	`;
}

// Outcome is one mail; named says that its receiver is what tells it from the others, and not what it is about.
function Outcome({ of: m, named, path, done, may }) {
	const what = named ? m.receiver : kindsOf({ kinds: m.kinds, count: 1 });
	const again = may && m.id && (m.state === "failed" || m.state === "not_sent");
	return html`
		<li>
			<div>
				<strong>${what}</strong>
				<p class="muted meta">
					<${Pill} kind=${marks[m.state][0]} icon=${marks[m.state][1]}>${t(`outcome.${m.state}`)}<//>
					${m.status > 0 &&
					html`
						<span>${t("outcome.answered", { status: String(m.status) })}</span>
					`}
					${(m.at || m.created_at) &&
					html`
						<${When} at=${m.at || m.created_at} />
					`}
					${m.due &&
					html`
						<span>
							${t("log.next")}${" "}
							<${When} at=${m.due} />
						</span>
					`}
				</p>
				${m.reason &&
				html`
					<p class="mend"><${Said} text=${m.reason} /></p>
				`}
			</div>
			${again &&
			html`
				<div><${Again} of=${m} path=${path} done=${done} what=${what} /></div>
			`}
		</li>
	`;
}

// pagesOf reads so many pages of a list.
async function pagesOf(path, pages, signal) {
	const items = [];
	let next = "";
	for (let n = 0; n < pages && (n === 0 || next); n++) {
		const { body } = await get(path, { signal, query: { cursor: next } });
		items.push(...body.items);
		next = body.next_cursor;
	}
	return { items, more: Boolean(next) };
}

// Mails lists what became of those that a path of the API tells of.
export function Mails({ path, named, may = true, none }) {
	const [pages, setPages] = useState(1);
	const [fast, setFast] = useState(false);
	const load = useLoad(`${path} ${pages}`, (signal) => pagesOf(path, pages, signal), {
		every: fast ? soon : refresh,
	});
	const moving = Boolean(load.data?.items.some((m) => m.state === "waiting"));
	useEffect(() => setFast(moving), [moving]);
	return html`
		<${View} load=${load.data || load.error ? load : { ...load, data: load.stale }} count="1">
			${({ items, more }) =>
				items.length
					? html`
							<ul class="blocked outcomes">
								${items.map(
									(m) => html`
										<${Outcome}
											key=${m.id || m.receiver}
											of=${m}
											named=${named}
											path=${path}
											done=${load.reload}
											may=${may}
										/>
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
					: none &&
						html`
							<p class="muted">${none}</p>
						`}
		<//>
	`;
}

const most = 100; // what a count of the API stands for and more
const count = (n) => number(n) + (n >= most ? "+" : "");

function Person({ of: p }) {
	const [open, set] = useState(false);
	return html`
		<li>
			<details onToggle=${(e) => set(e.currentTarget.open)}>
				<summary>${p.email}</summary>
				${open &&
				html`
					<${Mails} path=${`/v1/people/${encodeURIComponent(p.id)}/mails`} none=${t("outcome.none")} />
				`}
			</details>
			${!open &&
			(p.failed > 0 || p.waiting > 0) &&
			html`
				<p class="muted meta">
					${p.failed > 0 &&
					html`
						<${Pill} kind="bad" icon="cross">${t("people.failed", { n: count(p.failed) })}<//>
					`}
					${p.waiting > 0 &&
					html`
						<${Pill} kind="info" icon="clock">${t("people.waiting", { n: count(p.waiting) })}<//>
					`}
				</p>
			`}
			${p.paused &&
			html`
				<p class="mend">
					${t("people.paused")}${" "}
					<${Said} text=${p.paused} />
				</p>
			`}
		</li>
	`;
}

// People lists those who are mailed; the mails of each are read when they are asked for.
export function People() {
	const [pages, setPages] = useState(1);
	const load = useLoad(`people ${pages}`, (signal) => pagesOf("/v1/people", pages, signal), { every: refresh });
	return html`
		<section class="panel people">
			<h2>${t("people.title")}</h2>
			<p class="muted">${t("people.lead")}</p>
			<${View} load=${load.data || load.error ? load : { ...load, data: load.stale }} count="1">
				${({ items, more }) =>
					items.length
						? html`
								<ul class="column">
									${items.map(
										(p) => html`
											<${Person} key=${p.id} of=${p} />
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
								<p class="muted">${t("people.none")}</p>
							`}
			<//>
		</section>
	`;
}
