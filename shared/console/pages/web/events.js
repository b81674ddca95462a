// Event types as a form and a card show them: report frequencies apart, levels under one parent.
import { html } from "./html.js";
import { list, said, t } from "./i18n.js";
import { Box } from "./ui.js";

const parents = [
	{ prefix: "vuln_", key: "events.vuln" },
	{ prefix: "security_issue_", key: "events.issue" },
	{ prefix: "report_", key: "events.report" },
];

const parentOf = (event) => parents.find((p) => event.startsWith(p.prefix));
const isReport = (event) => event.startsWith("report_");
const isAPI = (event) => event.startsWith("api_discovery_");

// digests are mails that sum a day, a week or an hour up.
export const digests = [
	"daily_security_issues",
	"daily_critical_security_issues",
	"aasm_report",
	"api_discovery_hourly_changes_report",
	"api_discovery_daily_changes_report",
];

// startingEvents is what a new integration's form has ticked: everything but commands, which are for a program that
// carries them out, and the digests of APIs; and of the reports the weekly one.
export const startingEvents = (system) =>
	Object.fromEntries(
		system.events.map(({ event }) => [
			event,
			{ active: event === "report_weekly" || (!isReport(event) && !isAPI(event) && event !== "commands") },
		]),
	);

// tree groups a system's events: [{event, title}] or [{key, members}].
function tree(events) {
	const out = [];
	for (const e of events) {
		const parent = parentOf(e.event);
		if (!parent) out.push(e);
		else if (out.at(-1)?.key === parent.key) out.at(-1).members.push(e);
		else out.push({ ...parent, members: [e] });
	}
	return out;
}

// nameOf is an event type in words; one that the messages do not know is told as the API tells it.
function nameOf(event, system) {
	const key = `event.${event}`;
	const own = t(key);
	return own === key ? said(system?.events.find((e) => e.event === event)?.title || event) : own;
}

// fullName is an event type in words that need no heading.
export function fullName(event, system) {
	const parent = parentOf(event);
	return parent
		? t("events.level", { kind: t(parent.key), level: t(`level.${event.slice(parent.prefix.length)}`) })
		: nameOf(event, system);
}

// subscribed is what an integration receives, in words.
export function subscribed(integration, system) {
	const active = new Set(integration.events.filter((e) => e.active).map((e) => e.event));
	if (!active.size) return t("events.none");
	if (active.size === integration.events.length) return t("events.all");
	const words = [];
	for (const node of tree(integration.events)) {
		if (!node.members) {
			if (active.has(node.event)) words.push(nameOf(node.event, system));
			continue;
		}
		const on = node.members.filter((m) => active.has(m.event));
		if (on.length && on.length === node.members.length) words.push(t(`${node.key}.all`));
		else if (on.length)
			words.push(
				t(`${node.key}.some`, { levels: list(on.map((m) => t(`level.${m.event.slice(node.prefix.length)}`))) }),
			);
	}
	return list(words);
}

function Parent({ node, value, set }) {
	const on = node.members.filter((m) => value[m.event]?.active).length;
	const all = on === node.members.length;
	const name = t(node.key);
	return html`
		<div class="branch" role="group" aria-label=${name}>
			<${Box}
				checked=${all}
				partial=${on > 0 && !all}
				label=${name}
				onChange=${(yes) => set(Object.fromEntries(node.members.map((m) => [m.event, { active: yes }])))}
			/>
			<div class="leaves">
				${node.members.map(
					(m) => html`
						<${Box}
							checked=${Boolean(value[m.event]?.active)}
							label=${t(`level.${m.event.slice(node.prefix.length)}`)}
							onChange=${(active) => set({ [m.event]: { active } })}
						/>
					`,
				)}
			</div>
		</div>
	`;
}

function Hits({ value, set }) {
	const on = Boolean(value.siem?.active);
	return html`
		<div class="branch">
			<${Box}
				checked=${on}
				label=${t("event.siem")}
				description=${t("events.hits.sampled")}
				onChange=${(active) => set({ siem: { active, with_headers: active && value.siem?.with_headers } })}
			/>
			<div class="leaves">
				<${Box}
					checked=${Boolean(on && value.siem?.with_headers)}
					label=${t("events.headers")}
					description=${t("events.headers.note")}
					onChange=${(yes) => set({ siem: { active: on || yes, with_headers: yes } })}
				/>
			</div>
		</div>
	`;
}

// Events is the form's part. value: {event: {active, with_headers}}.
export function Events({ system, value, onChange }) {
	const set = (change) => onChange({ ...value, ...change });
	const nodes = tree(system.events);
	const reports = nodes.find((n) => n.key === "events.report");
	const summed = nodes.filter((n) => digests.includes(n.event));
	const rest = nodes.filter((n) => n !== reports && !summed.includes(n));
	const none = !Object.values(value).some((v) => v.active);
	return html`
		${reports &&
		html`
			<fieldset>
				<legend>${t("events.report")}</legend>
				<p class="help">${t("events.report.note")}</p>
				<div class="leaves inline">
					${reports.members.map(
						(m) => html`
							<${Box}
								checked=${Boolean(value[m.event]?.active)}
								label=${t(`level.${m.event.slice(7)}`)}
								onChange=${(active) => set({ [m.event]: { active } })}
							/>
						`,
					)}
				</div>
			</fieldset>
		`}
		${summed.length > 0 &&
		html`
			<fieldset>
				<legend>${t("events.digests")}</legend>
				<p class="help">${t("events.digests.note")}</p>
				<div class="tree">
					${summed.map(
						(n) => html`
							<${Box}
								checked=${Boolean(value[n.event]?.active)}
								label=${nameOf(n.event, system)}
								onChange=${(active) => set({ [n.event]: { active } })}
							/>
						`,
					)}
				</div>
			</fieldset>
		`}
		<fieldset>
			<legend>${t("events.title")}</legend>
			<div class="tree">
				${rest.map((n) => {
					if (n.members)
						return html`
							<${Parent} node=${n} value=${value} set=${set} />
						`;
					if (n.event === "siem")
						return html`
							<${Hits} value=${value} set=${set} />
						`;
					return html`
						<${Box}
							checked=${Boolean(value[n.event]?.active)}
							label=${nameOf(n.event, system)}
							description=${n.event === "commands" ? t("events.commands.note") : undefined}
							onChange=${(active) => set({ [n.event]: { active } })}
						/>
					`;
				})}
			</div>
			<p class="help" role="status">${none ? t("events.nothing") : ""}</p>
		</fieldset>
	`;
}
