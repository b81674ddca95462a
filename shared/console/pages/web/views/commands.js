// What a trigger asked of the platform, and what became of it: Tocsin itself blocks nothing.
import { html } from "../html.js";
import { commandPath, get, may, post } from "../api.js";
import { t, time } from "../i18n.js";
import { useAction, useLoad } from "../load.js";
import { Busy, Failure, Pill, View, When } from "../ui.js";

const refresh = 15_000;

const states = {
	pending: { kind: "off", icon: "pause" },
	overdue: { kind: "bad", icon: "alert" },
	acknowledged: { kind: "ok", icon: "check" },
	failed: { kind: "bad", icon: "alert" },
	lifted: { kind: "off", icon: "check" },
};

// steps are what was said of a command, the oldest first.
function steps(c) {
	const out = [];
	const by = (key, who, at, why) =>
		at && out.push(t(`command.${key}.${why ? "why" : "by"}`, { who, at: time(at, { seconds: true }), why }));
	if (c.overdue_at && c.state === "pending") out.push(t("command.overdue.at", { at: time(c.overdue_at) }));
	by("failed", c.failed_by, c.failed_at, c.failure);
	by("taken", c.acknowledged_by, c.acknowledged_at);
	if (c.ends_at)
		out.push(t(Date.parse(c.ends_at) > Date.now() ? "command.ends" : "command.ended", { at: time(c.ends_at) }));
	by("lifted", c.lifted_by, c.lifted_at, c.lift_reason);
	return out;
}

// Standing is a command's state with all that was said of it.
export function Standing({ command: c }) {
	const state = c.state === "pending" && c.overdue_at ? "overdue" : c.state;
	const said = steps(c);
	return html`
		<${Pill} ...${states[state]}>${t(`command.state.${state}`)}<//>
		${said.length > 0 &&
		html`
			<ul class="plain muted">
				${said.map(
					(words) => html`
						<li>${words}</li>
					`,
				)}
			</ul>
		`}
	`;
}

// says are the outcomes that a person can say of a command in each state.
const says = { pending: "acknowledged", failed: "acknowledged", acknowledged: "lifted" };

function Command({ command: c, reload }) {
	const outcome = says[c.state];
	const [say, { busy, error }] = useAction(async () => {
		await post(commandPath(c.id), { outcome });
		await reload();
	});
	return html`
		<li class="panel">
			<p class="meta">
				<strong>${t(`kind.${c.kind}`)}</strong>
				${" "}
				<span>${c.ip}</span>
				${" "}
				<span class="muted">
					${t("command.asked")}${" "}
					<${When} at=${c.at} />
				</span>
			</p>
			<div class="meta command">
				<${Standing} command=${c} />
				${outcome &&
				may("triggers") &&
				html`
					<button
						type="button"
						class="small"
						disabled=${busy}
						onClick=${say}
						aria-label=${t(`command.say.${outcome}.of`, { what: t(`kind.${c.kind}`), ip: c.ip })}
					>
						<${Busy} on=${busy}>${t(`command.say.${outcome}`)}<//>
					</button>
				`}
			</div>
			${error &&
			html`
				<${Failure} error=${error} />
			`}
		</li>
	`;
}

// Asked lists the newest commands of a trigger.
export function Asked({ trigger }) {
	const load = useLoad(
		`commands ${trigger.id}`,
		(signal) => get("/v1/commands", { signal, query: { trigger: trigger.id, limit: 10 } }),
		{ every: refresh },
	);
	return html`
		<section id="commands" aria-label=${t("command.title")}>
			<h2>${t("command.title")}</h2>
			<p class="muted">${t("command.lead")}</p>
			<${View} load=${load} count="2">
				${({ body }) =>
					body.items.length
						? html`
								<ul class="column">
									${body.items.map(
										(c) => html`
											<${Command} key=${c.id} command=${c} reload=${load.reload} />
										`,
									)}
								</ul>
								${body.next_cursor &&
								html`
									<p class="muted">${t("command.newest", { n: body.items.length })}</p>
								`}
							`
						: html`
								<p class="muted">${t("command.none")}</p>
							`}
			<//>
		</section>
	`;
}
