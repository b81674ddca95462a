// When what is sent to an integration waits: quiet hours, of an integration or of the account, and mutes.
import { html, useId, useRef, useState } from "../html.js";
import { call, get, integrationPath, post } from "../api.js";
import { fullName } from "../events.js";
import { list, said, t, time, words, zoneName, zones } from "../i18n.js";
import { Icon } from "../icons.js";
import { useAction, useLoad } from "../load.js";
import { useUnsaved } from "../router.js";
import { Box, Busy, Dialog, ErrorAt, Failure, Notice, Pill, useClosing, View } from "../ui.js";

const mostQuiet = 20;
const mostHours = 720;
const days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const byDefault = ["incidents_exceeded"]; // kinds that pass unless the rules say which do
const triggered = [
	"incidents_exceeded",
	"attacks_exceeded",
	"compromised_logins",
	"ip_blocked",
	"api_structure_changed",
];

let rows = 0;

// draftHold is a hold as its controls have it.
export const draftHold = (hold) => ({
	quiet: (hold?.quiet || []).map((q) => ({
		key: rows++,
		days: q.days?.length ? q.days : days,
		dated: Boolean(q.first),
		first: q.first || "",
		last: q.last || "",
		whole: !q.from,
		from: q.from || "22:00",
		to: q.to === "24:00" ? "00:00" : q.to || "07:00",
		zone: q.zone,
	})),
	then: hold?.then || "send",
	pass: hold?.pass || byDefault,
	own: Boolean(hold?.own_only),
});

const madeQuiet = (q) => ({
	...(q.days.length < days.length ? { days: q.days } : {}),
	...(q.dated ? { first: q.first, last: q.last } : {}),
	// A day that ends at midnight is not one that begins again at it.
	...(q.whole ? {} : { from: q.from, to: q.from === "00:00" && q.to === "00:00" ? "24:00" : q.to }),
	zone: q.zone.trim(),
});

// madeHold is a draft as it is sent.
export const madeHold = (d) => ({
	...(d.quiet.length ? { quiet: d.quiet.map(madeQuiet) } : {}),
	...(d.then !== "send" ? { then: d.then } : {}),
	...(list([...d.pass].sort()) !== list(byDefault) ? { pass: d.pass } : {}),
	...(d.own ? { own_only: true } : {}),
});

// holdMistakes are by place: hold.quiet.<n>.
export function holdMistakes(d) {
	const out = {};
	d.quiet.forEach((q, n) => {
		const wrong =
			(!q.days.length && t("hold.check.days")) ||
			(q.dated && (!q.first || !q.last) && t("hold.check.dates")) ||
			(q.dated && q.last < q.first && t("range.empty")) ||
			(!q.whole && (!q.from || !q.to) && t("hold.check.times")) ||
			(!q.whole && q.from === q.to && q.from !== "00:00" && t("hold.check.same")) ||
			(!q.zone.trim() && t("check.required"));
		if (wrong) out[`hold.quiet.${n}`] = wrong;
	});
	return out;
}

function Row({ row: q, n, set, remove, error, zoneList }) {
	const id = useId();
	const field = (label, name, type) => html`
		<label class="field">
			<span class="label">${label}</span>
			<input
				type=${type}
				class="short"
				aria-describedby=${`${id}-error`}
				aria-invalid=${error ? "true" : undefined}
				value=${q[name]}
				onInput=${(e) => set({ [name]: e.target.value })}
			/>
		</label>
	`;
	return html`
		<li class=${`quiet-row ${error ? "invalid" : ""}`}>
			<fieldset class="bare quiet-in" aria-describedby=${`${id}-error`}>
				<legend class="label">${t("hold.quiet.of", { n: n + 1 })}</legend>
				<div class="row wrap" role="group" aria-label=${t("hold.days")}>
					${days.map(
						(d) => html`
							<${Box}
								checked=${q.days.includes(d)}
								label=${t(`hold.day.${d}`)}
								onChange=${(on) =>
									set({ days: days.filter((x) => (x === d ? on : q.days.includes(x))) })}
							/>
						`,
					)}
				</div>
				<${Box} checked=${q.whole} label=${t("hold.whole")} onChange=${(whole) => set({ whole })} />
				${!q.whole &&
				html`
					<div class="row wrap">
						${field(t("hold.from"), "from", "time")}${field(t("hold.to"), "to", "time")}
						${q.from &&
						q.to &&
						q.to <= q.from &&
						html`
							<p class="help">${t("hold.next.day")}</p>
						`}
					</div>
				`}
				<${Box} checked=${q.dated} label=${t("hold.dated")} onChange=${(dated) => set({ dated })} />
				${q.dated &&
				html`
					<div class="row wrap">
						${field(t("hold.first"), "first", "date")}${field(t("hold.last"), "last", "date")}
					</div>
				`}
				<label class="field">
					<span class="label">${t("hold.zone")}</span>
					<input
						list=${zoneList}
						autocomplete="off"
						spellcheck="false"
						aria-describedby=${`${id}-error`}
						aria-invalid=${error ? "true" : undefined}
						value=${q.zone}
						onInput=${(e) => set({ zone: e.target.value })}
					/>
				</label>
				<button type="button" class="quiet small" onClick=${remove}>
					<${Icon} name="trash" size="16" />
					${t("hold.remove", { n: n + 1 })}
				</button>
			</fieldset>
			<${ErrorAt} id=${`${id}-error`} text=${error} />
		</li>
	`;
}

// Pass are the types and kinds that are sent at once. What is chosen and has no line here stays chosen.
function Pass({ system, value, onChange }) {
	const types = system
		? system.events.map((e) => e.event).filter((e) => !e.startsWith("report_") && e !== "commands")
		: words("event.").map(([key]) => key.slice("event.".length));
	const lines = [
		...triggered.map((name) => [name, t(`kind.${name}`)]),
		...types.filter((name) => name !== "commands").map((name) => [name, fullName(name, system)]),
	];
	return html`
		<details class="advanced" open=${list([...value].sort()) !== list(byDefault)}>
			<summary>${t("hold.pass")}</summary>
			<p class="help">${t("hold.pass.help")}</p>
			<div class="leaves" role="group" aria-label=${t("hold.pass")}>
				${lines.map(
					([name, label]) => html`
						<${Box}
							key=${name}
							checked=${value.includes(name)}
							label=${label}
							onChange=${(on) => onChange(on ? [...value, name] : value.filter((v) => v !== name))}
						/>
					`,
				)}
			</div>
		</details>
	`;
}

// Hold is the section of a form. system is that of an integration; without one it is of the account. people says that
// people read what is sent.
export function Hold({ system, people, value, errors, onChange }) {
	const id = useId();
	const section = useRef(null);
	const set = (part) => onChange({ ...value, ...part });
	const row = (n, part) => set({ quiet: value.quiet.map((q, k) => (k === n ? { ...q, ...part } : q)) });
	const add = () => {
		const last = value.quiet.at(-1);
		set({
			quiet: [
				...value.quiet,
				{
					key: rows++,
					days,
					dated: false,
					first: "",
					last: "",
					whole: false,
					from: "22:00",
					to: "07:00",
					zone: last?.zone || zoneName(),
				},
			],
		});
		requestAnimationFrame(() => section.current?.querySelector("li:last-child input")?.focus());
	};
	const remove = (n) => {
		set({ quiet: value.quiet.filter((_, k) => k !== n) });
		requestAnimationFrame(() => section.current?.querySelector("button.add")?.focus());
	};
	const choices = people ? ["send", "digest", "drop"] : ["send", "drop"];
	return html`
		<fieldset ref=${section} data-field="hold">
			<legend class=${system ? "" : "visually-hidden"}>${t("hold.title")}</legend>
			<p class="help">${t(system ? "hold.what" : "hold.what.account")}</p>
			<datalist id=${`${id}-zones`}>
				${zones().map(
					(z) => html`
						<option value=${z} />
					`,
				)}
			</datalist>
			<ol class="plain quiet-rows">
				${value.quiet.map(
					(q, n) => html`
						<${Row}
							key=${q.key}
							row=${q}
							n=${n}
							set=${(part) => row(n, part)}
							remove=${() => remove(n)}
							error=${errors[`hold.quiet.${n}`]}
							zoneList=${`${id}-zones`}
						/>
					`,
				)}
			</ol>
			<${ErrorAt} id=${`${id}-error`} text=${errors.hold} />
			${value.quiet.length < mostQuiet &&
			html`
				<p>
					<button type="button" class="quiet small add" onClick=${add}>
						<${Icon} name="plus" size="16" />
						${t("hold.add")}
					</button>
				</p>
			`}
			<div class="field">
				<label class="label" for=${`${id}-then`}>${t("hold.then")}</label>
				<select id=${`${id}-then`} value=${value.then} onChange=${(e) => set({ then: e.target.value })}>
					${choices.map(
						(c) => html`
							<option value=${c}>${t(`hold.then.${c}`)}</option>
						`,
					)}
				</select>
			</div>
			<${Pass} system=${system} value=${value.pass} onChange=${(pass) => set({ pass })} />
			${system &&
			people &&
			html`
				<${Box}
					checked=${value.own}
					label=${t("hold.own")}
					description=${t("hold.own.help")}
					onChange=${(own) => set({ own })}
				/>
			`}
		</fieldset>
	`;
}

// holdProblems puts faults that the API names under the places of the section.
export function holdPlace(field) {
	const [, , n] = field.split(".");
	return field.startsWith("hold.quiet.") && n !== undefined ? `hold.quiet.${n}` : "hold";
}

// AccountHold is the panel of the account's quiet hours.
export function AccountHold() {
	const load = useLoad("account-hold", async (signal) => get("/v1/report-settings", { signal }));
	const [saved, tell] = useState(false);
	return html`
		<section class="panel account-hold">
			<h2>${t("hold.account")}</h2>
			<${View} load=${load} count="1">
				${({ body, etag }) => html`
					<${AccountForm} key=${etag} settings=${body} etag=${etag} reload=${load.reload} tell=${tell} />
				`}
			<//>
			<p class="help" role="status">${saved ? t("form.saved") : ""}</p>
		</section>
	`;
}

function AccountForm({ settings, etag, reload, tell }) {
	const [draft, set] = useState(() => draftHold(settings.hold));
	const [changed, mark] = useState(false);
	const [refused, refuse] = useState({});
	const [attempted, attempt] = useState(false);
	useUnsaved(changed);
	const mistakes = holdMistakes(draft);
	const [save, { busy, error }] = useAction(async () => {
		refuse({});
		try {
			const body = { time_zone: settings.time_zone, hold: madeHold(draft) };
			await call("PUT", "/v1/report-settings", { body, etag });
		} catch (e) {
			const found = {};
			for (const f of e.fields || []) found[holdPlace(f.field)] = said(f.reason);
			refuse(found);
			throw e;
		}
		mark(false);
		tell(true);
		await reload();
	});
	return html`
		<form
			novalidate
			onSubmit=${(e) => {
				e.preventDefault();
				attempt(true);
				if (!Object.keys(mistakes).length) save();
			}}
		>
			<${Hold}
				people
				value=${draft}
				errors=${{ ...refused, ...(attempted ? mistakes : {}) }}
				onChange=${(next) => {
					set(next);
					mark(true);
					tell(false);
				}}
			/>
			${error &&
			!error.fields?.length &&
			html`
				<${Failure} error=${error} />
			`}
			<div class="buttons">
				<button type="submit" disabled=${busy || !changed}>
					<${Busy} on=${busy}>${t("form.save")}<//>
				</button>
			</div>
		</form>
	`;
}

// MutedPill is the badge of an integration that is muted.
export const MutedPill = ({ of }) =>
	of.muted
		? html`
				<${Pill} kind="info" icon="pause">${t("mute.until", { at: time(of.muted.until) })}<//>
			`
		: null;

// Muted says until when an integration is muted, by whom and why.
export function Muted({ of }) {
	const m = of.muted;
	if (!m) return null;
	return html`
		<${Notice} kind="info">
			<p>
				<strong>${t("mute.until", { at: time(m.until) })}</strong>
				${" "}${t("mute.by", { who: m.by, reason: m.reason })}
			</p>
			<p>${t(`mute.then.${m.then || of.hold?.then || "send"}`)}</p>
		<//>
	`;
}

export const muteStart = { hours: "2", reason: "", then: "" };

// muteMistakes are those of what was entered.
export const muteMistakes = ({ hours, reason }) => ({
	hours: /^\d+$/.test(hours) && hours >= 1 && hours <= mostHours ? "" : t("mute.check.hours", { most: mostHours }),
	reason: reason.trim() ? "" : t("check.required"),
});

// muteBody is what is sent.
export const muteBody = ({ hours, reason, then }) => ({
	hours: Number(hours),
	reason: reason.trim(),
	...(then ? { then } : {}),
});

// MuteFields are for how long, why, and what becomes of what comes.
export function MuteFields({ value, errors, people, onChange }) {
	const id = useId();
	const set = (part) => onChange({ ...value, ...part });
	return html`
		<div class=${`field ${errors.hours ? "invalid" : ""}`}>
			<label class="label" for=${`${id}-hours`}>${t("mute.hours")}</label>
			<input
				id=${`${id}-hours`}
				class="short"
				type="number"
				inputmode="numeric"
				min="1"
				max=${mostHours}
				value=${value.hours}
				aria-describedby=${`${id}-hours-error`}
				aria-invalid=${errors.hours ? "true" : undefined}
				onInput=${(e) => set({ hours: e.target.value.trim() })}
			/>
			<${ErrorAt} id=${`${id}-hours-error`} text=${errors.hours} />
		</div>
		<div class=${`field ${errors.reason ? "invalid" : ""}`}>
			<label class="label" for=${`${id}-reason`}>${t("mute.reason")}</label>
			<input
				id=${`${id}-reason`}
				maxlength="200"
				autocomplete="off"
				value=${value.reason}
				aria-describedby=${`${id}-reason-error`}
				aria-invalid=${errors.reason ? "true" : undefined}
				onInput=${(e) => set({ reason: e.target.value })}
			/>
			<${ErrorAt} id=${`${id}-reason-error`} text=${errors.reason} />
		</div>
		<div class="field">
			<label class="label" for=${`${id}-then`}>${t("hold.then")}</label>
			<select id=${`${id}-then`} value=${value.then} onChange=${(e) => set({ then: e.target.value })}>
				<option value="">${t("mute.then.rules")}</option>
				${(people ? ["send", "digest", "drop"] : ["send", "drop"]).map(
					(c) => html`
						<option value=${c}>${t(`hold.then.${c}`)}</option>
					`,
				)}
			</select>
		</div>
	`;
}

// Mute is the dialog of one integration.
export function Mute({ integration: i, people, onClose, done }) {
	const [value, set] = useState(muteStart);
	const [attempted, attempt] = useState(false);
	const close = useClosing(value !== muteStart, onClose);
	const mistakes = muteMistakes(value);
	const [mute, { busy, error }] = useAction(async () => {
		await post(integrationPath(i.id, "/mute"), muteBody(value));
		onClose();
		await done();
	});
	return html`
		<${Dialog} title=${t("mute.title", { name: i.name })} onClose=${close}>
			<form
				novalidate
				onSubmit=${(e) => {
					e.preventDefault();
					attempt(true);
					if (!Object.values(mistakes).some(Boolean)) mute();
				}}
			>
				<p>${t("mute.what")}</p>
				<${MuteFields} value=${value} errors=${attempted ? mistakes : {}} people=${people} onChange=${set} />
				${error &&
				html`
					<${Failure} error=${error} />
				`}
				<div class="buttons">
					<button type="button" onClick=${close}>${t("form.cancel")}</button>
					<button type="submit" class="primary" disabled=${busy}>
						<${Busy} on=${busy}>${t("mute.do")}<//>
					</button>
				</div>
			</form>
		<//>
	`;
}

// Unmute is a button: what it does can be undone.
export function Unmute({ integration: i, done }) {
	const [unmute, { busy, error }] = useAction(async () => {
		await post(integrationPath(i.id, "/unmute"));
		await done();
	});
	return html`
		<button type="button" disabled=${busy} onClick=${unmute}>
			<${Busy} on=${busy}>${t("mute.end")}<//>
		</button>
		${error &&
		html`
			<${Failure} error=${error} />
		`}
	`;
}
