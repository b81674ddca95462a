// The activity log: who changed what, when, through what. The filters are in the address.
import { html } from "../html.js";
import { get } from "../api.js";
import { Range, SaveAsCSV } from "../filters.js";
import { t, time } from "../i18n.js";
import { More, usePager } from "../pager.js";
import { navigate, useLocation, withQuery } from "../router.js";
import { Empty, View } from "../ui.js";

const actions = [
	"create",
	"update",
	"delete",
	"enable",
	"disable",
	"fail",
	"work",
	"mute",
	"unmute",
	"test",
	"replay",
	"recover",
	"acknowledge",
	"revoke",
	"sign in",
	"sign out",
	"refuse sign-in",
	"link",
	"unlink",
	"export",
	"erase",
];
const objects = [
	"Integration",
	"Email integration",
	"Trigger",
	"Report",
	"Report settings",
	"Personal notifications",
	"Suppressed address",
	"Command",
	"Dead letter",
	"API token",
	"Session",
	"User",
	"Linked tenant",
	"Tenant",
];
const sources = ["console", "api_token", "platform", "system", "mail"];
const filters = ["person", "action", "source", "object", "object_id", "from", "to"];

const named = (kind, value) => {
	const key = `activity.${kind}.${value.toLowerCase().replaceAll(" ", "_")}`;
	return t(key) === key ? value : t(key);
};

// addressOf is where the Console shows what an entry is about, "" where it is not shown or gone.
function addressOf(e) {
	if (!e.object_id || e.action === "delete") return "";
	if (e.object === "Integration" || e.object === "Email integration") return `/integrations/${e.object_id}`;
	return e.object === "Trigger" ? `/triggers/${e.object_id}` : "";
}

function Change({ change: c }) {
	if (c.secret)
		return html`
			<li>
				<code>${c.field}</code>
				: ${t("activity.secret")}
			</li>
		`;
	return html`
		<li>
			<code>${c.field}</code>
			: ${c.before || t("activity.nothing")} → ${c.after || t("activity.nothing")}
		</li>
	`;
}

function Row({ entry: e }) {
	const at = addressOf(e);
	const name = e.object_name || e.object_id || "";
	return html`
		<tr>
			<td data-label=${t("log.time")}><time datetime=${e.at}>${time(e.at, { seconds: true })}</time></td>
			<td data-label=${t("activity.person")}>
				${e.source === "system" ? t("activity.source.system") : e.by}
				<p class="muted">${e.token || named("source", e.source)}</p>
			</td>
			<td data-label=${t("activity.action")}>${named("act", e.action)}</td>
			<td data-label=${t("activity.object")}>
				${at
					? html`
							<a href=${at}>${name}</a>
						`
					: name}
				<p class="muted">${named("obj", e.object)}</p>
			</td>
			<td data-label=${t("activity.changes")}>
				<ul>
					${e.changes.map(
						(c) => html`
							<${Change} key=${c.field} change=${c} />
						`,
					)}
					${e.more > 0 &&
					html`
						<li>${t("activity.more", { n: e.more })}</li>
					`}
				</ul>
			</td>
		</tr>
	`;
}

function Choice({ name, values, kind, query }) {
	return html`
		<label class="field">
			<span class="label">${t(`activity.${name}`)}</span>
			<select value=${query.get(name) || ""} onChange=${(e) => navigate(withQuery({ [name]: e.target.value }))}>
				<option value="">${t("activity.any")}</option>
				${values.map(
					(v) => html`
						<option value=${v}>${named(kind, v)}</option>
					`,
				)}
			</select>
		</label>
	`;
}

export function Activity() {
	const { query } = useLocation();
	const asked = Object.fromEntries(filters.map((name) => [name, query.get(name) || ""]));
	const pager = usePager(
		`activity ${JSON.stringify(asked)}`,
		async (page, signal) => (await get("/v1/activity", { signal, query: { ...asked, ...page } })).body,
		{ rounds: 5 },
	);
	const load = pager.load;
	return html`
		<h1 tabindex="-1">${t("nav.activity")}</h1>
		<p class="muted">${t("activity.lead")}</p>
		<form class="log-filters" role="search" onSubmit=${(e) => e.preventDefault()}>
			<label class="field">
				<span class="label">${t("activity.person")}</span>
				<input
					type="text"
					value=${asked.person}
					onChange=${(e) => navigate(withQuery({ person: e.target.value.trim() }))}
				/>
			</label>
			<${Choice} name="action" kind="act" values=${actions} query=${query} />
			<${Choice} name="object" kind="obj" values=${objects} query=${query} />
			<${Choice} name="source" kind="source" values=${sources} query=${query} />
			<${Range} asked=${asked} />
		</form>
		<div class="row wrap">
			${filters.some((name) => asked[name]) &&
			html`
				<a href="/activity">${t("activity.all")}</a>
			`}
			<${SaveAsCSV} path="/v1/activity/export" asked=${asked} name="activity.csv">${t("activity.export")}<//>
		</div>
		<${View} load=${load}>
			${(data) =>
				data.items.length || data.more
					? html`
							<div class="table-box">
								<table class="log">
									<caption class="visually-hidden">${t("nav.activity")}</caption>
									<thead>
										<tr>
											<th scope="col">${t("log.time")}</th>
											<th scope="col">${t("activity.person")}</th>
											<th scope="col">${t("activity.action")}</th>
											<th scope="col">${t("activity.object")}</th>
											<th scope="col">${t("activity.changes")}</th>
										</tr>
									</thead>
									<tbody>
										${data.items.map(
											(e) => html`
												<${Row} key=${e.id} entry=${e} />
											`,
										)}
									</tbody>
								</table>
							</div>
							<${More} pager=${pager} />
						`
					: html`
							<${Empty} icon="clock" title=${t("activity.empty")} />
						`}
		<//>
	`;
}
