// How long the account's events and deliveries are kept.
import { html, useId, useState } from "../html.js";
import { call, get } from "../api.js";
import { said, t, time } from "../i18n.js";
import { useAction, useLoad } from "../load.js";
import { useUnsaved } from "../router.js";
import { Busy, ErrorAt, Failure, Notice, View } from "../ui.js";

// Days that the lists offer, of those that the installation allows.
const offered = [7, 10, 14, 21, 30, 45, 60, 90, 120, 180, 270, 365];

// choices are the days to choose from, with those that were chosen by another way.
const choices = (least, most, chosen) =>
	[...new Set([...offered.filter((n) => n >= least && n < most), ...(chosen ? [chosen] : [])])].sort((a, b) => a - b);

// AccountRetention is the panel.
export function AccountRetention() {
	const load = useLoad("account-retention", async (signal) => get("/v1/report-settings", { signal }));
	const [saved, tell] = useState(false);
	return html`
		<section class="panel account-retention">
			<h2>${t("retention.title")}</h2>
			<${View} load=${load} count="1">
				${({ body, etag }) =>
					body.retention?.least
						? html`
								<${Form} key=${etag} settings=${body} etag=${etag} reload=${load.reload} tell=${tell} />
							`
						: html`
								<p>${t("retention.none")}</p>
							`}
			<//>
			<p class="help" role="status">${saved ? t("form.saved") : ""}</p>
		</section>
	`;
}

function Form({ settings, etag, reload, tell }) {
	const id = useId();
	const stored = settings.retention;
	const [draft, set] = useState({ events: stored.events, deliveries: stored.deliveries });
	const changed = draft.events !== stored.events || draft.deliveries !== stored.deliveries;
	useUnsaved(changed);
	const [save, { busy, error }] = useAction(async () => {
		await call("PUT", "/v1/report-settings", {
			body: { time_zone: settings.time_zone, retention: draft },
			etag,
		});
		tell(true);
		await reload();
	});
	const events = (of) => of.events || stored.most;
	const deliveries = (of) => of.deliveries || events(of);
	const fewer = events(draft) < events(stored) || deliveries(draft) < deliveries(stored);
	const refused = Object.fromEntries((error?.fields || []).map((f) => [f.field, said(f.reason)]));
	const field = (name, all, most) => html`
		<div class=${`field ${refused[`retention.${name}`] ? "invalid" : ""}`}>
			<label class="label" for=${`${id}-${name}`}>${t(`retention.${name}`)}</label>
			<select
				id=${`${id}-${name}`}
				aria-describedby=${`${id}-${name}-error`}
				value=${String(draft[name])}
				onChange=${(e) => {
					const next = { ...draft, [name]: Number(e.target.value) };
					if (next.deliveries >= events(next)) next.deliveries = 0;
					set(next);
					tell(false);
				}}
			>
				<option value="0">${all}</option>
				${choices(stored.least, most, draft[name]).map(
					(n) => html`
						<option value=${String(n)}>${t("retention.days", { n })}</option>
					`,
				)}
			</select>
			<${ErrorAt} id=${`${id}-${name}-error`} text=${refused[`retention.${name}`]} />
		</div>
	`;
	return html`
		<form
			onSubmit=${(e) => {
				e.preventDefault();
				save();
			}}
		>
			${field("events", t("retention.all", { n: stored.most }), stored.most)}
			${field("deliveries", t("retention.deliveries.all"), events(draft))}
			<p class="help">${t("retention.what")}</p>
			${fewer &&
			html`
				<${Notice} kind="warn"><p>${t("retention.fewer")}</p><//>
			`}
			${stored.until &&
			html`
				<${Notice}><p>${t("retention.until", { at: time(stored.until) })}</p><//>
			`}
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
