// Switching an integration on and off, and deleting it: each says before it is done what it means for what waits.
import { html, useEffect, useState } from "../html.js";
import { call, get, integrationPath, post } from "../api.js";
import { list, t } from "../i18n.js";
import { useAction, useLoad } from "../load.js";
import { navigate } from "../router.js";
import { Busy, Dialog, Failure, Notice, useClosing } from "../ui.js";
import { Choose, Ran, useMissed, useRun } from "./recover.js";
import { reportsOf, useUses } from "./uses.js";

const shownNames = 8;

// useWaiting counts the deliveries that wait for a request, and the dead ones, up to a page of each.
function useWaiting(id) {
	return useLoad(`waiting ${id}`, async (signal) => {
		const of = async (state) =>
			(await get(integrationPath(id, "/deliveries"), { signal, query: { state, limit: 200 } })).body;
		const [pending, retrying, dead] = await Promise.all(["pending", "retrying", "dead"].map(of));
		return {
			waiting: pending.items.length + retrying.items.length,
			moreWaiting: Boolean(pending.next_cursor || retrying.next_cursor),
			dead: dead.items.length,
			more: [pending, retrying, dead].some((p) => p.next_cursor),
		};
	}).data;
}

export function Delete({ integration: i, onClose }) {
	const w = useWaiting(i.id);
	const uses = useUses(i.id);
	const users = uses.data?.triggers;
	const falling = uses.data?.fallback_of;
	const [remove, { busy, error }] = useAction(async () => {
		// Only what was named here is confirmed: else the API names it.
		const query = { force: users?.length || falling?.length ? "true" : undefined };
		try {
			await call("DELETE", integrationPath(i.id), { query });
		} catch (e) {
			if (e.status === 409) await uses.reload();
			throw e;
		}
		navigate("/", { done: true });
	});
	const names = users && [
		...users.slice(0, shownNames).map((u) => t("delete.trigger", { name: u.name })),
		...(users.length > shownNames ? [t("delete.triggers.more", { n: users.length - shownNames })] : []),
	];
	return html`
		<${Dialog} title=${t("delete.title", { name: i.name })} danger onClose=${onClose}>
			<p>${t("delete.lost")}</p>
			<ul>
				<li>${t("delete.settings")}</li>
				<li>
					${w
						? t(w.more ? "delete.waiting.more" : "delete.waiting", { n: w.waiting, dead: w.dead })
						: t("delete.counting")}
				</li>
				<li>${t("delete.log")}</li>
				${uses.data?.reports.length > 0 &&
				html`
					<li>${t("delete.reports", { names: reportsOf(uses.data) })}</li>
				`}
			</ul>
			${users?.length > 0 &&
			html`
				<${Notice} kind="warn"><p>${t("delete.triggers", { n: users.length, names: list(names) })}</p><//>
			`}
			${falling?.length > 0 &&
			html`
				<${Notice} kind="warn">
					<p>
						${t("delete.fallback", {
							names: list(falling.slice(0, shownNames).map((o) => t("delete.trigger", { name: o.name }))),
						})}
					</p>
				<//>
			`}
			${uses.error &&
			html`
				<${Failure} error=${uses.error} />
			`}
			<p>${t("delete.instead")}</p>
			${error &&
			html`
				<${Failure} error=${error} />
			`}
			<div class="buttons">
				<button type="button" onClick=${onClose}>${t("form.cancel")}</button>
				<button type="button" class="danger" disabled=${busy} onClick=${remove}>
					<${Busy} on=${busy}>${t("delete.do")}<//>
				</button>
			</div>
		<//>
	`;
}

export function Disable({ integration: i, onClose, done }) {
	const w = useWaiting(i.id);
	const [disable, { busy, error }] = useAction(async () => {
		await post(integrationPath(i.id, "/disable"));
		onClose();
		await done();
	});
	return html`
		<${Dialog} title=${t("disable.title", { name: i.name })} onClose=${onClose}>
			<p>${t("disable.what")}</p>
			<p role="status">
				${!w
					? t("disable.counting")
					: w.waiting
						? t(w.moreWaiting ? "disable.waiting.more" : "disable.waiting", { n: w.waiting })
						: t("disable.none")}
			</p>
			<p>${t("disable.meanwhile")}</p>
			${error &&
			html`
				<${Failure} error=${error} />
			`}
			<div class="buttons">
				<button type="button" onClick=${onClose}>${t("form.cancel")}</button>
				<button type="button" class="primary" disabled=${busy} onClick=${disable}>
					<${Busy} on=${busy}>${t("disable.do")}<//>
				</button>
			</div>
		<//>
	`;
}

// Enable asks only where there is something to choose: events that were missed, or changes in the form. form is what
// the settings' form tells of itself, when it is shown: {dirty, save}.
export function Enable({ integration: i, incidents, form, onClose, reload }) {
	const [start] = useState(() => ({ from: i.disabled?.at || i.created_at }));
	const [dirty] = useState(() => Boolean(form?.dirty));
	const [too, setToo] = useState(false); // also what was missed
	const [on, setOn] = useState(false);
	const missed = useMissed(i.id, start);
	const work = useRun(i.id);
	const close = useClosing(missed.changed && !on, onClose);
	const [go, { busy, error }] = useAction(async (save) => {
		if (save && !(await form.save())) return onClose(); // the form says why
		await post(integrationPath(i.id, "/enable"));
		setOn(true);
		if (too) await work.run(missed.request());
		else onClose();
		return reload();
	});
	const { first, done, missed: n, error: uncounted } = missed.found;
	const plain = done && !n && !uncounted && !dirty && !missed.changed;
	useEffect(() => {
		if (plain) go(false);
	}, [plain]);
	if (!first || (plain && !error)) return null;
	const way = (value, label, note) => html`
		<label class="box">
			<input type="radio" name="way" checked=${too === value} disabled=${busy} onChange=${() => setToo(value)} />
			<span>
				${label}
				<small>${note}</small>
			</span>
		</label>
	`;
	const off = busy || (too && !missed.ready);
	return html`
		<${Dialog} title=${t("enable.title", { name: i.name })} wide onClose=${busy || work.busy ? () => {} : close}>
			${!on &&
			html`
				${dirty &&
				html`
					<${Notice} kind="warn"><p>${t("enable.unsaved")}</p><//>
				`}
				<div class="column" role="radiogroup" aria-label=${t("enable.way")}>
					${way(false, t("enable.now"), t("enable.now.note"))}${way(
						true,
						t("enable.missed"),
						done ? t("enable.missed.note", { n }) : t("recover.counting", { n }),
					)}
				</div>
				${too &&
				html`
					<${Choose} of=${missed} incidents=${incidents} />
				`}
			`}
			${on &&
			html`
				<p>${t("enable.done")}</p>
			`}
			<${Ran} of=${work} />
			${error &&
			html`
				<${Failure} error=${error} />
			`}
			<div class="buttons">
				${work.busy
					? html`
							<button type="button" onClick=${work.stop}>${t("recover.stop")}</button>
						`
					: html`
							<button type="button" disabled=${busy} onClick=${close}>
								${t(on ? "action.close" : "form.cancel")}
							</button>
						`}
				${!on &&
				dirty &&
				html`
					<button type="button" disabled=${off} onClick=${() => go(false)}>${t("enable.without")}</button>
				`}
				${!on &&
				html`
					<button type="button" class="primary" disabled=${off} onClick=${() => go(dirty)}>
						<${Busy} on=${busy}>${t(dirty ? "enable.save" : "integration.enable")}<//>
					</button>
				`}
				${on &&
				work.error &&
				html`
					<button type="button" class="primary" onClick=${() => work.run(missed.request())}>
						${t("action.again")}
					</button>
				`}
			</div>
		<//>
	`;
}
