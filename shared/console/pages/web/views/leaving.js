// For the platform's operators: what is kept of a tenant, or of a person of one, is looked at, taken along and erased.
import { html, useEffect, useState } from "../html.js";
import { get, post, tenantPath } from "../api.js";
import { number, t } from "../i18n.js";
import { useAction, useLoad } from "../load.js";
import { navigate, useLocation, withQuery } from "../router.js";
import { Busy, Dialog, Failure, Notice, Pill, Said, useClosing, View, When } from "../ui.js";
import { Kept } from "./kept.js";

const every = 3000; // milliseconds between two looks at an erasure that is at work

const pathOf = (tenant, person) => tenantPath(tenant, person ? "/people/erasure" : "/erasure");

function Find({ tenant, person }) {
	const [typed, set] = useState({ tenant, person });
	return html`
		<form
			class="panel"
			role="search"
			onSubmit=${(e) => {
				e.preventDefault();
				navigate(withQuery({ tenant: typed.tenant.trim(), person: typed.person.trim() }));
			}}
		>
			<div class="row wrap">
				<label class="field">
					<span class="label">${t("leaving.tenant")}</span>
					<input
						required
						maxlength="64"
						autocomplete="off"
						spellcheck="false"
						value=${typed.tenant}
						onInput=${(e) => set({ ...typed, tenant: e.target.value })}
					/>
				</label>
				<label class="field">
					<span class="label">${t("leaving.person")}</span>
					<input
						type="email"
						minlength="3"
						maxlength="254"
						autocomplete="off"
						value=${typed.person}
						aria-describedby="leaving-person-help"
						onInput=${(e) => set({ ...typed, person: e.target.value })}
					/>
				</label>
				<button type="submit">${t("leaving.find")}</button>
			</div>
			<p class="help" id="leaving-person-help">${t("leaving.person.help")}</p>
		</form>
	`;
}

// Integrations are those that an erasure of a person takes the address out of.
function Integrations({ of, own, stage }) {
	if (!of.length)
		return html`
			<p>${t("leaving.integrations.none")}</p>
		`;
	return html`
		<p>${t(`leaving.integrations.${stage}`, { n: of.length })}</p>
		<ul class="bullets">
			${of.map(
				(i) => html`
					<li key=${i.id}>
						${own
							? html`
									<a href=${`/integrations/${i.id}`}>${i.name}</a>
								`
							: i.name}
						${i.disabled && ` (${t(`leaving.integrations.${stage}.disabled`)})`}
					</li>
				`,
			)}
		</ul>
	`;
}

function Erase({ session, tenant, person, onBegun, onClose }) {
	const [typed, set] = useState("");
	const trial = useLoad(`trial ${tenant} ${person}`, async (signal) =>
		person ? (await get(`${pathOf(tenant, person)}/trial`, { signal, query: { person } })).body : {},
	);
	const [erase, { busy, error }] = useAction(async () =>
		onBegun(
			(await post(pathOf(tenant, person), { ...(person ? { person } : {}), confirm: person || tenant })).body,
		),
	);
	const close = useClosing(Boolean(typed) && !busy, onClose);
	const right = typed.trim() === (person || tenant);
	return html`
		<${Dialog}
			title=${t(person ? "leaving.erase.person" : "leaving.erase.tenant", { tenant, person })}
			danger
			onClose=${busy ? () => {} : close}
		>
			<form
				class="column"
				onSubmit=${(e) => {
					e.preventDefault();
					if (right) erase();
				}}
			>
				<p>${t("leaving.undone")} ${t(person ? "leaving.before.person" : "leaving.before.tenant")}</p>
				${person &&
				html`
					<${View} load=${trial} count="1">
						${({ integrations }) => html`
							<${Integrations} of=${integrations} stage="trial" />
						`}
					<//>
				`}
				${!person &&
				tenant === session.tenant &&
				html`
					<${Notice} kind="warn"><p>${t("leaving.own")}</p><//>
				`}
				<label class="field">
					<span class="label">${t("leaving.confirm", { name: person || tenant })}</span>
					<input
						required
						autocomplete="off"
						spellcheck="false"
						value=${typed}
						onInput=${(e) => set(e.target.value)}
					/>
				</label>
				${error &&
				html`
					<${Failure} error=${error} />
				`}
				<div class="buttons">
					<button type="button" disabled=${busy} onClick=${close}>${t("form.cancel")}</button>
					<button type="submit" class="danger" disabled=${busy || !right}>
						<${Busy} on=${busy}>${t("leaving.erase.do")}<//>
					</button>
				</div>
			</form>
		<//>
	`;
}

const marks = {
	running: ["info", "again"],
	settling: ["info", "clock"],
	done: ["ok", "check"],
	failed: ["bad", "alert"],
};
const over = (job) => job.state === "done" || job.state === "failed";

// What the API adds to the name of a table whose rows stay, under a pseudonym.
const pseudonymous = " (under the pseudonym)";

// countsOf are rows by table: those that were removed, and those that stay under the pseudonym.
function countsOf(rows) {
	const of = {};
	for (const [key, n] of Object.entries(rows)) {
		const stays = key.endsWith(pseudonymous);
		const name = stays ? key.slice(0, -pseudonymous.length) : key;
		of[name] = { removed: 0, kept: 0, ...of[name], [stays ? "kept" : "removed"]: n };
	}
	return Object.entries(of).sort(([a], [b]) => (a < b ? -1 : 1));
}

function Counts({ rows, person }) {
	const columns = person ? ["removed", "kept"] : ["removed"];
	const counts = countsOf(rows);
	if (!counts.length) return null;
	return html`
		<div class="table-box">
			<table class="log">
				<caption class="visually-hidden">${t("leaving.counts")}</caption>
				<thead>
					<tr>
						<th scope="col">${t("kept.table")}</th>
						${columns.map(
							(name) => html`
								<th scope="col" class="number" key=${name}>${t(`leaving.counts.${name}`)}</th>
							`,
						)}
					</tr>
				</thead>
				<tbody>
					${counts.map(
						([table, n]) => html`
							<tr key=${table}>
								<td data-label=${t("kept.table")}><code>${table}</code></td>
								${columns.map(
									(name) => html`
										<td data-label=${t(`leaving.counts.${name}`)} class="number" key=${name}>
											${number(n[name])}
										</td>
									`,
								)}
							</tr>
						`,
					)}
				</tbody>
			</table>
		</div>
	`;
}

// logOf is where the reader finds the entries of an erasure, "" = in the log of another tenant.
function logOf(session, job) {
	if (job.pseudonym && job.tenant !== session.tenant) return "";
	return `/activity?action=erase&object_id=${encodeURIComponent(job.pseudonym || job.tenant)}`;
}

function Job({ session, job }) {
	const [kind, icon] = marks[job.state];
	const at = logOf(session, job);
	const fact = (name, value) =>
		value &&
		html`
			<div class="fact">
				<dt>${t(`leaving.${name}`)}</dt>
				<dd>${value}</dd>
			</div>
		`;
	const when = (time) =>
		time &&
		html`
			<${When} at=${time} exact />
		`;
	return html`
		<div role="status">
			<p>
				<${Pill} kind=${kind} icon=${icon}>${t(`leaving.state.${job.state}`)}<//>
			</p>
			<p>${t(`leaving.state.${job.state}.what`, { n: job.total })}</p>
		</div>
		${job.problem &&
		html`
			<${Notice} kind=${job.state === "failed" ? "bad" : "warn"}>
				<p><${Said} text=${job.problem} /></p>
			<//>
		`}
		<dl class="facts">
			${fact("began", when(job.began))}${fact("ended", when(job.ended))}${fact("next", when(job.next))}
			${fact("pseudonym", job.pseudonym)}
		</dl>
		${job.integrations?.length > 0 &&
		html`
			<div><${Integrations} of=${job.integrations} stage="done" own=${job.tenant === session.tenant} /></div>
		`}
		<${Counts} rows=${job.rows} person=${job.pseudonym} />
		<p class="help">
			${t(`leaving.log.${job.pseudonym ? "person" : "tenant"}`, { tenant: job.tenant })}${at &&
			html`
				${" "}
				<a href=${at}>${t("leaving.log.open")}</a>
			`}
		</p>
	`;
}

function Erasure({ session, tenant, person }) {
	const [asking, ask] = useState(false);
	const [working, work] = useState(false);
	const load = useLoad(
		`erasure ${tenant} ${person}`,
		async (signal) => {
			try {
				return { job: (await get(pathOf(tenant, person), { signal, query: { person } })).body };
			} catch (e) {
				if (e.status === 404) return { job: null }; // nobody asked for one
				throw e;
			}
		},
		{ every: working ? every : 0 },
	);
	const job = load.data?.job;
	useEffect(() => work(Boolean(job) && !over(job)), [job]);
	const rules = person ? ["removed", "pseudonym", "integrations", "elsewhere"] : ["all", "stays", "elsewhere"];
	return html`
		<section class="panel">
			<h2>${t(person ? "leaving.erase.title.person" : "leaving.erase.title.tenant", { tenant, person })}</h2>
			<ul class="bullets">
				${rules.map(
					(name) => html`
						<li key=${name}>${t(`leaving.${person ? "person" : "tenant"}.${name}`)}</li>
					`,
				)}
			</ul>
			<${View} load=${load} count="1">
				${() => html`
					${job &&
					html`
						<${Job} session=${session} job=${job} />
					`}
					<div class="buttons start">
						<button
							type="button"
							class="danger"
							disabled=${Boolean(job) && !over(job)}
							onClick=${() => ask(true)}
						>
							${t(job ? "leaving.erase.again" : "leaving.erase.ask")}
						</button>
					</div>
				`}
			<//>
			${asking &&
			html`
				<${Erase}
					session=${session}
					tenant=${tenant}
					person=${person}
					onClose=${() => ask(false)}
					onBegun=${() => {
						ask(false);
						load.reload();
					}}
				/>
			`}
		</section>
	`;
}

export function Leaving({ session }) {
	const { query } = useLocation();
	const tenant = query.get("tenant") || "";
	const person = query.get("person") || "";
	const key = `${tenant} ${person}`;
	return html`
		<h1 tabindex="-1">${t("leaving.title")}</h1>
		<p class="muted">${t("leaving.lead")}</p>
		<${Find} key=${`find ${key}`} tenant=${tenant} person=${person} />
		${tenant &&
		html`
			<${Kept} key=${`kept ${key}`} tenant=${tenant} person=${person} />
			<${Erasure} key=${`erasure ${key}`} session=${session} tenant=${tenant} person=${person} />
		`}
	`;
}
