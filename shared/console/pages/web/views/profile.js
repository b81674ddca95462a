// What the signed-in person is told of by mail: everybody's own, as far as the role may see it.
import { html, useLayoutEffect, useState } from "../html.js";
import { call, get } from "../api.js";
import { digests } from "../events.js";
import { readIn, said, t } from "../i18n.js";
import { useAction, useBase, useLoad } from "../load.js";
import { useUnsaved } from "../router.js";
import { Box, Busy, Failure, Notice, Said, View } from "../ui.js";
import { Conflict } from "./conflict.js";
import { Language, Zone } from "./fields.js";
import { Mails } from "./mails.js";

const path = "/v1/profile/notifications";
const reports = ["report_daily", "report_weekly", "report_monthly"];
const events = ["system", "vuln", "scope"];
const names = [...reports, ...digests, ...events];

function Choices({ data, saved, again, hold, changed }) {
	const start = data.body.choices;
	const [choices, set] = useState(start);
	const had = data.body.language || "";
	const [language, speak] = useState(had);
	const zoneBefore = data.body.time_zone || "";
	const [zone, read] = useState(zoneBefore);
	const dirty = language !== had || zone !== zoneBefore || names.some((name) => choices[name] !== start[name]);
	const [save, { busy, error }, forget] = useAction(async ({ over } = {}) => {
		const body = { choices, language, time_zone: zone };
		const answer = await call("PUT", path, { body, etag: over ? undefined : data.etag });
		readIn(answer.body.time_zone);
		saved(answer);
	});
	const wrong = error?.fields?.find((f) => f.field === "time_zone")?.reason;
	useUnsaved(dirty);
	useLayoutEffect(() => {
		hold.current = { dirty };
		return () => {
			hold.current = { dirty: false };
		};
	}, [dirty]);
	const cancel = () => {
		if (!confirm(t("form.undo"))) return;
		set(start);
		speak(had);
		read(zoneBefore);
		forget();
	};
	const box = (name) => html`
		<${Box}
			checked=${choices[name]}
			label=${t(digests.includes(name) ? `event.${name}` : `profile.${name}`)}
			onChange=${(yes) => set({ ...choices, [name]: yes })}
		/>
	`;
	const allowed = data.body.allowed;
	const boxes = (names, legend, note, kind) =>
		names.some((name) => allowed[name]) &&
		html`
			<fieldset>
				<legend>${t(legend)}</legend>
				${note &&
				html`
					<p class="help">${t(note)}</p>
				`}
				<div class=${kind}>${names.filter((name) => allowed[name]).map(box)}</div>
			</fieldset>
		`;
	const any = names.some((name) => allowed[name]);
	const none = any && !names.some((name) => choices[name]);
	return html`
		<form
			class="panel form"
			onSubmit=${(e) => {
				e.preventDefault();
				save();
			}}
		>
			<dl class="facts">
				<div class="fact">
					<dt>${t("profile.address")}</dt>
					<dd>
						${data.body.email}
						<small>${t("profile.address.note")}</small>
					</dd>
				</div>
			</dl>
			${boxes(reports, "events.report", "profile.report.note", "leaves inline")}
			${boxes(digests, "events.digests", "events.digests.note", "tree")}
			${boxes(events, "events.title", "", "tree")}
			${!any &&
			html`
				<${Notice}><p>${t("profile.role")}</p><//>
			`}
			${any &&
			html`
				<${Language}
					value=${language}
					other=${t("language.tenant")}
					help=${t("language.person")}
					onInput=${speak}
				/>
			`}
			${any &&
			html`
				<${Zone} value=${zone} help=${t("zone.person")} error=${wrong && said(wrong)} onInput=${read} />
			`}
			<p class="help" role="status">${none ? t("profile.none") : ""}</p>
			${(changed || error?.status === 412) &&
			html`
				<${Conflict} what=${t("profile.conflict")} again=${again} over=${() => save({ over: true })} />
			`}
			${error &&
			error.status !== 412 &&
			!wrong &&
			html`
				<${Failure} error=${error} />
			`}
			${any &&
			html`
				<div class="buttons">
					<button type="button" disabled=${!dirty || busy} onClick=${cancel}>${t("form.cancel")}</button>
					<button type="submit" class="primary" disabled=${busy}>
						<${Busy} on=${busy}>${t("form.save")}<//>
					</button>
				</div>
			`}
		</form>
	`;
}

function Mine({ read, reload }) {
	const {
		base: data,
		key,
		changed,
		hold,
		saved,
		drop,
	} = useBase(read, {
		version: (d) => d.etag,
		same: (a, b) =>
			JSON.stringify([a.body.choices, a.body.language, a.body.time_zone]) ===
			JSON.stringify([b.body.choices, b.body.language, b.body.time_zone]),
	});
	const [told, tell] = useState(false);
	return html`
		${data.body.paused &&
		html`
			<${Notice} kind="bad">
				<p>
					<strong>${t("profile.paused")}</strong>
					${" "}
					<${Said} text=${data.body.paused} />
				</p>
				<p>${t("profile.paused.mend")}</p>
			<//>
		`}
		${told &&
		html`
			<${Notice} kind="ok" role="status"><p>${t("form.saved")}</p><//>
		`}
		<div class="beside">
			<${Choices}
				key=${key}
				data=${data}
				saved=${(answer) => {
					saved(answer, true);
					tell(true);
				}}
				again=${() => {
					tell(false);
					drop();
					reload();
				}}
				hold=${hold}
				changed=${changed}
			/>
			<aside class="setup" aria-label=${t("profile.unsubscribe")}>
				<h2>${t("profile.unsubscribe")}</h2>
				<p class="muted">${t("profile.leave")}</p>
			</aside>
		</div>
	`;
}

export function Profile() {
	const load = useLoad("notifications", (signal) => get(path, { signal }));
	return html`
		<h1 tabindex="-1">${t("profile.title")}</h1>
		<p class="muted">${t("profile.lead")}</p>
		<${View} load=${load} skeleton="form" count="3">
			${(read) => html`
				<${Mine} read=${read} reload=${load.reload} />
				<section class="panel own-mails">
					<h2>${t("outcome.title")}</h2>
					<p class="muted">${t("outcome.lead")}</p>
					<${Mails} path="/v1/profile/mails" none=${t("outcome.none")} />
				</section>
			`}
		<//>
	`;
}
